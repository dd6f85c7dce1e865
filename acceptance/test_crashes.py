"""`kill -9` while every source of events is at work, with a ledger of each path outside.

Each path writes down what it was about to send, and what was acknowledged; it ends in a queue, which is emptied after
the last start. There, nothing acknowledged may be missing, nothing may be found that nobody sent, what is sent once
is there once where no delivery lies between, and what has an order has kept it. The last node's time is virtual:
whatever a kill left to a retry or a visibility timeout comes at once.
"""

import itertools
import json
import os
import random
import subprocess
import textwrap
import threading
import time
from collections import Counter, defaultdict
from datetime import UTC, datetime, timedelta

from botocore.exceptions import BotoCoreError, ClientError

from support.functions import Function, code_of
from support.node import ACCOUNT, BINARY, REGION, ROLE, Node, wait_until

KILLS = 4

# Fails as it is told; its ends are heard of by a queue.
ECHO = """
    import json

    def handler(event, context):
        if "fail-" in json.dumps(event):
            raise ValueError("as it was told")
        return True
"""

# Tells a queue of what it was called with before it returns; every third message fails once, every seventh always.
SEES = """
    import datetime, hashlib, hmac, json, os, urllib.request

    def sign(key, text):
        return hmac.new(key, text.encode(), hashlib.sha256).digest()

    def sqs(operation, members):
        endpoint, region = os.environ["AWS_ENDPOINT_URL"], os.environ["AWS_REGION"]
        body, now = json.dumps(members).encode(), datetime.datetime.now(datetime.timezone.utc)
        stamp = now.strftime("%Y%m%dT%H%M%SZ")
        scope = f"{stamp[:8]}/{region}/sqs/aws4_request"
        headers = {
            "content-type": "application/x-amz-json-1.0",
            "host": endpoint.split("//")[1].rstrip("/"),
            "x-amz-date": stamp,
            "x-amz-security-token": os.environ["AWS_SESSION_TOKEN"],
            "x-amz-target": "AmazonSQS." + operation,
        }
        listed = "".join(f"{name}:{value}\\n" for name, value in headers.items())
        names, digest = ";".join(headers), hashlib.sha256(body).hexdigest()
        canonical = hashlib.sha256(f"POST\\n/\\n\\n{listed}\\n{names}\\n{digest}".encode()).hexdigest()
        key = ("AWS4" + os.environ["AWS_SECRET_ACCESS_KEY"]).encode()
        for part in scope.split("/"):
            key = sign(key, part)
        signature = sign(key, f"AWS4-HMAC-SHA256\\n{stamp}\\n{scope}\\n{canonical}").hex()
        headers["authorization"] = (
            f"AWS4-HMAC-SHA256 Credential={os.environ['AWS_ACCESS_KEY_ID']}/{scope}, "
            f"SignedHeaders={names}, Signature={signature}"
        )
        urllib.request.urlopen(urllib.request.Request(endpoint, body, headers, method="POST"), timeout=10).read()

    def handler(event, context):
        failed, blocked = [], set()
        for record in event["Records"]:
            body, attributes = record["body"], record["attributes"]
            number = int(body.rsplit("-", 1)[1])
            group = attributes.get("MessageGroupId")
            again = int(attributes["ApproximateReceiveCount"]) > 1
            if group in blocked or number % 7 == 6 or number % 3 == 2 and not again:
                blocked.add(group or record["messageId"])
                failed.append({"itemIdentifier": record["messageId"]})
                continue
            fifo = {"MessageGroupId": group, "MessageDeduplicationId": record["messageId"] + context.aws_request_id}
            url = f"http://queue/000000000000/{os.environ['SEEN' if group is None else 'SEEN_IN_ORDER']}"
            sqs("SendMessage", {"QueueUrl": url, "MessageBody": body, **(fifo if group else {})})
        return {"batchItemFailures": failed}
"""


def arn_of(name, service="sqs"):
    return f"arn:aws:{service}:{REGION}:{ACCOUNT}:{name}"


def queue_url(node, name):
    return f"{node.endpoint}/{ACCOUNT}/{name}"


def make_queue(node, name, services=(), **attributes):
    """A queue that lets these services in."""
    if name.endswith(".fifo"):
        attributes["FifoQueue"] = "true"
    if services:
        who = {"Service": [f"{service}.amazonaws.com" for service in services]}
        statement = {"Effect": "Allow", "Principal": who, "Action": "sqs:SendMessage", "Resource": arn_of(name)}
        attributes["Policy"] = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    node.client("sqs").create_queue(QueueName=name, Attributes=attributes)
    return arn_of(name)


