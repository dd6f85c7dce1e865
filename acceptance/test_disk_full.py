"""A disk without room: writes are refused with an error that clients try again, reads go on, nothing accepted is lost.

The data directory is on a small file system of its own, which needs root and a loop device.
"""

import contextlib
import json
import os
import sqlite3
import subprocess
import time
import uuid
from pathlib import Path

import pytest
from botocore.exceptions import ClientError

from support.functions import Function, code_of
from support.node import ACCOUNT, REGION, ROLE, Node, wait_until
from support.packages import archive

SIZE = 96 << 20

# Refused writes until a disk counts as full: what is on it already is written over first.
ATTEMPTS_MAX = 3_000

BIG = "x" * 200_000

PERMIT = {"Effect": "Allow", "Principal": "*", "Action": "sqs:SendMessage", "Resource": "*"}


@pytest.fixture
def disk(tmp_path):
    """A mounted file system with room for little."""
    assert os.geteuid() == 0, "this scenario mounts a file system: run it as root"
    image, folder = tmp_path / "image", tmp_path / "disk"
    folder.mkdir()
    with image.open("wb") as file:
        file.truncate(SIZE)
    subprocess.run(["mkfs.ext4", "-q", "-F", "-m", "0", image], check=True)
    mounted = subprocess.run(["mount", "-o", "loop", image, folder], capture_output=True, text=True, check=False)
    assert mounted.returncode == 0, f"this scenario needs a loop device: {mounted.stderr}"
    try:
        yield folder
    finally:
        # A compiler that the node had started may end a moment after it.
        wait_until(lambda: subprocess.run(["umount", folder], check=False).returncode == 0, what="the disk's end")


class Ballast:
    """A file that takes all the room there is."""

    def __init__(self, folder):
        self.path = Path(folder) / "ballast"

    def fill(self):
        with self.path.open("ab", buffering=0) as file:
            for size in (1 << 20, 4096, 1):
                with contextlib.suppress(OSError):
                    while True:
                        file.write(b"\0" * size)
            with contextlib.suppress(OSError):
                os.fsync(file.fileno())

    def remove(self):
        self.path.unlink()


