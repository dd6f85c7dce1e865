"""Queues that call functions: each setting of an event source mapping in a scenario that fails when it is ignored."""

import base64
import hashlib
import json
import textwrap
import time
import urllib.request
import uuid

import pytest

from support.functions import Function, Refused, fresh_name, package
from support.node import ACCOUNT, REGION, ROLE, Node, wait_until
from support.packages import archive, pip, tree

# Says what it was called with, then does as the first message's body says.
SEES = """
    import json, time

    def handler(event, context):
        began = time.time()
        records = event["Records"]
        order = json.loads(records[0]["body"]) if records[0]["body"].startswith("{") else {}
        time.sleep(order.get("sleep", 0))
        ended = time.time()
        print("SEEN " + json.dumps({"event": event, "began": began, "ended": ended}))
        if order.get("fail"):
            raise RuntimeError("as it was told")
        return order.get("answer")
"""


class Queue:
    """A queue under a name of its own."""

    def __init__(self, node, fifo=False, **attributes):
        self.sqs = node.client("sqs")
        name = f"q-{uuid.uuid4().hex[:12]}" + (".fifo" if fifo else "")
        if fifo:
            attributes |= {"FifoQueue": "true", "ContentBasedDeduplication": "true"}
        attributes = {key: str(value) for key, value in attributes.items()}
        self.url = self.sqs.create_queue(QueueName=name, Attributes=attributes)["QueueUrl"]
        self.arn = f"arn:aws:sqs:{REGION}:{ACCOUNT}:{name}"

    def send(self, body, **more):
        body = body if isinstance(body, str) else json.dumps(body)
        return self.sqs.send_message(QueueUrl=self.url, MessageBody=body, **more)["MessageId"]

    def send_many(self, bodies):
        for at in range(0, len(bodies), 10):
            entries = [{"Id": str(n), "MessageBody": body} for n, body in enumerate(bodies[at : at + 10])]
            self.sqs.send_message_batch(QueueUrl=self.url, Entries=entries)

    def counts(self):
        """Messages that can be received, and messages that can't now."""
        found = self.sqs.get_queue_attributes(QueueUrl=self.url, AttributeNames=["All"])["Attributes"]
        visible, in_flight, delayed = (int(found["ApproximateNumberOfMessages" + n]) for n in ["", "NotVisible", "Delayed"])
        return visible, in_flight + delayed

    def is_empty(self):
        return self.counts() == (0, 0)

    def delete(self):
        try:
            self.sqs.delete_queue(QueueUrl=self.url)
        except self.sqs.exceptions.QueueDoesNotExist:
            pass


@pytest.fixture
def queue(node):
    """Makes queues that are deleted when the scenario ends: `queue(VisibilityTimeout=2)`."""
    made = []

    def queue(fifo=False, **attributes):
        made.append(Queue(node, fifo, **attributes))
        return made[-1]

    yield queue
    for one in made:
        one.delete()


class Mapping:
    def __init__(self, client, queue, function, **settings):
        self.client = client
        self.made = client.create_event_source_mapping(EventSourceArn=queue.arn, FunctionName=function, **settings)
        self.uuid = self.made["UUID"]

    def get(self):
        return self.client.get_event_source_mapping(UUID=self.uuid)

    def update(self, **settings):
        return self.client.update_event_source_mapping(UUID=self.uuid, **settings)

    def is_(self, state):
        return wait_until(lambda: self.get()["State"] == state, 30, f"the mapping {state}")

    def result(self, part):
        said = lambda: part in self.get().get("LastProcessingResult", "")
        return wait_until(said, 60, f"a mapping that says {part!r}")

    def is_gone(self):
        try:
            self.get()
        except self.client.exceptions.ResourceNotFoundException:
            return True
        return False

    def delete(self):
        if not self.is_gone() and self.get()["State"] != "Deleting":
            wait_until(lambda: self.get()["State"] != "Disabling", 60, "a mapping that may be deleted")
            self.client.delete_event_source_mapping(UUID=self.uuid)
        wait_until(self.is_gone, 60, "the mapping's end")


