"""EventBridge: what is put on a bus reaches the functions whose rules want it, and survives a killed node."""

import json
from urllib.error import HTTPError
from urllib.parse import quote
from urllib.request import Request, urlopen

import pytest

from support import raw
from support.functions import Function, Refused, fresh_name
from support.node import ACCOUNT, REGION, Node, wait_until

RECORDER = """
    import json
    def handler(event, context):
        print("RECORD " + json.dumps(event))
"""

DROPPED = r"an event can't reach a target"


def log_lines(function):
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


def permit(node, function, source_arn):
    node.functions.add_permission(
        FunctionName=function.name,
        StatementId=fresh_name("s"),
        Action="lambda:InvokeFunction",
        Principal="events.amazonaws.com",
        SourceArn=source_arn,
    )


class Bus:
    """A bus of its own for a scenario, and what is on it."""

    def __init__(self, node, name=None):
        self.node, self.client = node, node.client("events")
        self.name = name or fresh_name("bus")
        self.arn = self.client.create_event_bus(Name=self.name)["EventBusArn"]

    def rule(self, pattern, function=None, permitted=True, **target):
        name = fresh_name("rule")
        put = self.client.put_rule(Name=name, EventBusName=self.name, EventPattern=json.dumps(pattern))
        if function:
            if permitted:
                permit(self.node, function, put["RuleArn"])
            self.target(name, Id="t", Arn=function.arn, **target)
        return name

    def target(self, rule, **target):
        answer = self.client.put_targets(Rule=rule, EventBusName=self.name, Targets=[target])
        assert answer["FailedEntryCount"] == 0

    def put(self, detail, source="app", kind="test", **more):
        entry = {"Source": source, "DetailType": kind, "Detail": json.dumps(detail), "EventBusName": self.name, **more}
        answer = self.client.put_events(Entries=[entry])
        assert answer["FailedEntryCount"] == 0, answer
        return answer["Entries"][0]["EventId"]


class Queue:
    """A queue that lets EventBridge in, for all rules or for one, or does not."""

    def __init__(self, node, for_rule="arn:aws:events:*:*:rule/*", fifo=False):
        self.sqs, self.name = node.client("sqs"), fresh_name("q") + (".fifo" if fifo else "")
        attributes = {"FifoQueue": "true", "ContentBasedDeduplication": "true"} if fifo else {}
        self.url = self.sqs.create_queue(QueueName=self.name, Attributes=attributes)["QueueUrl"]
        self.arn = f"arn:aws:sqs:{REGION}:{ACCOUNT}:{self.name}"
        if for_rule:
            statement = {
                "Effect": "Allow",
                "Principal": {"Service": "events.amazonaws.com"},
                "Action": "sqs:SendMessage",
                "Resource": self.arn,
                "Condition": {"ArnLike": {"aws:SourceArn": for_rule}},
            }
            policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
            self.sqs.set_queue_attributes(QueueUrl=self.url, Attributes={"Policy": policy})

    def take(self, count=1):
        """As many messages as are told of, in the order in which they come."""
        taken = []
        while len(taken) < count:
            receive = lambda: self.sqs.receive_message(  # noqa: E731
                QueueUrl=self.url,
                MaxNumberOfMessages=10,
                WaitTimeSeconds=20,
                AttributeNames=["All"],
                MessageAttributeNames=["All"],
            ).get("Messages")
            for message in wait_until(receive, what=f"{count} messages in {self.name}, which got {len(taken)}"):
                self.sqs.delete_message(QueueUrl=self.url, ReceiptHandle=message["ReceiptHandle"])
                taken.append(message)
        return taken

    def is_empty(self):
        return "Messages" not in self.sqs.receive_message(QueueUrl=self.url)


def reasons(message):
    """What a dead letter says of itself."""
    return {name: value["StringValue"] for name, value in message["MessageAttributes"].items()}


@pytest.fixture
def bus(node):
    made = Bus(node)
    yield made
    client = made.client
    for rule in client.list_rules(EventBusName=made.name)["Rules"]:
        targets = client.list_targets_by_rule(Rule=rule["Name"], EventBusName=made.name)["Targets"]
        if targets:
            ids = [target["Id"] for target in targets]
            client.remove_targets(Rule=rule["Name"], EventBusName=made.name, Ids=ids)
        client.delete_rule(Name=rule["Name"], EventBusName=made.name)
    client.delete_event_bus(Name=made.name)


