"""Amazon SNS through unmodified clients: each setting in a scenario that fails when it is ignored."""

import base64
import hashlib
import http.server
import json
import ssl
import threading
import urllib.error
import urllib.request
import uuid

import boto3
import pytest
from botocore.exceptions import ClientError

from support.node import ACCOUNT, REGION, Node, wait_until

RECORDER = """
    import json
    def handler(event, context):
        print("RECORD " + json.dumps(event))
"""


@pytest.fixture
def sns(node):
    return node.client("sns")


@pytest.fixture
def sqs(node):
    return node.client("sqs")


def fresh(prefix):
    return f"{prefix}-{uuid.uuid4().hex[:12]}"


def refusal(call, *words, **members):
    """The code and message of a call that must fail."""
    with pytest.raises(ClientError) as caught:
        call(*words, **members)
    error = caught.value.response["Error"]
    return error["Code"], error["Message"]


@pytest.fixture
def topic(sns):
    """Makes topics that are deleted when the scenario ends: `topic(DisplayName="news")` gives an ARN."""
    made = []

    def topic(tags=(), **attributes):
        made.append(sns.create_topic(Name=fresh("t"), Attributes=attributes, Tags=list(tags))["TopicArn"])
        return made[-1]

    yield topic
    for arn in made:
        sns.delete_topic(TopicArn=arn)


class Queue:
    def __init__(self, sqs, fifo=False):
        self.sqs = sqs
        name, attributes = (fresh("q") + ".fifo", {"FifoQueue": "true"}) if fifo else (fresh("q"), {})
        self.url = sqs.create_queue(QueueName=name, Attributes=attributes)["QueueUrl"]
        found = sqs.get_queue_attributes(QueueUrl=self.url, AttributeNames=["QueueArn"])
        self.arn = found["Attributes"]["QueueArn"]

    def permit(self, *topics):
        statement = {
            "Effect": "Allow",
            "Principal": {"Service": "sns.amazonaws.com"},
            "Action": "sqs:SendMessage",
            "Resource": self.arn,
            "Condition": {"ArnEquals": {"aws:SourceArn": list(topics)}},
        }
        policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
        self.sqs.set_queue_attributes(QueueUrl=self.url, Attributes={"Policy": policy})

    def first(self):
        """The message that comes first."""
        return wait_until(self.take)[0]

    def take(self, wait=20):
        """The messages of one receive, which are deleted."""
        found = self.sqs.receive_message(
            QueueUrl=self.url,
            WaitTimeSeconds=wait,
            MaxNumberOfMessages=10,
            MessageAttributeNames=["All"],
            AttributeNames=["All"],
        ).get("Messages", [])
        for message in found:
            self.sqs.delete_message(QueueUrl=self.url, ReceiptHandle=message["ReceiptHandle"])
        return found

    def texts(self, count):
        """That many published messages, in their envelopes."""
        found = []

        def all_came():
            found.extend(json.loads(message["Body"])["Message"] for message in self.take(wait=1))
            return len(found) >= count

        wait_until(all_came)
        return sorted(found)


@pytest.fixture
def queue(sqs):
    made = []

    def queue(*topics):
        made.append(Queue(sqs))
        if topics:
            made[-1].permit(*topics)
        return made[-1]

    yield queue
    for one in made:
        try:
            sqs.delete_queue(QueueUrl=one.url)
        except sqs.exceptions.QueueDoesNotExist:
            pass


def subscribe(sns, topic, endpoint, **attributes):
    protocol = endpoint.split(":")[0] if endpoint.startswith("http") else "sqs" if ":sqs:" in endpoint else "lambda"
    answer = sns.subscribe(
        TopicArn=topic, Protocol=protocol, Endpoint=endpoint, Attributes=attributes, ReturnSubscriptionArn=True
    )
    return answer["SubscriptionArn"]


def log_lines(function):
    found = []
    try:
        for page in function.node.logs.get_paginator("filter_log_events").paginate(logGroupName=function.group):
            found += [event["message"].rstrip("\n") for event in page["events"]]
    except function.node.logs.exceptions.ResourceNotFoundException:
        pass
    return [json.loads(line.split("RECORD ", 1)[1]) for line in found if line.startswith("RECORD ")]