@pytest.fixture
def map_(node):
    """Maps a queue to a function, until the scenario ends: `map_(queue, function, BatchSize=1)`."""
    made = []

    def map_(queue, function, **settings):
        name = function if isinstance(function, str) else function.name
        made.append(Mapping(node.functions, queue, name, **settings))
        return made[-1]

    yield map_
    for mapping in made:
        mapping.delete()


@pytest.fixture
def sees(make):
    """A function that tells what it sees."""
    return make(textwrap.dedent(SEES), Timeout=5)


def seen(function):
    """What the function said, call by call."""
    logs = function.node.logs
    found, token = [], {}
    while True:
        try:
            page = logs.filter_log_events(logGroupName=function.group, filterPattern="SEEN", **token)
        except logs.exceptions.ResourceNotFoundException:
            # It was not called yet.
            return []
        found += [json.loads(event["message"].partition("SEEN ")[2]) for event in page["events"]]
        if "nextToken" not in page:
            return sorted(found, key=lambda call: call["ended"])
        token = {"nextToken": page["nextToken"]}


def records(function):
    return [record for call in seen(function) for record in call["event"]["Records"]]


def saw(function, count, within=60):
    """The records that the function saw, once they are so many."""
    return wait_until(lambda: (found := records(function)) and len(found) >= count and found, within, f"{count} records")


def sizes(function):
    return [len(call["event"]["Records"]) for call in seen(function)]


def most_at_once(function):
    """How many calls ran at one time."""
    calls = seen(function)
    return max(sum(a["began"] <= b["began"] < a["ended"] for a in calls) for b in calls)


def md5(text):
    return hashlib.md5(text.encode()).hexdigest()


def test_a_record_is_what_the_reference_makes_of_a_message(queue, sees, map_):
    source = queue()
    attributes = {
        "kind": {"DataType": "String", "StringValue": "order"},
        "size": {"DataType": "Number.int", "StringValue": "7"},
        "image": {"DataType": "Binary", "BinaryValue": b"\x00\x01"},
    }
    trace = "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1"
    system = {"AWSTraceHeader": {"DataType": "String", "StringValue": trace}}
    mapping = map_(source, sees)
    assert mapping.made["State"] == "Creating" and mapping.made["StateTransitionReason"] == "USER_INITIATED"
    sent = source.sqs.send_message(
        QueueUrl=source.url, MessageBody="héllo", MessageAttributes=attributes, MessageSystemAttributes=system
    )
    [record] = saw(sees, 1)
    empty = {"stringListValues": [], "binaryListValues": []}
    handle, shown = record.pop("receiptHandle"), record.pop("attributes")
    assert record == {
        "messageId": sent["MessageId"],
        "body": "héllo",
        "messageAttributes": {
            "kind": {"stringValue": "order", **empty, "dataType": "String"},
            "size": {"stringValue": "7", **empty, "dataType": "Number.int"},
            "image": {"binaryValue": base64.b64encode(b"\x00\x01").decode(), **empty, "dataType": "Binary"},
        },
        "md5OfMessageAttributes": sent["MD5OfMessageAttributes"],
        "md5OfBody": md5("héllo"),
        "eventSource": "aws:sqs",
        "eventSourceARN": source.arn,
        "awsRegion": REGION,
    }
    sent_at, received_at = int(shown.pop("SentTimestamp")), int(shown.pop("ApproximateFirstReceiveTimestamp"))
    assert sent_at <= received_at
    assert shown == {"ApproximateReceiveCount": "1", "SenderId": ACCOUNT, "AWSTraceHeader": trace}
    assert handle
    wait_until(source.is_empty, 30, "an empty queue")
    mapping.result("OK")
    fifo = queue(fifo=True)
    map_(fifo, sees)
    fifo.send("first", MessageGroupId="g")
    record = saw(sees, 2)[1]
    assert record["attributes"]["MessageGroupId"] == "g"
    assert record["attributes"]["MessageDeduplicationId"] == hashlib.sha256(b"first").hexdigest()
    assert len(record["attributes"]["SequenceNumber"]) == 20
    assert record["messageAttributes"] == {} and "md5OfMessageAttributes" not in record