def test_an_event_reaches_a_function_in_the_references_envelope(bus, make):
    function = make(RECORDER)
    bus.rule({"detail": {"state": ["on"]}}, function)
    bus.put({"state": "off"})
    event_id = bus.put({"state": "on", "n": 1.50}, Resources=["arn:aws:x"], Time=1_600_000_000)
    [event] = wait_until(lambda: records(function), 15)
    assert event == {
        "version": "0",
        "id": event_id,
        "detail-type": "test",
        "source": "app",
        "account": ACCOUNT,
        "time": "2020-09-13T12:26:40Z",
        "region": REGION,
        "resources": ["arn:aws:x"],
        "detail": {"state": "on", "n": 1.5},
    }


@pytest.mark.parametrize(
    "test, wanted, unwanted",
    [
        ({"prefix": "a"}, "ab", "ba"),
        ({"suffix": {"equals-ignore-case": ".PNG"}}, "x.png", "x.jpg"),
        ({"anything-but": ["a", "b"]}, "c", "a"),
        ({"numeric": [">", 1, "<=", 5]}, 5, 1),
        ({"cidr": "10.0.0.0/24"}, "10.0.0.7", "10.0.1.7"),
        ({"exists": False}, {"inner": 1}, None),
        ({"wildcard": "a*z"}, "a to z", "z to a"),
        (None, None, "null"),
        (300, 3.0e2, "300"),
    ],
)
def test_patterns_are_judged_as_the_reference_judges_them(node, test, wanted, unwanted):
    client = node.client("events")

    def judge(value):
        event = {key: "x" for key in ("id", "account", "source", "time", "region", "detail-type")}
        event |= {"resources": [], "detail": {"field": value}}
        pattern = {"detail": {"field": [test]}}
        return client.test_event_pattern(EventPattern=json.dumps(pattern), Event=json.dumps(event))["Result"]

    assert judge(wanted) and not judge(unwanted)


def test_a_pattern_that_is_none_is_refused_in_the_references_words(node):
    client = node.client("events")
    with Refused("InvalidEventPatternException", 400, "Event pattern is not valid. Reason: Unrecognized match type foo"):
        client.put_rule(Name="r", EventPattern=json.dumps({"a": [{"foo": 1}]}))
    with Refused("ValidationException", 400, "Parameter ScheduleExpression is not valid."):
        client.put_rule(Name="r", ScheduleExpression="cron(* * * * * *)")


def test_targets_get_the_input_that_they_ask_for(bus, make):
    constant, part, made = make(RECORDER), make(RECORDER), make(RECORDER)
    bus.rule({"source": ["app"]}, constant, Input='{"k": [1]}')
    bus.rule({"source": ["app"]}, part, InputPath="$.detail.items[1]")
    transformer = {
        "InputPathsMap": {"who": "$.detail.who", "items": "$.detail.items"},
        "InputTemplate": '{"text": "hello <who>", "items": <items>, "rule": <aws.events.rule-name>}',
    }
    rule = bus.rule({"source": ["app"]}, made, InputTransformer=transformer)
    bus.put({"who": 'the "one"', "items": [1, {"b": 2}]})
    assert wait_until(lambda: records(constant), 15) == [{"k": [1]}]
    assert wait_until(lambda: records(part), 15) == [{"b": 2}]
    [found] = wait_until(lambda: records(made), 15)
    assert found == {"text": 'hello the "one"', "items": [1, {"b": 2}], "rule": rule}


def test_a_function_that_does_not_permit_it_is_not_called():
    with Node(allowed=[DROPPED]) as node:
        forbidden, other, permitted = (Function(node, name).create(RECORDER) for name in ("no", "other", "yes"))
        not_called(Bus(node), forbidden, other, permitted)


