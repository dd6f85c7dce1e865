"""Amazon SQS through unmodified clients: each setting in a scenario that fails when it is ignored."""

import functools
import hashlib
import json
import os
import threading
import time
import urllib.parse
import urllib.request
import uuid
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from botocore.exceptions import BotoCoreError, ClientError

from support.node import ACCOUNT, REGION, Node, wait_until


@pytest.fixture
def sqs(node):
    return node.client("sqs")


@pytest.fixture
def queue(sqs):
    """Makes queues that are deleted when the scenario ends: `queue(VisibilityTimeout=1)` gives an address."""
    made = []

    def queue(fifo=False, name=None, tags=None, **attributes):
        name = name or f"q-{uuid.uuid4().hex[:12]}" + (".fifo" if fifo else "")
        if fifo:
            attributes["FifoQueue"] = "true"
        more = {"tags": tags} if tags else {}
        attributes = {key: str(value) for key, value in attributes.items()}
        url = sqs.create_queue(QueueName=name, Attributes=attributes, **more)["QueueUrl"]
        made.append(url)
        return url

    yield queue
    for url in made:
        try:
            sqs.delete_queue(QueueUrl=url)
        except sqs.exceptions.QueueDoesNotExist:
            pass


def arn_of(sqs, url):
    return sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]


def receive(sqs, url, **more):
    more = {"MaxNumberOfMessages": 10, **more}
    return sqs.receive_message(QueueUrl=url, **more).get("Messages", [])


def bodies(messages):
    return [message["Body"] for message in messages]


def counts(sqs, url):
    names = ["", "NotVisible", "Delayed"]
    found = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
    return tuple(int(found["ApproximateNumberOfMessages" + name]) for name in names)


def refusal(call, *words, **members):
    """The code and message of a call that must fail."""
    with pytest.raises(ClientError) as caught:
        call(*words, **members)
    error = caught.value.response["Error"]
    return error["Code"], error["Message"]


def test_a_message_is_sent_received_and_deleted(sqs, queue):
    url = queue()
    sent = sqs.send_message(QueueUrl=url, MessageBody="hällo\r\n<&>")
    assert sent["MD5OfMessageBody"] == hashlib.md5("hällo\r\n<&>".encode()).hexdigest()
    assert counts(sqs, url) == (1, 0, 0)
    [message] = receive(sqs, url, MessageSystemAttributeNames=["All"])
    assert message["Body"] == "hällo\r\n<&>" and message["MessageId"] == sent["MessageId"]
    attributes = message["Attributes"]
    assert attributes["SenderId"] == ACCOUNT and attributes["ApproximateReceiveCount"] == "1"
    assert abs(int(attributes["SentTimestamp"]) / 1000 - time.time()) < 30
    assert int(attributes["ApproximateFirstReceiveTimestamp"]) >= int(attributes["SentTimestamp"])
    assert counts(sqs, url) == (0, 1, 0) and receive(sqs, url) == []
    for _ in range(2):
        sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
    assert counts(sqs, url) == (0, 0, 0)


def test_visibility_ends_and_is_changed(sqs, queue):
    url = queue(VisibilityTimeout=1)
    sqs.send_message(QueueUrl=url, MessageBody="m")
    [first] = receive(sqs, url)
    [second] = receive(sqs, url, WaitTimeSeconds=10, AttributeNames=["ApproximateReceiveCount"], VisibilityTimeout=600)
    assert second["Attributes"]["ApproximateReceiveCount"] == "2"
    assert second["ReceiptHandle"] != first["ReceiptHandle"]
    # The older receipt removes nothing, and says so to nobody.
    sqs.delete_message(QueueUrl=url, ReceiptHandle=first["ReceiptHandle"])
    assert counts(sqs, url) == (0, 1, 0)
    sqs.change_message_visibility(QueueUrl=url, ReceiptHandle=second["ReceiptHandle"], VisibilityTimeout=0)
    [third] = receive(sqs, url)
    code, _ = refusal(
        sqs.change_message_visibility, QueueUrl=url, ReceiptHandle=second["ReceiptHandle"], VisibilityTimeout=1
    )
    assert code == "AWS.SimpleQueueService.MessageNotInflight"
    sqs.delete_message(QueueUrl=url, ReceiptHandle=third["ReceiptHandle"])
    code, message = refusal(
        sqs.change_message_visibility, QueueUrl=url, ReceiptHandle=third["ReceiptHandle"], VisibilityTimeout=1
    )
    assert code == "InvalidParameterValue" and "does not exist or is not available" in message


def test_delays_of_queue_and_message(sqs, queue):
    url = queue(DelaySeconds=900)
    sqs.send_message(QueueUrl=url, MessageBody="late")
    sqs.send_message(QueueUrl=url, MessageBody="soon", DelaySeconds=4)
    sqs.send_message(QueueUrl=url, MessageBody="now", DelaySeconds=0)
    assert counts(sqs, url) == (1, 0, 2)
    assert bodies(receive(sqs, url)) == ["now"]
    began = time.monotonic()
    assert bodies(receive(sqs, url, WaitTimeSeconds=20)) == ["soon"]
    assert time.monotonic() - began < 18


def test_retention_takes_messages_away(sqs, queue):
    url = queue(MessageRetentionPeriod=60)
    assert sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["MessageRetentionPeriod"])["Attributes"] == {
        "MessageRetentionPeriod": "60"
    }


def test_the_largest_message(sqs, queue):
    url = queue()
    sqs.send_message(QueueUrl=url, MessageBody="x" * 1_048_576)
    [message] = receive(sqs, url)
    assert len(message["Body"]) == 1_048_576
    code, text = refusal(sqs.send_message, QueueUrl=url, MessageBody="x" * 1_048_577)
    assert code == "InvalidParameterValue" and "must be shorter than 1048576 bytes" in text
    small = queue(MaximumMessageSize=1024)
    sqs.send_message(QueueUrl=small, MessageBody="x" * 1024)
    attribute = {"a": {"DataType": "String", "StringValue": "y"}}
    code, text = refusal(sqs.send_message, QueueUrl=small, MessageBody="x" * 1020, MessageAttributes=attribute)
    assert "must be shorter than 1024 bytes" in text


