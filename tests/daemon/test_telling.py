"""What is committed is told to the log, each kind at its level."""

from pathlib import Path

import orjson
import pytest

from darumad.clock import SystemClock
from darumad.daemon import telling
from darumad.events import Recorded
from darumad.logs import configure, logger
from darumad.settings import Log

BATCH = tuple(
    Recorded(seq, 5, kind, "one", {"agent": "echo"})
    for seq, kind in enumerate(("work.submitted", "work.succeeded", "work.dead"), 1)
)


@pytest.mark.parametrize(
    ("level", "told"),
    [("debug", ["work_submitted", "work_succeeded", "work_dead"]), ("info", ["work_succeeded", "work_dead"])],
)
def test_the_log_is_told_what_is_of_its_level(
    home: Path, monkeypatch: pytest.MonkeyPatch, level: str, told: list[str]
) -> None:
    file = home / "log"
    logs = configure(Log(format="json", level=level, file=file), clock=SystemClock(), environ={}, descriptor=2)
    monkeypatch.setattr(telling, "log", logger("told"))  # one that has met no road yet
    telling.tell(BATCH)
    logs.close()
    assert [orjson.loads(line)["event"] for line in file.read_text().splitlines()] == told
