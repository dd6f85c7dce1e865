"""SnapStart of Python functions: an init that runs once, when its version is published, and environments that begin with
what it came to."""

import math
import os
import re
import time

import pytest

from support import trees
from support.functions import Function, Refused, fresh_name
from support.node import Node, wait_until

ON = {"ApplyOn": "PublishedVersions"}
# The reference has SnapStart from Python 3.12 on; whatever this host has serves.
ALIASES = ["--runtime-alias", "python3.12=python3.11"]

# What an init leaves behind, and what an environment is.
SOURCE = """
import os, uuid
from snapshot_restore_py import register_after_restore, register_before_snapshot

born, order = uuid.uuid4().hex, []

@register_before_snapshot
def first():
    order.append("first before")

@register_before_snapshot
def second():
    order.append("second before")

register_after_restore(order.append, "first after")

@register_after_restore
def later():
    order.append("second after")

def handler(event, context):
    if event.get("die"):
        os._exit(1)
    return {
        "born": born, "order": order, "me": context.log_stream_name, "version": context.function_version,
        "type": os.environ["AWS_LAMBDA_INITIALIZATION_TYPE"], "stream": os.environ["AWS_LAMBDA_LOG_STREAM_NAME"],
        "own": os.environ.get("OWN"), "left": [name for name in os.environ if name.startswith("_LAMBENT")],
    }
"""


@pytest.fixture(scope="module")
def its_node():
    with Node(options=ALIASES) as started:
        yield started


@pytest.fixture
def node(its_node):
    since = len(its_node.lines)
    yield its_node
    its_node.check_lines(since)


def snapshots(node, version):
    """The folders of snapshots of a version, of whichever function. What is being made comes and goes meanwhile."""
    root = node.data / "snapshots"
    return [found for name in trees.inside(root) if (found := root / name / version).exists()]


class Snapped(Function):
    """A function whose published version is called."""

    def create(self, code, **settings):
        super().create(code, runtime="python3.12", SnapStart=ON, **settings)
        self.publish()
        return self

    def publish(self):
        self.version = self.client.publish_version(FunctionName=self.name)["Version"]

    def found(self):
        return self.client.get_function_configuration(FunctionName=self.name, Qualifier=self.version)

    def published(self, state="Active"):
        """The version at rest, in this state."""
        found = wait_until(lambda: (f := self.found())["State"] != "Pending" and f, 60, f"{self.name} is published")
        assert found["State"] == state, found
        return found

    def call(self, event=None, **more):
        return super().call(event, **{"Qualifier": self.version, **more})

    def end_environment(self):
        """The next call finds none."""
        assert self.call({"die": True}).error()["errorType"] == "Runtime.ExitError"

    def folder(self):
        """Where its snapshot is kept: the only one of a node of its own."""
        (found,) = snapshots(self.node, self.version)
        return found


@pytest.fixture
def make(node):
    made = []

    def make(code, **settings):
        made.append(Snapped(node, fresh_name("snap")))
        return made[-1].create(code, **settings)

    yield make
    for function in made:
        function.delete()


def test_a_version_begins_with_what_its_init_came_to(make):
    function = make(SOURCE, Environment={"Variables": {"OWN": "value"}})
    found = function.published()
    assert found["SnapStart"] == {"ApplyOn": "PublishedVersions", "OptimizationStatus": "On"}
    latest = function.client.get_function_configuration(FunctionName=function.name)
    assert latest["SnapStart"] == {"ApplyOn": "PublishedVersions", "OptimizationStatus": "Off"}
    one = function.call()
    function.end_environment()
    other = function.call()
    assert one.was_cold and other.was_cold
    assert one.json["born"] == other.json["born"], "one init for both"
    assert one.json["me"] != other.json["me"] and one.json["me"] == one.json["stream"]
    assert one.json["order"] == ["second before", "first before", "first after", "second after"]
    assert (one.json["type"], one.json["version"], one.json["own"], one.json["left"]) == ("snap-start", "1", "value", [])
    report = re.search(r"REPORT RequestId.*", one.log)[0]
    assert re.search(r"\tRestore Duration: [\d.]+ ms\tBilled Restore Duration: \d+ ms\t", report), report
    assert "Init Duration" not in report
    duration, billed, restored = (
        float(re.search(pattern, report)[1])
        for pattern in (r"\tDuration: ([\d.]+) ms", r"\tBilled Duration: (\d+) ms", r"Billed Restore Duration: (\d+) ms")
    )
    # What is shown is cut at hundredths, what is billed is not: 12.00 may be 12.004, for which 13 is billed.
    assert billed - restored in (math.ceil(duration), math.ceil(duration + 0.01))
    # Unpublished, the init runs as ever.
    latest = function.call(Qualifier="$LATEST").json
    assert latest["born"] != one.json["born"] and latest["order"] == []
    assert latest["type"] == "on-demand"


