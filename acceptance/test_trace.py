"""What happened to a call: in its function's log, in metrics, and by `lambent trace` and `lambent ls`."""

import json
import os
import re
import subprocess
import urllib.error
import urllib.request

from support import raw
from support.functions import Function, Refused, fresh_name
from support.node import BINARY, Node, wait_until

ECHO = "def handler(event, context):\n    return event\n"
ENDING = "import os\ndef handler(event, context):\n    os._exit(1) if event.get('end') else None\n    return event\n"
FAILING = "def handler(event, context):\n    raise ValueError('never ' + str(event['n']))\n"
INIT_FAILS = "import nothing_of_this_name\n"
STAGES = ["sandbox", "code", "runtime", "init", "handler"]


def lambent(node, *words, ok=True):
    command = [BINARY, *words, "--endpoint", node.endpoint, "--data", node.data, "--region", "us-east-1"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, env={**os.environ, "NO_COLOR": "1"})
    assert (done.returncode == 0) == ok, done.stderr
    return done


def trace(node, of, *words):
    return json.loads(lambent(node, "trace", of, *words, "--json").stdout)


def hops(node, of, count):
    """The hops of an id, once there are so many."""

    def asked():
        done = subprocess.run(
            [BINARY, "trace", of, "--json", "--endpoint", node.endpoint, "--data", node.data],
            capture_output=True,
            text=True,
            timeout=120,
        )
        found = json.loads(done.stdout)["hops"] if done.returncode == 0 else []
        return found if len(found) >= count else None

    return wait_until(asked, 30, f"{count} hops of {of}")


def reports(answer):
    return [line for line in answer.log.splitlines() if line.startswith("REPORT ")]


def metrics(node):
    with urllib.request.urlopen(f"{node.endpoint}/_lambent/metrics", timeout=30) as answer:
        return answer.read().decode()


def test_the_first_report_of_an_environment_has_the_five_stages_behind_the_references_fields(make):
    function = make(ECHO)
    cold, warm = function.call({}), function.call({})
    number = r"\d+\.\d\d ms"
    usual = rf"REPORT RequestId: \S+\tDuration: {number}\tBilled Duration: \d+ ms\tMemory Size: 128 MB\tMax Memory Used: \d+ MB\t"
    stages = ", ".join(f"{stage} {number}" for stage in STAGES)
    assert re.fullmatch(rf"{usual}Init Duration: {number}\tStages: {stages}\t", reports(cold)[0]), cold.log
    assert re.fullmatch(usual, reports(warm)[0]), warm.log
    # What parsers of the reference's line look for is found once, and first.
    assert len(re.findall(r"Init Duration: ([\d.]+) ms", reports(cold)[0])) == 1


def test_json_reports_have_the_stages_as_spans_and_nothing_else_new(make):
    function = make(ECHO, LoggingConfig={"LogFormat": "JSON", "SystemLogLevel": "INFO"})
    cold = function.call({})
    [report] = [d for d in map(json.loads, cold.log.splitlines()) if d.get("type") == "platform.report"]
    assert set(report["record"]) == {"requestId", "metrics", "status", "spans"}
    assert [span["name"] for span in report["record"]["spans"]] == STAGES
    for span in report["record"]["spans"]:
        assert set(span) == {"name", "start", "durationMs"} and span["durationMs"] >= 0
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", span["start"])
    starts = [span["start"] for span in report["record"]["spans"]]
    assert starts == sorted(starts)


def test_an_init_that_fails_has_the_references_status_in_every_line(make):
    answer = make(INIT_FAILS).call({})
    assert answer.error()["errorType"] == "Runtime.ImportModuleError"
    kind = "Status: error\tError Type: Runtime.ImportModuleError"
    assert re.search(rf"INIT_REPORT Init Duration: \S+ ms\tPhase: invoke\t{kind}", answer.log), answer.log
    assert reports(answer)[0].endswith(f" MB\t{kind}\t"), answer.log