def test_a_message_fans_out_to_queues_and_a_function(node, sns, topic, queue, make):
    arn = topic()
    queues = [queue(arn) for _ in range(3)]
    for one in queues:
        subscribe(sns, arn, one.arn)
    function = make(RECORDER)
    node.functions.add_permission(
        FunctionName=function.name,
        StatementId="sns",
        Action="lambda:InvokeFunction",
        Principal="sns.amazonaws.com",
        SourceArn=arn,
    )
    subscription = subscribe(sns, arn, function.arn)
    sent = sns.publish(
        TopicArn=arn,
        Message="hello",
        Subject="greeting",
        MessageAttributes={"n": {"DataType": "Number", "StringValue": "5"}},
    )
    for one in queues:
        envelope = json.loads(one.first()["Body"])
        assert envelope["Type"] == "Notification" and envelope["MessageId"] == sent["MessageId"]
        assert envelope["TopicArn"] == arn and envelope["Subject"] == "greeting"
        assert envelope["Message"] == "hello" and envelope["SignatureVersion"] == "1"
        assert envelope["MessageAttributes"] == {"n": {"Type": "Number", "Value": "5"}}
        assert {"Timestamp", "Signature", "SigningCertURL", "UnsubscribeURL"} <= envelope.keys()
    wait_until(lambda: log_lines(function))
    record = log_lines(function)[0]["Records"][0]
    assert record["EventSource"] == "aws:sns" and record["EventSubscriptionArn"] == subscription
    assert record["Sns"]["Message"] == "hello" and record["Sns"]["MessageId"] == sent["MessageId"]


def test_raw_delivery_gives_message_and_attributes_alone(sns, topic, queue):
    arn = topic()
    one = queue(arn)
    subscribe(sns, arn, one.arn, RawMessageDelivery="true")
    attributes = {
        "text": {"DataType": "String", "StringValue": "t"},
        "bytes": {"DataType": "Binary", "BinaryValue": b"\x00\x01"},
    }
    sns.publish(TopicArn=arn, Message="plain", MessageAttributes=attributes, MessageGroupId="g")
    message = one.first()
    assert message["Body"] == "plain"
    assert message["MessageAttributes"]["text"]["StringValue"] == "t"
    assert message["MessageAttributes"]["bytes"]["BinaryValue"] == b"\x00\x01"
    assert message["Attributes"]["MessageGroupId"] == "g"


def test_filters_act_on_attributes_and_on_bodies(sns, topic, queue):
    arn = topic()
    by_attribute, by_body = queue(arn), queue(arn)
    subscription = subscribe(sns, arn, by_attribute.arn, FilterPolicy=json.dumps({"kind": [{"prefix": "or"}]}))
    policy = {"order": {"price": [{"numeric": [">", 100]}]}}
    subscribe(sns, arn, by_body.arn, FilterPolicy=json.dumps(policy), FilterPolicyScope="MessageBody")
    cheap, dear = json.dumps({"order": {"price": 5}}), json.dumps({"order": {"price": 500}})
    kind = lambda value: {"kind": {"DataType": "String", "StringValue": value}}
    sns.publish(TopicArn=arn, Message=cheap, MessageAttributes=kind("order"))
    sns.publish(TopicArn=arn, Message=dear, MessageAttributes=kind("bill"))
    assert by_attribute.texts(1) == [cheap]
    assert by_body.texts(1) == [dear]
    sns.set_subscription_attributes(
        SubscriptionArn=subscription, AttributeName="FilterPolicy", AttributeValue=json.dumps({"kind": ["bill"]})
    )
    sns.publish(TopicArn=arn, Message="second", MessageAttributes=kind("bill"))
    assert by_attribute.texts(1) == ["second"]


def test_what_is_no_filter_is_refused(sns, topic, queue):
    arn = topic()
    one = queue(arn)
    for policy in ({"a": "b"}, {"a": [{"like": "b"}]}, {str(n): ["x"] for n in range(6)}, {"a": {"b": ["c"]}}):
        code, _ = refusal(
            sns.subscribe, TopicArn=arn, Protocol="sqs", Endpoint=one.arn, Attributes={"FilterPolicy": json.dumps(policy)}
        )
        assert code == "InvalidParameter", policy


