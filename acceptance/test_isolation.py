"""What hostile code finds inside: one scenario a promise, each from inside a function.

Each runs four times: in a cell that had waited for its function, in the copy of a runtime that had booted elsewhere, in
a cell that was started for it, and in a process that was restored from its version's snapshot. A function's first call
proves which it was.
"""

import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from support import paths, residue
from support.functions import Function, fresh_name
from support.native import native
from support.node import Node, soon, took

PROBE = """
    import ctypes, errno, glob, json, os, resource, socket, subprocess, sys, time

    libc = ctypes.CDLL(None, use_errno=True)

    def call(number, *words):
        ctypes.set_errno(0)
        result = libc.syscall(number, *words)
        return 0 if result >= 0 else ctypes.get_errno()

    def read(path, size=65536):
        try:
            with open(path, "rb") as source:
                return source.read(size).decode(errors="replace")
        except OSError as error:
            return f"<{errno.errorcode[error.errno]}>"

    def write(path):
        try:
            with open(path, "w") as target:
                target.write("x")
            return "written"
        except OSError as error:
            return errno.errorcode[error.errno]

    def handler(event, context):
        return eval(compile(event, "event", "eval"), globals())
"""


@pytest.fixture(scope="module", params=[paths.PARKED, paths.COPIED, paths.FRESH, paths.RESTORED])
def path(request):
    """How functions come into their sandboxes."""
    return request.param


@pytest.fixture(scope="module")
def its_node(path):
    """A node on which all functions take that way."""
    with paths.node_of(path) as started:
        if path == paths.PARKED:
            paths.fill(started)
        yield started


@pytest.fixture
def node(its_node):
    since = len(its_node.lines)
    yield its_node
    its_node.check_lines(since)


@pytest.fixture
def make(node, path):
    """As the suite's own, with functions that prove their way."""
    made = []

    def make(code, **settings):
        made.append(paths.Placed(node, path))
        made[-1].create(code, **settings)
        if path == paths.PARKED:
            # A burst was asked for, so one more than that waits, and no scenario calls more than two in a row.
            paths.stocked(node, 2)
        return made[-1]

    yield make
    for function in made:
        function.delete()


@pytest.fixture(scope="module")
def probe(its_node, path):
    """A function that evaluates Python expressions: as hostile as they come."""
    function = paths.Placed(its_node, path).create(PROBE, MemorySize=256)
    assert function("1") == 1 and function.proved == path
    yield function
    function.delete()


@pytest.fixture(autouse=True)
def watched(request):
    """Every scenario here announces what the node complains of."""
    if "path" in request.fixturenames:
        request.getfixturevalue("node")


def fields(text):
    """The fields of /proc/PID/status."""
    pairs = (line.split(":", 1) for line in text.splitlines() if ":" in line)
    return {name: value.strip() for name, value in pairs}


def status(pid):
    return fields(Path(f"/proc/{pid}/status").read_text())


# What is seen.


def test_no_other_process_is_seen(probe):
    pids = probe("sorted(int(name) for name in os.listdir('/proc') if name.isdigit())")
    assert pids == [probe("os.getpid()")] or pids == sorted({1, *pids}) and len(pids) <= 2, pids
    text = probe("[read(f'/proc/{name}/cmdline') for name in os.listdir('/proc') if name.isdigit()]")
    assert all("lambent up" not in line and "pytest" not in line for line in text)


def test_no_file_of_the_host_is_seen(probe, node, listed_runtimes):
    for path in ["/home", str(node.data), "/var/lib/dpkg", "/boot", "/etc/shadow", "/work", "/var/log"]:
        if not Path(path).exists():
            continue
        listed = probe(f"os.path.exists({path!r}) and (os.path.isfile({path!r}) and read({path!r}) or os.listdir({path!r}))")
        assert not listed or listed == "<EACCES>", (path, listed)
    # An interpreter may live in somebody's home: then that way is there, and nothing beside it.
    interpreters = [entry["program"] or "" for entry in listed_runtimes]
    for folder in ("/root", "/root/.pyenv"):
        seen = probe(f"os.listdir({folder!r}) if os.path.isdir({folder!r}) else []")
        beside = [name for name in seen if not any(p.startswith(f"{folder}/{name}/") for p in interpreters)]
        assert not beside, (folder, beside)
    assert "root:" not in probe("read('/etc/shadow')")


