"""API destinations of EventBridge: events reach HTTP endpoints, with the credentials and parameters of a connection."""

import base64
import http.server
import json
import threading
import time
from urllib.parse import parse_qs, urlsplit

import pytest

from support.functions import Refused, fresh_name
from support.node import ACCOUNT, REGION, ROLE, Node, wait_until

# What a node says of endpoints that fail.
SAID = ["an API destination does not take an event", "a connection is not authorized"]


class Endpoint:
    """An HTTP server that keeps what it gets, and answers as `answer` says: a status, or (status, headers, body)."""

    def __init__(self):
        self.got, self.answer = [], lambda request: 200
        endpoint = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def answer(self):
                length = int(self.headers.get("Content-Length") or 0)
                headers = {name.lower(): value for name, value in self.headers.items()}
                request = {
                    "method": self.command, "path": self.path, "headers": headers,
                    "body": self.rfile.read(length).decode(), "at": time.monotonic(),
                }
                endpoint.got.append(request)
                answer = endpoint.answer(request)
                status, headers, body = answer if isinstance(answer, tuple) else (answer, {}, b"")
                try:
                    self.send_response(status)
                    for name, value in headers.items():
                        self.send_header(name, value)
                    self.send_header("Content-Length", str(len(body)))
                    self.end_headers()
                    self.wfile.write(body)
                except OSError:
                    pass

            do_POST = do_PUT = do_GET = do_HEAD = do_OPTIONS = do_PATCH = do_DELETE = answer

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def wait(self, count=1, within=30):
        wait_until(lambda: len(self.got) >= count, within, f"{count} requests, not {self.got}")
        return self.got

    def close(self):
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture(scope="module")
def node():
    with Node(allowed=SAID) as node:
        yield node


@pytest.fixture
def endpoint():
    made = Endpoint()
    yield made
    made.close()


class Way:
    """A bus, a connection, a destination, and a rule that sends the bus's events of source `app` there."""

    def __init__(self, node, url, *, auth=None, kind="BASIC", method="POST", rate=None, **target):
        self.node, self.events, self.name = node, node.client("events"), fresh_name("way")
        auth = auth or {"BasicAuthParameters": {"Username": "me", "Password": "hidden"}}
        made = self.events.create_connection(Name=self.name, AuthorizationType=kind, AuthParameters=auth)
        self.connection = made["ConnectionArn"]
        more = {"InvocationRateLimitPerSecond": rate} if rate else {}
        made = self.events.create_api_destination(
            Name=self.name, ConnectionArn=self.connection, InvocationEndpoint=url, HttpMethod=method, **more
        )
        self.arn = made["ApiDestinationArn"]
        self.events.create_event_bus(Name=self.name)
        pattern = json.dumps({"source": ["app"]})
        self.rule = self.events.put_rule(Name="r", EventBusName=self.name, EventPattern=pattern)["RuleArn"]
        target = {"Id": "t", "Arn": self.arn, "RoleArn": ROLE, **target}
        answer = self.events.put_targets(Rule="r", EventBusName=self.name, Targets=[target])
        assert answer["FailedEntryCount"] == 0

    def put(self, detail):
        entry = {"Source": "app", "DetailType": "t", "Detail": json.dumps(detail), "EventBusName": self.name}
        assert self.events.put_events(Entries=[entry])["FailedEntryCount"] == 0

    def state(self):
        return self.events.describe_connection(Name=self.name)["ConnectionState"]


def dead_letters(node):
    """A queue for what has failed, and the way to read one of them."""
    sqs, name = node.client("sqs"), fresh_name("dead")
    arn = f"arn:aws:sqs:{REGION}:{ACCOUNT}:{name}"
    statement = {
        "Effect": "Allow", "Principal": {"Service": "events.amazonaws.com"}, "Action": "sqs:SendMessage", "Resource": arn,
    }
    policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    url = sqs.create_queue(QueueName=name, Attributes={"Policy": policy})["QueueUrl"]

    def take():
        for _ in range(3):
            found = sqs.receive_message(QueueUrl=url, WaitTimeSeconds=20, MessageAttributeNames=["All"])
            for message in found.get("Messages", []):
                sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
                said = {name: value["StringValue"] for name, value in message["MessageAttributes"].items()}
                return json.loads(message["Body"]), said
        raise AssertionError("no dead letter in time")

    return {"Arn": arn}, take