@pytest.mark.parametrize("by_queue", [False, True])
def test_a_waiting_receive_is_woken_at_once(node, sqs, queue, by_queue):
    url = queue(**({"ReceiveMessageWaitTimeSeconds": 20} if by_queue else {}))
    more = {} if by_queue else {"WaitTimeSeconds": 20}
    got, began = [], threading.Barrier(4)

    def wait():
        began.wait()
        got.extend((body, time.monotonic()) for body in bodies(receive(sqs, url, MaxNumberOfMessages=1, **more)))

    threads = [threading.Thread(target=wait) for _ in range(3)]
    for thread in threads:
        thread.start()
    began.wait()
    time.sleep(0.3)
    assert not got
    sent = time.monotonic()
    for n in range(3):
        sqs.send_message(QueueUrl=url, MessageBody=str(n))
    for thread in threads:
        thread.join(timeout=60)
    assert sorted(body for body, _ in got) == ["0", "1", "2"]
    # Twenty seconds is what they were ready to wait.
    assert max(at for _, at in got) - sent < 15


def test_an_empty_wait_ends_in_time(sqs, queue):
    began = time.monotonic()
    assert receive(sqs, queue(), WaitTimeSeconds=1) == []
    assert 0.9 < time.monotonic() - began < 15


def test_one_of_several_who_wait_gets_what_comes_back(sqs, queue):
    """Who leaves with a message tells another when it will be visible again."""
    url = queue(VisibilityTimeout=1)
    got = []
    threads = [
        threading.Thread(target=lambda: got.extend(receive(sqs, url, WaitTimeSeconds=20))) for _ in range(2)
    ]
    for thread in threads:
        thread.start()
    time.sleep(0.3)
    began = time.monotonic()
    sqs.send_message(QueueUrl=url, MessageBody="m")
    for thread in threads:
        thread.join(timeout=60)
    assert bodies(got) == ["m", "m"] and time.monotonic() - began < 15


def test_attributes_come_back_with_their_digests(sqs, queue):
    url = queue()
    attributes = {
        "text": {"DataType": "String", "StringValue": "välue"},
        "number": {"DataType": "Number.int", "StringValue": "5"},
        "bytes": {"DataType": "Binary", "BinaryValue": b"\x00\xff"},
    }
    trace = {"AWSTraceHeader": {"DataType": "String", "StringValue": "Root=1-5759e988-bd862e3fe1be46a994272793"}}
    sent = sqs.send_message(
        QueueUrl=url, MessageBody="m", MessageAttributes=attributes, MessageSystemAttributes=trace
    )
    # boto3 itself compares the digest of the body only.
    assert sent["MD5OfMessageAttributes"] == md5_of(attributes)
    assert sent["MD5OfMessageSystemAttributes"] == md5_of(trace)
    [message] = receive(
        sqs, url, MessageAttributeNames=["te.*", "bytes"], MessageSystemAttributeNames=["AWSTraceHeader"],
        VisibilityTimeout=0,
    )
    kept = {name: attributes[name] for name in ["text", "bytes"]}
    assert message["MessageAttributes"] == kept and message["MD5OfMessageAttributes"] == md5_of(kept)
    assert message["Attributes"] == {"AWSTraceHeader": trace["AWSTraceHeader"]["StringValue"]}
    [message] = receive(sqs, url, MessageAttributeNames=["All"], VisibilityTimeout=0)
    assert message["MessageAttributes"] == attributes
    [message] = receive(sqs, url, MessageAttributeNames=["none"])
    assert "MessageAttributes" not in message and "Attributes" not in message


def md5_of(attributes):
    digest = hashlib.md5()

    def put(data):
        digest.update(len(data).to_bytes(4, "big") + data)

    for name in sorted(attributes):
        attribute = attributes[name]
        put(name.encode())
        put(attribute["DataType"].encode())
        if "BinaryValue" in attribute:
            digest.update(b"\x02")
            put(attribute["BinaryValue"])
        else:
            digest.update(b"\x01")
            put(attribute["StringValue"].encode())
    return digest.hexdigest()


@pytest.mark.parametrize(
    "members, code, words",
    [
        ({"MessageBody": ""}, "MissingParameter", "MessageBody"),
        ({"MessageBody": "\x01"}, "InvalidMessageContents", "Invalid characters"),
        ({"DelaySeconds": 901}, "InvalidParameterValue", "DelaySeconds must be >= 0 and <= 900"),
        ({"MessageDeduplicationId": "d"}, "InvalidParameterValue", "not valid for this queue type"),
        (
            {"MessageAttributes": {"a": {"DataType": "Text", "StringValue": "x"}}},
            "InvalidParameterValue",
            "supported type prefixes is Binary, Number, and String",
        ),
        (
            {"MessageAttributes": {f"a{n}": {"DataType": "String", "StringValue": "x"} for n in range(11)}},
            "InvalidParameterValue",
            "exceeds the allowed maximum [10]",
        ),
        (
            {"MessageSystemAttributes": {"Other": {"DataType": "String", "StringValue": "x"}}},
            "InvalidParameterValue",
            "Other",
        ),
    ],
)
def test_messages_outside_their_limits_are_refused(sqs, queue, members, code, words):
    url = queue()
    found, text = refusal(sqs.send_message, QueueUrl=url, **{"MessageBody": "m", **members})
    assert (found, words in text) == (code, True), text
    assert counts(sqs, url) == (0, 0, 0)


@pytest.mark.parametrize(
    "members, words",
    [
        ({"MaxNumberOfMessages": 11}, "Must be between 1 and 10"),
        ({"MaxNumberOfMessages": 0}, "Must be between 1 and 10"),
        ({"VisibilityTimeout": 43_201}, "Must be >= 0 and <= 43200"),
        ({"WaitTimeSeconds": 21}, "Must be >= 0 and <= 20"),
        ({"ReceiveRequestAttemptId": "a"}, "not valid for this queue type"),
    ],
)
def test_receives_outside_their_limits_are_refused(sqs, queue, members, words):
    code, text = refusal(sqs.receive_message, QueueUrl=queue(), **members)
    assert code == "InvalidParameterValue" and words in text


