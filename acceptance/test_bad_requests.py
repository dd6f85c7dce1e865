"""Requests that nobody should send: the reference's error, bounded memory, and others undisturbed."""

import base64
import json
import threading
import time

import pytest

from support import raw
from support.functions import Refused, fresh_name
from support.node import ROLE, wait_until
from support.packages import archive
from test_signatures import send

CREATE = "/2015-03-31/functions"
PYTHON = "def handler(event, context):\n    return event\n"


def creation(**more):
    return {
        "FunctionName": fresh_name("bad"),
        "Runtime": "python3.11",
        "Role": ROLE,
        "Handler": "index.handler",
        "Code": {"ZipFile": base64.b64encode(archive({"index.py": PYTHON})).decode()},
        **more,
    }


def post(node, body, path=CREATE, method="POST", **more):
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return send(node, raw.signed(node, method, path, data, **more))


# Bodies.


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b"[]",
        b"nonsense",
        b'{"FunctionName":"a","FunctionName":"b"}',
        b'{"FunctionName":1}',
        b'{"FunctionName":"a\xff"}',
        b"{" + b'"a":{' * 2000 + b"}" * 2001,
        b"[" * 100_000,
        b'{"Timeout":"12"}',
        b'{"Timeout":1.5}',
        b'{"Code":[]}',
        b'{"Code":{"ZipFile":"not base64!"}}',
        b'{} {}',
    ],
    ids=lambda body: body[:24].decode(errors="replace"),
)
def test_a_body_that_is_not_the_operations_json_is_refused(node, body):
    status, code, _, _ = post(node, body)
    assert status == 400 and code in ("SerializationException", "ValidationException", "InvalidRequestContentException"), (status, code)


def test_missing_members_are_named(node):
    status, code, message, _ = post(node, {})
    assert (status, code) == (400, "ValidationException")
    for member in ("functionName", "role", "code"):
        assert f"Value null at '{member}' failed to satisfy constraint: Member must not be null" in message, message
    assert message.startswith("3 validation errors detected: ")


def test_wrong_base64_is_refused_and_stores_nothing(node):
    body = creation(Code={"ZipFile": "@@@@"})
    status, code, _, _ = post(node, body)
    assert status == 400 and code == "SerializationException", code
    with Refused("ResourceNotFoundException", 404):
        node.functions.get_function(FunctionName=body["FunctionName"])


def test_a_code_without_a_source_is_refused(node):
    status, code, message, _ = post(node, creation(Code={}))
    assert (status, code, message) == (400, "InvalidParameterValueException", "Please provide a source for function code.")


UNSUPPORTED = {
    "VpcConfig": {"SubnetIds": ["subnet-1"], "SecurityGroupIds": ["sg-1"]},
    "DeadLetterConfig": {"TargetArn": "arn:aws:events:us-east-1:000000000000:event-bus/b"},
    "TracingConfig": {"Mode": "Active"},
    "KMSKeyArn": "arn:aws:kms:us-east-1:000000000000:key/1",
    "FileSystemConfigs": [{"Arn": "arn:aws:elasticfilesystem:us-east-1:000000000000:access-point/fsap-00000000000000000", "LocalMountPath": "/mnt/x"}],
    "ImageConfig": {"Command": ["x"]},
    "PackageType": "Image",
    "CodeSigningConfigArn": "arn:aws:lambda:us-east-1:000000000000:code-signing-config:csc-00000000000000000",
}


@pytest.mark.parametrize("parameter", UNSUPPORTED)
def test_a_parameter_that_does_not_act_is_refused_by_name(node, parameter):
    body = creation(**{parameter: UNSUPPORTED[parameter]})
    status, code, message, _ = post(node, body)
    assert (status, code) == (400, "InvalidParameterValueException") and parameter in message, (code, message)
    with Refused("ResourceNotFoundException", 404):
        node.functions.get_function(FunctionName=body["FunctionName"])


