"""Fixtures of the suite: one node for all scenarios that need nothing special of it."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from support import packages, raw
from support.functions import Function, fresh_name
from support.node import BINARY, Node


def pytest_configure(config):
    if not BINARY.exists():
        pytest.exit(f"there is no {BINARY}: cargo build --release -p lambent", returncode=3)
    # The variables of whoever runs the suite must not reach the clients under test.
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        del os.environ[name]
    os.environ["AWS_EC2_METADATA_DISABLED"] = "true"
    # A shell without job control starts what runs in the background deaf to an interrupt, and so its children.
    if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    os.environ["AWS_CONFIG_FILE"] = os.environ["AWS_SHARED_CREDENTIALS_FILE"] = "/dev/null"


@pytest.fixture(scope="session")
def shared_node():
    """Started once. Its end is a scenario of its own: a node that served all this leaves nothing."""
    with Node() as node:
        # They are hung up on after more than a minute, in which other scenarios run: `test_silent_clients.py`.
        node.half_requests = raw.half_requests(node)
        yield node


@pytest.fixture
def node(shared_node, request):
    """The shared node, whose every complaint the scenario has to have announced."""
    since = len(shared_node.lines)
    yield shared_node
    assert shared_node.process.poll() is None, "the node is down:\n" + "\n".join(shared_node.lines[-20:])
    announced = [pattern for mark in request.node.iter_markers("node_says") for pattern in mark.args]
    shared_node.announced += announced
    shared_node.check_lines(since, announced)


@pytest.fixture
def make(node):
    """Makes functions that are deleted when the scenario ends: `make("source", MemorySize=256)`."""
    made = []

    def make(code, *, name=None, **settings):
        function = Function(node, name or fresh_name())
        made.append(function)
        return function.create(code, **settings)

    yield make
    for function in made:
        function.delete()


@pytest.fixture
def aws(node):
    """The AWS CLI, version 1: `aws("lambda", "list-functions")` gives what it prints."""

    def aws(*words, check=True, **environment):
        program = Path(sys.executable).with_name("aws")
        done = subprocess.run(
            [sys.executable, str(program), "--output", "json", *map(str, words)],
            capture_output=True,
            text=True,
            env=node.aws_environment(**environment),
            timeout=120,
            check=False,
        )
        if check:
            assert done.returncode == 0, f"aws {' '.join(map(str, words))}:\n{done.stderr}"
            return done.stdout
        return done

    return aws


@pytest.fixture
def javascript(node):
    """Runs an ECMAScript module that can import the AWS SDK for JavaScript v3; gives what it prints."""
    clients = os.environ.get("LAMBENT_NODE_CLIENTS")
    if not clients:
        pytest.skip("LAMBENT_NODE_CLIENTS does not say where the AWS SDK for JavaScript is")

    def javascript(source, **environment):
        done = subprocess.run(
            ["node", "--input-type=module", "-"],
            input=source,
            cwd=clients,
            capture_output=True,
            text=True,
            env=node.aws_environment(**environment),
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
        return done.stdout

    return javascript


@pytest.fixture(scope="session")
def scratch(tmp_path_factory):
    return tmp_path_factory.mktemp("scratch")


@pytest.fixture(scope="session")
def listed_runtimes(shared_node):
    """What `lambent runtimes list` says."""
    words = ["runtimes", "list", "--json", "--data", str(shared_node.data)]
    return json.loads(packages.run(str(BINARY), *words))


@pytest.fixture(scope="session")
def runtimes(listed_runtimes):
    """The identifiers that functions can run with here."""
    return {entry["runtime"] for entry in listed_runtimes if entry["available"]}
