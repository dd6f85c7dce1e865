"""Function URLs: plain HTTP in, a function's answer out."""

import base64
import http.client
import json
import socket
import threading
from urllib.parse import urlsplit

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from support.functions import Refused, fresh_name
from support.node import ACCOUNT, REGION, Node, wait_until

ECHO = "def handler(event, context):\n    return event\n"
ORIGIN = "https://app.example"


class Url:
    """A URL of a function, and requests to it."""

    def __init__(self, function, auth="NONE", *, is_open=True, qualifier=None, **settings):
        self.function, self.node, self.client = function, function.node, function.client
        self.named = {"FunctionName": function.name, **({"Qualifier": qualifier} if qualifier else {})}
        self.config = self.client.create_function_url_config(**self.named, AuthType=auth, **settings)
        self.address = urlsplit(self.config["FunctionUrl"])
        self.id = self.address.hostname.split(".")[0]
        if auth == "NONE" and is_open:
            self.permit("url", "lambda:InvokeFunctionUrl", FunctionUrlAuthType="NONE")
            self.permit("invoke", "lambda:InvokeFunction", InvokedViaFunctionUrl=True)

    def permit(self, sid, action, principal="*", **conditions):
        self.client.add_permission(
            **self.named, StatementId=sid, Action=action, Principal=principal, **conditions
        )

    def connect(self):
        node = urlsplit(self.node.endpoint)
        return http.client.HTTPConnection(node.hostname, node.port, timeout=30)

    def ask(self, method="GET", target="/", *, body=None, headers=(), by_path=False):
        connection = self.connect()
        given = {} if by_path else {"Host": self.address.netloc}
        target = f"/_lambent/url/{self.id}{target}" if by_path else target
        connection.putrequest(method, target, skip_host=not by_path, skip_accept_encoding=True)
        for name, value in [*given.items(), *(headers.items() if isinstance(headers, dict) else headers)]:
            connection.putheader(name, value)
        if body is not None:
            connection.putheader("Content-Length", str(len(body)))
        connection.endheaders(body)
        answer = connection.getresponse()
        answer.body = answer.read()
        connection.close()
        return answer

    def event(self, *words, **more):
        answer = self.ask(*words, **more)
        assert answer.status == 200, (answer.status, answer.body)
        return json.loads(answer.body)

    def signed(self, method="GET", target="/", *, key="test", secret="test", token=None, service="lambda",
               region=REGION, body=b"", by_path=False):
        where = f"{self.node.endpoint}/_lambent/url/{self.id}" if by_path else f"http://{self.address.netloc}"
        request = AWSRequest(method=method, url=where + target, data=body)
        request.headers["x-amz-content-sha256"] = "UNSIGNED-PAYLOAD" if not body else None
        del request.headers["x-amz-content-sha256"]
        SigV4Auth(Credentials(key, secret, token), service, region).add_auth(request)
        headers = [(n, v) for n, v in request.prepare().headers.items() if n != "Content-Length"]
        return self.ask(method, target, body=body or None, headers=headers, by_path=by_path)


@pytest.fixture
def echo(make):
    return make(ECHO)


def test_an_event_is_of_format_2_0_by_host_and_by_path(echo):
    url = Url(echo)
    assert url.config["FunctionUrl"] == f"http://{url.id}.lambda-url.{REGION}.localhost:{url.address.port}/"
    assert len(url.id) == 32 and url.id.isalnum() and url.id == url.id.lower()
    headers = [("Content-Type", "application/json"), ("X-Many", "1"), ("X-Many", "2"),
               ("Cookie", "a=1; b=2"), ("User-Agent", "curl/8")]
    body = '{"ä": 1}'.encode()
    for by_path in (False, True):
        event = url.event("POST", "/a%20b/c?p=1&q=x%2Cy&p=2", body=body, headers=headers, by_path=by_path)
        assert event["version"] == "2.0" and event["routeKey"] == "$default"
        assert event["rawPath"] == "/a%20b/c" and event["rawQueryString"] == "p=1&q=x%2Cy&p=2"
        assert event["cookies"] == ["a=1", "b=2"] and "cookie" not in event["headers"]
        assert event["headers"]["x-many"] == "1,2"
        assert event["queryStringParameters"] == {"p": "1,2", "q": "x,y"}
        assert event["body"] == body.decode() and event["isBase64Encoded"] is False
        context = event["requestContext"]
        assert context["accountId"] == "anonymous" and "authorizer" not in context
        assert context["domainName"] == url.address.netloc and context["domainPrefix"] == url.id
        assert context["apiId"] == url.id and context["stage"] == "$default"
        assert context["http"] == {"method": "POST", "path": "/a%20b/c", "protocol": "HTTP/1.1",
                                   "sourceIp": "127.0.0.1", "userAgent": "curl/8"}
        assert context["timeEpoch"] > 1_600_000_000_000 and context["time"].endswith(" +0000")
        assert event["headers"]["x-forwarded-for"] == "127.0.0.1"
    bare = url.event()
    assert not {"body", "cookies", "queryStringParameters"} & bare.keys()
    binary = url.event("PUT", body=b"\x00\xff")
    assert binary["isBase64Encoded"] and base64.b64decode(binary["body"]) == b"\x00\xff"


