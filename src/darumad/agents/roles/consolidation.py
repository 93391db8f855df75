"""What an agent is told of the tries before its own: shorter, and more pointedly, the more there were. Pure."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from darumad.values import Value

SUMMARY_LENGTH = 200
"""How much of one summary is shown, in characters."""


class Level(Value):
    """How much is told: at most so many issues and tests, summaries or not, and the advice that ends it."""

    name: str
    up_to: int | None
    issues: int | None
    tests: int | None
    summaries: bool
    critical_only: bool
    strategy: str


LEVELS: tuple[Level, ...] = (
    Level("detailed", 1, None, None, summaries=True, critical_only=False,
          strategy="Correct each issue listed; keep what was not criticised as it is."),
    Level("summary", 3, 5, 3, summaries=False, critical_only=False,
          strategy="Issues that came back were not corrected by the last change: change the approach for those first."),
    Level("compressed", None, 3, 0, summaries=False, critical_only=True,
          strategy="Several tries failed alike. Put their approach aside, and do only what the critical issues ask."),
)  # fmt: skip
"""From the first failed try to the many: the first level whose `up_to` is not passed holds."""


def consolidate(feedback: Sequence[Mapping[str, Any]], failures: Sequence[Mapping[str, Any]]) -> dict[str, Any] | None:
    """What to tell of earlier tries; None when there were none.

    Args:
        feedback: the reviews that sent the item back, oldest first.
        failures: the compact errors of the attempts that failed, oldest first.
    """
    tries = len(feedback) + len(failures)
    if tries == 0:
        return None
    level = next(each for each in LEVELS if each.up_to is None or tries <= each.up_to)
    issues = [*_texts(feedback, "issues"), *(_told(each) for each in failures)]
    if level.critical_only:
        issues = _critical(issues, feedback)
    told: dict[str, Any] = {
        "level": level.name,
        "tries": tries,
        "issues": list(dict.fromkeys(_latest_first(issues)))[: level.issues],
        "tests": list(dict.fromkeys(_texts(feedback, "suggested_tests")))[: level.tests],
        "strategy": level.strategy,
    }
    if level.summaries:
        told["summaries"] = [_cut(each) for each in _summaries(feedback, failures)]
    return told


def _critical(issues: Sequence[str], feedback: Sequence[Mapping[str, Any]]) -> list[str]:
    """The issues that came more than once; where none did, those of the last review, or else the last one told."""
    again = [issue for issue, times in Counter(issues).items() if times > 1]
    return again or list(_texts(feedback[-1:], "issues")) or list(issues[-1:])


def _latest_first(issues: Sequence[str]) -> list[str]:
    return list(reversed(issues))


def _summaries(feedback: Iterable[Mapping[str, Any]], failures: Iterable[Mapping[str, Any]]) -> list[str]:
    reviews = [f"review: {'; '.join(map(str, each.get('issues', ())))}" for each in feedback]
    return [*reviews, *(f"failure: {_told(each)}" for each in failures)]


def _told(failure: Mapping[str, Any]) -> str:
    return f"{failure.get('kind', 'failure')}: {failure.get('message', '')}"


def _texts(entries: Iterable[Mapping[str, Any]], key: str) -> tuple[str, ...]:
    return tuple(str(text) for each in entries for text in each.get(key) or ())


def _cut(text: str) -> str:
    return text if len(text) <= SUMMARY_LENGTH else text[: SUMMARY_LENGTH - 3] + "..."