@pytest.mark.parametrize("parameter", ["VpcConfig", "DeadLetterConfig", "TracingConfig", "KMSKeyArn"])
def test_an_update_refuses_them_too_and_changes_nothing(node, make, parameter):
    function = make(PYTHON)
    before = node.functions.get_function_configuration(FunctionName=function.name)["RevisionId"]
    body = {parameter: UNSUPPORTED[parameter], "Description": "changed"}
    path = f"{CREATE}/{function.name}/configuration"
    status, code, message, _ = post(node, body, path, "PUT")
    assert (status, code) == (400, "InvalidParameterValueException") and parameter in message
    assert node.functions.get_function_configuration(FunctionName=function.name)["RevisionId"] == before


def test_defaults_of_parameters_that_do_not_act_are_accepted(make, node):
    function = make(
        PYTHON,
        VpcConfig={"SubnetIds": [], "SecurityGroupIds": []},
        TracingConfig={"Mode": "PassThrough"},
        SnapStart={"ApplyOn": "None"},
        DeadLetterConfig={},
        PackageType="Zip",
        Architectures=[node.functions.get_function_configuration(FunctionName=make(PYTHON).name)["Architectures"][0]],
    )
    assert function(1) == 1


def test_another_processors_code_is_refused(make):
    import platform

    other = "arm64" if platform.machine() == "x86_64" else "x86_64"
    with Refused("InvalidParameterValueException", 400, "Architectures"):
        make(PYTHON, Architectures=[other])


def test_code_from_a_bucket_or_an_image_is_refused_by_name(node):
    for code, name in [({"S3Bucket": "bucket", "S3Key": "k"}, "S3"), ({"ImageUri": "1.dkr.ecr/x:1"}, "ImageUri")]:
        status, kind, message, _ = post(node, creation(Code=code))
        assert (status, kind) == (400, "InvalidParameterValueException") and name in message


def test_operations_that_are_not_served_say_their_name(node):
    client = node.functions
    with Refused("UnsupportedOperationException", 501, "CreateCodeSigningConfig"):
        client.create_code_signing_config(AllowedPublishers={"SigningProfileVersionArns": ["arn:aws:signer:us-east-1:000000000000:/signing-profiles/p/1"]})
    with Refused("UnsupportedOperationException", 501, "GetRuntimeManagementConfig"):
        client.get_runtime_management_config(FunctionName="x")


def test_a_path_of_no_operation_is_not_found(node):
    status, code, _, _ = post(node, {}, "/2015-03-31/nonsense")
    assert (status, code) == (404, "UnknownOperationException")
    status, _, _, _ = post(node, {}, CREATE, "PATCH")
    # The reference takes the wrong method of a known path for a call that is not signed for it.
    assert status == 403


def test_an_unknown_operation_of_logs_is_refused(node):
    request = raw.signed(
        node, "POST", "/", b"{}", service="logs",
        headers={"X-Amz-Target": "Logs_20140328.Nonsense", "Content-Type": "application/x-amz-json-1.1"},
    )
    status, code, _, _ = send(node, request)
    assert status in (400, 501) and code in ("UnknownOperationException", "UnsupportedOperationException"), (status, code)


# Names.


@pytest.mark.parametrize("name", ["a b", "a/b", "ünï", "a" * 65, "a.b", "", "arn:aws:lambda:us-east-1:1:function:x", "x:y:z"])
def test_names_of_the_wrong_form_are_refused(node, name):
    status, code, message, _ = post(node, creation(FunctionName=name))
    assert (status, code) == (400, "ValidationException") and "functionName" in message, (status, code, message)


def test_names_that_cannot_be_are_not_found_or_refused(node):
    for name in ["nosuch", "a" * 64]:
        with Refused("ResourceNotFoundException", 404, name):
            node.functions.get_function(FunctionName=name)
    for name in ["a b", "a" * 257]:
        with Refused("ValidationException", 400):
            node.functions.get_function(FunctionName=name)
    with Refused("AccessDeniedException", 403):
        node.functions.get_function(FunctionName="arn:aws:lambda:us-east-1:999999999999:function:x")
    with Refused("ResourceNotFoundException", 404, "not reachable in this region|not found"):
        node.functions.get_function(FunctionName="arn:aws:lambda:eu-west-1:000000000000:function:x")


