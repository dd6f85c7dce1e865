"""Many environment lives on one node, and whether what it holds of the host stays flat.

A life begins with a cold start, or ahead of a call that a change lets expect, and ends: by a change of the function's configuration, by its deletion, by a crash, a
time-out, want of memory, or an init that fails. Between batches nothing is left alive, and what the node holds is
counted.
"""

import itertools
import random
import time
from concurrent.futures import ThreadPoolExecutor

from support import usage
from support.functions import Function, fresh_name
from support.native import ECHO, native

WORKERS = 6

SOURCE = """
    import os, signal, time
    def handler(event, context):
        how = event.get("how")
        if how == "exit":
            os._exit(3)
        if how == "signal":
            os.kill(os.getpid(), signal.SIGKILL)
        if how == "sleep":
            time.sleep(30)
        if how == "hog":
            held = []
            while True:
                held.append(bytearray(1 << 22))
        if how == "daemon" and os.fork() == 0:
            os.setsid()
            time.sleep(60)
        if how == "files":
            for place in ("/tmp", "/dev/shm"):
                for number in range(20):
                    with open(f"{place}/{number}", "wb") as target:
                        target.write(b"x" * 100_000)
        return "served"
"""
FAILING = "raise RuntimeError('no init')\ndef handler(event, context):\n    return 1\n"
JAVASCRIPT = "export const handler = async (event) => { if (event.how === 'exit') process.exit(3); return 'served'; };"

# How many of a thousand lives go which way. Crashes need no write to the store, and so are most.
WEIGHTS = {
    "exit": 400,
    "changed": 250,
    "native changed": 100,
    "signal": 100,
    "deleted": 50,
    "nodejs exit": 40,
    "daemon": 20,
    "files": 20,
    "hog": 10,
    "failing init": 6,
    "sleep": 4,
}

# What one sandbox that waits in the stock holds of the host. The stock follows demand, and so comes and goes: what is
# judged is what is held beyond it. The sandboxes themselves are judged by their network namespaces.
EACH_WAITING = {"node fds": 13, "spawner fds": 2, "cgroups": 4, "processes": 2, "loops": 1}

# What a thousand lives may add, and what may come and go without being a leak: the allocator's moods, and what is made
# or ended at the moment. Memory is in KiB. A row is flat when its trend over the whole run adds less than the greater
# of the two.
BOUNDS = {
    "node rss": (64, 6144),
    "node pss": (64, 6144),
    "spawner rss": (16, 1024),
    "spawner pss": (16, 1024),
    "node fds": (0.5, 200),
    "spawner fds": (0.5, 100),
    "threads": (0.1, 24),
    "mounts": (0.1, 24),
    "cgroups": (0.2, 64),
    "loops": (0.2, 32),
    "processes": (0.4, 64),
    "environments": (0, 0),
    "netns": (0.2, 64),
    "files": (0.5, 24),
}


