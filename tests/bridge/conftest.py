import logging
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
import structlog

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


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    """Nothing is logged: a traceback drawn for people costs more than all else here."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    yield
    structlog.reset_defaults()