def test_the_request_id_is_that_of_the_call(make):
    function = make("def handler(event, context):\n"
                    "    return [context.aws_request_id, event['requestContext']['requestId'],"
                    " context.invoked_function_arn]\n")
    answer = Url(function).ask()
    own, named, arn = json.loads(answer.body)
    assert own == named == answer.headers["x-amzn-requestid"]
    assert arn == function.arn


RESPOND = """
import json
def handler(event, context):
    return json.loads(event["body"])
"""


def test_results_become_responses(make):
    url = Url(make(RESPOND))

    def answer(result):
        body = json.dumps(result).encode()
        return url.ask("POST", body=body, headers={"Content-Type": "application/json"})

    plain = answer({"hello": ["world"]})
    assert (plain.status, plain.headers["content-type"]) == (200, "application/json")
    assert json.loads(plain.body) == {"hello": ["world"]}
    whole = answer({"statusCode": 201, "headers": {"Content-Type": "text/html", "x-a": "b"},
                    "cookies": ["a=1; Secure", "b=2"], "body": "<p>"})
    assert (whole.status, whole.headers["content-type"], whole.headers["x-a"]) == (201, "text/html", "b")
    assert whole.headers.get_all("set-cookie") == ["a=1; Secure", "b=2"] and whole.body == b"<p>"
    binary = answer({"statusCode": 200, "body": base64.b64encode(b"\x00\xff").decode(),
                     "isBase64Encoded": True})
    assert binary.body == b"\x00\xff"
    assert answer({"statusCode": 302, "headers": {"Location": "/x"}}).headers["location"] == "/x"
    for bad in ({"statusCode": 42}, {"statusCode": 200, "headers": {"a": "b\r\nc: d"}}):
        refused = answer(bad)
        assert (refused.status, refused.body) == (502, b"Internal Server Error")


def test_a_failed_function_tells_nothing_of_itself(make):
    for source in ("def handler(event, context):\n    raise ValueError('secret')\n",
                   "import os\ndef handler(event, context):\n    os._exit(3)\n",
                   "import time\ndef handler(event, context):\n    time.sleep(9)\n"):
        answer = Url(make(source, Timeout=1)).ask()
        assert (answer.status, answer.body) == (502, b"Internal Server Error"), source


def test_an_open_url_needs_its_policy(echo):
    url = Url(echo, is_open=False)

    def forbidden():
        answer = url.ask()
        assert answer.status == 403, answer.body
        assert json.loads(answer.body)["Message"].startswith("Forbidden")
        assert answer.headers["x-amzn-errortype"] == "AccessDeniedException"

    forbidden()
    url.permit("signed-only", "lambda:InvokeFunctionUrl", FunctionUrlAuthType="AWS_IAM")
    url.permit("invoke", "lambda:InvokeFunction", InvokedViaFunctionUrl=True)
    forbidden()
    url.permit("open", "lambda:InvokeFunctionUrl", FunctionUrlAuthType="NONE")
    assert url.ask().status == 200
    url.client.remove_permission(FunctionName=echo.name, StatementId="invoke")
    forbidden()
    # A permission by URL is none for a direct call of a stranger.
    stranger = echo.node.client(key="111111111111")
    with Refused("AccessDeniedException", 403):
        stranger.invoke(FunctionName=echo.arn)


def test_a_signed_url_asks_for_a_good_signature(echo):
    url = Url(echo, "AWS_IAM")
    unsigned = url.ask()
    assert unsigned.status == 403 and b"Forbidden" in unsigned.body
    for by_path in (False, True):
        answer = url.signed("POST", "/x?a=b", body=b"hi", by_path=by_path)
        assert answer.status == 200, answer.body
        event = json.loads(answer.body)
        iam = event["requestContext"]["authorizer"]["iam"]
        assert iam["accountId"] == event["requestContext"]["accountId"] == ACCOUNT
        assert iam["accessKey"] == "test" and iam["userArn"].startswith("arn:aws:iam::")
        assert "authorization" not in event["headers"]
    root = echo.node.credentials()
    assert url.signed(key=root["access_key_id"], secret=root["secret_access_key"]).status == 200
    for bad in ({"secret": "wrong"}, {"service": "execute-api"}, {"region": "eu-west-3"}):
        answer = url.signed(**bad)
        assert answer.status == 403, (bad, answer.body)
        assert answer.headers["x-amzn-errortype"] == "InvalidSignatureException", bad
    assert url.signed(key="NOBODY").headers["x-amzn-errortype"] == "UnrecognizedClientException"
    stranger = {"key": "111111111111"}
    assert url.signed(**stranger).status == 403
    url.permit("a", "lambda:InvokeFunctionUrl", "111111111111", FunctionUrlAuthType="AWS_IAM")
    url.permit("b", "lambda:InvokeFunction", "111111111111")
    assert url.signed(**stranger).status == 200


