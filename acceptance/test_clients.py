"""The whole life of a function through unmodified clients: AWS CLI, boto3, AWS SDK for JavaScript.

Each client deploys a function in each language, with a third-party package inside.
"""

import base64
import hashlib
import json
import urllib.request

import pytest

from support.functions import Answer, Function, Refused, fresh_name
from support.native import native
from support.node import ROLE, wait_until
from support.packages import archive, npm, pip, tree

PYTHON = """
    import humanize

    def handler(event, context):
        return {"text": humanize.naturalsize(event["bytes"], binary=True), "generation": 1}
"""
JAVASCRIPT = """
    import slugify from "slugify";
    export const handler = async (event) => ({ text: slugify(event.title, { lower: true }), generation: 1 });
"""
# zlib's checksum, compiled in: a native program's package is linked and not vendored.
NATIVE = """
static unsigned adler(const char *text) {
    unsigned a = 1, b = 0;
    for (; *text; text++) { a = (a + (unsigned char)*text) % 65521; b = (b + a) % 65521; }
    return b << 16 | a;
}
static void handle(void) {
    snprintf(out, sizeof out, "{\\"sum\\":%u,\\"event\\":%s}", adler(event), event);
}
"""


def python_package(source=PYTHON):
    import textwrap

    return archive(tree(pip("humanize==4.12.3"), {"index.py": textwrap.dedent(source).encode()}))


def javascript_package(source=JAVASCRIPT):
    import textwrap

    return archive(tree(npm("slugify@1.6.6"), {"index.mjs": textwrap.dedent(source).encode()}))


CASES = {
    "python": ("python3.11", python_package, {"bytes": 3 << 30}, lambda a: a["text"] == "3.0 GiB"),
    "nodejs": ("nodejs20.x", javascript_package, {"title": "Hello World"}, lambda a: a["text"] == "hello-world"),
    "native": (
        "provided.al2023",
        lambda: native(NATIVE),
        {"a": 1},
        lambda a: a["event"] == {"a": 1} and a["sum"] == __import__("zlib").adler32(b'{"a": 1}'),
    ),
}


@pytest.fixture(params=CASES)
def case(request, runtimes):
    runtime, package, event, is_right = CASES[request.param]
    if runtime not in runtimes:
        pytest.skip(f"this host has no {runtime}")
    return runtime, package(), event, is_right


@pytest.fixture
def name(node):
    name = fresh_name("client")
    yield name
    Function(node, name).delete()


def sha256(data):
    return base64.b64encode(hashlib.sha256(data).digest()).decode()


def test_boto3_deploys_calls_updates_and_deletes(node, name, case):
    runtime, zipped, event, is_right = case
    client = node.functions
    made = client.create_function(
        FunctionName=name, Runtime=runtime, Role=ROLE, Handler="index.handler", Code={"ZipFile": zipped},
    )
    assert made["CodeSha256"] == sha256(zipped) and made["CodeSize"] == len(zipped)
    assert made["FunctionArn"] == f"arn:aws:lambda:us-east-1:000000000000:function:{name}"
    assert made["Version"] == "$LATEST" and made["State"] in ("Pending", "Active")
    client.get_waiter("function_active_v2").wait(FunctionName=name)
    answer = Answer(client.invoke(FunctionName=name, Payload=json.dumps(event)))
    assert answer.status == 200 and answer.version == "$LATEST"
    assert is_right(answer.ok()), answer
    assert answer.was_cold

    def again():
        answer = Answer(client.invoke(FunctionName=name, Payload=json.dumps(event)))
        assert is_right(answer.ok())
        return not answer.was_cold

    wait_until(again, what="a warm call")

    client.update_function_configuration(FunctionName=name, Description="changed", MemorySize=192)
    client.get_waiter("function_updated_v2").wait(FunctionName=name)
    found = client.get_function(FunctionName=name)
    assert (found["Configuration"]["Description"], found["Configuration"]["MemorySize"]) == ("changed", 192)
    assert found["Configuration"]["State"] == "Active"
    assert found["Configuration"]["LastUpdateStatus"] == "Successful"

    names = [f["FunctionName"] for p in client.get_paginator("list_functions").paginate() for f in p["Functions"]]
    assert names.count(name) == 1
    client.delete_function(FunctionName=name)
    with Refused("ResourceNotFoundException", 404, f"Function not found: .*:function:{name}"):
        client.get_function(FunctionName=name)
    with Refused("ResourceNotFoundException", 404):
        client.invoke(FunctionName=name, Payload=b"{}")


