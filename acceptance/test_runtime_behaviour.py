"""What a call comes to: answers, errors, crashes, limits; the reference's types and messages."""

import base64
import json

import pytest

from support.functions import Refused
from support.native import native
from support.node import wait_until

SIX_MB = 6_291_556


@pytest.fixture
def echo(make):
    return make("def handler(event, context):\n    return event\n")


@pytest.fixture
def nodejs(make, runtimes):
    if "nodejs20.x" not in runtimes:
        pytest.skip("this host has no nodejs20.x")

    def nodejs(source, **settings):
        return make(source, runtime="nodejs20.x", **settings)

    return nodejs


# Errors.


def test_a_python_exception_is_the_callers_error_document(make):
    function = make("""
        class Special(Exception):
            pass

        def handler(event, context):
            raise Special("no: " + event["why"])
    """)
    answer = function.call({"why": "ünï"})
    document = answer.error()
    assert answer.status == 200
    assert document["errorType"] == "Special" and document["errorMessage"] == "no: ünï"
    assert document["requestId"] == answer.request_id
    assert any("in handler" in frame and "/var/task/index.py" in frame for frame in document["stackTrace"])
    assert "[ERROR] Special: no: ünï" in answer.log and "Traceback" in answer.log
    assert function.call({"why": "x"}).was_cold is False, "an exception does not end its environment"


def test_a_javascript_error_is_the_callers_error_document(nodejs):
    function = nodejs("""
        class Special extends Error { constructor(m) { super(m); this.name = "Special"; } }
        export const handler = async (event) => { throw new Special("no: " + event.why); };
    """)
    answer = function.call({"why": "ünï"})
    document = answer.error()
    assert document["errorType"] == "Special" and document["errorMessage"] == "no: ünï"
    assert document["trace"][0] == "Special: no: ünï"
    assert "ERROR\tInvoke Error" in answer.log
    assert function.call({"why": "x"}).was_cold is False


def test_a_result_that_is_not_json_is_a_marshal_error(make):
    answer = make("def handler(event, context):\n    return {1, 2}\n").call()
    assert answer.error()["errorType"] == "Runtime.MarshalError"


def test_a_timeout_is_told_as_the_reference_tells_it(make):
    function = make("""
        import time
        def handler(event, context):
            if event.get("long"):
                while True:
                    time.sleep(0.05)
            return context.get_remaining_time_in_millis()
    """, Timeout=1)
    assert 0 < function() <= 1000
    answer = function.call({"long": True})
    document = answer.error()
    assert document["errorType"] == "Sandbox.Timedout"
    assert document["errorMessage"] == f"RequestId: {answer.request_id} Error: Task timed out after 1.00 seconds"
    assert f"{answer.request_id} Task timed out after 1.00 seconds" in answer.log
    assert "Status: timeout" in answer.log
    again = function.call()
    assert again.was_cold, "an environment that timed out is gone"
    assert again.ok() > 0


def test_an_exit_and_a_crash_are_told_as_the_reference_tells_them(make):
    function = make("""
        import os, signal, sys
        def handler(event, context):
            if "exit" in event:
                sys.exit(event["exit"])
            if "signal" in event:
                os.kill(os.getpid(), event["signal"])
            return "alive"
    """)
    for event, said in [
        ({"exit": 0}, "Error: Runtime exited without providing a reason"),
        ({"exit": 7}, "Error: Runtime exited with error: exit status 7"),
        ({"signal": 9}, "Error: Runtime exited with error: signal: killed"),
        ({"signal": 11}, "Error: Runtime exited with error: signal: segmentation fault"),
    ]:
        answer = function.call(event)
        document = answer.error()
        assert document["errorType"] == "Runtime.ExitError", document
        assert document["errorMessage"] == f"RequestId: {answer.request_id} {said}"
        assert said in answer.log and "Runtime.ExitError" in answer.log
        assert function() == "alive"


