"""What no request can carry: text that is none in UTF-8, such as some of a command line. Standard library only."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from darumad.errors import Problem, pointer

_SURROGATE = re.compile("[\ud800-\udfff]")


def unsent(said: Any) -> Iterator[Problem]:
    """Each text of `said` that is none, in its order and by its JSON pointer, with the first that is wrong with it."""
    rest: list[tuple[tuple[str | int, ...], Any]] = [((), said)]
    while rest:
        where, value = rest.pop()
        if isinstance(value, str) and (found := _SURROGATE.search(value)):
            yield Problem(pointer(*where), f"holds {found[0].encode('ascii', 'backslashreplace').decode()}")
        elif isinstance(value, Mapping):
            rest += reversed([((*where, key), each) for key, below in value.items() for each in (key, below)])
        elif isinstance(value, list | tuple):
            rest += reversed([((*where, index), each) for index, each in enumerate(value)])
