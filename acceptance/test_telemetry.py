"""The Telemetry API: subscriptions over HTTP and TCP, what comes when, and subscribers that misbehave."""

import json

import pytest

from support.extensions import extension, layer
from support.node import soon, took, wait_until
from test_extensions import await_line, end_environments, events_of, logged

HELLO = "def handler(event, context):\n    print('from the function')\n    return 'hello'\n"

# Listens, subscribes, and says everything that it gets, each event in a line.
RECEIVER = """
    import http.server, socketserver, threading
    got = []
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            events = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            got.append(events)
            for event in events:
                say(json.dumps({"path": self.path, "batch": len(got), "event": event}))
            self.send_response(200)
            self.end_headers()
        def log_message(self, *_):
            pass
    server = http.server.ThreadingHTTPServer(("sandbox.localdomain", 8080), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    register("INVOKE", "SHUTDOWN")
    def subscribe(**more):
        wanted = {"schemaVersion": "2022-07-01", "types": TYPES, "buffering": {"timeoutMs": 25},
                  "destination": {"protocol": "HTTP", "URI": "http://sandbox.localdomain:8080/telemetry"}, **more}
        return ask("PUT", "telemetry", wanted, version="2022-07-01", Lambda_Extension_Identifier=ID)
    answer = subscribe()
    assert answer[0] == 200 and answer[2] == "OK", answer
    while True:
        event = next_event()
        if event["eventType"] == "SHUTDOWN":
            break
        # As extensions do that report on a call: its end is waited for.
        until = time.time() + PATIENCE
        while time.time() < until and not any(
            e["type"] == "platform.runtimeDone" and e["record"]["requestId"] == event["requestId"]
            for events in got for e in events
        ):
            time.sleep(0.005)
"""


def receiver(types=("platform", "function"), patience=5):
    return extension(f"TYPES = {list(types)!r}\nPATIENCE = {patience}\n" + __import__("textwrap").dedent(RECEIVER))


def received(function):
    return [said["event"] for said in events_of(function) if "event" in said]


def received_by(function, stream):
    """What the subscriber in one environment got."""
    pages = function.node.logs.get_paginator("filter_log_events").paginate(
        logGroupName=function.group, logStreamNames=[stream]
    )
    lines = [event["message"] for page in pages for event in page["events"]]
    return [json.loads(line.split(" ", 1)[1])["event"] for line in lines if line.startswith("ext {")]


def test_a_subscriber_gets_the_references_events_in_order(make, node):
    function = make(HELLO, Layers=[layer(node, {"ext": receiver()})], MemorySize=512)
    answer = function.call(tail=False)
    assert answer.ok() == "hello"
    await_line(function, "^START")
    # Behind the configuration's change there is a second environment.
    [stream] = node.logs.describe_log_streams(logGroupName=function.group)["logStreams"]
    end_environments(function)
    await_line(function, "^ext .*platform.report")
    seen = received_by(function, stream["logStreamName"])
    kinds = [event["type"] for event in seen]
    wanted = [
        "platform.initStart", "platform.telemetrySubscription", "platform.extension", "platform.initRuntimeDone",
        "platform.initReport", "platform.start", "function", "platform.runtimeDone", "platform.report",
    ]
    assert sorted(kinds) == sorted(wanted) and kinds.index("function") < kinds.index("platform.runtimeDone"), kinds
    assert kinds.index("platform.start") < kinds.index("platform.runtimeDone") < kinds.index("platform.report")
    records = {event["type"]: event["record"] for event in seen}
    assert all(event["time"].endswith("Z") for event in seen)
    assert records["platform.initStart"]["phase"] == "init"
    assert records["platform.initStart"]["initializationType"] == "on-demand"
    assert records["platform.telemetrySubscription"] == {
        "name": "ext", "state": "Subscribed", "types": ["platform", "function"],
    }
    assert records["platform.extension"] == {"name": "ext", "state": "Ready", "events": ["INVOKE", "SHUTDOWN"]}
    assert records["platform.initRuntimeDone"]["status"] == "success"
    assert records["platform.initReport"]["metrics"]["durationMs"] > 0
    assert records["platform.start"] == {"requestId": answer.request_id, "version": "$LATEST"}
    assert records["function"] == "from the function"
    done = records["platform.runtimeDone"]
    assert (done["requestId"], done["status"]) == (answer.request_id, "success")
    assert done["metrics"]["producedBytes"] == len(b'"hello"')
    assert records["platform.report"]["metrics"]["memorySizeMB"] == 512
    assert "TELEMETRY\tName: ext\tState: Subscribed\tTypes: [Platform, Function]\n" in logged(function)
    assert {said["path"] for said in events_of(function)} == {"/telemetry"}


