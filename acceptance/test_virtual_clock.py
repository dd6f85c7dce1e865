"""A node whose time is advanced: what is due happens at its time, and hours pass in seconds."""

import itertools
import json
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from support.functions import Function, Refused, fresh_name
from support.node import BINARY, Node, wait_until
from support.paths import NOTHING_PARKED
from test_async import FAILING, RECORDER, accept, configure, log_lines, records
from test_parked_cells import inits

HOUR = 3_600


def lambent(node, *words):
    done = subprocess.run(
        [BINARY, *words, "--json"],
        capture_output=True,
        text=True,
        timeout=600,
        env=node.aws_environment(LAMBENT_ENDPOINT=node.endpoint),
        check=False,
    )
    return done.returncode, done.stdout, done.stderr


def advance(node, by):
    code, out, err = lambent(node, "clock", "advance", by)
    assert code == 0, err
    return json.loads(out)


@pytest.fixture(scope="module")
def virtual():
    with Node(options=["--clock", "virtual"], allowed=["has no destination for failures"]) as node:
        yield node


@pytest.fixture
def make(virtual):
    made = []

    def make(code, **settings):
        made.append(Function(virtual, fresh_name()))
        return made[-1].create(code, **settings)

    yield make
    for function in made:
        function.delete()


def starts(function):
    """When its calls began, in seconds of the node's time."""
    logs = function.node.logs
    pages = logs.get_paginator("filter_log_events").paginate(logGroupName=function.group)
    events = [event for page in pages for event in page["events"]]
    return sorted(event["timestamp"] / 1000 for event in events if event["message"].startswith("START "))


def test_six_hours_of_asynchronous_retries_pass_within_seconds(virtual, make):
    failing = [make(FAILING) for _ in range(3)]
    recorder = make(RECORDER)
    for function in failing:
        configure(virtual, function, DestinationConfig={"OnFailure": {"Destination": recorder.arn}})
        accept(function, {"n": 1})
    began = time.monotonic()
    shown = advance(virtual, "6h")
    assert time.monotonic() - began < 600
    assert shown["leftMs"] == 0 and shown["aheadSeconds"] > 5 * HOUR
    wait_until(lambda: len(records(recorder)) == 3, 10, "the ends of the events")
    assert {r["requestContext"]["condition"] for r in records(recorder)} == {"RetriesExhausted"}
    for function in failing:
        gaps = [b - a for a, b in itertools.pairwise(starts(function))]
        # The reference waits a minute, and then two: each attempt was made when it was due, and not all at the end.
        assert len(gaps) == 2 and 60 <= gaps[0] < 80 and 120 <= gaps[1] < 140, gaps


def test_a_message_that_is_delayed_or_out_of_sight_comes_to_whoever_waits_for_it(virtual):
    sqs = virtual.client("sqs")
    url = sqs.create_queue(QueueName=fresh_name(), Attributes={"VisibilityTimeout": "43200"})["QueueUrl"]
    sqs.send_message(QueueUrl=url, MessageBody="late", DelaySeconds=900)
    receive = lambda wait: sqs.receive_message(QueueUrl=url, WaitTimeSeconds=wait).get("Messages", [])  # noqa: E731
    for by in ("15m", "12h"):
        assert receive(0) == []
        with ThreadPoolExecutor(1) as pool:
            # Who waits does so in real time, and an advance may take longer on a busy machine: then it is asked again.
            waiting = pool.submit(lambda: (wait_until(lambda: receive(20)), time.monotonic()))
            advance(virtual, by)
            advanced = time.monotonic()
            messages, came = waiting.result()
            assert [message["Body"] for message in messages] == ["late"]
            assert came - advanced < 15, "it was woken by the time that passed"
    sqs.delete_queue(QueueUrl=url)


def test_a_schedule_fires_each_time_that_comes_to_pass(virtual, make):
    function, client = make(RECORDER), virtual.client("scheduler")
    name = fresh_name("s")
    client.create_schedule(
        Name=name,
        ScheduleExpression="rate(30 minutes)",
        FlexibleTimeWindow={"Mode": "OFF"},
        Target={"Arn": function.arn, "RoleArn": "arn:aws:iam::000000000000:role/scheduler"},
    )
    advance(virtual, "5h")
    client.delete_schedule(Name=name)
    wait_until(lambda: len(starts(function)) >= 10, 10, "the calls")
    gaps = [b - a for a, b in itertools.pairwise(starts(function))]
    assert all(1_780 < gap < 1_820 for gap in gaps), gaps


