"""`lambent deploy`, `invoke`, `logs`, `ls`, `rm`, `env`, `doctor` and `runtimes`, on the example projects."""

import json
import os
import re
import shutil
import subprocess

import pytest

from support.functions import Function
from support.node import BINARY, wait_until
from support.packages import CACHE, REPOSITORY


@pytest.fixture
def lambent(node):
    """Runs the command line against the shared node."""

    def lambent(*words, code=0, stdin=None, cwd=None, **environment):
        done = subprocess.run(
            [BINARY, *map(str, words)],
            capture_output=True,
            text=True,
            input=stdin,
            cwd=cwd,
            timeout=900,
            env={
                **{k: v for k, v in os.environ.items() if not k.startswith("AWS_")},
                "LAMBENT_ENDPOINT": node.endpoint,
                "AWS_ACCESS_KEY_ID": "test",
                "AWS_SECRET_ACCESS_KEY": "test",
                **environment,
            },
            check=False,
        )
        assert done.returncode == code, f"lambent {' '.join(map(str, words))}: {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done

    return lambent


def project(name):
    """An example as a user would have it: a copy, whose builds stay between runs."""
    target = CACHE / "projects" / name
    target.mkdir(parents=True, exist_ok=True)
    source = REPOSITORY / "examples" / name
    for path in target.iterdir():
        if path.name not in (".lambent", "target"):
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    shutil.copytree(source, target, dirs_exist_ok=True, ignore=shutil.ignore_patterns(".lambent", "target", "node_modules"))
    return target


EXAMPLES = {
    "hello-python": ({"bytes": 123456789}, lambda a: "117.7 MiB" in a["message"] and a["runtime"].startswith("Python 3")),
    "hello-node": ({"title": "Hello, World"}, lambda a: a["message"] == "hello-world" and a["runtime"].startswith("Node.js")),
    "hello-rust": ({"text": "Hello World"}, lambda a: bool(a["message"])),
}


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_is_deployed_called_and_deployed_again_for_nothing(lambent, node, name):
    event, is_right = EXAMPLES[name]
    if name == "hello-rust" and not shutil.which("cargo"):
        pytest.skip("no cargo here")
    if name == "hello-node" and not shutil.which("npm"):
        pytest.skip("no npm here")
    folder = project(name)
    function = Function(node, name)
    try:
        told = json.loads(lambent("deploy", folder, "--json").stdout)
        assert (told["function"], told["action"]) == (name, "created")
        again = json.loads(lambent("deploy", folder, "--json").stdout)
        assert again["action"] == "unchanged" and again["changed"] == []
        assert again["codeSha256"] == told["codeSha256"]

        called = json.loads(lambent("invoke", name, "--payload", json.dumps(event), "--json").stdout)
        assert is_right(called["payload"]), called
        assert called["statusCode"] == 200 and called["functionError"] is None
        assert called["timing"]["cold"] is True
        assert set(called["timing"]["stagesMs"]) == {"sandbox", "code", "runtime", "init", "handler"}
        wait_until(lambda: not json.loads(lambent("invoke", name, "--json").stdout)["timing"]["cold"], what="warm")

        changed = json.loads(lambent("deploy", folder, "--memory", "256", "--timeout", "9", "--json").stdout)
        assert changed["action"] == "updated" and set(changed["changed"]) == {"memory", "timeout"}
        kept = json.loads(lambent("deploy", folder, "--json").stdout)
        assert kept["action"] == "unchanged", "a flag that is not given leaves the setting as it is"
        found = node.functions.get_function_configuration(FunctionName=name)
        assert (found["MemorySize"], found["Timeout"]) == (256, 9)
    finally:
        function.delete()


@pytest.fixture
def hello(make, lambent):
    """A small function that was deployed by other means."""
    return make("import sys\ndef handler(event, context):\n    print('said', event)\n    return {'got': event}\n")


def test_invoke_shows_payload_stages_and_durations(lambent, hello):
    done = lambent("invoke", hello.name, "-p", '{"a": 1}')
    assert json.loads(done.stdout) == {"got": {"a": 1}}
    for stage in ["sandbox", "code", "runtime", "init", "handler", "cold start"]:
        assert stage in done.stderr, done.stderr
    done = lambent("invoke", hello.name, "-p", "-", stdin='{"b": 2}')
    assert json.loads(done.stdout) == {"got": {"b": 2}} and "warm" in done.stderr
    done = lambent("invoke", hello.name, "--tail")
    assert "START RequestId" in done.stderr and "said {}" in done.stderr


def test_a_failed_function_and_wrong_words_have_their_exit_codes(lambent, make, hello, node):
    failing = make("def handler(event, context):\n    raise KeyError('x')\n")
    done = lambent("invoke", failing.name, code=1)
    assert "KeyError" in done.stderr and json.loads(done.stdout)["errorType"] == "KeyError"
    assert json.loads(lambent("invoke", failing.name, "--json", code=1).stdout)["functionError"] == "Unhandled"
    done = lambent("invoke", hello.name, "-p", "{no json", code=2)
    assert "not JSON" in done.stderr and "hint:" in done.stderr
    lambent("nonsense", code=2)
    lambent("invoke", code=2)
    done = lambent("ls", code=3, LAMBENT_ENDPOINT="http://127.0.0.1:1")
    assert "lambent up" in done.stderr, done.stderr
    done = lambent("ls", code=4, AWS_SECRET_ACCESS_KEY="wrong")
    assert "InvalidSignatureException" in done.stderr