def test_roles_handlers_and_layers_of_the_wrong_form_are_refused(node):
    for change, member in [
        ({"Role": "nobody"}, "role"),
        ({"Handler": "a b"}, "handler"),
        ({"Handler": "x" * 129}, "handler"),
        ({"Description": "x" * 257}, "description"),
        ({"Layers": ["nonsense"]}, "layers"),
    ]:
        status, code, message, _ = post(node, creation(**change))
        assert (status, code) == (400, "ValidationException") and f"'{member}'" in message, (change, message)


# Connections.


def test_a_client_that_never_ends_its_header_disturbs_nobody(node, make):
    function = make(PYTHON)
    slow = [raw.Connection(node) for _ in range(50)]
    for connection in slow:
        connection.send(b"GET /2015-03-31/functions HTTP/1.1\r\nHost: x\r\n")
    try:
        for number in range(20):
            began = time.monotonic()
            assert function(number) == number
            # Slow clients are given more than a minute.
            assert time.monotonic() - began < 30
            slow[number].send(b"X-More: 1\r\n")
    finally:
        for connection in slow:
            connection.socket.close()


def test_a_body_that_is_shorter_than_it_says_stores_nothing(node):
    body = json.dumps(creation()).encode()
    request = raw.signed(node, "POST", CREATE, body)
    name = json.loads(body)["FunctionName"]
    with raw.Connection(node) as connection:
        connection.send(raw.head_of(request, connection, len(body)) + body[:-10])
    with Refused("ResourceNotFoundException", 404):
        node.functions.get_function(FunctionName=name)


def test_an_oversize_header_is_refused(node):
    for line in [b"X-Big: " + b"x" * 200_000 + b"\r\n", b"".join(b"X-%d: 1\r\n" % n for n in range(20_000))]:
        with raw.Connection(node) as connection:
            try:
                connection.send(b"GET / HTTP/1.1\r\nHost: x\r\n" + line + b"\r\n")
                answer = connection.response()
            except (BrokenPipeError, ConnectionResetError):
                answer = None
            assert answer is None or answer[0] in (400, 431), answer


def test_an_oversize_body_is_refused_before_it_is_read(node):
    request = raw.signed(node, "POST", CREATE, b"x")
    with raw.Connection(node) as connection:
        connection.send(raw.head_of(request, connection, 900_000_000_000))
        status, headers, _ = connection.response()
        assert status == 413, (status, headers)


def test_what_is_not_http_is_hung_up_on(node):
    for words in [b"\x16\x03\x01\x02\x00\x01\x00", b"nonsense\r\n\r\n", b"\0" * 100 + b"\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n"]:
        with raw.Connection(node) as connection:
            connection.send(words + b"\r\n\r\n")
            answer = connection.response()
            assert answer is None or 400 <= answer[0] < 600, (words, answer)


def test_smuggled_lengths_are_refused(node):
    for headers in [
        [("Content-Length", "5"), ("Content-Length", "6")],
        [("Content-Length", "-1")],
        [("Content-Length", "abc")],
    ]:
        with raw.Connection(node) as connection:
            answer = connection.request("POST", CREATE, headers, b"12345")
            assert answer is None or answer[0] == 400, (headers, answer)


def test_many_clients_at_once_are_all_answered(node, make):
    function = make(PYTHON)
    function(0)
    errors = []

    def ask(number):
        try:
            with raw.Connection(node) as connection:
                status, _, _ = connection.request("GET", "/_lambent/health")
                assert status == 200
        except (OSError, AssertionError) as error:
            errors.append(error)

    threads = [threading.Thread(target=ask, args=(n,)) for n in range(300)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors, errors[:3]
    assert wait_until(lambda: function(1) == 1)
