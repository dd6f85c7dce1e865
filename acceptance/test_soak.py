"""A short soak: what the full one (`scripts/soak --lives 50000`) counts, over some hundred environment lives."""

import os

import pytest

from support import soak, usage
from support.node import Node

LIVES = 300


def test_environments_that_live_and_end_in_every_way_leave_nothing_behind():
    with Node() as node:
        counted = soak.run(node, LIVES, LIVES // 6)
        # Memory that was freed in one heap is of no use in another: with one a thread, each would keep its worst moment.
        heaps = usage.heaps(node.process.pid)
        assert heaps <= max(len(os.sched_getaffinity(0)) // 2, 1), f"{heaps} heaps beside the first"
    grown = {name: found for name, found in soak.verdicts(counted).items() if not found[2]}
    assert not grown, f"for each thousand lives (trend, allowed): {grown}"


@pytest.mark.parametrize("name", [name for name in soak.BOUNDS if name != "environments"])
def test_the_soak_sees_what_grows(name):
    flat = [(lives, {**dict.fromkeys(soak.BOUNDS, 100), "environments": 0}) for lives in range(1_000, 51_000, 1_000)]
    assert all(is_flat for *_, is_flat in soak.verdicts(flat).values())
    per_thousand, slack = soak.BOUNDS[name]
    # Twice what is allowed over the forty thousand lives that count.
    each = 2 * max(per_thousand, slack / 40)
    leaking = [(lives, {**seen, name: 100 + each * lives / 1_000}) for lives, seen in flat]
    assert [other for other, found in soak.verdicts(leaking).items() if not found[2]] == [name]


def test_the_soak_bears_a_stock_that_follows_demand():
    def seen(lives):
        return {name: 100 + soak.EACH_WAITING.get(name, 0) * (lives // 1_000) for name in soak.BOUNDS}

    counted = [(lives, {**seen(lives), "netns": lives // 1_000, "environments": 0}) for lives in range(1_000, 51_000, 1_000)]
    assert all(is_flat for *_, is_flat in soak.verdicts(counted).values())
