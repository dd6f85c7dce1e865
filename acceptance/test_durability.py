"""Nothing accepted is lost: `kill -9` under load, with a ledger outside; one node a directory; a clean stop."""

import json
import signal
import subprocess
import threading
import time

import pytest
from botocore.exceptions import BotoCoreError, ClientError

from support import residue, trees
from support.functions import Answer, Function
from support.node import BINARY, ROLE, Node, wait_until
from support.packages import archive

KILLS = 20
WRITERS = 4


def source(word):
    return archive({"index.py": f"def handler(event, context):\n    return {word!r}\n"})


class Writer(threading.Thread):
    """Changes things on a node until the node dies, and writes down what was acknowledged."""

    def __init__(self, node, number, ledger):
        super().__init__(daemon=True)
        self.node, self.number, self.ledger = node, number, ledger
        self.lambda_, self.logs = node.functions, node.logs
        self.acknowledged = 0

    def run(self):
        try:
            step = 0
            while True:
                self.change(step)
                step += 1
        except (BotoCoreError, ClientError, ConnectionError) as error:
            # The node was killed: the change under way is neither here nor there.
            self.ended_by = error

    def settle(self, name):
        while self.lambda_.get_function_configuration(FunctionName=name).get("LastUpdateStatus") != "Successful":
            pass

    def change(self, step):
        ledger, name = self.ledger, f"kept-{self.number}"
        function = ledger["functions"].setdefault(name, {"versions": {}, "aliases": {}, "tags": {}})
        if not function.get("created"):
            self.ensure(name, function)
        word = f"{name}-{ledger['generation']}-{step}"
        kind = step % 6
        if kind == 0:
            self.settle(name)
            function["code maybe"] = word
            self.lambda_.update_function_code(FunctionName=name, ZipFile=source(word))
            function["code"] = word
        elif kind == 1:
            self.settle(name)
            function["description maybe"] = word
            self.lambda_.update_function_configuration(FunctionName=name, Description=word)
            function["description"] = word
        elif kind == 2:
            self.settle(name)
            version = self.lambda_.publish_version(FunctionName=name, Description=word)
            function["versions"][version["Version"]] = version["CodeSha256"]
            alias = f"a{ledger['generation']}-{step}"
            self.lambda_.create_alias(FunctionName=name, Name=alias, FunctionVersion=version["Version"])
            function["aliases"][alias] = version["Version"]
        elif kind == 3:
            arn = f"arn:aws:lambda:us-east-1:000000000000:function:{name}"
            key = f"t{step % 18}"
            function["tags maybe"] = {key: word}
            self.lambda_.tag_resource(Resource=arn, Tags={key: word})
            function["tags"][key] = word
        elif kind == 4:
            layer = f"layer-{self.number}"
            made = self.lambda_.publish_layer_version(LayerName=layer, Content={"ZipFile": archive({"a": word})})
            ledger["layers"].append((made["LayerVersionArn"], made["Content"]["CodeSha256"]))
        else:
            group = f"/kept/{self.number}"
            if group not in ledger["groups"]:
                self.make_stream(group)
            event = {"timestamp": int(time.time() * 1000), "message": word}
            self.logs.put_log_events(logGroupName=group, logStreamName="s", logEvents=[event])
            ledger["groups"][group].append(word)
        self.acknowledged += 1

    def ensure(self, name, function):
        try:
            self.lambda_.create_function(
                FunctionName=name,
                Runtime="python3.11",
                Role=ROLE,
                Handler="index.handler",
                Code={"ZipFile": source("first")},
            )
        except ClientError as error:
            if error.response["Error"]["Code"] != "ResourceConflictException":
                raise
        function["created"] = True
        function.setdefault("code", "first")

    def make_stream(self, group):
        for call in [
            lambda: self.logs.create_log_group(logGroupName=group),
            lambda: self.logs.create_log_stream(logGroupName=group, logStreamName="s"),
        ]:
            try:
                call()
            except self.logs.exceptions.ResourceAlreadyExistsException:
                pass
        self.ledger["groups"][group] = []


