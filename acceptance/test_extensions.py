"""The Extensions API: external extensions in layers, internal ones in the runtime's process, their whole life."""

import json
import re
import time

import pytest

from support.extensions import CLIENT, extension, layer
from support import residue, usage
from support.node import Node, soon, took, wait_until
from support.functions import Function, fresh_name
from test_parked_cells import at_rest

HELLO = "def handler(event, context):\n    return 'hello'\n"
GOOD = """
    register("INVOKE", "SHUTDOWN")
    while True:
        event = next_event()
        say(json.dumps(event))
        if event["eventType"] == "SHUTDOWN":
            break
"""


def logged(function):
    """The function's log, once there is one."""
    try:
        pages = function.node.logs.get_paginator("filter_log_events").paginate(logGroupName=function.group)
        return [event["message"] for page in pages for event in page["events"]]
    except function.node.logs.exceptions.ResourceNotFoundException:
        return []


def await_line(function, pattern, within=15):
    def look():
        return next((found for line in logged(function) if (found := re.search(pattern, line))), None)

    return wait_until(look, within, f"/{pattern}/ in the log of {function.name}")


def events_of(function, name="ext"):
    lines = [line for line in logged(function) if line.startswith(name + " {")]
    return [json.loads(line.split(" ", 1)[1]) for line in lines]


def end_environments(function):
    """Makes the node retire what it keeps for the function."""
    function.configure(Description=f"at {time.monotonic()}")


def test_an_external_extension_sees_invocations_and_the_shutdown(make, node):
    function = make(HELLO, Layers=[layer(node, {"ext": extension(GOOD)})], Timeout=7)
    first, second = function.call(), function.call()
    assert (first.ok(), second.ok()) == ("hello", "hello")
    assert second.log.count("START") == 1
    end_environments(function)
    await_line(function, "^ext .*SHUTDOWN")
    seen = events_of(function)
    assert [event["eventType"] for event in seen] == ["INVOKE", "INVOKE", "SHUTDOWN"]
    assert [event["requestId"] for event in seen[:2]] == [first.request_id, second.request_id]
    assert seen[0]["invokedFunctionArn"] == function.arn
    assert seen[0]["tracing"]["type"] == "X-Amzn-Trace-Id" and seen[0]["tracing"]["value"].startswith("Root=1-")
    assert 0 < seen[0]["deadlineMs"] - time.time() * 1000 + 60_000 < 70_000
    assert seen[2]["shutdownReason"] == "spindown"
    assert "EXTENSION\tName: ext\tState: Ready\tEvents: [INVOKE, SHUTDOWN]\n" in logged(function)


def test_all_extensions_are_registered_before_the_runtime_starts(make, node):
    slow = """
        time.sleep(0.3)
        open("/tmp/left", "a").write(NAME + "\\n")
        register("SHUTDOWN")
        next_event()
    """
    code = "LEFT = open('/tmp/left').read().split()\ndef handler(event, context):\n    return sorted(LEFT)\n"
    layers = [layer(node, {"one": extension(slow)}), layer(node, {"two": extension(slow)})]
    assert make(code, Layers=layers)() == ["one", "two"]


def test_what_an_extension_is_told_when_it_registers_and_what_it_sees(make, node):
    body = """
        say(json.dumps({"told": register("INVOKE", Lambda_Extension_Accept_Feature="accountId"), "env": dict(os.environ), "cwd": os.getcwd(), "uid": os.getuid()}))
        while True:
            next_event()
    """
    code = "import os\ndef handler(event, context):\n    return [dict(os.environ), os.getuid()]\n"
    variables = {"COLOUR": "blue"}
    function = make(code, Layers=[layer(node, {"ext": extension(body)})], Environment={"Variables": variables})
    own, uid = function()
    await_line(function, r"^ext \{")
    seen = events_of(function)[0]
    assert seen["told"] == {
        "functionName": function.name, "functionVersion": "$LATEST", "handler": "index.handler",
        "accountId": "000000000000",
    }
    env = seen["env"]
    assert env["COLOUR"] == "blue" and seen["uid"] == uid
    for name in ["AWS_ACCESS_KEY_ID", "AWS_SESSION_TOKEN", "AWS_REGION", "AWS_LAMBDA_RUNTIME_API", "AWS_LAMBDA_FUNCTION_NAME"]:
        assert env[name] == own[name], name
    for name in ["_HANDLER", "LAMBDA_TASK_ROOT", "LAMBDA_RUNTIME_DIR", "AWS_EXECUTION_ENV", "AWS_LAMBDA_LOG_GROUP_NAME", "AWS_LAMBDA_LOG_STREAM_NAME"]:
        assert name in own and name not in env, name