def test_a_batch_is_no_larger_than_it_may_be(queue, sees, map_):
    source = queue()
    source.send_many([f"m{n}" for n in range(10)])
    mapping = map_(source, sees, BatchSize=4)
    saw(sees, 10)
    assert sum(sizes(sees)) == 10 and max(sizes(sees)) == 4
    # Changed while it runs.
    mapping.update(BatchSize=1)
    mapping.is_("Enabled")
    source.send_many([f"n{n}" for n in range(5)])
    saw(sees, 15)
    assert sizes(sees)[-5:] == [1] * 5


def test_a_window_gathers_what_comes_one_by_one(queue, sees, map_):
    source = queue()
    mapping = map_(source, sees, BatchSize=30, MaximumBatchingWindowInSeconds=300)
    source.send_many([f"m{n}" for n in range(30)])
    saw(sees, 30)
    assert sizes(sees) == [30], "it was full before its time"
    # Which also ends, long before the old one would have: in how many batches depends on how soon each was sent.
    mapping.update(MaximumBatchingWindowInSeconds=2)
    mapping.is_("Enabled")
    for n in range(3):
        source.send(f"n{n}")
    saw(sees, 33)
    assert sum(sizes(sees)) == 33
    wait_until(source.is_empty, 30, "an empty queue")


def test_a_batch_is_no_larger_than_a_payload(queue, sees, map_):
    source = queue()
    map_(source, sees, BatchSize=100, MaximumBatchingWindowInSeconds=2, Enabled=False)
    # 9 MB together.
    for n in range(9):
        source.send(f"{n}" + "x" * 1_000_000)
    counts = """
        def handler(event, context):
            print("SEEN " + '{"event": {"Records": [%s]}, "ended": 0}' % ",".join("1" for _ in event["Records"]))
    """
    sees.update(textwrap.dedent(counts))
    [mapping] = sees.client.list_event_source_mappings(FunctionName=sees.name)["EventSourceMappings"]
    sees.client.update_event_source_mapping(UUID=mapping["UUID"], Enabled=True)
    saw(sees, 9)
    # Six fit into 6 MB; how many are there when the window ends is a matter of pace.
    assert sum(sizes(sees)) == 9 and max(sizes(sees)) <= 6


def test_a_filter_lets_through_what_it_wants(queue, sees, map_):
    source = queue()
    patterns = [
        {"body": {"kind": ["order"], "size": [{"numeric": [">", 10]}]}},
        {"body": [{"prefix": "plain"}]},
        {"messageAttributes": {"loud": {"stringValue": ["yes"]}}},
    ]
    filters = {"Filters": [{"Pattern": json.dumps(pattern)} for pattern in patterns]}
    mapping = map_(source, sees, FilterCriteria=filters)
    assert mapping.get()["FilterCriteria"] == filters
    loud = {"loud": {"DataType": "String", "StringValue": "yes"}}
    source.send({"kind": "order", "size": 11})
    source.send({"kind": "order", "size": 10})
    source.send({"kind": "bill", "size": 11})
    source.send("plain text")
    source.send("a plain text")
    source.send("shouted", MessageAttributes=loud)
    wait_until(source.is_empty, 30, "a queue of which the filter took what it does not want")
    wanted = {json.dumps({"kind": "order", "size": 11}), "plain text", "shouted"}
    assert {record["body"] for record in saw(sees, 3)} == wanted
    mapping.update(FilterCriteria={})
    mapping.is_("Enabled")
    source.send("a plain text")
    assert len(saw(sees, 4)) == 4