def not_called(bus, forbidden, other, permitted):
    bus.rule({"source": ["app"]}, forbidden, permitted=False)
    rule = bus.rule({"source": ["app"]}, other, permitted=False)
    permit(bus.node, other, f"arn:aws:events:{REGION}:{ACCOUNT}:rule/{bus.name}/{rule}-not")
    bus.rule({"source": ["app"]}, permitted)
    bus.put({"n": 1})
    wait_until(lambda: records(permitted), 15)
    assert not records(forbidden) and not records(other)
    complaints = lambda: [line for line in bus.node.lines if "can't reach a target" in line and bus.name in line]  # noqa: E731
    wait_until(lambda: len(complaints()) >= 2, what="two complaints")
    assert not records(forbidden) and not records(other)
    assert len(complaints()) == 2 and all("policy does not allow it" in line for line in complaints())


def test_a_rule_that_is_disabled_or_changed_acts_at_once(bus, make):
    function, last = make(RECORDER), make(RECORDER)
    rule = bus.rule({"source": ["app"]}, function)
    bus.rule({"detail-type": ["last"]}, last)
    bus.client.disable_rule(Name=rule, EventBusName=bus.name)
    bus.put({"n": 1})
    bus.client.enable_rule(Name=rule, EventBusName=bus.name)
    bus.put({"n": 2})
    bus.client.put_rule(Name=rule, EventBusName=bus.name, EventPattern='{"source": ["other"]}')
    bus.put({"n": 3})
    bus.put({"n": 4}, kind="last")
    wait_until(lambda: records(last) and records(function), 15)
    assert [event["detail"]["n"] for event in records(function)] == [2]


def test_a_bus_forwards_to_another_one(bus, make):
    function, second = make(RECORDER), Bus(bus.node)
    second.rule({"source": ["app"]}, function)
    rule = bus.rule({"detail": {"pass": [True]}})
    bus.target(rule, Id="bus", Arn=second.arn)
    bus.put({"pass": False})
    bus.put({"pass": True})
    [event] = wait_until(lambda: records(function), 15)
    assert event["detail"] == {"pass": True}


def test_a_queue_gets_the_events_that_its_policy_lets_in(node, bus):
    queue, closed, dead = Queue(node), Queue(node, for_rule=None), Queue(node)
    rule = bus.rule({"source": ["app"]})
    bus.target(rule, Id="open", Arn=queue.arn)
    bus.target(rule, Id="closed", Arn=closed.arn, DeadLetterConfig={"Arn": dead.arn})
    bus.target(rule, Id="gone", Arn=queue.arn + "-not", Input="1", DeadLetterConfig={"Arn": dead.arn})
    event_id = bus.put({"n": 1})
    [message] = queue.take()
    event = json.loads(message["Body"])
    assert (event["id"], event["detail"]) == (event_id, {"n": 1})
    letters = {reasons(letter)["TARGET_ARN"]: letter for letter in dead.take(2)}
    assert all(json.loads(letter["Body"])["id"] == event_id for letter in letters.values())
    told = reasons(letters[closed.arn])
    assert "policy" in told.pop("ERROR_MESSAGE")
    assert told == {
        "RULE_ARN": f"arn:aws:events:{REGION}:{ACCOUNT}:rule/{bus.name}/{rule}",
        "TARGET_ARN": closed.arn,
        "ERROR_CODE": "NO_PERMISSIONS",
        "RETRY_ATTEMPTS": "0",
    }
    assert reasons(letters[queue.arn + "-not"])["ERROR_CODE"] == "NO_RESOURCE"
    assert closed.is_empty()


def test_a_queues_policy_may_be_for_one_rule(node, bus):
    rule, other = bus.rule({"detail": {"n": [1]}}), bus.rule({"detail": {"n": [2]}})
    queue = Queue(node, for_rule=f"arn:aws:events:{REGION}:{ACCOUNT}:rule/{bus.name}/{rule}")
    dead = Queue(node)
    for name in (rule, other):
        bus.target(name, Id="q", Arn=queue.arn, DeadLetterConfig={"Arn": dead.arn})
    bus.put({"n": 2})
    bus.put({"n": 1})
    assert [json.loads(message["Body"])["detail"]["n"] for message in queue.take()] == [1]
    assert [json.loads(message["Body"])["detail"]["n"] for message in dead.take()] == [2]