def test_a_batch_fails_entry_by_entry(sqs, queue):
    url = queue()
    entries = [
        {"Id": "good", "MessageBody": "one"},
        {"Id": "late", "MessageBody": "two", "DelaySeconds": 900},
        {"Id": "bad", "MessageBody": "three", "DelaySeconds": 901},
    ]
    done = sqs.send_message_batch(QueueUrl=url, Entries=entries)
    assert [entry["Id"] for entry in done["Successful"]] == ["good", "late"]
    assert done["Successful"][0]["MD5OfMessageBody"] == hashlib.md5(b"one").hexdigest()
    [failed] = done["Failed"]
    assert (failed["Id"], failed["Code"], failed["SenderFault"]) == ("bad", "InvalidParameterValue", True)
    assert counts(sqs, url) == (1, 0, 1)
    [message] = receive(sqs, url)
    changed = sqs.change_message_visibility_batch(
        QueueUrl=url,
        Entries=[
            {"Id": "a", "ReceiptHandle": message["ReceiptHandle"], "VisibilityTimeout": 0},
            {"Id": "b", "ReceiptHandle": "garbage", "VisibilityTimeout": 0},
            {"Id": "c", "ReceiptHandle": message["ReceiptHandle"], "VisibilityTimeout": 43_201},
        ],
    )
    assert [entry["Id"] for entry in changed["Successful"]] == ["a"]
    assert {entry["Id"]: entry["Code"] for entry in changed["Failed"]} == {
        "b": "ReceiptHandleIsInvalid", "c": "InvalidParameterValue",
    }
    [message] = receive(sqs, url)
    deleted = sqs.delete_message_batch(
        QueueUrl=url,
        Entries=[
            {"Id": "a", "ReceiptHandle": message["ReceiptHandle"]},
            {"Id": "b", "ReceiptHandle": message["ReceiptHandle"][:-3] + "AAA"},
        ],
    )
    assert [entry["Id"] for entry in deleted["Successful"]] == ["a"]
    assert [(entry["Id"], entry["Code"]) for entry in deleted["Failed"]] == [("b", "ReceiptHandleIsInvalid")]
    assert counts(sqs, url) == (0, 0, 1)


def test_batches_outside_their_limits_are_refused(sqs, queue):
    url = queue()

    def entries(*ids, size=1):
        return [{"Id": at, "MessageBody": "x" * size} for at in ids]

    prefix = "AWS.SimpleQueueService."
    for sent, wanted in [
        ([], "EmptyBatchRequest"),
        (entries(*map(str, range(11))), "TooManyEntriesInBatchRequest"),
        (entries("a", "a"), "BatchEntryIdsNotDistinct"),
        (entries("a b"), "InvalidBatchEntryId"),
        (entries("x" * 81), "InvalidBatchEntryId"),
        (entries("a", "b", size=600_000), "BatchRequestTooLong"),
    ]:
        code, _ = refusal(sqs.send_message_batch, QueueUrl=url, Entries=sent)
        assert code == prefix + wanted
    assert counts(sqs, url) == (0, 0, 0)


def test_receipt_handles_are_those_of_their_queue(sqs, queue):
    first, second = queue(), queue()
    sqs.send_message(QueueUrl=first, MessageBody="m")
    sqs.send_message(QueueUrl=second, MessageBody="m")
    [message] = receive(sqs, first)
    receive(sqs, second)
    for handle in [message["ReceiptHandle"], "garbage", "A" * 54]:
        code, _ = refusal(sqs.delete_message, QueueUrl=second, ReceiptHandle=handle)
        assert code == "ReceiptHandleIsInvalid"
    assert counts(sqs, second) == (0, 1, 0)


def test_queues_are_found_by_name_and_listed(sqs, queue):
    prefix = f"p{uuid.uuid4().hex[:8]}-"
    urls = [queue(name=f"{prefix}{n}") for n in range(5)]
    assert sqs.get_queue_url(QueueName=f"{prefix}3")["QueueUrl"] == urls[3]
    assert sqs.list_queues(QueueNamePrefix=prefix)["QueueUrls"] == urls
    pages = sqs.get_paginator("list_queues").paginate(QueueNamePrefix=prefix, PaginationConfig={"PageSize": 2})
    assert [page["QueueUrls"] for page in pages] == [urls[:2], urls[2:4], urls[4:]]
    assert "QueueUrls" not in sqs.list_queues(QueueNamePrefix=prefix + "none")
    code, _ = refusal(sqs.list_queues, QueueNamePrefix=prefix, NextToken="x", MaxResults=1)
    assert code == "InvalidParameterValue"
    with pytest.raises(sqs.exceptions.QueueDoesNotExist):
        sqs.get_queue_url(QueueName=prefix + "none")


def test_a_queue_is_made_again_when_it_is_the_same(sqs, queue):
    url = queue(VisibilityTimeout=7, tags={"a": "b"})
    name = url.rsplit("/", 1)[1]
    assert sqs.create_queue(QueueName=name)["QueueUrl"] == url
    assert sqs.create_queue(QueueName=name, Attributes={"VisibilityTimeout": "7"})["QueueUrl"] == url
    with pytest.raises(sqs.exceptions.QueueNameExists, match="different value for attribute VisibilityTimeout"):
        sqs.create_queue(QueueName=name, Attributes={"VisibilityTimeout": "8"})
    sqs.delete_queue(QueueUrl=url)
    with pytest.raises(sqs.exceptions.QueueDoesNotExist):
        sqs.send_message(QueueUrl=url, MessageBody="m")
    with pytest.raises(sqs.exceptions.QueueDeletedRecently, match="wait 60 seconds"):
        sqs.create_queue(QueueName=name)


@pytest.mark.parametrize("name", ["", "a b", "x" * 81, "a.b"])
def test_names_of_queues_have_their_form(sqs, name):
    code, _ = refusal(sqs.create_queue, QueueName=name)
    assert code in ("InvalidParameterValue", "MissingParameter")


