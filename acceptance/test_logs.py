"""CloudWatch Logs: what functions and the platform write, and how it is found again."""

import json
import re
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from support.functions import Refused, fresh_name
from support.node import wait_until

PRINT = """
    import logging, sys
    logging.getLogger().setLevel(logging.DEBUG)
    def handler(event, context):
        for line in event.get("lines", []):
            print(line)
        for level, text in event.get("log", []):
            logging.getLogger().log(getattr(logging, level), text)
        if event.get("stderr"):
            print(event["stderr"], file=sys.stderr)
        return "ok"
"""


def messages(node, group, **more):
    """Every message of a group, oldest first."""
    pages = node.logs.get_paginator("filter_log_events").paginate(logGroupName=group, **more)
    return [event["message"] for page in pages for event in page["events"]]


def lines_once(function, marker, **more):
    """The group's messages once one of them holds the marker."""

    def found():
        try:
            said = messages(function.node, function.group, **more)
        except function.node.logs.exceptions.ResourceNotFoundException:
            return None
        return said if any(marker in line for line in said) else None

    return wait_until(found, what=f"{marker} in {function.group}")


def test_a_call_is_framed_by_the_platforms_lines(node, make):
    function = make(PRINT, MemorySize=256)
    answer = function.call({"lines": ["hello ünï"]})
    again = function.call({"lines": ["second"]})
    said = lines_once(function, f"REPORT RequestId: {again.request_id}")
    first = [line for line in said if answer.request_id in line or "INIT_START" in line or "hello" in line]
    assert re.match(r"INIT_START Runtime Version: python", first[0])
    assert first[1] == f"START RequestId: {answer.request_id} Version: $LATEST\n"
    assert first[2].rstrip("\n") == "hello ünï"
    assert first[3] == f"END RequestId: {answer.request_id}\n"
    report = re.fullmatch(
        r"REPORT RequestId: (\S+)\tDuration: ([\d.]+) ms\tBilled Duration: (\d+) ms\tMemory Size: 256 MB\t"
        r"Max Memory Used: (\d+) MB\tInit Duration: ([\d.]+) ms\tStages: sandbox [\d.]+ ms, [^\t]+\t\n",
        first[4],
    )
    assert report, first[4]
    assert report[1] == answer.request_id and 1 <= int(report[4]) <= 256
    assert int(report[3]) >= float(report[2])
    warm = next(line for line in said if line.startswith(f"REPORT RequestId: {again.request_id}"))
    assert "Init Duration" not in warm
    assert answer.log == "".join(first[1:])


def test_streams_are_one_an_environment_and_events_are_in_order(node, make):
    function = make(PRINT)
    lines = [f"line {i:03}" for i in range(200)]
    answer = function.call({"lines": lines})
    lines_once(function, "REPORT")
    streams = node.logs.describe_log_streams(logGroupName=function.group)["logStreams"]
    assert len(streams) == 1
    name = streams[0]["logStreamName"]
    assert re.fullmatch(r"\d{4}/\d\d/\d\d/\[\$LATEST\][0-9a-f]{32}", name), name
    page = node.logs.get_log_events(logGroupName=function.group, logStreamName=name, startFromHead=True, limit=50)
    seen = list(page["events"])
    while True:
        following = node.logs.get_log_events(
            logGroupName=function.group, logStreamName=name, nextToken=page["nextForwardToken"], limit=50
        )
        if following["nextForwardToken"] == page["nextForwardToken"]:
            break
        page = following
        seen += page["events"]
    assert [e["message"].rstrip("\n") for e in seen if e["message"].startswith("line")] == lines
    stamps = [e["timestamp"] for e in seen]
    assert stamps == sorted(stamps) and abs(stamps[-1] / 1000 - time.time()) < 60
    last = node.logs.get_log_events(logGroupName=function.group, logStreamName=name, limit=1)["events"]
    assert last[0]["message"].startswith(f"REPORT RequestId: {answer.request_id}")