def test_an_event_is_posted_with_the_parameters_of_its_connection_and_target(node, endpoint):
    auth = {
        "BasicAuthParameters": {"Username": "me", "Password": "hidden"},
        "InvocationHttpParameters": {
            "HeaderParameters": [{"Key": "X-Connection", "Value": "header-of-it", "IsValueSecret": True}],
            "QueryStringParameters": [{"Key": "of", "Value": "connection", "IsValueSecret": False}],
            "BodyParameters": [{"Key": "more", "Value": "body-of-it", "IsValueSecret": True}],
        },
    }
    way = Way(
        node,
        f"{endpoint.url}/orders/*/lines/*",
        auth=auth,
        method="PUT",
        HttpParameters={
            "PathParameterValues": ["$.detail.order", "a/b"],
            "HeaderParameters": {"X-Target": "$.source", "X-Connection": "not this"},
            "QueryStringParameters": {"of": "target", "n": "1"},
        },
        InputTransformer={"InputPathsMap": {"n": "$.detail.order"}, "InputTemplate": '{"number": <n>}'},
    )
    way.put({"order": 7})
    [got] = endpoint.wait()
    assert got["method"] == "PUT"
    path, query = got["path"].split("?")
    assert path == "/orders/7/lines/a%2Fb" and parse_qs(query) == {"of": ["connection"], "n": ["1"]}
    assert json.loads(got["body"]) == {"number": 7, "more": "body-of-it"}
    headers = got["headers"]
    assert headers["authorization"] == "Basic " + base64.b64encode(b"me:hidden").decode()
    assert (headers["x-connection"], headers["x-target"]) == ("header-of-it", "app")
    assert headers["user-agent"] == "Amazon/EventBridge/ApiDestinations"
    assert headers["content-type"] == "application/json; charset=utf-8" and headers["range"] == "bytes=0-1048575"
    shown = way.events.describe_connection(Name=way.name)
    assert shown["AuthParameters"]["BasicAuthParameters"] == {"Username": "me"}
    assert shown["AuthParameters"]["InvocationHttpParameters"] == {
        "HeaderParameters": [{"Key": "X-Connection", "IsValueSecret": True}],
        "QueryStringParameters": [{"Key": "of", "Value": "connection", "IsValueSecret": False}],
        "BodyParameters": [{"Key": "more", "IsValueSecret": True}],
    }
    shown = json.dumps([shown, way.events.list_connections()], default=str)
    assert not any(secret in shown for secret in ["hidden", "header-of-it", "body-of-it"])
    [target] = way.events.list_targets_by_rule(Rule="r", EventBusName=way.name)["Targets"]
    assert target["HttpParameters"]["PathParameterValues"] == ["$.detail.order", "a/b"]


@pytest.mark.parametrize("method", ["POST", "GET", "HEAD", "OPTIONS", "PUT", "PATCH", "DELETE"])
def test_a_destination_is_asked_by_its_method_with_an_api_key(node, endpoint, method):
    key = {"ApiKeyAuthParameters": {"ApiKeyName": "X-Key", "ApiKeyValue": "the key"}}
    way = Way(node, endpoint.url, auth=key, kind="API_KEY", method=method)
    way.put({})
    [got] = endpoint.wait()
    assert (got["method"], got["headers"]["x-key"]) == (method, "the key")


def test_a_token_is_fetched_kept_and_fetched_anew_when_it_is_not_believed(node, endpoint):
    tokens = []

    def answer(request):
        if urlsplit(request["path"]).path == "/token":
            tokens.append(request)
            body = json.dumps({"access_token": f"token-{len(tokens)}", "token_type": "Bearer", "expires_in": 3600})
            return 200, {"Content-Type": "application/json"}, body.encode()
        # The first token is worth two requests.
        used = [got["headers"].get("authorization") for got in endpoint.got]
        return 401 if used.count("Bearer token-1") > 2 and used[-1] == "Bearer token-1" else 200

    endpoint.answer = answer
    oauth = {
        "OAuthParameters": {
            "ClientParameters": {"ClientID": "client", "ClientSecret": "hidden&"},
            "AuthorizationEndpoint": f"{endpoint.url}/token",
            "HttpMethod": "POST",
            "OAuthHttpParameters": {
                "HeaderParameters": [{"Key": "X-Realm", "Value": "r"}],
                "QueryStringParameters": [{"Key": "q", "Value": "1"}],
                "BodyParameters": [{"Key": "scope", "Value": "a b"}],
            },
        }
    }
    way = Way(node, f"{endpoint.url}/hook", auth=oauth, kind="OAUTH_CLIENT_CREDENTIALS")
    wait_until(lambda: way.state() == "AUTHORIZED", 30)
    assert len(tokens) == 1 and tokens[0]["path"] == "/token?q=1" and tokens[0]["headers"]["x-realm"] == "r"
    assert parse_qs(tokens[0]["body"]) == {
        "grant_type": ["client_credentials"], "client_id": ["client"], "client_secret": ["hidden&"], "scope": ["a b"],
    }
    for n in range(3):
        way.put({"n": n})
        wait_until(lambda: any(f'"n": {n}' in got["body"] or f'"n":{n}' in got["body"] for got in endpoint.got), 30)
    posts = wait_until(lambda: [p for p in [
        [got["headers"]["authorization"] for got in endpoint.got if got["path"] == "/hook"]] if len(p) >= 4], 30)[0]
    assert posts == ["Bearer token-1"] * 3 + ["Bearer token-2"] and len(tokens) == 2


