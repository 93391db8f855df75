"""What is asked about money: how the budgets stand, to raise or lower their limits, and what an item may cost."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from darumad.control.admission import Admission
from darumad.control.daemon import Daemon
from darumad.control.desk import Ask, Desk
from darumad.control.replies import AmountView, BudgetChange, BudgetsView, BudgetView, EstimateView
from darumad.control.wire import BudgetRequest, BudgetSetRequest, BudgetsRequest, SubmitRequest
from darumad.errors import Problem, Refused, unknown_agent, unknown_item, unknown_provider
from darumad.journal.requests import Setting
from darumad.names import ItemId, Role
from darumad.values import astuple
from darumad.work.allowance import NO_LIMIT, PERIODS, Override
from darumad.work.budget import EVER, UNITS, Account, Amount, Budget, room_left
from darumad.work.estimate import CameTo, Quote, spread_of, tightest, unpriced
from darumad.work.item import Limits, WorkItem
from darumad.work.model import Message
from darumad.work.result import Usage

_SUFFIX: Mapping[str, str] = {"nano_usd": "", "tokens": "_tokens", "calls": "_calls"}
"""How the field of a request goes on after its period, by unit."""
_ITEM, _AGENT, _PROVIDER = "item:", "agent:", "provider:"


async def show(desk: Desk, ask: Ask, request: BudgetsRequest) -> BudgetsView:  # noqa: ARG001 - an operation's signature
    """What is spent, reserved and left of every budget that has a limit, or of one scope's.

    Raises:
        Refused: there is no such agent, provider or item, and nothing is booked under its name.
    """
    if request.scope is not None:
        await _check_booked(desk, request.scope)
    return BudgetsView(items=await desk.read(_views, desk, request.scope))


async def estimate(desk: Desk, ask: Ask, request: SubmitRequest) -> EstimateView:
    """What an item may use before it is handed in; nothing is accepted, and no model is asked."""
    admitted = Admission(desk.daemon, ask).admit(request, ask.sent, ask.key)
    item = admitted.new.item
    quote = await desk.read(desk.daemon.providers.quote, item, await _turns(desk, item))
    spread = spread_of(await desk.read(desk.daemon.reader.came_to, item.agent))
    return EstimateView(
        agent=item.agent,
        provider=quote.provider,
        model=quote.model,
        a_call=None if quote.most is None else _used(quote.most),
        items=0 if spread is None else spread.items,
        median=None if spread is None else _amount(spread.median),
        most=None if spread is None else _amount(spread.most_of_them),
        allowed=_amount(await desk.read(_allowed, desk, item, quote.provider or "")),
        warnings=(*admitted.warnings, *_uncounted(item), *_unpriced(desk.daemon, quote)),
    )


async def _turns(desk: Desk, item: WorkItem) -> tuple[Message, ...]:
    """The earlier turns of its conversation, as a model would be shown them now."""
    return () if item.conversation is None else tuple(await desk.read(desk.daemon.reader.turns, item.conversation))


def _uncounted(item: WorkItem) -> Sequence[str]:
    if item.role is not Role.REVIEWER or all(each.text is not None for each in item.inputs):
        return ()
    return ("a call may cost more: its files are not counted, and a review is shown their beginnings",)


def _unpriced(daemon: Daemon, quote: Quote) -> Sequence[str]:
    if quote.provider is None or quote.model is None or quote.most is None or quote.most.nano_usd is not None:
        return ()
    if daemon.treasury.allowance.priced_only:
        return (f"it would be parked: {unpriced(quote.provider, quote.model)}",)
    return (f"the price of {quote.provider}:{quote.model} is not known: what it costs would be in no sum",)


async def set_(desk: Desk, ask: Ask, request: BudgetSetRequest) -> BudgetChange:
    """Sets limits from now on, also over restarts. What they make room for goes on at once.

    Raises:
        Refused: nothing was said, or what an item cannot have; there is no such agent, provider or item.
    """
    said = {where: word for where, word in _said(request) if word is not None}
    _check(request, said)
    await _check_scope(desk, request.scope)
    return await _change(desk, ask, request.scope, said)


async def reset(desk: Desk, ask: Ask, request: BudgetRequest) -> BudgetChange:
    """Goes back to what the settings say.

    Raises:
        Refused: there is no such agent, provider or item, and no limit was set on its name.
    """
    await _check_booked(desk, request.scope)
    return await _change(
        desk, ask, request.scope, {Override(request.scope, period, unit): "" for period in PERIODS for unit in UNITS}
    )


async def _change(desk: Desk, ask: Ask, scope: str, said: Mapping[Override, str]) -> BudgetChange:
    values = {where.key: word for where, word in said.items()}
    await desk.commits.commit(Setting(values=values, audits=tuple(map(ask.audit, values))))
    released = await desk.read(desk.daemon.treasury.review, scope)
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


async def _check_booked(desk: Desk, scope: str) -> None:
    """What is gone from the settings, or from the journal, is still looked at, and its limits are still lifted."""
    if not any(map(_is_booked, await desk.read(_views, desk, scope))):
        await _check_scope(desk, scope)


def _is_booked(view: BudgetView) -> bool:
    return any(astuple(view.spent)) or any(each is not None for each in astuple(view.limit))


async def _check_scope(desk: Desk, scope: str) -> None:
    await _check_item(desk, scope)
    _check_name(desk.daemon, scope)


async def _check_item(desk: Desk, scope: str) -> None:
    if scope.startswith(_ITEM):
        name = scope.removeprefix(_ITEM)
        if await desk.read(desk.daemon.reader.record, ItemId(name)) is None:
            raise unknown_item(name)


def _check_name(daemon: Daemon, scope: str) -> None:
    """A limit on a name that was mistyped would hold nobody back, and its operator would not know."""
    if scope.startswith(_AGENT):
        name = scope.removeprefix(_AGENT)
        agents = {*daemon.definitions(), *daemon.unmade(), *(str(each.get("agent", "")) for each in daemon.agents())}
        if name not in agents:
            raise unknown_agent(name, agents)
    if scope.startswith(_PROVIDER):
        name = scope.removeprefix(_PROVIDER)
        providers = {str(each["name"]) for each in daemon.providers.shown()}
        if name not in providers:
            raise unknown_provider(name, providers)


def _views(desk: Desk, scope: str | None) -> tuple[BudgetView, ...]:
    treasury = desk.daemon.treasury
    budgets = _of(scope, treasury.today) if scope else list(treasury.allowance.budgets(treasury.today))
    accounts = desk.daemon.reader.accounts(budgets)
    return tuple(_view(each, treasury.allowance.limits_of(each), accounts[each]) for each in budgets)


def _of(scope: str, day: str) -> list[Budget]:
    return [Budget(scope, period) for period in ((EVER,) if scope.startswith(_ITEM) else (day, EVER))]


def _allowed(desk: Desk, item: WorkItem, provider: str) -> Limits:
    """What every budget that the item falls under leaves for it."""
    treasury = desk.daemon.treasury
    over = treasury.allowance.limits_over(item.id, item.budget, item.agent, provider, treasury.today)
    accounts = desk.daemon.reader.accounts(over)
    return tightest(room_left(limits, accounts[budget].spent) for budget, limits in over.items())


def _used(usage: Usage) -> AmountView:
    """What a call uses; the money is null where nobody knows the price."""
    return AmountView(nano_usd=usage.nano_usd, tokens=usage.input_tokens + usage.output_tokens, calls=usage.calls)


def _view(budget: Budget, limits: Limits, account: Account) -> BudgetView:
    return BudgetView(
        scope=budget.scope,
        period=budget.period,
        limit=_amount(limits),
        spent=_amount(account.spent),
        reserved=_amount(account.reserved),
        left=_amount(room_left(limits, account.spent + account.reserved)),
    )


def _amount(amount: Amount | CameTo | Limits) -> AmountView:
    return AmountView(nano_usd=amount.nano_usd, tokens=amount.tokens, calls=amount.calls)
