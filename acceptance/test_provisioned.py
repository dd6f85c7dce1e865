"""Provisioned concurrency: environments that are initialised ahead, kept, replaced and moved with their alias."""

import os
import signal
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from support.functions import Function, Refused, fresh_name
from support.node import Node, soon, wait_until

# Tells which environment answers, how it was initialised, and when.
SOURCE = """
import os, time, uuid
me, born = uuid.uuid4().hex, time.time()
time.sleep({init})
def handler(event, context):
    time.sleep(event or 0)
    return [os.environ["AWS_LAMBDA_INITIALIZATION_TYPE"], me, context.function_version, born]
"""

ON_DEMAND, PROVISIONED = "on-demand", "provisioned-concurrency"


def publish(function, init=0.0):
    """A new version with such an init; its number."""
    function.update(SOURCE.format(init=init) + f"# {fresh_name()}\n")
    return function.client.publish_version(FunctionName=function.name)["Version"]


@pytest.fixture
def versioned(make):
    """A function with one published version."""
    function = make(SOURCE.format(init=0.0))
    function.version = function.client.publish_version(FunctionName=function.name)["Version"]
    return function


def put(function, qualifier, count):
    return function.client.put_provisioned_concurrency_config(
        FunctionName=function.name, Qualifier=qualifier, ProvisionedConcurrentExecutions=count
    )


def get(function, qualifier):
    return function.client.get_provisioned_concurrency_config(FunctionName=function.name, Qualifier=qualifier)


def status(function, qualifier, wanted="READY", within=20):
    """The configuration, once its allocation is where it should be."""

    def found():
        config = get(function, qualifier)
        return config if config["Status"] == wanted else None

    return wait_until(found, within, f"{qualifier} {wanted}")


def alias(function, name, version, **more):
    return function.client.create_alias(
        FunctionName=function.name, Name=name, FunctionVersion=version, **more
    )


def at_once(function, count, qualifier, seconds=2):
    with ThreadPoolExecutor(count) as pool:
        calls = [pool.submit(function.call, seconds, Qualifier=qualifier) for _ in range(count)]
        return [call.result() for call in calls]


def test_environments_stand_before_the_first_call_and_calls_beyond_them_spill_over(versioned):
    function = versioned
    answer = put(function, function.version, 2)
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 202
    assert answer["RequestedProvisionedConcurrentExecutions"] == 2
    assert answer["Status"] == "IN_PROGRESS"
    ready = status(function, function.version)
    assert ready["AllocatedProvisionedConcurrentExecutions"] == 2
    assert ready["AvailableProvisionedConcurrentExecutions"] == 2
    assert "StatusReason" not in ready

    answers = at_once(function, 3, function.version)
    kinds = sorted(answer.ok()[0] for answer in answers)
    assert kinds == [ON_DEMAND, PROVISIONED, PROVISIONED]
    for answer in answers:
        assert answer.was_cold == (answer.ok()[0] == ON_DEMAND)
    # A provisioned environment is taken before one that was made on demand.
    assert function.call(0, Qualifier=function.version).ok()[0] == PROVISIONED
    assert function.call(0).ok()[0] == ON_DEMAND, "$LATEST has none"


def test_the_first_environment_serves_long_before_the_last_one_stands(make):
    function = make(SOURCE.format(init=0.4), MemorySize=256)

    def serves_while_others_are_made():
        version = publish(function, init=0.4)
        put(function, version, 24)

        def first():
            config = get(function, version)
            return config if config["AvailableProvisionedConcurrentExecutions"] > 0 else None

        config = wait_until(first)
        answer = function.call(0, Qualifier=version)
        assert answer.ok()[0] == PROVISIONED and not answer.was_cold
        status(function, version)
        function.client.delete_provisioned_concurrency_config(FunctionName=function.name, Qualifier=version)
        return config["Status"] == "IN_PROGRESS"

    # On a machine that stands still meanwhile, nobody sees the first one alone.
    soon(serves_while_others_are_made, "one that serves before all stand")


