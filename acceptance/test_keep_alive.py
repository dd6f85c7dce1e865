"""How long environments wait for their next call, as the node was told."""

from support.functions import Function, fresh_name
from support.node import Node, wait_until
from support.paths import NOTHING_PARKED
from test_parked_cells import inits

COUNT = "n = 0\n\ndef handler(event, context):\n    global n\n    n += 1\n    return n\n"


def counting(node):
    return Function(node, fresh_name()).create(COUNT)


def test_nothing_is_kept_where_no_time_is_given():
    with Node(options=["--keep-alive", "0s", *NOTHING_PARKED]) as node:
        function = counting(node)
        assert [function(), function()] == [1, 1]
        wait_until(lambda: inits(node) == [], what="the end of the environment")


def test_a_fixed_time_is_kept_and_not_exceeded_by_much():
    with Node(options=["--keep-alive", "1s", *NOTHING_PARKED]) as node:
        function = counting(node)
        function()
        wait_until(lambda: inits(node) == [], within=20, what="the end of the environment")
        assert function() == 1


def test_the_environment_of_a_function_that_was_just_called_is_kept_unless_told_otherwise():
    for options in ([], ["--keep-alive", "adaptive"], ["--keep-alive", "10m"]):
        with Node(options=options) as node:
            function = counting(node)
            assert [function() for _ in range(12)] == list(range(1, 13))


def test_memory_that_is_to_stay_free_is_not_held_by_what_idles():
    # No machine has all of its memory left.
    with Node(options=["--memory-reserve", "100%"]) as node:
        function = counting(node)
        assert function() == 1
        wait_until(lambda: inits(node) == [], what="the end of all that idles")
        assert function() == 1, "calls are served all the same"
    with Node(options=["--memory-reserve", "0", *NOTHING_PARKED]) as node:
        function = counting(node)
        assert [function(), function()] == [1, 2]


def test_a_deleted_version_leaves_no_environment():
    with Node(options=NOTHING_PARKED) as node:
        function = counting(node)
        version = function.client.publish_version(FunctionName=function.name)["Version"]
        assert [function(Qualifier=version), function()] == [1, 1]
        wait_until(lambda: len(inits(node)) == 2, what="one environment each")
        function.client.delete_function(FunctionName=function.name, Qualifier=version)
        wait_until(lambda: len(inits(node)) == 1, what="the end of the version's environment")
        assert function() == 2
