"""What a node that is at rest holds of the host, counted from outside."""

import os
import time
from pathlib import Path

from support import residue, trees


def children(pid):
    found = []
    try:
        tasks = list(Path(f"/proc/{pid}/task").iterdir())
    except OSError:
        # It has ended since it was found.
        return found
    for task in tasks:
        try:
            found += [int(word) for word in (task / "children").read_text().split()]
        except OSError:
            continue
    return found


def family(root):
    """The process and everything below it."""
    found = [root]
    for pid in found:
        found += children(pid)
    return found


def spawner(node):
    """The one child that is the node's own program."""
    own = os.readlink(f"/proc/{node.process.pid}/exe")
    for pid in children(node.process.pid):
        try:
            if os.readlink(f"/proc/{pid}/exe") == own:
                return pid
        except OSError:
            continue
    raise AssertionError("the node has no spawner")


def has_package(pid):
    """Whether a function's code is mounted where this process sees it: cells that wait have none."""
    try:
        return " /var/task " in Path(f"/proc/{pid}/mountinfo").read_text()
    except OSError:
        return False


def moved(pids):
    """Nanoseconds that these processes ran, or waited for a core."""
    total = 0
    for pid in pids:
        for task in trees.inside(f"/proc/{pid}/task"):
            try:
                ran, waited, _ = Path(f"/proc/{pid}/task/{task}/schedstat").read_text().split()
            except (OSError, ValueError):
                continue
            total += int(ran) + int(waited)
    return total


def wait_for_rest(node, within=120.0, calm=4, look=0.05):
    """Waits until nothing of the node runs or wants to: what was taken from the stock is replaced by then."""
    deadline = time.monotonic() + within
    known, before, calm_looks = None, 0, 0
    while calm_looks < calm:
        assert time.monotonic() < deadline, f"the node does not come to rest within {within} s"
        time.sleep(look)
        now = family(node.process.pid)
        after = moved(now)
        calm_looks = calm_looks + 1 if now == known and after - before < 2_000_000 else 0
        known, before = now, after


def memory(pid):
    """RSS and PSS in KiB."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    fields = {line.split(":")[0]: int(line.split()[1]) for line in lines[1:]}
    return fields["Rss"], fields["Pss"]


def heaps(pid):
    """The C library's heaps beside the first: each reserves a region of 64 MiB, aligned to its size."""
    starts = (line.split("-")[0] for line in Path(f"/proc/{pid}/maps").read_text().splitlines() if line.split()[1] == "rw-p")
    found = [start for start in (int(start, 16) for start in starts) if start % (64 << 20) == 0]
    return len(found)


def descriptors(pid):
    return len(os.listdir(f"/proc/{pid}/fd"))


def files(data):
    """Files of the data directory, but for the databases' own, which come and go with their journals."""
    return sum(path.is_file() and ".db" not in path.name for path in trees.below(data))


def namespaces(pids, kind):
    found = set()
    for pid in pids:
        try:
            found.add(os.readlink(f"/proc/{pid}/ns/{kind}"))
        except OSError:
            continue
    return found


def take(node):
    """Everything that is to stay flat."""
    pid, other = node.process.pid, spawner(node)
    everyone = family(pid)
    (node_rss, node_pss), (spawner_rss, spawner_pss) = memory(pid), memory(other)
    return {
        "node rss": node_rss,
        "node pss": node_pss,
        "spawner rss": spawner_rss,
        "spawner pss": spawner_pss,
        "node fds": descriptors(pid),
        "spawner fds": descriptors(other),
        "threads": len(os.listdir(f"/proc/{pid}/task")),
        "mounts": sum(len(Path(f"/proc/{each}/mountinfo").read_text().splitlines()) for each in (pid, other)),
        "cgroups": len(residue.sandbox_groups(node.data)),
        "loops": len(residue.loop_devices(node.data)),
        "processes": len(everyone),
        "environments": len(namespaces([each for each in everyone if has_package(each)], "pid")),
        "netns": len(namespaces(everyone, "net")),
        "files": files(node.data),
    }
