"""The report: one page on what was done to the daemon, and what came of it."""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from statistics import median

from tests.crash.checker import Violation
from tests.crash.cuts import Cuts
from tests.crash.failpoints import points
from tests.crash.kills import AT_RANDOM, NOT_SENT_FOR, Campaign, fails_alone

STATES = (
    "waiting", "ready", "scheduled", "running optimizing", "running executing", "running reviewing", "parked",
    "succeeded", "dead", "cancelled",
)  # fmt: skip
"""What an item may be when the daemon dies; of running ones, each stage."""
SHOWN = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """All campaigns and cuts of one run."""

    seed: int
    campaigns: tuple[Campaign, ...]
    cuts: Cuts
    seconds: float

    @property
    def violations(self) -> list[Violation]:
        """All of them."""
        return [*(each for campaign in self.campaigns for each in campaign.violations), *self.cuts.violations]

    @property
    def lines(self) -> dict[str, int]:
        """How many deaths met each line that they were sent for, before or behind it."""
        hits = _by_line(campaign.points for campaign in self.campaigns)
        return {line: hits[line] for line in _lines() if line not in NOT_SENT_FOR}

    @property
    def failures(self) -> dict[str, int]:
        """How often the orchestrator failed alone at each of its lines."""
        hits = _by_line(campaign.failures for campaign in self.campaigns)
        return {line: hits[line] for line in _lines() if fails_alone(line)}

    @property
    def states(self) -> dict[str, int]:
        """How many items deaths met in each state."""
        met: Counter[str] = Counter()
        for campaign in self.campaigns:
            met.update(campaign.states)
        return {state: met[state] for state in STATES}

    @property
    def found(self) -> list[str]:
        """What is wrong: broken promises, and what no death has met."""
        missed = [f"no death met {each}" for each, times in {**self.lines, **self.states}.items() if not times]
        missed += [f"the orchestrator never failed at {each}" for each, times in self.failures.items() if not times]
        return [str(each) for each in self.violations] + missed

    def summary(self) -> str:
        """What a hurried reader wants to know."""
        return "\n".join(f"{name:28} {value}" for name, value in self._figures())

    def page(self) -> str:
        """The page, as Markdown."""
        parts = ["# The crash campaign", _table("what", "how much", self._figures())]
        if self.found:
            more = len(self.found) - SHOWN
            listed = [*self.found[:SHOWN], *([f"and {more} more"] if more > 0 else [])]
            left = [f"it lies in {campaign.home}" for campaign in self.campaigns if campaign.violations]
            parts += ["## What was found", "\n".join(f"- {each}" for each in [*listed, *left])]
        parts += ["## Deaths that met an item, by its state", _table("state", "times", self.states.items())]
        parts += ["## Deaths by the line that posts", _table("line", "deaths", self.lines.items())]
        parts += ["## Failures of the orchestrator by its line", _table("line", "failures", self.failures.items())]
        parts += ["## Lines that were not sent for", _table("line", "who comes to it", NOT_SENT_FOR.items())]
        return "\n\n".join(parts) + "\n"

    def _figures(self) -> Iterator[tuple[str, object]]:
        kills = [kill for campaign in self.campaigns for kill in campaign.history.kills]
        boots = [boot for campaign in self.campaigns for boot in campaign.boots]
        yield "seed", self.seed
        yield "kills", sum(kill.daemon for kill in kills)
        yield "of them at random", sum(kill.daemon and kill.where == AT_RANDOM for kill in kills)
        yield "failures of the orchestrator", sum(not kill.daemon for kill in kills)
        yield "items", sum(campaign.items for campaign in self.campaigns)
        yield "model calls", sum(len(campaign.history.calls) for campaign in self.campaigns)
        yield "of them repeated", sum(campaign.repeated for campaign in self.campaigns)
        yield "boot p50", f"{median(boots):.2f} s"
        yield "boot max", f"{max(boots):.2f} s"
        yield "power cuts", self.cuts.count
        yield "items promised at a cut", f"{self.cuts.promised:.0f} on average"
        yield "violations", len(self.violations)
        yield "took", f"{self.seconds:.0f} s"


def _lines() -> dict[str, None]:
    """Every line that posts, in the order of the source."""
    return dict.fromkeys(_line(each) for each in points())


def _by_line(counts: Iterable[Counter[str]]) -> Counter[str]:
    hits: Counter[str] = Counter()
    for each in counts:
        for point, times in each.items():
            hits[_line(point)] += times
    return hits


def _line(point: str) -> str:
    return point.rpartition(" ")[0]


def _table(left: str, right: str, rows: Iterable[tuple[str, object]]) -> str:
    lines = [f"| {left} | {right} |", "|---|---|", *(f"| {name} | {value} |" for name, value in rows)]
    return "\n".join(lines)
