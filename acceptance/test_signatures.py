"""Who may call: every form of signature that clients make, and every way in which one is wrong."""

import datetime
import http.client
import json
from urllib.parse import urlsplit

import pytest

from support import raw
from support.functions import Answer, Refused

LIST = "/2015-03-31/functions/"


def send(node, request, body=None):
    """Sends a prepared request exactly as it is; gives status, code and message."""
    address = urlsplit(request.url)
    connection = http.client.HTTPConnection(address.netloc, timeout=30)
    target = address.path + (f"?{address.query}" if address.query else "")
    headers = {name: value.decode() if isinstance(value, bytes) else value for name, value in request.headers.items()}
    connection.request(request.method, target, body=request.body if body is None else body, headers=headers)
    answer = connection.getresponse()
    text = answer.read()
    connection.close()
    document = json.loads(text) if text else {}
    kind = (answer.headers.get("x-amzn-ErrorType") or document.get("__type", "")).split(":")[0]
    return answer.status, kind.split("#")[-1], document.get("message") or document.get("Message"), text


def refused(node, request, status, code, message=None, body=None):
    seen = send(node, request, body)
    assert seen[:2] == (status, code), seen
    if message:
        assert message in seen[2], seen


@pytest.fixture
def echo(make):
    return make("def handler(event, context):\n    return event\n")


def test_a_wrong_secret_is_refused(node):
    with Refused("InvalidSignatureException", 403, "The request signature we calculated does not match"):
        node.client(secret="wrong").list_functions()
    key = node.credentials()
    with Refused("InvalidSignatureException", 403):
        node.client(key=key["access_key_id"], secret="test").list_functions()


def test_an_unknown_key_is_refused(node):
    with Refused("UnrecognizedClientException", 403, "The security token included in the request is invalid"):
        node.client(key="AKIAIOSFODNN7EXAMPLE", secret="test").list_functions()


def test_the_root_key_of_the_data_directory_opens(node):
    key = node.credentials()
    assert key["account"] == "000000000000"
    assert (node.data / "credentials").stat().st_mode & 0o777 == 0o600
    client = node.client(key=key["access_key_id"], secret=key["secret_access_key"])
    assert "Functions" in client.list_functions()


def test_no_signature_is_refused(node):
    with raw.Connection(node) as connection:
        status, headers, body = connection.request("GET", LIST)
    assert status == 403 and headers["x-amzn-errortype"].startswith("MissingAuthenticationTokenException")
    assert json.loads(body)["message"] == "Missing Authentication Token"
    assert "x-amzn-requestid" in headers


def test_logs_refuse_in_their_own_protocol(node):
    with Refused("UnrecognizedClientException", 400):
        node.client("logs", key="AKIAIOSFODNN7EXAMPLE").describe_log_groups()
    with Refused("InvalidSignatureException", 400):
        node.client("logs", secret="wrong").describe_log_groups()


def test_an_incomplete_or_malformed_header_is_refused(node):
    good = raw.signed(node, "GET", LIST)
    header = good.headers["Authorization"]
    header = header.decode() if isinstance(header, bytes) else header
    for broken, status, code in [
        (header.replace("Signature=", "Sgnature="), 400, "IncompleteSignatureException"),
        (header.replace("Credential=test/", "Credential=test"), 400, "IncompleteSignatureException"),
        (header.replace("AWS4-HMAC-SHA256", "AWS4-HMAC-SHA1"), 400, "IncompleteSignatureException"),
        ("Basic dGVzdDp0ZXN0", 400, "IncompleteSignatureException"),
        ("", 400, "IncompleteSignatureException"),
        (header[:-1] + ("0" if header[-1] != "0" else "1"), 403, "InvalidSignatureException"),
        (header[:-8], 403, "InvalidSignatureException"),
        (header.replace("aws4_request", "aws5_request"), 403, "InvalidSignatureException"),
    ]:
        request = raw.signed(node, "GET", LIST)
        request.headers["X-Amz-Date"] = good.headers["X-Amz-Date"]
        request.headers["Authorization"] = broken
        refused(node, request, status, code)
    request = raw.signed(node, "GET", LIST)
    del request.headers["X-Amz-Date"]
    refused(node, request, 400, "IncompleteSignatureException", "X-Amz-Date")


def test_a_body_that_was_changed_on_the_way_is_refused(node, echo):
    path = f"/2015-03-31/functions/{echo.name}/invocations"
    request = raw.signed(node, "POST", path, b'{"pay":1}')
    assert send(node, request)[0] == 200
    refused(node, request, 403, "InvalidSignatureException", body=b'{"pay":9}')


