"""The names of events, for whoever asks for some: a name that no event has would be waited for in vain."""

from darumad.errors import Problem, Refused, did_you_mean
from darumad.events import CATALOGUE

GAP = "gap"
"""What a stream says itself of events that it could not tell."""
_NAMES = (*(each.name for each in CATALOGUE), GAP)


def check_event_name(name: str, pointer: str) -> None:
    """Pass a name that an event has; `pointer` is where it was said.

    Raises:
        Refused: `invalid`, with the name that was perhaps meant.
    """
    if name not in _NAMES:
        said = f"no event is called {name}{did_you_mean(name, _NAMES)}"
        raise Refused("there is no such event", problems=[Problem(pointer, said)])
