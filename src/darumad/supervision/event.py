"""What a tree tells the outside."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Event:
    """Something happened to the life `incarnation` of `path` at `t`, in the tree's monotonic seconds."""

    name: str
    t: float
    path: str
    incarnation: int
    data: Mapping[str, object] = field(default_factory=dict)


Bus = Callable[[Event], None]
"""Takes each event on the thread it happens on: it must be quick and may be called from many threads."""