def test_the_hosts_names_are_not_seen(probe):
    import socket

    assert probe("socket.gethostname()") != socket.gethostname()
    assert "pytest" not in probe("read('/proc/self/environ')")


def test_code_layers_and_system_are_read_only(probe):
    for folder in ["/var/task", "/opt", "/usr", "/usr/bin", "/bin", "/lib", "/etc", "/var/runtime", "/", "/proc/sys/kernel"]:
        answer = probe(f"write('{folder}/x')")
        assert answer in ("EROFS", "EACCES", "ENOENT", "EPERM"), (folder, answer)
    for path in ["/usr/bin/env", "/var/task/index.py", "/proc/sysrq-trigger", "/proc/sys/kernel/core_pattern"]:
        assert probe(f"write('{path}')") in ("EROFS", "EACCES", "ENOENT", "EPERM"), path
    assert probe("write('/tmp/x')") == "written"


def test_devices_are_the_harmless_ones(probe):
    found = set(probe("os.listdir('/dev')"))
    assert found <= {
        "null", "zero", "full", "random", "urandom", "tty", "fd", "stdin", "stdout", "stderr", "shm", "pts", "ptmx", "mqueue",
    }, found
    assert probe("len(os.urandom(16))") == 16
    assert probe("call(133, b'/tmp/disk', 0o60666, 0x0800)") != 0, "mknod of a disk"


# What it may.


def test_no_capability_no_new_privileges_and_a_filter(probe):
    own = fields(probe("read('/proc/self/status')"))
    for name in ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"]:
        assert int(own[name], 16) == 0, (name, own[name])
    assert own["NoNewPrivs"] == "1" and own["Seccomp"] == "2"
    assert "0" not in own["Uid"].split()


def test_mounts_namespaces_tracing_and_kernel_doors_are_shut(probe):
    import errno

    calls = {
        "mount": "165, b'none', b'/tmp', b'tmpfs', 0, 0",
        "umount2": "166, b'/tmp', 2",
        "pivot_root": "155, b'/tmp', b'/tmp'",
        "chroot": "161, b'/tmp'",
        "unshare user": "272, 0x10000000",
        "unshare all": "272, 0x7e020000",
        "setns": "308, 0, 0",
        "ptrace": "101, 16, 1, 0, 0",
        "process_vm_readv": "310, 1, 0, 0, 0, 0, 0",
        "bpf": "321, 0, 0, 0",
        "perf_event_open": "298, 0, 0, 0, 0, 0",
        "io_uring_setup": "425, 1, 0",
        "keyctl": "250, 0, 0",
        "userfaultfd": "323, 0",
        "init_module": "175, 0, 0, 0",
        "kexec_load": "246, 0, 0, 0, 0",
        "reboot": "169, 0, 0, 0, 0",
        "open_by_handle_at": "304, 0, 0, 0",
        "clone with a namespace": "56, 0x10000011, 0, 0, 0, 0",
        "sethostname": "170, b'x', 1",
        "settimeofday": "164, 0, 0",
        "syslog": "103, 3, 0, 0",
        "swapon": "167, b'/tmp/x', 0",
        "iopl": "172, 3",
    }
    import platform

    if platform.machine() != "x86_64":
        pytest.skip("the numbers are x86-64's")
    shut = {errno.EPERM, errno.ENOSYS, errno.EACCES}
    opened = {name: n for name, words in calls.items() if (n := probe(f"call({words})")) not in shut}
    assert not opened, opened


def test_it_cannot_become_another_user(probe):
    assert probe("call(105, 0)") != 0, "setuid"
    assert probe("call(106, 0)") != 0, "setgid"
    assert probe("[os.stat(p).st_mode & 0o6000 for p in glob.glob('/usr/bin/*')].count(0o4000)") >= 0
    assert "uid=0" not in probe("subprocess.run(['id'], capture_output=True, text=True).stdout")