def test_the_caller_does_not_wait_for_extensions_but_the_next_call_does(make, node):
    body = """
        register("INVOKE")
        while True:
            next_event()
            time.sleep(1.5)
    """
    function = make(HELLO, Layers=[layer(node, {"ext": extension(body)})], Timeout=10)
    function.call(tail=False).ok()
    assert function.call(tail=False).ok() == "hello"
    line = await_line(function, r"REPORT .*\tDuration: (\d+\.\d+) ms\tBilled Duration: (\d+) ms")
    assert float(line[1]) >= 1450 and int(line[2]) >= 1450


def test_an_extension_that_outlasts_the_timeout_ends_the_environment(make, node):
    body = """
        register("INVOKE", "SHUTDOWN")
        event = next_event()
        time.sleep(1.5)
        say(json.dumps(next_event()))
    """
    function = make(HELLO, Layers=[layer(node, {"ext": extension(body)})], Timeout=1, MemorySize=1769)
    assert function.call(tail=False).ok() == "hello"
    await_line(function, r"REPORT .*Status: timeout")
    await_line(function, r"^ext \{")
    assert events_of(function)[0]["shutdownReason"] == "timeout"
    assert function.call(tail=False).was_cold


@pytest.mark.parametrize(
    "body, kind, message",
    [
        ("register('INVOKE'); sys.exit(0)", "Extension.Crash", "Error: exit code 0"),
        ("sys.exit(3)", "Extension.Crash", "Error: exit status 3"),
        (
            "register('INVOKE'); ask('POST', 'extension/init/error', {}, Lambda_Extension_Identifier=ID, "
            "Lambda_Extension_Function_Error_Type='Ext.Config'); sys.exit(4)",
            "Extension.InitError",
            "Error: exit status 4",
        ),
        (
            "register('INVOKE'); ask('POST', 'extension/init/error', {}, Lambda_Extension_Identifier=ID, "
            "Lambda_Extension_Function_Error_Type='Ext.Config'); time.sleep(60)",
            "Extension.InitError",
            "Error: Ext.Config",
        ),
    ],
)
def test_an_extension_that_fails_in_init_fails_the_call(make, node, body, kind, message):
    function = make(HELLO, Layers=[layer(node, {"ext": extension(body)})])
    answer = function.call()
    error = answer.error()
    assert error["errorType"] == kind
    assert error["errorMessage"] == f"RequestId: {answer.request_id} {message}"
    assert re.search(rf"INIT_REPORT .*Phase: invoke\tStatus: error\tError Type: {kind}", answer.log), answer.log
    # Others are served on.
    assert make(HELLO)() == "hello"


@pytest.mark.parametrize(
    "files, reason, state",
    [
        ({"extensions/ext": "#!/bin/sh\n"}, "permission denied", "PermissionDenied"),
        ({"extensions/ext*": b"\x7fELFnonsense"}, "exec format error", "UnknownError"),
        ({"extensions/ext*": "#!/no/such/interpreter\n"}, "no such file or directory", "UnknownError"),
    ],
)
def test_an_extension_that_cannot_be_started_is_named(make, node, files, reason, state):
    function = make(HELLO, Layers=[layer(node, files)])
    answer = function.call()
    error = answer.error()
    assert error["errorType"] == "Extension.LaunchError"
    assert error["errorMessage"].endswith(f"Error: fork/exec /opt/extensions/ext: {reason}")
    assert f"EXTENSION\tName: ext\tState: LaunchError\tEvents: []\tError Type: {state}" in answer.log


def test_an_extension_that_never_registers_uses_up_the_init_and_then_the_call(make, node):
    function = make(HELLO, Layers=[layer(node, {"ext": extension("time.sleep(100)")})], Timeout=2)
    answer = function.call()
    assert "Task timed out after 2.00 seconds" in answer.error()["errorMessage"]
    assert "EXTENSION\tName: ext\tState: Started\tEvents: []" in answer.log
    lines = "".join(logged(function))
    assert re.search(r"INIT_REPORT Init Duration: 10\d\d\d\.\d\d ms\tPhase: init\tStatus: timeout", lines), lines