def test_a_fifo_queue_gets_its_group_in_order(node, bus):
    queue = Queue(node, fifo=True)
    rule = bus.rule({"source": ["app"]})
    bus.target(rule, Id="q", Arn=queue.arn, InputPath="$.detail.n", SqsParameters={"MessageGroupId": "g"})
    for n in range(12):
        bus.put({"n": n})
    messages = queue.take(12)
    assert [message["Body"] for message in messages] == [str(n) for n in range(12)]
    assert {message["Attributes"]["MessageGroupId"] for message in messages} == {"g"}
    with Refused("ValidationException", 400, "MessageGroupId must be specified for target: q"):
        bus.target(rule, Id="q", Arn=queue.arn)


def test_a_functions_refusal_is_a_dead_letter(node, bus, make):
    forbidden, dead = make(RECORDER), Queue(node)
    bus.target(bus.rule({"source": ["app"]}), Id="f", Arn=forbidden.arn, DeadLetterConfig={"Arn": dead.arn})
    event_id = bus.put({"n": 1})
    [letter] = dead.take()
    assert (json.loads(letter["Body"])["id"], reasons(letter)["ERROR_CODE"]) == (event_id, "NO_PERMISSIONS")


class Topic:
    """A topic whose messages come to a queue as they were published; it lets EventBridge in, or does not."""

    def __init__(self, node, is_open=True):
        self.sns, self.queue = node.client("sns"), Queue(node, for_rule=None)
        self.arn = self.sns.create_topic(Name=fresh_name("t"))["TopicArn"]
        statement = {"Effect": "Allow", "Principal": "*", "Action": "sqs:SendMessage", "Resource": self.queue.arn}
        policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
        self.queue.sqs.set_queue_attributes(QueueUrl=self.queue.url, Attributes={"Policy": policy})
        attributes = {"RawMessageDelivery": "true"}
        self.sns.subscribe(TopicArn=self.arn, Protocol="sqs", Endpoint=self.queue.arn, Attributes=attributes)
        if is_open:
            statement = {
                "Effect": "Allow",
                "Principal": {"Service": "events.amazonaws.com"},
                "Action": "sns:Publish",
                "Resource": self.arn,
            }
            policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
            self.sns.set_topic_attributes(TopicArn=self.arn, AttributeName="Policy", AttributeValue=policy)


def test_a_topic_gets_the_events_that_its_policy_lets_in(node, bus):
    topic, closed, dead = Topic(node), Topic(node, is_open=False), Queue(node)
    rule = bus.rule({"source": ["app"]})
    bus.target(rule, Id="open", Arn=topic.arn, InputPath="$.detail")
    bus.target(rule, Id="closed", Arn=closed.arn, DeadLetterConfig={"Arn": dead.arn})
    event_id = bus.put({"n": 1})
    [message] = topic.queue.take()
    assert json.loads(message["Body"]) == {"n": 1}
    [letter] = dead.take()
    assert json.loads(letter["Body"])["id"] == event_id
    told = reasons(letter)
    assert (told["TARGET_ARN"], told["ERROR_CODE"]) == (closed.arn, "NO_PERMISSIONS")
    assert closed.queue.is_empty()
    with Refused("ValidationException", 400, "FIFO topics are not supported as targets"):
        bus.target(rule, Id="x", Arn=topic.arn + ".fifo")


def test_the_nodes_own_changes_are_events_on_the_default_bus(node, make):
    events, queue, name = node.client("events"), Queue(node), fresh_name("own")
    function = make(RECORDER)
    pattern = json.dumps({"source": ["lambent"], "resources": [function.arn]})
    events.put_rule(Name=name, EventPattern=pattern)
    events.put_targets(Rule=name, Targets=[{"Id": "q", "Arn": queue.arn}])
    try:
        node.functions.update_function_configuration(FunctionName=function.name, Description="new")
        node.functions.put_function_concurrency(FunctionName=function.name, ReservedConcurrentExecutions=0)
        for _ in range(3):
            with Refused("TooManyRequestsException", 429, "."):
                function()
        told = [json.loads(message["Body"]) for message in queue.take(3)]
        node.functions.delete_function(FunctionName=function.name)
        told += [json.loads(message["Body"]) for message in queue.take()]
        told.sort(key=lambda event: (event["detail-type"], event["detail"].get("operation")))
        assert [(event["detail-type"], event["detail"].get("operation")) for event in told] == [
            ("Lambda Function Deleted", "DeleteFunction"),
            # Three calls in a minute, and one event.
            ("Lambda Function Throttled", None),
            ("Lambda Function Updated", "PutFunctionConcurrency"),
            ("Lambda Function Updated", "UpdateFunctionConfiguration"),
        ]
        assert told[1]["detail"]["reason"] == "ReservedFunctionConcurrentInvocationLimitExceeded"
        assert {event["account"] for event in told} == {ACCOUNT}
    finally:
        events.remove_targets(Rule=name, Ids=["q"])
        events.delete_rule(Name=name)
    entry = {"Source": "lambent", "DetailType": "Lambda Function Deleted", "Detail": "{}"}
    [refused] = events.put_events(Entries=[entry])["Entries"]
    assert refused["ErrorCode"] == "NotAuthorizedForSourceException"


