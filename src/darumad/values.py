"""Values: the frozen dataclasses of the house, cheap to declare and to make. It imports nothing of the house.

A frozen dataclass of the standard library costs twice. Declared, it compiles up to eight methods of its own, about a
millisecond: with 300 of them that was a third of the daemon's start. Made, it sets each field through
`object.__setattr__`, which takes six times as long as an assignment: with the 30 fields of a work record that was a
tenth of what accepting an item costs. A value is such a dataclass in everything else (`fields`, `replace`, `match`).
Two rooms declare theirs as they come: supervision, which stands alone with Pykka, and the simulator.
"""

from collections.abc import Callable
from dataclasses import MISSING, Field, FrozenInstanceError, dataclass, field, fields
from operator import attrgetter
from reprlib import recursive_repr
from typing import TYPE_CHECKING, Any, TypeVar, dataclass_transform, overload

T = TypeVar("T")

__all__ = ["changed", "frozen"]

FEW = 3
"""Up to so many fields are set through their slots; for more it pays to open the instance and to shut it again."""

Every = tuple[Field[Any], ...]
"""The fields that a value is made with."""
Last = tuple[str, ...]
"""The methods that are called when it is."""

if TYPE_CHECKING:
    from dataclasses import replace as changed
else:

    def changed(value: T, /, **fields: object) -> T:
        """A value with some fields changed: `dataclasses.replace`, in a third of its time."""
        return value.__replace__(**fields)


@overload
def frozen(cls: type[T], /) -> type[T]: ...


@overload
def frozen(*, kw_only: bool = ..., eq: bool = ...) -> Callable[[type[T]], type[T]]: ...


@dataclass_transform(frozen_default=True, field_specifiers=(field,))
def frozen(cls: type[Any] | None = None, /, *, kw_only: bool = False, eq: bool = True) -> Any:
    """`cls` as `@dataclass(frozen=True, slots=True)` would make it; `kw_only` and `eq` are as there.

    Its `__init__` and `__replace__`, which `changed` calls and `copy.replace` from Python 3.13 on, are compiled when
    it is first made or changed.

    Raises:
        TypeError: the class is none that `dataclass` takes.
    """
    return _declared(cls, kw_only, eq) if cls is not None else lambda cls: _declared(cls, kw_only, eq)


def _declared(cls: type[Any], kw_only: bool, eq: bool) -> type[Any]:  # noqa: FBT001 - as `dataclass` takes them
    cls.__doc__ = cls.__doc__ or cls.__name__  # or `dataclass` would write one, which takes longer than all the rest
    shut = dataclass(init=False, repr=False, eq=False, slots=True, kw_only=kw_only)(cls)
    own = vars(shut)
    methods = _of_every_value(tuple(each.name for each in fields(shut) if each.repr))
    if eq and "__eq__" not in own:
        methods |= _compared(tuple(each.name for each in fields(shut) if each.compare))
    for name, method in (methods | _made_at_first_use(shut)).items():
        if name not in own:
            setattr(shut, name, method)
    return shut


def _of_every_value(shown: tuple[str, ...]) -> dict[str, Any]:
    @recursive_repr()
    def written(self: object) -> str:
        return f"{type(self).__qualname__}({', '.join(f'{name}={getattr(self, name)!r}' for name in shown)})"

    return {"__repr__": written, **_FROZEN}


def _frozen_set(self: object, name: str, _: object) -> None:
    raise FrozenInstanceError(f"cannot assign to field {name!r} of {type(self).__name__}")


def _frozen_delete(self: object, name: str) -> None:
    raise FrozenInstanceError(f"cannot delete field {name!r} of {type(self).__name__}")


def _state(self: Any) -> list[object]:
    return [getattr(self, each.name) for each in fields(self)]


def _set_state(self: Any, state: list[object]) -> None:
    for each, said in zip(fields(self), state, strict=True):
        object.__setattr__(self, each.name, said)


_FROZEN = {
    "__setattr__": _frozen_set,
    "__delattr__": _frozen_delete,
    "__getstate__": _state,
    "__setstate__": _set_state,
}


