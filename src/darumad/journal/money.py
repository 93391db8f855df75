"""Money: reserved before a call, settled once after it. Reservations of one batch are admitted by running sum."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from darumad.journal.batch import Batch
from darumad.journal.requests import APPLIED, OVER_BUDGET, Answer, Reserve, Settle

Key = tuple[str, str]
"""The scope and period of a budget row."""


@dataclass(slots=True)
class Used:
    """What stands against one budget: nano-USD spent and reserved, tokens settled, calls begun."""

    nano_usd: int = 0
    tokens: int = 0
    calls: int = 0


def reserve(batch: Batch, asked: Sequence[Reserve]) -> list[Answer]:
    """Each in its turn, against what the ones before it left; a repeated id is reserved already."""
    known = {row[0] for row in batch.run("known_reservations", [each.id for each in asked])}
    keys = list({key for each in asked for key in _keys(each)})
    used: defaultdict[Key, Used] = defaultdict(Used)
    for scope, period, nano_usd, tokens, calls in batch.run("budgets", keys):
        used[scope, period] = Used(nano_usd, tokens, calls)
    admitted = [each for each in asked if each.id not in known and _admit(each, used)]
    batch.run_if_any("reserve", [_row(each) for each in admitted])
    _book(batch, [(key, (0, each.estimate, 0, 1)) for each in admitted for key in _keys(each)])
    fine = known | {each.id for each in admitted}
    return [APPLIED if each.id in fine else OVER_BUDGET for each in asked]


def settle(batch: Batch, asked: Sequence[Settle]) -> list[Answer]:
    """Books what the calls used; a second settlement of the same reservation changes nothing."""
    _book_settled(batch, batch.run("settle", [_used(each) for each in asked]))
    return [APPLIED] * len(asked)


def settle_orphans(batch: Batch) -> None:
    """What earlier lives of the daemon left open is booked at its estimate: the calls may have been billed."""
    _book_settled(batch, batch.run("settle_orphans", ()))


def _keys(each: Reserve) -> tuple[Key, Key]:
    return ("day", each.day), ("item", each.item)


def _admit(each: Reserve, used: Mapping[Key, Used]) -> bool:
    day, item = (used[key] for key in _keys(each))
    fits = (
        _within(day.nano_usd + each.estimate, each.day_limit)
        and _within(item.nano_usd + each.estimate, each.limits.nano_usd)
        and _within(item.calls + 1, each.limits.calls)
        and _within(item.tokens + 1, each.limits.tokens)
    )
    if fits:
        for held in (day, item):
            held.nano_usd += each.estimate
            held.calls += 1
    return fits


def _within(sum_: int, limit: int | None) -> bool:
    return limit is None or sum_ <= limit


def _row(each: Reserve) -> tuple[Any, ...]:
    return each.id, each.item, each.agent, each.provider, each.day, each.estimate


def _used(each: Settle) -> tuple[Any, ...]:
    used = each.usage
    return each.id, used.nano_usd, used.input_tokens + used.output_tokens, used.calls


def _book_settled(batch: Batch, rows: Iterable[Sequence[Any]]) -> None:
    _book(
        batch,
        [
            (key, (nano_usd, -estimate, tokens, 0))
            for item, day, estimate, nano_usd, tokens in rows
            for key in (("day", day), ("item", item))
        ],
    )


def _book(batch: Batch, entries: Iterable[tuple[Key, tuple[int, int, int, int]]]) -> None:
    """Adds (spent, reserved, tokens, calls) to each budget, summed first: an upsert of two rows would count one."""
    sums: dict[Key, tuple[int, int, int, int]] = {}
    for key, entry in entries:
        held = sums.get(key, (0, 0, 0, 0))
        sums[key] = (held[0] + entry[0], held[1] + entry[1], held[2] + entry[2], held[3] + entry[3])
    batch.run_if_any("book", [(*key, *each) for key, each in sums.items()])
