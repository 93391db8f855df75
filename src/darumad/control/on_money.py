"""What is asked about money: how the budgets stand, and to raise or lower their limits."""

from collections.abc import Iterable, Mapping
from typing import Any

from darumad.control.desk import Ask, Desk, unknown_item
from darumad.control.views import AmountView, BudgetChange, BudgetsView, BudgetView
from darumad.control.wire import BudgetRequest, BudgetSetRequest, BudgetsRequest
from darumad.errors import Problem, Refused
from darumad.journal.requests import Setting
from darumad.names import ItemId
from darumad.work.allowance import NO_LIMIT, PERIODS, Override
from darumad.work.budget import EVER, UNITS, Account, Amount, Budget, room_left
from darumad.work.item import Limits

_SUFFIX: Mapping[str, str] = {"nano_usd": "", "tokens": "_tokens", "calls": "_calls"}
"""How the field of a request goes on after its period, by unit."""
_ITEM = "item:"


async def show(desk: Desk, ask: Ask, request: BudgetsRequest) -> BudgetsView:  # noqa: ARG001 - an operation's signature
    """What is spent, reserved and left of every budget that has a limit, or of one scope's."""
    return BudgetsView(items=await desk.read(_views, desk, request.scope))


async def set_(desk: Desk, ask: Ask, request: BudgetSetRequest) -> BudgetChange:
    """Sets limits from now on, also over restarts. What they make room for goes on at once.

    Raises:
        Refused: nothing was said, or what an item cannot have.
    """
    said = {where: word for where, word in _said(request) if word is not None}
    _check(request, said)
    await _check_item(desk, request.scope)
    return await _change(desk, ask, request.scope, said)


async def reset(desk: Desk, ask: Ask, request: BudgetRequest) -> BudgetChange:
    """Goes back to what the settings say."""
    return await _change(
        desk, ask, request.scope, {Override(request.scope, period, unit): "" for period in PERIODS for unit in UNITS}
    )


async def _change(desk: Desk, ask: Ask, scope: str, said: Mapping[Override, str]) -> BudgetChange:
    for where, word in said.items():
        await desk.commits.commit(Setting(key=where.key, value=word, facts=(), audit=ask.audit(where.key)))
    released = await desk.read(desk.house.treasury.review)
    return BudgetChange(items=await desk.read(_views, desk, scope), released=tuple(released))


def _said(request: BudgetSetRequest) -> Iterable[tuple[Override, str | None]]:
    for period in PERIODS:
        for unit, suffix in _SUFFIX.items():
            word: Any = getattr(request, f"{period}{suffix}")
            yield Override(request.scope, period, unit), None if word is None else str(word)


def _check(request: BudgetSetRequest, said: Mapping[Override, str]) -> None:
    if not said:
        raise Refused("no limit was named", problems=[Problem("/daily", "name one, such as --daily 20")])
    if not request.scope.startswith(_ITEM):
        return
    problems = [
        Problem(f"/{where.period}{_SUFFIX[where.unit]}", "an item has a total only, and a number of it")
        for where, word in said.items()
        if where.period == "daily" or word == NO_LIMIT
    ]
    if problems:
        raise Refused("an item cannot have this limit", problems=problems)


async def _check_item(desk: Desk, scope: str) -> None:
    if scope.startswith(_ITEM):
        name = scope.removeprefix(_ITEM)
        if await desk.read(desk.house.reader.record, ItemId(name)) is None:
            raise unknown_item(name)


def _views(desk: Desk, scope: str | None) -> tuple[BudgetView, ...]:
    treasury = desk.house.treasury
    budgets = _of(scope, treasury.today) if scope else list(treasury.allowance.budgets(treasury.today))
    accounts = desk.house.reader.accounts(budgets)
    return tuple(_view(each, treasury.allowance.limits_of(each), accounts[each]) for each in budgets)


def _of(scope: str, day: str) -> list[Budget]:
    return [Budget(scope, period) for period in ((EVER,) if scope.startswith(_ITEM) else (day, EVER))]


def _view(budget: Budget, limits: Limits, account: Account) -> BudgetView:
    return BudgetView(
        scope=budget.scope,
        period=budget.period,
        limit=_amount(limits),
        spent=_amount(account.spent),
        reserved=_amount(account.reserved),
        left=_amount(room_left(limits, account.spent)),
    )


def _amount(amount: Amount | Limits) -> AmountView:
    return AmountView(nano_usd=amount.nano_usd, tokens=amount.tokens, calls=amount.calls)
