import logging
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import pytest
import structlog

from darumad.work.item import WorkRecord
from darumad.work.spent import places
from darumad.work.states import WorkState
from tests.actors.company import Company

FINAL = {WorkState.SUCCEEDED, WorkState.CANCELLED, WorkState.DEAD}


@pytest.fixture
def company(tmp_path: Path) -> Iterator[Callable[..., Company]]:
    """Makes the one company of a test; `start` it when it is as the test wants it.

    Whatever becomes of it, the events of each item tell where that item is.
    """
    made: list[Company] = []

    def make(**given: Any) -> Company:
        made.append(Company(tmp_path, stack, **given))
        return made[-1]

    with ExitStack() as stack:
        yield make
    for each in made:
        with closing(each.desk.reader):
            assert _told(each) == _standing(each)


def _standing(daemon: Company) -> dict[str, str | None]:
    """Of each item its state, the stage while it runs; None at its end."""
    records = daemon.desk.reader.each_record()
    return {each.item.id: None if each.state in FINAL else _place(each) for each in records}


def _place(record: WorkRecord) -> str:
    return record.stage.value if record.state is WorkState.RUNNING else record.state.value


def _told(daemon: Company) -> dict[str, str | None]:
    reader = daemon.desk.reader
    return {
        each.item.id: list(places(reader.events(0, limit=100_000, item=each.item.id)))[-1][1]
        for each in reader.each_record()
    }


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    """Nothing is logged: a traceback drawn for people costs more than all else here."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    yield
    structlog.reset_defaults()
