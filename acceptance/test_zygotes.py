"""Runtimes that are copies of one that has booted: what they share with it is gone before a function comes."""

import os
import signal
from pathlib import Path

import pytest

from support import paths
from support.functions import Function, fresh_name
from support.node import Node, wait_until

ANSWER = "def handler(event, context):\n    return event\n"


def zygotes(node):
    """The processes of a node that are zygotes, and not copies: their parent is the spawner, whose parent is the node."""
    found = []
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdigit() and paths.is_copy(entry.name) and parent(parent(entry.name)) == node.process.pid:
                found.append(int(entry.name))
        except OSError:
            continue
    return found


def parent(pid):
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


@pytest.fixture(scope="module")
def node():
    with paths.node_of(paths.COPIED) as node:
        yield node


@pytest.fixture
def make(node):
    made = []

    def make(code, **settings):
        made.append(paths.Placed(node, paths.COPIED))
        return made[-1].create(code, **settings)

    yield make
    for function in made:
        function.delete()


def test_a_call_that_finds_nothing_waiting_is_served_by_a_copy(make, node):
    function = make(ANSWER)
    assert function({"n": 1}) == {"n": 1}
    assert function.proved == paths.COPIED
    assert len(zygotes(node)) == 1


def test_a_copy_has_its_functions_own_tmp(make):
    function = make("import os\ndef handler(e, c):\n    s = os.statvfs('/tmp')\n    return s.f_blocks * s.f_frsize >> 20\n", EphemeralStorage={"Size": 700})
    assert 512 < function({}) <= 700
    assert function.proved == paths.COPIED


def test_a_function_finds_nothing_of_another(make):
    leave = """
        import builtins, json, os, sys
        builtins.left = sys.left = json.left = "of the first"
        os.environ["LEFT"] = "of the first"
        sys.modules["left"] = sys
        open("/tmp/left", "w").write("of the first")
        def handler(event, context):
            return os.getpid()
    """
    look = """
        import builtins, gc, json, os, sys
        def handler(event, context):
            return [hasattr(builtins, "left"), hasattr(sys, "left"), hasattr(json, "left"), "LEFT" in os.environ,
                    "left" in sys.modules, os.path.exists("/tmp/left"), os.environ.get("OWN"),
                    any(name.startswith("_LAMBENT") for name in os.environ)]
    """
    first, second = make(leave, Environment={"Variables": {"OWN": "first"}}), make(look)
    first({})
    assert second({}) == [False] * 6 + [None, False]
    assert first.proved == second.proved == paths.COPIED


def test_what_is_random_differs_between_copies(make):
    draw = """
        import random, secrets, ssl, tempfile, uuid
        early = [random.random(), str(uuid.uuid4()), secrets.token_hex(8), ssl.RAND_bytes(8).hex()]
        def handler(event, context):
            return early + [random.random(), str(uuid.uuid1()), tempfile.mktemp(), ssl.RAND_bytes(8).hex()]
    """
    # Packages that differ, so that environments can be told apart.
    one, other = make(draw)({}), make(draw + "\n        # another\n")({})
    assert not set(map(str, one)) & set(map(str, other))


def test_a_variable_that_is_read_at_the_start_has_a_runtime_started_for_it(node):
    function = Function(node, fresh_name()).create(
        "def handler(e, c):\n    return hash('x')\n", Environment={"Variables": {"PYTHONHASHSEED": "7"}}
    )
    function({})
    assert [paths.is_copy(pid) for pid in paths.interpreters(node, function)] == [False]
    function.delete()


def test_a_killed_zygote_fails_no_call_and_is_replaced(make, node):
    before = make(ANSWER)
    assert before({"n": 1}) == {"n": 1}
    (killed,) = zygotes(node)
    os.kill(killed, signal.SIGKILL)
    after = Function(node, fresh_name()).create(ANSWER)
    assert after({"n": 2}) == {"n": 2}
    # Its copies live on.
    assert before({"n": 3}) == {"n": 3}
    after.delete()
    wait_until(lambda: called_anew(node) and zygotes(node) not in ([], [killed]), what="another zygote")
    assert make(ANSWER + "# later\n")({"n": 4}) == {"n": 4}


def called_anew(node):
    function = Function(node, fresh_name()).create(ANSWER)
    function({})
    function.delete()
    return True


def test_a_node_without_zygotes_keeps_none():
    with Node(options=paths.NOTHING_COPIED) as node:
        function = Function(node, fresh_name()).create(ANSWER)
        assert function({"n": 1}) == {"n": 1}
        assert zygotes(node) == []
