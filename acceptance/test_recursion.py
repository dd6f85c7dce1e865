"""Functions that call themselves, through an unmodified SDK inside."""

import textwrap

from support.node import wait_until
from support.packages import archive, pip, tree

SELF = """
    import boto3, json, os

    client = boto3.client("lambda")

    def handler(event, context):
        if event["left"] > 0:
            payload = json.dumps({"left": event["left"] - 1})
            client.invoke(FunctionName=context.function_name, InvocationType="Event", Payload=payload)
"""


def events(function, text):
    logs = function.node.logs
    try:
        found = logs.filter_log_events(logGroupName=function.group, filterPattern=f'"{text}"')
    except logs.exceptions.ResourceNotFoundException:
        # It was not called yet.
        return []
    return [event["message"] for event in found["events"]]


def calls(function):
    return len(events(function, "START RequestId"))


def test_a_loop_of_asynchronous_calls_is_stopped_unless_the_function_allows_it(make):
    told = make("def handler(event, context):\n    print(event['requestContext']['condition'])\n")
    package = archive(tree(pip("boto3==1.44.5"), {"index.py": textwrap.dedent(SELF).encode()}))
    function = make(package, MemorySize=1769, Timeout=60)
    client = function.client
    destination = {"OnFailure": {"Destination": told.arn}}
    client.put_function_event_invoke_config(FunctionName=function.name, DestinationConfig=destination)
    function({"left": 20})
    wait_until(lambda: events(told, "RecursiveInvocation"), 60, "the end of the loop")
    assert calls(function) == 16
    answer = client.put_function_recursion_config(FunctionName=function.name, RecursiveLoop="Allow")
    assert answer["RecursiveLoop"] == "Allow"
    assert client.get_function_recursion_config(FunctionName=function.name)["RecursiveLoop"] == "Allow"
    function({"left": 20})
    wait_until(lambda: calls(function) == 16 + 21, 60, "a loop that is let be")
