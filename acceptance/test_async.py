"""Asynchronous calls: accepted means it will happen, across errors, throttles and a killed node."""

import json
import time

import pytest

from support.functions import Function, Refused, fresh_name
from support.node import ACCOUNT, Node, wait_until

RECORDER = """
    import json
    def handler(event, context):
        print("RECORD " + json.dumps(event))
        return event
"""

FAILING = """
    def handler(event, context):
        raise ValueError("never " + str(event["n"]))
"""


def accept(function, payload):
    answer = function.call(payload, InvocationType="Event", tail=False)
    assert answer.status == 202 and answer.raw == b""
    return answer


def log_lines(function):
    """The messages of a function's log, as far as they are there yet."""
    logs = function.node.logs
    found = []
    try:
        for page in logs.get_paginator("filter_log_events").paginate(logGroupName=function.group):
            found += [event["message"].rstrip("\n") for event in page["events"]]
    except logs.exceptions.ResourceNotFoundException:
        pass
    return found


def records(function):
    return [json.loads(line.split("RECORD ", 1)[1]) for line in log_lines(function) if line.startswith("RECORD ")]


def configure(node, function, **members):
    return node.functions.put_function_event_invoke_config(FunctionName=function.name, **members)


def test_an_event_is_answered_before_it_is_run_and_runs_once(make):
    function = make("import time\n" + "def handler(e, c):\n    time.sleep(3)\n    print('RECORD', e['n'], time.time())\n")
    answer = accept(function, {"n": 7})
    answered = time.time()
    ends = lambda: [line for line in log_lines(function) if line.startswith("END RequestId: ")]  # noqa: E731
    wait_until(ends)
    [record] = [line.split() for line in log_lines(function) if line.startswith("RECORD ")]
    assert record[1] == "7" and answered < float(record[2]), "the answer waited for the run"
    assert ends() == [f"END RequestId: {answer.request_id}"]


def test_failures_reach_their_destination_with_the_references_record(node, make):
    function, recorder = make(FAILING), make(RECORDER)
    configure(
        node, function, MaximumRetryAttempts=0, DestinationConfig={"OnFailure": {"Destination": recorder.arn}}
    )
    answer = accept(function, {"n": 1})
    wait_until(lambda: records(recorder), 15)
    [record] = records(recorder)
    assert record["requestContext"]["condition"] == "RetriesExhausted"
    assert record["requestContext"]["requestId"] == answer.request_id
    assert record["requestContext"]["approximateInvokeCount"] == 1
    assert record["requestPayload"] == {"n": 1}
    assert record["responsePayload"]["errorMessage"] == "never 1"
    assert record["responseContext"]["functionError"] == "Unhandled"


def test_successes_reach_their_destination(node, make):
    function, recorder = make("def handler(e, c):\n    return {'double': e['n'] * 2}\n"), make(RECORDER)
    configure(node, function, DestinationConfig={"OnSuccess": {"Destination": recorder.arn}})
    accept(function, {"n": 21})
    wait_until(lambda: records(recorder), 15)
    [record] = records(recorder)
    assert record["requestContext"]["condition"] == "Success" and record["responsePayload"] == {"double": 42}


def test_a_bus_gets_the_end_of_a_call_as_an_event(node, make):
    events, name, recorder = node.client("events"), fresh_name("ends"), make(RECORDER)
    bus = events.create_event_bus(Name=name)["EventBusArn"]
    pattern = {"source": ["lambda"], "detail": {"requestContext": {"condition": ["Success", "RetriesExhausted"]}}}
    rule = events.put_rule(Name="ends", EventBusName=name, EventPattern=json.dumps(pattern))["RuleArn"]
    node.functions.add_permission(
        FunctionName=recorder.name,
        StatementId="bus",
        Action="lambda:InvokeFunction",
        Principal="events.amazonaws.com",
        SourceArn=rule,
    )
    events.put_targets(Rule="ends", EventBusName=name, Targets=[{"Id": "t", "Arn": recorder.arn}])
    function = make("def handler(event, context):\n    return {'got': 1 / event['n']}\n")
    configure(
        node,
        function,
        MaximumRetryAttempts=0,
        DestinationConfig={end: {"Destination": bus} for end in ["OnSuccess", "OnFailure"]},
    )
    for n in [2, 0]:
        accept(function, {"n": n})
    wait_until(lambda: len(records(recorder)) >= 2, 30)
    ended = {event["detail-type"]: event for event in records(recorder)}
    kind = "Lambda Function Invocation Result - "
    assert set(ended) == {f"{kind}Success", f"{kind}Failure"}
    for condition, event in [("Success", ended[f"{kind}Success"]), ("RetriesExhausted", ended[f"{kind}Failure"])]:
        assert (event["source"], event["account"]) == ("lambda", ACCOUNT)
        assert event["resources"] == [bus, f"{function.arn}:$LATEST"]
        assert event["detail"]["version"] == "1.0"
        assert event["detail"]["requestContext"]["condition"] == condition
    assert ended[f"{kind}Success"]["detail"]["responsePayload"] == {"got": 0.5}
    events.remove_targets(Rule="ends", EventBusName=name, Ids=["t"])
    events.delete_rule(Name="ends", EventBusName=name)
    events.delete_event_bus(Name=name)


