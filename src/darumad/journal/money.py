"""Money: reserved before a call, settled once after it. Reservations of one batch are admitted by running sum.

The rules are `work.budget`'s; here the accounts are read, changed in turn, and written back in the same transaction.
What an attempt used is what the settlements of its calls say: it is known whoever holds the item by then.
"""

from collections.abc import Iterable, Mapping, Sequence
from itertools import chain
from typing import Any, NamedTuple

from darumad.events import BudgetExhausted, BudgetThreshold, Fact
from darumad.journal.batch import Batch
from darumad.journal.requests import APPLIED, Answer, OverBudget, Reserve, Settle
from darumad.names import NanoUsd
from darumad.values import astuple
from darumad.work.budget import (
    Account,
    Amount,
    Budget,
    Fit,
    Told,
    admit,
    budgets_over,
    estimate_of,
    exceeded_unit,
    fullest_unit,
)
from darumad.work.item import NO_LIMITS, Limits
from darumad.work.result import Usage

Limited = Mapping[Budget, Limits]

MOST = 1 << 53
"""What one call can have used of anything. Beyond it a figure is nonsense, and sums of them leave what is stored."""

_UNTOUCHED = Account()


class Settled(NamedTuple):
    """A reservation that was open until now: whose it was, what was reserved, and what is booked in its place."""

    id: str
    item: str
    agent: str
    provider: str
    day: str
    estimate: int
    estimated_tokens: int
    nano_usd: int
    tokens: int
    calls: int


class Books:
    """The accounts of a batch: each as its last change left it, and what has to be told of them."""

    def __init__(self, held: Mapping[Budget, Account]) -> None:
        self._held = dict(held)
        self._changed: set[Budget] = set()
        self.facts: list[Fact] = []

    def reserve(self, estimate: Amount, limits: Limited) -> OverBudget | None:
        """Reserves under every one of these budgets, or under none: then it says which has no room."""
        refused = [found for found in (self._refusal(each, estimate, limits[each]) for each in limits) if found]
        for each in sorted(refused, key=lambda each: each.waits):
            self._tell_exhausted(each, estimate)
            return each
        for budget, limit in limits.items():
            self._put(budget, self._at(budget).reserve(estimate, limit), limit)
        return None

    def settle(self, each: Settled, budgets: Iterable[Budget], limits: Limited) -> None:
        """Books a reservation under the `budgets` that it was made under."""
        estimate = Amount(nano_usd=NanoUsd(each.estimate), tokens=each.estimated_tokens, calls=1)
        used = Amount(nano_usd=NanoUsd(each.nano_usd), tokens=each.tokens, calls=each.calls)
        for budget in budgets:
            limit = limits.get(budget)
            self._put(budget, self._at(budget).settle(estimate, used, limit), limit or NO_LIMITS)

    def rows(self) -> list[tuple[Any, ...]]:
        """The changed accounts, to be written."""
        return [(*budget, *_columns(self._held[budget])) for budget in self._held if budget in self._changed]

    def _at(self, budget: Budget) -> Account:
        return self._held.get(budget, _UNTOUCHED)

    def _refusal(self, budget: Budget, estimate: Amount, limits: Limits) -> OverBudget | None:
        account = self._at(budget)
        fit = admit(limits, spent=account.spent, reserved=account.reserved, estimate=estimate)
        if fit is Fit.FITS:
            return None
        return OverBudget(budget=budget, limits=limits, account=account, waits=fit is Fit.WAITS)

    def _tell_exhausted(self, refused: OverBudget, estimate: Amount) -> None:
        if refused.waits:
            return
        unit = exceeded_unit(refused.limits, refused.account.spent + estimate)
        if unit is not None and refused.account.told is not Told.EXHAUSTED:
            self.facts.append(BudgetExhausted(*_about(refused.budget, unit, refused.account, refused.limits)))
        self._put(refused.budget, refused.account.refuse(), refused.limits)

    def _put(self, budget: Budget, account: Account, limits: Limits) -> None:
        newly = account.told is Told.NEARLY_SPENT and self._at(budget).told is Told.NOTHING
        if newly and (unit := fullest_unit(limits, account.spent)) is not None:
            self.facts.append(BudgetThreshold(*_about(budget, unit, account, limits)))
        self._held[budget] = account
        self._changed.add(budget)


