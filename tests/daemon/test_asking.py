"""Who is asked after the start, who is asked again, and of whom it is told that they are well."""

from collections.abc import Callable

from darumad.agents.providers import Validity
from darumad.daemon.asking import AFTER, AGAIN, Asking
from tests.kit import FakeClock

WELL = Validity("connected", "it has model-a")
REFUSES = Validity("error", "it refuses the key (401)")
AWAY = Validity("error", "nothing answers", unreachable=True)


class Room:
    """Providers as they are found, and what was asked of them and told."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.found = {"away": AWAY, "refuses": REFUSES, "well": WELL}
        self.asked: list[str] = []
        self.told: list[str] = []
        self.asking = Asking(self.clock, self._ask, self.told.append)

    def _ask(self, provider: str, heard: Callable[[Validity], None]) -> None:
        self.asked.append(provider)
        heard(self.found[provider])


def test_who_could_not_be_reached_is_asked_until_it_is_and_nobody_else() -> None:
    room = Room()
    room.asking.open(room.found)
    room.clock.advance(AFTER)
    assert (room.asked, room.told) == (["away", "refuses", "well"], ["well"])
    room.clock.advance(AGAIN)
    assert (room.asked[3:], room.told) == (["away"], ["well"])
    room.found["away"] = WELL
    room.clock.advance(AGAIN)
    assert (room.asked[4:], room.told) == (["away"], ["well", "away"])
    room.clock.advance(10 * AGAIN)
    assert len(room.asked) == 5


def test_nobody_is_asked_after_the_end() -> None:
    room = Room()
    room.asking.open(room.found)
    room.clock.advance(AFTER)
    room.asking.close()
    room.clock.advance(10 * AGAIN)
    assert len(room.asked) == 3