def test_a_crash_during_a_call_fails_it_and_the_next_call_starts_anew(make, node):
    body = """
        register("INVOKE")
        next_event()
        sys.exit(5)
    """
    slow = "import time\ndef handler(event, context):\n    time.sleep(event)\n    return 'done'\n"
    function = make(slow, Layers=[layer(node, {"ext": extension(body)})])
    answer = function.call(5)
    assert answer.error()["errorType"] == "Extension.Crash"
    assert "exit status 5" in answer.log and "Extension.Crash" in answer.log
    assert answer.stages["total"] < 4000 if "total" in answer.stages else True
    # An answer that was there before the crash stands.
    again = function.call(0)
    assert again.was_cold


def test_a_runtime_that_crashes_is_told_to_extensions_as_a_failure(make, node):
    code = "import os\ndef handler(event, context):\n    os._exit(7)\n"
    function = make(code, Layers=[layer(node, {"ext": extension(GOOD)})])
    assert function.call().error()["errorType"] == "Runtime.ExitError"
    await_line(function, "^ext .*SHUTDOWN")
    assert events_of(function)[-1]["shutdownReason"] == "failure"


def test_the_shutdown_phase_is_cut_off_after_two_seconds(make, node):
    body = """
        register("SHUTDOWN")
        event = next_event()
        say(json.dumps({"left": event["deadlineMs"] - time.time() * 1000}))
        while True:
            say(json.dumps({"at": time.time()}))
            time.sleep(0.1)
    """
    layers = [layer(node, {"ext": extension(body)})]

    def is_cut_off_in_time():
        function = make(HELLO, Layers=layers, MemorySize=1769)
        function()
        end_environments(function)
        await_line(function, "^ext .*left")
        at_rest(lambda: len(events_of(function)), 2.5)
        seen = events_of(function)
        assert seen[0]["left"] <= 2000
        times = [event["at"] for event in seen[1:]]
        return times and seen[0]["left"] > 1000 and 0.8 < times[-1] - times[0] < 2.2

    soon(is_cut_off_in_time, "two seconds")


def test_the_runtime_is_asked_to_end_where_there_is_an_extension(make, node):
    code = """
        import signal, sys, time
        def bye(*_):
            print("runtime asked to end", flush=True)
            sys.exit(0)
        signal.signal(signal.SIGTERM, bye)
        def handler(event, context):
            return 'hello'
    """
    layers = [layer(node, {"ext": extension(GOOD)})]

    def is_asked_first():
        function = make(code, Layers=layers, MemorySize=1769)
        function()
        end_environments(function)
        await_line(function, "^ext .*SHUTDOWN")
        lines = logged(function)
        asked = [n for n, line in enumerate(lines) if "asked to end" in line]
        return asked and asked[0] < next(n for n, line in enumerate(lines) if "SHUTDOWN\"" in line)

    # It has three tenths of a second for its words.
    soon(is_asked_first, "the runtime's last words")


INTERNAL = CLIENT.replace("NAME = os.path.basename(__file__)", "NAME = 'inside'") + '''
import threading
refused = ask("POST", "extension/register", {"events": ["SHUTDOWN"]}, Lambda_Extension_Name="bad")
register("INVOKE")
seen = []
def loop():
    while True:
        seen.append(next_event()["requestId"])
threading.Thread(target=loop, daemon=True).start()
import signal
signal.signal(signal.SIGTERM, lambda *_: (print("asked to end", flush=True), sys.exit(0)))
late = None
def handler(event, context):
    global late
    late = late or ask("POST", "extension/register", {"events": []}, Lambda_Extension_Name="late")
    until = time.time() + 10
    while not (seen and seen[-1] == context.aws_request_id) and time.time() < until:
        time.sleep(0.01)
    return {"refused": [refused[0], refused[2]], "late": [late[0], late[2]], "seen": seen, "id": context.aws_request_id}
'''


def test_an_internal_extension_lives_in_the_runtimes_process(make):
    function = make(INTERNAL, MemorySize=1769)
    answer = function.call()
    told = answer.ok()
    assert told["refused"] == [403, {
        "errorType": "Extension.InvalidEventType",
        "errorMessage": "SHUTDOWN: ShutdownEventNotSupportedForInternalExtension",
    }]
    assert told["late"] == [403, {
        "errorType": "Extension.RegistrationClosed", "errorMessage": "Extension registration closed already",
    }]
    assert told["seen"] == [told["id"]]
    assert len(function()["seen"]) == 2
    assert "EXTENSION\tName: inside\tState: Ready\tEvents: [INVOKE]\n" in logged(function)