@pytest.mark.parametrize(
    "attributes, code",
    [
        ({"Colour": "red"}, "InvalidAttributeName"),
        ({"VisibilityTimeout": "43201"}, "InvalidAttributeValue"),
        ({"DelaySeconds": "901"}, "InvalidAttributeValue"),
        ({"MessageRetentionPeriod": "59"}, "InvalidAttributeValue"),
        ({"MaximumMessageSize": "1023"}, "InvalidAttributeValue"),
        ({"MaximumMessageSize": "1048577"}, "InvalidAttributeValue"),
        ({"ReceiveMessageWaitTimeSeconds": "21"}, "InvalidAttributeValue"),
        ({"KmsMasterKeyId": "alias/aws/sqs"}, "InvalidAttributeValue"),
        ({"SqsManagedSseEnabled": "true"}, "InvalidAttributeValue"),
        ({"Policy": "{"}, "InvalidAttributeValue"),
        ({"RedrivePolicy": "{}"}, "InvalidParameterValue"),
        ({"FifoQueue": "false"}, "InvalidAttributeName"),
        ({"FifoQueue": "true"}, "InvalidParameterValue"),
        ({"ContentBasedDeduplication": "true"}, "InvalidAttributeName"),
    ],
)
def test_attributes_outside_their_limits_are_refused(sqs, queue, attributes, code):
    name = f"never-{uuid.uuid4().hex[:8]}"
    found, text = refusal(sqs.create_queue, QueueName=name, Attributes=attributes)
    assert found == code, text
    assert next(iter(attributes)) in text or code == "InvalidParameterValue"
    if "FifoQueue" not in attributes:
        found, _ = refusal(sqs.set_queue_attributes, QueueUrl=queue(), Attributes=attributes)
        assert found == code


def test_attributes_are_set_and_shown(sqs, queue):
    url = queue()
    before = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
    assert before["QueueArn"] == f"arn:aws:sqs:{REGION}:{ACCOUNT}:{url.rsplit('/', 1)[1]}"
    assert before["VisibilityTimeout"] == "30" and before["MessageRetentionPeriod"] == "345600"
    assert before["MaximumMessageSize"] == "1048576" and "FifoQueue" not in before
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"DelaySeconds": "5", "VisibilityTimeout": "9"})
    after = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["DelaySeconds", "VisibilityTimeout"])
    assert after["Attributes"] == {"DelaySeconds": "5", "VisibilityTimeout": "9"}
    code, _ = refusal(sqs.get_queue_attributes, QueueUrl=url, AttributeNames=["Colour"])
    assert code == "InvalidAttributeName"


def test_tags(sqs, queue):
    url = queue(tags={"team": "a", "stage": "b"})
    sqs.tag_queue(QueueUrl=url, Tags={"stage": "c", "more": "d"})
    sqs.untag_queue(QueueUrl=url, TagKeys=["team", "none"])
    assert sqs.list_queue_tags(QueueUrl=url)["Tags"] == {"stage": "c", "more": "d"}
    code, _ = refusal(sqs.tag_queue, QueueUrl=url, Tags={str(n): "x" for n in range(60)})
    assert code == "InvalidParameterValue"


def test_a_purge_takes_everything_and_is_not_repeated_at_once(sqs, queue):
    url = queue()
    sqs.send_message_batch(QueueUrl=url, Entries=[{"Id": str(n), "MessageBody": "m"} for n in range(10)])
    [message] = receive(sqs, url, MaxNumberOfMessages=1)
    sqs.purge_queue(QueueUrl=url)
    assert counts(sqs, url) == (0, 0, 0)
    sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
    sqs.send_message(QueueUrl=url, MessageBody="after")
    assert bodies(receive(sqs, url)) == ["after"]
    code, text = refusal(sqs.purge_queue, QueueUrl=url)
    assert code == "AWS.SimpleQueueService.PurgeQueueInProgress" and "every 60 seconds" in text


def test_a_receive_goes_on_waiting_across_a_purge(sqs, queue):
    url = queue()
    got = []
    thread = threading.Thread(target=lambda: got.extend(receive(sqs, url, WaitTimeSeconds=20)))
    thread.start()
    time.sleep(0.3)
    sqs.purge_queue(QueueUrl=url)
    sqs.send_message(QueueUrl=url, MessageBody="after")
    thread.join(timeout=60)
    assert bodies(got) == ["after"]


def redrive(target, count):
    return json.dumps({"deadLetterTargetArn": target, "maxReceiveCount": count})


@pytest.mark.parametrize("fifo", [False, True])
def test_a_message_that_is_received_too_often_goes_to_the_dead_letters(sqs, queue, fifo):
    dead = queue(fifo=fifo)
    source = queue(fifo=fifo, RedrivePolicy=redrive(arn_of(sqs, dead), 2), VisibilityTimeout=0)
    more = {"MessageGroupId": "g", "MessageDeduplicationId": "d"} if fifo else {}
    sent = sqs.send_message(QueueUrl=source, MessageBody="poison", **more)
    for _ in range(2):
        assert bodies(receive(sqs, source)) == ["poison"]
    assert receive(sqs, source) == []
    [message] = receive(sqs, dead, MessageSystemAttributeNames=["All"])
    assert message["MessageId"] == sent["MessageId"]
    attributes = message["Attributes"]
    assert attributes["DeadLetterQueueSourceArn"] == arn_of(sqs, source)
    assert attributes.get("MessageGroupId") == ("g" if fifo else None)
    assert sqs.list_dead_letter_source_queues(QueueUrl=dead)["queueUrls"] == [source]
    assert counts(sqs, source) == (0, 0, 0)


def test_who_may_redrive(sqs, queue):
    dead, willing = queue(RedriveAllowPolicy=json.dumps({"redrivePermission": "denyAll"})), queue()
    source = queue()
    policy = redrive(arn_of(sqs, dead), 1)
    code, text = refusal(sqs.set_queue_attributes, QueueUrl=source, Attributes={"RedrivePolicy": policy})
    assert code == "InvalidParameterValue" and "RedrivePolicy" in text
    by_queue = {"redrivePermission": "byQueue", "sourceQueueArns": [arn_of(sqs, source)]}
    sqs.set_queue_attributes(QueueUrl=dead, Attributes={"RedriveAllowPolicy": json.dumps(by_queue)})
    sqs.set_queue_attributes(QueueUrl=source, Attributes={"RedrivePolicy": policy})
    code, _ = refusal(sqs.set_queue_attributes, QueueUrl=willing, Attributes={"RedrivePolicy": policy})
    assert code == "InvalidParameterValue"
    for bad in [redrive(arn_of(sqs, dead) + "-none", 1), redrive(arn_of(sqs, queue(fifo=True)), 1)]:
        code, _ = refusal(sqs.set_queue_attributes, QueueUrl=source, Attributes={"RedrivePolicy": bad})
        assert code == "InvalidParameterValue"
    sqs.set_queue_attributes(QueueUrl=source, Attributes={"RedrivePolicy": ""})
    assert "RedrivePolicy" not in sqs.get_queue_attributes(QueueUrl=source, AttributeNames=["All"])["Attributes"]


