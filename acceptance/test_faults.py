"""Faults on order: what becomes of calls and messages whose target fails, is throttled, is slow, or is not heard."""

import json
import subprocess
import time

import pytest

from support.functions import Function, Refused, fresh_name
from support.node import BINARY, Node, wait_until
from test_async import RECORDER, accept, configure, log_lines, records
from test_virtual_clock import HOUR, advance, lambent, starts

COMPLAINTS = ["has no destination for failures", "can't take a call's end; tried again"]


@pytest.fixture(scope="module")
def faulty():
    with Node(options=["--clock", "virtual", "--faults"], allowed=COMPLAINTS) as node:
        yield node


@pytest.fixture
def make(faulty):
    made = []

    def make(code=RECORDER, **settings):
        made.append(Function(faulty, fresh_name()))
        return made[-1].create(code, **settings)

    yield make
    for function in made:
        function.delete()


@pytest.fixture
def fault(faulty):
    """Adds a rule for one scenario: `fault(arn, "--slow", "2s")`."""
    made = []

    def fault(target, *words):
        code, out, err = lambent(faulty, "fault", "add", "--target", target, *words)
        assert code == 0, err
        made.append(str(json.loads(out)["id"]))
        return int(made[-1])

    yield fault
    left = {str(rule["id"]) for rule in rules(faulty)}
    for each in left & set(made):
        assert lambent(faulty, "fault", "rm", each)[0] == 0


def rules(node):
    code, out, err = lambent(node, "fault", "ls")
    assert code == 0, err
    return json.loads(out)["faults"]


def test_six_hours_without_capacity_pass_within_seconds_and_every_retry_is_made(faulty, make, fault):
    function, recorder = make(), make()
    configure(faulty, function, DestinationConfig={"OnFailure": {"Destination": recorder.arn}})
    number = fault(function.arn, "--throttle")
    accept(function, {"n": 1})
    began = time.monotonic()
    advance(faulty, "5h")
    [rule] = [rule for rule in rules(faulty) if rule["id"] == number]
    # After 1, 2, 4 ... 256 seconds, and then every five minutes.
    assert abs(rule["applied"] - (9 + (5 * HOUR - 511) / 300)) < 4, rule
    assert records(recorder) == [], "it is not given up before its time"
    advance(faulty, "61m")
    assert time.monotonic() - began < 600
    wait_until(lambda: records(recorder), 10, "the end of the event")
    [record] = records(recorder)
    assert record["requestContext"]["condition"] == "EventAgeExceeded"
    assert log_lines(function) == [], "it never ran"


def test_an_error_uses_a_retry_up_and_the_next_attempt_runs(faulty, make, fault):
    function, recorder = make(), make()
    configure(faulty, function, DestinationConfig={"OnSuccess": {"Destination": recorder.arn}})
    fault(function.arn + ":$LATEST", "--error", "--times", "2")
    accept(function, {"n": 2})
    advance(faulty, "10m")
    wait_until(lambda: records(recorder), 10, "the end of the event")
    [record] = records(recorder)
    assert record["requestContext"]["approximateInvokeCount"] == 3
    assert len(starts(function)) == 1
    assert rules(faulty) == [], "a rule that applied as often as it was to is gone"


def test_an_answer_that_is_dropped_has_the_event_run_again(faulty, make, fault):
    function = make()
    fault(function.arn, "--drop-answer", "--times", "1")
    accept(function, {"n": 3})
    advance(faulty, "10m")
    wait_until(lambda: len(records(function)) == 2, 10, "two runs")
    ids = [line for line in log_lines(function) if line.startswith("START ")]
    assert len(set(ids)) == 1 and len(ids) == 2, "the same event"


def test_callers_see_what_they_would_see_of_a_real_fault(make, fault):
    function = make()
    fault(function.arn, "--error", "--times", "1")
    assert function.call({"n": 4}).json["errorType"] == "Lambent.InjectedFault"
    fault(function.arn, "--throttle", "--times", "1")
    with Refused("TooManyRequestsException", 429):
        function.call({"n": 4})
    fault(function.arn, "--drop-answer", "--times", "1")
    with Refused("ServiceException", 500):
        function.call({"n": 5})
    fault(function.arn, "--slow", "1s", "--times", "1")
    began = time.monotonic()
    assert function({"n": 6}) == {"n": 6}
    assert time.monotonic() - began >= 1
    wait_until(lambda: [record["n"] for record in records(function)] == [5, 6], 10, "what ran")


def test_a_destination_that_fails_or_is_not_heard_is_told_again(faulty, make, fault):
    sqs = faulty.client("sqs")
    url = sqs.create_queue(QueueName=fresh_name())["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    function = make()
    configure(faulty, function, DestinationConfig={"OnSuccess": {"Destination": arn}})
    fault(arn, "--error", "--times", "2")
    fault(arn, "--throttle", "--times", "1")
    fault(arn, "--drop-answer", "--times", "1")
    accept(function, {"n": 7})
    # It fails three times, then comes, and comes again because nobody heard that it came.
    advance(faulty, "1m")
    found = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10, WaitTimeSeconds=20)["Messages"]
    assert [json.loads(message["Body"])["requestPayload"] for message in found] == [{"n": 7}] * 2
    assert rules(faulty) == []
    sqs.delete_queue(QueueUrl=url)


def test_rules_are_for_their_target_are_removed_and_refused_when_they_could_not_act(faulty, make, fault):
    function, other = make(), make()
    number = fault(function.arn, "--error")
    assert function.call({}).failed and not other.call({}).failed
    assert lambent(faulty, "fault", "rm", str(number))[0] == 0
    assert not function.call({}).failed
    code, _, err = lambent(faulty, "fault", "rm", str(number))
    assert code == 4 and "no fault" in err
    code, _, err = lambent(faulty, "fault", "add", "--target", "arn:aws:s3:::bucket", "--error")
    assert code == 4 and "function or a queue" in err


def test_faults_are_had_where_they_were_asked_for_only_and_end_with_the_node(node, tmp_path):
    code, _, err = lambent(node, "fault", "add", "--target", "arn:aws:sqs:us-east-1:000000000000:q", "--error")
    assert code == 4 and "--faults" in err
    words = ["up", "--faults", "--listen", "0.0.0.0", "--no-test-credentials", "--port", "0"]
    done = subprocess.run([BINARY, *words], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 2 and "--faults" in done.stderr
    for rounds in range(2):
        with Node(data=tmp_path / "data", options=["--faults"]) as own:
            assert rules(own) == [], f"start {rounds}"
            add = ["fault", "add", "--target", "arn:aws:sqs:us-east-1:000000000000:q", "--error"]
            assert lambent(own, *add)[0] == 0 and len(rules(own)) == 1