@pytest.mark.parametrize("reason", ["denied", "gone"])
def test_what_can_not_be_delivered_goes_to_the_dead_letter_queue(sns, sqs, topic, queue, reason):
    arn = topic()
    one, dead = queue(), queue(arn)
    subscribe(sns, arn, one.arn, RedrivePolicy=json.dumps({"deadLetterTargetArn": dead.arn}))
    if reason == "gone":
        one.permit(arn)
        sqs.delete_queue(QueueUrl=one.url)
    sent = sns.publish(TopicArn=arn, Message="lost")
    message = dead.first()
    assert json.loads(message["Body"])["MessageId"] == sent["MessageId"]
    assert message["MessageAttributes"]["ErrorCode"]["StringValue"]
    if reason == "denied":
        assert one.take(wait=0) == []


def test_each_protocol_gets_its_own_text(sns, topic, queue):
    arn = topic()
    one = queue(arn)
    subscribe(sns, arn, one.arn)
    message = json.dumps({"default": "for all", "sqs": "for queues"})
    sns.publish(TopicArn=arn, Message=message, MessageStructure="json")
    assert one.texts(1) == ["for queues"]
    code, _ = refusal(sns.publish, TopicArn=arn, Message="{}", MessageStructure="json")
    assert code == "InvalidParameter"


def test_entries_of_a_batch_fail_alone(sns, topic, queue):
    arn = topic()
    one = queue(arn)
    subscribe(sns, arn, one.arn)
    entries = [{"Id": "a", "Message": "1"}, {"Id": "b", "Message": "2", "Subject": "x\ny"}, {"Id": "c", "Message": "3"}]
    answer = sns.publish_batch(TopicArn=arn, PublishBatchRequestEntries=entries)
    assert [entry["Id"] for entry in answer["Successful"]] == ["a", "c"]
    assert [(entry["Id"], entry["SenderFault"]) for entry in answer["Failed"]] == [("b", True)]
    assert one.texts(2) == ["1", "3"]
    twice = [{"Id": "a", "Message": "1"}, {"Id": "a", "Message": "2"}]
    assert refusal(sns.publish_batch, TopicArn=arn, PublishBatchRequestEntries=twice)[0] == "BatchEntryIdsNotDistinct"


def test_topics_and_subscriptions_show_what_they_were_given(sns, topic, queue):
    arn = topic(tags=[{"Key": "k", "Value": "v"}], DisplayName="news", SignatureVersion="2")
    found = sns.get_topic_attributes(TopicArn=arn)["Attributes"]
    assert found["DisplayName"] == "news" and found["Owner"] == ACCOUNT and found["SignatureVersion"] == "2"
    assert sns.list_tags_for_resource(ResourceArn=arn)["Tags"] == [{"Key": "k", "Value": "v"}]
    one = queue(arn)
    subscription = subscribe(sns, arn, one.arn)
    assert subscribe(sns, arn, one.arn) == subscription
    listed = sns.list_subscriptions_by_topic(TopicArn=arn)["Subscriptions"]
    assert [entry["SubscriptionArn"] for entry in listed] == [subscription]
    assert arn in [entry["TopicArn"] for page in sns.get_paginator("list_topics").paginate() for entry in page["Topics"]]
    shown = sns.get_subscription_attributes(SubscriptionArn=subscription)["Attributes"]
    assert shown["RawMessageDelivery"] == "false" and shown["PendingConfirmation"] == "false"
    sns.publish(TopicArn=arn, Message="m")
    assert json.loads(one.first()["Body"])["SignatureVersion"] == "2"
    sns.unsubscribe(SubscriptionArn=subscription)
    assert sns.list_subscriptions_by_topic(TopicArn=arn)["Subscriptions"] == []
    assert refusal(sns.get_subscription_attributes, SubscriptionArn=subscription)[0] == "NotFound"