def fail_into(sqs, source, count):
    entries = [{"Id": str(n), "MessageBody": str(n)} for n in range(count)]
    sqs.send_message_batch(QueueUrl=source, Entries=entries)
    assert len(receive(sqs, source)) == count
    assert receive(sqs, source) == []


def status(sqs, arn):
    return sqs.list_message_move_tasks(SourceArn=arn)["Results"][0]


@pytest.mark.parametrize("custom", [False, True])
def test_dead_letters_are_moved_back(sqs, queue, custom):
    dead, other = queue(), queue()
    source = queue(RedrivePolicy=redrive(arn_of(sqs, dead), 1), VisibilityTimeout=0)
    fail_into(sqs, source, 5)
    more = {"DestinationArn": arn_of(sqs, other)} if custom else {}
    handle = sqs.start_message_move_task(SourceArn=arn_of(sqs, dead), **more)["TaskHandle"]
    wait_until(lambda: status(sqs, arn_of(sqs, dead))["Status"] == "COMPLETED", 10)
    task = status(sqs, arn_of(sqs, dead))
    assert task["ApproximateNumberOfMessagesMoved"] == task["ApproximateNumberOfMessagesToMove"] == 5
    assert task.get("DestinationArn") == more.get("DestinationArn") and "TaskHandle" not in task
    found = receive(sqs, other if custom else source, MessageSystemAttributeNames=["All"])
    assert sorted(bodies(found)) == list("01234")
    assert {message["Attributes"]["ApproximateReceiveCount"] for message in found} == {"1"}
    code, _ = refusal(sqs.cancel_message_move_task, TaskHandle=handle)
    assert code == "AWS.SimpleQueueService.UnsupportedOperation"


def test_a_slow_move_keeps_its_rate_and_is_cancelled(sqs, queue):
    dead = queue()
    source = queue(RedrivePolicy=redrive(arn_of(sqs, dead), 1), VisibilityTimeout=0)
    fail_into(sqs, source, 10)
    arn = arn_of(sqs, dead)
    began = time.monotonic()
    handle = sqs.start_message_move_task(SourceArn=arn, MaxNumberOfMessagesPerSecond=1)["TaskHandle"]
    code, _ = refusal(sqs.start_message_move_task, SourceArn=arn)
    assert code == "AWS.SimpleQueueService.UnsupportedOperation"
    assert status(sqs, arn)["TaskHandle"] == handle
    wait_until(lambda: counts(sqs, source)[0] >= 1)
    sqs.cancel_message_move_task(TaskHandle=handle)
    wait_until(lambda: status(sqs, arn)["Status"] == "CANCELLED")
    moved = counts(sqs, source)[0]
    assert moved <= time.monotonic() - began + 2 and counts(sqs, dead)[0] == 10 - moved
    for bad, code in [("garbage", "InvalidParameterValue")]:
        assert refusal(sqs.cancel_message_move_task, TaskHandle=bad)[0] == code
    code, _ = refusal(sqs.start_message_move_task, SourceArn=arn_of(sqs, queue()))
    assert code == "InvalidParameterValue"
    code, _ = refusal(sqs.start_message_move_task, SourceArn=arn + "-none")
    assert code == "ResourceNotFoundException"


# FIFO.


def send(sqs, url, body, group, **more):
    more = {"MessageDeduplicationId": uuid.uuid4().hex, **more}
    return sqs.send_message(QueueUrl=url, MessageBody=body, MessageGroupId=group, **more)


def test_a_groups_order_is_kept_and_its_next_waits(sqs, queue):
    url = queue(fifo=True, VisibilityTimeout=30)
    numbers = [int(send(sqs, url, f"a{n}", "a")["SequenceNumber"]) for n in range(3)]
    assert numbers == sorted(set(numbers)) and len(str(numbers[0])) == 20
    send(sqs, url, "b0", "b")
    [first] = receive(sqs, url, MaxNumberOfMessages=1, MessageSystemAttributeNames=["All"])
    assert first["Body"] == "a0" and first["Attributes"]["SequenceNumber"] == str(numbers[0])
    assert first["Attributes"]["MessageGroupId"] == "a" and first["Attributes"]["MessageDeduplicationId"]
    assert bodies(receive(sqs, url)) == ["b0"]
    # The group is free again when its message is gone; who waits hears of it.
    got = []
    thread = threading.Thread(target=lambda: got.extend(receive(sqs, url, WaitTimeSeconds=20)))
    thread.start()
    time.sleep(0.3)
    began = time.monotonic()
    sqs.delete_message(QueueUrl=url, ReceiptHandle=first["ReceiptHandle"])
    thread.join(timeout=60)
    assert bodies(got) == ["a1", "a2"] and time.monotonic() - began < 15


def test_a_receipt_that_is_over_deletes_nothing_of_a_fifo_queue(sqs, queue):
    url = queue(fifo=True, VisibilityTimeout=1)
    send(sqs, url, "m", "g")
    [first] = receive(sqs, url)
    [second] = receive(sqs, url, WaitTimeSeconds=10, VisibilityTimeout=30)
    code, text = refusal(sqs.delete_message, QueueUrl=url, ReceiptHandle=first["ReceiptHandle"])
    assert code == "InvalidParameterValue" and "receipt handle has expired" in text
    sqs.delete_message(QueueUrl=url, ReceiptHandle=second["ReceiptHandle"])
    assert counts(sqs, url) == (0, 0, 0)


