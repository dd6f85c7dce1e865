"""Java functions, on every Java of this host that the node found together with its compiler."""

import json
import subprocess
from pathlib import Path

import pytest

from support.node import soon, wait_until
from support.packages import archive, once, tree
from test_streaming import stream, text

SOURCE = """
package example;

import java.io.File;
import java.io.FileReader;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.*;

public class Tells {
    static int calls;

    public Map<String, Object> h(Map<String, Object> event) throws Exception {
        Map<String, Object> answer = new TreeMap<>();
        answer.put("calls", ++calls);
        answer.put("own", System.getenv("OWN"));
        answer.put("child", output("sh", "-c", "echo $OWN; pwd; cat beside.txt"));
        try (FileReader reader = new FileReader("beside.txt")) {
            answer.put("relative", reader.read() == 'h');
        }
        answer.put("path", Files.readString(Path.of("beside.txt")));
        answer.put("absolute", new File("beside.txt").getAbsolutePath());
        answer.put("heap", Runtime.getRuntime().maxMemory() >> 20);
        answer.put("option", System.getProperty("of.option"));
        answer.put("readable", System.getenv().size() == output("env").lines().filter(l -> !l.startsWith("_=")
            && !l.startsWith("PWD=") && !l.startsWith("SHLVL=") && !l.startsWith("OLDPWD=")).count());
        return answer;
    }

    private static String output(String... words) throws Exception {
        return new String(new ProcessBuilder(words).start().getInputStream().readAllBytes());
    }
}
"""
VERSIONS = ("java11", "java17", "java21", "java25")
# Those whose machines boot ahead.
WAITING = ("java17", "java21", "java25")


@pytest.fixture(params=VERSIONS)
def java(request, make, listed_runtimes):
    listed = {entry["runtime"]: entry for entry in listed_runtimes}[request.param]
    javacs = sorted(Path("/usr/lib/jvm").glob("*/bin/javac"))
    if not listed["available"] or not javacs:
        pytest.skip(f"this host has no {request.param}, or no compiler")

    def compile_into(folder):
        (folder / "example").mkdir()
        (folder / "example/Tells.java").write_text(SOURCE)
        words = [str(javacs[0]), "--release", "11", "-Xlint:-options", "example/Tells.java"]
        subprocess.run(words, cwd=folder, check=True)

    def java(**settings):
        code = archive(tree(once("java-tells", compile_into), {"beside.txt": "here"}))
        settings.setdefault("MemorySize", 512)
        return make(code, runtime=request.param, handler="example.Tells::h", **settings)

    java.version = request.param
    return java


def first_call_on_a_waiting_machine(java, **settings):
    """A function and the answer of its first call, whose machine had booted ahead; they are made beside the calls."""
    numbers = iter(range(1000))

    def attempt():
        # A new one each time: the environments of a changed function are started before it is called.
        own = f"mine {next(numbers)}"
        function = java(Environment={"Variables": {"OWN": own}}, **settings)
        answer = function.call()
        assert answer.was_cold
        assert answer.ok()["own"] == own, "every start has the variables of its own time"
        return (function, answer) if answer.stages["runtime"] < 50 else None

    return wait_until(attempt, 60, "a first call on a machine that waited")


def test_a_machine_that_waited_is_as_one_that_was_started_for_its_function(java):
    if java.version in WAITING:
        function, answer = first_call_on_a_waiting_machine(java)
    else:
        function = java(Environment={"Variables": {"OWN": "mine"}})
        answer = function.call()
    seen = answer.ok()
    own = seen["own"]
    assert seen["calls"] == 1
    assert seen["child"] == f"{own}\n/var/task\nhere"
    assert (seen["relative"], seen["path"], seen["absolute"]) == (True, "here", "/var/task/beside.txt")
    assert 380 < seen["heap"] < 512
    assert seen["readable"], "children see as many variables as the function"
    assert function()["calls"] == 2
    assert "WARNING" not in answer.log


def test_each_memory_size_has_a_heap_of_its_own(java):
    for memory in (256, 1024):
        if java.version in WAITING:
            _, answer = first_call_on_a_waiting_machine(java, MemorySize=memory)
        else:
            answer = java(MemorySize=memory).call()
        assert memory * 0.75 < answer.ok()["heap"] < memory


def test_options_for_the_machine_are_obeyed(java):
    function = java(Environment={"Variables": {"JAVA_TOOL_OPTIONS": "-Dof.option=seen"}})
    for value in ("seen", "again"):
        function.configure(Environment={"Variables": {"JAVA_TOOL_OPTIONS": f"-Dof.option={value}"}})
        assert function()["option"] == value


STREAMS = """
package example;
import com.amazonaws.services.lambda.runtime.Context;
import com.amazonaws.services.lambda.runtime.RequestStreamHandler;
import java.io.*;
public class Streams implements RequestStreamHandler {
    public void handleRequest(InputStream input, OutputStream output, Context context) throws IOException {
        String event = new String(input.readAllBytes());
        if (event.contains("large")) {
            for (int n = 0; n < 800; n++) output.write(new byte[10_000]);
            return;
        }
        output.write("[0".getBytes());
        for (int n = 1; n < 3; n++) {
            output.flush();
            try { Thread.sleep(event.contains("slow") ? 400 : 0); } catch (InterruptedException e) { }
            output.write((", " + n).getBytes());
        }
        if (event.contains("fail")) throw new IllegalStateException("half-way");
        output.write(']');
    }
}
"""


def test_what_a_stream_handler_flushes_reaches_a_caller_who_takes_pieces(request, make, listed_runtimes):
    found = [e["runtime"] for e in listed_runtimes if e["runtime"] in VERSIONS and e["available"]]
    javacs = sorted(Path("/usr/lib/jvm").glob("*/bin/javac"))
    if not found or not javacs:
        pytest.skip("this host has no Java, or no compiler")

    def compile_into(folder):
        (folder / "Streams.java").write_text(STREAMS)
        client = Path(__file__).parent.parent / "runtimes/java"
        words = [str(javacs[0]), "--release", "11", "-Xlint:-options", "-cp", str(client), "-sourcepath", str(client),
                 "-implicit:none", "-d", ".", "Streams.java"]
        subprocess.run(words, cwd=folder, check=True)

    function = make(archive(tree(once("java-streams", compile_into))), runtime=found[0],
                    handler="example.Streams", MemorySize=512, Timeout=30)
    stream(function)

    def comes_as_it_is_made():
        pieces, last = stream(function, {"slow": True})
        assert text(pieces) == "[0, 1, 2]" and not last.get("ErrorCode")
        times = [at for at, _ in pieces]
        return len(times) == 3 and times[1] - times[0] > 0.3 and times[2] - times[1] > 0.3

    soon(comes_as_it_is_made, "pieces in time")
    pieces, last = stream(function, {"fail": True})
    assert text(pieces) == "[0, 1, 2" and last["ErrorCode"] == "Unhandled"
    assert json.loads(last["ErrorDetails"])["errorMessage"] == "half-way"
    pieces, last = stream(function, {"large": True})
    assert sum(len(data) for _, data in pieces) == 8_000_000 and not last.get("ErrorCode")
    # Who waits for the whole answer gets it as ever, and an error instead of a part of it.
    assert function() == [0, 1, 2]
    error = function.call({"fail": True}).error()
    assert (error["errorType"], error["errorMessage"]) == ("java.lang.IllegalStateException", "half-way")