def test_the_runtime_is_asked_to_end_where_there_is_an_internal_extension(make, node):
    def is_asked():
        # A package of its own tells its environments from those of earlier attempts.
        function = make(INTERNAL + f"# {fresh_name()}\n", MemorySize=1769)
        function()
        made = residue.environments_of(node.data, function)
        end_environments(function)
        # A volume that nothing was written to serves again.
        residue.wait_until_gone(node.data, {**made, "loop devices": set()})
        usage.wait_for_rest(node)
        return any(line.startswith("asked to end") for line in logged(function))

    # It has half a second for its words.
    soon(is_asked, "the runtime's last words")


REFUSALS = """
    import urllib.parse
    def tell(what, answer):
        say(json.dumps({"what": what, "status": answer[0], "type": answer[2]["errorType"], "message": answer[2]["errorMessage"]}))
    tell("no name", ask("POST", "extension/register", {"events": []}))
    tell("no json", ask("POST", "extension/register", None, Lambda_Extension_Name=NAME))
    tell("event", ask("POST", "extension/register", {"events": ["BOOM"]}, Lambda_Extension_Name=NAME))
    tell("no id", ask("GET", "extension/event/next"))
    tell("bad id", ask("GET", "extension/event/next", Lambda_Extension_Identifier="nonsense"))
    tell("other id", ask("GET", "extension/event/next", Lambda_Extension_Identifier="00000000-0000-4000-8000-000000000000"))
    register("INVOKE")
    tell("twice", ask("POST", "extension/register", {"events": []}, Lambda_Extension_Name=NAME))
    tell("no type", ask("POST", "extension/init/error", {}, Lambda_Extension_Identifier=ID))
    tell("path", ask("GET", "extension/none"))
    while True:
        next_event()
"""


def test_the_api_refuses_in_the_references_words(make, node):
    function = make(HELLO, Layers=[layer(node, {"ext": extension(REFUSALS)})])
    assert function() == "hello"
    await_line(function, '^ext .*"path"')
    seen = {event["what"]: (event["status"], event["type"], event["message"]) for event in events_of(function)}
    identifier = "Lambda-Extension-Identifier"
    assert seen["no name"] == (403, "Extension.InvalidExtensionName", "Empty extension name")
    assert seen["no json"][:2] == (403, "InvalidRequestFormat")
    assert seen["event"] == (403, "Extension.InvalidEventType", "BOOM: ErrorInvalidEventType")
    assert seen["no id"] == (403, "Extension.MissingExtensionIdentifier", f"Missing {identifier} header")
    assert seen["bad id"] == (403, "Extension.InvalidExtensionIdentifier", f"Invalid {identifier}")
    assert seen["other id"][:2] == (403, "Extension.UnknownExtensionIdentifier")
    assert seen["twice"] == (
        403, "Extension.InvalidExtensionState",
        "State transition from Registered to Registered failed for extension ext. "
        "Error: State transition is not allowed",
    )
    assert seen["no type"][:2] == (403, "Extension.MissingHeader")
    assert seen["path"][0] == 404


def test_more_than_ten_extensions_are_refused(make, node):
    files = {f"e{number:02}": extension(GOOD) for number in range(11)}
    answer = make(HELLO, Layers=[layer(node, files)], MemorySize=512).call()
    assert answer.error()["errorType"] == "Extension.LaunchError"
    assert "Extension limit (10) reached" in answer.error()["errorMessage"]


def test_a_fork_bomb_beside_a_function_harms_only_its_own(make, node):
    body = """
        register("INVOKE")
        while True:
            next_event()
            try:
                while True:
                    if os.fork() == 0:
                        time.sleep(100)
            except OSError:
                pass
    """
    function = make(HELLO, Layers=[layer(node, {"ext": extension(body)})], Timeout=5)
    function.call(tail=False)
    assert make(HELLO)() == "hello"


def test_a_stopping_node_lets_extensions_shut_down(tmp_path):
    with Node(tmp_path / "data") as node:
        function = Function(node, fresh_name()).create(HELLO, Layers=[layer(node, {"ext": extension(GOOD)})])
        assert function() == "hello"
        # Half a minute is what calls in flight would be given.
        assert took(node.stop) < 20
        node.start()
        await_line(Function(node, function.name), "^ext .*SHUTDOWN")


def test_a_wrapper_script_starts_the_runtime(make, node):
    wrapper = "#!/bin/sh\nexport WRAPPED=yes\nexec \"$@\"\n"
    code = "import os\ndef handler(event, context):\n    return os.environ.get('WRAPPED')\n"
    layers = [layer(node, {"wrap/wrapper*": wrapper, "ext": extension(GOOD)})]
    function = make(code, Layers=layers, Environment={"Variables": {"AWS_LAMBDA_EXEC_WRAPPER": "/opt/wrap/wrapper"}})
    assert function() == "yes"