def test_partial_failures_name_their_entries(node):
    good = {"Source": "app", "DetailType": "t", "Detail": "{}"}
    entries = [good, {**good, "Detail": "not json"}, {**good, "Source": "aws.ec2"}, {"Source": "app", "Detail": "{}"}]
    answer = node.client("events").put_events(Entries=entries)
    assert answer["FailedEntryCount"] == 3
    codes = [entry.get("ErrorCode") for entry in answer["Entries"]]
    assert codes == [None, "MalformedDetail", "NotAuthorizedForSourceException", "InvalidArgument"]
    with Refused("ValidationException", 400, "Total size of the entries in the request is over the limit."):
        node.client("events").put_events(Entries=[{**good, "Detail": json.dumps("x" * 110_000)}] * 10)


def test_targets_that_are_not_served_are_refused_by_name(bus, make):
    rule, function = bus.rule({"source": ["app"]}), make(RECORDER)
    with Refused("ValidationException", 400, "kinesis"):
        bus.target(rule, Id="x", Arn=f"arn:aws:kinesis:{REGION}:{ACCOUNT}:stream/s")
    with Refused("ValidationException", 400, "EcsParameters"):
        bus.target(rule, Id="x", Arn=function.arn, EcsParameters={"TaskDefinitionArn": "x"})
    with Refused("UnsupportedOperationException", 501, "ListEndpoints"):
        bus.client.list_endpoints()


def test_a_scheduled_rule_calls_its_function_again_and_again(node, make):
    function, client = make(RECORDER), node.client("events")
    name = fresh_name("timer")
    arn = client.put_rule(Name=name, ScheduleExpression="rate(1 second)")["RuleArn"]
    permit(node, function, arn)
    client.put_targets(Rule=name, Targets=[{"Id": "t", "Arn": function.arn}])
    try:
        wait_until(lambda: len(records(function)) >= 3, 30)
    finally:
        client.remove_targets(Rule=name, Ids=["t"])
        client.delete_rule(Name=name)
    events = records(function)
    assert all(event["source"] == "aws.events" and event["resources"] == [arn] for event in events)
    assert len({event["time"] for event in events}) == len(events)


def test_what_was_put_survives_a_killed_node(tmp_path):
    count = 20
    node = Node(tmp_path / "data").start()
    try:
        slow = "import json, time\ndef handler(e, c):\n    time.sleep(5)\n    print('RECORD ' + json.dumps(e))\n"
        function = Function(node, "kept").create(slow)
        # None comes to its end before the kill, whose last log lines may be lost: all must come from the disk.
        node.functions.put_function_concurrency(FunctionName="kept", ReservedConcurrentExecutions=1)
        bus = Bus(node, "kept")
        bus.rule({"source": ["app"]}, function)
        for n in range(count):
            bus.put({"n": n})
    finally:
        node.kill()
    with Node(tmp_path / "data") as again:
        again.functions.delete_function_concurrency(FunctionName="kept")
        [rule] = again.client("events").list_rules(EventBusName="kept")["Rules"]
        assert rule["State"] == "ENABLED"
        function = Function(again, "kept")

        def seen():
            return {event["detail"]["n"] for event in records(function)}

        wait_until(lambda: seen() == set(range(count)), 60, "every event that was put arrives")