def test_memory_over_the_limit_is_an_out_of_memory_error(make):
    function = make("""
        def handler(event, context):
            held = bytearray(event["mb"] << 20)
            for at in range(0, len(held), 4096):
                held[at] = 1
            return len(held) >> 20
    """, MemorySize=128)
    answer = function.call({"mb": 300})
    document = answer.error()
    assert document["errorType"] == "Runtime.OutOfMemory", document
    assert document["errorMessage"] == (
        f"RequestId: {answer.request_id} Error: Runtime exited with error: signal: killed"
    )
    assert "Max Memory Used: 128 MB" in answer.log
    assert function({"mb": 50}) == 50
    function.configure(MemorySize=512)
    assert function({"mb": 300}) == 300


def test_an_error_at_import_is_the_first_calls_answer(make):
    function = make("raise ValueError('bad start')\ndef handler(e, c): pass\n")
    answer = function.call()
    document = answer.error()
    assert (document["errorType"], document["errorMessage"]) == ("ValueError", "bad start")
    assert "bad start" in answer.log
    function.update("def handler(e, c):\n    return 'mended'\n")
    assert function() == "mended"


@pytest.mark.parametrize(
    "files, handler, kind, message",
    [
        ({"index.py": "import nosuchpackage\n"}, "index.handler", "Runtime.ImportModuleError",
         "Unable to import module 'index': No module named 'nosuchpackage'"),
        ({"index.py": "x = 1\n"}, "index.handler", "Runtime.HandlerNotFound",
         "Handler 'handler' missing on module 'index'"),
        ({"index.py": "x = 1\n"}, "other.handler", "Runtime.ImportModuleError",
         "Unable to import module 'other': No module named 'other'"),
        ({"index.py": "def handler(:\n"}, "index.handler", "Runtime.UserCodeSyntaxError", "Syntax error in module 'index'"),
        ({"index.py": "x = 1\n"}, "nodot", "Runtime.MalformedHandlerName", "Bad handler 'nodot'"),
    ],
)
def test_a_python_package_that_cannot_start_says_why(make, files, handler, kind, message):
    answer = make(files, handler=handler).call()
    document = answer.error()
    assert document["errorType"] == kind and document["errorMessage"].startswith(message), document
    assert kind in answer.log


def test_a_javascript_package_that_cannot_start_says_why(nodejs):
    document = nodejs({"index.js": "require('nosuchpackage');"}).call().error()
    assert document["errorType"] == "Runtime.ImportModuleError"
    assert "Cannot find module 'nosuchpackage'" in document["errorMessage"]
    document = nodejs({"index.js": "exports.other = 1;"}).call().error()
    assert document["errorType"] == "Runtime.HandlerNotFound"
    assert document["errorMessage"].startswith("index.handler is undefined or not exported")


def test_a_crash_at_start_is_the_first_calls_answer(make):
    function = make("import os\nos._exit(3)\n")
    document = function.call().error()
    assert document["errorType"] == "Runtime.ExitError"
    assert "exit status 3" in document["errorMessage"]


def test_a_start_longer_than_ten_seconds_goes_on_inside_the_call(make):
    function = make("import time\ntime.sleep(11)\ndef handler(e, c):\n    return 'late'\n", Timeout=20)
    answer = function.call()
    assert answer.ok() == "late"
    assert "INIT_REPORT" in function_log(function) and "Status: timeout" in function_log(function)


def function_log(function):
    events = function.node.logs.filter_log_events(logGroupName=function.group)["events"]
    return "".join(event["message"] for event in events)


def test_a_native_program_that_does_not_exist_or_is_no_program_says_so(make):
    answer = make({"readme.txt": "no bootstrap"}, runtime="provided.al2023").call()
    assert answer.error()["errorType"].startswith("Runtime."), answer
    answer = make({"bootstrap*": b"\x7fELFgarbage"}, runtime="provided.al2023").call()
    assert answer.error()["errorType"].startswith("Runtime."), answer


# Payloads.