def test_an_error_of_the_functions_own_in_its_init_is_of_no_known_type(make):
    answer = make("raise KeyError('x')\n").call({})
    assert reports(answer)[0].endswith("\tStatus: error\tError Type: Runtime.Unknown\t"), answer.log


def test_an_init_that_takes_the_calls_time_is_a_timeout(make):
    answer = make("import time\ntime.sleep(60)\n", Timeout=1).call({})
    assert answer.error()["errorType"] == "Sandbox.Timedout"
    assert reports(answer)[0].endswith("\tStatus: timeout\t"), answer.log


def test_a_call_is_followed_from_its_request_id(node, make):
    function = make(ECHO)
    cold, warm = function.call({}), function.call({})
    [hop] = hops(node, cold.request_id, 1)
    assert (hop["kind"], hop["outcome"], hop["start"], hop["coldReason"]) == ("call", "ok", "cold", "first")
    assert list(hop["stagesMs"]) == sorted(STAGES)
    assert hop["by"] == "arn:aws:iam::000000000000:root" and hop["source"] == "invoke"
    assert hop["waitedMs"] >= hop["stagesMs"]["runtime"]
    # The same numbers as everywhere else.
    found = re.search(r"Billed Duration: (\d+) ms.*Max Memory Used: (\d+) MB", reports(cold)[0])
    assert (hop["billedMs"], hop["memoryUsedMb"]) == (int(found[1]), int(found[2]))
    assert abs(hop["stagesMs"]["init"] - cold.stages["init"]) < 0.02
    # The environment's log has the call.
    log = node.logs.get_log_events(logGroupName=hop["logGroup"], logStreamName=hop["logStream"])["events"]
    assert any(cold.request_id in event["message"] for event in log)
    [second] = hops(node, warm.request_id, 1)
    assert second["start"] == "warm" and second["logStream"] == hop["logStream"] and "stagesMs" not in second
    text = lambent(node, "trace", cold.request_id).stdout
    assert "it was not called before since the node started" in text and "█" in text and hop["logStream"] in text


def test_a_trace_header_ties_calls_together_and_is_an_id_of_its_own(node, make):
    first, second = make(ECHO), make(FAILING)
    root = "1-67891233-abcdef012345678912345678"
    ids = []

    def with_header(request, **_):
        request.headers["X-Amzn-Trace-Id"] = f"Root={root};Parent=53995c3f42cd8ad8;Sampled=1"

    client = node.client(connect_timeout=11)
    client.meta.events.register("before-sign.lambda.Invoke", with_header)
    try:
        ids = [first.call({}, client=client).request_id, second.call({"n": 1}, client=client).request_id]
    finally:
        client.meta.events.unregister("before-sign.lambda.Invoke", with_header)
    for of in [root, *ids]:
        found = hops(node, of, 2)
        assert [hop["id"] for hop in found] == ids and {hop["trace"] for hop in found} == {root}
    assert (found[1]["errorType"], found[1]["errorMessage"]) == ("ValueError", "never 1")


def test_an_event_is_followed_through_its_attempts_to_its_destination(node, make):
    function, recorder = make(FAILING), make(ECHO)
    node.functions.put_function_event_invoke_config(
        FunctionName=function.name,
        MaximumRetryAttempts=0,
        DestinationConfig={"OnFailure": {"Destination": recorder.arn}},
    )
    accepted = function.call({"n": 7}, InvocationType="Event", tail=False)
    way = hops(node, accepted.request_id, 5)
    assert [hop["kind"] for hop in way] == ["accept", "call", "give-up", "deliver", "call"]
    accept, call, given_up, delivered, second = way
    assert accept["by"] == "arn:aws:iam::000000000000:root"
    assert (call["source"], call["attempt"], call["outcome"]) == ("event", 1, "error")
    assert given_up["note"] == "RetriesExhausted after 1 attempt"
    assert (delivered["parent"], delivered["target"]) == (accepted.request_id, recorder.arn)
    assert second["id"] == delivered["id"] and second["outcome"] == "ok" and second["function"] == recorder.name
    # From the other end, the whole way is found as well.
    assert [hop["kind"] for hop in hops(node, second["id"], 5)] == [hop["kind"] for hop in way]


