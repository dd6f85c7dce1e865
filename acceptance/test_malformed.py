"""Every operation of SQS, SNS, EventBridge and its scheduler, sent wrong in every way that its shape leaves open.

What is sent is made of botocore's own models, so that no operation and no member is forgotten. A node may refuse, or
take what makes no difference; it never fails, hangs or comes down, and what is stored with it stays as it is.
"""

import http.client
import itertools
import json
import os
import random
import re
import time
from urllib.parse import quote, urlencode, urlsplit

import botocore.session
import pytest

from support import raw
from support.functions import fresh_name
from support.node import ACCOUNT, REGION, ROLE

# Requests of one service. All there are go by once in some runs; which ones go in this run, the seed says.
REQUESTS_MAX = 1_500

# No answer takes longer, on a machine whose cores are shared.
SECONDS_MAX = 20

HUGE = "x" * 70_000
DEEP = 3_000


def wrong_values(shape):
    """Values that are not of the shape, and whether each has to be refused."""
    kind = shape.type_name
    yield "an object", {"no": "member"}, kind not in ("structure", "map")
    yield "a list", ["x", 1, None], kind != "list"
    yield "a number", -7, kind in ("string", "blob", "structure", "list", "map")
    yield "a fraction", 1.5, kind in ("string", "blob", "structure", "list", "map", "integer", "long", "boolean")
    yield "true", True, kind in ("structure", "list", "map")
    yield "beyond any number", 2**70, kind in ("structure", "list", "map", "integer", "boolean")
    yield "a text", "no \u0000 such \u202e thing", kind in ("structure", "list", "map", "integer", "long", "boolean")
    yield "half a character", Raw('"\\ud800"'), kind in ("structure", "list", "map", "integer", "long", "boolean")
    yield "nothing", "", False
    yield "null", None, False
    yield "a huge text", HUGE, kind not in ("string", "blob")
    yield "a deep list", Raw("[" * DEEP + "]" * DEEP), True
    yield "a deep object", Raw('{"a":' * DEEP + "1" + "}" * DEEP), kind != "map"
    yield "no value", Raw("NaN"), True


class Raw:
    """JSON that json.dumps would not write."""

    def __init__(self, text):
        self.text = text


def written(value):
    """As JSON, with what is raw as it is."""
    if isinstance(value, Raw):
        return value.text
    if isinstance(value, dict):
        return "{" + ",".join(f"{json.dumps(name)}:{written(item)}" for name, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(written, value)) + "]"
    return json.dumps(value)


def sound(shape, known, victim, depth=0):
    """A value of the shape, of what is known here as far as it goes."""
    if shape.type_name == "structure":
        names = shape.required_members or (list(shape.members)[:3] if depth < 3 else [])
        return {name: known.get(name) or sound(shape.members[name], known, victim, depth + 1) for name in names}
    if shape.type_name == "list":
        return [sound(shape.member, known, victim, depth + 1)]
    if shape.type_name == "map":
        return {victim: sound(shape.value, known, victim, depth + 1)}
    if shape.type_name in ("integer", "long"):
        return max(1, shape.metadata.get("min", 1))
    if shape.type_name == "boolean":
        return False
    if shape.type_name == "timestamp":
        return 1_700_000_000
    return (shape.enum or [victim])[0] if hasattr(shape, "enum") else victim


def places(shape, value, path=()):
    """Every member of a value with its shape, also of those that it does not have."""
    if len(path) > 4:
        return
    if shape.type_name == "structure" and isinstance(value, dict):
        for name, member in shape.members.items():
            yield (*path, name), member
            if name in value:
                yield from places(member, value[name], (*path, name))
    elif shape.type_name == "list" and isinstance(value, list) and value:
        yield (*path, 0), shape.member
        yield from places(shape.member, value[0], (*path, 0))
    elif shape.type_name == "map" and isinstance(value, dict) and value:
        name = next(iter(value))
        yield (*path, name), shape.value
        yield from places(shape.value, value[name], (*path, name))