def test_the_log_tells_of_the_init_and_of_each_restore(make, node):
    function = make("print('init')\ndef handler(e, c):\n    print('call')\n")
    function.published()
    function({})

    def streams():
        found = {}
        for event in node.logs.filter_log_events(logGroupName=function.group)["events"]:
            found.setdefault(event["logStreamName"], []).append(event["message"].split("\t")[0].strip())
        return sorted(found.values(), key=len) if len(found) == 2 and "call" in str(found) else None

    made, restored = wait_until(streams, 20, "both logs are there")
    assert [line.split(":")[0] for line in made] == ["INIT_START Runtime Version", "init", "INIT_REPORT Init Duration"]
    words = [line.split(":")[0] for line in restored]
    assert words[:4] == ["RESTORE_START Runtime Version", "RESTORE_REPORT Restore Duration", "START RequestId", "call"]


def test_restored_environments_draw_their_own_random_numbers(make):
    function = make("""
        import os, random, secrets, ssl, tempfile, uuid
        random.random(), ssl.RAND_bytes(1), tempfile.mktemp(), uuid.uuid1()
        def handler(event, context):
            if event.get("die"):
                os._exit(1)
            return [random.random(), secrets.token_hex(8), ssl.RAND_bytes(8).hex(), tempfile.mktemp(), str(uuid.uuid4()),
                    str(uuid.uuid1())]
    """)
    function.published()
    drawn = []
    for _ in range(3):
        drawn.append(function())
        function.end_environment()
    for numbers in zip(*drawn):
        assert len(set(numbers)) == 3, numbers


def test_a_restored_environment_has_credentials_of_its_own(make):
    function = make("""
        import json, os, urllib.error, urllib.request
        def ask(token):
            asked = urllib.request.Request(os.environ["AWS_CONTAINER_CREDENTIALS_FULL_URI"], headers={"Authorization": token})
            try:
                return json.load(urllib.request.urlopen(asked))
            except urllib.error.HTTPError as error:
                return error.code
        before = ask(os.environ["AWS_CONTAINER_AUTHORIZATION_TOKEN"])
        def handler(event, context):
            now = ask(os.environ["AWS_CONTAINER_AUTHORIZATION_TOKEN"])
            return [before, now, ask("another"), "AWS_ACCESS_KEY_ID" in os.environ]
    """)
    function.published()
    before, now, refused, has_variables = function({})
    assert sorted(now) == ["AccessKeyId", "Expiration", "SecretAccessKey", "Token"]
    assert now["Token"] != before["Token"] and now["Expiration"] > before["Expiration"]
    assert (refused, has_variables) == (403, False)


def test_threads_files_and_children_come_after_a_restore_as_ever(make):
    function = make("""
        import os, signal, subprocess, threading
        FILE = open("/etc/passwd", buffering=1)
        os.lseek(FILE.fileno(), 5, 0)
        NULL = open("/dev/null", "w")
        os.umask(0o027)
        os.chdir("/usr")
        signal.signal(signal.SIGUSR1, lambda *_: caught.append("signal"))
        caught = []
        def handler(event, context):
            thread = threading.Thread(target=caught.append, args=("thread",))
            thread.start(); thread.join()
            os.kill(os.getpid(), signal.SIGUSR1)
            said = subprocess.run(["/bin/echo", "child"], capture_output=True, text=True).stdout.strip()
            NULL.write("x"); NULL.flush()
            open("/tmp/x", "w").write("kept")
            big = bytearray(30 << 20)
            return [caught, said, os.read(FILE.fileno(), 2).decode(), os.getcwd(), oct(os.umask(0)), open("/tmp/x").read(),
                    threading.get_native_id() == os.getpid()]
    """)
    function.published()
    line = "root:x:0:0"[5:7]
    assert function({}) == [["thread", "signal"], "child", line, "/usr", "0o27", "kept", True]


