"""Answers that reach their callers while the function makes them."""

import base64
import http.client
import json
import socket
import time

import pytest

from support.functions import Refused
from support.node import soon, wait_until
from support.packages import archive
from test_function_urls import Url

PYTHON = """
import time
def handler(event, context):
    pause = event.get("pause", 0) if "version" not in event else 0
    for n in range(event.get("count", 3)):
        yield "piece %d;" % n
        time.sleep(pause)
    if event.get("fail"):
        raise ValueError("half-way")
"""

NODE = """
export const handler = awslambda.streamifyResponse(async (event, out, context) => {
  out.setContentType('text/plain');
  for (let n = 0; n < (event.count ?? 3); n++) {
    out.write(`piece ${n};`);
    await new Promise((done) => setTimeout(done, (event.pause ?? 0) * 1000));
  }
  if (event.fail) throw new Error('half-way');
  out.end();
});
"""

CUSTOM = b"""#!/bin/bash
exec 2>&1
api=$AWS_LAMBDA_RUNTIME_API
while true; do
  exec 3<>/dev/tcp/${api%:*}/${api#*:}
  printf 'GET /2018-06-01/runtime/invocation/next HTTP/1.1\\r\\nHost: x\\r\\nConnection: close\\r\\n\\r\\n' >&3
  id=
  while IFS= read -r line <&3; do
    line=${line%$'\\r'}
    case ${line,,} in lambda-runtime-aws-request-id:*) id=${line#*: };; esac
  done
  exec 3>&-
  exec 3<>/dev/tcp/${api%:*}/${api#*:}
  printf 'POST /2018-06-01/runtime/invocation/%s/response HTTP/1.1\\r\\nHost: x\\r\\nConnection: close\\r\\n' "$id" >&3
  printf 'Lambda-Runtime-Function-Response-Mode: streaming\\r\\nContent-Type: text/plain\\r\\n' >&3
  printf 'Trailer: Lambda-Runtime-Function-Error-Type, Lambda-Runtime-Function-Error-Body\\r\\n' >&3
  printf 'Transfer-Encoding: chunked\\r\\n\\r\\n' >&3
  for n in 0 1 2; do printf '8\\r\\npiece %d;\\r\\n' $n >&3; done
  printf '0\\r\\n' >&3
  if [ "$FAIL" = 1 ]; then
    printf 'Lambda-Runtime-Function-Error-Type: Late\\r\\n' >&3
    printf 'Lambda-Runtime-Function-Error-Body: eyJlcnJvclR5cGUiOiJMYXRlIn0=\\r\\n' >&3
  fi
  printf '\\r\\n' >&3
  cat <&3 >/dev/null
  exec 3>&-
done
"""

SOURCES = {"python3.11": PYTHON, "nodejs22.x": NODE, "nodejs20.x": NODE, "nodejs24.x": NODE}


def streaming(make, runtimes, language):
    found = [name for name in SOURCES if name.startswith(language) and name in runtimes]
    if not found:
        pytest.skip(f"no {language} here")
    return make(SOURCES[found[0]], runtime=found[0])


def stream(function, event=None, client=None, **more):
    """What came, piece by piece with its moment, and the last event."""
    began = time.monotonic()
    response = (client or function.client).invoke_with_response_stream(
        FunctionName=function.name, Payload=json.dumps(event or {}).encode(), **more
    )
    pieces, last = [], None
    for part in response["EventStream"]:
        if "PayloadChunk" in part:
            pieces.append((time.monotonic() - began, part["PayloadChunk"]["Payload"]))
        else:
            last = part["InvokeComplete"]
    assert last is not None, "the stream had no end"
    assert response["ExecutedVersion"] == "$LATEST"
    return pieces, last


def text(pieces):
    return b"".join(data for _, data in pieces).decode()


@pytest.mark.parametrize("language", ["python", "nodejs"])
def test_pieces_come_as_they_are_made(make, runtimes, language):
    function = streaming(make, runtimes, language)
    stream(function)

    def come_as_they_are_made():
        pieces, last = stream(function, {"pause": 0.4})
        assert text(pieces) == "piece 0;piece 1;piece 2;" and "ErrorCode" not in last
        times = [at for at, _ in pieces]
        return len(times) == 3 and times[0] < 0.3 and times[1] - times[0] > 0.3 and times[2] - times[1] > 0.3

    soon(come_as_they_are_made, "pieces in time")