def test_a_query_path_or_header_that_was_changed_is_refused(node, echo):
    path = f"/2015-03-31/functions/{echo.name}"
    for change in [
        lambda r: setattr(r, "url", r.url + "?Qualifier=1"),
        lambda r: setattr(r, "url", r.url + "x"),
        lambda r: setattr(r, "method", "DELETE"),
    ]:
        request = raw.signed(node, "GET", path)
        change(request)
        refused(node, request, 403, "InvalidSignatureException")
    request = raw.signed(node, "POST", path + "/invocations", b"{}", headers={"X-Amz-Log-Type": "None"})
    request.headers["X-Amz-Log-Type"] = "Tail"
    refused(node, request, 403, "InvalidSignatureException")
    request = raw.signed(node, "POST", path + "/invocations", b"{}")
    request.headers["X-Amz-Invocation-Type"] = "DryRun"
    refused(node, request, 403, "InvalidSignatureException", "were not signed")


def test_an_old_request_has_expired_and_a_future_one_is_not_yet_current(node):
    for minutes in (-14, 14):
        at = raw.now() + datetime.timedelta(minutes=minutes)
        assert send(node, raw.signed(node, "GET", LIST, at=at))[0] == 200
    old = raw.signed(node, "GET", LIST, at=raw.now() - datetime.timedelta(minutes=16))
    refused(node, old, 403, "InvalidSignatureException", "Signature expired: ")
    new = raw.signed(node, "GET", LIST, at=raw.now() + datetime.timedelta(minutes=16))
    refused(node, new, 403, "InvalidSignatureException", "Signature not yet current: ")


def test_a_presigned_address_works_until_it_expires(node, echo):
    path = f"/2015-03-31/functions/{echo.name}"
    assert send(node, raw.signed(node, "GET", path, expires=60))[0] == 200
    at = raw.now() - datetime.timedelta(seconds=61)
    old = raw.signed(node, "GET", path, expires=60, at=at)
    refused(node, old, 403, "InvalidSignatureException", "Signature expired: ")
    stretched = raw.signed(node, "GET", path, expires=60, at=at)
    stretched.url = stretched.url.replace("X-Amz-Expires=60", "X-Amz-Expires=600")
    refused(node, stretched, 403, "InvalidSignatureException")


def test_boto3s_own_presigned_addresses_work(node, echo):
    url = node.functions.generate_presigned_url("get_function", {"FunctionName": echo.name}, ExpiresIn=300)
    import urllib.request

    with urllib.request.urlopen(url, timeout=30) as answer:
        assert json.load(answer)["Configuration"]["FunctionName"] == echo.name


def test_an_unsigned_payload_is_taken_when_it_says_so(node, echo):
    path = f"/2015-03-31/functions/{echo.name}/invocations"
    request = raw.signed(node, "POST", path, b'{"a":1}', unsigned=True)
    assert send(node, request)[3] == b'{"a": 1}' or json.loads(send(node, request)[3]) == {"a": 1}
    # Then the body is nobody's word, and may differ.
    assert json.loads(send(node, request, body=b'{"a":2}')[3]) == {"a": 2}


def test_a_body_in_signed_chunks_is_put_together(node, echo):
    path = f"/2015-03-31/functions/{echo.name}/invocations"
    headers, body = raw.chunked_signature(node, path, b'{"chunks":[1,2,3]}')
    with raw.Connection(node) as connection:
        status, _, answer = connection.request("POST", path, headers, body)
        assert (status, json.loads(answer)) == (200, {"chunks": [1, 2, 3]})
    headers, body = raw.chunked_signature(node, path, b'{"chunks":[1,2,3]}', chunk_secret="wrong")
    with raw.Connection(node) as connection:
        status, told, _ = connection.request("POST", path, headers, body)
        assert status == 403 and told["x-amzn-errortype"].startswith("InvalidSignatureException")


def test_a_forged_session_token_is_refused(node, make):
    source = """
        import os
        def handler(event, context):
            return [os.environ[k] for k in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")]
    """
    key, secret, token = make(source)()
    assert "Functions" in node.client(key=key, secret=secret, token=token).list_functions()
    forged = token[:-4] + ("AAAA" if not token.endswith("AAAA") else "BBBB")
    for word in (forged, token + "A", "x", token[: len(token) // 2]):
        with Refused("UnrecognizedClientException", 403):
            node.client(key=key, secret=secret, token=word).list_functions()
    with Refused("UnrecognizedClientException", 403):
        node.client(key=key, secret=secret).list_functions()
    with Refused("InvalidSignatureException", 403):
        node.client(key=key, secret="x" * 40, token=token).list_functions()


def test_a_service_that_is_not_served_says_so_after_the_signature(node):
    with Refused("UnsupportedOperationException", 501, "comprehend"):
        node.client("comprehend").list_entity_recognizers()
    import botocore.exceptions

    try:
        node.client("comprehend", secret="wrong").list_entity_recognizers()
    except botocore.exceptions.ClientError as error:
        assert error.response["ResponseMetadata"]["HTTPStatusCode"] in (400, 403)
        assert "Signature" in error.response["Error"]["Code"]
    else:
        raise AssertionError("accepted")


def test_every_answer_has_a_request_id_and_calls_show_it_inside(node, make):
    function = make("def handler(event, context):\n    return context.aws_request_id\n")
    answer = Answer(node.functions.invoke(FunctionName=function.name))
    assert answer.ok() == answer.request_id
