from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.bridge.room import Room
from tests.journal.desk import Desk
from tests.kit.clock import FakeClock


@pytest.fixture
def room(tmp_path: Path) -> Iterator[Callable[..., Room]]:
    """Makes a bridge under these limits, in seconds."""
    with ExitStack() as stack:
        desk = Desk(tmp_path / "state", FakeClock(1_000_000.0)).open()
        stack.callback(desk.close)
        yield lambda **limits: Room(desk, tmp_path, stack, limits)