def test_an_unknown_function_has_a_hint(lambent, hello):
    almost = hello.name[:-1] + "x" + hello.name[-1]
    for words in (["invoke", almost], ["logs", almost], ["rm", "--yes", almost]):
        done = lambent(*words, code=4)
        assert "hint:" in done.stderr and hello.name in done.stderr, done.stderr
    error = json.loads(lambent("invoke", almost, "--json", code=4).stderr)["error"]
    assert error["code"] == "ResourceNotFoundException" and error["hints"]


def test_logs_are_shown_filtered_and_as_json(lambent, hello):
    lambent("invoke", hello.name, "-p", '"first words"')
    lambent("invoke", hello.name, "-p", '"other words"')
    done = lambent("logs", hello.name)
    assert "said first words" in done.stdout and "REPORT RequestId" in done.stdout
    done = lambent("logs", hello.name, "--filter", "first")
    assert "said first words" in done.stdout and "other" not in done.stdout
    records = [json.loads(line) for line in lambent("logs", hello.name, "--json").stdout.splitlines()]
    assert {"timestamp", "stream", "eventId", "message"} <= set(records[0])


def test_logs_are_followed(node, hello):
    import threading

    environment = {**os.environ, "LAMBENT_ENDPOINT": node.endpoint, "AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"}
    hello("before")
    process = subprocess.Popen([BINARY, "logs", "-f", hello.name], stdout=subprocess.PIPE, text=True, env=environment)
    seen = []
    both = threading.Event()

    def read():
        for line in process.stdout:
            seen.append(line)
            if "said before" in line:
                hello("after")
            if "said after" in line:
                both.set()

    reader = threading.Thread(target=read, daemon=True)
    reader.start()
    try:
        assert both.wait(60), seen
    finally:
        process.terminate()
        process.wait(timeout=60)
    assert sum("said before" in line for line in seen) == 1


def test_ls_and_rm(lambent, hello, node):
    assert hello.name in lambent("ls").stdout
    listed = {f["name"]: f for f in json.loads(lambent("ls", "--json").stdout)}
    assert listed[hello.name]["state"] == "Active" and listed[hello.name]["runtime"] == "python3.11"
    done = lambent("rm", hello.name, code=2, stdin="")
    assert "--yes" in done.stderr
    assert json.loads(lambent("rm", "--yes", hello.name, "--json").stdout) == {"deleted": [hello.name]}
    assert hello.name not in lambent("ls").stdout


def test_env_prints_what_points_the_aws_tools_here(lambent, node, aws, tmp_path):
    done = subprocess.run(
        [BINARY, "env", "--data", node.data, "--endpoint", node.endpoint],
        capture_output=True,
        text=True,
        env={k: v for k, v in os.environ.items() if not k.startswith("AWS_")},
        check=True,
    )
    exports = dict(re.findall(r"^export (\w+)='(.*)'$", done.stdout, re.M))
    assert exports["AWS_ENDPOINT_URL"] == node.endpoint
    assert exports["AWS_ACCESS_KEY_ID"] == node.credentials()["access_key_id"]
    assert "Functions" in json.loads(aws("lambda", "list-functions", **exports))
    told = json.loads(lambent("env", "--json").stdout)
    assert told["AWS_ENDPOINT_URL"] == node.endpoint
    for shell in ("fish", "powershell"):
        assert "AWS_ENDPOINT_URL" in lambent("env", "--shell", shell).stdout


def test_doctor_says_what_this_host_gives(lambent, node):
    told = json.loads(lambent("doctor", "--json", "--data", node.data).stdout)
    assert told["isolation"] == "full"
    groups = {check["group"] for check in told["checks"]}
    assert {"machine", "isolation", "runtimes"} <= groups
    assert all(check["remedy"] for check in told["checks"] if check["state"] == "missing")
    assert "strongest isolation that works here: full" in lambent("doctor").stdout


def test_runtimes_are_listed_with_their_place(lambent, node):
    listed = json.loads(lambent("runtimes", "list", "--json", "--data", node.data).stdout)
    by_name = {entry["runtime"]: entry for entry in listed}
    assert by_name["provided.al2023"]["available"]
    missing = [entry for entry in listed if not entry["available"]]
    assert all(entry["reason"] for entry in missing)
    assert "RUNTIME" in lambent("runtimes", "list", "--data", node.data).stdout
    done = lambent("runtimes", "add", "pyhton3.12", "--from", "/nowhere", code=2)
    assert "hint:" in done.stderr


def test_completions_are_printed(lambent):
    for shell in ("bash", "zsh", "fish"):
        assert "lambent" in lambent("completions", shell).stdout


def test_projects_that_are_none_are_refused_with_a_hint(lambent, tmp_path):
    done = lambent("deploy", tmp_path, code=2)
    assert "hint:" in done.stderr
    (tmp_path / "lambent.toml").write_text('memroy = 1\n')
    (tmp_path / "lambda_function.py").write_text("def lambda_handler(e, c): pass\n")
    done = lambent("deploy", tmp_path, code=2)
    assert "memroy" in done.stderr


def test_a_project_without_packages_is_deployed_with_its_settings(lambent, node, tmp_path):
    folder = tmp_path / "my-function"
    folder.mkdir()
    (folder / "lambda_function.py").write_text("import os\ndef lambda_handler(e, c):\n    return os.environ['WORD']\n")
    (folder / "lambent.toml").write_text('memory = 192\negress = "none"\n[env]\nWORD = "from the file"\n')
    function = Function(node, "my-function")
    try:
        lambent("deploy", folder)
        assert function() == "from the file"
        found = node.functions.get_function(FunctionName="my-function")
        assert found["Configuration"]["MemorySize"] == 192 and found["Tags"] == {"lambent:egress": "none"}
        lambent("deploy", folder, "--env", "WORD=from the flag")
        assert function() == "from the flag"
    finally:
        function.delete()
