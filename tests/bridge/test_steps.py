"""Steps: what was paid for is on disk before anything follows, is not paid again, and is refused under an old fence."""

from collections.abc import Callable
from typing import Any

import pytest

from darumad.events import ContextCompacted
from darumad.journal.requests import Rescue
from darumad.work.item import WorkItem
from darumad.work.model import ModelFailed
from darumad.work.ports import Context
from darumad.work.result import Failure, StopReason, WorkResult
from tests.bridge.room import Room, completed
from tests.journal.desk import PREPARE

Rooms = Callable[..., Room]


class Paid:
    """Work of so many steps on these inputs, and which of them were made live."""

    def __init__(self, *inputs: Any, says: str = "first") -> None:
        self.inputs = inputs
        self.says = says
        self.live: list[Any] = []

    async def __call__(self, item: WorkItem, context: Context) -> WorkResult:
        outputs = [await context.steps.once("model", each, self._made(each)) for each in self.inputs]
        return completed(data=outputs)

    def _made(self, inputs: Any) -> Callable[[], Any]:
        async def run() -> dict[str, Any]:
            self.live.append(inputs)
            return {"said": f"{self.says} {inputs}"}

        return run


def rescued(stage: Room) -> Any:
    """The same item and attempt, claimed anew as after a crash of its holder."""
    stage.desk.call(Rescue(live=frozenset()))
    (held,) = stage.desk.claim(PREPARE)
    return held


def journalled(stage: Room) -> list[tuple[int, Any]]:
    return [(each["seq"], each["output"]["said"]) for each in stage.desk.reader.steps("one")]


@pytest.mark.parametrize("way", ["once", "last"])
def test_a_step_with_too_much_in_it_fails_and_is_not_kept(room: Rooms, way: str) -> None:
    async def too_much(item: WorkItem, context: Context) -> WorkResult:
        try:
            await getattr(context.steps, way)("read", {}, _too_much)
        except ModelFailed as failed:
            return completed(data=[failed.kind, failed.message])
        raise AssertionError

    stage = room(result=1000)
    stage.begin(too_much)
    done = stage.done()
    assert done.result.data[0] == "result_too_large"
    assert "the step read has 1,010 bytes, and `item.result_limit` is 1,000" in done.result.data[1]
    assert (done.steps, stage.desk.reader.steps("one")) == ((), [])


async def _too_much() -> str:
    return "x" * 999


def test_a_step_is_on_disk_before_the_next_begins(room: Rooms) -> None:
    stage = room()
    seen: list[int] = []

    async def look(item: WorkItem, context: Context) -> WorkResult:
        async def run() -> dict[str, str]:
            seen.append(len(stage.desk.reader.steps(item.id)))
            return {"said": "so"}

        for number in range(3):
            await context.steps.once("model", number, run)
        return completed()

    stage.begin(look)
    assert stage.done().result.success
    assert seen == [0, 1, 2]


def test_a_dialogue_that_was_shortened_is_told_of_with_its_item(room: Rooms) -> None:
    stage = room()

    async def shorten(item: WorkItem, context: Context) -> WorkResult:
        context.compacted(9_000, 400)
        return completed()

    stage.begin(shorten)
    assert stage.done().result.success
    assert stage.facts == [ContextCompacted("one", "optimizing", 1, 9_000, 400)]


def test_what_was_journalled_is_replayed_and_only_what_was_not_is_paid(room: Rooms) -> None:
    stage, first, again = room(), Paid("a", "b"), Paid("a", "b", "c", says="again")
    stage.begin(first)
    stage.done()
    stage.begin(again, held=rescued(stage), seat=stage.seat(2))
    assert stage.done().result.data == [{"said": "first a"}, {"said": "first b"}, {"said": "again c"}]
    assert again.live == ["c"]


@pytest.mark.parametrize(("inputs", "stepped"), [("a", False), ("ab", True), ("b", True)])
def test_an_end_says_whether_there_was_a_new_step_before_it(room: Rooms, inputs: str, stepped: bool) -> None:
    stage = room()
    stage.begin(Paid("a"))
    assert stage.done().stepped
    stage.begin(Paid(*inputs), held=rescued(stage), seat=stage.seat(2))
    assert stage.done().stepped is stepped