class Writes:
    """One kind of write for each service, with what it accepted."""

    def __init__(self, node):
        self.node, self.accepted = node, {}
        self.sqs, self.sns, self.events = node.client("sqs"), node.client("sns"), node.client("events")
        self.scheduler, self.functions, self.logs = node.client("scheduler"), node.functions, node.logs

    def url(self, name):
        return f"{self.node.endpoint}/{ACCOUNT}/{name}"

    def make(self):
        policy = json.dumps({"Version": "2012-10-17", "Statement": [PERMIT]})
        for name in ("sent", "published", "ruled", "ended"):
            self.sqs.create_queue(QueueName=name, Attributes={"Policy": policy})
        topic = self.sns.create_topic(Name="t")["TopicArn"]
        self.sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn("sqs", "published"))
        self.events.put_rule(Name="r", EventPattern=json.dumps({"source": ["app"]}))
        self.events.put_targets(Rule="r", Targets=[{"Id": "t", "Arn": arn("sqs", "ruled")}])
        Function(self.node, "f").create("def handler(event, context):\n    return event['id']\n")
        self.functions.put_function_event_invoke_config(
            FunctionName="f", DestinationConfig={"OnSuccess": {"Destination": arn("sqs", "ended")}}
        )
        self.logs.create_log_group(logGroupName="g")
        self.logs.create_log_stream(logGroupName="g", logStreamName="s")

    def all(self):
        return {
            "SendMessage": (self.send, {"ServiceUnavailable"}),
            "Publish": (self.publish, {"InternalError"}),
            "PutEvents": (self.put_events, {"InternalException"}),
            "Invoke": (self.invoke, {"ServiceException"}),
            "PutLogEvents": (self.put_log_events, {"ServiceUnavailableException"}),
            "CreateFunction": (self.create_function, {"ServiceException"}),
            "CreateSchedule": (self.create_schedule, {"InternalServerException"}),
            "CreateQueue": (self.create_queue, {"ServiceUnavailable"}),
            "CreateTopic": (self.create_topic, {"InternalError"}),
            "PutRule": (self.put_rule, {"InternalException"}),
        }

    def send(self, word):
        self.sqs.send_message(QueueUrl=self.url("sent"), MessageBody=word + BIG)

    def publish(self, word):
        self.sns.publish(TopicArn=arn("sns", "t"), Message=word + BIG)

    def put_events(self, word):
        entry = {"Source": "app", "DetailType": "t", "Detail": json.dumps({"id": word, "big": BIG})}
        answer = self.events.put_events(Entries=[entry])
        # An entry may be refused by itself.
        if answer["FailedEntryCount"]:
            failed = answer["Entries"][0]
            error = {"Code": failed["ErrorCode"], "Message": failed["ErrorMessage"]}
            raise ClientError({"Error": error, "ResponseMetadata": {"HTTPStatusCode": 500}}, "PutEvents")

    def invoke(self, word):
        payload = json.dumps({"id": word, "big": BIG})
        self.functions.invoke(FunctionName="f", InvocationType="Event", Payload=payload)

    def put_log_events(self, word):
        # Of its own text each time: what is stored is compressed.
        noise = os.urandom(60_000).hex()
        now = int(time.time() * 1000)
        event = {"timestamp": now, "message": word + noise}
        self.logs.put_log_events(logGroupName="g", logStreamName="s", logEvents=[event])

    def create_function(self, word):
        files = {"index.py": "def handler(e, c):\n    return 1\n", "more": os.urandom(1 << 20)}
        self.functions.create_function(
            FunctionName=word, Runtime="python3.11", Role=ROLE, Handler="index.handler", Code={"ZipFile": archive(files)}
        )

    def create_schedule(self, word):
        self.scheduler.create_schedule(
            Name=word,
            ScheduleExpression="rate(1 days)",
            FlexibleTimeWindow={"Mode": "OFF"},
            Target={"Arn": arn("sqs", "sent"), "RoleArn": ROLE, "Input": json.dumps("x" * 50_000)},
        )

    def create_queue(self, word):
        self.sqs.create_queue(QueueName=word, tags={str(n): "x" * 250 for n in range(50)})

    def create_topic(self, word):
        self.sns.create_topic(Name=word, Tags=[{"Key": str(n), "Value": "x" * 250} for n in range(50)])

    def put_rule(self, word):
        self.events.put_rule(Name=word, EventPattern=json.dumps({"source": ["a" * 1900]}))

    def until_refused(self, name):
        """Writes until it is refused, and says with what."""
        write, _ = self.all()[name]
        for _ in range(ATTEMPTS_MAX):
            word = f"{name}-{uuid.uuid4().hex[:16]}"
            try:
                write(word)
            except ClientError as error:
                return error
            self.accepted.setdefault(name, set()).add(word)
        raise AssertionError(f"{name} is never refused")


def arn(service, name):
    return f"arn:aws:{service}:{REGION}:{ACCOUNT}:{name}"


def bodies(node, queue):
    """All messages of a queue, which stay there."""
    sqs, found = node.client("sqs"), []
    url = f"{node.endpoint}/{ACCOUNT}/{queue}"
    while messages := sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages"):
        found += [message["Body"] for message in messages]
        entries = [{"Id": str(n), "ReceiptHandle": m["ReceiptHandle"]} for n, m in enumerate(messages)]
        assert "Failed" not in sqs.delete_message_batch(QueueUrl=url, Entries=entries)
    return found


def words(found, name):
    return {text[text.index(f"{name}-") :][: len(name) + 17] for text in found if f"{name}-" in text}