def test_what_is_not_served_is_refused_by_name(sns, topic):
    assert "email" in refusal(sns.subscribe, TopicArn=topic(), Protocol="email", Endpoint="a@example.com")[1]
    assert "PhoneNumber" in refusal(sns.publish, PhoneNumber="+15555550100", Message="m")[1]
    assert refusal(sns.list_platform_applications)[0] == "UnsupportedOperation"
    missing = f"arn:aws:sns:{REGION}:{ACCOUNT}:{fresh('t')}"
    assert refusal(sns.publish, TopicArn=missing, Message="m") == ("NotFound", "Topic does not exist")


class Endpoint:
    """An HTTP server that keeps what it gets, and answers as it is told."""

    def __init__(self):
        self.got, self.answers = [], []
        endpoint = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["content-length"])).decode()
                endpoint.got.append((self.path, dict(self.headers.items()), body))
                self.send_response(endpoint.answers.pop(0) if endpoint.answers else 200)
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/hook"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def take(self):
        wait_until(lambda: self.got)
        return self.got.pop(0)

    def confirm(self):
        _, headers, body = self.take()
        assert headers["x-amz-sns-message-type"] == "SubscriptionConfirmation"
        question = json.loads(body)
        return question, follow(question["SubscribeURL"])


@pytest.fixture
def endpoint():
    one = Endpoint()
    yield one
    one.server.shutdown()
    one.server.server_close()


def follow(link):
    try:
        with urllib.request.urlopen(link, timeout=60) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def values(der):
    """The values of a DER sequence: tag and content."""
    found = []
    while der:
        length, at = der[1], 2
        if length & 0x80:
            at += length & 0x7F
            length = int.from_bytes(der[2:at], "big")
        found.append((der[0], der[at : at + length]))
        der = der[at + length :]
    return found


