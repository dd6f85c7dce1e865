"""EventBridge Scheduler: schedules call their functions when they should, once, also across a killed node."""

import json
import time
from datetime import UTC, datetime, timedelta

import pytest

from support import node as attempts
from support.functions import Function, Refused, fresh_name
from support.node import ACCOUNT, REGION, ROLE, Node, wait_until
from test_eventbridge import RECORDER, Bus, Queue, Topic, log_lines, reasons, records

OFF = {"Mode": "OFF"}


@pytest.fixture
def schedule(node):
    """Makes schedules that are deleted when the scenario ends."""
    client, made = node.client("scheduler"), []

    def schedule(expression, function, target=None, **settings):
        name = fresh_name("s")
        client.create_schedule(
            Name=name,
            ScheduleExpression=expression,
            **{"FlexibleTimeWindow": OFF, **settings},
            Target={"Arn": function.arn, "RoleArn": ROLE, **(target or {})},
        )
        made.append((name, settings.get("GroupName", "default")))
        return name

    yield schedule
    for name, group in made:
        try:
            client.delete_schedule(Name=name, GroupName=group)
        except client.exceptions.ResourceNotFoundException:
            pass


def soon(seconds, zone=UTC):
    return (datetime.now(UTC) + timedelta(seconds=seconds)).astimezone(zone).replace(microsecond=0)


def at(moment):
    return f"at({moment:%Y-%m-%dT%H:%M:%S})"


def test_a_single_moment_calls_its_function_once_and_on_time(node, make, schedule):
    function = make("import time\ndef handler(e, c):\n    print('AT', time.time())\n")

    def ran():
        return [float(line.split()[1]) for line in log_lines(function) if line.startswith("AT ")]

    function()

    def is_on_time():
        before, moment = len(ran()), soon(3)
        name = schedule(at(moment), function)
        times = wait_until(lambda: ran()[before:])
        assert node.client("scheduler").get_schedule(Name=name)["ActionAfterCompletion"] == "NONE"
        late = times[0] - moment.timestamp()
        assert late >= 0 and len(ran()) == before + 1
        # The reference promises the minute.
        return late < 2

    attempts.soon(is_on_time, "a call on time")


def test_a_time_zone_moves_the_moment(make, schedule):
    function = make(RECORDER)
    moment = soon(2)
    # Kathmandu is 5:45 ahead, all year.
    there = moment + timedelta(hours=5, minutes=45)
    schedule(at(there), function, ScheduleExpressionTimezone="Asia/Kathmandu")
    [event] = wait_until(lambda: records(function), 20)
    assert event["time"] == f"{moment:%Y-%m-%dT%H:%M:%SZ}"


def test_inputs_name_their_schedule(make, schedule):
    function = make(RECORDER)
    text = '{"at": "<aws.scheduler.scheduled-time>", "attempt": "<aws.scheduler.attempt-number>", "own": 7}'
    moment = soon(1)
    schedule(at(moment), function, {"Input": text})
    [event] = wait_until(lambda: records(function), 20)
    assert event == {"at": f"{moment:%Y-%m-%dT%H:%M:%SZ}", "attempt": "1", "own": 7}


def test_a_rate_goes_on_until_its_end_and_its_schedule_goes_then(node, make, schedule):
    function, client = make(RECORDER), node.client("scheduler")
    name = schedule("rate(1 seconds)", function, EndDate=soon(7), ActionAfterCompletion="DELETE")

    def is_gone():
        return name not in [found["Name"] for found in client.list_schedules(NamePrefix=name)["Schedules"]]

    wait_until(is_gone, 20)
    wait_until(lambda: len(records(function)) >= 3, 20)
    events = records(function)
    assert len({event["time"] for event in events}) == len(events) <= 8


def test_a_disabled_schedule_and_one_that_begins_later_wait(node, make, schedule):
    disabled, later, now = make(RECORDER), make(RECORDER), make(RECORDER)
    name = schedule("rate(1 seconds)", disabled, State="DISABLED")
    schedule("rate(1 seconds)", later, StartDate=soon(3_600))
    schedule("rate(1 seconds)", now)
    wait_until(lambda: len(records(now)) >= 3, 20)
    assert not records(disabled) and not records(later)
    found = node.client("scheduler").get_schedule(Name=name)
    members = ("Name", "ScheduleExpression", "FlexibleTimeWindow", "Target")
    node.client("scheduler").update_schedule(**{member: found[member] for member in members})
    wait_until(lambda: records(disabled), 20)


