"""Whether what a document says fits the fields it is for, so that a scenario is wrong when it is read and not later."""

from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial
from math import inf
from sys import float_info
from types import UnionType
from typing import Any, get_args, get_origin, get_type_hints

from darumad.sim.pattern import check

_SAID: Mapping[type, str] = {str: "a text", int: "a whole number", float: "a number", bool: "true or false"}
_BETWEEN: Mapping[str, tuple[float, float]] = {
    "p": (0, 1), "frac": (0, 1), "code": (200, 599), "after": (0, inf), "bytes": (0, inf), "interval": (0, inf),
    "max": (1, inf), "concurrency_gt": (0, inf), "requests": (0, inf), "input_tokens": (0, inf),
    "output_tokens": (0, inf), "parallel": (1, inf), "queue": (0, inf), "num_ctx": (1, inf), "load": (0, inf),
    "time_scale": (0, 1_000_000), "per_frame": (0, inf), "per_token_ms": (0, inf), "retry_after": (0, inf),
}  # fmt: skip
_ONE_OF: Mapping[str, Sequence[str]] = {
    "overflow": ("truncate", "error"),
    "phase": ("accept", "headers", "body", "stream"),
    "body": ("std", "html", "empty", "list", "raw", "echo"),
    "where": ("head", "body", "end"),
    "category": ("cyber", "bio", "frontier_llm", "reasoning_extraction", "general_harms"),
    "last_role": ("user", "assistant", "tool", "system"),
}
_REGEX = frozenset({"prompt_re", "system_re"})


class Unfit(ValueError):  # noqa: N818 - it reads as what was found
    """All that does not fit, a sentence each."""

    def __init__(self, *said: str) -> None:
        super().__init__("\n".join(said))
        self.said = said


def said_in(error: Exception) -> Sequence[str]:
    """The sentences in `error`."""
    return error.said if isinstance(error, Unfit) else [str(error)]


def together(*reads: Callable[[], Any]) -> list[Any]:
    """What each of `reads` gives, in their order.

    Raises:
        Unfit: with all that is wrong for any of them.
    """
    given: list[Any] = []
    said: list[str] = []
    for read in reads:
        try:
            given.append(read())
        except ValueError as error:
            said += said_in(error)
    if said:
        raise Unfit(*said)
    return given


def listed(what: str, raw: Any) -> Sequence[Any]:
    """`raw`, which must be a list; nothing is an empty one.

    Raises:
        ValueError: it is none.
    """
    if raw is not None and not isinstance(raw, list | tuple):
        raise ValueError(f"`{what}` must be a list, not {raw!r}")
    return raw or ()


def mapped(what: str, raw: Any) -> dict[str, Any]:
    """`raw`, which must be a mapping; nothing is an empty one.

    Raises:
        ValueError: it is none.
    """
    if raw is not None and not isinstance(raw, Mapping):
        raise ValueError(f"`{what}` must be a mapping, not {raw!r}")
    return dict(raw or {})


def only(what: str, found: Mapping[str, Any], known: Collection[str]) -> None:
    """Refuses further keys.

    Raises:
        ValueError: `found` has another key than those that are `known`.
    """
    unknown = sorted(str(each) for each in found if each not in known)
    if unknown:
        raise ValueError(f"`{what}` has no {', '.join(unknown)}; it has {', '.join(sorted(known))}")


def number(what: str, raw: Any, kind: type = float) -> Any:
    """`raw`, which must be a number of the kind, within the bounds of the last word of `what`.

    Raises:
        ValueError: it is none, or out of bounds.
    """
    _fit(what, kind, raw)
    return kind(raw)


def fitting(what: str, form: type[Any], raw: Any) -> dict[str, Any]:
    """`raw` as arguments of the dataclass `form`.

    Raises:
        ValueError: names every key that does not fit, and says what it must be.
    """
    hints = get_type_hints(form)
    found = mapped(what, raw)
    fits = (partial(_fit, f"{what}.{name}", hints[name], value) for name, value in found.items() if name in hints)
    together(partial(only, what, found, hints), *fits)
    return found


def _fit(what: str, wanted: Any, value: Any) -> None:
    name = what.rpartition(".")[2]
    kinds = get_args(wanted) if isinstance(wanted, UnionType) else (wanted,)
    if value is None and type(None) in kinds:
        return
    if not any(_is(value, each) for each in kinds):
        said = " or ".join(_SAID.get(each, "a mapping") for each in kinds if each is not type(None))
        raise ValueError(f"`{what}` must be {said}, not {value!r}")
    if name in _ONE_OF and value not in _ONE_OF[name]:
        raise ValueError(f"`{what}` must be one of {', '.join(_ONE_OF[name])}, not {value!r}")
    least, most = _BETWEEN.get(name, (-inf, inf))
    if isinstance(value, int | float) and not least <= value <= most:
        bounds = f"at least {least:g}" if most == inf else f"from {least:g} to {most:g}"
        raise ValueError(f"`{what}` must be {bounds}, not {value!r}")
    if name in _REGEX:
        _compile(what, value)


def _is(value: Any, wanted: Any) -> bool:
    kind = get_origin(wanted) or wanted
    if kind is float:
        return is_amount(value)
    if kind is int:
        return isinstance(value, int) and not isinstance(value, bool)
    return isinstance(value, kind)


def is_amount(value: Any) -> bool:
    """Whether `value` is a number, and one that a clock or a count comes to."""
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= float_info.max


def _compile(what: str, pattern: str) -> None:
    try:
        check(pattern)
    except ValueError as error:
        raise ValueError(f"`{what}` is no regular expression of JSON Schema's: {error}") from error
