"""A host that has no more room: calls are refused in so many words, the node lives, and serves again when there is room.

What is exhausted is this node's alone: its control groups, its own and its spawner's descriptors.
"""

import os
import resource
import socket
import urllib.parse
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from botocore.exceptions import BotoCoreError, ClientError

from support import paths, residue, usage
from support.functions import Function, fresh_name
from support.node import Node, wait_until

# What a node may say when the host refuses it something.
COMPLAINTS = [
    "a waiting (runtime|sandbox) could not be used",
    "no sandbox for a call",
    "no volume for /tmp",
    "spawner",
    "accept",
    "descriptors",
]

COUNT = 12


@pytest.fixture
def crowded():
    """A node of its own with functions that were never called."""
    with Node(allowed=COMPLAINTS) as node:
        paths.fill(node)
        made = [Function(node, fresh_name()).create(f"def handler(e, c):\n    return {n}\n") for n in range(COUNT)]
        usage.wait_for_rest(node)
        yield node, made
        for function in made:
            function.delete()


def outcomes(functions):
    """What each call came to: its answer, the function's error, or the code with which the node refused."""

    with ThreadPoolExecutor(len(functions)) as pool:
        return list(pool.map(outcome, functions))


def outcome(function):
    try:
        answer = function.call(tail=False)
    except ClientError as error:
        return error.response["Error"]["Code"]
    except BotoCoreError as error:
        return type(error).__name__
    return answer.json["errorType"] if answer.failed else answer.json


def serves(functions):
    """Whether every function answers, each in an environment that it keeps."""
    return outcomes(functions) == list(range(len(functions)))


def group(node, controller):
    found = [folder for folder in residue.control_groups(node.data) if f"/{controller}" in folder.rsplit("/lambent-", 1)[0]]
    if not found:
        pytest.skip(f"this host's control groups have no {controller}")
    return Path(found[0])


REFUSALS = {"ServiceException", "Runtime.ExitError", "Runtime.OutOfMemory", "Sandbox.Failure", "Runtime.InvalidEntrypoint"}


def test_a_node_without_room_for_processes_recovers(crowded):
    node, functions = crowded
    limit = group(node, "pids") / "pids.max"
    limit.write_text(str(int((limit.parent / "pids.current").read_text()) + 1))
    try:
        seen = outcomes(functions)
    finally:
        limit.write_text("max")
    strange = [what for what in seen if not isinstance(what, int) and what not in REFUSALS]
    assert not strange, seen
    assert any(isinstance(what, int) for what in seen), f"what waited had all that it needs: {seen}"
    # The stock, which could not be filled, is looked after without a call for it.
    wait_until(lambda: serves(functions), 15, "answers of all functions")


def test_a_node_under_memory_pressure_recovers(crowded):
    node, functions = crowded
    folder = group(node, "memory")
    limit, used = folder / "memory.limit_in_bytes", folder / "memory.usage_in_bytes"
    if not limit.exists():
        limit, used = folder / "memory.max", folder / "memory.current"
    before = limit.read_text().strip()
    hog = Function(node, fresh_name()).create("def handler(e, c):\n    return len(bytearray(90 << 20))\n", MemorySize=256)
    usage.wait_for_rest(node)
    limit.write_text(str(int(used.read_text()) + (24 << 20)))
    try:
        seen = outcomes([hog, *functions])
    finally:
        limit.write_text(before if before != str((1 << 63) - 4096) else "-1")
    strange = [what for what in seen if not isinstance(what, int) and what not in REFUSALS]
    assert not strange, seen
    wait_until(lambda: serves(functions), 15, "answers of all functions")
    assert hog() == 90 << 20
    hog.delete()


@pytest.mark.parametrize("whose", ["node", "spawner"])
def test_a_node_without_descriptors_recovers(crowded, whose):
    node, functions = crowded
    pid = node.process.pid if whose == "node" else usage.spawner(node)
    before = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    # Connections of the clients included: these are the node's as well.
    spare = COUNT + 12 if whose == "node" else 3
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (usage.descriptors(pid) + spare, before[1]))
    try:
        seen = outcomes(functions)
    finally:
        if os.path.exists(f"/proc/{pid}"):
            resource.prlimit(pid, resource.RLIMIT_NOFILE, before)
    lost = {"ConnectionClosedError", "ReadTimeoutError", "ConnectTimeoutError", "EndpointConnectionError"}
    strange = [what for what in seen if not isinstance(what, int) and what not in REFUSALS | lost]
    assert not strange, seen
    assert node.process.poll() is None
    wait_until(lambda: serves(functions), 15, "answers of all functions")


def test_a_client_that_finds_no_descriptor_left_is_let_in_by_what_waits(crowded):
    node, _ = crowded
    pid = node.process.pid
    before = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    held = lambda: {int(name) for name in os.listdir(f"/proc/{pid}/fd")}  # noqa: E731
    limit = max(held()) + 1
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (limit, before[1]))
    address = urllib.parse.urlsplit(node.endpoint)
    silent = []
    try:
        # What is free below the limit, and a little more, is taken by clients that ask for nothing.
        for _ in range(limit - len(held()) + 4):
            silent.append(socket.create_connection((address.hostname, address.port)))
        with urllib.request.urlopen(f"{node.endpoint}/_lambent/metrics", timeout=60) as answer:
            assert answer.status == 200
    finally:
        resource.prlimit(pid, resource.RLIMIT_NOFILE, before)
        for each in silent:
            each.close()
