"""What the log comes to: attempts, the busiest minute, the most at once, and retries of the clients' own. Pure."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

from darumad.sim.granting import MINUTE
from darumad.sim.log import Attempt


def stats(attempts: Sequence[Attempt], minute: float = MINUTE) -> dict[str, Any]:
    """The whole log in figures, and the same for each listener and each caller; `minute` is the seconds of one."""
    return {
        **_figures(attempts, minute),
        "open": sum(each.t_end is None and each.client_disconnected_at is None for each in attempts),
        "retry_counts": dict(Counter(each.headers.get("x-stainless-retry-count", "0") for each in attempts)),
        "listeners": {name: _figures(some, minute) for name, some in _by(attempts, "listener").items()},
        "keys": {name: _figures(some, minute) for name, some in _by(attempts, "key").items()},
    }


def _figures(attempts: Sequence[Attempt], minute: float) -> dict[str, Any]:
    return {
        "attempts": len(attempts),
        "calls": calls(attempts),
        "tries_of_a_call": dict(Counter(Counter(map(_call, attempts)).values())),
        "faults": dict(Counter(each.fault for each in attempts if each.fault)),
        "most_at_once": most_at_once(attempts),
        "most_in_a_minute": {
            "requests": most_within(((each.t_arrive, 1) for each in attempts), minute),
            "input_tokens": most_within(((each.t_arrive, each.input_tokens) for each in attempts), minute),
            "output_tokens": most_within(((each.t_arrive, each.output_tokens) for each in attempts), minute),
        },
    }


def _by(attempts: Iterable[Attempt], field: str) -> dict[str, list[Attempt]]:
    found: defaultdict[str, list[Attempt]] = defaultdict(list)
    for each in attempts:
        found[getattr(each, field)].append(each)
    return dict(found)


def calls(attempts: Iterable[Attempt]) -> int:
    """How many calls they are tries of; one whose caller does not say is a call of its own."""
    return len({_call(each) for each in attempts})


def _call(attempt: Attempt) -> str | int:
    return attempt.call or attempt.number


def most_at_once(attempts: Iterable[Attempt]) -> int:
    """How many were open at the same instant, at most."""
    turns = []
    for each in attempts:
        ends = [at for at in (each.t_end, each.client_disconnected_at) if at is not None]
        turns += [(each.t_arrive, 1), (min(ends, default=float("inf")), -1)]
    most = now = 0
    for _, step in sorted(turns):
        now += step
        most = max(most, now)
    return most


def most_within(amounts: Iterable[tuple[float, int]], seconds: float) -> int:
    """The largest sum of amounts in any window of so many seconds."""
    ordered = sorted(amounts)
    most = held = first = 0
    for at, amount in ordered:
        held += amount
        while ordered[first][0] <= at - seconds:
            held -= ordered[first][1]
            first += 1
        most = max(most, held)
    return most
