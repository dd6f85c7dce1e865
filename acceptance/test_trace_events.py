"""`lambent trace` follows one event over every hop: bus, rule, topic, queue, mapping, function, schedule."""

import json
import uuid
from datetime import UTC, datetime, timedelta

import pytest

from support.functions import Function, fresh_name
from support.node import ACCOUNT, REGION, ROLE, Node, wait_until
from test_trace import ECHO, FAILING, hops, lambent, trace

ROOT = "arn:aws:iam::000000000000:root"
HEADER = "Root=1-67891233-{};Parent=53995c3f42cd8ad8;Sampled=1"
PERMIT = {"Effect": "Allow", "Principal": {"Service": ["events.amazonaws.com", "sns.amazonaws.com"]}}


def arn(service, name):
    return f"arn:aws:{service}:{REGION}:{ACCOUNT}:{name}"


class Queue:
    def __init__(self, node, **attributes):
        self.sqs, self.name = node.client("sqs"), fresh_name("q")
        self.arn = arn("sqs", self.name)
        statement = {**PERMIT, "Action": "sqs:SendMessage", "Resource": self.arn}
        attributes["Policy"] = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
        self.url = self.sqs.create_queue(QueueName=self.name, Attributes=attributes)["QueueUrl"]

    def take(self):
        def taken():
            wanted = {"QueueUrl": self.url, "WaitTimeSeconds": 20, "MessageSystemAttributeNames": ["All"]}
            return self.sqs.receive_message(**wanted).get("Messages")

        [message] = wait_until(taken, 40, f"a message in {self.name}")
        return message


def permit(node, function, service):
    node.functions.add_permission(
        FunctionName=function.name,
        StatementId=service,
        Action="lambda:InvokeFunction",
        Principal=f"{service}.amazonaws.com",
    )


def shapes(way):
    """What happened where, in order, each named shortly."""
    return [(hop["kind"], hop["subject"].rsplit(":", 1)[1].rsplit("/", 1)[-1]) for hop in way]


def header():
    return HEADER.format(uuid.uuid4().hex[:24])


@pytest.fixture
def rule(node):
    """Makes rules on the default bus for a source of their own; gives the source, and the rule's name."""
    events, made = node.client("events"), []

    def rule(*targets, **more):
        name = fresh_name("rule")
        events.put_rule(Name=name, EventPattern=json.dumps({"source": [name]}))
        entries = [{"Id": str(n), "Arn": target, **more} for n, target in enumerate(targets)]
        assert events.put_targets(Rule=name, Targets=entries)["FailedEntryCount"] == 0
        made.append((name, [entry["Id"] for entry in entries]))
        return name

    yield rule
    for name, ids in made:
        events.remove_targets(Rule=name, Ids=ids)
        events.delete_rule(Name=name)


def put(node, source, detail=None, **more):
    entry = {"Source": source, "DetailType": "t", "Detail": json.dumps(detail or {}), **more}
    return node.client("events").put_events(Entries=[entry])["Entries"][0]["EventId"]


def test_an_event_is_followed_from_its_bus_over_a_topic_a_queue_and_a_mapping_to_a_function(node, make, rule):
    function, queue = make(ECHO, Timeout=5), Queue(node)
    sns = node.client("sns")
    topic = sns.create_topic(Name=fresh_name("t"))["TopicArn"]
    policy = {"Version": "2012-10-17", "Statement": [{**PERMIT, "Action": "sns:Publish", "Resource": topic}]}
    sns.set_topic_attributes(TopicArn=topic, AttributeName="Policy", AttributeValue=json.dumps(policy))
    subscription = sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=queue.arn)["SubscriptionArn"]
    mapping = node.functions.create_event_source_mapping(EventSourceArn=queue.arn, FunctionName=function.name)
    trace_header = header()
    try:
        name = rule(topic)
        event = put(node, name, TraceHeader=trace_header)
        way = hops(node, event, 5)
        assert shapes(way) == [
            ("accept", "default"),
            ("deliver", name),
            ("deliver", subscription.rsplit(":", 1)[1]),
            ("deliver", queue.name),
            ("call", function.name),
        ]
        accepted, ruled, published, mapped, call = way
        assert (accepted["id"], accepted["by"]) == (event, ROOT)
        assert (ruled["parent"], ruled["target"]) == (event, topic)
        assert (published["parent"], published["target"]) == (ruled["id"], queue.arn)
        assert (mapped["parent"], mapped["by"]) == (published["id"], mapping["EventSourceMappingArn"])
        assert (call["id"], call["source"]) == (mapped["id"], "mapping")
        # X-Ray's header goes all the way.
        assert {hop["trace"] for hop in way} == {trace_header[5:].split(";")[0]}
        # From every station the way is the same.
        for station in [ruled["id"], published["id"], mapped["id"], call["trace"]]:
            assert shapes(hops(node, station, 5)) == shapes(way), station
    finally:
        node.functions.delete_event_source_mapping(UUID=mapping["UUID"])
        sns.delete_topic(TopicArn=topic)