@pytest.mark.parametrize(
    "init, reason",
    {
        "thread": (
            "import threading, time\nthreading.Thread(target=time.sleep, args=(600,), name='poller', daemon=True).start()",
            "1 other thread is running: poller",
        ),
        "child": ("import subprocess\nleft = subprocess.Popen(['/bin/sleep', '600'])", "1 child process: (sleep|python)"),
        "socket": (
            "import socket\na, b = socket.socketpair()",
            r"descriptor \d+ is a local stream socket connected to another one; descriptor \d+ is a local",
        ),
        "listener": ("import socket\na = socket.create_server(('127.0.0.1', 0))", r"descriptor \d+ is an IPv4 stream socket"),
        "pipe": ("import os\na, b = os.pipe()", r"descriptor \d+ is a pipe"),
        "event loop": ("import select\na = select.epoll()", r"descriptor \d+ is an eventpoll"),
        "file": ("open('/tmp/model', 'w').write('x')", "files that a restored environment would not have: /tmp/model"),
        "timer": ("import signal\nsignal.setitimer(signal.ITIMER_REAL, 500)", "the timer ITIMER_REAL runs"),
        "shared memory": ("import mmap\na = mmap.mmap(-1, 4096)\na[0] = 1", "memory that is shared"),
    }.items(),
    ids=lambda pair: pair if isinstance(pair, str) else "",
)
def test_an_init_that_can_not_be_kept_fails_its_version_and_says_why(make, init, reason):
    init, reason = reason if isinstance(reason, tuple) else (init, reason)
    function = make(f"{init}\ndef handler(e, c):\n    pass\n")
    found = function.published("Failed")
    assert re.search(reason, found["StateReason"]), found["StateReason"]
    assert found["StateReasonCode"] == "FunctionError"
    assert found["SnapStart"]["OptimizationStatus"] == "Off"
    with Refused("ResourceConflictException", 409, "Failed"):
        function({})


def test_an_init_that_fails_fails_its_version(make):
    function = make("raise ValueError('no table')\ndef handler(e, c):\n    pass\n")
    found = function.published("Failed")
    assert "ValueError: no table" in found["StateReason"]
    assert found["StateReasonCode"] == "FunctionError.RuntimeInitError"
    function = make("import os\nos._exit(3)\n")
    assert "exit status 3" in function.published("Failed")["StateReason"]


def test_hooks_that_fail_are_told_as_the_reference_tells_them(make):
    hook = """
        from snapshot_restore_py import register_{0}
        @register_{0}
        def fail():
            raise KeyError("no such thing")
        def handler(event, context):
            return 1
    """
    before = make(hook.format("before_snapshot"))
    found = before.published("Failed")
    assert "KeyError: 'no such thing'" in found["StateReason"]
    after = make(hook.format("after_restore"))
    after.published()
    with Refused("SnapStartException", 400, "after-restore"):
        after({})
    with Refused("SnapStartException", 400):
        after({})
    assert after.client.invoke(FunctionName=after.name)["Payload"].read() == b"1"


def test_an_init_for_a_snapshot_has_more_than_ten_seconds_and_hooks_behind_a_restore_have_them(make):
    slow = make("import time\ntime.sleep(10.5)\ndef handler(e, c):\n    return 1\n", Timeout=3)
    function = make("""
        import time
        from snapshot_restore_py import register_after_restore
        register_after_restore(time.sleep, 600)
        def handler(event, context):
            return 1
    """)
    function.published()
    began = time.monotonic()
    with Refused("SnapStartTimeoutException", 408):
        function({})
    assert time.monotonic() - began > 9
    slow.published()
    assert slow({}) == 1