def test_six_megabytes_go_in_and_come_out(echo):
    text = "x" * (SIX_MB - len('{"a": ""}'))
    assert echo({"a": text}) == {"a": text}


def test_more_than_six_megabytes_do_not_go_in(echo):
    payload = b'"' + b"x" * (SIX_MB - 1) + b'"'
    assert len(payload) == SIX_MB + 1
    with Refused("RequestTooLargeException", 413, f"{SIX_MB + 1} byte payload is too large") as refused:
        echo.call(raw=payload)
    assert refused.response["Error"]["Message"].endswith(f"(limit {SIX_MB} bytes)")
    assert echo(1) == 1


def test_more_than_six_megabytes_do_not_come_out(make):
    function = make("def handler(event, context):\n    return 'x' * event\n")
    answer = function.call(SIX_MB)
    document = answer.error()
    assert document["errorType"] == "Function.ResponseSizeTooLarge"
    assert document["errorMessage"] == (
        f"Response payload size ({SIX_MB + 2} bytes) exceeded maximum allowed payload size ({SIX_MB} bytes)."
    )
    assert function(10) == "x" * 10


def test_every_kind_of_json_goes_through_both_ways(echo, nodejs):
    script = nodejs("export const handler = async (event) => event;")
    for event in [None, True, 0, -1.5e300, "", "ünï ✓ 𝄞 \u2028", [], {}, {"ключ": ["値", {"a": None}]}]:
        for function in (echo, script):
            assert function.call(raw=json.dumps(event).encode()).ok() == event
            assert function.call(raw=json.dumps(event, ensure_ascii=False).encode()).ok() == event


def test_no_payload_is_an_empty_object(make, node):
    function = make("def handler(event, context):\n    return [type(event).__name__, event]\n")
    assert json.load(node.functions.invoke(FunctionName=function.name)["Payload"]) == ["dict", {}]


def test_a_payload_that_is_not_json_is_refused(echo):
    for payload in [b"{", b"nonsense", b"\xff\xfe", b'{"a":1} x']:
        with Refused("InvalidRequestContentException", 400, "Could not parse request body into json"):
            echo.call(raw=payload)


# Context.


def test_the_python_context_tells_what_the_reference_tells(make):
    function = make("""
        import os
        def handler(event, context):
            return {
                "name": context.function_name, "version": context.function_version,
                "memory": context.memory_limit_in_mb, "id": context.aws_request_id,
                "arn": context.invoked_function_arn, "group": context.log_group_name,
                "stream": context.log_stream_name, "left": context.get_remaining_time_in_millis(),
                "client": context.client_context and {
                    "custom": context.client_context.custom, "env": context.client_context.env,
                    "title": context.client_context.client.app_title,
                },
                "trace": os.environ.get("_X_AMZN_TRACE_ID"),
            }
    """, MemorySize=320, Timeout=9)
    given = {"custom": {"k": "v"}, "env": {"e": "1"}, "client": {"app_title": "T"}}
    encoded = base64.b64encode(json.dumps(given).encode()).decode()
    answer = function.call(ClientContext=encoded)
    context = answer.ok()
    assert context["name"] == function.name and context["version"] == "$LATEST"
    assert str(context["memory"]) == "320" and context["id"] == answer.request_id
    assert context["arn"] == function.arn and context["group"] == function.group
    assert "[$LATEST]" in context["stream"]
    assert 4000 < context["left"] <= 9000
    assert context["client"] == {"custom": {"k": "v"}, "env": {"e": "1"}, "title": "T"}
    assert context["trace"].startswith("Root=1-")


def test_a_child_process_of_python_sees_the_trace_of_the_running_call(make):
    function = make("""
        import os, subprocess
        def handler(event, context):
            child = subprocess.check_output(["/bin/sh", "-c", "echo $_X_AMZN_TRACE_ID"], text=True).strip()
            return [os.environ["_X_AMZN_TRACE_ID"], child]
    """)
    seen = [function() for _ in range(3)]
    assert all(own == child and own.startswith("Root=1-") for own, child in seen), seen
    assert len({own for own, _ in seen}) == 3, "each call has a trace of its own"