def test_descriptors_processes_and_threads_are_limited(probe, make):
    assert probe("list(resource.getrlimit(resource.RLIMIT_NOFILE))") == [1024, 1024]
    opened = make("""
        import os
        def handler(event, context):
            held = []
            try:
                while len(held) < 5000:
                    held.append(os.open("/dev/null", os.O_RDONLY))
            except OSError as error:
                number = error.errno
            count = len(held)
            for fd in held:
                os.close(fd)
            return [count, number]
    """)()
    import errno

    assert 1000 < opened[0] < 1024 and opened[1] == errno.EMFILE


def test_sandboxes_have_users_of_their_own(node, make):
    users = []
    for number in range(2):
        function = make(f"import os\ndef handler(e, c):\n    return os.getuid()\n# {number}\n")
        assert function() != 0
        pids = residue.environments_of(node.data, function)["processes"]
        # As the host sees them.
        users.append({int(status(pid)["Uid"].split()[0]) for pid in pids} - {0})
    assert users[0] and users[1] and not users[0] & users[1], users


# What it costs others.


def test_a_fork_bomb_is_contained_while_others_answer(make):
    bomb = make("""
        import os, time
        def handler(event, context):
            count, refused = 0, 0
            began = time.time()
            while event == "fork" and time.time() - began < 3:
                try:
                    if os.fork() == 0:
                        while True:
                            time.sleep(1)
                    count += 1
                except OSError:
                    refused += 1
            return [count, refused]
    """, MemorySize=1769, Timeout=30)
    other = make("def handler(e, c):\n    return 1\n", MemorySize=512)
    assert other() == 1
    # Its way is proved by this call: to look at a thousand processes takes a minute.
    assert bomb() == [0, 0]
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(bomb.call, "fork")
        times = []
        while not running.done():
            times.append(took(lambda: other.call(tail=False).ok()))
        answer = running.result()
    if answer.failed is None:
        count, refused = answer.json
        assert count <= 1024 and refused > 0
    else:
        # 1,024 processes may not fit into the memory: then that is the end.
        assert answer.json["errorType"] in ("Runtime.OutOfMemory", "Sandbox.Timedout"), answer.json
    assert_served(times)
    bomb.delete()