def _compared(names: tuple[str, ...]) -> dict[str, Any]:
    """Equality and hash over the fields of `names`, as one tuple."""
    said = attrgetter(*names) if len(names) > 1 else _one_or_none(names)

    def equals(self: object, other: object) -> bool:
        return said(self) == said(other) if other.__class__ is self.__class__ else NotImplemented

    return {"__eq__": equals, "__hash__": lambda self: hash(said(self))}


def _one_or_none(names: tuple[str, ...]) -> Callable[[object], object]:
    if not names:
        return lambda _: ()
    only = attrgetter(*names)
    return lambda self: (only(self),)


def _made_at_first_use(cls: type[Any]) -> dict[str, Any]:
    """`__init__` and `__replace__`, each of which puts what is compiled in its place and calls it."""

    def make(self: Any, *args: object, **named: object) -> None:
        _compile(cls, "__init__", _making)
        cls.__init__(self, *args, **named)

    def replace(self: Any, **named: object) -> object:
        _compile(cls, "__replace__", _changing)
        return cls.__replace__(self, **named)

    return {"__init__": make, "__replace__": replace}


def _compile(cls: type[Any], name: str, text: Callable[[Every, Last], str]) -> None:
    """Gives `cls` a method called `name` of its own.

    Of many fields, an instance is of an open class with the same slots while it is made, so that they are assigned as
    such; it is of its own class, and frozen, before anybody else sees it. What no field is called begins with `__`.
    """
    every = tuple(each for each in fields(cls) if each.init)
    names: dict[str, Any] = {"__become": object.__setattr__, "__missing": MISSING, "__class": cls}
    if len(every) > FEW:
        names["__opened"] = _opened(cls)
    for each in every:
        names[f"__set_{each.name}"] = getattr(cls, each.name).__set__
        names[f"__default_{each.name}"] = each.default
        names[f"__make_{each.name}"] = each.default_factory
    exec(text(every, ("__post_init__",) if hasattr(cls, "__post_init__") else ()), names)  # noqa: S102 - as dataclasses
    names[name].__qualname__ = f"{cls.__qualname__}.{name}"
    setattr(cls, name, names[name])


def _opened(cls: type[Any]) -> type[Any]:
    """A class that an instance of `cls` can become, and whose fields can be assigned."""
    kept = {name: vars(cls)[name] for name in ("__slots__", "__orig_bases__") if name in vars(cls)}
    return type(cls.__name__, cls.__bases__, kept | {"__setattr__": object.__setattr__})


def _making(every: Every, last: Last) -> str:
    """The text of `__init__`; it calls the methods `last` at its end."""
    positional = [_parameter(each) for each in every if not each.kw_only]
    keyword = [_parameter(each) for each in every if each.kw_only]
    parameters = ", ".join(["self", *positional, *(["*", *keyword] if keyword else [])])
    given = {each.name: each.name for each in every}
    given |= {
        each.name: f"__make_{each.name}() if {each.name} is __missing else {each.name}"
        for each in every
        if each.default_factory is not MISSING
    }
    return "\n ".join([f"def __init__({parameters}):", *_filled("self", given, last), "return None"])


def _changing(every: Every, last: Last) -> str:
    """The text of `__replace__`, likewise."""
    parameters = ", ".join(["self", *(["*"] if every else []), *(f"{each.name}=__missing" for each in every)])
    given = {each.name: f"self.{each.name} if {each.name} is __missing else {each.name}" for each in every}
    made = "__other = __class.__new__(self.__class__)"
    return "\n ".join([f"def __replace__({parameters}):", made, *_filled("__other", given, last), "return __other"])


def _parameter(each: Field[Any]) -> str:
    if each.default_factory is not MISSING:
        return f"{each.name}=__missing"
    return each.name if each.default is MISSING else f"{each.name}=__default_{each.name}"


def _filled(target: str, given: dict[str, str], last: Last) -> list[str]:
    """The lines that give `target` its fields and call its methods `last`."""
    calls = [f"{target}.{name}()" for name in last]
    if len(given) <= FEW:
        return [*(f"__set_{name}({target}, {said})" for name, said in given.items()), *calls]
    assigned = (f"{target}.{name} = {said}" for name, said in given.items())
    opening = [f"__own = {target}.__class__", f"__become({target}, '__class__', __opened)"]
    return [*opening, *assigned, f"{target}.__class__ = __own", *calls]
