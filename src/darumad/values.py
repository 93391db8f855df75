"""Values: what the frozen classes of the house are made of, and the one door to msgspec. It imports none of them.

A frozen dataclass of the standard library costs twice. Declared, it compiles up to eight methods of its own, about a
millisecond: with 250 of them that was a third of the daemon's start. Made, it sets each field through
`object.__setattr__`, and an item's walk makes sixty. A `Value` is declared and made in C, and read from JSON in C, with
the types that its class declares. Two rooms declare theirs as dataclasses: supervision, which stands alone with Pykka,
and the simulator.
"""

from typing import TYPE_CHECKING, dataclass_transform

from msgspec import Struct, StructMeta, ValidationError, convert, field, to_builtins  # noqa: TID251 - the one door
from msgspec.json import Decoder  # noqa: TID251 - the one door
from msgspec.structs import FieldInfo, asdict, astuple, fields  # noqa: TID251 - the one door

if TYPE_CHECKING:
    from dataclasses import replace as changed  # mypy holds its arguments against the fields
else:
    from msgspec.structs import replace as changed  # noqa: TID251 - the one door

__all__ = [
    "Decoder",
    "FieldInfo",
    "StructMeta",
    "ValidationError",
    "Value",
    "asdict",
    "astuple",
    "changed",
    "convert",
    "field",
    "fields",
    "to_builtins",
]


@dataclass_transform(frozen_default=True, field_specifiers=(field,))
class Value(Struct, frozen=True):
    """Equal to another of its own class with equal fields, hashed by them, and never changed: `changed` makes another.

    `kw_only=True` behind the base asks for each field by its name; `eq=False` makes each equal to itself alone.
    """
