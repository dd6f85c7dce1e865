"""The soak: thousands of environment lives on one node; fails when anything that it holds of the host grows."""

import argparse
import sys
import time

from support import soak
from support.node import Node


def main():
    parser = argparse.ArgumentParser(prog="scripts/soak", description=__doc__)
    parser.add_argument("--lives", type=int, default=2_000, help="how many environments live (2,000)")
    parser.add_argument("--every", type=int, default=1_000, help="lives between two counts (1,000)")
    parser.add_argument("--seed", type=int, default=1, help="which lives, in which order (1)")
    asked = parser.parse_args()
    # A short run still has enough counts for a trend.
    every = min(asked.every, max(asked.lives // 6, 1))
    began = time.monotonic()
    with Node() as node:
        counted = soak.run(node, asked.lives, every, lambda text: print(text, flush=True), asked.seed)
    # From here on the node is down, and nothing of it is left on the host.
    print(f"\n{asked.lives} lives in {time.monotonic() - began:.0f} s, seed {asked.seed}; a thousand lives add:")
    flat = True
    for name, (trend, allowed, is_flat) in soak.verdicts(counted).items():
        flat = flat and is_flat
        print(f"  {name:<14}{trend:>12.2f}   at most {allowed:>10.2f}   {'ok' if is_flat else 'GROWS'}")
    return 0 if flat else 1


if __name__ == "__main__":
    sys.exit(main())
