from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.journal.desk import Desk
from tests.kit.clock import FakeClock


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock(1_000_000.0)


@pytest.fixture
def desk(tmp_path: Path, clock: FakeClock) -> Iterator[Desk]:
    desk = Desk(tmp_path / "state", clock).open()
    yield desk
    desk.close()
