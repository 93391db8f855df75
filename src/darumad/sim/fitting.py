"""Whether what a document says fits the fields it is for, so that a scenario is wrong when it is read and not later."""

import re
from collections.abc import Collection, Mapping, Sequence
from math import inf
from types import UnionType
from typing import Any, get_args, get_origin, get_type_hints

_SAID: Mapping[type, str] = {str: "a text", int: "a whole number", float: "a number", bool: "true or false"}
_BETWEEN: Mapping[str, tuple[float, float]] = {
    "p": (0, 1), "frac": (0, 1), "code": (200, 599), "after": (0, inf), "bytes": (0, inf), "interval": (0, inf),
    "max": (1, inf), "concurrency_gt": (0, inf), "requests": (0, inf), "input_tokens": (0, inf),
    "output_tokens": (0, inf), "parallel": (1, inf), "queue": (0, inf), "num_ctx": (1, inf), "load": (0, inf),
    "time_scale": (0, inf), "per_frame": (0, inf), "per_token_ms": (0, inf),
}  # fmt: skip
_ONE_OF: Mapping[str, Sequence[str]] = {
    "overflow": ("truncate", "error"),
    "phase": ("accept", "headers", "body", "stream"),
    "body": ("std", "html", "empty", "list", "raw", "echo"),
    "mode": ("", "string", "broken", "cut", "unknown_tool", "schema", "missing", "type", "extra", "prose", "fence"),
    "last_role": ("user", "assistant", "tool", "system"),
}
_REGEX = frozenset({"prompt_re", "system_re"})


def listed(what: str, raw: Any) -> Sequence[Any]:
    """`raw`, which must be a list; nothing is an empty one.

    Raises:
        ValueError: it is none.
    """
    if raw is not None and not isinstance(raw, list | tuple):
        raise ValueError(f"`{what}` must be a list, not {raw!r}")
    return raw or ()


def mapped(what: str, raw: Any, known: Collection[str] | None = None) -> dict[str, Any]:
    """`raw`, which must be a mapping with no other keys than `known`; nothing is an empty one.

    Raises:
        ValueError: it is none, or has another key.
    """
    if raw is not None and not isinstance(raw, Mapping):
        raise ValueError(f"`{what}` must be a mapping, not {raw!r}")
    found = dict(raw or {})
    unknown = sorted(str(each) for each in found if known is not None and each not in known)
    if unknown:
        raise ValueError(f"`{what}` has no {', '.join(unknown)}; it has {', '.join(sorted(known or ()))}")
    return found


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
        ValueError: names the key and says what it must be.
    """
    hints = get_type_hints(form)
    found = mapped(what, raw, hints)
    for name, value in found.items():
        _fit(f"{what}.{name}", hints[name], value)
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
        raise ValueError(f"`{what}` must be one of {', '.join(filter(None, _ONE_OF[name]))}, not {value!r}")
    least, most = _BETWEEN.get(name, (-inf, inf))
    if isinstance(value, int | float) and not least <= value <= most:
        bounds = f"at least {least:g}" if most == inf else f"from {least:g} to {most:g}"
        raise ValueError(f"`{what}` must be {bounds}, not {value!r}")
    if name in _REGEX:
        _compile(what, value)


def _is(value: Any, wanted: Any) -> bool:
    kind = get_origin(wanted) or wanted
    if kind is float:
        return isinstance(value, int | float) and not isinstance(value, bool)
    if kind is int:
        return isinstance(value, int) and not isinstance(value, bool)
    return isinstance(value, kind)


def _compile(what: str, pattern: str) -> None:
    try:
        re.compile(pattern)
    except re.error as error:
        raise ValueError(f"`{what}` is no regular expression: {error}") from error
