"""What waits ahead of need is nobody's yet and is used once: no trace of one function reaches another through it, no
function reaches what waits, and whoever ends it from outside costs no call."""

import os
import secrets
import signal
from concurrent.futures import ThreadPoolExecutor

import pytest

from support import paths, residue, usage
from support.functions import Function, fresh_name
from support.node import Node, wait_until

# Leaves its secret wherever it may write, and in everything of its process that could outlive a call.
WRITER = """
    import builtins, ctypes, mmap, os, socket, sys
    def handler(event, context):
        secret = event["first"] + event["second"]
        builtins.secret = sys.modules["secret"] = os.environ["SECRET"] = secret
        held = builtins.held = []
        held.append(secret.encode() * 10_000)
        memory = mmap.mmap(-1, 1 << 20)
        memory[:] = (secret.encode() * (1 << 16))[: 1 << 20]
        held.append(memory)
        name = socket.socket(socket.AF_UNIX)
        name.bind("\\0" + secret)
        held.append(name)
        left = []
        for top in ("/", "/tmp", "/dev/shm", "/var", "/opt", "/usr", "/etc", "/run", "/home", "/proc/self", "/dev/mqueue"):
            try:
                with open(os.path.join(top, secret), "w") as target:
                    target.write(secret)
                left.append(top)
                held.append(open(os.path.join(top, secret)))
            except OSError:
                pass
        libc = ctypes.CDLL(None)
        held.append(libc.shmget(0x5EC2E7, 4096, 0o1666))
        held.append(libc.msgget(0x5EC2E7, 0o1666))
        import _lambent
        _lambent.secret = secret
        return left
"""

# Looks for it, without ever holding it in one piece.
READER = """
    import os, re, sys
    def in_memory(first, second):
        found = []
        with open("/proc/self/maps") as maps, open("/proc/self/mem", "rb", 0) as memory:
            for line in maps:
                span, rights, *_, name = (line.split() + [""])[:6] if len(line.split()) > 5 else (*line.split(), "")
                low, high = (int(word, 16) for word in span.split("-"))
                if "r" not in rights or name in ("[vvar]", "[vsyscall]", "[vvar_vclock]"):
                    continue
                try:
                    memory.seek(low)
                    text = memory.read(high - low)
                except (OSError, ValueError, OverflowError):
                    continue
                for match in re.finditer(re.escape(first), text):
                    if text[match.end() : match.end() + len(second)] == second:
                        found.append((span, name))
        return found

    def handler(event, context):
        first, second = event["first"], event["second"]
        holds = lambda text: first in text and second in text
        files = [os.path.join(top, name) for top, _, names in os.walk("/") if not top.startswith("/proc") for name in names
                 if holds(name)]
        open_files = [os.readlink(f"/proc/self/fd/{fd}") for fd in os.listdir("/proc/self/fd") if os.path.islink(f"/proc/self/fd/{fd}")]
        return {
            "files": files,
            "environment": [name for name, value in os.environ.items() if holds(value)],
            "open files": [name for name in open_files if holds(name)],
            "sockets": [line for line in open("/proc/net/unix") if holds(line)],
            "modules": [name for name in sys.modules if name == "secret"],
            "shared memory": open("/proc/sysvipc/shm").read().splitlines()[1:],
            "message queues": open("/proc/sysvipc/msg").read().splitlines()[1:],
            "memory": in_memory(first.encode(), second.encode()),
        }
"""


@pytest.fixture(autouse=True)
def filled(node):
    paths.fill(node)


def waiting(node):
    """Processes of cells that wait: everything below the spawner that has no function's package."""
    return [pid for pid in usage.family(usage.spawner(node))[1:] if not usage.has_package(pid)]


def interpreters(pids):
    found = []
    for pid in pids:
        try:
            found += [pid] if paths.is_python(pid) else []
        except OSError:
            continue
    return found


@pytest.fixture
def parked(node):
    """Makes functions whose first call has to find a cell that waits."""
    made = []

    def parked(code, **settings):
        made.append(paths.Placed(node, paths.WAITED))
        return made[-1].create(code, **settings)

    yield parked
    for function in made:
        function.delete()


