"""Who may run how much, who is refused and why, who held the capacity; and what is warm before it gets calls."""

import codecs
import json
import os
import pty
import select
import signal
import subprocess
import time
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest
from botocore.exceptions import ClientError
from support import raw
from support.functions import Function, Refused, code_of, fresh_name
from support.node import BINARY, Node, soon, took, wait_until

SLEEPER = """
import time
def handler(event, context):
    time.sleep(event)
    return context.function_version
"""

# An init that can be noticed, in a function that tells its version.
SLOW = """
import time
time.sleep({init})
def handler(event, context):
    return context.function_version
"""


@pytest.fixture
def own_node():
    """A node that only so many calls can run on at one time."""
    nodes = []

    def own_node(concurrency):
        node = Node(options=["--account-concurrency", str(concurrency)])
        nodes.append(node)
        return node.__enter__()

    yield own_node
    for node in nodes:
        node.close()


@contextmanager
def running(function, count, seconds):
    """So many calls of the function are in flight; they end by themselves."""
    with ThreadPoolExecutor(count) as pool:
        calls = [pool.submit(function.call, seconds) for _ in range(count)]
        wait_until(lambda: in_use(function) == count, 20, f"{count} calls in flight")
        yield
        for call in calls:
            call.result().ok()


def get(node, path, **headers):
    request = urllib.request.Request(node.endpoint + path, headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def top(node, *words):
    done = subprocess.run(
        [BINARY, "top", "--endpoint", node.endpoint, *words],
        capture_output=True,
        text=True,
        timeout=120,
        env=node.aws_environment(),
        check=True,
    )
    return done.stdout


def row(function):
    found = json.loads(top(function.node, "--json"))["functions"]
    return next((row for row in found if row["function"] == function.name), None)


def in_use(function):
    found = row(function)
    return found["inUse"] if found else 0


def refusal(error):
    assert isinstance(error, ClientError), error
    assert code_of(error) == "TooManyRequestsException"
    assert error.response["ResponseMetadata"]["HTTPStatusCode"] == 429
    return error.response["Reason"]


def test_a_throttle_says_why_and_when_to_come_again(make, node):
    function = make("def handler(e, c):\n    return 1\n")
    node.functions.put_function_concurrency(FunctionName=function.name, ReservedConcurrentExecutions=0)
    with Refused("TooManyRequestsException", 429, "^Rate Exceeded.$") as refused:
        function.call()
    assert refused.response["Reason"] == "ReservedFunctionConcurrentInvocationLimitExceeded"
    assert refused.response["Type"] == "User"
    headers = refused.response["ResponseMetadata"]["HTTPHeaders"]
    assert int(headers["retry-after"]) >= 1


def test_a_reservation_is_good_for_ten_calls_a_second_each(make, node):
    function = make("def handler(e, c):\n    return 1\n")
    assert function() == 1
    node.functions.put_function_concurrency(FunctionName=function.name, ReservedConcurrentExecutions=2)
    began, ran, paced = time.monotonic(), 0, 0
    # One after the other, and much faster than twenty a second.
    for reason in hasty_calls(function):
        ran += reason is None
        paced += reason == "ReservedFunctionInvocationRateLimitExceeded"
        if paced == 3:
            break
    assert paced == 3, "never refused"
    assert 20 <= ran <= 20 * (2 + time.monotonic() - began)
    wait_until(lambda: can_run(function), what="a second later")


def hasty_calls(function, count=None):
    """Calls with as little work between them as can be: one signature, one connection. Gives why each was refused."""
    path = f"/2015-03-31/functions/{function.name}/invocations"
    request = raw.signed(function.node, "POST", path, b"{}")
    headers = [(name, value.decode() if isinstance(value, bytes) else value) for name, value in request.headers.items()]
    until = time.monotonic() + 60
    with raw.Connection(function.node) as connection:
        while count != 0 and time.monotonic() < until:
            status, _, body = connection.request("POST", path, headers, b"{}")
            assert status in (200, 429), (status, body)
            yield json.loads(body)["Reason"] if status == 429 else None
            count = count and count - 1


def can_run(function):
    try:
        return function.call().ok() == 1
    except ClientError as error:
        refusal(error)
        return False


def test_who_held_the_capacity_is_told_when_a_call_is_throttled(own_node):
    node = own_node(3)
    greedy = Function(node, "greedy").create(SLEEPER)
    modest = Function(node, "modest").create(SLEEPER)
    late = Function(node, "late").create(SLEEPER)
    with running(greedy, 2, 8), running(modest, 1, 8):
        with pytest.raises(ClientError) as thrown:
            late.call(0)
        assert refusal(thrown.value) == "ConcurrentInvocationLimitExceeded"
        report = json.loads(top(node, "--json"))
        assert (report["limit"], report["unreserved"]) == (3, {"limit": 3, "inUse": 3})
    throttled = row(late)["throttled"]
    assert throttled["reason"] == "ConcurrentInvocationLimitExceeded"
    assert throttled["heldBy"] == [{"function": "greedy", "inUse": 2}, {"function": "modest", "inUse": 1}]
    assert row(late)["lastHour"]["throttles"] == 1
    page = top(node, "--once")
    assert "late was throttled" in page and "held by greedy 2, modest 1" in page

    place = 'account="000000000000",region="us-east-1"'
    of = place + ',function="{}",version="$LATEST"'
    reason = 'reason="ConcurrentInvocationLimitExceeded"'
    counted(
        node,
        f"lambent_invocations_total{{{of.format('greedy')}}} 2",
        f"lambent_cold_starts_total{{{of.format('greedy')}}} 2",
        f"lambent_throttles_total{{{of.format('late')},{reason}}} 1",
        f"lambent_unreserved_concurrent_executions{{{place}}} 0",
    )


def counted(node, *wanted):
    """These lines are among the metrics, once the last calls are counted."""

    def missing():
        status, metrics = get(node, "/_lambent/metrics")
        assert status == 200
        return set(wanted) - set(metrics.splitlines())

    wait_until(lambda: not missing(), what=f"{wanted} among the metrics")


def test_provisioned_calls_are_counted_apart_and_do_not_take_from_the_others(own_node):
    node = own_node(102)
    function = Function(node, "f").create(SLEEPER)
    version = function.client.publish_version(FunctionName="f")["Version"]
    function.client.put_provisioned_concurrency_config(
        FunctionName="f", Qualifier=version, ProvisionedConcurrentExecutions=1
    )
    wait_until(
        lambda: function.client.get_provisioned_concurrency_config(FunctionName="f", Qualifier=version)["Status"]
        == "READY"
    )
    with ThreadPoolExecutor(2) as pool:
        calls = [pool.submit(function.call, 8, Qualifier=version) for _ in range(2)]
        wait_until(lambda: in_use(function) == 2)
        report = json.loads(top(node, "--json"))
        assert report["unreserved"] == {"limit": 101, "inUse": 1}
        assert row(function)["provisioned"] == {"requested": 1, "ready": 1, "inUse": 1}
        place = 'account="000000000000",region="us-east-1"'
        of = f'{place},function="f",version="{version}"'
        lines = get(node, "/_lambent/metrics")[1].splitlines()
        assert f"lambent_provisioned_concurrency_utilization{{{of}}} 1" in lines
        assert f"lambent_claimed_account_concurrency{{{place}}} 2" in lines
        for call in calls:
            call.result().ok()
    counted(
        node,
        f"lambent_provisioned_concurrency_invocations_total{{{of}}} 1",
        f"lambent_provisioned_concurrency_spillover_invocations_total{{{of}}} 1",
    )


def test_a_function_that_is_often_cold_is_warned_of(make, node):
    function = make("import os\ndef handler(e, c):\n    os._exit(1) if e == 'end' else None\n    return 1\n")
    function()
    found = row(function)
    # The first start is spared no function.
    assert not found["isOftenCold"] and found["lastHour"]["coldShare"] == 1.0
    for _ in range(30):
        # Whose answer comes when its environment is free for the next one.
        function()
    found = row(function)
    assert not found["isOftenCold"] and 0.03 < found["lastHour"]["coldShare"] < 0.05
    function.call("end").error()
    function()
    found = wait_until(lambda: (found := row(function))["isOftenCold"] and found)
    assert found["lastHour"]["coldReasons"] == {"first": 1, "failure": 1}
    assert all(len(line) <= 80 for line in top(node, "--once").splitlines()[:1])


def test_only_who_may_sees_who_uses_the_capacity(node):
    assert get(node, "/_lambent/top")[0] == 403
    wrong = raw.signed(node, "GET", "/_lambent/top", secret="wrong")
    assert get(node, "/_lambent/top", **dict(wrong.headers))[0] == 403
    right = raw.signed(node, "GET", "/_lambent/top")
    status, body = get(node, "/_lambent/top", **dict(right.headers))
    assert status == 200 and json.loads(body)["account"] == "000000000000"
    # Metrics have no signature: a page that a browser was led to by another name does not get them.
    assert get(node, "/_lambent/metrics")[0] == 200
    assert get(node, "/_lambent/metrics", Host="evil.example")[0] == 403
    forwarded = {"X-Forwarded-For": "10.0.0.7"}
    assert get(node, "/_lambent/metrics", **forwarded)[0] == 403


def test_a_session_of_a_function_does_not_see_who_uses_the_capacity(make, node):
    function = make("""
import os
def handler(event, context):
    return [os.environ[f"AWS_{name}"] for name in ("ACCESS_KEY_ID", "SECRET_ACCESS_KEY", "SESSION_TOKEN")]
""")
    key, secret, token = function()
    request = raw.signed(node, "GET", "/_lambent/top", key=key, secret=secret, token=token)
    assert get(node, "/_lambent/top", **dict(request.headers))[0] == 403


def test_the_version_that_an_alias_moves_to_is_warm_when_it_does(make):
    function = make(SLOW.format(init=0.0))
    first = function.client.publish_version(FunctionName=function.name)["Version"]
    function.client.create_alias(FunctionName=function.name, Name="live", FunctionVersion=first)
    with ThreadPoolExecutor(3) as pool:
        list(pool.map(lambda _: function.call(Qualifier="live").ok(), range(3)))
    function.update(SLOW.format(init=0.4))
    second = function.client.publish_version(FunctionName=function.name)["Version"]
    function.client.update_alias(FunctionName=function.name, Name="live", FunctionVersion=second)
    answer = function.call(Qualifier="live")
    assert (answer.ok(), answer.was_cold) == (second, False)

    function.update(SLOW.format(init=0.3) + "# another\n")
    third = function.client.publish_version(FunctionName=function.name)["Version"]
    function.client.update_alias(
        FunctionName=function.name, Name="live", RoutingConfig={"AdditionalVersionWeights": {third: 0.5}}
    )
    answer = function.call(Qualifier=third)
    assert (answer.ok(), answer.was_cold) == (third, False)


def test_new_code_is_warm_when_the_update_is_answered(make):
    function = make(SLOW.format(init=0.0))
    function.update(SLOW.format(init=0.1))
    assert function.call().was_cold, "nobody had called it: nothing was made ready"
    numbers = iter(range(1_000))

    def updated():
        function.update(SLOW.format(init=0.4) + f"# {next(numbers)}\n")
        return not function.call().was_cold

    def configured():
        function.configure(Description="new words", Environment={"Variables": {"AB": str(next(numbers))}})
        return not function.call().was_cold

    # An update waits for three seconds at the most, which is not enough on a machine that stands still.
    soon(updated, "new code that is warm")
    soon(configured, "a new configuration that is warm")


def test_an_init_that_hangs_or_fails_does_not_stop_an_update(make):
    function = make(SLOW.format(init=0.0))
    function.call().ok()
    # An init may take ten seconds, and the update waits for three of them.
    soon(lambda: took(lambda: function.update(SLOW.format(init=60) + f"# {fresh_name()}\n")) < 8, "an update that goes on")
    function.update(SLOW.format(init=0.0))
    function.call().ok()
    function.update("raise RuntimeError('no')\n")
    assert function.call().error()["errorType"] == "RuntimeError"


def test_an_update_waits_for_nothing_when_there_is_nothing_to_warm(make):
    function = make(SLOW.format(init=2))
    soon(lambda: took(lambda: function.update(SLOW.format(init=2) + f"# {fresh_name()}\n")) < 1.5, "an update at once")


def test_the_table_follows_in_a_terminal_and_fits_it(make, node):
    function = make("def handler(e, c):\n    return 1\n", name="a-function-with-a-name-of-sixty-four-characters-at-the-very-most")
    function()
    main, side = pty.openpty()
    environment = node.aws_environment(TERM="xterm", LINES="24", COLUMNS="80")
    command = [BINARY, "top", "--endpoint", node.endpoint, "--no-color"]
    watching = subprocess.Popen(command, stdin=side, stdout=side, stderr=side, env=environment)
    os.close(side)
    try:
        text, decoder = "", codecs.getincrementaldecoder("utf-8")()
        # The second page comes by itself.
        while text.count("FUNCTION") < 2:
            assert select.select([main], [], [], 60)[0], f"no second page: {text}"
            text += decoder.decode(os.read(main, 65_536))
        assert watching.poll() is None
        lines = [line for page in text.split("\x1b[H\x1b[J") for line in page.splitlines()]
        assert all(len(line) <= 80 for line in lines), lines
        assert any(line.startswith("a-function-with") for line in lines), lines
    finally:
        watching.send_signal(signal.SIGINT)
        watching.wait(timeout=60)
        os.close(main)


@pytest.mark.parametrize("options", [[], ["--aws-request-rate"]])
def test_an_account_is_held_to_awss_request_rate_only_where_that_is_asked_for(tmp_path, options):
    """Two units of concurrency are good for twenty calls at once, and for twenty a second after that."""
    with Node(tmp_path / "data", ["--account-concurrency", "2", *options]) as node:
        function = Function(node, "paced").create("def handler(e, c):\n    return 1\n")
        function()
        limit = "FunctionInvocationRateLimitExceeded"
        if options:
            assert limit in hasty_calls(function)
        else:
            assert limit not in hasty_calls(function, 200)