def test_only_the_types_that_were_asked_for_come(make, node):
    function = make(HELLO, Layers=[layer(node, {"ext": receiver(["function"], 0.3)})])
    function()
    await_line(function, "^ext .*from the function")
    assert {event["type"] for event in received(function)} == {"function"}


def test_output_of_extensions_comes_as_such(make, node):
    talker = extension('register("INVOKE")\nsay("words of another")\nwhile True: next_event()\n')
    quiet = receiver(["extension"], 0.3).replace("say(json.dumps({\"path\"", "if 'words' in str(event): say(json.dumps({\"path\"")
    function = make(HELLO, Layers=[layer(node, {"ext": quiet, "talker": talker})])
    function()
    end_environments(function)
    await_line(function, "^ext .*words of another")
    assert {event["type"] for event in received(function)} == {"extension"}


def test_a_subscription_over_tcp_gets_lines(make, node):
    body = """
        import socketserver, threading
        class Handler(socketserver.StreamRequestHandler):
            def handle(self):
                for line in self.rfile:
                    say(json.dumps({"event": json.loads(line)}))
        server = socketserver.ThreadingTCPServer(("0.0.0.0", 8081), Handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        register("INVOKE", "SHUTDOWN")
        wanted = {"schemaVersion": "2022-12-13", "types": ["platform", "function"], "buffering": {"timeoutMs": 25},
                  "destination": {"protocol": "TCP", "port": 8081}}
        answer = ask("PUT", "telemetry", wanted, version="2022-07-01", Lambda_Extension_Identifier=ID)
        assert answer[0] == 200, answer
        while next_event()["eventType"] == "INVOKE":
            time.sleep(0.2)
    """
    code = "import json\ndef handler(event, context):\n    print(json.dumps({'level': 'info'}))\n    return 1\n"
    function = make(code, Layers=[layer(node, {"ext": extension(body)})], MemorySize=512)
    function()
    end_environments(function)
    await_line(function, "^ext .*platform.report")
    seen = received(function)
    assert {"platform.start", "platform.runtimeDone", "function"} <= {event["type"] for event in seen}
    # Since that schema a record that is JSON comes as such.
    assert [event["record"] for event in seen if event["type"] == "function"] == [{"level": "info"}]