def test_the_javascript_context_tells_what_the_reference_tells(nodejs):
    function = nodejs("""
        export const handler = async (event, context) => ({
          name: context.functionName, version: context.functionVersion, memory: context.memoryLimitInMB,
          id: context.awsRequestId, arn: context.invokedFunctionArn, group: context.logGroupName,
          stream: context.logStreamName, left: context.getRemainingTimeInMillis(),
          client: context.clientContext, waits: context.callbackWaitsForEmptyEventLoop,
        });
    """, MemorySize=320, Timeout=9)
    encoded = base64.b64encode(b'{"custom":{"k":"v"}}').decode()
    answer = function.call(ClientContext=encoded)
    context = answer.ok()
    assert context["name"] == function.name and context["version"] == "$LATEST"
    assert context["memory"] == "320" and context["id"] == answer.request_id
    assert context["arn"] == function.arn and context["group"] == function.group
    assert 4000 < context["left"] <= 9000
    assert context["client"]["custom"] == {"k": "v"} and context["waits"] is True


def test_a_client_context_that_is_not_base64_json_is_refused(echo):
    for word in ["not base64!", base64.b64encode(b"[1]").decode(), base64.b64encode(b"{").decode()]:
        with Refused("InvalidRequestContentException", 400, "Client context must be"):
            echo.call(ClientContext=word)


# Handler forms.


def test_every_form_of_a_javascript_handler_answers(nodejs):
    for files, wanted in [
        ({"index.js": "exports.handler = (event, context, callback) => callback(null, 'callback');"}, "callback"),
        ({"index.js": "exports.handler = async () => 'async';"}, "async"),
        ({"index.js": "exports.handler = () => Promise.resolve('promise');"}, "promise"),
        ({"index.cjs": "exports.handler = async () => __filename;"}, "/var/task/index.cjs"),
        ({"index.mjs": "const x = await Promise.resolve('top'); export const handler = async () => x;"}, "top"),
        ({"index.js": "export const handler = async () => 'module';", "package.json": '{"type":"module"}'}, "module"),
        ({"index.js": "exports.handler = (e, c) => c.succeed('succeed');"}, "succeed"),
    ]:
        assert nodejs(files)() == wanted, files
    failing = nodejs({"index.js": "exports.handler = (e, c, callback) => callback(new TypeError('no'));"})
    assert failing.call().error()["errorType"] == "TypeError"


def test_a_handler_in_a_folder_is_found(make, nodejs):
    assert make({"src/app/main.py": "def run(e, c):\n    return 'deep'\n"}, handler="src/app/main.run")() == "deep"
    source = "export const run = async () => 'deep';"
    assert nodejs({"src/app/main.mjs": source}, handler="src/app/main.run")() == "deep"


def test_a_shell_script_is_a_bootstrap(make):
    function = make("""
        #!/bin/bash
        # The Runtime API with nothing but the shell.
        set -u
        host=${AWS_LAMBDA_RUNTIME_API%:*} port=${AWS_LAMBDA_RUNTIME_API#*:}
        base=/2018-06-01/runtime/invocation
        while :; do
          exec 5<>"/dev/tcp/$host/$port"
          printf 'GET %s/next HTTP/1.1\\r\\nHost: runtime\\r\\nConnection: close\\r\\n\\r\\n' "$base" >&5
          id= length=0
          while IFS= read -r line <&5; do
            line=${line%$'\\r'}
            [ -z "$line" ] && break
            name=${line%%:*} value=${line#*: }
            case ${name,,} in
              lambda-runtime-aws-request-id) id=$value ;;
              content-length) length=$value ;;
            esac
          done
          IFS= read -r -N "$length" event <&5
          exec 5>&-
          body="{\\"shell\\":$event}"
          exec 5<>"/dev/tcp/$host/$port"
          printf 'POST %s/%s/response HTTP/1.1\\r\\nHost: runtime\\r\\nConnection: close\\r\\nContent-Length: %d\\r\\n\\r\\n%s' \\
            "$base" "$id" "${#body}" "$body" >&5
          cat <&5 >/dev/null
          exec 5>&-
        done
    """, runtime="provided.al2023")
    assert function({"a": [1]}) == {"shell": {"a": [1]}}
    assert function.call({"b": 2}).was_cold is False