def check_signature(envelope):
    """As a client does it: the key is that of the certificate, and the signature covers these fields."""
    status, pem = follow(envelope["SigningCertURL"])
    assert status == 200
    body = values(values(ssl.PEM_cert_to_DER_cert(pem))[0][1])[0][1]
    key = values(values(body)[6][1])[1][1][1:]
    modulus, exponent = [int.from_bytes(number, "big") for _, number in values(values(key)[0][1])]
    names = ["Message", "MessageId", "Subject", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type"]
    covered = "".join(f"{name}\n{envelope[name]}\n" for name in names if name in envelope).encode()
    digest, prefix = {
        "1": (hashlib.sha1(covered).digest(), "3021300906052b0e03021a05000414"),
        "2": (hashlib.sha256(covered).digest(), "3031300d060960864801650304020105000420"),
    }[envelope["SignatureVersion"]]
    tail = b"\0" + bytes.fromhex(prefix) + digest
    padded = b"\0\1" + b"\xff" * (256 - 2 - len(tail)) + tail
    signature = int.from_bytes(base64.b64decode(envelope["Signature"]), "big")
    assert pow(signature, exponent, modulus).to_bytes(256, "big") == padded


@pytest.mark.parametrize("version", ["1", "2"])
def test_an_endpoint_confirms_and_gets_signed_messages(sns, topic, endpoint, version):
    arn = topic(SignatureVersion=version)
    assert sns.subscribe(TopicArn=arn, Protocol="http", Endpoint=endpoint.url)["SubscriptionArn"] == "pending confirmation"
    sns.publish(TopicArn=arn, Message="too early")
    question, (status, answer) = endpoint.confirm()
    assert status == 200 and arn in answer
    assert question["SignatureVersion"] == version
    check_signature(question)
    [listed] = sns.list_subscriptions_by_topic(TopicArn=arn)["Subscriptions"]
    sent = sns.publish(TopicArn=arn, Message="hello\n\"you\"", Subject="greeting")
    path, headers, body = endpoint.take()
    assert path == "/hook" and headers["x-amz-sns-message-id"] == sent["MessageId"]
    assert headers["x-amz-sns-subscription-arn"] == listed["SubscriptionArn"]
    assert headers["content-type"] == "text/plain; charset=UTF-8"
    envelope = json.loads(body)
    assert (envelope["Message"], envelope["Subject"]) == ("hello\n\"you\"", "greeting")
    check_signature(envelope)


def test_a_link_ends_a_subscription_and_another_brings_it_back(sns, topic, endpoint):
    arn = topic()
    subscription = subscribe(sns, arn, endpoint.url, RawMessageDelivery="true")
    endpoint.confirm()
    base = sns.meta.endpoint_url
    status, _ = follow(f"{base}/?Action=Unsubscribe&SubscriptionArn={subscription}")
    assert status == 200
    assert refusal(sns.get_subscription_attributes, SubscriptionArn=subscription)[0] == "NotFound"
    sns.publish(TopicArn=arn, Message="not wanted")
    _, headers, body = endpoint.take()
    assert headers["x-amz-sns-message-type"] == "UnsubscribeConfirmation"
    follow(json.loads(body)["SubscribeURL"])
    sns.publish(TopicArn=arn, Message="wanted again")
    _, headers, body = endpoint.take()
    assert body == "wanted again" and headers["x-amz-sns-rawdelivery"] == "true"
    # One that was confirmed by a signed request is ended by one, too; and no link asks for anything else.
    assert follow(f"{base}/?Action=DeleteTopic&TopicArn={arn}")[0] == 403
    sns.unsubscribe(SubscriptionArn=subscription)
    other = subscribe(sns, arn, endpoint.url)
    token = json.loads(endpoint.take()[2])["Token"]
    sns.confirm_subscription(TopicArn=arn, Token=token, AuthenticateOnUnsubscribe="true")
    assert follow(f"{base}/?Action=Unsubscribe&SubscriptionArn={other}")[0] == 403


def test_an_endpoint_is_tried_by_its_delivery_policy_and_given_up_to_the_dead_letters(sns, topic, queue, endpoint):
    arn = topic()
    dead = queue(arn)
    retries = {"minDelayTarget": 1, "maxDelayTarget": 1, "numRetries": 2, "numNoDelayRetries": 1}
    policy = {"healthyRetryPolicy": retries, "requestPolicy": {"headerContentType": "application/json"}}
    subscribe(
        sns, arn, endpoint.url, DeliveryPolicy=json.dumps(policy), RedrivePolicy=json.dumps({"deadLetterTargetArn": dead.arn})
    )
    endpoint.confirm()
    endpoint.answers = [500, 503, 200]
    sns.publish(TopicArn=arn, Message="in the end")
    for _ in range(3):
        _, headers, body = endpoint.take()
        assert json.loads(body)["Message"] == "in the end" and headers["content-type"] == "application/json"
    for answers in ([500, 500, 429], [404]):
        endpoint.answers = list(answers)
        sns.publish(TopicArn=arn, Message="lost")
        message = dead.first()
        assert message["MessageAttributes"]["ErrorCode"]["StringValue"] == str(answers[-1])
        assert [endpoint.take() and None for _ in answers] and not endpoint.got


def test_a_function_can_not_have_the_node_call_an_address(node, sns, topic, endpoint, make):
    arn = topic()
    names = ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"]
    function = make(f"import os\ndef handler(event, context):\n    return [os.environ[name] for name in {names}]\n")
    keys = json.loads(node.functions.invoke(FunctionName=function.name)["Payload"].read())
    inside = dict(zip(["aws_access_key_id", "aws_secret_access_key", "aws_session_token"], keys))
    client = boto3.client("sns", endpoint_url=sns.meta.endpoint_url, region_name=REGION, **inside)
    client.publish(TopicArn=arn, Message="that it may")
    code, _ = refusal(client.subscribe, TopicArn=arn, Protocol="http", Endpoint=endpoint.url)
    assert code == "AuthorizationError" and not endpoint.got


@pytest.fixture
def fifo(sns, sqs):
    """A FIFO topic and a FIFO queue that hears of it: `topic, queue = fifo(ContentBasedDeduplication="true")`."""
    made = []

    def fifo(**attributes):
        arn = sns.create_topic(Name=fresh("t") + ".fifo", Attributes={"FifoTopic": "true", **attributes})["TopicArn"]
        queue = Queue(sqs, fifo=True)
        queue.permit(arn)
        made.append((arn, queue))
        return made[-1]

    yield fifo
    for arn, queue in made:
        sns.delete_topic(TopicArn=arn)
        sqs.delete_queue(QueueUrl=queue.url)


def test_a_fifo_topic_keeps_the_order_of_each_group(sns, fifo):
    arn, queue = fifo()
    subscribe(sns, arn, queue.arn, RawMessageDelivery="true")
    numbers = []
    for batch in range(5):
        entries = [
            {"Id": str(n), "Message": f"{batch}{n}", "MessageGroupId": f"g{n % 2}", "MessageDeduplicationId": f"{batch}-{n}"}
            for n in range(10)
        ]
        answer = sns.publish_batch(TopicArn=arn, PublishBatchRequestEntries=entries)
        numbers += [entry["SequenceNumber"] for entry in answer["Successful"]]
    assert numbers == sorted(numbers) and len(set(numbers)) == 50
    got = {"g0": [], "g1": []}

    def all_came():
        for message in queue.take(wait=1):
            got[message["Attributes"]["MessageGroupId"]].append(message["Body"])
        return sum(map(len, got.values())) >= 50

    wait_until(all_came)
    assert all(len(bodies) == 25 and bodies == sorted(bodies) for bodies in got.values())


def test_a_fifo_topic_takes_the_same_message_once(sns, sqs, fifo, queue):
    arn, ordered = fifo(ContentBasedDeduplication="true", FifoThroughputScope="MessageGroup")
    standard = queue(arn)
    for one in (ordered, standard):
        subscribe(sns, arn, one.arn)
    publish = lambda **members: sns.publish(TopicArn=arn, **members)
    first = publish(Message="m", MessageGroupId="a")
    assert publish(Message="m", MessageGroupId="a")["SequenceNumber"] == first["SequenceNumber"]
    publish(Message="m", MessageGroupId="b")
    publish(Message="other", MessageGroupId="a", MessageDeduplicationId="d")
    publish(Message="last", MessageGroupId="a")
    # The queue tells messages of all groups apart by itself, by the same token.
    assert ordered.texts(3) == ["last", "m", "other"] and ordered.take(wait=0) == []
    assert standard.texts(4) == ["last", "m", "m", "other"]
    assert refusal(sns.publish, TopicArn=arn, Message="m")[0] == "InvalidParameter"


def test_a_topic_hears_of_the_end_of_an_asynchronous_call(node, sns, topic, queue, make):
    arn = topic()
    one = queue(arn)
    subscribe(sns, arn, one.arn)
    function = make("def handler(event, context):\n    return {'got': 1 / event['n']}\n")
    node.functions.put_function_event_invoke_config(
        FunctionName=function.name, MaximumRetryAttempts=0, DestinationConfig={"OnSuccess": {"Destination": arn}}
    )
    node.functions.update_function_configuration(FunctionName=function.name, DeadLetterConfig={"TargetArn": arn})
    node.functions.get_waiter("function_updated_v2").wait(FunctionName=function.name)
    for n in (2, 0):
        node.functions.invoke(FunctionName=function.name, InvocationType="Event", Payload=json.dumps({"n": n}))
        envelope = json.loads(one.first()["Body"])
        record = json.loads(envelope["Message"])
        if n:
            assert record["requestContext"]["condition"] == "Success" and record["responsePayload"] == {"got": 0.5}
        else:
            assert record == {"n": 0} and envelope["MessageAttributes"]["ErrorCode"]["Value"] == "200"


def test_a_killed_node_loses_no_published_message(tmp_path):
    data = tmp_path / "data"
    node = Node(data).start()
    sns = node.client("sns")
    arn = sns.create_topic(Name="t")["TopicArn"]
    queues = [Queue(node.client("sqs")) for _ in range(3)]
    for one in queues:
        one.permit(arn)
        subscribe(sns, arn, one.arn)
    sent = set()
    for batch in range(20):
        entries = [{"Id": str(n), "Message": f"{batch}-{n}"} for n in range(10)]
        answer = sns.publish_batch(TopicArn=arn, PublishBatchRequestEntries=entries)
        sent |= {f"{batch}-{entry['Id']}" for entry in answer["Successful"]}
    node.kill()
    with Node(data) as node:
        for one in queues:
            one.sqs = node.client("sqs")
            one.url = one.sqs.get_queue_url(QueueName=one.url.rsplit("/", 1)[1])["QueueUrl"]
            found = set()

            def all_came():
                found.update(json.loads(message["Body"])["Message"] for message in one.take(wait=1))
                return found >= sent

            wait_until(all_came)