def reads(node, writes):
    """Questions, and a call, that need no room."""
    assert node.functions.get_function(FunctionName="f")["Configuration"]["State"] == "Active"
    attributes = writes.sqs.get_queue_attributes(QueueUrl=writes.url("sent"), AttributeNames=["All"])["Attributes"]
    assert int(attributes["ApproximateNumberOfMessages"]) >= 1
    assert writes.sns.list_subscriptions_by_topic(TopicArn=arn("sns", "t"))["Subscriptions"]
    assert writes.events.describe_rule(Name="r")["State"] == "ENABLED"
    assert writes.scheduler.list_schedules()["Schedules"] is not None
    assert writes.logs.get_log_events(logGroupName="g", logStreamName="s")["events"]
    assert Function(node, "f")({"id": 7}) == 7


def intact(folder):
    for path in sorted(folder.glob("*.db")):
        with contextlib.closing(sqlite3.connect(path)) as db:
            assert db.execute("PRAGMA integrity_check").fetchall() == [("ok",)], path


def test_a_full_disk_refuses_writes_keeps_reading_and_takes_writes_again(disk):
    ballast = Ballast(disk)
    node = Node(disk / "data").start()
    try:
        writes = Writes(node)
        writes.make()
        for name in writes.all():
            write, _ = writes.all()[name]
            word = f"{name}-{uuid.uuid4().hex[:16]}"
            write(word)
            writes.accepted[name] = {word}
        Function(node, "f")({"id": 1})
        ballast.fill()
        for name, (_, codes) in writes.all().items():
            error = writes.until_refused(name)
            # The 5xx that SDKs try again.
            status = error.response["ResponseMetadata"]["HTTPStatusCode"]
            assert (code_of(error) in codes) and status in (500, 503), (name, status, error)
            # What was freed in between is filled again, so that each service meets a full disk.
            ballast.fill()
        reads(node, writes)
        complaints = node.alarming()
        print("\n".join(complaints))
        ballast.remove()
        recovered(writes)
        arrived(node, writes)
    finally:
        node.stop()
    assert len(complaints) <= 8, "a line for each database, and not one for each write that is refused"
    intact(disk / "data")
    with Node(disk / "data") as again:
        writes = Writes(again)
        for name in writes.all():
            writes.all()[name][0](f"{name}-{uuid.uuid4().hex[:16]}")


def recovered(writes):
    """Every kind of write is taken again, with nothing but room for it."""
    for name, (write, codes) in writes.all().items():
        word = f"{name}-{uuid.uuid4().hex[:16]}"

        def taken(write=write, word=word):
            try:
                write(word)
            except ClientError as error:
                assert code_of(error) in codes, error
                return False
            return True

        wait_until(taken, 10, f"{name} is taken again")
        writes.accepted[name].add(word)


def arrived(node, writes):
    """Everything that was accepted is there, or gets to where it was to go."""
    accepted = writes.accepted
    for name, queue in [("SendMessage", "sent"), ("Publish", "published"), ("PutEvents", "ruled"), ("Invoke", "ended")]:
        got = set()

        def all_came(name=name, queue=queue, got=got):
            got.update(words(bodies(node, queue), name))
            return accepted[name] <= got

        wait_until(all_came, 60, f"everything that {name} accepted")
    for word in accepted["CreateFunction"]:
        assert Function(node, word)() == 1
    schedules = {s["Name"] for page in writes.scheduler.get_paginator("list_schedules").paginate() for s in page["Schedules"]}
    assert accepted["CreateSchedule"] <= schedules
    rules = {r["Name"] for page in writes.events.get_paginator("list_rules").paginate() for r in page["Rules"]}
    assert accepted["PutRule"] <= rules
    topics = {t["TopicArn"].rsplit(":")[-1] for page in writes.sns.get_paginator("list_topics").paginate() for t in page["Topics"]}
    assert accepted["CreateTopic"] <= topics
    urls = [url for page in writes.sqs.get_paginator("list_queues").paginate() for url in page["QueueUrls"]]
    assert accepted["CreateQueue"] <= {url.rsplit("/", 1)[1] for url in urls}
    pages = writes.logs.get_paginator("filter_log_events").paginate(logGroupName="g")
    events = [event["message"] for page in pages for event in page["events"]]
    assert accepted["PutLogEvents"] <= words(events, "PutLogEvents")