def test_a_misbehaving_runtime_client_harms_only_itself(make, echo):
    rude = """
    static void handle(void) {
        char body[65536];
        ask("GET", "/2018-06-01/nonsense", "", body, sizeof body, NULL);
        ask("POST", "/2018-06-01/runtime/invocation/not-mine/response", "1", body, sizeof body, NULL);
        int fd = dial();
        if (write(fd, "\\x16\\x03\\x01garbage\\r\\n\\r\\n", 14) < 0) {}
        close(fd);
        snprintf(out, sizeof out, "\\"still here\\"");
    }
    """
    import support.native as native_support

    # `ask` and `dial` stand below `handle` in the loop: declare them first.
    head = (
        "static int dial(void);\n"
        "static void ask(const char *, const char *, const char *, char *, size_t, char *);\n"
    )
    function = make(native_support.native(head + rude), runtime="provided.al2023")
    assert function() == "still here"
    assert function() == "still here"
    assert echo(1) == 1


# Warm state.


def test_state_is_kept_between_calls_of_one_environment(make):
    function = make("""
        import os, time
        born, count = time.time(), 0
        def handler(event, context):
            global count
            count += 1
            path = "/tmp/kept"
            seen = open(path).read() if os.path.exists(path) else ""
            open(path, "w").write(seen + "x")
            return [count, seen]
    """)
    assert [function() for _ in range(3)] == [[1, ""], [2, "x"], [3, "xx"]]
    function.configure(Description="new environments from here")
    assert function() == [1, ""]


def test_concurrent_calls_have_an_environment_each(make):
    from concurrent.futures import ThreadPoolExecutor

    function = make("""
        import time, uuid
        me = uuid.uuid4().hex
        def handler(event, context):
            time.sleep(2)
            return me
    """, MemorySize=256)
    with ThreadPoolExecutor(4) as pool:
        first = list(pool.map(lambda _: function(), range(4)))
        second = list(pool.map(lambda _: function(), range(4)))
    assert len(set(first)) == 4
    assert set(second) == set(first), "warm environments are used again"


# Throttling.


def test_a_reservation_of_nothing_throttles_every_call(make, node):
    function = make("def handler(e, c):\n    return 1\n")
    node.functions.put_function_concurrency(FunctionName=function.name, ReservedConcurrentExecutions=0)
    with Refused("TooManyRequestsException", 429, "Rate Exceeded") as refused:
        function.call()
    assert refused.response["Reason"] == "ReservedFunctionConcurrentInvocationLimitExceeded"
    node.functions.delete_function_concurrency(FunctionName=function.name)
    assert function() == 1


def test_a_reservation_of_one_lets_one_call_run(make, node):
    from concurrent.futures import ThreadPoolExecutor

    function = make("""
        import time
        def handler(event, context):
            print("begun", event)
            time.sleep(event)
            return "ran"
    """)
    node.functions.put_function_concurrency(FunctionName=function.name, ReservedConcurrentExecutions=1)
    assert function(0) == "ran"
    with ThreadPoolExecutor(1) as pool:
        long = pool.submit(function, 8)
        wait_until(lambda: "begun 8" in function_log(function))
        with Refused("TooManyRequestsException", 429) as refused:
            function.call(0)
        assert refused.response["Reason"] == "ReservedFunctionConcurrentInvocationLimitExceeded"
        assert long.result() == "ran"
    assert function(0) == "ran"