def test_nothing_of_one_function_is_found_by_another(parked):
    first, second = secrets.token_hex(16), secrets.token_hex(16)
    halves = {"first": first, "between": "-" * 16, "second": second}
    writer = parked(WRITER, MemorySize=512)
    assert "/tmp" in writer(halves), "it leaves something at least"
    # While the writer lives, once it is retired, and once it is gone.
    for step in range(3):
        reader = parked(READER + f"    # {step}\n", MemorySize=1769)
        found = reader(halves)
        assert reader.proved == paths.WAITED
        assert not any(found.values()), found
        if step == 0:
            writer.configure(Description="old")
        if step == 1:
            writer.delete()


def test_the_reader_finds_what_is_there(make):
    code = READER.replace("def handler(", "def look(") + """
    def handler(event, context):
        global held
        secret = event["first"] + event["second"]
        held = secret.encode() * 3
        os.environ["SECRET"] = secret
        open("/tmp/" + secret, "w").close()
        return look(event, context)
"""
    halves = {"first": secrets.token_hex(16), "between": "-", "second": secrets.token_hex(16)}
    found = make(code, MemorySize=1769)(halves)
    assert found["memory"] and found["files"] and found["environment"] == ["SECRET"], found


def test_a_cell_is_used_once(node, parked):
    seen = {"processes": set(), "control groups": set(), "loop devices": set()}
    for number in range(8):
        # A volume that is left as it was may serve again: this one isn't.
        code = f"import os\ndef handler(e, c):\n    open('/tmp/{number}', 'w').close()\n    return os.getpid()\n"
        function = parked(code)
        function()
        made = residue.environments_of(node.data, function)
        identities = {(pid, paths.born(pid)) for pid in made["processes"]}
        assert made["processes"] and not identities & seen["processes"], "a process serves two functions"
        for what in ("control groups", "loop devices"):
            assert made[what] and not made[what] & seen[what], f"{what} serve two functions"
            seen[what] |= made[what]
        seen["processes"] |= identities
        if number % 2:
            function.delete()
            residue.wait_until_gone(node.data, made)


def test_a_function_cannot_reach_what_waits(node, parked):
    # The stock itself may give up a cell meanwhile, but not each time.
    assert any(everything_stays(node, parked) for _ in range(3)), "something that waited has ended"


def everything_stays(node, parked):
    """Whether all that waits goes on waiting while a function does its worst."""
    before = waiting(node)
    assert interpreters(before), "nothing waits"
    hostile = parked("""
        import os, signal, socket
        def handler(event, context):
            outcome = {}
            seen = [int(name) for name in os.listdir("/proc") if name.isdigit()]
            outcome["strangers"] = [pid for pid in seen if pid not in (1, os.getpid())]
            killed = []
            # Whatever the host calls them: none of these numbers means anybody else in here.
            for pid in event:
                for number in (signal.SIGKILL, signal.SIGSTOP, signal.SIGCONT):
                    try:
                        os.kill(pid, number)
                        killed.append(pid)
                    except OSError:
                        pass
                for name in ("mem", "environ", "root", "fd", "cwd"):
                    try:
                        os.open(f"/proc/{pid}/{name}", os.O_RDONLY)
                        killed.append([pid, name])
                    except OSError:
                        pass
            outcome["reached"] = killed
            listening = [line.split()[1] for line in open("/proc/net/tcp").readlines()[1:] if line.split()[3] == "0A"]
            outcome["listening"] = len(listening)
            outcome["unix"] = open("/proc/net/unix").read().splitlines()[1:]
            return outcome
    """, MemorySize=512)
    inside_too = {os.getpid(), *before}
    taken = hostile([pid for pid in inside_too if pid > 100])
    assert taken["strangers"] == [] and taken["reached"] == [] and taken["unix"] == [], taken
    # Its own Runtime API and its own way to the node's services.
    assert taken["listening"] <= 2
    still = [pid for pid in before if os.path.exists(f"/proc/{pid}")]
    mine = residue.environments_of(node.data, hostile)["processes"]
    return set(before) - set(still) - mine == set()