def test_an_event_without_a_trace_is_followed_by_its_ids_to_each_of_its_targets(node, make, rule):
    function, queue = make(ECHO), Queue(node)
    permit(node, function, "events")
    event = put(node, rule(function.arn, queue.arn))
    message = queue.take()
    assert "AWSTraceHeader" not in message["Attributes"], "no client's message gets a header that nobody sent"
    way = hops(node, event, 5)
    assert sorted(hop["kind"] for hop in way) == ["accept", "call", "deliver", "deliver", "deliver"]
    [call] = [hop for hop in way if hop["kind"] == "call"]
    targets = {hop["target"] for hop in way if hop["kind"] == "deliver"}
    assert targets == {function.arn, queue.arn, ROOT}
    assert {event, call["id"], message["MessageId"]} == {hop["id"] for hop in way}
    [received] = [hop for hop in way if hop.get("target") == ROOT]
    assert received["note"].startswith("receive 1, ")
    assert shapes(hops(node, call["id"], 5)) == shapes(way)


def test_what_is_sent_to_a_queue_takes_its_trace_along(node, make):
    function, queue = make(FAILING, Timeout=5), Queue(node, VisibilityTimeout="5")
    trace_header = header()
    attribute = {"AWSTraceHeader": {"DataType": "String", "StringValue": trace_header}}
    sent = queue.sqs.send_message(
        QueueUrl=queue.url, MessageBody='{"n": 1}', MessageSystemAttributes=attribute
    )["MessageId"]
    mapping = node.functions.create_event_source_mapping(EventSourceArn=queue.arn, FunctionName=function.name)
    try:
        # Each attempt is in it: the message comes again when its visibility timeout is over.
        way = hops(node, sent, 5)
        assert shapes(way)[:5] == [
            ("accept", queue.name),
            ("deliver", queue.name),
            ("call", function.name),
            ("deliver", queue.name),
            ("call", function.name),
        ]
        assert (way[0]["id"], way[0]["by"]) == (sent, ROOT)
        assert {hop["trace"] for hop in way} == {trace_header[5:].split(";")[0]}
        assert way[2]["outcome"] == "error"
        # To the moment at which each was told of.
        assert way[3]["atMs"] - way[1]["atMs"] > 4_000
    finally:
        node.functions.delete_event_source_mapping(UUID=mapping["UUID"])


def test_a_topics_subscribers_are_hops_with_their_outcomes(node, make):
    function, closed, dead, sns = make(ECHO), Queue(node), Queue(node), node.client("sns")
    permit(node, function, "sns")
    topic = sns.create_topic(Name=fresh_name("t"))["TopicArn"]
    try:
        sns.subscribe(TopicArn=topic, Protocol="lambda", Endpoint=function.arn)
        redrive = {"RedrivePolicy": json.dumps({"deadLetterTargetArn": dead.arn})}
        sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=closed.arn, Attributes=redrive)
        closed.sqs.set_queue_attributes(QueueUrl=closed.url, Attributes={"Policy": ""})
        message = sns.publish(TopicArn=topic, Message="m")["MessageId"]
        way = hops(node, message, 5)
        assert sorted(hop["kind"] for hop in way) == ["accept", "call", "deliver", "deliver", "give-up"]
        [given_up] = [hop for hop in way if hop["kind"] == "give-up"]
        assert given_up["target"] == closed.arn and given_up["note"].startswith("AccessDenied: ")
        [call] = [hop for hop in way if hop["kind"] == "call"]
        handed_on = {hop["target"]: hop for hop in way if hop["kind"] == "deliver"}
        assert set(handed_on) == {function.arn, dead.arn}
        assert {hop["parent"] for hop in handed_on.values()} == {message}
        assert handed_on[function.arn]["id"] == call["id"]
        assert handed_on[dead.arn]["id"] == dead.take()["MessageId"]
    finally:
        sns.delete_topic(TopicArn=topic)