def test_the_same_deduplication_id_is_one_message(sqs, queue):
    url = queue(fifo=True)
    first = send(sqs, url, "one", "g", MessageDeduplicationId="d")
    again = send(sqs, url, "two", "h", MessageDeduplicationId="d")
    assert (again["MessageId"], again["SequenceNumber"]) == (first["MessageId"], first["SequenceNumber"])
    assert bodies(receive(sqs, url)) == ["one"]
    code, text = refusal(sqs.send_message, QueueUrl=url, MessageBody="m", MessageGroupId="g")
    assert code == "InvalidParameterValue" and "ContentBasedDeduplication" in text
    code, text = refusal(sqs.send_message, QueueUrl=url, MessageBody="m", MessageDeduplicationId="e")
    assert code == "MissingParameter" and "MessageGroupId" in text


def test_content_and_scope_of_deduplication(sqs, queue):
    url = queue(fifo=True, ContentBasedDeduplication="true")
    for body in ["same", "same", "other"]:
        sqs.send_message(QueueUrl=url, MessageBody=body, MessageGroupId="g")
    assert bodies(receive(sqs, url)) == ["same", "other"]
    fast = queue(fifo=True, DeduplicationScope="messageGroup", FifoThroughputLimit="perMessageGroupId")
    for group in ["g", "h", "g"]:
        send(sqs, fast, group, group, MessageDeduplicationId="d")
    assert sorted(bodies(receive(sqs, fast))) == ["g", "h"]
    code, _ = refusal(queue, fifo=True, FifoThroughputLimit="perMessageGroupId")
    assert code == "InvalidParameterValue"


def test_a_receive_is_repeated_by_its_attempt(sqs, queue):
    url = queue(fifo=True)
    send(sqs, url, "m", "g")
    first = receive(sqs, url, ReceiveRequestAttemptId="attempt")
    assert receive(sqs, url) == []
    again = receive(sqs, url, ReceiveRequestAttemptId="attempt")
    assert [m["ReceiptHandle"] for m in again] == [m["ReceiptHandle"] for m in first] != []


def test_a_fifo_queues_delay_is_for_what_waits_already(sqs, queue):
    url = queue(fifo=True, DelaySeconds=900)
    send(sqs, url, "m", "g")
    assert counts(sqs, url) == (0, 0, 1)
    code, _ = refusal(send, sqs, url, "n", "g", DelaySeconds=1)
    assert code == "InvalidParameterValue"
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"DelaySeconds": "0"})
    assert bodies(receive(sqs, url)) == ["m"]


def test_a_group_on_a_standard_queue_is_an_attribute(sqs, queue):
    url = queue()
    for n in range(2):
        sqs.send_message(QueueUrl=url, MessageBody=str(n), MessageGroupId="tenant")
    found = receive(sqs, url, MessageSystemAttributeNames=["MessageGroupId"])
    assert [message["Attributes"] for message in found] == [{"MessageGroupId": "tenant"}] * 2


# Who may do what.


def test_another_account_needs_the_queues_policy(node, sqs, queue):
    url = queue()
    stranger = node.client("sqs", key="111122223333")
    assert refusal(stranger.send_message, QueueUrl=url, MessageBody="m")[0] == "AccessDenied"
    sqs.add_permission(QueueUrl=url, Label="let-in", AWSAccountIds=["111122223333"], Actions=["SendMessage"])
    stranger.send_message(QueueUrl=url, MessageBody="m")
    assert refusal(stranger.receive_message, QueueUrl=url)[0] == "AccessDenied"
    policy = json.loads(sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["Policy"])["Attributes"]["Policy"])
    [statement] = policy["Statement"]
    assert statement["Principal"] == {"AWS": "arn:aws:iam::111122223333:root"}
    assert (statement["Action"], statement["Sid"]) == ("SQS:SendMessage", "let-in")
    assert refusal(
        sqs.add_permission, QueueUrl=url, Label="let-in", AWSAccountIds=["111122223333"], Actions=["SendMessage"]
    )[0] == "InvalidParameterValue"
    sqs.remove_permission(QueueUrl=url, Label="let-in")
    assert refusal(stranger.send_message, QueueUrl=url, MessageBody="m")[0] == "AccessDenied"
    assert refusal(sqs.remove_permission, QueueUrl=url, Label="let-in")[0] == "InvalidParameterValue"
    # The same name in the stranger's own account is another queue.
    with pytest.raises(ClientError, match="NonExistentQueue"):
        stranger.get_queue_url(QueueName=url.rsplit("/", 1)[1])


def test_a_deny_of_the_policy_is_for_the_owner_too(sqs, queue):
    url = queue()
    deny = {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Deny", "Principal": "*", "Action": "sqs:SendMessage", "Resource": "*"}],
    }
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": json.dumps(deny)})
    assert refusal(sqs.send_message, QueueUrl=url, MessageBody="m")[0] == "AccessDenied"
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": ""})
    sqs.send_message(QueueUrl=url, MessageBody="m")


# The query protocol.


def ask(node, path="/", method="POST", secret="test", **fields):
    """A signed request in the older protocol: status, and the XML without its namespace."""
    # A plus in an address is signed as one; in a form it is a space.
    quote = urllib.parse.quote if method == "GET" else urllib.parse.quote_plus
    text = urllib.parse.urlencode(fields, quote_via=quote)
    address = node.endpoint + path + (f"?{text}" if method == "GET" else "")
    body = b"" if method == "GET" else text.encode()
    headers = {} if method == "GET" else {"Content-Type": "application/x-www-form-urlencoded; charset=utf-8"}
    request = AWSRequest(method=method, url=address, data=body, headers=headers)
    SigV4Auth(Credentials("test", secret), "sqs", REGION).add_auth(request)
    prepared = request.prepare()
    asked = urllib.request.Request(prepared.url, data=body or None, headers=dict(prepared.headers), method=method)
    try:
        with urllib.request.urlopen(asked, timeout=30) as answer:
            status, text = answer.status, answer.read()
    except urllib.error.HTTPError as error:
        status, text = error.code, error.read()
    tree = ElementTree.fromstring(text)
    for element in tree.iter():
        element.tag = element.tag.rsplit("}", 1)[-1]
    return status, tree