def reserve(batch: Batch, asked: Sequence[Reserve]) -> list[Answer]:
    """Each in its turn, against what the ones before it left; a repeated id is reserved already."""
    known = {row[0] for row in batch.run("known_reservations", [each.id for each in asked])}
    books = _books(batch, chain.from_iterable(each.limits for each in asked))
    answers: list[Answer] = []
    admitted: list[tuple[Any, ...]] = []
    for each in asked:
        refused = None if each.id in known else books.reserve(estimate_of(each.estimate), each.limits)
        answers.append(refused or APPLIED)
        if refused is None and each.id not in known:
            admitted.append(_row(each))
    batch.run_if_any("reserve", admitted)
    _write(batch, books)
    return answers


def settle(batch: Batch, asked: Sequence[Settle]) -> list[Answer]:
    """Books what the calls used; a second settlement of the same reservation changes nothing."""
    believed = {each.id: each.usage for each in asked if _is_amount(each.usage)}
    rows = batch.run("settle", [_used(each.id, believed.get(each.id)) for each in asked])
    _settle(batch, [Settled(*row) for row in rows], believed, {each.id: each.limits for each in asked})
    return [APPLIED] * len(asked)


def settle_orphans(batch: Batch) -> None:
    """What earlier lives of the daemon left open is booked at its estimate: the calls may have been billed."""
    _settle(batch, [Settled(*row) for row in batch.run("settle_orphans", ())], {}, {})


def _settle(batch: Batch, settled: Sequence[Settled], used: Mapping[str, Usage], limits: Mapping[str, Limited]) -> None:
    """Books what was settled, by the id of its reservation: on its attempt and under its budgets."""
    batch.run_if_any("book_calls", [_tokens(each, used.get(each.id)) for each in settled if each.calls])
    under = [budgets_over(each.item, each.agent, each.provider, each.day) for each in settled]
    books = _books(batch, chain.from_iterable(under))
    for each, budgets in zip(settled, under, strict=True):
        books.settle(each, budgets, limits.get(each.id, {}))
    _write(batch, books)


def _books(batch: Batch, wanted: Iterable[Budget]) -> Books:
    rows = batch.run_if_any("budgets", [tuple(each) for each in dict.fromkeys(wanted)])
    return Books({Budget(*row[:2]): account_of(row[2:]) for row in rows})


def _write(batch: Batch, books: Books) -> None:
    batch.run_if_any("book", books.rows())
    batch.record(books.facts)


def account_of(columns: Sequence[int]) -> Account:
    """An account from its row: spent and reserved in nano-USD, tokens and calls, and what was told."""
    spent, tokens, calls, reserved, reserved_tokens, reserved_calls, told = columns
    return Account(
        spent=Amount(nano_usd=NanoUsd(spent), tokens=tokens, calls=calls),
        reserved=Amount(nano_usd=NanoUsd(reserved), tokens=reserved_tokens, calls=reserved_calls),
        told=Told(told),
    )


def _columns(account: Account) -> tuple[int, ...]:
    spent, reserved = account.spent, account.reserved
    return (
        spent.nano_usd, spent.tokens, spent.calls, reserved.nano_usd, reserved.tokens, reserved.calls,
        int(account.told),
    )  # fmt: skip


def _row(each: Reserve) -> tuple[Any, ...]:
    estimate, tokens = each.estimate, estimate_of(each.estimate).tokens
    return each.id, each.item, each.fence, each.agent, each.provider, each.day, estimate.nano_usd, tokens


def _is_amount(used: Usage) -> bool:
    """Whether it can be booked. What cannot is booked at its estimate: no settlement lowers what is spent."""
    return all(0 <= (count or 0) <= MOST for count in astuple(used))


def _used(reservation: str, used: Usage | None) -> tuple[Any, ...]:
    """What is booked under the budgets; None books the estimate."""
    if used is None:
        return reservation, None, None, None
    return reservation, used.nano_usd, used.input_tokens + used.output_tokens, used.calls


def _tokens(each: Settled, used: Usage | None) -> tuple[Any, ...]:
    """What is booked on the attempt. An estimate is the most that the call read, whatever of that it wrote."""
    if used is None:
        return each.id, each.tokens, 0, 0
    return each.id, used.input_tokens, used.output_tokens, used.cached_tokens


def _about(budget: Budget, unit: str, account: Account, limits: Limits) -> tuple[str, str, str, int, int]:
    return budget.scope, budget.period, unit, getattr(account.spent, unit), getattr(limits, unit)