def test_cors_acts_by_its_configuration(make):
    function = make('def handler(event, context):\n'
                    '    return {"statusCode": 200, "headers": {"access-control-allow-origin": "*"}}\n')
    cors = {"AllowOrigins": [ORIGIN], "AllowMethods": ["GET", "PUT"], "AllowHeaders": ["x-a"],
            "ExposeHeaders": ["x-b"], "MaxAge": 60, "AllowCredentials": True}
    url = Url(function, Cors=cors)
    asked = {"Origin": ORIGIN, "Access-Control-Request-Method": "PUT"}
    answer = url.ask("OPTIONS", headers=asked)
    shown = {n[len("access-control-"):]: v for n, v in answer.headers.items() if n.startswith("access-control-")}
    assert answer.status == 200 and shown == {
        "allow-origin": ORIGIN, "allow-methods": "GET,PUT", "allow-headers": "x-a", "expose-headers": "x-b",
        "max-age": "60", "allow-credentials": "true"}
    other = url.ask("OPTIONS", headers={**asked, "Origin": "https://other.example"})
    assert other.headers["access-control-allow-origin"] is None
    got = url.ask(headers={"Origin": ORIGIN})
    assert got.headers.get_all("access-control-allow-origin") == [ORIGIN]
    assert got.headers["access-control-expose-headers"] == "x-b"
    url.client.update_function_url_config(FunctionName=function.name, Cors={})
    assert url.ask(headers={"Origin": ORIGIN}).headers["access-control-allow-origin"] == "*"


def test_an_alias_has_a_url_of_its_own(make):
    function = make("def handler(event, context):\n    return context.function_version\n", Publish=True)
    client = function.client
    client.create_alias(FunctionName=function.name, Name="live", FunctionVersion="1")
    latest, live = Url(function), Url(function, qualifier="live")
    assert (latest.ask().body, live.ask().body) == (b"$LATEST", b"1")
    listed = client.list_function_url_configs(FunctionName=function.name)["FunctionUrlConfigs"]
    assert [one["FunctionUrl"] for one in listed] == [latest.config["FunctionUrl"], live.config["FunctionUrl"]]
    assert listed[1]["FunctionArn"] == f"{function.arn}:live"
    with Refused("ResourceConflictException", 409, "FunctionUrlConfig exists for this Lambda function"):
        client.create_function_url_config(FunctionName=function.name, AuthType="NONE")
    with Refused("ValidationException", 400):
        client.create_function_url_config(FunctionName=function.name, Qualifier="1", AuthType="NONE")
    client.delete_alias(FunctionName=function.name, Name="live")
    gone = live.ask()
    assert (gone.status, json.loads(gone.body)) == (403, {"Message": None})
    client.delete_function_url_config(FunctionName=function.name)
    assert latest.ask().status == 403
    with Refused("ResourceNotFoundException", 404):
        client.get_function_url_config(FunctionName=function.name)


def test_a_function_without_reserved_concurrency_left_is_throttled(make):
    function = make("def handler(event, context):\n    return 1\n")
    url = Url(function)
    function.client.put_function_concurrency(FunctionName=function.name, ReservedConcurrentExecutions=0)
    answer = url.ask()
    assert answer.status == 429
    assert json.loads(answer.body)["Reason"] == "ReservedFunctionConcurrentInvocationLimitExceeded"


def test_payloads_beyond_six_megabytes_are_refused(make):
    url = Url(make("def handler(event, context):\n    return 'x' * event.get('none', 6_300_000)\n"))
    large = url.ask("POST", body=b"x" * 6_300_000, headers={"Content-Type": "text/plain"})
    assert large.status == 413
    assert url.ask().status == 502


@pytest.mark.parametrize("target", ["/_lambent/url/", "/_lambent/url/none/", "/_lambent/url/../x"])
def test_an_address_of_no_url_is_refused(node, target):
    endpoint = urlsplit(node.endpoint)
    connection = http.client.HTTPConnection(endpoint.hostname, endpoint.port, timeout=30)
    connection.request("GET", target)
    assert connection.getresponse().status == 403


def test_urls_and_their_domain_outlive_the_node(scratch):
    data = scratch / fresh_name("urls")
    with Node(data, options=["--url-domain", "fn.example.com"]) as node:
        from support.functions import Function

        function = Function(node, "kept").create(ECHO)
        url = Url(function, Cors={"MaxAge": 7})
        assert url.address.hostname == f"{url.id}.lambda-url.{REGION}.fn.example.com"
        assert url.event()["requestContext"]["domainName"] == url.address.netloc
        node.kill()
        node.start()
        kept = node.functions.get_function_url_config(FunctionName="kept")
        assert kept["FunctionUrl"].split(":")[1] == url.config["FunctionUrl"].split(":")[1]
        assert kept["Cors"] == {"MaxAge": 7}
        assert url.ask().status == 200