class Path(threading.Thread):
    """One way of events: made once, at work in each life of the node, judged after the last."""

    def __init__(self, node, book, generation):
        super().__init__(daemon=True)
        self.node, self.book, self.generation = node, book, generation
        self.sqs, self.functions = node.client("sqs"), node.client("lambda")
        self.acknowledged, self.went_wrong = 0, None

    def run(self):
        try:
            for step in itertools.count():
                self.step(step)
        except (BotoCoreError, ConnectionError):
            # The node was killed. What was under way is neither here nor there.
            pass
        except Exception as error:  # noqa: BLE001: the scenario tells of it
            self.went_wrong = error

    def word(self, step, kind="id"):
        return f"{type(self).__name__}-{kind}-{self.generation}-{step}"

    def send(self, word, call, **members):
        """Sends something, which is in the ledger before and after."""
        self.book.maybe.append(word)
        answer = call(**members)
        self.book.sent.append(word)
        self.acknowledged += 1
        return answer

    def receive(self, queue, **members):
        return self.sqs.receive_message(QueueUrl=queue_url(self.node, queue), **members).get("Messages", [])


class Book:
    """What was about to be sent, what was acknowledged, and what else a path writes down."""

    def __init__(self):
        self.maybe, self.sent, self.more = [], [], defaultdict(list)

    def check(self, found, once=False):
        """`found` has all that was acknowledged, nothing else than what was sent, and twice only what may be."""
        found = Counter(found)
        missing = set(self.sent) - set(found)
        assert not missing, f"acknowledged and lost: {sorted(missing)}"
        strange = set(found) - set(self.maybe)
        assert not strange, f"never sent: {sorted(strange)}"
        twice = [word for word, count in found.items() if count > 1]
        assert not (once and twice), f"there twice: {sorted(twice)}"

    def check_order(self, found):
        """Of each group, words stand in the order in which they were sent; a word may come again at once only."""
        sent, last = {word: n for n, word in enumerate(self.maybe)}, {}
        for group, word in found:
            assert sent[word] >= last.get(group, -1), f"group {group}: {word} came late"
            last[group] = sent[word]


class AsynchronousCalls(Path):
    """Invoke with `Event`: retries, destinations of both kinds, and a dead-letter queue."""

    @staticmethod
    def make(node):
        client = node.functions
        for name in ("called", "doomed"):
            Function(node, name).create(textwrap.dedent(ECHO))
        ends = {"OnSuccess": make_queue(node, "called-ok"), "OnFailure": make_queue(node, "called-failed")}
        client.put_function_event_invoke_config(
            FunctionName="called",
            MaximumRetryAttempts=1,
            DestinationConfig={when: {"Destination": arn} for when, arn in ends.items()},
        )
        client.put_function_event_invoke_config(FunctionName="doomed", MaximumRetryAttempts=0)
        Function(node, "doomed").configure(DeadLetterConfig={"TargetArn": make_queue(node, "called-dead")})

    def step(self, step):
        name, kind = [("called", "id"), ("called", "fail"), ("called", "id"), ("doomed", "fail")][step % 4]
        word = self.word(f"{step}-{name}", kind)
        self.send(word, self.functions.invoke, FunctionName=name, InvocationType="Event", Payload=json.dumps(word))

    @staticmethod
    def check(book, found):
        ok, failed = (
            [json.loads(m["Body"]) for m in found(name)] for name in ("called-ok", "called-failed")
        )
        assert {record["requestContext"]["condition"] for record in failed} == {"RetriesExhausted"}
        assert {record["requestContext"]["approximateInvokeCount"] for record in failed} == {2}
        ok, failed = ([record["requestPayload"] for record in records] for records in (ok, failed))
        dead = [json.loads(m["Body"]) for m in found("called-dead")]
        assert all("-id-" in word for word in ok)
        assert all("-fail-" in word and word.endswith("called") for word in failed)
        assert all(word.endswith("doomed") for word in dead)
        book.check(ok + failed + dead)


