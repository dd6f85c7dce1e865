"""Where a function may connect to: the policies none, services and internet, from inside."""

import contextlib
import socket
import threading

import pytest

from support.functions import Answer, Refused
from support.packages import pip, tree

CONNECT = """
    import json, os, socket

    def attempt(address, port, kind=socket.SOCK_STREAM):
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        try:
            with socket.socket(family, kind) as s:
                s.settimeout(3)
                s.connect((address, port))
                if kind == socket.SOCK_DGRAM:
                    s.send(b"hello")
                    return s.recv(100).decode()
                return "connected"
        except OSError as error:
            return type(error).__name__ + ": " + str(error)

    def handler(event, context):
        if event == "routes":
            return {
                "routes": open("/proc/net/route").read().splitlines()[1:],
                "devices": sorted(os.listdir("/sys/class/net")) if os.path.isdir("/sys/class/net") else None,
                "device list": [l.split(":")[0].strip() for l in open("/proc/net/dev").read().splitlines()[2:]],
                "endpoint": os.environ.get("AWS_ENDPOINT_URL"),
                "api": os.environ["AWS_LAMBDA_RUNTIME_API"],
            }
        return [attempt(*target) for target in event]
"""


@pytest.fixture
def connect(make):
    def connect(policy):
        tags = {"lambent:egress": policy} if policy else {}
        return make(CONNECT, Tags=tags)

    return connect


@contextlib.contextmanager
def listener(address="127.0.0.1", family=socket.AF_INET):
    """A service of the host that counts its visitors."""
    visitors = []
    with socket.create_server((address, 0), family=family) as server:
        server.settimeout(0.1)
        over = threading.Event()

        def serve():
            while not over.is_set():
                with contextlib.suppress(TimeoutError):
                    client, _ = server.accept()
                    visitors.append(client.getpeername())
                    client.close()

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield server.getsockname()[1], visitors
        finally:
            over.set()
            thread.join()


def host_addresses():
    """The host's own addresses on its links."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))
        except OSError:
            return []
        return [probe.getsockname()[0]]


def split(endpoint):
    host, port = endpoint.rsplit("/", 1)[-1].rsplit(":", 1)
    return host, int(port)


def test_none_has_no_way_out_and_no_endpoint(connect):
    function = connect("none")
    seen = function("routes")
    assert seen["routes"] == [] and seen["endpoint"] is None
    assert seen["device list"] == ["lo"]
    answers = function([["1.1.1.1", 443], ["8.8.8.8", 53], ["169.254.169.254", 80], ["10.0.0.1", 80]])
    assert all(answer != "connected" for answer in answers), answers


def test_services_reaches_the_nodes_endpoint_and_nothing_else(connect):
    function = connect("services")
    seen = function("routes")
    assert seen["routes"] == []
    host, port = split(seen["endpoint"])
    assert function([[host, port]]) == ["connected"]
    answers = function([["1.1.1.1", 443], ["169.254.169.254", 80], [host, 22], [host, port + 1]])
    assert all(answer != "connected" for answer in answers), answers


def test_internet_is_the_default_and_has_a_route(connect):
    seen = connect(None)("routes")
    assert seen["endpoint"]
    assert len(seen["routes"]) >= 1, seen
    assert seen == {**connect("internet")("routes"), **{k: seen[k] for k in ("endpoint", "api")}}


@pytest.mark.parametrize("policy", ["none", "services", "internet"])
def test_the_hosts_own_services_are_out_of_reach(connect, node, policy):
    function = connect(policy)
    seen = function("routes")
    addresses = ["127.0.0.1", *host_addresses()]
    with listener("0.0.0.0") as (port, visitors):
        gateway = []
        for route in seen["routes"]:
            raw = bytes.fromhex(route.split()[2])[::-1]
            if any(raw):
                gateway.append(socket.inet_ntoa(raw))
        targets = [[address, port] for address in [*addresses, *gateway, "0.0.0.0"]]
        # The node's own front door, where test/test would open, is a service of the host as well.
        targets += [[address, split(node.endpoint)[1]] for address in addresses]
        answers = function(targets)
        assert all(answer != "connected" for answer in answers), list(zip(targets, answers))
        assert visitors == []


@pytest.mark.parametrize("policy", ["none", "services", "internet"])
def test_metadata_services_are_out_of_reach(connect, policy):
    targets = [["169.254.169.254", 80], ["169.254.170.2", 80], ["168.63.129.16", 80], ["fd00:ec2::254", 80]]
    answers = connect(policy)(targets)
    assert all(answer != "connected" for answer in answers), answers


def test_another_sandboxes_runtime_api_is_out_of_reach(connect, node):
    victim, attacker = connect("internet"), connect("internet")
    theirs, own = victim("routes")["api"], attacker("routes")["api"]
    host, port = split(theirs)
    answers = attacker([[host, port]])
    # The same words may name the attacker's own listener; then what answers is its own Runtime API.
    if theirs == own:
        assert victim("routes")["api"] == own
    else:
        assert answers != ["connected"], (theirs, own)
    neighbour = [[f"10.255.255.{n}", port] for n in range(1, 6)]
    assert all(answer != "connected" for answer in attacker(neighbour) if theirs != own)


def test_a_policy_that_is_none_of_the_three_is_refused(connect):
    with Refused("InvalidParameterValueException", 400, "lambent:egress takes one of none, services and internet"):
        connect("everything")


def test_a_changed_policy_is_obeyed_by_the_next_call(connect, node):
    function = connect("none")
    assert function("routes")["endpoint"] is None
    node.functions.tag_resource(Resource=function.arn, Tags={"lambent:egress": "services"})
    assert function("routes")["endpoint"]
    node.functions.untag_resource(Resource=function.arn, TagKeys=["lambent:egress"])
    assert len(function("routes")["routes"]) >= 1


# The function's own credentials.

INSIDE = """
    import boto3

    def handler(event, context):
        client = boto3.client("lambda", **event.get("as", {}))
        try:
            if "invoke" in event:
                answer = client.invoke(FunctionName=event["invoke"], Payload=b'"inner"')
                return answer["Payload"].read().decode()
            return sorted(f["FunctionName"] for f in client.list_functions()["Functions"])
        except client.exceptions.ClientError as error:
            return error.response["Error"]["Code"]
