"""Spreads: how long things take, and how long answers are, as distributions that a draw picks from. Pure."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import exp, log
from statistics import NormalDist
from typing import Any

from darumad.sim.fitting import is_amount

_NORMAL = NormalDist()
_EDGE = 1e-9


@dataclass(frozen=True, slots=True)
class Spread:
    """A distribution and its two parameters, as `SHAPES` takes them."""

    shape: str
    first: float
    second: float = 0.0

    def at(self, draw: float) -> float:
        """The value that a draw from 0.0 to 1.0 picks."""
        return SHAPES[self.shape](self.first, self.second, min(max(draw, _EDGE), 1 - _EDGE))

    def times(self, unit: float) -> "Spread":
        """The same spread in another unit."""
        second = self.second if self.shape == "lognormal" else self.second * unit
        return Spread(self.shape, self.first * unit, second)


def _pareto(p50: float, p99: float, draw: float) -> float:
    alpha = log(50) / log(p99 / p50) if p99 > p50 > 0 else 1e6
    return p50 * float((0.5 / (1 - draw)) ** (1 / alpha))


SHAPES: Mapping[str, Callable[[float, float, float], float]] = {
    "fixed": lambda value, _, __: value,
    "uniform": lambda least, most, draw: least + (most - least) * draw,
    "lognormal": lambda p50, sigma, draw: p50 * exp(sigma * _NORMAL.inv_cdf(draw)),
    "pareto": _pareto,
}
"""`fixed: value`, `uniform: [least, most]`, `lognormal: [median, sigma]`, `pareto: [p50, p99]`."""
PARAMETERS: Mapping[str, int] = {"fixed": 1}
"""How many a shape takes; the others take two."""


def spread_of(what: str, raw: Any) -> Spread:
    """The spread that a document describes under the key `what`: a number, or one shape with its parameters.

    Raises:
        ValueError: there is no such shape, or it has other parameters.
    """
    shape, given = next(iter(raw.items())) if isinstance(raw, dict) and len(raw) == 1 else ("fixed", raw)
    numbers = given if isinstance(given, list) else [given]
    right = all(is_amount(each) and each >= 0 for each in numbers)
    if shape not in SHAPES or not right or len(numbers) != PARAMETERS.get(shape, 2):
        raise ValueError(
            f"`{what}` must be a number, or one of fixed: VALUE, uniform: [LEAST, MOST], lognormal: [MEDIAN, SIGMA] and"
            f" pareto: [P50, P99], none of them below 0; not {raw!r}"
        )
    return Spread(shape, *(float(each) for each in numbers))