class StandardQueue(Path):
    """Send, receive, delete, put back."""

    @staticmethod
    def make(node):
        make_queue(node, "plain")

    def step(self, step):
        url = queue_url(self.node, "plain")
        word = self.word(step)
        self.send(word, self.sqs.send_message, QueueUrl=url, MessageBody=word)
        if step % 2:
            return
        for message in self.receive("plain", VisibilityTimeout=600):
            word, handle = message["Body"], message["ReceiptHandle"]
            if step % 6 == 0:
                self.sqs.change_message_visibility(QueueUrl=url, ReceiptHandle=handle, VisibilityTimeout=0)
                # Put back and acknowledged: somebody can take it now, here or after a kill.
                self.book.more["back"].append(word)
            elif step % 6 == 2:
                self.book.more["deleting"].append(word)
                self.sqs.delete_message(QueueUrl=url, ReceiptHandle=handle)
                self.book.more["deleted"].append(word)

    @staticmethod
    def check(book, found):
        words = [m["Body"] for m in found("plain")]
        gone, deleted = set(book.more["deleting"]), set(book.more["deleted"])
        assert not deleted & set(words), "a deleted message came back"
        assert deleted and book.more["back"]
        book.sent = [word for word in book.sent if word not in gone]
        book.check(words, once=True)


class OrderedQueue(Path):
    """Groups of a FIFO queue: sent, received and deleted one after the other."""

    @staticmethod
    def make(node):
        make_queue(node, "plain.fifo", ContentBasedDeduplication="true")

    def step(self, step):
        url, word = queue_url(self.node, "plain.fifo"), self.word(step)
        self.send(word, self.sqs.send_message, QueueUrl=url, MessageBody=word, MessageGroupId=str(step % 3))
        if step % 4 == 0:
            # Sent again within five minutes: it is the same message.
            self.sqs.send_message(QueueUrl=url, MessageBody=word, MessageGroupId=str(step % 3))
        if step % 2:
            for message in self.receive("plain.fifo", VisibilityTimeout=4, MessageSystemAttributeNames=["All"]):
                self.book.more["taken"].append((message["Attributes"]["MessageGroupId"], message["Body"]))
                try:
                    self.sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
                except ClientError as error:
                    # Of a machine that was busy for four seconds the message comes again.
                    assert "expired" in str(error), error
                else:
                    self.book.more["deleted"].append(message["Body"])

    @staticmethod
    def check(book, found):
        left = [(m["Attributes"]["MessageGroupId"], m["Body"]) for m in found("plain.fifo")]
        book.check_order(book.more["taken"] + left)
        assert not set(book.more["deleted"]) & {word for _, word in left}, "a deleted message came back"
        counts = Counter(word for _, word in left)
        assert max(counts.values(), default=1) == 1, "there twice"
        book.check([word for _, word in book.more["taken"] + left])


class MoveTasks(Path):
    """Dead letters that are moved to another queue while more come."""

    @staticmethod
    def make(node):
        dead = make_queue(node, "dead")
        policy = json.dumps({"deadLetterTargetArn": dead, "maxReceiveCount": 1})
        make_queue(node, "dying", RedrivePolicy=policy)
        make_queue(node, "moved")

    def step(self, step):
        word = self.word(step)
        self.send(word, self.sqs.send_message, QueueUrl=queue_url(self.node, "dead"), MessageBody=word)
        if step % 8 == 7:
            try:
                self.sqs.start_message_move_task(
                    SourceArn=arn_of("dead"), DestinationArn=arn_of("moved"), MaxNumberOfMessagesPerSecond=50
                )
            except ClientError as error:
                # One at a time.
                assert code_of(error) in ("UnsupportedOperation", "AWS.SimpleQueueService.UnsupportedOperation"), error

    @staticmethod
    def check(book, found):
        dead, moved = ([m["Body"] for m in found(name)] for name in ("dead", "moved"))
        assert moved
        book.check(dead + moved, once=True)