def test_a_change_that_was_answered_is_told_of_after_a_kill(tmp_path):
    node = Node(tmp_path / "data").start()
    try:
        events, queue = node.client("events"), Queue(node)
        function = Function(node, "changing").create(RECORDER)
        events.put_rule(Name="own", EventPattern=json.dumps({"detail": {"operation": [{"prefix": "Update"}]}}))
        events.put_targets(Rule="own", Targets=[{"Id": "q", "Arn": queue.arn}])

        def update(text):
            changed = node.functions.update_function_configuration(FunctionName=function.name, Description=text)
            return changed["RevisionId"]

        wanted = {update(str(n)) for n in range(20)}
    finally:
        node.kill()
    with Node(tmp_path / "data") as again:
        queue.sqs, got = again.client("sqs"), set()
        # What was brought just before the kill may come twice.
        while got != wanted:
            got |= {json.loads(message["Body"])["detail"]["revisionId"] for message in queue.take()}


def test_what_was_put_for_a_queue_survives_a_killed_node(tmp_path):
    node = Node(tmp_path / "data").start()
    try:
        queue, bus = Queue(node), Bus(node, "kept")
        bus.target(bus.rule({"source": ["app"]}), Id="q", Arn=queue.arn)
        wanted = {bus.put({"n": n}) for n in range(40)}
    finally:
        node.kill()
    with Node(tmp_path / "data") as again:
        queue.sqs, got = again.client("sqs"), set()
        # What was brought just before the kill may come twice.
        while got != wanted:
            got |= {json.loads(message["Body"])["id"] for message in queue.take()}


def test_a_replay_puts_archived_events_on_their_bus_again(node, bus, make):
    client, function, other, archive, replay = bus.client, make(RECORDER), make(RECORDER), fresh_name("a"), fresh_name("r")
    wanted = {"detail": {"keep": [True]}}
    made = client.create_archive(ArchiveName=archive, EventSourceArn=bus.arn, EventPattern=json.dumps(wanted))
    put = {n: bus.put({"n": n, "keep": n != 2}, Time=1_600_000_000 + n) for n in (3, 1, 2, 4)}
    try:
        describe = lambda: client.describe_archive(ArchiveName=archive)
        wait_until(lambda: describe()["EventCount"] == 3, 15)
        assert describe()["State"] == "ENABLED" and describe()["SizeBytes"] > 300
        rule = bus.rule({"source": ["app"]}, function)
        bus.rule({"source": ["app"]}, other)
        started = client.start_replay(
            ReplayName=replay,
            EventSourceArn=made["ArchiveArn"],
            EventStartTime=1_600_000_001,
            EventEndTime=1_600_000_003,
            Destination={"Arn": bus.arn, "FilterArns": [f"arn:aws:events:{REGION}:{ACCOUNT}:rule/{bus.name}/{rule}"]},
        )
        assert started["State"] == "STARTING"
        wait_until(lambda: client.describe_replay(ReplayName=replay)["State"] == "COMPLETED", 15)
        events = wait_until(lambda: len(records(function)) == 2 and records(function), 15)
        assert {event["detail"]["n"]: event["id"] for event in events} == {1: put[1], 3: put[3]}
        assert {event["replay-name"] for event in events} == {replay}
        assert not records(other) and describe()["EventCount"] == 3
    finally:
        client.delete_archive(ArchiveName=archive)


def test_an_archive_and_its_replay_survive_a_killed_node(tmp_path):
    node = Node(tmp_path / "data").start()
    try:
        bus, queue = Bus(node, "kept"), Queue(node)
        archive = bus.client.create_archive(ArchiveName="kept", EventSourceArn=bus.arn)["ArchiveArn"]
        wanted = {bus.put({"n": n}, Time=1_600_000_000 + n) for n in range(30)}
    finally:
        node.kill()
    replay = {
        "ReplayName": "kept",
        "EventSourceArn": archive,
        "EventStartTime": 1_600_000_000,
        "EventEndTime": 1_600_000_100,
        "Destination": {"Arn": bus.arn},
    }
    with Node(tmp_path / "data") as again:
        bus.client, queue.sqs = again.client("events"), again.client("sqs")
        assert len(bus.client.list_archives(EventSourceArn=bus.arn)["Archives"]) == 1
        bus.target(bus.rule({"source": ["app"]}), Id="q", Arn=queue.arn)
        bus.client.start_replay(**replay)
        again.kill()
    with Node(tmp_path / "data") as last:
        queue.sqs, got = last.client("sqs"), set()
        while got != wanted:
            got |= {json.loads(message["Body"])["id"] for message in queue.take()}
        wait_until(lambda: last.client("events").describe_replay(ReplayName="kept")["State"] == "COMPLETED", 15)


