"""Spans for a collector: `lambent up --otlp-endpoint`, as OTLP over HTTP with JSON bodies."""

import http.server
import json
import re
import subprocess
import threading
import time
import urllib.request

import pytest

from support.functions import Function
from support.node import ACCOUNT, BINARY, REGION, Node, wait_until

ECHO = "def handler(event, context):\n    return event\n"
STAGES = ["sandbox", "code", "runtime", "init", "handler"]
TRACE = "67891233abcdef012345678912345678"
HEADER = f"Root=1-{TRACE[:8]}-{TRACE[8:]};Parent=53995c3f42cd8ad8;Sampled=1"


class Collector:
    """Takes spans on a port of its own; answers as it is told."""

    def __init__(self):
        self.requests, self.answers, self.hold = [], [], threading.Event()
        self.hold.set()
        collector = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["content-length"]))
                collector.hold.wait(60)
                status = collector.answers.pop(0) if collector.answers else 200
                collector.requests.append((self.path, dict(self.headers), json.loads(body), status))
                self.send_response(status)
                self.send_header("content-length", "2")
                self.end_headers()
                self.wfile.write(b"{}")

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.endpoint = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.hold.set()
        self.server.shutdown()
        self.server.server_close()

    def spans(self):
        """What was taken, each with its attributes as a dict."""
        found = []
        for _, _, body, status in list(self.requests):
            if status == 200:
                [resource] = body["resourceSpans"]
                [scope] = resource["scopeSpans"]
                for span in scope["spans"]:
                    attributes = {a["key"]: next(iter(a["value"].values())) for a in span["attributes"]}
                    found.append({**span, "attributes": attributes})
        return found

    def named(self, name, count=1):
        def there():
            found = [span for span in self.spans() if span["name"] == name]
            return found if len(found) >= count else None

        return wait_until(there, 30, f"{count} spans of {name}")


@pytest.fixture
def collector():
    with Collector() as collector:
        yield collector


def with_header(node, function):
    client = node.client(connect_timeout=11)
    client.meta.events.register(
        "before-sign.lambda.Invoke", lambda request, **_: request.headers.add_header("X-Amzn-Trace-Id", HEADER)
    )
    return function.call({}, client=client)


def counts(node):
    with urllib.request.urlopen(f"{node.endpoint}/_lambent/metrics", timeout=30) as answer:
        page = answer.read().decode()
    return {name: int(count) for name, count in re.findall(r"^lambent_otlp_(\w+)_total (\d+)$", page, re.M)}


def test_calls_and_hops_arrive_as_spans_of_one_trace_with_their_stages_as_children(collector):
    options = ["--otlp-endpoint", collector.endpoint, "--otlp-header", "X-Key=a=b"]
    with Node(options=options) as node:
        function = Function(node, "f").create(ECHO, Timeout=5)
        called = with_header(node, function)
        [call] = collector.named("f")
        assert (call["traceId"], call["parentSpanId"], call["kind"]) == (TRACE, "53995c3f42cd8ad8", 2)
        attributes = call["attributes"]
        assert (attributes["faas.invocation_id"], attributes["faas.coldstart"]) == (called.request_id, True)
        below = lambda: [span for span in collector.spans() if span.get("parentSpanId") == call["spanId"]]  # noqa: E731
        wait_until(lambda: len(below()) >= len(STAGES), what="its stages")
        children = below()
        assert [span["name"] for span in children] == STAGES
        assert all(span["traceId"] == TRACE for span in children)
        edges = [(int(span["startTimeUnixNano"]), int(span["endTimeUnixNano"])) for span in children]
        assert all(start <= end for start, end in edges) and all(a[1] == b[0] for a, b in zip(edges, edges[1:]))
        assert edges[-1][1] == int(call["endTimeUnixNano"])
        # A message on its way through a queue and a mapping.
        sqs = node.client("sqs")
        url = sqs.create_queue(QueueName="q")["QueueUrl"]
        header = {"AWSTraceHeader": {"DataType": "String", "StringValue": HEADER.replace("Root=1-6", "Root=1-7")}}
        sqs.send_message(QueueUrl=url, MessageBody="not told", MessageSystemAttributes=header)
        arn = f"arn:aws:sqs:{REGION}:{ACCOUNT}:q"
        node.functions.create_event_source_mapping(EventSourceArn=arn, FunctionName="f")
        [accepted], [handed_on] = collector.named("accept q"), collector.named("deliver q")
        mapped = collector.named("f", 2)[1]
        assert {span["traceId"] for span in (accepted, handed_on, mapped)} == {"7" + TRACE[1:]}
        assert handed_on["parentSpanId"] == accepted["spanId"] and mapped["parentSpanId"] == handed_on["spanId"]
        path, headers, body, _ = collector.requests[0]
        assert path == "/v1/traces" and {k.lower(): v for k, v in headers.items()}["x-key"] == "a=b"
        resource = {a["key"]: a["value"]["stringValue"] for a in body["resourceSpans"][0]["resource"]["attributes"]}
        assert resource["service.name"] == "lambent" and resource["service.instance.id"] and resource["service.version"]
        assert not any("not told" in json.dumps(body) for _, _, body, _ in collector.requests), "payloads stay here"
        assert counts(node)["left_out"] == 0 and counts(node)["sent"] >= 3


def test_a_collector_that_hangs_slows_no_call_and_one_that_is_busy_gets_its_spans_again(collector):
    with Node(options=["--otlp-endpoint", collector.endpoint + "/own/path"]) as node:
        function = Function(node, "f").create(ECHO)
        function()
        collector.named("f")
        collector.hold.clear()
        began = time.monotonic()
        for _ in range(20):
            function()
        # The collector holds its answers for as long as this scenario wants, and the node waits for ten seconds.
        assert time.monotonic() - began < 9
        collector.answers = [503]
        collector.hold.set()
        collector.named("f", 21)
        assert any(status == 503 for *_, status in collector.requests)
        assert all(path == "/own/path" for path, *_ in collector.requests)
        assert counts(node)["left_out"] == 0


def test_a_collector_that_is_gone_is_told_of_once_and_what_it_misses_is_counted():
    allowed = ["a collector can't take spans"]
    with Collector() as collector:
        endpoint = collector.endpoint
    with Node(options=["--otlp-endpoint", endpoint], allowed=allowed) as node:
        function = Function(node, "f").create(ECHO)
        function()
        wait_until(lambda: counts(node)["left_out"], 40, "spans left out")
        assert len([line for line in node.lines if "a collector can't take spans" in line]) == 1
        assert counts(node)["sent"] == 0


def test_an_address_or_a_header_of_the_wrong_form_is_refused(tmp_path):
    for words in [
        ["--otlp-endpoint", "localhost:4318"],
        ["--otlp-endpoint", "http://localhost:4318", "--otlp-header", "no value"],
        ["--otlp-header", "a=b"],
    ]:
        command = [BINARY, "up", "--data", tmp_path / "data", "--port", "0", *words]
        done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
        assert done.returncode == 2 and "--otlp-" in done.stderr, done.stderr