def test_bad_subscriptions_are_refused(make, node):
    body = """
        register("INVOKE")
        def tell(what, wanted, **more):
            more = more or {"Lambda_Extension_Identifier": ID}
            status, _, answer = ask("PUT", "telemetry", wanted, version="2022-07-01", **more)
            say(json.dumps({"what": what, "answer": [status, answer]}))
        good = {"schemaVersion": "2022-07-01", "types": ["platform"],
                "destination": {"protocol": "HTTP", "URI": "http://sandbox.localdomain:8080"}}
        tell("two", {**good, "types": [], "destination": {"protocol": "HTTP", "URI": "http://sandbox.localdomain"}})
        tell("away", {**good, "destination": {"protocol": "HTTP", "URI": "http://169.254.169.254:80"}})
        tell("schema", {**good, "schemaVersion": "2020-08-15"})
        tell("range", {**good, "buffering": {"maxItems": 1}})
        tell("nobody", good, X="y")
        status, _, answer = ask("PUT", "logs", {}, version="2020-08-15", Lambda_Extension_Identifier=ID)
        say(json.dumps({"what": "logs", "answer": [status, answer]}))
        next_event()
        tell("late", good)
        while True: next_event()
    """
    function = make(HELLO, Layers=[layer(node, {"ext": extension(body)})])
    function()
    await_line(function, "^ext .*late")
    seen = {event["what"]: event["answer"] for event in events_of(function)}
    message = "URI port is not provided; types should not be empty"
    assert seen["two"] == [400, {"errorType": "ValidationError", "errorMessage": message}]
    assert seen["away"][0] == 400 and "sandbox.localdomain" in seen["away"][1]["errorMessage"]
    assert seen["schema"][0] == 400 and "SchemaVersion" in seen["schema"][1]["errorMessage"]
    assert seen["range"][1]["errorMessage"] == "maxItems should be between 1000 and 10000"
    assert seen["nobody"][1]["errorType"] == "Extension.MissingExtensionIdentifier"
    assert seen["logs"] == [202, {"errorType": "Logs.NotSupported", "errorMessage": "Logs API is not supported"}]
    assert seen["late"][0] == 403 and seen["late"][1]["errorType"] == "Telemetry.SubscriptionClosed"


def test_a_hung_subscriber_loses_events_is_told_so_and_harms_nobody(make, node):
    body = """
        import http.server, threading
        wait = threading.Event()
        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                events = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                wait.wait()
                for event in events:
                    if event["type"] == "platform.logsDropped":
                        say(json.dumps({"event": event}))
                self.send_response(200)
                self.end_headers()
            def log_message(self, *_):
                pass
        server = http.server.ThreadingHTTPServer(("0.0.0.0", 8080), Handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        register("INVOKE", "SHUTDOWN")
        wanted = {"schemaVersion": "2022-07-01", "types": ["platform", "function"], "buffering": {"timeoutMs": 25},
                  "destination": {"protocol": "HTTP", "URI": "http://sandbox:8080"}}
        ask("PUT", "telemetry", wanted, version="2022-07-01", Lambda_Extension_Identifier=ID)
        calls = 0
        while next_event()["eventType"] == "INVOKE":
            calls += 1
            if calls == 2:
                wait.set()
                time.sleep(1)
    """
    flood = "def handler(event, context):\n    for n in range(event):\n        print('x' * 1000)\n    return 'done'\n"
    function = make(flood, Layers=[layer(node, {"ext": extension(body)})], Timeout=20, MemorySize=512)
    assert function.call(3000, tail=False).ok() == "done"
    assert function.call(1, tail=False).ok() == "done"
    end_environments(function)
    await_line(function, "^ext .*logsDropped")
    # In how many pieces the loss is told is a matter of pace.
    records = lambda: [event["record"] for event in received(function)]  # noqa: E731
    lost = lambda what: sum(record[what] for record in records())  # noqa: E731
    wait_until(lambda: lost("droppedRecords") > 1000, what="what was lost is told")
    assert lost("droppedBytes") > 1_000_000
    assert all("fallen behind" in record["reason"] for record in records())
    assert make(HELLO)() == "hello"


@pytest.mark.parametrize("body", ["", "import socket\ns = socket.create_server(('0.0.0.0', 8080))\n"])
def test_a_subscriber_that_does_not_listen_or_answer_costs_calls_nothing(make, node, body):
    body += """
register("INVOKE")
wanted = {"schemaVersion": "2022-07-01", "types": ["platform", "function"], "buffering": {"timeoutMs": 25},
          "destination": {"protocol": "HTTP", "URI": "http://sandbox.localdomain:8080"}}
ask("PUT", "telemetry", wanted, version="2022-07-01", Lambda_Extension_Identifier=ID)
while True: next_event()
"""
    function = make(HELLO, Layers=[layer(node, {"ext": extension(body)})])
    assert function() == "hello"
    soon(lambda: took(lambda: function.call(tail=False).ok()) < 0.5, "a call that waits for no subscriber")