def test_a_connection_that_is_refused_is_inactive_until_it_is_changed(node, endpoint):
    def answer(request):
        if request["path"] != "/token":
            return 200
        if "good" not in request["body"]:
            return 403
        return 200, {}, b'{"access_token": "t"}'

    endpoint.answer = answer
    oauth = {
        "OAuthParameters": {
            "ClientParameters": {"ClientID": "client", "ClientSecret": "bad"},
            "AuthorizationEndpoint": f"{endpoint.url}/token",
            "HttpMethod": "PUT",
        }
    }
    way = Way(node, f"{endpoint.url}/hook", auth=oauth, kind="OAUTH_CLIENT_CREDENTIALS")
    wait_until(lambda: way.state() == "DEAUTHORIZED", 30)
    assert "403" in way.events.describe_connection(Name=way.name)["StateReason"]
    assert way.events.describe_api_destination(Name=way.name)["ApiDestinationState"] == "INACTIVE"
    assert way.name in [c["Name"] for c in way.events.list_connections(ConnectionState="DEAUTHORIZED")["Connections"]]
    way.put({"waits": True})
    changed = {"OAuthParameters": {"ClientParameters": {"ClientID": "client", "ClientSecret": "good"}}}
    way.events.update_connection(Name=way.name, AuthParameters=changed)
    wait_until(lambda: any(got["path"] == "/hook" for got in endpoint.got), 30)
    assert way.events.describe_api_destination(Name=way.name)["ApiDestinationState"] == "ACTIVE"
    way.events.deauthorize_connection(Name=way.name)
    assert way.state() == "DEAUTHORIZED" and "SecretArn" not in way.events.describe_connection(Name=way.name)


def test_what_an_endpoint_refuses_for_good_is_a_dead_letter(node, endpoint):
    letters, take = dead_letters(node)
    way = Way(node, endpoint.url, DeadLetterConfig=letters, Input='{"of": "target"}')
    endpoint.answer = lambda _: 404
    way.put({"n": 1})
    event, said = take()
    assert event["detail"] == {"n": 1} and len(endpoint.got) == 1
    assert said == {
        "RULE_ARN": way.rule,
        "TARGET_ARN": way.arn,
        "ERROR_CODE": "SDK_CLIENT_ERROR",
        "ERROR_MESSAGE": "Unable to invoke ApiDestination endpoint: The endpoint answered 404.",
        "RETRY_ATTEMPTS": "0",
    }


def test_what_can_pass_is_tried_again_by_the_retry_policy(node, endpoint):
    letters, take = dead_letters(node)
    way = Way(node, endpoint.url, DeadLetterConfig=letters, RetryPolicy={"MaximumRetryAttempts": 1})
    endpoint.answer = lambda _: (503, {"Retry-After": "3"}, b"")
    way.put({"n": 1})
    _, said = take()
    assert (said["ERROR_CODE"], said["RETRY_ATTEMPTS"]) == ("ERROR_FROM_TARGET", "1")
    assert said["EXHAUSTED_RETRY_CONDITION"] == "MaximumRetryAttempts"
    first, second = (got["at"] for got in endpoint.got)
    # Alone, the policy's pause would be one second. The clocks of both sides are not the same one.
    assert second - first > 2.9
    endpoint.answer = lambda _: (503, {"Retry-After": "-1"}, b"")
    way.put({"n": 2})
    assert take()[1]["RETRY_ATTEMPTS"] == "0"
    endpoint.answer = lambda _: 409 if len(endpoint.got) == 4 else 200
    way.put({"n": 3})
    assert endpoint.wait(5)[4]["body"] == endpoint.got[3]["body"]


