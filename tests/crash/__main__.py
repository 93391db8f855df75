"""`python -m tests.crash`: kill campaigns and power cuts, several at a time, and one report.

The exit code is 1 when a promise was broken, or when a line that posts, or a state of an item, was met by no death.
"""

import argparse
import itertools
import os
import random
import sys
import time
from collections.abc import Collection, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from tests.crash import cuts
from tests.crash.failpoints import points
from tests.crash.kills import NOT_SENT_FOR, Plan, campaign, fails_alone
from tests.crash.report import Report

A_CAMPAIGN = 100
"""Deaths on one state directory, at most."""
AT_RANDOM, ALONE = 8, 8
"""Of a campaign's deaths, about so many in a hundred are at random; so are so many more, behind the orchestrator's."""
AT_ONCE = 2 * (os.cpu_count() or 1)
"""A campaign waits more than it computes: for boots, for points to be reached, for a silent model to be given up."""
RECORDINGS = ((20, 20, 20), (60, 15))
"""The power cuts' recorded daemons: the items that each of their lives accepts."""


def main(argv: Sequence[str] | None = None) -> int:
    """See the module."""
    asked = _parser().parse_args(argv)
    began = time.monotonic()
    with ProcessPoolExecutor(AT_ONCE) as pool:
        rounds = list(planned(asked.kills, asked.seed))
        campaigns = [pool.submit(campaign, plans, asked.seed + number) for number, plans in enumerate(rounds)]
        recordings = [pool.submit(_cut, lives, asked.cuts // len(RECORDINGS), asked.seed) for lives in RECORDINGS]
        report = Report(
            seed=asked.seed,
            campaigns=tuple(each.result() for each in campaigns),
            cuts=cuts.summed(each.result() for each in recordings),
            seconds=time.monotonic() - began,
        )
    asked.report.parent.mkdir(parents=True, exist_ok=True)
    asked.report.write_text(report.page())
    print(report.summary())
    print(f"{asked.report} has the rest")
    return 1 if report.found else 0


def planned(kills: int, seed: int) -> Iterator[list[Plan]]:
    """At least so many deaths, in campaigns: at least one at each line that posts, before or behind it.

    As many more as it takes for the orchestrator to fail alone at each of its own.
    """
    rng = random.Random(seed)
    sent_for = [each for each in points() if each.rpartition(" ")[0] not in NOT_SENT_FOR]
    first = [each for each in sent_for if "_create" in each]
    lines = sorted({each.rpartition(" ")[0] for each in sent_for if each not in first})
    sides = _sides(sent_for, lines, rng)
    own = [each for each in lines if fails_alone(each)]
    alone = _sides(sent_for, own, rng)
    deaths = max(kills, -(-len(lines) * 100 // (100 - AT_RANDOM)))
    count = max(2, -(-deaths // A_CAMPAIGN))
    for number in range(count):
        size = deaths // count + 1
        aimed = [Plan(next(sides)) for _ in range(size - size * AT_RANDOM // 100)]
        mixed = aimed + [Plan() for _ in range(size - len(aimed))]
        mixed += [Plan(next(alone), "raise") for _ in range(max(-(-len(own) // count), size * ALONE // 100))]
        rng.shuffle(mixed)
        yield [Plan(first[number % len(first)]), *mixed]


def _sides(names: Collection[str], lines: Sequence[str], rng: random.Random) -> Iterator[str]:
    """Each line in turn, for ever: on a side by chance, then on the other one where it has two, and so on."""
    sides = {line: [each for each in names if each.rpartition(" ")[0] == line] for line in lines}
    for each in sides.values():
        rng.shuffle(each)
    for turn in itertools.count():
        yield from (sides[line][turn % len(sides[line])] for line in lines)


def _cut(lives: tuple[int, ...], count: int, seed: int) -> cuts.Cuts:
    return cuts.cut(cuts.recorded(lives), count, seed)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.crash", description=__doc__)
    parser.add_argument("--kills", type=int, default=60, help="deaths of the daemon, at least")
    parser.add_argument("--cuts", type=int, default=1_000, help="power cuts")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 30), help="of every chance")
    parser.add_argument("--report", type=Path, default=Path("build/crash/report.md"), help="where the page goes")
    return parser


if __name__ == "__main__":
    sys.exit(main())