def assert_served(times):
    """Calls one after the other, during some seconds of somebody else's: none had to wait for the end of these."""
    times.sort()
    assert len(times) > 8 and times[len(times) // 2] < 0.5, times


def test_a_busy_loop_and_a_memory_hog_leave_others_their_share(make):
    hog = make("def handler(e, c):\n    while True:\n        pass\n", Timeout=4, MemorySize=1769)
    other = make("def handler(e, c):\n    return 1\n", MemorySize=512)
    other()
    with ThreadPoolExecutor(2) as pool:
        hogs = [pool.submit(hog.call) for _ in range(2)]
        times = []
        while not all(h.done() for h in hogs):
            times.append(took(lambda: other.call(tail=False).ok()))
    assert_served(times)


# What happens between and after calls.


def test_nothing_runs_between_calls(make):
    function = make("""
        import threading, time
        ticks = 0
        def tick():
            global ticks
            while True:
                ticks += 1
                time.sleep(0.01)
        def handler(event, context):
            if not ticks:
                # Not in its init: of one with threads no snapshot is made.
                threading.Thread(target=tick, daemon=True).start()
            began = ticks
            time.sleep(event)
            return [began, ticks]
    """, MemorySize=1769)
    _, at_end = function(0.2)
    # The wait is the scenario: what would a thread do in it?
    time.sleep(2)
    at_start, later = function(0.2)
    # Two hundred would fit into the wait. A busy machine takes its time to freeze it, and to begin the next call.
    assert at_start - at_end <= 60, "a frozen thread makes no progress"
    assert later > at_start, "and goes on with the next call"


def test_a_daemon_dies_with_its_function(node, make):
    function = make("""
        import os, time
        def handler(event, context):
            # A volume that nothing was written to is not given back to the host: it serves again.
            open("/tmp/x", "w").close()
            if os.fork() == 0:
                os.setsid()
                if os.fork() == 0:
                    for fd in (0, 1, 2):
                        os.close(fd)
                    while True:
                        time.sleep(0.05)
                os._exit(0)
            os.wait()
            return "daemon started"
    """)
    assert function() == "daemon started"
    made = residue.environments_of(node.data, function)
    assert len(made["processes"]) >= 2, made
    function.delete()
    residue.wait_until_gone(node.data, made)


def test_everything_of_an_environment_is_gone_within_a_second_of_its_end(node, make):
    def is_gone_in_time():
        function = make("def handler(e, c):\n    open('/tmp/x', 'w').write('x' * 1000)\n    return 1\n")
        function()
        made = residue.environments_of(node.data, function)
        assert made["processes"] and made["control groups"], made
        function.delete()
        return residue.wait_until_gone(node.data, made) < 1.5

    soon(is_gone_in_time, "an environment that is gone within a second")


def test_one_functions_files_are_not_anothers(make):
    writer = make("def handler(e, c):\n    open('/tmp/secret', 'w').write('s')\n    open('/dev/shm/secret', 'w').write('s')\n    return 1\n")
    reader = make("import os\ndef handler(e, c):\n    return [os.listdir('/tmp'), os.listdir('/dev/shm')]\n")
    try:
        assert writer() == 1
    except AssertionError:
        writer.update("def handler(e, c):\n    open('/tmp/secret', 'w').write('s')\n    return 1\n")
        assert writer() == 1
    assert all("secret" not in names for names in reader())


def test_native_code_finds_the_same_walls(make):
    handle = r"""
    static void handle(void) {
        int n = 0;
        #define TRY(name, call) n += snprintf(out + n, sizeof out - n, ",\"%s\":%d", name, (call) < 0 ? errno : 0)
        TRY("mount", mount("none", "/tmp", "tmpfs", 0, 0));
        TRY("unshare", unshare(CLONE_NEWUSER));
        TRY("ptrace", ptrace(PTRACE_TRACEME, 0, 0, 0));
        TRY("setuid", setuid(0));
        TRY("mknod", mknod("/tmp/d", S_IFBLK | 0666, 0x0800));
        TRY("shadow", open("/etc/shadow", O_RDONLY));
        TRY("raw", socket(AF_INET, SOCK_RAW, 1));
        TRY("packet", socket(AF_PACKET, SOCK_RAW, 0));
        TRY("netlink", socket(AF_NETLINK, SOCK_RAW, 12));
        TRY("vsock", socket(40, SOCK_STREAM, 0));
        TRY("dumpable", prctl(PR_SET_DUMPABLE, 1, 0, 0, 0));
        TRY("write task", open("/var/task/bootstrap", O_WRONLY));
        out[0] = '{';
        n += snprintf(out + n, sizeof out - n, "}");
    }
    """
    seen = make(native(handle), runtime="provided.al2023")()
    assert seen.pop("dumpable") == 0
    assert all(number != 0 for number in seen.values()), seen


def test_a_package_cannot_bring_privileged_files(make):
    import io
    import stat
    import zipfile

    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as target:
        target.writestr("index.py", "import os\ndef handler(e, c):\n    return os.stat('/var/task/tool').st_mode & 0o7777\n")
        entry = zipfile.ZipInfo("tool")
        entry.external_attr = (stat.S_IFREG | 0o6755) << 16
        entry.create_system = 3
        target.writestr(entry, "#!/bin/sh\nid\n")
    mode = make(buffer.getvalue())()
    assert mode & 0o6000 == 0 and mode & 0o111, oct(mode)


def test_process_isolation_must_be_asked_for_and_says_what_it_lacks():
    with Node(options=["--isolation", "process"], allowed=["isolation process", 'isolation is "process"']) as node:
        warned = [line for line in node.lines if line.startswith("warning: ") and "isolation process" in line]
        assert warned, node.lines
        function = Function(node, fresh_name()).create("def handler(e, c):\n    return 1\n")
        assert function() == 1
        function.delete()