def test_filter_patterns_find_what_they_say(node, make):
    function = make(PRINT)
    document = {"level": "warn", "took": 41.5, "user": {"name": "ann"}}
    function({"lines": ["ERROR one", "error two", "ERROR two Exception", json.dumps(document), "[10] 404 GET /a"]})
    lines_once(function, "REPORT")

    def found(pattern):
        return [m.rstrip("\n") for m in messages(node, function.group, filterPattern=pattern)]

    assert found("ERROR") == ["ERROR one", "ERROR two Exception"]
    assert found("ERROR two") == ["ERROR two Exception"]
    assert found('"error two"') == ["error two"]
    assert found("?one ?Exception") == ["ERROR one", "ERROR two Exception"]
    assert found("ERROR -Exception") == ["ERROR one"]
    assert found("{ $.took > 41 && $.user.name = \"a*\" }") == [json.dumps(document)]
    assert found("{ $.took > 42 }") == []
    assert found("[size, status=4*, method, path]") == ["[10] 404 GET /a"]
    assert found("%[Ee]rror|ERROR one%") != []
    with Refused("InvalidParameterException", 400):
        found("{ $.took > }")


def test_times_bound_what_is_found(node, make):
    function = make(PRINT)
    function({"lines": ["early"]})
    early = lines_once(function, "early")
    assert early
    events = node.logs.filter_log_events(logGroupName=function.group)["events"]
    stamp = max(event["timestamp"] for event in events)
    wait_until(lambda: time.time() * 1000 > stamp + 2)
    function({"lines": ["late"]})
    lines_once(function, "late")
    after = messages(node, function.group, startTime=stamp + 1)
    before = messages(node, function.group, endTime=stamp + 1)
    assert any("late" in m for m in after) and not any("early" in m for m in after)
    assert any("early" in m for m in before) and not any("late" in m for m in before)


def test_the_text_format_marks_levels_as_the_reference_does(make):
    function = make(PRINT)
    answer = function.call({"log": [["WARNING", "careful"], ["DEBUG", "detail"]], "stderr": "to stderr"})
    assert re.search(rf"\[WARNING\]\t\S+Z\t{answer.request_id}\tcareful\n", answer.log), answer.log
    assert "to stderr" in answer.log


def test_the_json_format_makes_records_of_everything(make):
    function = make(PRINT, LoggingConfig={"LogFormat": "JSON", "ApplicationLogLevel": "DEBUG"})
    answer = function.call({"log": [["INFO", "to know"], ["DEBUG", "detail"]]})
    records = [json.loads(line) for line in answer.log.splitlines()]
    kinds = [record.get("type", record.get("level")) for record in records]
    assert kinds[-1] == "platform.report" and "platform.start" in kinds, kinds
    info = next(record for record in records if record.get("message") == "to know")
    assert info["level"] == "INFO" and info["requestId"] == answer.request_id and "timestamp" in info
    assert any(record.get("message") == "detail" for record in records)
    report = records[-1]["record"]
    assert report["requestId"] == answer.request_id and report["status"] == "success"
    assert report["metrics"]["memorySizeMB"] == 128 and report["metrics"]["durationMs"] >= 0


def test_levels_are_obeyed(make):
    levels = {"LogFormat": "JSON", "ApplicationLogLevel": "ERROR", "SystemLogLevel": "WARN"}
    source = PRINT.replace("logging.getLogger().setLevel(logging.DEBUG)", "")
    function = make(source, LoggingConfig=levels)
    answer = function.call({"log": [["INFO", "quiet"], ["WARNING", "quiet too"], ["ERROR", "loud"]]})
    assert "loud" in answer.log and "quiet" not in answer.log
    assert "platform.start" not in answer.log
    function.configure(LoggingConfig={"LogFormat": "JSON", "ApplicationLogLevel": "INFO", "SystemLogLevel": "INFO"})
    answer = function.call({"log": [["INFO", "heard"], ["DEBUG", "quiet"]]})
    assert "heard" in answer.log and "quiet" not in answer.log and "platform.start" in answer.log


