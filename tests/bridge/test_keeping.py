"""A disk that takes nothing: whoever waits for it is not ended by its limits, and whoever is sent away is innocent."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from darumad.agents.roles.conduct import failed
from darumad.bridge.keeping import StageCommits, without_room
from darumad.bridge.task import StageWatch
from darumad.errors import DarumaError, Unavailable
from darumad.journal.commits import Commits
from darumad.journal.requests import Outcome
from darumad.names import Seconds
from darumad.work.allowance import Allowance
from darumad.work.causes import ENDS, Course
from darumad.work.model import ModelFailed
from tests.bridge.test_ledger import JournalLedger, reserve
from tests.bridge.test_tasks import Wound
from tests.kit.clock import FakeClock

FULL = Unavailable("the disk is full", code="disk_full", retry_after=30.0)


class Disk:
    """A journal that keeps every request until it is let go, with what it answers then."""

    def __init__(self) -> None:
        self.kept: list[tuple[Any, Callable[[Sequence[Outcome]], None]]] = []

    def post(self, request: Any, reply: Callable[[Sequence[Outcome]], None]) -> None:
        self.kept.append((request, reply))

    def answer(self, answer: Any) -> None:
        for request, reply in self.kept:
            reply([Outcome(request, answer)])


async def test_while_what_was_done_waits_for_room_no_limit_of_its_stage_runs() -> None:
    clock, ended, disk = Wound(), list[Any](), Disk()
    watch = StageWatch(clock, hard=Seconds(100.0), idle=Seconds(30.0), expired=ended.append)  # type: ignore[arg-type]
    kept = StageCommits(Commits(disk.post, asyncio.get_running_loop()), watch)
    step = asyncio.ensure_future(kept.commit("a step"))  # type: ignore[arg-type]
    await asyncio.sleep(0)
    clock.advance(10_000.0)
    assert ended == []
    disk.answer("written")
    assert await step == "written"
    clock.advance(29.0)
    assert ended == [], "what is written is progress"
    clock.advance(2.0)
    assert ended, "and from then on the limits run"


async def test_what_may_not_begin_for_want_of_room_costs_nobody_anything() -> None:
    disk = Disk()
    watch = StageWatch(Wound(), hard=Seconds(100.0), idle=Seconds(30.0), expired=print)  # type: ignore[arg-type]
    commits = Commits(disk.post, asyncio.get_running_loop())
    effect = asyncio.ensure_future(StageCommits(commits, watch).commit("an effect begins"))  # type: ignore[arg-type]
    call = asyncio.ensure_future(
        reserve(JournalLedger(commits, FakeClock(1_795_000_000.0), new_id=lambda: "r", allowance=Allowance()))
    )
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    disk.answer(FULL)
    for refused in (effect, call):
        with pytest.raises(ModelFailed) as no_room:
            await refused
        result = failed(no_room.value)
        assert result.error is not None
        assert (result.error.kind, result.error.retry_after) == ("no_room", 30.0)
        assert ENDS["no_room"].course is Course.WAIT_OUT


@pytest.mark.parametrize("error", [Unavailable("the disk failed", code="io_error"), DarumaError("broken")])
def test_whatever_else_the_journal_says_is_left_as_it_is(error: DarumaError) -> None:
    assert without_room(error) is error
