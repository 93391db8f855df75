"""From what was written to what is meant: each leaf becomes its field's type, and all that is wrong is found. Pure."""

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from types import MappingProxyType, NoneType, UnionType
from typing import Any, Literal, TypeVar, Union, get_args, get_origin

from darumad.errors import Problem, did_you_mean
from darumad.names import NanoUsd, Seconds
from darumad.redaction import redact
from darumad.settings.fields import About
from darumad.settings.providers import BY_KIND, ProviderSettings
from darumad.settings.sources import Branch, Leaf, Node, empty
from darumad.settings.units import Bytes, parse_duration, parse_money, parse_size
from darumad.values import FieldInfo, Value, field, fields

T = TypeVar("T", bound=Value)
_BEYOND_NUMBERS = 1 << 53
"""What the journal and JSON no longer carry exactly, and the commands do not take either."""


class Reading(Value):
    """One pass over a tree: what was wrong, and where each value and section stood. Relative paths begin at `here`.

    Where the file was not `legible` nothing is held to be left unsaid: it may be said there.
    """

    here: Path
    legible: bool = True
    problems: list[Problem] = field(default_factory=list)
    origins: dict[str, str] = field(default_factory=dict)
    sections: dict[str, str] = field(default_factory=dict)

    def section(self, kind: type[T], node: Node, path: str, like: T) -> T:
        """A `kind` with what `node` says, and `like` where it is silent."""
        if isinstance(node, Leaf):
            if node.value is not None:
                self._wrong(path, "must hold further keys", node.origin)
            node = empty(node.origin)
        self.sections[path] = node.origin
        known = {each.name: each for each in settable(kind)}
        values: dict[str, Any] = {}
        for name, below in node.parts.items():
            dotted = f"{path}.{name}" if path else name
            if name in known:
                values[name] = self._field(known[name], below, dotted, getattr(like, name))
            else:
                self._unknown(dotted, name, known, below.origin)
        return kind(**{each: getattr(like, each) for each in known} | values)

    def origin_of(self, path: str) -> str:
        """Where the setting at `path` was written, or the section that lacks it; empty where neither was."""
        while path:
            found = self.origins.get(path) or self.sections.get(path)
            if found:
                return found
            path = path.rpartition(".")[0]
        return ""

    def _field(self, known: FieldInfo, node: Node, path: str, like: Any) -> Any:
        hint = known.type
        if get_origin(hint) is Mapping:
            return self._mapping(get_args(hint)[1], node, path, like)
        if isinstance(hint, type) and issubclass(hint, Value):
            return self.section(hint, node, path, like)
        if isinstance(node, Branch):
            self._wrong(path, "is one value and holds no further keys", node.origin)
            return like
        return self._value(hint, about(known), node, path, like)

    def _mapping(self, hint: Any, node: Node, path: str, like: Mapping[str, Any]) -> Mapping[str, Any]:
        if isinstance(node, Leaf):
            if node.value is not None:
                self._wrong(path, "must hold names with values", node.origin)
            return like
        parts = {name: self._named(hint, name, below, f"{path}.{name}", like) for name, below in node.parts.items()}
        return MappingProxyType({**like, **parts})

    def _named(self, hint: Any, name: str, node: Node, path: str, like: Mapping[str, Any]) -> Any:
        if hint is ProviderSettings:
            return self.section(ProviderSettings, node, path, like.get(name) or self._provider_like(node, path))
        if isinstance(hint, type) and issubclass(hint, Value):
            return self.section(hint, node, path, hint())
        if isinstance(node, Branch):
            self._wrong(path, "is one value and holds no further keys", node.origin)
            return None
        return self._value(hint, None, node, path, None)

    def _provider_like(self, node: Node, path: str) -> ProviderSettings:
        kind = node.parts.get("kind") if isinstance(node, Branch) else None
        if kind is None and self.legible:
            self._wrong(path, f"says no `kind`: one of {', '.join(BY_KIND)}", node.origin)
        return BY_KIND.get(str(getattr(kind, "value", None)), BY_KIND["anthropic"])

    def _value(self, hint: Any, of: About[Any] | None, leaf: Leaf, path: str, like: Any) -> Any:
        options = get_args(hint) if get_origin(hint) in {Union, UnionType} else (hint,)
        value = None if leaf.value is None or leaf.value == "null" else leaf.value
        if value is None:
            if NoneType in options:
                self.origins[path] = leaf.origin
                return None
            return of.default() if of and not of.shown else like
        try:
            read = self._read(options[0], value)
            _keep_within(of, read)
        except ValueError as error:
            self._wrong(path, f"must be {error}, not {_quoted(value)}", leaf.origin)
            return like
        self.origins[path] = leaf.origin
        return read

    def _read(self, hint: Any, value: Any) -> Any:
        if get_origin(hint) is Literal:
            return _word(value, get_args(hint))
        if hint is Path:
            return self.here / _path(value)
        return _READERS[hint](value)

    def _unknown(self, path: str, name: str, known: Iterable[str], origin: str) -> None:
        self._wrong(path, f"is no setting{did_you_mean(name, known)}", origin)

    def _wrong(self, path: str, what: str, origin: str) -> None:
        self.problems.append(Problem(path, f"{what} ({origin})"))