@pytest.mark.parametrize("language", ["python", "nodejs"])
def test_a_failure_in_the_middle_is_told_at_the_end(make, runtimes, language):
    function = streaming(make, runtimes, language)
    pieces, last = stream(function, {"fail": True}, LogType="Tail")
    assert text(pieces) == "piece 0;piece 1;piece 2;"
    assert last["ErrorCode"] == "Unhandled" and "half-way" in json.loads(last["ErrorDetails"])["errorMessage"]
    assert "REPORT" in base64.b64decode(last["LogResult"]).decode()
    assert text(stream(function)[0]) == "piece 0;piece 1;piece 2;", "the environment goes on"


@pytest.mark.parametrize("fails", [False, True])
def test_a_custom_runtime_streams(make, fails):
    function = make(archive({"bootstrap*": CUSTOM}), runtime="provided.al2023",
                    Environment={"Variables": {"FAIL": str(int(fails))}})
    for _ in range(2):
        pieces, last = stream(function)
        assert text(pieces) == "piece 0;piece 1;piece 2;"
        assert last.get("ErrorDetails") == ('{"errorType":"Late"}' if fails else None)


def test_a_crash_and_a_time_out_in_the_middle_are_told_at_the_end(make):
    function = make("import os, time\n"
                    "def handler(event, context):\n"
                    "    yield 'part'\n"
                    "    time.sleep(0.1)\n"
                    "    os._exit(3) if event.get('crash') else time.sleep(30)\n", Timeout=1)
    pieces, last = stream(function, {"crash": True})
    assert text(pieces) == "part" and "Runtime.ExitError" in last["ErrorDetails"]
    began = time.monotonic()
    pieces, last = stream(function)
    assert text(pieces) == "part" and "Task timed out after 1.00 seconds" in last["ErrorDetails"]
    assert time.monotonic() - began < 25


def test_a_whole_answer_and_an_early_failure_are_streams_too(make):
    function = make("def handler(event, context):\n"
                    "    if event.get('fail'): raise KeyError('early')\n"
                    "    return {'whole': event}\n")
    pieces, last = stream(function, {"a": 1})
    assert json.loads(text(pieces)) == {"whole": {"a": 1}} and not last.get("ErrorCode")
    pieces, last = stream(function, {"fail": True})
    assert pieces == [] and json.loads(last["ErrorDetails"])["errorType"] == "KeyError"
    function.client.put_function_concurrency(FunctionName=function.name, ReservedConcurrentExecutions=0)
    with Refused("TooManyRequestsException", 429):
        stream(function)


def test_a_streamed_answer_may_be_larger_than_a_whole_one(make):
    function = make("def handler(event, context):\n"
                    "    part = b'x' * 1_000_000\n"
                    "    for _ in range(event['count']): yield part\n", Timeout=60, MemorySize=1024)
    pieces, last = stream(function, {"count": 20})
    assert sum(len(data) for _, data in pieces) == 20_000_000 and not last.get("ErrorCode")
    pieces, last = stream(function, {"count": 220})
    assert sum(len(data) for _, data in pieces) <= 200 * 1024 * 1024
    assert "Function.ResponseSizeTooLarge" in last["ErrorDetails"]
    assert function.call({"count": 1}).raw == b"x" * 1_000_000, "a caller who waits gets it whole"
    assert function.call({"count": 7}).error()["errorType"] == "Function.ResponseSizeTooLarge"