def test_a_function_that_is_switched_off_hands_its_events_to_the_destination(node, make):
    function, recorder = make(RECORDER), make(RECORDER)
    configure(node, function, DestinationConfig={"OnFailure": {"Destination": recorder.arn}})
    node.functions.put_function_concurrency(FunctionName=function.name, ReservedConcurrentExecutions=0)
    accept(function, {"n": 3})
    wait_until(lambda: records(recorder), 15)
    assert records(recorder)[0]["requestContext"]["condition"] == "ZeroReservedConcurrency"
    assert not records(function)


def test_more_events_than_concurrency_all_run(node, make):
    function = make("import time\n" + "def handler(e, c):\n    time.sleep(0.2)\n    print('RECORD ' + str(e['n']))\n")
    node.functions.put_function_concurrency(FunctionName=function.name, ReservedConcurrentExecutions=2)
    for n in range(12):
        accept(function, {"n": n})

    def ran():
        return sorted(int(line.split()[1]) for line in log_lines(function) if line.startswith("RECORD "))

    wait_until(lambda: len(ran()) >= 12, 60)
    assert ran() == list(range(12))


def test_what_was_accepted_survives_a_killed_node(tmp_path):
    events = 30
    with_node = Node(tmp_path / "data").start()
    try:
        function = Function(with_node, "kept").create(
            "import time\n" + "def handler(e, c):\n    time.sleep(5)\n    print('RECORD ' + str(e['n']))\n"
        )
        # None comes to its end before the kill, whose last log lines may be lost: all must come from the disk.
        with_node.functions.put_function_concurrency(FunctionName=function.name, ReservedConcurrentExecutions=1)
        for n in range(events):
            accept(function, {"n": n})
    finally:
        with_node.kill()
    with Node(tmp_path / "data") as again:
        again.functions.delete_function_concurrency(FunctionName=function.name)
        function = Function(again, "kept")

        def ran():
            return {int(line.split()[1]) for line in log_lines(function) if line.startswith("RECORD ")}

        wait_until(lambda: ran() == set(range(events)), 60, "every accepted event runs")


def test_a_configuration_is_kept_and_bad_ones_are_refused(node, make):
    function, other = make(RECORDER), make(RECORDER)
    client = node.functions
    configure(node, function, MaximumRetryAttempts=1, MaximumEventAgeInSeconds=120)
    found = client.get_function_event_invoke_config(FunctionName=function.name)
    assert (found["MaximumRetryAttempts"], found["MaximumEventAgeInSeconds"]) == (1, 120)
    assert found["FunctionArn"] == f"{function.arn}:$LATEST"
    client.update_function_event_invoke_config(
        FunctionName=function.name, DestinationConfig={"OnSuccess": {"Destination": other.arn}}
    )
    [listed] = client.list_function_event_invoke_configs(FunctionName=function.name)["FunctionEventInvokeConfigs"]
    assert listed["MaximumRetryAttempts"] == 1
    assert listed["DestinationConfig"]["OnSuccess"]["Destination"] == other.arn
    for bad, why in [("kinesis:us-east-1:000000000000:stream/s", "kinesis"), ("events:us-east-1:000000000000:rule/r", "rule/r")]:
        with Refused("InvalidParameterValueException", 400, why):
            configure(node, function, DestinationConfig={"OnFailure": {"Destination": f"arn:aws:{bad}"}})
    client.delete_function_event_invoke_config(FunctionName=function.name)
    with Refused("ResourceNotFoundException", 404, "EventInvokeConfig"):
        client.get_function_event_invoke_config(FunctionName=function.name)


@pytest.mark.parametrize("size", [1_048_576, 1_048_577])
def test_the_payload_limit_is_one_megabyte(make, size):
    function = make("def handler(e, c):\n    return len(e)\n")
    payload = b'"' + b"x" * (size - 2) + b'"'
    if size <= 1_048_576:
        assert function.call(raw=payload, InvocationType="Event", tail=False).status == 202
    else:
        with Refused("RequestTooLargeException", 413, "Event invocation type"):
            function.call(raw=payload, InvocationType="Event", tail=False)