def test_only_what_failed_comes_back(queue, sees, map_):
    sees.configure(Timeout=4)
    source = queue(VisibilityTimeout=4)
    mapping = map_(
        source, sees, BatchSize=100, MaximumBatchingWindowInSeconds=1,
        FunctionResponseTypes=["ReportBatchItemFailures"], Enabled=False,
    )
    assert mapping.made["FunctionResponseTypes"] == ["ReportBatchItemFailures"]
    ids = [source.send(f"m{n}") for n in range(3)]
    code = f"""
        import json
        FAILS = {ids[1]!r}

        def handler(event, context):
            print("SEEN " + json.dumps({{"event": event, "ended": 0}}))
            failed = [r["messageId"] for r in event["Records"] if r["messageId"] == FAILS]
            once = [r for r in event["Records"] if r["attributes"]["ApproximateReceiveCount"] == "1"]
            return {{"batchItemFailures": [{{"itemIdentifier": id}} for id in failed if once]}}
    """
    sees.update(textwrap.dedent(code))
    mapping.update(Enabled=True)
    assert [record["body"] for record in saw(sees, 4)][3] == "m1"
    wait_until(source.is_empty, 30, "an empty queue")
    assert len(records(sees)) == 4


def test_an_answer_without_sense_is_a_failure_of_all(queue, sees, map_):
    sees.configure(Timeout=5)
    cases = []
    for answer, all_failed in [
        (None, False),
        ({"batchItemFailures": []}, False),
        ({"batchItemFailures": [{"itemIdentifier": None}]}, True),
        ({"batchItemFailures": [{"itemIdentifier": "of no message"}]}, True),
    ]:
        dead = queue()
        policy = json.dumps({"deadLetterTargetArn": dead.arn, "maxReceiveCount": 1})
        source = queue(VisibilityTimeout=5, RedrivePolicy=policy)
        map_(source, sees, FunctionResponseTypes=["ReportBatchItemFailures"])
        source.send({"answer": answer})
        cases.append((source, dead, answer, all_failed))
    for source, dead, answer, all_failed in cases:
        wait_until(source.is_empty, what=f"an empty queue behind {answer}")
        assert dead.counts()[0] == int(all_failed), answer


def test_a_message_that_fails_for_good_goes_to_the_dead_letter_queue(queue, sees, map_):
    sees.configure(Timeout=3)
    dead = queue()
    policy = json.dumps({"deadLetterTargetArn": dead.arn, "maxReceiveCount": 2})
    source = queue(VisibilityTimeout=3, RedrivePolicy=policy)
    mapping = map_(source, sees)
    source.send({"fail": True})
    mapping.result("PROBLEM: Function call failed")
    wait_until(lambda: dead.counts() == (1, 0), 30, "a dead letter")
    assert [record["attributes"]["ApproximateReceiveCount"] for record in records(sees)] == ["1", "2"]


def test_no_more_batches_run_at_once_than_may(queue, sees, map_):
    source = queue()
    source.send_many([json.dumps({"sleep": 0.4, "n": n}) for n in range(8)])
    mapping = map_(source, sees, BatchSize=1, ScalingConfig={"MaximumConcurrency": 2})
    assert mapping.get()["ScalingConfig"] == {"MaximumConcurrency": 2}
    saw(sees, 8)
    assert most_at_once(sees) == 2
    mapping.update(ScalingConfig={})
    mapping.is_("Enabled")
    assert "ScalingConfig" not in mapping.get()
    source.send_many([json.dumps({"sleep": 3, "n": n}) for n in range(4)])
    saw(sees, 12)
    assert most_at_once(sees) >= 3, "none waits for another"


def test_what_is_throttled_was_not_received(queue, sees, map_):
    """One receive is all that the queue allows: a throttled one that counted would be a dead letter."""
    dead = queue()
    policy = json.dumps({"deadLetterTargetArn": dead.arn, "maxReceiveCount": 1})
    source = queue(VisibilityTimeout=120, RedrivePolicy=policy)
    sees.client.put_function_concurrency(FunctionName=sees.name, ReservedConcurrentExecutions=1)
    source.send_many([json.dumps({"sleep": 0.2, "n": n}) for n in range(8)])
    map_(source, sees, BatchSize=1)
    found = saw(sees, 8)
    assert [record["attributes"]["ApproximateReceiveCount"] for record in found] == ["1"] * 8
    wait_until(source.is_empty, 30, "an empty queue")
    assert dead.is_empty() and most_at_once(sees) == 1