class Topic(Path):
    """A topic with two queues and a function."""

    @staticmethod
    def make(node):
        sns = node.client("sns")
        arn = sns.create_topic(Name="topic")["TopicArn"]
        for name in ("heard-1", "heard-2"):
            queue = make_queue(node, name, ["sns"])
            sns.subscribe(TopicArn=arn, Protocol="sqs", Endpoint=queue, Attributes={"RawMessageDelivery": "true"})
        sns.subscribe(TopicArn=arn, Protocol="lambda", Endpoint=arn_of("function:echo", "lambda"))

    def step(self, step):
        sns, words = self.node.client("sns"), [self.word(f"{step}-{n}") for n in range(3)]
        self.book.maybe += words
        entries = [{"Id": str(n), "Message": word} for n, word in enumerate(words)]
        answer = sns.publish_batch(TopicArn=arn_of("topic", "sns"), PublishBatchRequestEntries=entries)
        self.book.sent += [words[int(entry["Id"])] for entry in answer["Successful"]]
        self.acknowledged += len(answer["Successful"])

    @staticmethod
    def check(book, found):
        for name in ("heard-1", "heard-2"):
            book.check(m["Body"] for m in found(name))
        events = [json.loads(m["Body"])["requestPayload"] for m in found("echoed")]
        book.check(event["Records"][0]["Sns"]["Message"] for event in events if "Records" in event)


class OrderedTopic(Path):
    """A FIFO topic with two FIFO queues."""

    @staticmethod
    def make(node):
        sns = node.client("sns")
        attributes = {"FifoTopic": "true", "ContentBasedDeduplication": "true"}
        arn = sns.create_topic(Name="topic.fifo", Attributes=attributes)["TopicArn"]
        for name in ("heard-1.fifo", "heard-2.fifo"):
            queue = make_queue(node, name, ["sns"])
            sns.subscribe(TopicArn=arn, Protocol="sqs", Endpoint=queue, Attributes={"RawMessageDelivery": "true"})

    def step(self, step):
        word, topic = self.word(step), arn_of("topic.fifo", "sns")
        publish = self.node.client("sns").publish
        self.send(word, publish, TopicArn=topic, Message=word, MessageGroupId=str(step % 2))

    @staticmethod
    def check(book, found):
        for name in ("heard-1.fifo", "heard-2.fifo"):
            heard = [(m["Attributes"]["MessageGroupId"], m["Body"]) for m in found(name)]
            book.check_order(heard)
            book.check((word for _, word in heard), once=True)


class EventBus(Path):
    """Rules with a queue and a function, an archive, and replays of it."""

    @staticmethod
    def make(node):
        events = node.client("events")
        bus = events.create_event_bus(Name="bus")["EventBusArn"]
        events.create_archive(ArchiveName="archive", EventSourceArn=bus)
        for rule, pattern, target in [
            ("queue", {"source": ["app"], "replay-name": [{"exists": False}]}, make_queue(node, "ruled", ["events"])),
            ("function", {"source": ["app"], "replay-name": [{"exists": False}]}, arn_of("function:echo", "lambda")),
            ("again", {"replay-name": [{"exists": True}]}, make_queue(node, "again", ["events"])),
        ]:
            events.put_rule(Name=rule, EventBusName="bus", EventPattern=json.dumps(pattern))
            answer = events.put_targets(Rule=rule, EventBusName="bus", Targets=[{"Id": "t", "Arn": target}])
            assert answer["FailedEntryCount"] == 0

    def step(self, step):
        events, word = self.node.client("events"), self.word(step)
        # Each life's events have an hour of their own, so that a replay has the events of one life.
        moment = 1_600_000_000 + self.generation * 3600 + step
        entry = {
            "Source": "app", "DetailType": "t", "Detail": json.dumps({"word": word}), "EventBusName": "bus", "Time": moment
        }
        if step == 0 and self.generation > 0:
            # Of the life before. It is under way when the node is killed, and begun before this path has got anywhere.
            start_replay(events, self.generation - 1)
        answer = self.send(word, events.put_events, Entries=[entry])
        assert answer["FailedEntryCount"] == 0

    @staticmethod
    def check(book, found):
        book.check(json.loads(m["Body"])["detail"]["word"] for m in found("ruled"))
        payloads = [json.loads(m["Body"])["requestPayload"] for m in found("echoed")]
        book.check(payload["detail"]["word"] for payload in payloads if "detail" in payload)
        again = [json.loads(m["Body"]) for m in found("again")]
        assert {event["replay-name"] for event in again} == {f"replay-{n}" for n in range(KILLS)}
        book.check(event["detail"]["word"] for event in again)


def start_replay(events, generation):
    began = 1_600_000_000 + generation * 3600
    return events.start_replay(
        ReplayName=f"replay-{generation}",
        EventSourceArn=f"arn:aws:events:{REGION}:{ACCOUNT}:archive/archive",
        EventStartTime=began,
        EventEndTime=began + 3599,
        Destination={"Arn": f"arn:aws:events:{REGION}:{ACCOUNT}:event-bus/bus"},
    )