def check_ledger(node, ledger):
    """Everything that was acknowledged is there, and what was under way is wholly there or not at all."""
    client = node.functions
    for name, kept in ledger["functions"].items():
        if not kept.get("created"):
            continue
        found = client.get_function(FunctionName=name)
        described = found["Configuration"]["Description"]
        if "description" in kept:
            assert described in (kept["description"], kept.get("description maybe")), (name, described)
            kept["description"] = described
        versions = {
            v["Version"]: v["CodeSha256"]
            for page in client.get_paginator("list_versions_by_function").paginate(FunctionName=name)
            for v in page["Versions"]
        }
        missing = {n: s for n, s in kept["versions"].items() if versions.get(n) != s}
        assert not missing, (name, missing)
        aliases = {
            a["Name"]: a["FunctionVersion"]
            for page in client.get_paginator("list_aliases").paginate(FunctionName=name)
            for a in page["Aliases"]
        }
        assert kept["aliases"].items() <= aliases.items(), (name, kept["aliases"], aliases)
        tags = found.get("Tags", {})
        for key, value in kept["tags"].items():
            assert tags.get(key) in (value, kept.get("tags maybe", {}).get(key)), (name, key)
            kept["tags"][key] = tags[key]
        answer = Answer(client.invoke(FunctionName=name, LogType="Tail"))
        said = answer.ok()
        assert said in (kept["code"], kept.get("code maybe")), (name, said, kept)
        kept["code"] = said
    for arn, sha in ledger["layers"][-40:]:
        assert client.get_layer_version_by_arn(Arn=arn)["Content"]["CodeSha256"] == sha
    for group, words in ledger["groups"].items():
        pages = node.logs.get_paginator("filter_log_events").paginate(logGroupName=group)
        found = [event["message"] for page in pages for event in page["events"]]
        assert len(found) == len(set(found)), f"{group}: an event is there twice"
        assert set(words) <= set(found), (group, set(words) - set(found))


def callers(node, over):
    """Keeps sandboxes busy, so that a kill finds some alive."""

    def call(name):
        client = node.functions
        while not over.is_set():
            try:
                client.invoke(FunctionName=name, Payload=b"{}")
            except (BotoCoreError, ClientError, ConnectionError):
                if node.process.poll() is not None:
                    return

    threads = [threading.Thread(target=call, args=(f"kept-{n}",), daemon=True) for n in range(2)]
    for thread in threads:
        thread.start()
    return threads


def test_twenty_kills_under_load_lose_nothing_and_leave_nothing(tmp_path):
    data = tmp_path / "data"
    ledger = {"functions": {}, "layers": [], "groups": {}, "generation": 0}
    acknowledged = 0
    for kill in range(KILLS):
        ledger["generation"] = kill
        # A package whose upload was cut off may be unpacked again: nobody was told that it is there.
        node = Node(data, allowed=["tree was missing and was unpacked again"])
        node.start()
        try:
            check_ledger(node, ledger)
            node.check_lines()
            over = threading.Event()
            writers = [Writer(node, n, ledger) for n in range(WRITERS)]
            for writer in writers:
                writer.start()
            busy = callers(node, over)
            # Each kill finds the work at another place.
            wanted = 12 + 3 * kill
            wait_until(
                lambda: sum(w.acknowledged for w in writers) >= wanted or not any(w.is_alive() for w in writers),
                60,
                "writers at work",
            )
            alive = [w for w in writers if w.is_alive()]
            assert alive, [w.ended_by for w in writers]
        finally:
            node.kill()
        over.set()
        for thread in [*writers, *busy]:
            thread.join(timeout=30)
        acknowledged += sum(writer.acknowledged for writer in writers)
    with Node(data, allowed=["tree was missing and was unpacked again"]) as node:
        check_ledger(node, ledger)
        tidy(node)
    assert acknowledged > 20 * KILLS


def tidy(node):
    """No half-written package, no temporary file: what is in the code folder belongs to a live package."""
    leftovers = [
        str(path)
        for path in trees.below(node.data)
        if path.name.endswith((".tmp", ".new", ".part")) and "run" not in path.parts
    ]
    assert not leftovers, leftovers


def test_a_restart_takes_the_killed_nodes_sandboxes_away(tmp_path):
    node = Node(tmp_path / "data").start()
    try:
        function = Function(node, "busy").create("import time\ndef handler(e, c):\n    time.sleep(60)\n", Timeout=60)
        thread = threading.Thread(target=lambda: _ignore(function.call), daemon=True)
        thread.start()
        wait_until(lambda: residue.environments_of(node.data, function)["processes"], 20)
        made = residue.environments_of(node.data, function)
        old = made["processes"]
    finally:
        node.kill()
    with Node(tmp_path / "data") as again:
        wait_until(lambda: not old & set(residue.processes_in_groups(again.data)), what="orphans gone")
        residue.wait_until_gone(again.data, made)


def _ignore(call):
    try:
        call()
    except (BotoCoreError, ClientError):
        pass