def post_cloud_events(node, bus, body, expires=None, **headers):
    headers = {name.replace("_", "-"): value for name, value in headers.items()}
    path = f"/_lambent/events/{quote(bus, safe='')}"
    # A presigned address serves clients that can't sign.
    signing = {"expires": expires} if expires else {"headers": headers}
    request = raw.signed(node, "POST", path, b"" if expires else body, service="events", **signing)
    sent = headers if expires else dict(request.headers)
    with urlopen(Request(request.url, data=body, headers=sent, method="POST")) as answer:
        return json.load(answer)["EventIds"]


def test_cloud_events_of_each_mode_reach_a_bus_and_a_target_receives_them(node, bus):
    queue = Queue(node)
    rule = bus.rule({"source": ["/shop"], "detail-type": ["order.made"]})
    bus.target(rule, Id="whole", Arn=queue.arn)
    bus.target(rule, Id="event", Arn=queue.arn, InputPath="$.detail")
    attributes = {"specversion": "1.0", "source": "/shop", "type": "order.made", "time": "2026-11-21T09:00:00+01:00"}
    binary = {f"ce_{name}": value for name, value in {**attributes, "id": "1", "subject": "o-1"}.items()}
    posted = post_cloud_events(node, bus.name, b'{"n": 1}', content_type="application/json", **binary)
    structured = {**attributes, "id": "2", "data": {"n": 2}}
    kind = "application/cloudevents+json"
    posted += post_cloud_events(node, bus.arn, json.dumps(structured).encode(), content_type=kind)
    batch = [{**attributes, "id": "3", "data": "text"}, {**attributes, "id": "4", "type": "other"}]
    kind = "application/cloudevents-batch+json"
    posted += post_cloud_events(node, bus.name, json.dumps(batch).encode(), content_type=kind)
    found = [json.loads(message["Body"]) for message in queue.take(6)]
    events = {event["id"]: event for event in found if "detail-type" in event}
    assert list(sorted(events)) == sorted(posted[:3]) and len(posted) == 4
    event = events[posted[0]]
    assert (event["source"], event["detail-type"], event["resources"]) == ("/shop", "order.made", ["o-1"])
    assert event["time"] == "2026-11-21T08:00:00Z"
    received = {event["id"]: event for event in found if "specversion" in event}
    assert received["1"] == {
        **attributes, "id": "1", "subject": "o-1", "datacontenttype": "application/json", "data": {"n": 1}
    }
    assert received["2"] == structured and received["3"] == batch[0]


def test_cloud_events_are_taken_with_a_presigned_address_and_refused_without_a_signature(node, bus):
    queue = Queue(node)
    bus.target(bus.rule({"source": ["/s"]}), Id="q", Arn=queue.arn)
    headers = {"ce_specversion": "1.0", "ce_id": "1", "ce_source": "/s", "ce_type": "t"}
    post_cloud_events(node, bus.name, b"", expires=60, **headers)
    assert json.loads(queue.take()[0]["Body"])["detail"]["id"] == "1"
    with pytest.raises(HTTPError, match="403"):
        post_cloud_events(node, bus.name, b"", expires=60, **{**headers, "ce_source": "lambent"})
    path = f"/_lambent/events/{bus.name}"
    with raw.Connection(node) as connection:
        assert connection.request("POST", path, [(name.replace("_", "-"), value) for name, value in headers.items()])[0] == 403
    signed = raw.signed(node, "POST", path, b"{}", service="events", headers={"content-type": "application/json"})
    with raw.Connection(node) as connection:
        status, _, body = connection.request("POST", path, list(signed.headers.items()), b"{}")
    assert status == 400 and b"the attribute specversion is missing" in body