class Schedules(Path):
    """One that fires each second, and single moments; each fires once, if it is brought twice or not."""

    @staticmethod
    def make(node):
        make_queue(node, "fired", ["scheduler"])
        Schedules.create(node, "often", "rate(1 seconds)")

    @staticmethod
    def create(node, name, expression):
        body = {"name": name, "moment": "<aws.scheduler.scheduled-time>", "execution": "<aws.scheduler.execution-id>"}
        node.client("scheduler").create_schedule(
            Name=name,
            ScheduleExpression=expression,
            FlexibleTimeWindow={"Mode": "OFF"},
            ActionAfterCompletion="DELETE",
            Target={"Arn": arn_of("fired"), "RoleArn": ROLE, "Input": json.dumps(body)},
        )

    def step(self, step):
        word = self.word(step)
        moment = (datetime.now(UTC) + timedelta(seconds=2 + step % 2)).replace(microsecond=0)
        self.book.maybe.append(word)
        Schedules.create(self.node, word, f"at({moment:%Y-%m-%dT%H:%M:%S})")
        if datetime.now(UTC) < moment:
            # What was over before it was made, on a busy machine, has nothing to fire for.
            self.book.sent.append(word)
        self.acknowledged += 1

    @staticmethod
    def check(book, found):
        fired = [json.loads(m["Body"]) for m in found("fired")]
        executions = defaultdict(set)
        for fire in fired:
            executions[(fire["name"], fire["moment"])].add(fire["execution"])
        twice = {fire: ids for fire, ids in executions.items() if len(ids) > 1}
        assert not twice, f"fired twice: {twice}"
        single = Counter(name for name, _ in executions if name != "often")
        assert max(single.values()) == 1
        book.check(fire["name"] for fire in fired if fire["name"] != "often")
        assert len([name for name, _ in executions if name == "often"]) >= 2


class Mapping(Path):
    """A queue that calls a function, which fails with some messages once and with some always."""

    SUFFIX = ""

    @classmethod
    def make(cls, node):
        seen = "seen" + cls.SUFFIX
        make_queue(node, seen)
        dead = make_queue(node, "unseen" + cls.SUFFIX)
        policy = json.dumps({"deadLetterTargetArn": dead, "maxReceiveCount": 4})
        source = make_queue(node, "mapped" + cls.SUFFIX, VisibilityTimeout="20", RedrivePolicy=policy)
        node.functions.create_event_source_mapping(
            EventSourceArn=source,
            FunctionName="sees",
            BatchSize=4,
            FunctionResponseTypes=["ReportBatchItemFailures"],
        )

    def step(self, step):
        word, more = self.word(step), {}
        if self.SUFFIX:
            more = {"MessageGroupId": str(step % 4), "MessageDeduplicationId": word}
        url = queue_url(self.node, "mapped" + self.SUFFIX)
        self.send(word, self.sqs.send_message, QueueUrl=url, MessageBody=word, **more)

    @classmethod
    def check(cls, book, found):
        assert not found("mapped" + cls.SUFFIX), "messages that nobody was called with"
        messages = found("seen" + cls.SUFFIX)
        seen, dead = [m["Body"] for m in messages], [m["Body"] for m in found("unseen" + cls.SUFFIX)]
        poison = {word for word in book.maybe if int(word.rsplit("-", 1)[1]) % 7 == 6}
        assert not poison & set(seen) and poison & set(book.sent) <= set(dead)
        book.check(seen + dead)
        if cls.SUFFIX:
            # A batch whose end the node did not hear of comes again as a whole: what counts is who came first when.
            first = {}
            for message in messages:
                first.setdefault(message["Body"], message["Attributes"]["MessageGroupId"])
            book.check_order((group, word) for word, group in first.items())


class OrderedMapping(Mapping):
    """The same with message groups."""

    SUFFIX = ".fifo"


PATHS = [
    AsynchronousCalls, StandardQueue, OrderedQueue, MoveTasks, Topic, OrderedTopic, EventBus, Schedules, Mapping,
    OrderedMapping,
]  # fmt: skip


