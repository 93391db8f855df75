"""What is shown of an item whose optimizer failed: built with its end, and only where it goes on without that help."""

import asyncio
import threading
from collections.abc import Callable
from typing import Any

import pytest

from darumad.bridge import Done
from darumad.bridge.degraded import with_brief
from darumad.journal.requests import Held, Slot
from darumad.names import AgentName, Stage
from darumad.work.item import WorkItem
from darumad.work.model import Message
from darumad.work.ports import Context
from darumad.work.result import StopReason, WorkResult
from tests.bridge.room import PATIENCE, Room
from tests.work import build

Rooms = Callable[..., Room]
HOLDER = "optimizer/1#1"
TURNS = (Message(role="user", text="and before that?"), Message(role="assistant", text="nothing"))


def ended(result: WorkResult, stage: Stage = Stage.OPTIMIZING) -> Done:
    item = build.item(input={"n": 1}, constraints=("in English",), requirements=("it is short",))
    record = build.record(stage, of=item, attempt=1, answers=("blue",), feedback=({"issues": ["too long"]},))
    return Done(HOLDER, Held(record=record, slot=Slot(AgentName("*"), stage, HOLDER), turns=TURNS), result)


def test_an_optimizer_that_failed_leaves_all_of_a_brief_that_takes_no_model() -> None:
    brief: Any = with_brief(ended(build.failed("server_error"))).brief
    assert (brief["degraded"], brief["intent"], brief["input"]) == (True, "write the report", {"n": 1})
    assert (brief["constraints"], brief["criteria"], brief["answers"]) == (["in English"], ["it is short"], ["blue"])
    assert "too long" in str(brief["feedback"])
    assert [each["text"] for each in brief["messages"]] == ["and before that?", "nothing"]


@pytest.mark.parametrize(
    "done",
    [
        pytest.param(ended(build.done({})), id="the optimizer did its work"),
        pytest.param(ended(build.failed("interrupted")), id="it is put back"),
        pytest.param(ended(build.failed("tool_error"), Stage.EXECUTING), id="another stage failed"),
    ],
)
def test_where_the_item_does_not_go_on_degraded_nothing_is_built(done: Done) -> None:
    assert with_brief(done) is done


def test_one_that_ran_too_long_on_a_loop_that_is_then_replaced_comes_with_its_brief(room: Rooms) -> None:
    async def deaf(item: WorkItem, context: Context) -> WorkResult:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            told.set()
        await asyncio.Event().wait()
        raise AssertionError

    stage, told = room(timeout=0.01, grace=600.0), threading.Event()
    stage.begin(deaf)
    assert told.wait(PATIENCE)
    stage.bridge.replace()
    done = stage.done()
    assert done.result.stop_reason is StopReason.TIMEOUT
    assert done.brief is not None