@pytest.mark.parametrize("method", ["POST", "GET"])
def test_the_query_protocol_has_it_all(node, sqs, queue, method):
    name = f"q-{uuid.uuid4().hex[:10]}"
    fields = {"Attribute.1.Name": "VisibilityTimeout", "Attribute.1.Value": "5", "Tag.1.Key": "k", "Tag.1.Value": "v"}
    status, tree = ask(node, method=method, Action="CreateQueue", Version="2012-11-05", QueueName=name, **fields)
    assert status == 200 and tree.tag == "CreateQueueResponse"
    url = queue(name=name)
    assert tree.findtext("CreateQueueResult/QueueUrl") == url
    assert sqs.list_queue_tags(QueueUrl=url)["Tags"] == {"k": "v"}
    # To the queue's own address, as clients did for years.
    path = urllib.parse.urlparse(url).path
    attribute = {"Name": "a", "Value.DataType": "String", "Value.StringValue": "b"}
    attribute = {f"MessageAttribute.1.{key}": value for key, value in attribute.items()}
    status, tree = ask(node, path, method, Action="SendMessage", MessageBody="a b+c&<d>", **attribute)
    assert status == 200
    digest = md5_of({"a": {"DataType": "String", "StringValue": "b"}})
    assert tree.findtext("SendMessageResult/MD5OfMessageAttributes") == digest
    wanted = {"AttributeName.1": "All", "MessageAttributeName.1": "All", "MaxNumberOfMessages": "10"}
    status, tree = ask(node, path, method, Action="ReceiveMessage", **wanted)
    message = tree.find("ReceiveMessageResult/Message")
    assert message.findtext("Body") == "a b+c&<d>"
    names = {a.findtext("Name"): a.findtext("Value") for a in message.findall("Attribute")}
    assert names["ApproximateReceiveCount"] == "1"
    assert message.findtext("MessageAttribute/Value/StringValue") == "b"
    handle = message.findtext("ReceiptHandle")
    entries = {"DeleteMessageBatchRequestEntry.1.Id": "x", "DeleteMessageBatchRequestEntry.1.ReceiptHandle": handle}
    status, tree = ask(node, path, method, Action="DeleteMessageBatch", **entries)
    assert tree.findtext("DeleteMessageBatchResult/DeleteMessageBatchResultEntry/Id") == "x"
    status, tree = ask(node, method=method, Action="GetQueueAttributes", QueueUrl=url, **{"AttributeName.1": "All"})
    found = {a.findtext("Name"): a.findtext("Value") for a in tree.findall("GetQueueAttributesResult/Attribute")}
    assert found["VisibilityTimeout"] == "5" and found["ApproximateNumberOfMessages"] == "0"
    assert len(tree.findtext("ResponseMetadata/RequestId")) == 36


def test_faults_of_the_query_protocol(node, sqs, queue):
    url = queue()
    for fields, status, code in [
        ({"Action": "GetQueueUrl", "QueueName": "none"}, 400, "AWS.SimpleQueueService.NonExistentQueue"),
        ({"Action": "DeleteMessage", "QueueUrl": url, "ReceiptHandle": "x"}, 404, "ReceiptHandleIsInvalid"),
        ({"Action": "SendMessage", "QueueUrl": url}, 400, "MissingParameter"),
        ({"Action": "Nothing"}, 400, "InvalidAction"),
        ({"Action": "ReceiveMessage", "QueueUrl": url, "WaitTimeSeconds": "soon"}, 400, "MalformedInput"),
    ]:
        found, tree = ask(node, **fields)
        assert (found, tree.tag, tree.findtext("Error/Code")) == (status, "ErrorResponse", code), fields
        assert tree.findtext("Error/Type") == "Sender" and tree.findtext("RequestId")
    found, tree = ask(node, secret="wrong", Action="ListQueues")
    assert (found, tree.findtext("Error/Code")) == (403, "SignatureDoesNotMatch")


def test_faults_of_the_json_protocol_name_both_codes(node, sqs):
    caught = []
    sqs.meta.events.register("after-call.sqs", lambda http_response, **_: caught.append(http_response))
    with pytest.raises(sqs.exceptions.QueueDoesNotExist) as error:
        sqs.get_queue_url(QueueName="none")
    assert error.value.response["Error"]["QueryErrorCode"] == "QueueDoesNotExist"
    answer = caught[-1]
    assert answer.headers["x-amzn-query-error"] == "AWS.SimpleQueueService.NonExistentQueue;Sender"
    assert json.loads(answer.content)["__type"] == "com.amazonaws.sqs#QueueDoesNotExist"
    assert answer.headers["content-type"] == "application/x-amz-json-1.0"


def test_addresses_of_other_hosts_lead_here(node, sqs, queue):
    url = queue()
    path = urllib.parse.urlparse(url).path
    for address in [f"https://sqs.{REGION}.amazonaws.com{path}", f"https://{REGION}.queue.amazonaws.com{path}"]:
        node.client("sqs").send_message(QueueUrl=address, MessageBody="m")
    assert counts(sqs, url)[0] == 2
    assert refusal(sqs.send_message, QueueUrl="http://x/none", MessageBody="m")[0] == "InvalidAddress"


# Other clients.


def test_the_command_line(aws, queue, node):
    url = queue()
    # Version 1 sends SQS elsewhere than AWS_ENDPOINT_URL says, unless it is told here.
    aws = functools.partial(aws, "--endpoint-url", node.endpoint)
    sent = json.loads(aws("sqs", "send-message", "--queue-url", url, "--message-body", "from the shell"))
    received = json.loads(aws("sqs", "receive-message", "--queue-url", url, "--attribute-names", "All"))
    [message] = received["Messages"]
    assert (message["MessageId"], message["Body"]) == (sent["MessageId"], "from the shell")
    aws("sqs", "delete-message", "--queue-url", url, "--receipt-handle", message["ReceiptHandle"])
    shown = json.loads(aws("sqs", "get-queue-attributes", "--queue-url", url, "--attribute-names", "All"))
    assert shown["Attributes"]["ApproximateNumberOfMessagesNotVisible"] == "0"