def test_the_aws_cli_deploys_calls_updates_and_deletes(aws, node, name, case, tmp_path):
    runtime, zipped, event, is_right = case
    package, answer = tmp_path / "package.zip", tmp_path / "answer.json"
    package.write_bytes(zipped)
    words = ["--function-name", name, "--runtime", runtime, "--role", ROLE, "--handler", "index.handler"]
    made = json.loads(aws("lambda", "create-function", *words, "--zip-file", f"fileb://{package}"))
    assert made["CodeSha256"] == sha256(zipped)
    aws("lambda", "wait", "function-active-v2", "--function-name", name)
    invoke = ["lambda", "invoke", "--function-name", name, "--payload", json.dumps(event), str(answer)]
    told = json.loads(aws(*invoke))
    assert told == {"StatusCode": 200, "ExecutedVersion": "$LATEST"}
    assert is_right(json.loads(answer.read_text()))

    settings = ["--timeout", "17", "--environment", "Variables={COLOUR=blue,SHAPE=round}"]
    aws("lambda", "update-function-configuration", "--function-name", name, *settings)
    aws("lambda", "wait", "function-updated-v2", "--function-name", name)
    found = json.loads(aws("lambda", "get-function-configuration", "--function-name", name))
    assert found["Timeout"] == 17 and found["Environment"]["Variables"] == {"COLOUR": "blue", "SHAPE": "round"}
    listed = aws("lambda", "list-functions", "--query", f"Functions[?FunctionName=='{name}'].Runtime")
    assert json.loads(listed) == [runtime]
    aws("lambda", "delete-function", "--function-name", name)
    gone = aws("lambda", "get-function", "--function-name", name, check=False)
    assert gone.returncode != 0 and "ResourceNotFoundException" in gone.stderr


def test_the_javascript_sdk_deploys_calls_updates_and_deletes(javascript, node, name, case, tmp_path):
    runtime, zipped, event, is_right = case
    package = tmp_path / "package.zip"
    package.write_bytes(zipped)
    script = """
        import { readFileSync } from "node:fs";
        import {
          LambdaClient, CreateFunctionCommand, InvokeCommand, UpdateFunctionConfigurationCommand,
          GetFunctionConfigurationCommand, DeleteFunctionCommand, GetFunctionCommand, paginateListFunctions,
          waitUntilFunctionActiveV2, waitUntilFunctionUpdatedV2,
        } from "@aws-sdk/client-lambda";
        const { NAME: FunctionName, RUNTIME: Runtime, ROLE: Role, PACKAGE, EVENT } = process.env;
        const client = new LambdaClient({});
        const say = {};
        const made = await client.send(new CreateFunctionCommand({
          FunctionName, Runtime, Role, Handler: "index.handler", Code: { ZipFile: readFileSync(PACKAGE) },
        }));
        say.sha = made.CodeSha256;
        const patience = { client, maxWaitTime: 60, minDelay: 1, maxDelay: 1 };
        await waitUntilFunctionActiveV2(patience, { FunctionName });
        const call = await client.send(new InvokeCommand({ FunctionName, Payload: EVENT, LogType: "Tail" }));
        say.status = call.StatusCode;
        say.error = call.FunctionError;
        say.answer = JSON.parse(call.Payload.transformToString());
        say.log = Buffer.from(call.LogResult, "base64").toString();
        await client.send(new UpdateFunctionConfigurationCommand({ FunctionName, Description: "from JS" }));
        await waitUntilFunctionUpdatedV2(patience, { FunctionName });
        say.description = (await client.send(new GetFunctionConfigurationCommand({ FunctionName }))).Description;
        say.listed = false;
        for await (const page of paginateListFunctions({ client, pageSize: 1 }, {})) {
          say.listed ||= page.Functions.some((f) => f.FunctionName === FunctionName);
        }
        await client.send(new DeleteFunctionCommand({ FunctionName }));
        try { await client.send(new GetFunctionCommand({ FunctionName })); }
        catch (error) { say.gone = [error.name, error.$metadata.httpStatusCode]; }
        console.log(JSON.stringify(say));
    """
    told = javascript(
        script, NAME=name, RUNTIME=runtime, ROLE=ROLE, PACKAGE=str(package), EVENT=json.dumps(event)
    )
    said = json.loads(told)
    assert said["sha"] == sha256(zipped)
    assert said["status"] == 200 and "error" not in said
    event_text = json.dumps(event)
    assert is_right(said["answer"]), (said["answer"], event_text)
    assert "START RequestId" in said["log"] and "REPORT RequestId" in said["log"]
    assert said["description"] == "from JS" and said["listed"]
    assert said["gone"] == ["ResourceNotFoundException", 404]