def test_a_schedules_execution_is_followed_to_its_function(node, make):
    function, client, name = make(ECHO), node.client("scheduler"), fresh_name("s")
    moment = (datetime.now(UTC) + timedelta(seconds=2)).replace(microsecond=0)
    client.create_schedule(
        Name=name,
        ScheduleExpression=f"at({moment:%Y-%m-%dT%H:%M:%S})",
        FlexibleTimeWindow={"Mode": "OFF"},
        ActionAfterCompletion="DELETE",
        Target={"Arn": function.arn, "RoleArn": ROLE, "Input": '{"execution": "<aws.scheduler.execution-id>"}'},
    )
    called = wait_until(lambda: trace(node, function.name)["hops"], 30, "its call")[0]
    way = hops(node, called["id"], 3)
    assert shapes(way) == [("accept", name), ("deliver", name), ("call", function.name)]
    assert way[0]["note"] == f"it was due at {moment:%Y-%m-%dT%H:%M:%S}.000Z"
    assert (way[1]["parent"], way[1]["target"]) == (way[0]["id"], function.arn)
    assert shapes(hops(node, way[0]["id"], 3)) == shapes(way)


def test_a_fire_that_its_target_refuses_is_given_up_with_the_reason(node):
    client, name, nowhere = node.client("scheduler"), fresh_name("s"), fresh_name("gone")
    queue = Queue(node)
    moment = (datetime.now(UTC) + timedelta(seconds=2)).replace(microsecond=0)
    target = {"Arn": arn("lambda", f"function:{nowhere}"), "RoleArn": ROLE, "DeadLetterConfig": {"Arn": queue.arn}}
    client.create_schedule(
        Name=name,
        ScheduleExpression=f"at({moment:%Y-%m-%dT%H:%M:%S})",
        FlexibleTimeWindow={"Mode": "OFF"},
        ActionAfterCompletion="DELETE",
        Target=target,
    )
    letter = queue.take()
    way = hops(node, letter["MessageId"], 4)
    assert shapes(way)[:2] == [("accept", name), ("give-up", name)]
    assert (way[1]["target"], way[1]["outcome"]) == (target["Arn"], "refused") and way[1]["note"]


def test_a_message_that_is_received_too_often_is_given_up_to_the_dead_letter_queue(node):
    dead = Queue(node)
    policy = json.dumps({"deadLetterTargetArn": dead.arn, "maxReceiveCount": 2})
    queue = Queue(node, RedrivePolicy=policy, VisibilityTimeout="0")
    sent = queue.sqs.send_message(QueueUrl=queue.url, MessageBody="poison")["MessageId"]
    for _ in range(2):
        queue.take()
    assert "Messages" not in queue.sqs.receive_message(QueueUrl=queue.url)
    assert dead.take()["MessageId"] == sent
    way = hops(node, sent, 5)
    stations = [("accept", queue.name), ("deliver", queue.name), ("deliver", queue.name), ("give-up", queue.name)]
    assert shapes(way) == [*stations, ("deliver", dead.name)]
    assert (way[3]["target"], way[3]["outcome"]) == (dead.arn, "error")
    assert way[3]["note"] == "received 2 times; its queue's maxReceiveCount is 2"


def test_waits_for_a_target_and_its_end_tell_their_reasons():
    options = ["--faults", "--trace-payloads", "64"]
    allowed = ["a target can't take an event", "an event can't reach a target"]
    with Node(options=options, allowed=allowed) as node:
        queue, events = Queue(node), node.client("events")
        events.put_rule(Name="r", EventPattern='{"source":["app"]}')
        retry = {"MaximumRetryAttempts": 1, "MaximumEventAgeInSeconds": 600}
        events.put_targets(Rule="r", Targets=[{"Id": "t", "Arn": queue.arn, "RetryPolicy": retry}])
        lambent(node, "fault", "add", "--target", queue.arn, "--throttle")
        event = put(node, "app", {"n": 1})
        accepted, waits, given_up = hops(node, event, 3)
        assert accepted["payload"].startswith('{"version":"0","id":"' + event[:8]) and len(accepted["payload"]) == 64
        assert (waits["kind"], waits["target"]) == ("wait", queue.arn) and 0 < waits["tookMs"] <= 1_000
        assert given_up["kind"] == "give-up" and "MaximumRetryAttempts, 1 retries" in given_up["note"]