def test_functions_have_their_own_time_and_idle_environments_the_nodes():
    with Node(options=["--clock", "virtual", "--keep-alive", "30m", *NOTHING_PARKED]) as node:
        advance(node, "6h")
        code = "def handler(e, c):\n    return c.get_remaining_time_in_millis()\n"
        function = Function(node, fresh_name()).create(code, Timeout=7)
        assert 0 < function() <= 7_000, "what is left is told by the clock that the function has"
        advance(node, "20m")
        assert inits(node)
        advance(node, "20m")
        wait_until(lambda: inits(node) == [], 10, "the end of the environment")
        # Nor do credentials, which the function signs with by its own clock, run out.
        assert 0 < function() <= 7_000
        function.delete()


def test_the_log_is_written_in_the_nodes_time(virtual, make):
    advance(virtual, "24h")
    function = make("def handler(e, c):\n    print('here')\n")
    function()
    wait_until(lambda: any("here" in line for line in log_lines(function)), 10)
    assert starts(function)[0] > time.time() + 23 * HOUR


def test_time_is_advanced_where_it_is_virtual_only(node):
    code, _, err = lambent(node, "clock", "advance", "1h")
    assert code == 4 and "--clock virtual" in err
    words = ["up", "--clock", "virtual", "--listen", "0.0.0.0", "--no-test-credentials", "--port", "0"]
    done = subprocess.run([BINARY, *words], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 2 and "--clock virtual" in done.stderr


def test_a_functions_throttling_is_told_of_when_it_begins_and_when_it_has_ended(virtual, make):
    events, name, recorder, function = virtual.client("events"), fresh_name("throttled"), make(RECORDER), make(RECORDER)
    pattern = {"source": ["lambent"], "resources": [function.arn], "detail-type": [{"prefix": "Lambda Function Throttl"}]}
    rule = events.put_rule(Name=name, EventPattern=json.dumps(pattern))["RuleArn"]
    virtual.functions.add_permission(
        FunctionName=recorder.name,
        StatementId="rule",
        Action="lambda:InvokeFunction",
        Principal="events.amazonaws.com",
        SourceArn=rule,
    )
    events.put_targets(Rule=name, Targets=[{"Id": "t", "Arn": recorder.arn}])
    virtual.functions.put_function_concurrency(FunctionName=function.name, ReservedConcurrentExecutions=0)
    for _ in range(3):
        with Refused("TooManyRequestsException", 429, "."):
            function()
    wait_until(lambda: len(records(recorder)) == 1, 30)
    advance(virtual, "5m")
    told = wait_until(lambda: len(records(recorder)) >= 2 and records(recorder), 30)
    kinds = [event["detail-type"] for event in sorted(told, key=lambda event: event["time"])]
    assert kinds == ["Lambda Function Throttled", "Lambda Function Throttling Ended"]
    [ended] = [event["detail"] for event in told if event["detail-type"].endswith("Ended")]
    assert (ended["functionArn"], ended["throttledCalls"]) == (function.arn, 3)
    assert ended["began"] <= ended["lastThrottled"]
    events.remove_targets(Rule=name, Ids=["t"])
    events.delete_rule(Name=name)


def test_how_many_environments_a_version_has_is_an_event_when_it_changes(virtual, make):
    function = make("import time\ndef handler(e, c):\n    time.sleep(e)\n")
    events, sqs = virtual.client("events"), virtual.client("sqs")
    name = fresh_name("scaled")
    url = sqs.create_queue(QueueName=name)["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    statement = {"Effect": "Allow", "Principal": "*", "Action": "sqs:SendMessage", "Resource": arn}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": policy})
    pattern = {"source": ["lambent"], "detail-type": ["Lambda Function Scaled"], "resources": [function.arn]}
    events.put_rule(Name=name, EventPattern=json.dumps(pattern))
    events.put_targets(Rule=name, Targets=[{"Id": "q", "Arn": arn}])
    told = []

    def scaled():
        for message in sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages", []):
            sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
            detail = json.loads(message["Body"])["detail"]
            assert (detail["functionName"], detail["version"]) == (function.name, "$LATEST")
            told.append((detail["environmentsBefore"], detail["environments"]))
        # In the order in which they happened, whichever came first.
        return sorted(told, key=lambda change: change[1] == 0)

    try:
        with ThreadPoolExecutor(3) as pool:
            list(pool.map(lambda _: function(1), range(3)))
        advance(virtual, "20s")
        wait_until(lambda: scaled() == [(0, 3)], 20, "the beginning")
        advance(virtual, "20s")
        function(0)
        advance(virtual, "20s")
        assert scaled() == [(0, 3)], "no change is no news"
        function.delete()
        advance(virtual, "20s")
        wait_until(lambda: scaled() == [(0, 3), (3, 0)], 20, "the end")
    finally:
        events.remove_targets(Rule=name, Ids=["q"])
        events.delete_rule(Name=name)
        sqs.delete_queue(QueueUrl=url)
