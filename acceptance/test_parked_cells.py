"""Sandboxes that wait for a function: there as the settings say, and no call is ever the worse for them."""

import os
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from support.functions import Function, fresh_name
from support import usage
from support.node import Node, soon, wait_until

ANSWER = "def handler(event, context):\n    return {'answer': event.get('n')}\n"


def waiting(node, program="/var/runtime/bootstrap.py"):
    """The interpreters below a node, in sandboxes, that run nothing but the client."""
    found = [pid for pid in below(node.process.pid) if program.encode() in command(pid)]
    return [pid for pid in found if processes_of(pid) != processes_of(node.process.pid)]


def processes_of(pid):
    """Whom a process can see; a zygote waits outside of sandboxes."""
    try:
        return os.readlink(f"/proc/{pid}/ns/pid")
    except OSError:
        return None


def inits(node):
    return [pid for pid in below(node.process.pid) if name(pid) == "lambent-init"]


def below(root):
    children = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
            except OSError:
                continue
            children.setdefault(parent, []).append(int(entry.name))
    found, open_ = [], [root]
    while open_:
        for child in children.get(open_.pop(), []):
            found.append(child)
            open_.append(child)
    return found


def command(pid):
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


def name(pid):
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip()
    except OSError:
        return ""


def test_a_runtime_that_is_in_use_waits_booted_and_its_first_call_is_served_by_it():
    with Node() as node:
        function = Function(node, fresh_name()).create(ANSWER)
        wait_until(lambda: len(waiting(node)) == 1, what="a waiting Python")
        [waits] = waiting(node)
        assert function({"n": 1}) == {"answer": 1}
        assert usage.has_package(waits), "the one that waited serves it"
        wait_until(lambda: len(waiting(node)) >= 2, what="the next one")

        def is_quick():
            usage.wait_for_rest(node)
            answer = Function(node, fresh_name()).create(ANSWER).call({"n": 1})
            # Nothing was made on the way of this call.
            return answer.stages["sandbox"] < 5

        soon(is_quick, "a sandbox that was there")


def test_parked_memory_of_nothing_keeps_no_cell_waiting():
    with Node(options=["--parked-memory", "0"]) as node:
        function = Function(node, fresh_name()).create(ANSWER)
        assert function({"n": 1}) == {"answer": 1}
        wait_until(lambda: len(inits(node)) == 1, what="no more than the function's own sandbox")


def test_parked_memory_bounds_what_waits_after_a_burst():
    with Node(options=["--parked-memory", "12MiB", "--no-zygotes"]) as node:
        burst(node, 8)
        held = lambda: len(waiting(node)) - 8  # noqa: E731
        wait_until(lambda: held() >= 1, what="a waiting Python")
        # Nine of them, which are wanted, take twice as much: 3 MiB each. What one takes is known when the first ones
        # wait; what turns out to be too many is given up.
        assert 1 <= at_rest(held) <= 6


def at_rest(count, during=1.5):
    """What it counts when that has not changed for some time."""
    seen, since = count(), time.monotonic()

    def unchanged():
        nonlocal seen, since
        if (now := count()) != seen:
            seen, since = now, time.monotonic()
        return time.monotonic() - since > during

    wait_until(unchanged, within=30, what="a count at rest")
    return seen


def test_a_burst_beyond_the_stock_is_served_whole_and_the_stock_follows_it():
    with Node() as node:
        bursts = iter(range(1, 100))

        def is_followed():
            number = next(bursts)
            burst(node, 8)
            usage.wait_for_rest(node)
            return len(waiting(node)) >= 8 * number + 4

        # What counts as one burst is what comes within a quarter of a second.
        soon(is_followed, "a stock after the burst")


def test_without_namespaces_bare_cells_wait():
    with Node(options=["--isolation", "process"], allowed=["isolation process", 'isolation is "process"']) as node:
        function = Function(node, fresh_name()).create(ANSWER)
        wait_until(lambda: len(inits(node)) == 1, what="a waiting sandbox")
        assert function({"n": 1}) == {"answer": 1}


def burst(node, count):
    """So many first calls at one time."""
    functions = [Function(node, fresh_name()).create(ANSWER) for _ in range(count)]
    with ThreadPoolExecutor(count) as pool:
        answers = list(pool.map(lambda pair: pair[1]({"n": pair[0]}), enumerate(functions)))
    assert answers == [{"answer": n} for n in range(count)]