def test_a_replay_ends_at_the_first_difference_and_from_there_all_is_recorded_anew(room: Rooms) -> None:
    stage, first, other = room(), Paid("a", "b", "c"), Paid("a", "B", "c", says="again")
    stage.begin(first)
    stage.done()
    stage.begin(other, held=rescued(stage), seat=stage.seat(2))
    assert stage.done().result.data == [{"said": "first a"}, {"said": "again B"}, {"said": "again c"}]
    assert other.live == ["B", "c"], "c was the same, but what it answers to is not"
    assert journalled(stage) == [(1, "first a"), (2, "again B"), (3, "again c")]
    third = Paid("a", "B", "c", says="third")
    stage.begin(third, held=rescued(stage), seat=stage.seat(3))
    stage.done()
    assert third.live == [], "what was recorded anew is what is replayed"


def test_the_last_step_rides_in_the_stages_own_commit(room: Rooms) -> None:
    async def last(item: WorkItem, context: Context) -> WorkResult:
        async def run() -> dict[str, str]:
            return {"said": "so"}

        return completed(data=await context.steps.last("model", "a", run))

    stage = room()
    stage.begin(last)
    done = stage.done()
    assert [(each.seq, each.output) for each in done.steps] == [(1, {"said": "so"})]
    assert journalled(stage) == []


def test_a_step_under_an_old_fence_changes_nothing_is_told_and_ends_its_task(room: Rooms) -> None:
    stage, late = room(), Paid("a", "b")
    old = stage.held()
    new = rescued(stage)
    assert new.record.fence > old.record.fence
    stage.begin(late, held=old)
    done = stage.done()
    assert done.result.error is not None
    assert done.result.error.error_type == "ModelFailed"
    assert "no longer held under this fence" in done.result.error.message
    assert late.live == ["a"], "nothing follows a step that was refused"
    assert journalled(stage) == []
    assert stage.desk.events("one").count("work.stale_result") == 1


def test_an_agent_that_says_that_its_item_was_taken_is_believed_where_the_journal_has_said_so(room: Rooms) -> None:
    async def gives_up(item: WorkItem, context: Context) -> WorkResult:
        try:
            return await Paid("a")(item, context)
        except ModelFailed as failed:
            return WorkResult(stop_reason=StopReason.INTERRUPTED, error=Failure(kind=failed.kind, message="taken"))

    stage = room()
    old = stage.held()
    rescued(stage)
    stage.begin(gives_up, held=old)
    error = stage.done().result.error
    assert error is not None
    assert (error.kind, error.message) == ("stale", "taken")


def dialogue(*messages: str) -> dict[str, Any]:
    return {"system": "be brief", "messages": list(messages)}


def asked(stage: Room) -> list[Any]:
    return [each["asked"] for each in stage.desk.reader.steps("one")]


def test_what_the_model_was_asked_is_kept_beyond_what_it_was_asked_before(room: Rooms) -> None:
    stage = room()
    stage.begin(Paid(dialogue("a"), {"path": "x"}, dialogue("a", "b"), dialogue("c")))
    stage.done()
    assert asked(stage) == [
        {"system": "be brief", "messages": ["a"], "behind": 0}, None, {"messages": ["b"], "behind": 1},
        {"messages": ["c"], "behind": 0},
    ]  # fmt: skip


def test_a_run_that_was_resumed_keeps_the_same_as_one_that_was_not(room: Rooms) -> None:
    stage = room()
    stage.begin(Paid(dialogue("a"), dialogue("a", "b")))
    stage.done()
    stage.begin(
        Paid(dialogue("a"), dialogue("a", "b"), dialogue("a", "b", "c")), held=rescued(stage), seat=stage.seat(2)
    )
    stage.done()
    assert [each["behind"] for each in asked(stage)] == [0, 1, 2]
    stage.begin(Paid(dialogue("a"), {"path": "y"}), held=rescued(stage), seat=stage.seat(3))
    stage.done()
    assert [each and each["behind"] for each in asked(stage)] == [0, None]