def test_a_streaming_url_sends_as_the_function_writes(make):
    function = make("import time\n"
                    "def handler(event, context):\n"
                    "    yield {'statusCode': 201, 'headers': {'content-type': 'text/plain'}, 'cookies': ['a=1']}\n"
                    "    for n in range(3):\n"
                    "        yield 'piece %d;' % n\n"
                    "        time.sleep(0.3)\n"
                    "    if event['rawPath'] == '/fail': raise ValueError('half-way')\n")
    url = Url(function, InvokeMode="RESPONSE_STREAM")
    assert url.config["InvokeMode"] == "RESPONSE_STREAM"
    url.ask()

    def ask(path):
        connection = url.connect()
        connection.request("GET", path, headers={"Host": url.address.netloc})
        return connection, connection.getresponse()

    def comes_as_it_is_written():
        connection, answer = ask("/")
        assert (answer.status, answer.headers["content-type"]) == (201, "text/plain")
        assert answer.headers["set-cookie"] == "a=1"
        began = time.monotonic()
        first = answer.read1()
        first_after = time.monotonic() - began
        assert first.startswith(b"piece 0;")
        assert first + answer.read() == b"piece 0;piece 1;piece 2;"
        connection.close()
        return first_after < 0.25 and time.monotonic() - began > 0.5

    soon(comes_as_it_is_written, "pieces in time")
    connection, answer = ask("/fail")
    with pytest.raises(http.client.IncompleteRead):
        answer.read()
    connection.close()
    url.client.update_function_url_config(FunctionName=function.name, InvokeMode="BUFFERED")
    buffered = url.ask()
    assert (buffered.status, buffered.body) == (201, b"piece 0;piece 1;piece 2;")


def test_a_caller_who_hangs_up_leaves_the_function_running(make):
    function = make("import time\n"
                    "def handler(event, context):\n"
                    "    for n in range(200):\n"
                    "        yield b'x' * 50_000\n"
                    "    time.sleep(0.1)\n"
                    "    print('ran to its end')\n")
    url = Url(function, InvokeMode="RESPONSE_STREAM")
    with socket.create_connection(("127.0.0.1", url.connect().port)) as caller:
        caller.sendall(f"GET / HTTP/1.1\r\nHost: {url.address.netloc}\r\n\r\n".encode())
        assert caller.recv(100).startswith(b"HTTP/1.1 200")
    def has_run():
        events = function.node.logs.filter_log_events(logGroupName=function.group)["events"]
        return any("ran to its end" in event["message"] for event in events)

    wait_until(has_run, 15, "the end of the function")
    assert url.ask().status == 200


def test_the_first_byte_comes_within_milliseconds(make):
    """The function says when it writes; the clocks are the host's own."""
    function = make("import time\n"
                    "def handler(event, context):\n"
                    "    yield repr(time.clock_gettime(time.CLOCK_MONOTONIC))\n"
                    "    time.sleep(0.05)\n")
    url = Url(function, InvokeMode="RESPONSE_STREAM")
    url.ask()
    waits = []
    connection = url.connect()
    for _ in range(40):
        connection.request("GET", "/", headers={"Host": url.address.netloc})
        answer = connection.getresponse()
        first = answer.read1()
        waits.append(time.clock_gettime(time.CLOCK_MONOTONIC) - float(first))
        answer.read()
    waits.sort()
    print(f"first byte: median {waits[20] * 1000:.2f} ms, worst {waits[-1] * 1000:.2f} ms")
    # The goal is 5 ms in the median, which the benchmark measures. A busy machine adds to most of them, not to all.
    assert waits[0] < 0.02


JAVASCRIPT = """
import { LambdaClient, InvokeWithResponseStreamCommand } from '@aws-sdk/client-lambda';
const client = new LambdaClient({});
const answer = await client.send(new InvokeWithResponseStreamCommand({ FunctionName: process.env.NAME, Payload: '{}' }));
let text = '', last;
for await (const event of answer.EventStream) {
  if (event.PayloadChunk) text += Buffer.from(event.PayloadChunk.Payload).toString();
  if (event.InvokeComplete) last = event.InvokeComplete;
}
console.log(JSON.stringify({ text, last, version: answer.ExecutedVersion }));
"""


def test_the_sdk_for_javascript_reads_the_stream(make, javascript):
    function = make(PYTHON)
    shown = json.loads(javascript(JAVASCRIPT, NAME=function.name))
    assert shown["text"] == "piece 0;piece 1;piece 2;" and shown["version"] == "$LATEST"
    assert not shown["last"].get("ErrorCode")