def test_sandboxes_do_not_outlive_a_killed_node_by_long(tmp_path):
    """Before any restart: code that is not trusted does not go on without its keeper."""
    node = Node(tmp_path / "data").start()
    try:
        function = Function(node, "lonely").create("def handler(e, c):\n    while True:\n        pass\n", Timeout=60)
        threading.Thread(target=lambda: _ignore(function.call), daemon=True).start()
        wait_until(lambda: residue.processes_in_groups(node.data), 20)
    finally:
        node.kill()
    wait_until(lambda: not residue.processes_in_groups(node.data), what="no orphan at work")
    with Node(tmp_path / "data"):
        pass


def test_a_second_node_on_the_same_directory_is_refused(node):
    words = [BINARY, "up", "--data", node.data, "--port", "0", "--json"]
    second = subprocess.run(words, capture_output=True, text=True, timeout=120, check=False)
    assert second.returncode not in (0, None)
    assert second.stdout == ""
    assert "in use by process" in second.stderr and str(node.data) in second.stderr, second.stderr
    assert node.functions.list_functions() is not None


def test_a_port_that_is_taken_is_told(node, tmp_path):
    port = node.endpoint.rsplit(":", 1)[1]
    words = [BINARY, "up", "--data", tmp_path / "data", "--port", port]
    second = subprocess.run(words, capture_output=True, text=True, timeout=120, check=False)
    assert second.returncode != 0 and "--port" in second.stderr, second.stderr
    residue.check(tmp_path / "data")


def test_an_open_listener_with_test_credentials_is_refused(tmp_path):
    words = [BINARY, "up", "--data", tmp_path / "data", "--port", "0", "--listen", "0.0.0.0"]
    done = subprocess.run(words, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 2 and "--no-test-credentials" in done.stderr
    assert not (tmp_path / "data" / "meta.db").exists()


def test_without_test_credentials_only_the_nodes_keys_open(tmp_path):
    with Node(tmp_path / "data", options=["--no-test-credentials"]) as node:
        with pytest.raises(ClientError, match="UnrecognizedClientException"):
            node.functions.list_functions()
        key = node.credentials()
        client = node.client(key=key["access_key_id"], secret=key["secret_access_key"])
        assert client.list_functions()["Functions"] == []


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_clean_stop_lets_the_call_in_flight_end(tmp_path, number):
    node = Node(tmp_path / "data").start()
    try:
        function = Function(node, "slow").create(
            "import time\ndef handler(e, c):\n    time.sleep(e)\n    return 'ended well'\n", Timeout=30
        )
        function(0)
        answers = []
        call = threading.Thread(target=lambda: answers.append(function.call(2)))
        call.start()
        # The call is inside once its environment thaws and a process of it runs.
        stream = function.group

        def started():
            events = node.logs.filter_log_events(logGroupName=stream, filterPattern="START")["events"]
            return len([e for e in events if e["message"].startswith("START")]) >= 2

        wait_until(started, 10, "the second call begun")
        node.process.send_signal(number)
        code = node.process.wait(timeout=120)
        call.join(timeout=60)
    finally:
        if node.process.poll() is None:
            node.kill()
    node.reader.join(timeout=10)
    assert code == 0
    assert answers and answers[0].ok() == "ended well"
    residue.check(node.data)
    node.check_lines()
    with Node(tmp_path / "data") as again:
        said = [
            e["message"]
            for e in again.logs.filter_log_events(logGroupName=stream, filterPattern="REPORT")["events"]
        ]
        assert len(said) == 2, "the last call's lines are on disk"


def test_a_restart_finds_functions_keys_and_logs(tmp_path):
    with Node(tmp_path / "data") as node:
        function = Function(node, "kept").create("def handler(e, c):\n    print('a line')\n    return 1\n")
        assert function() == 1
        key = node.credentials()
    with Node(tmp_path / "data") as node:
        assert node.credentials() == key
        assert Function(node, "kept")() == 1
        events = node.logs.filter_log_events(logGroupName="/aws/lambda/kept", filterPattern="line")["events"]
        assert len(events) == 2 or wait_until(
            lambda: len(
                node.logs.filter_log_events(logGroupName="/aws/lambda/kept", filterPattern="line")["events"]
            )
            == 2
        )


def test_ready_is_said_once_and_in_one_line(tmp_path):
    with Node(tmp_path / "data") as node:
        assert set(node.ready) >= {"event", "endpoint", "pid"}
        node.process.send_signal(signal.SIGTERM)
        rest = node.process.stdout.read()
        assert rest == "", rest
        assert json.dumps(node.ready)