def test_log_tails_hold_the_last_four_kilobytes(make):
    function = make("""
        def handler(event, context):
            for line in range(500):
                print(f"line {line:04} " + "x" * 40)
    """)
    answer = function.call()
    assert len(answer.log.encode()) <= 4096
    assert "line 0499" in answer.log and "line 0000" not in answer.log
    assert "REPORT RequestId: " + answer.request_id in answer.log
    assert function.call(tail=False).log is None


def test_answers_do_not_wait_for_background_work_of_python(make):
    function = make("""
        import threading, time
        def handler(event, context):
            threading.Thread(target=time.sleep, args=(30,), daemon=True).start()
            return "at once"
    """, Timeout=20)
    answer = function.call(tail=False)
    assert answer.ok() == "at once"
    assert answer.stages["handler"] < 15000


def test_a_native_echo_answers(make):
    from support.native import ECHO

    function = make(native(ECHO), runtime="provided.al2")
    assert function({"x": 1}) == {"native": {"x": 1}}


def test_a_javascript_heap_is_as_large_as_the_function(nodejs):
    function = nodejs("""
        import v8 from "v8";
        export const handler = async () => v8.getHeapStatistics().heap_size_limit / 1048576;
    """, MemorySize=256)
    for memory in (1024, 256, 1024):
        function.configure(MemorySize=memory)
        # Also on environments whose Node.js had booted before it knew.
        for _ in range(3):
            function.configure(Environment={"Variables": {"TURN": str(_)}})
            assert memory * 0.85 < function() < memory * 1.3


LARGE = "exports.word = () => 'here';\n" + "".join(
    f"exports.f{n} = (a) => a + {n} + '................';\n" for n in range(3000)
)


def test_compiled_javascript_is_kept_for_the_function_that_made_it_and_for_no_other(nodejs):
    code = {
        "index.js": """
            const { readdirSync, writeFileSync } = require("fs");
            const large = require("./large.js");
            exports.handler = async () => {
              let seen = [], wrote = false;
              try { seen = readdirSync("/var/lambent/compiled"); } catch {}
              try { writeFileSync("/var/lambent/compiled/code", "x"); wrote = true; } catch {}
              return { word: large.word(), seen, wrote, told: "_LAMBENT_CODE_CACHE" in process.env };
            };
        """,
        "large.js": LARGE,
    }
    own, other = nodejs(code), nodejs(code)
    turns = iter(range(1000))

    def first_call(function):
        function.configure(Environment={"Variables": {"TURN": str(next(turns))}})
        answer = function()
        assert answer["word"] == "here" and not answer["told"] and not answer["wrote"]
        return answer["seen"]

    assert first_call(own) == []
    wait_until(lambda: first_call(own) == ["code"], 20, "its compiled code")
    assert first_call(other) == [], "the same package in another function starts with nothing"
    wait_until(lambda: first_call(other) == ["code"], 20, "its own compiled code")


def test_compiled_modules_are_kept_where_nodejs_can_and_leave_no_trace(make, runtimes):
    runtime = next((r for r in ("nodejs24.x", "nodejs22.x") if r in runtimes), None)
    if runtime is None:
        pytest.skip("this host has no Node.js that compiles modules from a cache")
    source = """
        import module from "node:module";
        import { readdirSync } from "node:fs";
        const atLoad = readdirSync("/tmp");
        export const handler = async () => ({
          word: word(), cache: module.getCompileCacheDir() ?? null, isClean: atLoad.concat(readdirSync("/tmp"))
            .every((name) => name === "lost+found"), told: "_LAMBENT_CODE_CACHE" in process.env,
        });
    """
    large = LARGE.replace("exports.word =", "const word =").replace("exports.", "export const ")
    function = make({"index.mjs": large + source}, runtime=runtime)
    turns = iter(range(1000))

    def first_call():
        function.configure(Environment={"Variables": {"TURN": str(next(turns))}})
        answer = function()
        assert answer["word"] == "here" and answer["isClean"] and not answer["told"]
        return answer["cache"]

    first_call()
    wait_until(lambda: first_call().startswith("/var/lambent/compiled/modules/"), 20, "its compiled modules")