"""


@pytest.fixture(scope="module")
def inside_package():
    from support.packages import archive
    import textwrap

    return archive(tree(pip("boto3==1.44.5"), {"index.py": textwrap.dedent(INSIDE).encode()}))


def test_code_finds_the_node_with_its_own_credentials_and_no_others(make, inside_package):
    echo = make("def handler(event, context):\n    return [event, context.invoked_function_arn]\n")
    function = make(inside_package, MemorySize=1769, Timeout=60, Tags={"lambent:egress": "services"})
    listed = function({})
    assert function.name in listed and echo.name in listed
    assert echo.arn in function({"invoke": echo.name})
    test = {"aws_access_key_id": "test", "aws_secret_access_key": "test"}
    assert function({"as": test}) == "UnrecognizedClientException"
    other = {"aws_access_key_id": "123456789012", "aws_secret_access_key": "test"}
    assert function({"as": other}) == "UnrecognizedClientException"


def test_javascript_finds_the_node_too(make, node, runtimes):
    import os
    from pathlib import Path

    from support.packages import archive

    clients = os.environ.get("LAMBENT_NODE_CLIENTS")
    if not clients or "nodejs20.x" not in runtimes:
        pytest.skip("no AWS SDK for JavaScript or no nodejs20.x here")
    source = """
        import { LambdaClient, ListFunctionsCommand } from "@aws-sdk/client-lambda";
        const client = new LambdaClient({});
        export const handler = async () =>
          (await client.send(new ListFunctionsCommand({}))).Functions.map((f) => f.FunctionName);
    """
    import textwrap

    files = {
        name: content
        for name, content in tree(Path(clients)).items()
        if name.startswith("node_modules/") and "/dist-types/" not in name and "cloudwatch" not in name
    }
    files["index.mjs"] = textwrap.dedent(source).encode()
    function = make(archive(files), runtime="nodejs20.x", MemorySize=1769, Timeout=60)
    assert function.name in function()


def test_the_credentials_inside_are_short_lived_ones_and_work_outside_too(make, node):
    function = make(
        "import os\ndef handler(e, c):\n    return {k: os.environ[k] for k in os.environ if k.startswith('AWS_')}\n"
    )
    seen = function()
    words = [seen["AWS_ACCESS_KEY_ID"], seen["AWS_SECRET_ACCESS_KEY"], seen["AWS_SESSION_TOKEN"]]
    assert seen["AWS_ACCESS_KEY_ID"].startswith("ASIA")
    client = node.client(key=words[0], secret=words[1], token=words[2])
    assert Answer(client.invoke(FunctionName=function.name)).ok()