def make_everything(node):
    """What the paths need, and what several of them share."""
    Function(node, "echo").create(textwrap.dedent(ECHO))
    client = node.functions
    for service in ("sns", "events"):
        client.add_permission(
            FunctionName="echo",
            StatementId=service,
            Action="lambda:InvokeFunction",
            Principal=f"{service}.amazonaws.com",
        )
    echoed = make_queue(node, "echoed")
    client.put_function_event_invoke_config(
        FunctionName="echo", DestinationConfig={"OnSuccess": {"Destination": echoed}}
    )
    names = {"SEEN": "seen", "SEEN_IN_ORDER": "seen.fifo"}
    Function(node, "sees").create(textwrap.dedent(SEES), Environment={"Variables": names})
    for path in PATHS:
        path.make(node)


def work_until_killed(node, books, generation, dice):
    """All paths at once, until each has got somewhere and the dice say so."""
    paths = [path(node, books[path], generation) for path in PATHS]
    try:
        for path in paths:
            path.start()
        least, total = dice.randint(1, 6), dice.randint(60, 200)

        def far_enough():
            wrong = [(path, path.went_wrong) for path in paths if path.went_wrong]
            assert not wrong, wrong
            counts = [path.acknowledged for path in paths]
            return min(counts) >= least and sum(counts) >= total

        wait_until(far_enough, 60, f"{least} of each path and {total} of all")
    finally:
        node.kill()
    for path in paths:
        path.join(timeout=30)
    wrong = [(path, path.went_wrong) for path in paths if path.went_wrong]
    assert not wrong, wrong


def advance(node, by):
    subprocess.run(
        [BINARY, "clock", "advance", by, "--endpoint", node.endpoint, "--data", node.data],
        check=True,
        capture_output=True,
        timeout=600,
    )


def at_rest(node):
    """Nothing waits for the mappings, in sight or out of it."""
    names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
    ask = node.client("sqs").get_queue_attributes
    found = [ask(QueueUrl=queue_url(node, "mapped" + kind.SUFFIX), AttributeNames=names) for kind in (Mapping, OrderedMapping)]
    return all(count == "0" for answer in found for count in answer["Attributes"].values())


class Emptied:
    """Queues, each emptied when it is first asked for."""

    def __init__(self, node):
        self.node, self.found = node, {}

    def __call__(self, name):
        if name not in self.found:
            self.found[name] = self.empty(name)
        return self.found[name]

    def empty(self, name):
        sqs, url, found = self.node.client("sqs"), queue_url(self.node, name), []
        while True:
            answer = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10, AttributeNames=["All"])
            if not answer.get("Messages"):
                return found
            found += answer["Messages"]
            entries = [{"Id": str(n), "ReceiptHandle": m["ReceiptHandle"]} for n, m in enumerate(answer["Messages"])]
            deleted = sqs.delete_message_batch(QueueUrl=url, Entries=entries)
            assert "Failed" not in deleted, deleted


def test_kills_under_the_load_of_every_source_lose_nothing(tmp_path):
    seed = int(os.environ.get("LAMBENT_TEST_SEED", time.time_ns() % 1_000_000))
    print(f"LAMBENT_TEST_SEED={seed}")
    dice = random.Random(seed)
    books = {path: Book() for path in PATHS}
    for generation in range(KILLS):
        node = Node(tmp_path / "data").start()
        try:
            if generation == 0:
                make_everything(node)
        except BaseException:
            node.kill()
            raise
        work_until_killed(node, books, generation, dice)
        node.check_lines()
    with Node(tmp_path / "data", options=["--clock", "virtual"]) as node:
        node.client("scheduler").delete_schedule(Name="often")
        events = node.client("events")
        start_replay(events, KILLS - 1)
        # Retries of calls, messages that nobody deleted, moments that are still to come: poison goes one after the other.
        wait_until(lambda: advance(node, "30m") or at_rest(node), 300, "every message of the mappings is gone")
        states = lambda: {replay["State"] for replay in events.list_replays()["Replays"]}  # noqa: E731
        wait_until(lambda: states() == {"COMPLETED"}, 30, "the end of all replays")
        tasks = lambda: node.client("sqs").list_message_move_tasks(SourceArn=arn_of("dead"))["Results"]  # noqa: E731
        wait_until(lambda: all(task["Status"] != "RUNNING" for task in tasks()), 30, "the end of all move tasks")
        found = Emptied(node)
        for path in PATHS:
            try:
                path.check(books[path], found)
            except AssertionError as error:
                raise AssertionError(f"{path.__name__} (seed {seed}): {error}") from error