def test_the_sdk_for_javascript(javascript, queue, node):
    url = queue()
    source = f"""
        import {{ SQSClient, SendMessageCommand, ReceiveMessageCommand, DeleteMessageCommand }} from "@aws-sdk/client-sqs";
        const sqs = new SQSClient({{}});
        const QueueUrl = {json.dumps(url)};
        const attribute = {{ a: {{ DataType: "Binary", BinaryValue: new Uint8Array([0, 255]) }} }};
        await sqs.send(new SendMessageCommand({{ QueueUrl, MessageBody: "from JavaScript", MessageAttributes: attribute }}));
        const got = await sqs.send(new ReceiveMessageCommand({{ QueueUrl, MessageAttributeNames: ["All"] }}));
        const [message] = got.Messages;
        await sqs.send(new DeleteMessageCommand({{ QueueUrl, ReceiptHandle: message.ReceiptHandle }}));
        console.log(message.Body, message.MessageAttributes.a.BinaryValue.join());
    """
    if not (Path(os.environ.get("LAMBENT_NODE_CLIENTS", "")) / "node_modules/@aws-sdk/client-sqs").exists():
        pytest.skip("the SDK's client for SQS is not among the clients")
    assert javascript(source).strip() == "from JavaScript 0,255"


# As a destination of functions.


def test_a_queue_hears_of_the_end_of_an_asynchronous_call(node, sqs, queue, make):
    url = queue()
    function = make("def handler(event, context):\n    return {'got': 1 / event['n']}\n")
    node.functions.put_function_event_invoke_config(
        FunctionName=function.name,
        MaximumRetryAttempts=0,
        DestinationConfig={name: {"Destination": arn_of(sqs, url)} for name in ["OnSuccess", "OnFailure"]},
    )
    for n, condition in [(2, "Success"), (0, "RetriesExhausted")]:
        payload = json.dumps({"n": n})
        node.functions.invoke(FunctionName=function.name, InvocationType="Event", Payload=payload)
        [message] = wait_until(lambda: receive(sqs, url, WaitTimeSeconds=20, MessageSystemAttributeNames=["All"]))
        record = json.loads(message["Body"])
        assert record["requestContext"]["condition"] == condition
        assert record["requestContext"]["functionArn"] == f"{function.arn}:$LATEST"
        assert record["requestPayload"] == {"n": n}
        assert "lambda-role" not in message["Body"] and message["Attributes"]["AWSTraceHeader"].startswith("Root=")
        sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])


# Nothing is lost.


class Producer(threading.Thread):
    """Sends, receives and deletes until the node dies, and writes down what was acknowledged."""

    def __init__(self, node, url, number, ledger, generation):
        super().__init__(daemon=True)
        self.sqs, self.url, self.number, self.ledger = node.client("sqs"), url, number, ledger
        self.generation = generation
        self.acknowledged = 0

    def run(self):
        step = 0
        try:
            while True:
                self.step(step)
                step += 1
        except (BotoCoreError, ClientError, ConnectionError):
            pass

    def step(self, step):
        if step % 3 < 2:
            body = f"{self.generation}-{self.number}-{step}"
            fifo = self.url.endswith(".fifo")
            more = {"MessageGroupId": str(self.number), "MessageDeduplicationId": body} if fifo else {}
            self.ledger["maybe"].add(body)
            self.sqs.send_message(QueueUrl=self.url, MessageBody=body, **more)
            self.ledger["sent"].add(body)
        else:
            for message in receive(self.sqs, self.url, MaxNumberOfMessages=1, VisibilityTimeout=1):
                self.ledger["deleting"].add(message["Body"])
                self.sqs.delete_message(QueueUrl=self.url, ReceiptHandle=message["ReceiptHandle"])
                self.ledger["deleted"].add(message["Body"])
        self.acknowledged += 1


@pytest.mark.parametrize("fifo", [False, True])
def test_kills_under_load_lose_no_message(tmp_path, fifo):
    data = tmp_path / "data"
    ledger = {"sent": set(), "maybe": set(), "deleting": set(), "deleted": set()}
    for kill in range(5):
        node = Node(data).start()
        try:
            sqs = node.client("sqs")
            name, attributes = ("kept.fifo", {"FifoQueue": "true"}) if fifo else ("kept", {})
            url = sqs.create_queue(QueueName=name, Attributes=attributes)["QueueUrl"]
            producers = [Producer(node, url, n, ledger, kill) for n in range(4)]
            for producer in producers:
                producer.start()
            wait_until(lambda: sum(p.acknowledged for p in producers) >= 60 + 37 * kill)
        finally:
            node.kill()
        for producer in producers:
            producer.join()
    node = Node(data).start()
    try:
        sqs = node.client("sqs")
        url = sqs.get_queue_url(QueueName=name)["QueueUrl"]
        found, last = [], {}
        # Some of it may be out of sight for another second.
        while (messages := receive(sqs, url, WaitTimeSeconds=1)) or counts(sqs, url) != (0, 0, 0):
            for message in messages:
                found.append(message["Body"])
                sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
                if fifo:
                    generation, number, step = map(int, message["Body"].split("-"))
                    assert last.get(number, (-1, -1)) < (generation, step), "a group's order was broken"
                    last[number] = (generation, step)
        node.check_lines()
    finally:
        node.stop()
    left = set(found)
    assert not ledger["deleted"] & left, "a deleted message came back"
    assert ledger["sent"] - ledger["deleting"] <= left, "an acknowledged message is lost"
    assert left <= ledger["maybe"] and len(found) == len(left)


def test_queues_and_their_settings_survive_a_restart(tmp_path):
    with Node(tmp_path / "data") as node:
        sqs = node.client("sqs")
        url = sqs.create_queue(QueueName="kept", Attributes={"VisibilityTimeout": "3"}, tags={"a": "b"})["QueueUrl"]
        sqs.send_message(QueueUrl=url, MessageBody="m", MessageAttributes={"a": {"DataType": "Binary", "BinaryValue": b"\0"}})
        handle = receive(sqs, url, VisibilityTimeout=600)[0]["ReceiptHandle"]
    with Node(tmp_path / "data") as node:
        sqs = node.client("sqs")
        url = sqs.get_queue_url(QueueName="kept")["QueueUrl"]
        assert sqs.list_queue_tags(QueueUrl=url)["Tags"] == {"a": "b"}
        assert counts(sqs, url) == (0, 1, 0)
        sqs.change_message_visibility(QueueUrl=url, ReceiptHandle=handle, VisibilityTimeout=0)
        [message] = receive(sqs, url, MessageAttributeNames=["All"])
        assert message["MessageAttributes"]["a"]["BinaryValue"] == b"\0"