def test_groups_go_with_their_schedules(node, make, schedule):
    function, client = make(RECORDER), node.client("scheduler")
    group = fresh_name("group")
    arn = client.create_schedule_group(Name=group, Tags=[{"Key": "k", "Value": "v"}])["ScheduleGroupArn"]
    assert client.list_tags_for_resource(ResourceArn=arn)["Tags"] == [{"Key": "k", "Value": "v"}]
    name = schedule("rate(1 hour)", function, GroupName=group)
    assert [found["Name"] for found in client.list_schedules(GroupName=group)["Schedules"]] == [name]
    client.delete_schedule_group(Name=group)
    with Refused("ResourceNotFoundException", 404, name):
        client.get_schedule(Name=name, GroupName=group)


def test_a_schedule_puts_events_on_a_bus(node, make, schedule):
    function, bus = make(RECORDER), Bus(node)
    bus.rule({"source": ["timer"]}, function)

    class Target:
        arn = bus.arn

    parameters = {"Source": "timer", "DetailType": "tick"}
    schedule(at(soon(1)), Target, {"EventBridgeParameters": parameters, "Input": '{"n": 1}'})
    [event] = wait_until(lambda: records(function), 20)
    assert (event["detail-type"], event["detail"]) == ("tick", {"n": 1})


def test_a_schedule_sends_to_a_queue_by_its_role_and_what_fails_to_another_one(node, schedule):
    queue, ordered = Queue(node, for_rule=None), Queue(node, for_rule=None, fifo=True)
    dead = Queue(node, for_rule=None)

    class Gone:
        arn = queue.arn + "-not"

    moment = soon(1)
    schedule(at(moment), queue, {"Input": "plain text at <aws.scheduler.scheduled-time>"})
    schedule(at(moment), ordered, {"SqsParameters": {"MessageGroupId": "g"}})
    name = schedule(at(moment), Gone, {"Input": "lost", "DeadLetterConfig": {"Arn": dead.arn}})
    [message] = queue.take()
    assert message["Body"] == f"plain text at {moment:%Y-%m-%dT%H:%M:%SZ}"
    [message] = ordered.take()
    assert message["Attributes"]["MessageGroupId"] == "g"
    assert json.loads(message["Body"])["source"] == "aws.scheduler"
    [letter] = dead.take()
    told = reasons(letter)
    assert letter["Body"] == "lost" and told["TARGET_ARN"] == Gone.arn
    assert told["SCHEDULE_ARN"] == f"arn:aws:scheduler:{REGION}:{ACCOUNT}:schedule/default/{name}"
    assert told["ERROR_CODE"] == "AWS.SimpleQueueService.NonExistentQueue"


def test_a_schedule_publishes_to_a_topic_by_its_role_and_what_fails_goes_to_a_queue(node, schedule):
    topic, dead = Topic(node, is_open=False), Queue(node, for_rule=None)

    class Gone:
        arn = topic.arn + "-not"

    schedule(at(soon(1)), topic, {"Input": "plain text"})
    schedule(at(soon(1)), Gone, {"Input": "lost", "DeadLetterConfig": {"Arn": dead.arn}})
    [message] = topic.queue.take()
    assert message["Body"] == "plain text"
    [letter] = dead.take()
    assert letter["Body"] == "lost"
    assert (reasons(letter)["TARGET_ARN"], reasons(letter)["ERROR_CODE"]) == (Gone.arn, "NotFound")


class Operation:
    """A universal target."""

    def __init__(self, name):
        self.arn = f"arn:aws:scheduler:::aws-sdk:{name}"


def test_a_schedule_calls_operations_of_services(node, make, schedule):
    function, group = make(RECORDER), f"/made/{fresh_name('by')}"
    queue, topic, bus = Queue(node, for_rule=None), Topic(node, is_open=False), Bus(node)
    bus.rule({"source": ["universal"]}, function)
    attributes = {"k": {"DataType": "String", "StringValue": "v"}}
    entry = {"Source": "universal", "DetailType": "t", "Detail": '{"n": 1}', "EventBusName": bus.name}
    calls = {
        "sqs:sendMessage": {"QueueUrl": queue.url, "MessageBody": "<aws.scheduler.attempt-number>", "MessageAttributes": attributes},
        "sns:publish": {"TopicArn": topic.arn, "Message": "told", "MessageAttributes": attributes},
        "eventbridge:putEvents": {"Entries": [entry]},
        "lambda:invoke": {"FunctionName": function.name, "InvocationType": "Event", "Payload": '{"by": "invoke"}'},
        "lambda:putFunctionConcurrency": {"FunctionName": function.name, "ReservedConcurrentExecutions": 7},
        "cloudwatchlogs:createLogGroup": {"logGroupName": group},
        "scheduler:createScheduleGroup": {"Name": fresh_name("made")},
    }
    for name, call in calls.items():
        # A moment that is over when its schedule is made never comes.
        schedule(at(soon(3)), Operation(name), {"Input": json.dumps(call)})
    [message] = queue.take()
    assert (message["Body"], message["MessageAttributes"]["k"]["StringValue"]) == ("1", "v")
    [message] = topic.queue.take()
    assert (message["Body"], message["MessageAttributes"]["k"]["StringValue"]) == ("told", "v")
    wait_until(lambda: len(records(function)) >= 2, 30)
    [event] = [event for event in records(function) if "detail" in event]
    assert event["detail"] == {"n": 1} and {"by": "invoke"} in records(function)
    concurrency = node.functions.get_function_concurrency
    wait_until(lambda: concurrency(FunctionName=function.name).get("ReservedConcurrentExecutions") == 7, 30)
    made = calls["scheduler:createScheduleGroup"]["Name"]
    wait_until(lambda: [g["Name"] for g in node.client("scheduler").list_schedule_groups(NamePrefix=made)["ScheduleGroups"]], 30)
    wait_until(lambda: "ResourceNotFoundException" not in str(streams_of(node, group)), 30)