def test_javascript_levels_and_json_are_obeyed(make, runtimes):
    if "nodejs20.x" not in runtimes:
        pytest.skip("this host has no nodejs20.x")
    source = "export const handler = async () => { console.info('info line'); console.error('error', {a: 1}); };"
    function = make(source, runtime="nodejs20.x")
    answer = function.call()
    assert re.search(rf"\S+Z\t{answer.request_id}\tINFO\tinfo line\n", answer.log), answer.log
    assert re.search(rf"\S+Z\t{answer.request_id}\tERROR\terror {{ a: 1 }}\n", answer.log), answer.log
    function.configure(LoggingConfig={"LogFormat": "JSON", "ApplicationLogLevel": "ERROR"})
    answer = function.call()
    assert "info line" not in answer.log
    record = next(r for r in map(json.loads, answer.log.splitlines()) if r.get("level") == "ERROR")
    assert record["requestId"] == answer.request_id


def test_a_log_group_of_ones_own_is_written_to(node, make):
    group = f"/custom/{fresh_name()}"
    function = make(PRINT, LoggingConfig={"LogGroup": group})
    function({"lines": ["elsewhere"]})
    wait_until(
        lambda: node.logs.describe_log_groups(logGroupNamePrefix=group)["logGroups"]
        and any("elsewhere" in m for m in messages(node, group))
    )
    assert node.logs.describe_log_groups(logGroupNamePrefix=function.group)["logGroups"] == []
    node.logs.delete_log_group(logGroupName=group)