def test_an_endpoint_has_five_seconds_and_holds_up_no_other(node, endpoint):
    letters, take = dead_letters(node)
    over = threading.Event()
    endpoint.answer = lambda _: over.wait(60) and 200
    slow = Way(node, endpoint.url, DeadLetterConfig=letters, RetryPolicy={"MaximumRetryAttempts": 0})
    quick_endpoint = Endpoint()
    try:
        quick = Way(node, quick_endpoint.url)
        # More than one destination may have on their way.
        for n in range(40):
            slow.put({"n": n})
        endpoint.wait()
        quick.put({})
        quick_endpoint.wait()
        # The slow one has answered none.
        _, said = take()
        assert said["ERROR_CODE"] == "UNKNOWN" and "Timeout" in said["ERROR_MESSAGE"]
    finally:
        over.set()
        # None is left that would find nobody there, in the middle of another scenario.
        endpoint.wait(40, 120)
        quick_endpoint.close()


def test_a_destination_gets_no_more_a_second_than_it_is_set_to(node, endpoint):
    way = Way(node, endpoint.url, rate=2)
    for n in range(10):
        way.put({"n": n})
    times = sorted(got["at"] for got in endpoint.wait(10))
    # Two in the second of the first, and so on: the last two are three seconds away at least, as the node sends them.
    assert times[9] - times[0] > 2
    way.events.update_api_destination(Name=way.name, InvocationRateLimitPerSecond=300, InvocationEndpoint=f"{endpoint.url}/new")
    way.put({"n": 10})
    assert endpoint.wait(11)[10]["path"] == "/new"
    shown = way.events.describe_api_destination(Name=way.name)
    assert (shown["InvocationRateLimitPerSecond"], shown["HttpMethod"]) == (300, "POST")


def test_an_event_and_the_credentials_survive_a_killed_node(tmp_path, endpoint):
    endpoint.answer = lambda _: 503
    with_node = Node(tmp_path / "data", allowed=SAID).start()
    try:
        way = Way(with_node, endpoint.url)
        way.put({"kept": True})
    finally:
        with_node.kill()
    for path in (tmp_path / "data").glob("events.db*"):
        assert path.stat().st_mode & 0o077 == 0, path
    before = len(endpoint.got)
    endpoint.answer = lambda _: 200
    with Node(tmp_path / "data", allowed=SAID) as again:
        got = endpoint.wait(before + 1)[-1]
        assert json.loads(got["body"])["detail"] == {"kept": True}
        assert got["headers"]["authorization"] == "Basic " + base64.b64encode(b"me:hidden").decode()
        again.client("events").delete_connection(Name=way.name)


def test_a_cloud_event_is_posted_as_it_is(node, endpoint):
    headers = {"Content-Type": "application/cloudevents+json"}
    way = Way(node, endpoint.url, InputPath="$.detail", HttpParameters={"HeaderParameters": headers})
    event = {"specversion": "1.0", "id": "1", "source": "/shop", "type": "made", "data": {"n": 1.50}}
    way.put(event)
    [got] = endpoint.wait()
    assert got["headers"]["content-type"] == "application/cloudevents+json" and json.loads(got["body"]) == event


def test_what_is_no_destination_is_refused_by_name(node):
    events, name = node.client("events"), fresh_name("c")
    basic = {"BasicAuthParameters": {"Username": "u", "Password": "p"}}
    connection = events.create_connection(Name=name, AuthorizationType="BASIC", AuthParameters=basic)["ConnectionArn"]
    with Refused("ResourceAlreadyExistsException", 400, "already exists"):
        events.create_connection(Name=name, AuthorizationType="BASIC", AuthParameters=basic)
    with Refused("ValidationException", 400, "BasicAuthParameters"):
        events.create_connection(Name=fresh_name("c"), AuthorizationType="API_KEY", AuthParameters=basic)
    with Refused("ValidationException", 400, "KmsKeyIdentifier"):
        events.create_connection(
            Name=fresh_name("c"), AuthorizationType="BASIC", AuthParameters=basic, KmsKeyIdentifier="k"
        )
    with Refused("ValidationException", 400, "InvocationEndpoint"):
        events.create_api_destination(Name=name, ConnectionArn=connection, InvocationEndpoint="ftp://h/", HttpMethod="GET")
    with Refused("ResourceNotFoundException", 400, "does not exist"):
        events.create_api_destination(
            Name=name, ConnectionArn=f"{connection}x", InvocationEndpoint="https://h/", HttpMethod="GET"
        )
    with Refused("ResourceNotFoundException", 400, "does not exist"):
        events.describe_api_destination(Name=name)
    events.delete_connection(Name=name)
    with Refused("ResourceNotFoundException", 400, "does not exist"):
        events.describe_connection(Name=name)