class Life:
    """One worker's functions, and the ways in which their environments live and end."""

    def __init__(self, node, package):
        self.node = node
        self.step = itertools.count(1)
        self.python = self.make(SOURCE, MemorySize=1769)
        self.small = self.make(SOURCE, MemorySize=128)
        self.slow = self.make(SOURCE, Timeout=1, MemorySize=512)
        self.roomy = self.make(SOURCE, EphemeralStorage={"Size": 600}, MemorySize=512)
        self.failing = self.make(FAILING, MemorySize=512)
        self.javascript = self.make(JAVASCRIPT, runtime="nodejs20.x", MemorySize=1769)
        self.native = self.make(package, runtime="provided.al2023", handler="bootstrap")
        self.ways = {
            "exit": lambda: self.fails(self.python, "exit", "Runtime.ExitError"),
            "signal": lambda: self.fails(self.python, "signal", "Runtime.ExitError"),
            "nodejs exit": lambda: self.fails(self.javascript, "exit", "Runtime.ExitError"),
            "hog": lambda: self.fails(self.small, "hog", "Runtime.OutOfMemory"),
            "sleep": lambda: self.fails(self.slow, "sleep", "Sandbox.Timedout"),
            "failing init": lambda: self.fails(self.failing, None, "RuntimeError"),
            "changed": lambda: self.serves(self.python, {}),
            "daemon": lambda: self.serves(self.python, {"how": "daemon"}),
            "files": lambda: self.serves(self.roomy, {"how": "files"}),
            "native changed": lambda: self.serves(self.native, {}, {"native": {}}),
            "deleted": self.deleted,
        }

    def make(self, code, **settings):
        return Function(self.node, fresh_name("soak")).create(code, **settings)

    def live(self, ways):
        for way in ways:
            self.ways[way]()

    def end(self):
        for function in (v for v in vars(self).values() if isinstance(v, Function)):
            function.delete()

    def serves(self, function, event, expected="served"):
        """Called, and made old by a change."""
        assert function.call(event, tail=False).ok() == expected
        function.configure(Environment={"Variables": {"STEP": str(next(self.step))}})

    def deleted(self):
        function = self.make(SOURCE, MemorySize=512)
        assert function.call({}, tail=False).ok() == "served"
        function.delete()

    def fails(self, function, how, kind):
        answer = function.call({"how": how}, tail=False)
        assert answer.error()["errorType"] == kind, answer


def ways(count, seed):
    """So many lives: every way at least once, the rest by weight."""
    chosen = list(WEIGHTS)[:count]
    picker = random.Random(seed)
    chosen += picker.choices(list(WEIGHTS), WEIGHTS.values(), k=count - len(chosen))
    picker.shuffle(chosen)
    return chosen


def run(node, lives, every, say=print, seed=1):
    """Lives so many lives, and gives what was counted after each batch: `[(lives, {what: count})]`."""
    counted = []
    # Compiled before the workers need it at the same time.
    package = native(ECHO)
    with ThreadPoolExecutor(WORKERS) as pool:
        done = 0
        say(heading())
        while done < lives:
            workers = list(pool.map(lambda _: Life(node, package), range(WORKERS)))
            began = time.monotonic()
            chosen = ways(min(every, lives - done), seed + done)
            list(pool.map(Life.live, workers, [chosen[number::WORKERS] for number in range(WORKERS)]))
            rate = len(chosen) / (time.monotonic() - began)
            done += len(chosen)
            # What was warmed for a changed function ends with it.
            list(pool.map(Life.end, workers))
            usage.wait_for_rest(node)
            counted.append((done, usage.take(node)))
            say(line(done, counted[-1][1], rate))
    return counted


def heading():
    names = (name.replace("spawner", "spwn").replace("environments", "envs") for name in BOUNDS)
    return " ".join([f"{'lives':>6}", *(f"{name.replace(' ', '.'):>9}" for name in names), f"{'lives/s':>8}"])


def line(done, counts, rate):
    return " ".join([f"{done:>6}", *(f"{counts[name]:>9}" for name in BOUNDS), f"{rate:>8.1f}"])


def slope(points):
    """Least squares: growth for each life."""
    mean_x = sum(x for x, _ in points) / len(points)
    mean_y = sum(y for _, y in points) / len(points)
    spread = sum((x - mean_x) ** 2 for x, _ in points)
    return sum((x - mean_x) * (y - mean_y) for x, y in points) / spread if spread else 0.0


def verdicts(counted):
    """For each row: the trend for a thousand lives, what is allowed, and whether it is flat.

    The first fifth is left out: stocks and caches fill there.
    """
    kept = counted[len(counted) // 5 :]
    span = max(kept[-1][0] - kept[0][0], 1)
    found = {}
    for name, (per_thousand, slack) in BOUNDS.items():
        each = EACH_WAITING.get(name, 0)
        trend = slope([(lives, counts[name] - each * counts["netns"]) for lives, counts in kept])
        allowed = max(slack, per_thousand * span / 1000)
        found[name] = (trend * 1000, allowed * 1000 / span, trend * span <= allowed)
    # Nothing that lived may be there between batches.
    alive = max(counts["environments"] for _, counts in kept)
    found["environments"] = (alive, 0, alive == 0)
    return found