def test_a_function_that_is_switched_off_leaves_its_queue_alone(queue, sees, map_):
    source = queue()
    sees.client.put_function_concurrency(FunctionName=sees.name, ReservedConcurrentExecutions=0)
    source.send("m")
    mapping = map_(source, sees)
    mapping.result("reserved concurrency is 0")
    assert source.counts() == (1, 0)
    sees.client.delete_function_concurrency(FunctionName=sees.name)
    assert saw(sees, 1)[0]["attributes"]["ApproximateReceiveCount"] == "1"


def test_a_group_stays_in_order_when_one_of_it_fails(queue, make, map_):
    source = queue(fifo=True, VisibilityTimeout=4)
    code = """
        import json

        def handler(event, context):
            failed = []
            for record in event["Records"]:
                first = record["attributes"]["ApproximateReceiveCount"] == "1"
                if record["body"] == "a1" and first:
                    failed.append({"itemIdentifier": record["messageId"]})
                elif not failed or record["attributes"]["MessageGroupId"] == "b":
                    print("SEEN " + json.dumps({"event": {"Records": [record]}, "ended": float(record["attributes"]["SequenceNumber"])}))
            return {"batchItemFailures": failed}
    """
    function = make(textwrap.dedent(code), Timeout=4)
    for n in range(3):
        source.send(f"a{n}", MessageGroupId="a")
        source.send(f"b{n}", MessageGroupId="b")
    map_(source, function, BatchSize=10, FunctionResponseTypes=["ReportBatchItemFailures"])
    wait_until(source.is_empty, 30, "an empty queue")
    saw(function, 6)
    logs = function.node.logs.filter_log_events(logGroupName=function.group, filterPattern="SEEN")["events"]
    order = [json.loads(event["message"][5:])["event"]["Records"][0]["body"] for event in logs]
    assert [body for body in order if body[0] == "b"][:3] == ["b0", "b1", "b2"]
    done = [body for body in order if body[0] == "a"]
    assert done == ["a0", "a1", "a2"], "a2 comes behind a1, which failed once"


def test_a_mapping_is_switched_off_and_on(queue, sees, map_):
    source = queue()
    mapping = map_(source, sees)
    mapping.is_("Enabled")
    source.send({"sleep": 4})
    wait_until(lambda: source.counts() == (0, 1), 30, "a batch under way")
    assert mapping.update(Enabled=False)["State"] == "Disabling"
    with Refused("ResourceInUseException", 400, "Cannot update the event source mapping because it is in use"):
        mapping.update(BatchSize=2)
    mapping.is_("Disabled")
    assert len(saw(sees, 1)) == 1 and source.is_empty(), "what was begun was ended"
    source.send("m")
    assert mapping.update(BatchSize=3)["State"] == "Updating"
    mapping.is_("Disabled")
    assert source.counts() == (1, 0)
    assert mapping.update(Enabled=True)["State"] == "Enabling"
    saw(sees, 2)
    mapping.is_("Enabled")


def test_a_deleted_mapping_ends_what_it_began(queue, sees, map_):
    source = queue()
    mapping = map_(source, sees)
    source.send({"sleep": 2})
    wait_until(lambda: source.counts() == (0, 1), 30, "a batch under way")
    answer = sees.client.delete_event_source_mapping(UUID=mapping.uuid)
    assert answer["State"] == "Deleting" and answer["ResponseMetadata"]["HTTPStatusCode"] == 202
    wait_until(mapping.is_gone, 30, "the mapping's end")
    assert len(saw(sees, 1)) == 1 and source.is_empty()
    source.send("m")
    again = map_(source, sees)
    assert again.uuid != mapping.uuid
    saw(sees, 2)