def changed(value, path, new):
    """A copy with another value at a place."""
    if not path:
        return new
    head, *rest = path
    if isinstance(value, list):
        return [changed(item, rest, new) if at == head else item for at, item in enumerate(value)]
    copy = dict(value)
    if new is MISSING and not rest:
        copy.pop(head, None)
        return copy
    copy[head] = changed(copy.get(head), rest, new)
    return copy


MISSING = object()


class Service:
    """One API: what its operations look like, and how a request of it is sent."""

    def __init__(self, name, protocol, victim):
        self.victim, self.known = victim, known_members(victim)[name]
        self.model = botocore.session.get_session().get_service_model(name)
        self.protocol = protocol or self.model.metadata["protocol"]

    def cases(self):
        """Requests that are wrong in one way each: what it is, method, path, headers, body, whether to be refused."""
        for name in self.model.operation_names:
            operation = self.model.operation_model(name)
            shape = operation.input_shape
            value = sound(shape, self.known, self.victim) if shape else {}
            if shape:
                for path, member in places(shape, value):
                    where = f"{name} {'.'.join(map(str, path))}"
                    for what, wrong, is_refused in wrong_values(member):
                        # In a query, and in an address, everything is text.
                        is_text = self.protocol == "query" or member.serialization.get("location") in ("uri", "querystring")
                        is_refused = is_refused and not is_text
                        yield f"{where} is {what}", self.request(operation, changed(value, path, wrong)), is_refused
                    is_in_address = member.serialization.get("location") == "uri"
                    if len(path) == 1 and path[0] in (shape.required_members or ()) and not is_in_address:
                        yield f"{where} is missing", self.request(operation, changed(value, path, MISSING)), True
                more = self.request(operation, {**value, "NoSuchMember": {"a": [1]}})
                yield f"{name} with a member that there is not", more, False
            for what, request in self.bodies(operation, value):
                yield f"{name} with {what}", request, self.protocol != "query" and bool(shape and shape.required_members)

    def request(self, operation, value):
        name = operation.name
        if self.protocol == "query":
            pairs = [("Action", name), ("Version", self.model.api_version), *flat(value, operation.input_shape)]
            return "POST", "/", {"content-type": "application/x-www-form-urlencoded"}, urlencode(
                pairs, encoding="utf-8", errors="replace"
            ).encode()
        if self.protocol == "json":
            return "POST", "/", self.json_headers(operation), written(value).encode("utf-8", "surrogatepass")
        path, query, body = operation.http["requestUri"], [], {}
        shape = operation.input_shape
        for member, item in value.items():
            at = shape.members[member].serialization if member in shape.members else {}
            text = item.text if isinstance(item, Raw) else item if isinstance(item, str) else written(item)
            text = text[:4000]
            if at.get("location") == "uri":
                path = path.replace("{%s}" % at["name"], quote(text, safe="", errors="replace"))
            elif at.get("location") == "querystring":
                query.append((at["name"], text))
            else:
                body[member] = item
        path = re.sub(r"\{.*?\}", "", path)
        if query:
            path += "?" + urlencode(query, errors="replace")
        has_body = operation.http["method"] in ("POST", "PUT")
        data = written(body).encode("utf-8", "surrogatepass") if has_body else b""
        return operation.http["method"], path, {"content-type": "application/json"}, data

    def json_headers(self, operation):
        version = self.model.metadata["jsonVersion"]
        target = f"{self.model.metadata['targetPrefix']}.{operation.name}"
        return {"content-type": f"application/x-amz-json-{version}", "x-amz-target": target}

    def bodies(self, operation, value):
        """Bodies that are not the protocol's at all."""
        method, path, headers, body = self.request(operation, value)
        if not body:
            return
        for what, wrong in [
            ("half a body", body[: len(body) // 2 + 1] + (b"%f" if self.protocol == "query" else b"")),
            ("no body", b""),
            ("a list for a body", b"[1,2]"),
            ("bytes that are no text", b'{"a":"\xff\xfe\x00"}'),
            ("two bodies", body + b"\n" + body + b"}"),
            ("a deep body", b'{"a":' * DEEP),
            ("brackets", b"[" * 60_000),
            ("a body in UTF-16", body.decode("utf-8", "replace").encode("utf-16")),
            ("numbered members beyond any list", b"a.member.99999999999999999999.b=1&" * 40 + b"%zz=%"),
        ]:
            yield what, (method, path, headers, wrong)

    def is_fault(self, body):
        """Whether an answer that refuses has the reference's form."""
        if self.protocol == "query":
            return bool(re.search(rb"<Error>.*<Code>[A-Za-z.]+</Code>.*</Error>", body, re.S))
        try:
            document = json.loads(body)
        except ValueError:
            return False
        names = {name.lower() for name in document}
        return bool(names & {"__type", "message"})


def flat(value, shape=None, prefix=""):
    """As the query protocol writes it; what has no such form is written as JSON."""
    if isinstance(value, dict):
        for name, item in value.items():
            yield from flat(item, None, f"{prefix}.{name}" if prefix else name)
    elif isinstance(value, list):
        for at, item in enumerate(value, 1):
            yield from flat(item, None, f"{prefix}.member.{at}")
    elif isinstance(value, Raw):
        yield prefix, value.text[:9000]
    elif value is not None:
        yield prefix, value if isinstance(value, str) else json.dumps(value)


def known_members(victim):
    """What lets a request get further than to its first member."""
    arn = f"arn:aws:{{}}:{REGION}:{ACCOUNT}:{{}}"
    common = {"RoleArn": ROLE}
    return {
        "sqs": {
            "QueueUrl": f"http://localhost/{ACCOUNT}/{victim}",
            "QueueName": victim,
            "SourceArn": arn.format("sqs", victim),
            "Entries": [{"Id": "a", "MessageBody": "m", "ReceiptHandle": "r", "VisibilityTimeout": 1}],
        },
        "sns": {
            "TopicArn": arn.format("sns", victim),
            "ResourceArn": arn.format("sns", victim),
            "Protocol": "sqs",
            "Endpoint": arn.format("sqs", victim),
            "Message": "m",
        },
        "events": {
            **common,
            "Rule": victim,
            "EventPattern": '{"source":["victim"]}',
            "ResourceARN": arn.format("events", f"rule/{victim}"),
            "Targets": [{"Id": "t", "Arn": arn.format("sqs", victim)}],
            "Entries": [{"Source": "s", "DetailType": "t", "Detail": "{}"}],
        },
        "scheduler": {
            **common,
            "ScheduleExpression": "rate(7 days)",
            "FlexibleTimeWindow": {"Mode": "OFF"},
            "Target": {"Arn": arn.format("sqs", victim), "RoleArn": ROLE},
            "ResourceArn": arn.format("scheduler", f"schedule-group/{victim}"),
        },
    }


class Kept:
    """What is stored with each service, and must be the same afterwards."""

    def __init__(self, node, name):
        self.sqs, self.sns = node.client("sqs"), node.client("sns")
        self.events, self.scheduler = node.client("events"), node.client("scheduler")
        self.name = name
        self.url = self.sqs.create_queue(QueueName=name)["QueueUrl"]
        self.sqs.send_message(QueueUrl=self.url, MessageBody="kept", DelaySeconds=0)
        self.topic = self.sns.create_topic(Name=name, Attributes={"DisplayName": "kept"})["TopicArn"]
        self.events.put_rule(Name=name, EventPattern='{"source":["kept"]}')
        target = {"Arn": f"arn:aws:sqs:{REGION}:{ACCOUNT}:{name}", "RoleArn": ROLE}
        self.scheduler.create_schedule(
            Name=name, ScheduleExpression="rate(9 days)", FlexibleTimeWindow={"Mode": "OFF"}, Target=target
        )

    def check(self):
        [message] = self.sqs.receive_message(QueueUrl=self.url, VisibilityTimeout=0, WaitTimeSeconds=5)["Messages"]
        assert message["Body"] == "kept"
        assert self.sns.get_topic_attributes(TopicArn=self.topic)["Attributes"]["DisplayName"] == "kept"
        assert self.events.describe_rule(Name=self.name)["EventPattern"] == '{"source":["kept"]}'
        assert self.scheduler.get_schedule(Name=self.name)["ScheduleExpression"] == "rate(9 days)"

    def remove(self):
        self.scheduler.delete_schedule(Name=self.name)
        self.events.delete_rule(Name=self.name)
        self.sns.delete_topic(TopicArn=self.topic)
        self.sqs.delete_queue(QueueUrl=self.url)


def send(connection, node, service, request):
    method, path, headers, body = request
    signed = raw.signed(node, method, path, body, service=service, headers=headers)
    target = urlsplit(signed.url)
    connection.request(method, target.path + ("?" + target.query if target.query else ""), body, dict(signed.headers))
    answer = connection.getresponse()
    return answer.status, answer.read()


@pytest.mark.parametrize(
    ("name", "protocol"), [("sqs", None), ("sqs", "query"), ("sns", None), ("events", None), ("scheduler", None)]
)
def test_no_malformed_request_is_more_than_refused(node, name, protocol):
    seed = int(os.environ.get("LAMBENT_TEST_SEED", time.time_ns() % 1_000_000))
    dice = random.Random(seed)
    kept = Kept(node, fresh_name("kept"))
    # One that the requests may change or take away.
    victim = fresh_name("victim")
    service = Service(name, protocol, victim)
    node.client("sqs").create_queue(QueueName=victim)
    node.client("sns").create_topic(Name=victim)
    cases = list(service.cases())
    if len(cases) > REQUESTS_MAX and not os.environ.get("LAMBENT_TEST_ALL"):
        cases = dice.sample(cases, REQUESTS_MAX)
    address = urlsplit(node.endpoint)
    connection = http.client.HTTPConnection(address.hostname, address.port, timeout=SECONDS_MAX)
    wrong = []
    for what, request, has_to_be_refused in cases:
        try:
            status, body = send(connection, node, name, request)
        except (OSError, http.client.HTTPException) as error:
            wrong.append(f"{what}: {error!r}")
            connection.close()
            continue
        said = body[:200]
        if status == 501 and b"not supported" in body:
            # Not served, whatever is sent.
            continue
        if not 200 <= status < 500:
            wrong.append(f"{what}: {status} {said}")
        elif status >= 400 and not service.is_fault(body):
            wrong.append(f"{what}: refused in another form: {status} {said}")
        elif status < 400 and has_to_be_refused and b'"Failed":[{' not in body and b'"FailedEntries":[{' not in body:
            wrong.append(f"{what}: taken: {status} {said}")
    connection.close()
    assert not wrong, f"seed {seed}, {len(wrong)} of {len(cases)}:\n" + "\n".join(itertools.islice(wrong, 40))
    kept.check()
    kept.remove()
    clean(node, victim)


def clean(node, victim):
    """Takes away what is there and what was made by chance."""
    sqs, sns, events, scheduler = (node.client(name) for name in ("sqs", "sns", "events", "scheduler"))
    for url in sqs.list_queues(QueueNamePrefix=victim).get("QueueUrls", []):
        sqs.delete_queue(QueueUrl=url)
    for topic in sns.list_topics()["Topics"]:
        if victim in topic["TopicArn"]:
            sns.delete_topic(TopicArn=topic["TopicArn"])
    for rule in events.list_rules(NamePrefix=victim)["Rules"]:
        for target in events.list_targets_by_rule(Rule=rule["Name"])["Targets"]:
            events.remove_targets(Rule=rule["Name"], Ids=[target["Id"]])
        events.delete_rule(Name=rule["Name"])
    for schedule in scheduler.list_schedules(NamePrefix=victim)["Schedules"]:
        scheduler.delete_schedule(Name=schedule["Name"], GroupName=schedule["GroupName"])