def test_a_wait_says_what_for_and_how_long(node, make):
    function = make(FAILING)
    accepted = function.call({"n": 1}, InvocationType="Event", tail=False)
    wait = hops(node, accepted.request_id, 3)[2]
    assert (wait["kind"], wait["note"], wait["tookMs"]) == ("wait", "the function failed: retry 1 of 2", 60_000.0)


def test_a_throttled_call_and_event_name_the_reason(node, make):
    function = make(ECHO)
    accepted = function.call({}, InvocationType="Event", tail=False)
    hops(node, accepted.request_id, 2)
    node.functions.put_function_concurrency(FunctionName=function.name, ReservedConcurrentExecutions=0)
    with Refused("TooManyRequestsException", 429) as refused:
        function.call({})
    request_id = refused.response["ResponseMetadata"]["RequestId"]
    [hop] = hops(node, request_id, 1)
    assert hop["outcome"] == "throttled" and "logStream" not in hop
    assert hop["note"] == "ReservedFunctionConcurrentInvocationLimitExceeded"


def test_an_environment_made_ahead_shows_its_stages_with_its_first_call(node, make):
    function = make(ECHO)
    version = node.functions.publish_version(FunctionName=function.name)["Version"]
    node.functions.put_provisioned_concurrency_config(
        FunctionName=function.name, Qualifier=version, ProvisionedConcurrentExecutions=1
    )

    def ready():
        config = node.functions.get_provisioned_concurrency_config(FunctionName=function.name, Qualifier=version)
        return config["Status"] == "READY"

    wait_until(ready, 30)
    answer = function.call({}, Qualifier=version)
    assert "\tStages: sandbox " in reports(answer)[0] and "Init Duration" not in reports(answer)[0]
    [hop] = hops(node, answer.request_id, 1)
    assert (hop["start"], hop["servedBy"]) == ("ahead", "provisioned") and set(hop["stagesMs"]) == set(STAGES)
    name = f'function="{function.name}",version="{version}"'
    page = metrics(node)
    assert re.search(rf"lambent_environments_ahead_total\{{[^}}]*{name}\}} [1-9]", page)
    assert re.search(rf'lambent_environment_ahead_seconds_total\{{[^}}]*{name},stage="init"\}} [\d.]*[1-9]', page)


def test_a_function_is_listed_with_its_calls_and_its_share_of_cold_ones(node, make):
    function = make(ECHO)
    for n in range(5):
        function.call({"n": n})
    found = trace(node, function.name, "--last", "3")
    assert [hop["start"] for hop in found["hops"]] == ["warm"] * 3
    assert found["lastHour"]["calls"] == 5 and found["lastHour"]["coldReasons"] == {"first": 1}
    # One start among so few calls is spared no function, and is no warning.
    assert found["isOftenCold"] is False
    text = lambent(node, "trace", function.name).stdout
    assert text.startswith(f"{function.name}: 5 calls in the last hour, 1 cold (20.0 %)\n") and "!" not in text
    [row] = [line for line in lambent(node, "ls").stdout.splitlines() if line.startswith(f"{function.name} ")]
    assert row.split()[-2:] == ["5", "20.0%"]


def test_a_function_that_is_often_cold_is_warned_of_with_the_reason(node, make):
    function = make(ENDING)
    function.call({})
    for n in range(22):
        function.call({"end": n % 7 == 0})
    found = trace(node, function.name)
    reasons = found["lastHour"]["coldReasons"]
    assert found["isOftenCold"] is True and reasons["failure"] >= 2, found["lastHour"]
    warning = lambent(node, "ls")
    assert f"! {function.name}: " in warning.stderr and "its last environment had failed" in " ".join(warning.stderr.split())
    label = f'function="{function.name}",version="$LATEST"'
    assert re.search(rf'lambent_cold_start_reasons_total\{{[^}}]*{re.escape(label)},reason="failure"\}} \d', metrics(node))