def test_nothing_is_left_when_the_configuration_is_deleted(versioned):
    function = versioned
    client = function.client
    put(function, function.version, 2)
    status(function, function.version)
    assert put(function, function.version, 1)["RequestedProvisionedConcurrentExecutions"] == 1
    assert status(function, function.version)["AllocatedProvisionedConcurrentExecutions"] == 1
    gone = {"FunctionName": function.name, "Qualifier": function.version}
    answer = client.delete_provisioned_concurrency_config(**gone)
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 204
    with Refused("ProvisionedConcurrencyConfigNotFoundException", 404, "No Provisioned Concurrency Config found"):
        get(function, function.version)
    assert function.call(0, Qualifier=function.version).ok()[0] == ON_DEMAND


def test_a_dead_environment_is_replaced(versioned):
    function = versioned
    function.update("""
import os, time, uuid
me = uuid.uuid4().hex
def handler(event, context):
    if event == "die":
        os._exit(1)
    return [os.environ["AWS_LAMBDA_INITIALIZATION_TYPE"], me]
""")
    version = function.client.publish_version(FunctionName=function.name)["Version"]
    put(function, version, 1)
    status(function, version)
    first = function.call(0, Qualifier=version).ok()
    stood = time.monotonic()
    wait_until(lambda: time.monotonic() > stood + 1.5, what="more than the second that counts as a failed start")
    function.call("die", Qualifier=version).error()

    def another():
        answer = function.call(0, Qualifier=version)
        return answer.ok()[0] == PROVISIONED and answer.ok() != first and not answer.was_cold

    # Until the node knows of the death, calls spill over.
    wait_until(another, what="another one in its place")
    status(function, version)


def test_an_init_that_fails_is_told_and_calls_go_on_on_demand(make):
    function = make(
        "import os\n"
        "if os.environ['AWS_LAMBDA_INITIALIZATION_TYPE'] != 'on-demand':\n"
        "    raise RuntimeError('not ahead')\n"
        "def handler(event, context):\n    return 'ran'\n"
    )
    version = function.client.publish_version(FunctionName=function.name)["Version"]
    put(function, version, 3)
    failed = status(function, version, "FAILED")
    assert failed["StatusReason"] == "FUNCTION_ERROR_INIT_FAILURE"
    assert failed["AllocatedProvisionedConcurrentExecutions"] == 0
    assert function.call(Qualifier=version).ok() == "ran"


def test_an_init_of_a_provisioned_environment_has_more_than_ten_seconds(make):
    function = make(SOURCE.format(init=11), Timeout=30)
    version = function.client.publish_version(FunctionName=function.name)["Version"]
    put(function, version, 1)
    status(function, version, within=40)
    answer = function.call(0, Qualifier=version)
    assert answer.ok()[0] == PROVISIONED and not answer.was_cold


def test_an_alias_that_moves_has_its_environments_at_the_new_version_before_it_does(versioned):
    function = versioned
    alias(function, "live", function.version)
    put(function, "live", 2)
    status(function, "live")
    assert function.call(0, Qualifier="live").ok()[:1] == [PROVISIONED]
    second = publish(function, init=0.3)
    function.client.update_alias(FunctionName=function.name, Name="live", FunctionVersion=second)
    assert get(function, "live")["Status"] == "READY", "they stood before the alias moved"
    for answer in at_once(function, 2, "live", 0.2):
        kind, _, version, _ = answer.ok()
        assert (kind, version, answer.was_cold) == (PROVISIONED, second, False)
    assert function.call(0, Qualifier=function.version).ok()[0] == ON_DEMAND, "the old version has none now"


