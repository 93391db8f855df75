"""What an operator allows to be spent: limits by scope, from the settings and from what was said since. Pure."""

from collections.abc import Iterator, Mapping
from datetime import UTC, tzinfo
from types import MappingProxyType
from typing import Literal, NamedTuple

from darumad.values import Value, changed, field
from darumad.work.budget import EVER, EVERYTHING, UNITS, Budget, budgets_over
from darumad.work.item import Limits

Period = Literal["daily", "total"]
PERIODS: tuple[Period, ...] = ("daily", "total")
NO_LIMIT = "none"
"""What is said in place of a number to lift a limit."""
_KEY = "budget"


class Caps(Value, kw_only=True):
    """The limits of one scope: for every day, and for ever."""

    daily: Limits = field(default_factory=Limits)
    total: Limits = field(default_factory=Limits)


_NO_CAPS = Caps()


class Allowance(Value, kw_only=True):
    """All that may be spent: the caps of each scope, and what an item may use that says nothing.

    `priced_only` refuses calls whose price nobody knows.
    """

    caps: Mapping[str, Caps] = field(default_factory=lambda: MappingProxyType({}))
    item: Limits = field(default_factory=Limits)
    zone: tzinfo = UTC
    priced_only: bool = False

    def limits_of(self, budget: Budget) -> Limits:
        """What an operator allows this budget."""
        caps = self.caps.get(budget.scope, _NO_CAPS)
        return caps.total if budget.period == EVER else caps.daily

    def limits_over(self, item: str, own: Limits, agent: str, provider: str, day: str) -> dict[Budget, Limits]:
        """The limits that a call made now falls under.

        An item's budget is what an operator gave it since, else its `own`, else the one of all items.
        """
        its, *shared = budgets_over(item, agent, provider, day)
        said = _first_said(self.limits_of(its), _first_said(own, self.item))
        return {its: said, **{each: self.limits_of(each) for each in shared}}

    def budgets(self, day: str) -> Iterator[Budget]:
        """The budgets that have a limit, and the two of everything whether they have or not."""
        for scope in dict.fromkeys((EVERYTHING, *self.caps)):
            for period in (day, EVER):
                budget = Budget(scope, period)
                if scope == EVERYTHING or self.limits_of(budget) != Limits():
                    yield budget

    def overridden(self, said: Mapping[str, str]) -> "Allowance":
        """This allowance with what was `said` since, by its keys; an empty word says nothing."""
        caps = dict(self.caps)
        for key, word in said.items():
            where = Override.of(key)
            if where is not None and word:
                caps[where.scope] = _with(caps.get(where.scope, Caps()), where, word)
        return changed(self, caps=MappingProxyType(caps))


class Override(NamedTuple):
    """One limit that an operator can set while the daemon runs."""

    scope: str
    period: Period
    unit: str

    @property
    def key(self) -> str:
        """Under which it is kept."""
        return "/".join((_KEY, *self))

    @classmethod
    def of(cls, key: str) -> "Override | None":
        """The limit that `key` is for; None for the key of something else."""
        match key.split("/"):
            case [word, scope, "daily" | "total" as period, unit] if word == _KEY and unit in UNITS:
                return cls(scope, period, unit)
        return None


OVERRIDES = f"{_KEY}/"
"""What every such key begins with."""


def _with(caps: Caps, where: Override, word: str) -> Caps:
    limits = {unit: getattr(getattr(caps, where.period), unit) for unit in UNITS}
    limits[where.unit] = None if word == NO_LIMIT else int(word)
    return changed(caps, **{where.period: Limits(**limits)})


def _first_said(own: Limits, otherwise: Limits) -> Limits:
    return Limits(
        nano_usd=otherwise.nano_usd if own.nano_usd is None else own.nano_usd,
        tokens=otherwise.tokens if own.tokens is None else own.tokens,
        calls=otherwise.calls if own.calls is None else own.calls,
    )