def streams_of(node, group):
    try:
        return node.logs.describe_log_streams(logGroupName=group)
    except node.logs.exceptions.ResourceNotFoundException as error:
        return error


def test_an_operation_that_is_refused_is_a_dead_letter_and_what_is_none_is_refused(node, schedule):
    dead = Queue(node, for_rule=None)
    call = json.dumps({"QueueUrl": f"http://localhost/{ACCOUNT}/gone", "MessageBody": "lost"})
    target = {"Input": call, "DeadLetterConfig": {"Arn": dead.arn}}
    schedule(at(soon(3)), Operation("sqs:sendMessage"), target)
    [letter] = dead.take()
    said = reasons(letter)
    assert letter["Body"] == call and said["ERROR_CODE"] == "AWS.SimpleQueueService.NonExistentQueue", said
    assert (said["TARGET_ARN"], said["RETRY_ATTEMPTS"]) == (Operation("sqs:sendMessage").arn, "0")
    for name, word in [("sqs:getQueueUrl", "getQueueUrl"), ("sqs:nothing", "nothing"), ("dynamodb:putItem", "dynamodb")]:
        with Refused("ValidationException", 400, word):
            schedule("rate(1 hour)", Operation(name), {"Input": "{}"})


def test_what_is_no_schedule_is_refused(node, make, schedule):
    function = make(RECORDER)
    with Refused("ValidationException", 400, r"Invalid Schedule Expression rate\(5\)."):
        schedule("rate(5)", function)
    with Refused("ValidationException", 400, "Mars/Base"):
        schedule("rate(5 minutes)", function, ScheduleExpressionTimezone="Mars/Base")
    with Refused("ValidationException", 400, "Target.EcsParameters"):
        schedule("rate(5 minutes)", function, {"EcsParameters": {"TaskDefinitionArn": "x"}})


def test_moments_that_were_missed_are_made_up_for_once_and_none_comes_twice(tmp_path):
    node = Node(tmp_path / "data").start()
    try:
        functions = {name: Function(node, name).create(RECORDER) for name in ("often", "single", "strict")}
        client = node.client("scheduler")

        def create(name, expression, **target):
            target = {"Arn": functions[name].arn, "RoleArn": ROLE, **target}
            client.create_schedule(Name=name, ScheduleExpression=expression, FlexibleTimeWindow=OFF, Target=target)

        create("often", "rate(1 seconds)")
        wait_until(lambda: len(records(functions["often"])) >= 2, 20)
        moment = soon(2)
        create("single", at(moment))
    finally:
        node.kill()
    seen = None
    wait_until(lambda: time.time() > moment.timestamp() + 1, 10)
    for _ in range(2):
        node = Node(tmp_path / "data").start()
        try:
            function = Function(node, "single")
            wait_until(lambda: records(function), 30, "the missed moment is made up for")
            often = Function(node, "often")
            before = len(records(often))
            wait_until(lambda: len(records(often)) > before + 1, 30)
            seen = records(often)
            # Log lines are stored within a second: what was seen survives the next kill.
            wait_until(lambda: time.time() > moment.timestamp() + 3, 10)
        finally:
            node.kill()
    with Node(tmp_path / "data") as node:
        node.client("scheduler").delete_schedule(Name="often")
        assert len(records(Function(node, "single"))) == 1
        times = [event["time"] for event in records(Function(node, "often"))]
        assert len(times) >= len(seen) and len(set(times)) == len(times), "a moment came twice"