def test_a_weighted_alias_shares_its_environments_out(versioned):
    function = versioned
    second = publish(function)
    alias(function, "live", function.version)
    put(function, "live", 4)
    status(function, "live")
    weights = {"AdditionalVersionWeights": {second: 0.5}}
    function.client.update_alias(FunctionName=function.name, Name="live", RoutingConfig=weights)
    ready = status(function, "live")
    assert ready["AllocatedProvisionedConcurrentExecutions"] == 4
    for version in (function.version, second):
        kinds = sorted(answer.ok()[0] for answer in at_once(function, 3, version))
        assert kinds == [ON_DEMAND, PROVISIONED, PROVISIONED]


def test_what_can_not_be_provisioned_is_refused_in_the_references_words(versioned):
    function = versioned
    with Refused("InvalidParameterValueException", 400, "cannot be applied to unpublished function versions"):
        put(function, "$LATEST", 1)
    with Refused("InvalidParameterValueException", 400, "must be an alias or a published version"):
        get(function, "$LATEST")
    with Refused("ResourceNotFoundException", 404, "Cannot find alias arn"):
        put(function, "gone", 1)
    with Refused("ResourceNotFoundException", 404, "Function not found"):
        put(function, "99", 1)
    second = publish(function)
    alias(function, "live", function.version)
    put(function, "live", 1)
    with Refused("ResourceConflictException", 409, "Version is pointed by a Provisioned Concurrency alias"):
        put(function, function.version, 1)
    put(function, second, 1)
    with Refused("ResourceConflictException", 409, "already Provisioned version"):
        function.client.update_alias(FunctionName=function.name, Name="live", FunctionVersion=second)
    weights = {"AdditionalVersionWeights": {second: 0.5}}
    alias(function, "split", function.version, RoutingConfig=weights)
    with Refused("InvalidParameterValueException", 400, "Invalid alias configuration for Provisioned Concurrency"):
        put(function, "split", 1)


def test_it_is_taken_from_the_account_and_fits_into_a_reservation(versioned):
    function = versioned
    client = function.client

    def unreserved():
        return client.get_account_settings()["AccountLimit"]["UnreservedConcurrentExecutions"]

    before = unreserved()
    put(function, function.version, 3)
    assert unreserved() == before - 3
    with Refused("InvalidParameterValueException", 400, r"below its minimum value of \[100\]"):
        put(function, function.version, before - 99)
    with Refused("InvalidParameterValueException", 400, r"greater than account's unreserved concurrency"):
        put(function, function.version, 100_000)
    reservation = {"FunctionName": function.name, "ReservedConcurrentExecutions": 2}
    with Refused("InvalidParameterValueException", 400, r"should not be lower than .* concurrency \[3\]"):
        client.put_function_concurrency(**reservation)
    client.put_function_concurrency(**{**reservation, "ReservedConcurrentExecutions": 4})
    assert unreserved() == before - 4
    with Refused("InvalidParameterValueException", 400, "greater than the reservedConcurrentExecution"):
        put(function, function.version, 5)


def test_lists_show_every_configuration(versioned):
    function = versioned
    second = publish(function)
    alias(function, "live", function.version)
    put(function, "live", 1)
    put(function, second, 2)
    pages = function.client.get_paginator("list_provisioned_concurrency_configs").paginate(
        FunctionName=function.name, PaginationConfig={"PageSize": 1}
    )
    found = [config for page in pages for config in page["ProvisionedConcurrencyConfigs"]]
    arns = {config["FunctionArn"].rsplit(":", 1)[1]: config for config in found}
    assert set(arns) == {"live", second}
    assert arns[second]["RequestedProvisionedConcurrentExecutions"] == 2


def test_a_killed_node_makes_them_again(tmp_path):
    node = Node(data=tmp_path / "data")
    with node:
        function = Function(node, fresh_name()).create(SOURCE.format(init=0.0))
        version = function.client.publish_version(FunctionName=function.name)["Version"]
        put(function, version, 2)
        status(function, version)
        os.kill(node.process.pid, signal.SIGKILL)
        node.process.wait()
        node._clients.clear()
        node.start()
        function = Function(node, function.name)
        status(function, version)
        answer = function.call(0, Qualifier=version)
        assert answer.ok()[0] == PROVISIONED and not answer.was_cold