def test_a_flood_in_one_log_does_not_slow_another_function(make):
    flood = make("""
        import time
        def handler(event, context):
            until = time.time() + 4
            line = "x" * 1000
            count = 0
            while time.time() < until:
                print(line)
                count += 1
            return count
    """, MemorySize=1769, Timeout=30)
    other = make("def handler(e, c):\n    return 1\n", MemorySize=512)
    other()
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(flood.call, tail=False)
        times = []
        while not running.done():
            began = time.monotonic()
            assert other.call(tail=False).ok() == 1
            times.append(time.monotonic() - began)
        assert running.result().ok() > 100
    times.sort()
    # Whoever had to wait for it would wait for some of its four seconds.
    assert len(times) > 8 and times[len(times) // 2] < 0.4, times


def test_a_very_long_line_and_bytes_that_are_no_text_are_kept_in_pieces(node, make):
    function = make("""
        import os
        def handler(event, context):
            os.write(1, b"L" * 600000 + b"\\n")
            os.write(1, b"\\xff\\xfe not utf-8\\n")
            return 1
    """, Timeout=30)
    function()
    said = lines_once(function, "not utf-8")
    assert sum(m.count("L") for m in said if m.startswith("L")) == 600000
    assert all(len(m.encode()) <= 256 * 1024 for m in said)


# The API itself.


@pytest.fixture
def group(node):
    name = f"/test/{fresh_name('group')}"
    node.logs.create_log_group(logGroupName=name)
    yield name
    try:
        node.logs.delete_log_group(logGroupName=name)
    except node.logs.exceptions.ResourceNotFoundException:
        pass


def test_events_that_are_put_are_found(node, group):
    client = node.logs
    client.create_log_stream(logGroupName=group, logStreamName="s")
    now = int(time.time() * 1000)
    events = [{"timestamp": now + i, "message": f"m{i}"} for i in range(3)]
    answer = client.put_log_events(logGroupName=group, logStreamName="s", logEvents=events)
    assert "rejectedLogEventsInfo" not in answer or not answer["rejectedLogEventsInfo"]
    assert messages(node, group) == ["m0", "m1", "m2"]
    too_old = [{"timestamp": now - 15 * 86_400_000, "message": "old"}]
    answer = client.put_log_events(logGroupName=group, logStreamName="s", logEvents=too_old)
    assert "tooOldLogEventEndIndex" in answer["rejectedLogEventsInfo"]
    assert "old" not in messages(node, group)
    with Refused("InvalidParameterException", 400):
        client.put_log_events(logGroupName=group, logStreamName="s", logEvents=list(reversed(events)))
    with Refused("ResourceNotFoundException", 400, "log stream"):
        client.put_log_events(logGroupName=group, logStreamName="none", logEvents=events)


def test_groups_and_streams_are_made_listed_and_deleted(node, group):
    client = node.logs
    with Refused("ResourceAlreadyExistsException", 400):
        client.create_log_group(logGroupName=group)
    for name in ["b", "a", "c"]:
        client.create_log_stream(logGroupName=group, logStreamName=name)
    with Refused("ResourceAlreadyExistsException", 400):
        client.create_log_stream(logGroupName=group, logStreamName="a")
    pages = client.get_paginator("describe_log_streams").paginate(
        logGroupName=group, PaginationConfig={"PageSize": 2}
    )
    assert [s["logStreamName"] for page in pages for s in page["logStreams"]] == ["a", "b", "c"]
    client.delete_log_stream(logGroupName=group, logStreamName="b")
    found = client.describe_log_groups(logGroupNamePrefix=group)["logGroups"]
    assert [g["logGroupName"] for g in found] == [group]
    assert found[0]["arn"] == f"arn:aws:logs:us-east-1:000000000000:log-group:{group}:*"
    client.delete_log_group(logGroupName=group)
    with Refused("ResourceNotFoundException", 400, "The specified log group does not exist"):
        client.describe_log_streams(logGroupName=group)


def test_retention_is_set_told_and_taken_away(node, group):
    client = node.logs
    client.put_retention_policy(logGroupName=group, retentionInDays=7)
    found = client.describe_log_groups(logGroupNamePrefix=group)["logGroups"][0]
    assert found["retentionInDays"] == 7
    with Refused("InvalidParameterException", 400):
        client.put_retention_policy(logGroupName=group, retentionInDays=8)
    client.delete_retention_policy(logGroupName=group)
    assert "retentionInDays" not in client.describe_log_groups(logGroupNamePrefix=group)["logGroups"][0]


def test_retention_takes_old_events_away(node, group):
    client = node.logs
    client.create_log_stream(logGroupName=group, logStreamName="s")
    now = int(time.time() * 1000)
    old = {"timestamp": now - 3 * 86_400_000, "message": "three days old"}
    for event in (old, {"timestamp": now, "message": "new"}):
        client.put_log_events(logGroupName=group, logStreamName="s", logEvents=[event])
    assert messages(node, group) == ["three days old", "new"]
    client.put_retention_policy(logGroupName=group, retentionInDays=1)
    assert messages(node, group) == ["new"]


def test_the_aws_cli_reads_logs(aws, make):
    function = make(PRINT)
    function({"lines": ["for the CLI"]})
    lines_once(function, "for the CLI")
    told = json.loads(aws("logs", "filter-log-events", "--log-group-name", function.group, "--filter-pattern", "CLI"))
    assert [event["message"].rstrip("\n") for event in told["events"]] == ["for the CLI"]
    stream = told["events"][0]["logStreamName"]
    words = ["--log-group-name", function.group, "--log-stream-name", stream, "--start-from-head"]
    events = json.loads(aws("logs", "get-log-events", *words))["events"]
    assert events[0]["message"].startswith("INIT_START")
    groups = json.loads(aws("logs", "describe-log-groups", "--log-group-name-prefix", function.group))
    assert [g["logGroupName"] for g in groups["logGroups"]] == [function.group]


def test_the_javascript_sdk_reads_logs(javascript, make):
    function = make(PRINT)
    function({"lines": ["for the SDK"]})
    lines_once(function, "for the SDK")
    told = javascript(
        """
        import { CloudWatchLogsClient, paginateFilterLogEvents } from "@aws-sdk/client-cloudwatch-logs";
        const client = new CloudWatchLogsClient({});
        const found = [];
        const words = { logGroupName: process.env.GROUP, filterPattern: "SDK" };
        for await (const page of paginateFilterLogEvents({ client }, words))
          found.push(...page.events.map((event) => event.message.trim()));
        console.log(JSON.stringify(found));
        """,
        GROUP=function.group,
    )
    assert json.loads(told) == ["for the SDK"]


def test_the_function_itself_may_write_to_logs_with_its_credentials(make, node):
    function = make(
        "import os\ndef handler(e, c):\n    return [os.environ[k] for k in ('AWS_ACCESS_KEY_ID', 'AWS_SECRET_ACCESS_KEY', 'AWS_SESSION_TOKEN')]\n"
    )
    key, secret, token = function()
    client = node.client("logs", key=key, secret=secret, token=token)
    assert isinstance(client.describe_log_groups()["logGroups"], list)
