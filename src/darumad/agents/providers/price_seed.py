"""The prices and context windows that ship: genai-prices', written to `prices.json` when it is locked anew.

The daemon reads that file and nothing else: genai-prices is needed to write it (`make prices`), never to run, so no
price changes behind an operator's back and none is ever fetched. A price in the settings takes a seeded one's place.
"""

import functools
import json
from collections.abc import Iterator, Mapping
from decimal import Decimal
from fnmatch import fnmatchcase
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from darumad.agents.providers.prices import Price
from darumad.values import Value, changed

if TYPE_CHECKING:
    from genai_prices import types

VENDORS = ("anthropic", "openai")
"""Whose prices are seeded: the kinds of provider that charge."""
_FIELDS: Mapping[str, str] = {
    "input": "input_mtok", "output": "output_mtok", "cache_read": "cache_read_mtok", "cache_write": "cache_write_mtok",
}  # fmt: skip
_NANO = 1_000_000_000
_DIGIT = "[0-9]"


class _Seed(Value):
    """What is known of the models whose name one of these patterns matches; `window` is in tokens."""

    match: tuple[str, ...]
    price: Price
    window: int | None


def seeded(vendor: str, model: str) -> Price | None:
    """What `vendor` asks for `model`; None when nobody knows."""
    seed = _seed(vendor, model)
    return None if seed is None else seed.price


def seeded_window(vendor: str, model: str) -> int | None:
    """How many tokens fit `model` of `vendor`; None when nobody knows."""
    seed = _seed(vendor, model)
    return None if seed is None else seed.window


@functools.cache
def _seed(vendor: str, model: str) -> _Seed | None:
    """The first that the name matches has it."""
    return next(
        (seed for seed in _table().get(vendor, ()) if any(fnmatchcase(model, each) for each in seed.match)), None
    )


@functools.cache
def _table() -> Mapping[str, tuple[_Seed, ...]]:
    written = json.loads((files(__package__) / "prices.json").read_text(encoding="utf-8"))
    return {
        vendor: tuple(_Seed(tuple(each["match"]), _price(each["price"]), each.get("window")) for each in models)
        for vendor, models in written["vendors"].items()
    }


def _price(said: Mapping[str, Any]) -> Price:
    nano = {name: _nano(Decimal(said[name])) for name in _FIELDS}
    base = Price(nano["input"], nano["output"], nano["cache_read"], nano["cache_write"])
    return changed(base, long_from=said["long_from"], long=_price(said["long"])) if "long" in said else base


def _nano(usd: Decimal) -> int:
    return int(usd * _NANO)


# --- writing it -------------------------------------------------------------------------------------------------------


def drawn() -> str:
    """The file as it should be, from the installed genai-prices: a line a model."""
    import genai_prices  # noqa: PLC0415 - a development dependency, needed to write the file only
    from genai_prices.data import providers  # noqa: PLC0415 - the same

    vendors = {each.id: [*_models(each)] for each in providers if each.id in VENDORS}
    lines = (
        f'  "{vendor}": [\n' + ",\n".join(f"   {json.dumps(each)}" for each in vendors[vendor]) + "\n  ]"
        for vendor in VENDORS
    )
    source = f"genai-prices {genai_prices.__version__}"
    return (
        f'{{\n "source": "{source}",\n "unit": "USD a million tokens",\n "vendors": {{\n'
        + ",\n".join(lines)
        + "\n }\n}\n"
    )


def _models(provider: "types.Provider") -> Iterator[dict[str, Any]]:
    for each in provider.models:
        prices = _latest(each.prices)
        if prices.input_mtok is not None:  # else it is not paid by the token
            window = {} if each.context_window is None else {"window": each.context_window}
            yield {"match": [*_patterns(each.match)], "price": _drawn_price(prices), **window}


def _latest(prices: "types.ModelPrice | list[types.ConditionalPrice]") -> "types.ModelPrice":
    """The price that holds from the last date on.

    Raises:
        ValueError: a price depends on something else than the date.
    """
    if not isinstance(prices, list):
        return prices
    if any(each.constraint is not None and not hasattr(each.constraint, "start_date") for each in prices):
        raise ValueError(f"{prices} does not depend on the date alone")
    return prices[-1].prices


def _drawn_price(prices: "types.ModelPrice") -> dict[str, Any]:
    """What is not paid apart costs what fresh input does; no output, as of embeddings, costs nothing."""
    otherwise = {"input": prices.input_mtok, "output": Decimal(0)}
    said = {name: getattr(prices, field) for name, field in _FIELDS.items()}
    said = {name: otherwise.get(name, prices.input_mtok) if each is None else each for name, each in said.items()}
    base = {name: str(getattr(each, "base", each)) for name, each in said.items()}
    starts = {tier.start for each in said.values() for tier in getattr(each, "tiers", ())}
    if not starts:
        return base
    (start,) = starts
    long = {name: str(each.tiers[0].price if hasattr(each, "tiers") else each) for name, each in said.items()}
    return {**base, "long_from": start, "long": long}


def _patterns(clause: Any) -> Iterator[str]:
    """The clause as shell patterns, any of which is a match.

    Raises:
        ValueError: it says what no such pattern can say.
    """
    match type(clause).__name__:
        case "ClauseOr":
            for each in clause.or_:
                yield from _patterns(each)
        case "ClauseEquals":
            yield clause.equals
        case "ClauseStartsWith":
            yield f"{clause.starts_with}*"
        case "ClauseContains":
            yield f"*{clause.contains}*"
        case "ClauseRegex":
            yield _as_pattern(clause.regex)
        case other:
            raise ValueError(f"{other} is no shell pattern")


def _as_pattern(regex: str) -> str:
    r"""`^name-\d{8}$` as a shell pattern."""
    inner = regex.removeprefix("^").removesuffix("$").replace("\\.", ".")
    for count in (8, 4, 2):
        inner = inner.replace(f"\\d{{{count}}}", _DIGIT * count)
    if set(inner) & set("\\(){}+?|*^$"):
        raise ValueError(f"{regex} is no shell pattern")
    return inner