def test_a_mapping_whose_function_or_queue_is_gone_says_so(queue, make, map_):
    code = textwrap.dedent(SEES)
    function, source = make(code, Timeout=5), queue()
    mapping = map_(source, function)
    function.delete()
    source.send("m")
    mapping.result("PROBLEM: The function does not exist")
    assert sum(source.counts()) == 1
    function.create(code, Timeout=5)
    assert saw(function, 1)[0]["attributes"]["ApproximateReceiveCount"] == "1"
    mapping.result("OK")
    source.delete()
    mapping.result("PROBLEM: The queue does not exist")
    assert mapping.get()["State"] == "Enabled"


def test_a_queue_of_another_account_is_read_when_its_policy_lets_the_role_in(node, queue, sees, map_):
    owner, name = node.client("sqs", key="111111111111"), fresh_name("other")
    url = owner.create_queue(QueueName=name)["QueueUrl"]
    arn = f"arn:aws:sqs:{REGION}:111111111111:{name}"

    def let(*actions):
        statement = {"Effect": "Allow", "Principal": {"AWS": ROLE}, "Action": list(actions), "Resource": arn}
        policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
        owner.set_queue_attributes(QueueUrl=url, Attributes={"Policy": policy})

    class Source:
        pass

    Source.arn = arn
    with Refused("InvalidParameterValueException", 400, "does not have permissions to call ReceiveMessage on SQS"):
        map_(Source, sees)
    let("sqs:ReceiveMessage")
    with Refused("InvalidParameterValueException", 400, "does not have permissions to call ReceiveMessage on SQS"):
        map_(Source, sees)
    let("sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes")
    mapping = map_(Source, sees)
    owner.send_message(QueueUrl=url, MessageBody="theirs")
    [record] = saw(sees, 1)
    assert (record["body"], record["eventSourceARN"]) == ("theirs", arn)
    let("sqs:SendMessage")
    # A change has the poller look anew.
    mapping.update(BatchSize=5)
    mapping.result("PROBLEM: The function's role is not allowed")
    mapping.delete()
    owner.delete_queue(QueueUrl=url)


def test_mappings_are_listed_tagged_and_refused_twice(queue, sees, map_):
    source, other = queue(), queue()
    client = sees.client
    mapping = map_(source, sees, Tags={"team": "a"}, Enabled=False)
    more = map_(other, sees, Enabled=False)
    listed = lambda **which: {m["UUID"] for m in client.list_event_source_mappings(**which)["EventSourceMappings"]}
    assert listed(FunctionName=sees.name) == {mapping.uuid, more.uuid}
    assert listed(EventSourceArn=other.arn) == {more.uuid}
    assert listed(EventSourceArn=other.arn, FunctionName="another") == set()
    arn = mapping.made["EventSourceMappingArn"]
    assert arn == f"arn:aws:lambda:{REGION}:{ACCOUNT}:event-source-mapping:{mapping.uuid}"
    client.tag_resource(Resource=arn, Tags={"x": "y"})
    assert client.list_tags(Resource=arn)["Tags"] == {"team": "a", "x": "y"}
    with Refused("ResourceConflictException", 409, f"already exists.*{mapping.uuid}"):
        map_(source, sees)
    with Refused("ResourceNotFoundException", 404, "does not exist"):
        client.get_event_source_mapping(UUID=str(uuid.uuid4()))
    with Refused("InvalidParameterValueException", 400, "Function does not exist"):
        map_(queue(), "nobody")
    with Refused("InvalidParameterValueException", 400, "NonExistentQueue"):
        gone = queue()
        gone.delete()
        map_(gone, sees)
    with Refused("InvalidParameterValueException", 400, "Queue visibility timeout: 4 seconds is less than Function"):
        map_(queue(VisibilityTimeout=4), sees)