def test_new_code_is_called_after_the_update_and_not_before(node, make):
    function = make(python_package())
    assert function({"bytes": 1})["generation"] == 1
    updated = python_package(PYTHON.replace('"generation": 1', '"generation": 2'))
    answer = function.update(updated)
    assert answer["CodeSha256"] == sha256(updated)
    node.functions.get_waiter("function_updated_v2").wait(FunctionName=function.name)
    assert function({"bytes": 1})["generation"] == 2


def test_the_code_location_gives_back_the_same_bytes(node, make):
    zipped = python_package()
    function = make(zipped)
    found = node.functions.get_function(FunctionName=function.name)
    assert found["Code"]["RepositoryType"] == "S3"
    with urllib.request.urlopen(found["Code"]["Location"], timeout=30) as answer:
        assert answer.read() == zipped
    broken = found["Code"]["Location"][:-1] + "x"
    try:
        urllib.request.urlopen(broken, timeout=30)
    except urllib.error.HTTPError as error:
        assert error.code == 403
    else:
        raise AssertionError("a forged link gave the code away")


def test_a_dry_run_calls_nothing(node, make):
    function = make("def handler(event, context):\n    print('called')\n")
    answer = node.functions.invoke(FunctionName=function.name, InvocationType="DryRun")
    assert answer["StatusCode"] == 204
    groups = node.logs.describe_log_groups(logGroupNamePrefix=function.group)["logGroups"]
    assert groups == []


def test_names_and_arns_in_every_form_find_the_function(node, make):
    function = make("def handler(event, context):\n    return context.invoked_function_arn\n")
    arn = f"arn:aws:lambda:us-east-1:000000000000:function:{function.name}"
    for form in [function.name, f"000000000000:function:{function.name}", arn, f"{arn}:$LATEST"]:
        answer = Answer(node.functions.invoke(FunctionName=form))
        assert answer.ok() == (form if form.endswith("$LATEST") else arn), form


def test_a_twelve_digit_key_is_an_account_of_its_own(node, make):
    function = make("def handler(event, context):\n    return 1\n")
    other = node.client(key="123456789012")
    with Refused("ResourceNotFoundException", 404):
        other.get_function(FunctionName=function.name)
    own = Function(node, function.name, other).create(
        "import os\ndef handler(event, context):\n    return context.invoked_function_arn\n",
        Role="arn:aws:iam::123456789012:role/r",
    )
    try:
        assert own() == f"arn:aws:lambda:us-east-1:123456789012:function:{function.name}"
        assert function() == 1
    finally:
        own.delete()


def test_a_region_is_a_world_of_its_own(node, make):
    function = make("def handler(event, context):\n    return 1\n")
    abroad = node.client(region="eu-west-1")
    with Refused("ResourceNotFoundException", 404):
        abroad.get_function(FunctionName=function.name)
    twin = Function(node, function.name, abroad).create(
        "import os\ndef handler(event, context):\n    return os.environ['AWS_REGION']\n"
    )
    try:
        assert twin() == "eu-west-1"
    finally:
        twin.delete()