def settable(kind: type[Value]) -> tuple[FieldInfo, ...]:
    """The fields of a section that a person may set."""
    return tuple(each for each in fields(kind) if each.name not in {"said", "read_from"})


def about(known: FieldInfo) -> About[Any]:
    """What is known of a field that is no section: a section's own fields tell."""
    assert isinstance(known.default_factory, About)
    return known.default_factory


def _keep_within(of: About[Any] | None, value: Any) -> None:
    broken = of.bounds.broken_by(value) if of and of.bounds else None
    if broken:
        raise ValueError(broken)


def _quoted(value: Any) -> str:
    return redact(repr(value))[:80]


def _path(value: Any) -> Path:
    if not isinstance(value, str) or not value.strip():
        raise ValueError("a path")
    if "\0" in value:
        raise ValueError("a path, which holds no NUL")
    return Path(value).expanduser()


def _absolute(value: Any) -> Path:
    path = _path(value)
    if not path.is_absolute():
        raise ValueError("a list of absolute paths")
    return path


def _text(value: Any) -> str:
    if not isinstance(value, str) or not value:
        raise ValueError("a text")
    return value


def _word(value: Any, words: tuple[str, ...]) -> str:
    if value not in words:
        raise ValueError(f"one of {', '.join(words)}")
    return str(value)


def _yes_or_no(value: Any) -> bool:
    words = {"true": True, "yes": True, "on": True, "false": False, "no": False, "off": False}
    said = str(value).lower()
    if said not in words:
        raise ValueError("true or false")
    return words[said]


def _whole(value: Any) -> int:
    number = value if isinstance(value, int) and not isinstance(value, bool) else _whole_of(value)
    if abs(number) >= _BEYOND_NUMBERS:
        raise ValueError("a whole number below 2^53")
    return number


def _whole_of(value: Any) -> int:
    try:
        return int(_text(value).replace("_", ""))
    except ValueError:
        raise ValueError("a whole number") from None


def _number(value: Any) -> float:
    if isinstance(value, bool):
        raise ValueError("a number")  # noqa: TRY004 - one family for what is wrong in a file
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        raise ValueError("a number") from None
    if number != number or number in {float("inf"), float("-inf")}:  # noqa: PLR0124 - not a number differs from itself
        raise ValueError("a finite number")
    return number


def _unit(parse: Callable[[str], Any]) -> Callable[[Any], Any]:
    def read(value: Any) -> Any:
        return parse(str(value) if value is not None else "")

    return read


def _list_of(read: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Reads a list; the environment, where everything is text, has its entries between commas."""

    def read_all(value: Any) -> tuple[Any, ...]:
        if isinstance(value, str):
            value = value.split(",")
        if not isinstance(value, list):
            raise ValueError("a list")  # noqa: TRY004 - one family for what is wrong in a file
        return tuple(map(read, value))

    return read_all


_READERS: Mapping[Any, Callable[[Any], Any]] = {
    str: _text,
    tuple[Path, ...]: _list_of(lambda value: _absolute(_text(value).strip())),
    tuple[str, ...]: _list_of(lambda value: _text(value).strip()),
    bool: _yes_or_no,
    int: _whole,
    float: _number,
    Seconds: _unit(parse_duration),
    Bytes: _unit(parse_size),
    NanoUsd: _unit(parse_money),
}
