"""What a setting is made of: its default, its description, and where its number may lie."""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Generic, TypeVar

from darumad.values import Value, field

T = TypeVar("T")


def nothing() -> Mapping[str, Any]:
    """A mapping without entries."""
    return MappingProxyType({})


class Bounds(Value, kw_only=True):
    """Where a number may lie; every bound that is given holds."""

    at_least: float | None = None
    above: float | None = None
    at_most: float | None = None

    def broken_by(self, value: float) -> str | None:
        """The bound that `value` breaks, in words."""
        if self.at_least is not None and value < self.at_least:
            return f"at least {self.at_least:g}"
        if self.above is not None and value <= self.above:
            return f"more than {self.above:g}"
        if self.at_most is not None and value > self.at_most:
            return f"at most {self.at_most:g}"
        return None


POSITIVE = Bounds(above=0)
"""More than nothing."""
ONE_UP = Bounds(at_least=1)
"""A count of something that must be there."""
SHARE = Bounds(at_least=0, at_most=1)
"""A part of a whole."""


class About(Value, Generic[T]):
    """What is known of a setting: its description, its default, where it may lie. It is its field's default factory.

    `shown` is the default in words, for one that is made for whoever runs the daemon.
    """

    says: str
    default: Callable[[], T]
    bounds: Bounds | None = None
    shown: str = ""

    def __call__(self) -> T:
        """The default."""
        return self.default()


def setting(default: T, says: str, bounds: Bounds | None = None) -> T:
    """A field with its default, its description and where it may lie."""
    return field(default_factory=About(says, lambda: default, bounds))


def computed(default: Callable[[], T], says: str, shown: str) -> T:
    """A field whose default is made for whoever runs the daemon; `shown` is that default in words."""
    return field(default_factory=About(says, default, shown=shown))


def named(says: str, default: Callable[[], Mapping[str, T]] = nothing) -> Mapping[str, T]:
    """A field that holds any number of a kind, each by its name."""
    return field(default_factory=About(says, default))