def test_stages_are_in_the_metrics(node, make):
    function = make(ECHO)
    function.call({})
    label = re.escape(f'function="{function.name}",version="$LATEST"')
    page = metrics(node)
    for stage in STAGES:
        assert re.search(rf'lambent_cold_start_seconds_total\{{[^}}]*{label},stage="{stage}"\}} [\d.]+', page), stage
    assert re.search(rf'lambent_cold_start_seconds_bucket\{{[^}}]*{label},le="\+Inf"\}} 1\n', page)
    assert re.search(rf"lambent_cold_start_seconds_count\{{[^}}]*{label}\}} 1\n", page)


def test_payloads_are_kept_only_when_asked_for_and_traces_survive_a_restart(tmp_path):
    with Node(tmp_path / "data", options=["--trace-payloads", "8"]) as node:
        function = Function(node, "kept").create(ECHO)
        kept = function.call({"secret": "abcdefgh"})
        [hop] = hops(node, kept.request_id, 1)
        assert hop["payload"] == '{"secret'
    with Node(tmp_path / "data") as again:
        function = Function(again, "kept")
        [hop] = hops(again, kept.request_id, 1)
        assert (hop["id"], hop["outcome"]) == (kept.request_id, "ok")
        [second] = hops(again, function.call({"secret": 1}).request_id, 1)
        assert "payload" not in second
        assert len(trace(again, "kept")["hops"]) == 2


def test_what_is_not_known_is_said_with_a_hint(node):
    done = lambent(node, "trace", "00000000-0000-4000-8000-000000000000", ok=False)
    assert "ResourceNotFoundException" in done.stderr and "hint: " in done.stderr
    done = lambent(node, "trace", fresh_name("none"), ok=False)
    assert "no function" in done.stderr


def test_only_the_root_key_sees_traces(node, make):
    function = make(
        """
        import os

        def handler(event, context):
            names = ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"]
            return [os.environ[name] for name in names]
        """
    )
    key, secret, token = function({})
    path = f"/_lambent/trace?of={function.name}"

    def status(headers):
        request = urllib.request.Request(node.endpoint + path, headers=headers)
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return answer.status
        except urllib.error.HTTPError as error:
            return error.code

    assert status({}) == 403
    assert status(dict(raw.signed(node, "GET", path, key=key, secret=secret, token=token).headers)) == 403
    assert status(dict(raw.signed(node, "GET", path).headers)) == 200


def test_a_call_is_sent_again_with_the_payload_that_was_kept():
    with Node(options=["--trace-payloads", "64"]) as node:
        function = Function(node, fresh_name()).create(ECHO)
        other = Function(node, fresh_name()).create("def handler(event, context):\n    return ['other', event]\n")
        called = function.call({"n": 1}).request_id
        hops(node, called, 1)
        again = json.loads(lambent(node, "replay", called, "--wait", "--json").stdout)
        assert again["payload"] == {"n": 1} and again["requestId"] != called
        there = json.loads(lambent(node, "replay", called, "--wait", "--to", other.name, "--json").stdout)
        assert there["payload"] == ["other", {"n": 1}]
        # Without --wait it is an event, with all that belongs to one.
        event = lambent(node, "replay", called).stdout.strip()
        found = hops(node, event, 2)
        assert [hop["kind"] for hop in found] == ["accept", "call"] and json.loads(found[1]["payload"]) == {"n": 1}
        long = function.call({"n": "x" * 100}).request_id
        hops(node, long, 1)
        assert "only the beginning was kept" in lambent(node, "replay", long, ok=False).stderr
        missing = lambent(node, "replay", "nothing", ok=False).stderr
        assert "Nothing is known of nothing" in missing