def test_a_version_is_not_called_before_its_snapshot_is_there(make):
    function = make("import time\ntime.sleep(6)\ndef handler(e, c):\n    return 1\n")
    with Refused("SnapStartNotReadyException", 409, "initializing"):
        function({})
    function.published()
    assert function({}) == 1


def test_what_snapstart_can_not_be_combined_with_is_refused(make, node):
    def create(**settings):
        Function(node, fresh_name("refused")).create("def handler(e, c): pass", SnapStart=ON, **settings)

    with Refused("InvalidParameterValueException", 400, "python3.11 is not supported for SnapStart enabled functions"):
        create(runtime="python3.11")
    with Refused("InvalidParameterValueException", 400, "nodejs22.x is not supported for SnapStart"):
        create(runtime="nodejs22.x")
    with Refused("InvalidParameterValueException", 400, "Ephemeral storage greater than 512 MB"):
        create(runtime="python3.12", EphemeralStorage={"Size": 513})
    function = make("def handler(e, c):\n    return 1\n")
    function.published()
    with Refused("InvalidParameterValueException", 400, "Provisioned Concurrency is not supported for SnapStart"):
        function.client.put_provisioned_concurrency_config(
            FunctionName=function.name, Qualifier=function.version, ProvisionedConcurrentExecutions=1
        )
    function.configure(SnapStart={"ApplyOn": "None"})
    function.publish()
    assert function.published()["SnapStart"] == {"ApplyOn": "None", "OptimizationStatus": "Off"}
    log = function.call().log
    assert "Init Duration" in log and "Restore Duration" not in log


def own_node(**more):
    return Node(options=ALIASES, **more)


def born(function):
    return function({})["born"]


def test_snapshots_outlive_their_node_and_go_with_their_version():
    with own_node() as node:
        function = Snapped(node, "f").create(SOURCE)
        function.published()
        first = born(function)
        node.stop()
        node.start()
        function.client = node.functions
        assert born(function) == first
        node.kill()
        (node.data / "snapshots" / ".unfinished-x").mkdir()
        node.start()
        function.client = node.functions
        assert born(function) == first
        assert not (node.data / "snapshots" / ".unfinished-x").exists()
        function.update(SOURCE + "# changed\n")
        one = function.folder()
        function.publish()
        function.published()
        assert born(function) != first
        function.client.delete_function(FunctionName="f", Qualifier="1")
        wait_until(lambda: not one.exists(), 5, "it goes with its version")
        two = function.folder()
        function.delete()
        wait_until(lambda: not two.exists(), 5, "and with its function")


def test_a_node_that_was_killed_while_it_made_one_makes_it_when_it_is_back():
    slow = "import time\ntime.sleep(3)\n" + SOURCE
    with own_node() as node:
        function = Snapped(node, "f").create(slow)
        node.kill()
        node.start()
        function.client = node.functions
        assert function.found()["State"] == "Pending"
        function.published()
        assert born(function)


@pytest.mark.parametrize("harm", ["changed", "gone", "a lie"])
def test_a_snapshot_that_is_of_no_use_costs_its_time_and_no_call(harm):
    with own_node(allowed=["snapshot"]) as node:
        function = Snapped(node, "f").create(SOURCE)
        function.published()
        first = born(function)
        image = function.folder() / "shown" / "image"
        node.stop()
        if harm == "changed":
            with open(image, "r+b") as file:
                file.seek(image.stat().st_size // 2)
                file.write(os.urandom(8))
        elif harm == "gone":
            image.unlink()
        node.start()
        function.client = node.functions
        if harm == "a lie":
            # It was looked at; what it says can't be done all the same.
            assert born(function) == first
            function.end_environment()
            image.write_bytes(b"\0" * 5000)
        second = born(function)
        assert second != first, "its init ran again"
        wait_until(lambda: [folder for folder in snapshots(node, "1") if (folder / "shown/image").exists()], 30, "another was made")


def test_a_process_that_ends_while_it_serves_is_restored_again(make):
    function = make(SOURCE)
    function.published()
    first = function()
    function.end_environment()
    again = function.call()
    assert again.was_cold and "Restore Duration" in again.log
    assert again.json["born"] == first["born"]
