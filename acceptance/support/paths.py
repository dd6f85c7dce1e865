"""The ways in which a function comes into a sandbox, and the proof of which one it was.

Parked: its runtime had booted in its sandbox before anybody called, and waited. Copied: it is the copy of a runtime that
had booted elsewhere. Fresh: it was started for the call. Restored: it has SnapStart. The age of the function's own processes, and the words that
they were started with, tell them apart, whatever the node says of itself.
"""

import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from support import residue, usage
from support.functions import Function, fresh_name
from support.node import Node, wait_until

PARKED, COPIED, FRESH = "parked", "copied", "fresh"
# It became what the init of its version had come to.
RESTORED = "restored"
# Parked, whether it was copied or started.
WAITED = "waited"

NOTHING_PARKED = ["--parked-memory", "0"]
NOTHING_COPIED = ["--no-zygotes"]
# The reference has SnapStart from Python 3.12 on; whatever the host has serves.
SNAPSTART = ["--runtime-alias", "python3.12=python3.11"]
OPTIONS = {
    PARKED: NOTHING_COPIED,
    COPIED: NOTHING_PARKED,
    FRESH: NOTHING_PARKED + NOTHING_COPIED,
    RESTORED: SNAPSTART,
}

# What only a zygote is started with, and therefore its copies.
OF_ZYGOTE = b"_LAMBENT_ZYGOTE_FD="

# The kernel tells a process's start in these.
TICK = 1 / os.sysconf("SC_CLK_TCK")


def node_of(path):
    """A node on which every function takes this way."""
    return Node(options=OPTIONS[path])


def born(pid):
    """When a process began, in seconds since boot."""
    words = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return int(words[19]) * TICK


def is_python(pid):
    return "python" in os.readlink(f"/proc/{pid}/exe")


def is_copy(pid):
    return any(word.startswith(OF_ZYGOTE) for word in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0"))


def interpreters(node, function):
    found = []
    for pid in residue.environments_of(node.data, function)["processes"]:
        try:
            found += [pid] if is_python(pid) else []
        except OSError:
            continue
    return found


def births(node, function):
    """When each of a function's interpreters began. Its sandbox's first process is older, on each way."""
    found = {}
    for pid in interpreters(node, function):
        try:
            found[pid] = born(pid)
        except OSError:
            continue
    return found


def check(path, began, sent):
    """`began`: births of interpreters; `sent`: when the call was sent that found no environment."""
    # A birth is rounded down to a tick.
    waited = sent - min(began.values())
    if path in (PARKED, WAITED):
        assert waited > TICK, f"no interpreter of it had waited: the oldest is {waited:.3f} s older than the call"
    else:
        assert waited <= TICK, f"an interpreter of it had waited: it is {waited:.3f} s older than the call"


def stocked(node, count):
    """Waits until so many runtimes wait to be told what they are for. Whether a node is at rest is judged by what it
    does, and one on a machine that stands still for a moment does nothing."""
    wait_until(lambda: sum(map(is_waiting, usage.family(node.process.pid))) >= count, 60, f"{count} waiting runtimes")


def is_waiting(pid):
    """Whether it reads the descriptor on which a parked runtime is told of its function."""
    try:
        return is_python(pid) and Path(f"/proc/{pid}/syscall").read_text().startswith("0 0x4 ")
    except OSError:
        return False


def fill(node, count=5):
    """Has the node keep some cells: as many waits next time as a burst took, and tests call a few functions in a row."""
    function = Function(node, fresh_name("burst")).create("import time\ndef handler(e, c):\n    time.sleep(0.3)\n")
    with ThreadPoolExecutor(count) as pool:
        for answer in [pool.submit(function.call) for _ in range(count)]:
            answer.result().ok()
    function.delete()
    usage.wait_for_rest(node)


class Placed(Function):
    """A function whose first call proves the way that it took, as long as something is left of it behind that call."""

    def __init__(self, node, path, name=None):
        super().__init__(node, name or fresh_name(path))
        self.path = path
        self.proved = None
        self._guard = threading.Lock()
        # What is called: the function, or where its snapshot is, a version of it.
        self.called = {}

    def create(self, code, *, runtime="python3.11", **settings):
        self.watched = runtime.startswith("python")
        if self.watched and self.path == RESTORED:
            super().create(code, runtime="python3.12", SnapStart={"ApplyOn": "PublishedVersions"}, **settings)
            self.publish()
        else:
            super().create(code, runtime=runtime, **settings)
        # The stock is full then, and what is in it is older than any call to come; a zygote has booted.
        usage.wait_for_rest(self.node)
        return self

    def publish(self):
        self.called = {"Qualifier": self.client.publish_version(FunctionName=self.name)["Version"]}

        def at_rest():
            found = self.client.get_function_configuration(FunctionName=self.name, **self.called)
            return found["State"] != "Pending" and found

        found = wait_until(at_rest, 60, f"{self.name} is published")
        assert found["State"] == "Active", found["StateReason"]

    def update(self, code, **more):
        answer = super().update(code, **more)
        if self.called:
            self.publish()
        return answer

    def call(self, event=None, **more):
        with self._guard:
            first, self.watched = self.watched, False
        sent = time.clock_gettime(time.CLOCK_BOOTTIME)
        answer = super().call(event, **{**self.called, **more})
        if first and self.path == RESTORED:
            assert answer.was_cold and "Restore Duration" in answer.log
            self.proved = self.path
        elif first:
            assert answer.was_cold
            began = births(self.node, self)
            if began:
                check(self.path, began, sent)
                if self.path != WAITED:
                    copies = {is_copy(pid) for pid in began}
                    assert copies == {self.path == COPIED}, f"copies of a zygote: {copies}"
                self.proved = self.path
        return answer
