"""Every setting acts: each scenario fails when its setting is stored and not used."""

import pytest

from support.functions import Refused
from support.node import Node, wait_until
from support.functions import Function, fresh_name

LIVE_PYTHONS = ["python3.9", "python3.10", "python3.11", "python3.12", "python3.13", "python3.14"]
LIVE_NODES = ["nodejs18.x", "nodejs20.x", "nodejs22.x", "nodejs24.x"]
LIVE_JAVAS = ["java17", "java21", "java25"]

ENVIRONMENT = "import os\ndef handler(event, context):\n    return dict(os.environ)\n"


def test_environment_variables_are_there_with_the_reserved_ones(make):
    function = make(ENVIRONMENT, Environment={"Variables": {"COLOUR": "blue ✓", "EMPTY": "", "TZ": "UTC"}})
    seen = function()
    assert (seen["COLOUR"], seen["EMPTY"]) == ("blue ✓", "")
    wanted = {
        "AWS_REGION": "us-east-1",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_LAMBDA_FUNCTION_NAME": function.name,
        "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "128",
        "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand",
        "AWS_LAMBDA_LOG_GROUP_NAME": function.group,
        "AWS_EXECUTION_ENV": "AWS_Lambda_python3.11",
        "LAMBDA_TASK_ROOT": "/var/task",
        "LAMBDA_RUNTIME_DIR": "/var/runtime",
        "_HANDLER": "index.handler",
        "LANG": "en_US.UTF-8",
        "AWS_XRAY_CONTEXT_MISSING": "LOG_ERROR",
        "AWS_XRAY_DAEMON_ADDRESS": "127.0.0.1:2000",
    }
    assert {name: seen.get(name) for name in wanted} == wanted
    for name in ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_LAMBDA_LOG_STREAM_NAME"]:
        assert seen[name]
    # Nothing of the node's own environment comes along.
    assert not {"HOME", "USER", "SHELL", "SUDO_USER", "LAMBENT_BIN", "PYTHONHOME"} & set(seen)


def test_new_variables_are_seen_by_the_next_call(make):
    function = make(ENVIRONMENT, Environment={"Variables": {"COLOUR": "blue"}})
    assert function()["COLOUR"] == "blue"
    function.configure(Environment={"Variables": {"SHAPE": "round"}})
    seen = function()
    assert "COLOUR" not in seen and seen["SHAPE"] == "round"
    function.configure(Environment={})
    assert "SHAPE" not in function()


def test_reserved_and_too_many_variables_are_refused(make):
    with Refused("InvalidParameterValueException", 400, "reserved keys.*AWS_REGION"):
        make(ENVIRONMENT, Environment={"Variables": {"AWS_REGION": "x"}})
    with Refused("InvalidParameterValueException", 400, "4KB"):
        make(ENVIRONMENT, Environment={"Variables": {"BIG": "x" * 4096}})
    with Refused("ValidationException", 400, "environment.variables"):
        make(ENVIRONMENT, Environment={"Variables": {"1BAD": "x"}})
    # Just inside the limit, which counts the JSON of it.
    assert len(make(ENVIRONMENT, Environment={"Variables": {"BIG": "x" * 4000}})()["BIG"]) == 4000


def test_the_handler_setting_chooses_the_function(make):
    function = make({"index.py": "def handler(e, c):\n    return 1\ndef other(e, c):\n    return 2\n"})
    assert function() == 1
    function.configure(Handler="index.other")
    assert function() == 2


def test_new_code_is_seen_by_the_next_call(make):
    function = make("def handler(e, c):\n    return 1\n")
    assert function() == 1
    for generation in range(2, 6):
        function.update(f"def handler(e, c):\n    return {generation}\n")
        assert function() == generation


def test_the_timeout_setting_ends_calls(make):
    function = make("import time\ndef handler(e, c):\n    time.sleep(e)\n    return 'done'\n", Timeout=1)
    assert "after 1.00 seconds" in function.call(2.5).error()["errorMessage"]
    function.configure(Timeout=20)
    assert function(2.5) == "done"