def test_messages_of_a_mapping_are_counted_when_it_asks(node, queue, sees, map_):
    source = queue()
    pattern = json.dumps({"body": [{"anything-but": "unwanted"}]})
    mapping = map_(
        source, sees, FilterCriteria={"Filters": [{"Pattern": pattern}]}, MetricsConfig={"Metrics": ["EventCount"]}
    )
    silent = map_(queue(), sees)
    source.send_many(["one", "two", "unwanted"])
    wait_until(source.is_empty, 30, "an empty queue")

    def counted():
        with urllib.request.urlopen(node.endpoint + "/_lambent/metrics", timeout=60) as reply:
            lines = [line for line in reply.read().decode().splitlines() if mapping.uuid in line]
        return {line.partition("mapping_")[2].partition("_events")[0]: int(line.split()[-1]) for line in lines}

    expected = {"polled": 3, "filtered_out": 1, "invoked": 2, "failed_invoke": 0, "deleted": 2}
    wait_until(lambda: counted() == expected, 10, expected)
    with urllib.request.urlopen(node.endpoint + "/_lambent/metrics", timeout=60) as reply:
        assert silent.uuid not in reply.read().decode()


def test_a_loop_through_a_queue_is_stopped(queue, make, map_):
    dead = queue()
    policy = json.dumps({"deadLetterTargetArn": dead.arn, "maxReceiveCount": 1})
    source = queue(VisibilityTimeout=10, RedrivePolicy=policy)
    code = f"""
        import boto3
        sqs = boto3.client("sqs")

        def handler(event, context):
            for record in event["Records"]:
                sqs.send_message(QueueUrl={source.url!r}, MessageBody=record["body"])
    """
    files = tree(pip("boto3==1.44.5"), {"index.py": textwrap.dedent(code).encode()})
    function = make(archive(files), MemorySize=1769, Timeout=10)
    # Its init takes long: a message that waited for it could be seen again before it is deleted.
    function({"Records": []})
    map_(source, function)
    source.send("round and round")
    wait_until(lambda: source.counts() == (0, 1), 60, "a message that nobody is called with")
    wait_until(lambda: dead.counts() == (1, 0), 60, "a dead letter")
    starts = function.node.logs.filter_log_events(logGroupName=function.group, filterPattern='"START RequestId"')
    assert len(starts["events"]) == 1 + 16


def test_thousands_of_messages_drain(queue, sees, map_):
    code = """
        def handler(event, context):
            print("SEEN " + '{"event": {"Records": [%s]}, "ended": 0}' % ",".join("1" for _ in event["Records"]))
    """
    sees.update(textwrap.dedent(code))
    source = queue()
    source.send_many([f"m{n}" for n in range(2_000)])
    map_(source, sees, BatchSize=100, MaximumBatchingWindowInSeconds=1)
    wait_until(source.is_empty, 120, "an empty queue")
    assert len(saw(sees, 2_000)) == 2_000


def test_mappings_go_on_after_a_kill(tmp_path):
    """What was not deleted from the queue comes again; the mapping is what it was."""
    name, code = fresh_name(), textwrap.dedent(SEES)
    with Node(data=tmp_path / "data") as node:
        node.functions.create_function(
            FunctionName=name, Runtime="python3.11", Handler="index.handler", Role=ROLE, Timeout=8,
            Code={"ZipFile": package(code)},
        )
        source = Queue(node, VisibilityTimeout=8)
        mapping = Mapping(node.functions, source, name, BatchSize=1)
        source.send({"sleep": 3})
        wait_until(lambda: source.counts() == (0, 1), 30, "a batch under way")
        node.kill()
        node.start()
        source.sqs = node.client("sqs")
        found = node.functions.get_event_source_mapping(UUID=mapping.uuid)
        assert (found["State"], found["BatchSize"]) == ("Enabled", 1)
        source.send("after")
        wait_until(source.is_empty, 60, "an empty queue")
        seen_again = saw(Function(node, name), 2)
        counts = {record["body"]: record["attributes"]["ApproximateReceiveCount"] for record in seen_again}
        assert counts == {json.dumps({"sleep": 3}): "2", "after": "1"}
