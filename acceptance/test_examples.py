"""The examples that work on events, each on a smaller scale than its README."""

import json
import re
import subprocess
import sys
from datetime import UTC, datetime

import pytest

from support.functions import Function, fresh_name
from support.node import ACCOUNT, REGION, ROLE, wait_until
from support.packages import REPOSITORY
from test_cli import lambent  # noqa: F401
from test_eventbridge import log_lines

EXAMPLES = REPOSITORY / "examples"


@pytest.fixture
def deploy(node, lambent):  # noqa: F811
    """Deploys an example under a name of its own."""
    made = []

    def deploy(example):
        function = Function(node, fresh_name(example))
        made.append(function)
        lambent("deploy", EXAMPLES / example, "--name", function.name)
        return function

    yield deploy
    for function in made:
        function.delete()


def said(function, word):
    return [line for line in log_lines(function) if line.startswith(word + " ")]


def test_crontab_looks_again_and_again(node, deploy):
    function, client, name = deploy("crontab"), node.client("scheduler"), fresh_name("look")
    target = {"Arn": function.arn, "RoleArn": ROLE}
    # Nobody listens there: the look is told of all the same.
    event = {"address": "http://127.0.0.1:1/", "time": "<aws.scheduler.scheduled-time>"}
    client.create_schedule(
        Name=name,
        ScheduleExpression="rate(2 seconds)",
        FlexibleTimeWindow={"Mode": "OFF"},
        Target={**target, "Input": json.dumps(event)},
    )
    try:
        lines = wait_until(lambda: (found := said(function, "CHECK"))[1:] and found, 30)
    finally:
        client.delete_schedule(Name=name)
    moments = [datetime.fromisoformat(line.split()[1]) for line in lines]
    assert len(set(moments)) == len(moments), lines
    assert all(moment <= datetime.now(UTC) for moment in moments)


def test_fan_out_gives_each_its_part(node, deploy):
    sns, sqs = node.client("sns"), node.client("sqs")
    topic = sns.create_topic(Name=fresh_name("orders"))["TopicArn"]
    parts, mappings, urls = {}, [], []
    big = {"FilterPolicyScope": "MessageBody", "FilterPolicy": json.dumps({"amount": [{"numeric": [">", 100]}]})}
    try:
        for part, wants in [("billing", {}), ("shipping", big)]:
            function = parts[part] = deploy("fan-out")
            name = fresh_name(part)
            arn = f"arn:aws:sqs:{REGION}:{ACCOUNT}:{name}"
            statement = {
                "Effect": "Allow",
                "Principal": {"Service": "sns.amazonaws.com"},
                "Action": "sqs:SendMessage",
                "Resource": arn,
                "Condition": {"ArnEquals": {"aws:SourceArn": topic}},
            }
            policy = json.dumps({"Statement": statement})
            urls.append(sqs.create_queue(QueueName=name, Attributes={"Policy": policy})["QueueUrl"])
            attributes = {"RawMessageDelivery": "true", **wants}
            sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn, Attributes=attributes)
            made = function.client.create_event_source_mapping(
                FunctionName=function.name, EventSourceArn=arn, FunctionResponseTypes=["ReportBatchItemFailures"]
            )
            mappings.append(made["UUID"])
        audit = parts["audit"] = deploy("fan-out")
        audit.client.add_permission(
            FunctionName=audit.name,
            StatementId="orders",
            Action="lambda:InvokeFunction",
            Principal="sns.amazonaws.com",
            SourceArn=topic,
        )
        sns.subscribe(TopicArn=topic, Protocol="lambda", Endpoint=audit.arn)
        for number, amount in [(1, 20), (2, 500)]:
            sns.publish(TopicArn=topic, Message=json.dumps({"id": number, "amount": amount}))
        expected = {"billing": {1, 2}, "shipping": {2}, "audit": {1, 2}}

        def worked():
            return {part: {int(line.split()[3]) for line in said(one, "WORK")} for part, one in parts.items()}

        wait_until(lambda: worked() == expected, 30, "each order where it belongs")
    finally:
        for uuid in mappings:
            node.functions.delete_event_source_mapping(UUID=uuid)
        for url in urls:
            sqs.delete_queue(QueueUrl=url)
        sns.delete_topic(TopicArn=topic)


def test_dispatcher_loses_nothing_of_a_burst_and_keeps_to_its_connections(node, deploy):
    function = deploy("dispatcher")
    words = ["--function", function.name, "--jobs", "60", "--connections", "3", "--work-ms", "40"]
    done = subprocess.run(
        [sys.executable, EXAMPLES / "dispatcher" / "burst.py", *words],
        capture_output=True,
        text=True,
        env=node.aws_environment(),
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "done: 60 of 60 jobs" in done.stdout and "(2 failed once and came again)" in done.stdout, done.stdout
    # The script fails above three. Below two the worker was never asked for more, and nothing was shown.
    assert re.search(r"connections at a time: [23] at the most, of 3 allowed", done.stdout), done.stdout