def test_the_memory_setting_bounds_memory_and_earns_cpu(make):
    function = make("""
        import os, time
        def handler(event, context):
            began, used = time.monotonic(), time.process_time()
            while time.process_time() - used < 0.3:
                pass
            return [time.monotonic() - began, os.environ["AWS_LAMBDA_FUNCTION_MEMORY_SIZE"]]
    """, MemorySize=128, Timeout=60)
    function()
    slow, size = function()
    assert size == "128"
    function.configure(MemorySize=1769)
    assert function()[1] == "1769"
    # 128 MB are 72 thousandths of a CPU: 0.3 s of work take over 4 s. One whole CPU may be shared with others.
    assert slow > 2.5, slow
    wait_until(lambda: function()[0] < slow / 2, what=f"a call of less than half of {slow} s")


def test_tmp_is_bounded_and_the_setting_moves_the_bound(make):
    function = make("""
        import os
        def handler(event, context):
            path, block = "/tmp/fill", b"x" * (1 << 20)
            written = 0
            try:
                with open(path, "wb") as target:
                    for _ in range(event):
                        target.write(block)
                        target.flush()
                        written += 1
            except OSError as error:
                return [written, error.errno, os.strerror(error.errno)]
            finally:
                os.unlink(path)
            return [written, 0, ""]
    """, MemorySize=1024, Timeout=120)
    written, number, text = function(560)
    assert 400 < written <= 512 and text == "No space left on device", (written, text)
    assert function(400)[0] == 400, "what was deleted is free again"
    function.configure(EphemeralStorage={"Size": 700})
    assert function(560) == [560, 0, ""]
    written, number, _ = function(750)
    assert 560 < written <= 700 and number


def test_sizes_and_times_out_of_range_are_refused(node):
    # boto3 would refuse some of these by itself.
    client = node.client(parameter_validation=False)
    for setting, code, member in [
        ({"EphemeralStorage": {"Size": 511}}, "ValidationException", "ephemeralStorage.size"),
        ({"EphemeralStorage": {"Size": 10241}}, "ValidationException", "ephemeralStorage.size"),
        ({"MemorySize": 127}, "ValidationException", "memorySize"),
        ({"MemorySize": 10241}, "InvalidParameterValueException", "MemorySize"),
        ({"Timeout": 0}, "ValidationException", "timeout"),
        ({"Timeout": 901}, "ValidationException", "timeout"),
    ]:
        with Refused(code, 400, member):
            Function(node, fresh_name(), client).create(ENVIRONMENT, **setting)


# Runtimes.


@pytest.mark.parametrize("runtime", LIVE_PYTHONS)
def test_each_python_of_the_host_runs_its_own_version(make, runtimes, runtime):
    if runtime not in runtimes:
        pytest.skip(f"this host has no {runtime}")
    source = "import sys, json, ssl, sqlite3, ctypes\ndef handler(e, c):\n    return list(sys.version_info[:2])\n"
    assert make(source, runtime=runtime)() == [3, int(runtime.split(".")[1])]


@pytest.mark.parametrize("runtime", LIVE_NODES)
def test_each_nodejs_of_the_host_runs_its_own_version(make, runtimes, runtime):
    if runtime not in runtimes:
        pytest.skip(f"this host has no {runtime}")
    source = "import 'node:crypto'; import 'node:zlib'; export const handler = async () => process.versions.node;"
    assert make(source, runtime=runtime)().split(".")[0] == runtime[6:8]


JAVA = """
    package demo;
    import java.util.Map;
    public class Main {
        private static int calls = 0;
        public Map<String, Object> run(Map<String, Object> event) {
            calls++;
            return Map.of("calls", calls, "version", Runtime.version().feature(), "seen", event.get("text"));
        }
    }
"""