def test_a_kill_of_everything_in_a_sandbox_ends_nothing_that_waits(node, parked):
    def gone():
        before = set(interpreters(waiting(node)))
        killer = parked("import os\ndef handler(e, c):\n    os.kill(-1, 9)\n    os._exit(1)\n")
        assert killer.call().failed
        return [pid for pid in before if not os.path.exists(f"/proc/{pid}")]

    # One was taken, and is gone; the others wait, but for what the stock itself may give up meanwhile, not each time.
    assert any(len(gone()) <= 1 for _ in range(3))


def test_runtimes_that_were_killed_while_they_waited_cost_no_call():
    with Node(allowed=["a waiting (runtime|sandbox) could not be used"]) as node:
        paths.fill(node)
        functions = [Function(node, fresh_name()).create(f"def handler(e, c):\n    return {n}\n") for n in range(6)]
        for number, function in enumerate(functions):
            usage.wait_for_rest(node)
            # One that could not be made, because it was killed as it was made, is tried again a little later.
            victims = wait_until(lambda: interpreters(waiting(node)), what="something that waits")
            kill(victims)
            # At once: the node may not have noticed yet.
            assert function() == number
        wait_until(lambda: interpreters(waiting(node)), what="a stock that is filled again")
        for function in functions:
            function.delete()


def kill(pids):
    """Those that are there yet: with a sandbox's first process all others end."""
    for pid in pids:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            continue


def victims_of(node, what):
    family = usage.family(usage.spawner(node))
    own = os.readlink("/proc/self/ns/pid")

    def inside(pid):
        try:
            return os.readlink(f"/proc/{pid}/ns/pid") != own
        except OSError:
            # It has ended since it was found.
            return True

    return {
        "all that waits": [pid for pid in family if inside(pid)],
        "the spawner's helpers": [pid for pid in family[1:] if not inside(pid)],
        "the spawner": family[:1],
    }[what]


@pytest.mark.parametrize("what", ["all that waits", "the spawner's helpers", "the spawner"])
def test_a_node_whose_processes_were_killed_from_outside_serves_on(what):
    allowed = ["a waiting (runtime|sandbox) could not be used", "spawner", "no sandbox for a call"]
    with Node(allowed=allowed) as node:
        paths.fill(node)
        function = Function(node, fresh_name()).create("def handler(e, c):\n    return 1\n")
        usage.wait_for_rest(node)
        victims = victims_of(node, what)
        if not victims:
            pytest.skip(f"a node has none of {what} here")
        kill(victims)
        # What waited is gone, and so may be what makes it anew: this call has its own made, and is answered.
        assert function() == 1
        with ThreadPoolExecutor(8) as pool:
            assert all(pool.map(lambda _: answers(function), range(24)))
        # At once, and not when it is looked over, which is every half a minute.
        wait_until(lambda: is_stocked(node), what="a stock that is filled again", promised=20)
        function.delete()


def test_a_stock_that_was_lost_is_filled_again_without_a_call():
    with Node(allowed=["spawner"]) as node:
        paths.fill(node)
        function = Function(node, fresh_name()).create("def handler(e, c):\n    return 1\n")
        usage.wait_for_rest(node)
        before = set(interpreters(waiting(node)))
        assert before, "nothing waits"
        kill(victims_of(node, "the spawner"))
        wait_until(lambda: not any(os.path.exists(f"/proc/{pid}") for pid in before), what="the end of what waited")
        wait_until(lambda: is_stocked(node), what="a stock that is filled again", promised=20)
        assert function() == 1
        function.delete()


def is_stocked(node):
    """Whether interpreters wait; the node may have no spawner just now."""
    try:
        return bool(interpreters(waiting(node)))
    except (AssertionError, OSError):
        return False


def answers(function):
    try:
        return function() == 1
    except Exception:  # noqa: BLE001 - whatever it is, it is no answer
        return False