@pytest.mark.parametrize("runtime", LIVE_JAVAS)
def test_each_java_of_the_host_runs_a_class(make, runtimes, runtime, tmp_path):
    import shutil
    import textwrap

    from support.packages import run

    if runtime not in runtimes:
        pytest.skip(f"this host has no {runtime}")
    if not shutil.which("javac"):
        pytest.skip("this host has no Java compiler")
    source = tmp_path / "Main.java"
    source.write_text(textwrap.dedent(JAVA))
    # The oldest of them: all newer ones run it.
    run("javac", "--release", "17", "-d", str(tmp_path / "out"), str(source))
    classes = {"demo/Main.class": (tmp_path / "out/demo/Main.class").read_bytes()}
    function = make(classes, runtime=runtime, handler="demo.Main::run", MemorySize=512, Timeout=30)
    assert function({"text": "ünï"}) == {"calls": 1, "version": int(runtime[4:]), "seen": "ünï"}
    assert function({"text": "2"})["calls"] == 2


def test_a_runtime_that_is_not_here_deploys_as_failed_and_says_how_to_add_it(make, runtimes, node):
    missing = [r for r in LIVE_PYTHONS + LIVE_NODES + ["ruby3.3", "dotnet8"] if r not in runtimes]
    assert missing, "this host has every runtime"
    function = make(ENVIRONMENT, runtime=missing[0])
    found = node.functions.get_function_configuration(FunctionName=function.name)
    assert found["State"] == "Failed" and found["StateReasonCode"] == "InvalidRuntime"
    assert f"lambent runtimes add {missing[0]} --from" in found["StateReason"]
    assert "python3.11" in found["StateReason"] or "nodejs20.x" in found["StateReason"]
    with Refused("ResourceConflictException", 409, "Failed"):
        function.call()
    from botocore.exceptions import WaiterError

    with pytest.raises(WaiterError, match="Failed"):
        node.functions.get_waiter("function_active_v2").wait(FunctionName=function.name)
    function.configure(Runtime="python3.11")
    assert function()["AWS_EXECUTION_ENV"] == "AWS_Lambda_python3.11"


def test_unknown_and_retired_runtimes_are_refused(make):
    with Refused("InvalidParameterValueException", 400, "Value python9.9 at 'runtime' failed"):
        make(ENVIRONMENT, runtime="python9.9")
    with Refused("InvalidParameterValueException", 400, "no longer supported for creating or updating"):
        make(ENVIRONMENT, runtime="python3.6")


def test_a_runtime_alias_serves_a_missing_runtime_and_says_so(runtimes):
    missing = [r for r in LIVE_PYTHONS if r not in runtimes]
    if not missing or "python3.11" not in runtimes:
        pytest.skip("nothing to stand in for")
    name = missing[0]
    with Node(options=["--runtime-alias", f"{name}=python3.11"]) as node:
        function = Function(node, fresh_name()).create(
            "import sys\ndef handler(e, c):\n    return list(sys.version_info[:2])\n", runtime=name
        )
        assert function() == [3, 11]
        found = node.functions.get_function_configuration(FunctionName=function.name)
        assert found["Runtime"] == name and found["State"] == "Active"

        def line():
            try:
                events = node.logs.filter_log_events(logGroupName=function.group)["events"]
            except node.logs.exceptions.ResourceNotFoundException:
                return None
            return next((e["message"] for e in events if "INIT_START" in e["message"]), None)

        assert "python3.11" in wait_until(line)


def test_the_accounts_concurrency_throttles(runtimes):
    from concurrent.futures import ThreadPoolExecutor

    with Node(options=["--account-concurrency", "2"]) as node:
        function = Function(node, fresh_name()).create(
            "import time\ndef handler(e, c):\n    time.sleep(6)\n    return 1\n"
        )
        with ThreadPoolExecutor(6) as pool:
            calls = [pool.submit(function) for _ in range(6)]
            errors = [call.exception() for call in calls]
        ran = [error for error in errors if error is None]
        thrown = [error.response for error in errors if error is not None]
        assert len(ran) == 2 and len(thrown) == 4
        assert {t["Reason"] for t in thrown} == {"ConcurrentInvocationLimitExceeded"}
        assert {t["Error"]["Code"] for t in thrown} == {"TooManyRequestsException"}
