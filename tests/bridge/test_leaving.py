"""An agent's result is taken or refused where it leaves the agent; a refused one counts as a crash."""

import hashlib
from math import inf, nan
from pathlib import Path
from typing import Any

import pytest

from darumad.bridge.leaving import LONGEST, Leaving, taken
from darumad.names import Seconds, Stage
from darumad.work.canonical import canonical
from darumad.work.codec import result_to_json
from darumad.work.item import WorkItem
from darumad.work.model import ModelFailed
from darumad.work.ports import Context
from darumad.work.result import Artifact, Failure, StopReason, WorkResult
from darumad.work.states import WorkState
from tests.bridge.room import completed
from tests.bridge.test_tasks import Rooms

DIGEST = hashlib.sha256(b"x").hexdigest()
LIMIT = 10_000
"""Bytes that a result may have."""


def taken_from(workspace: Path, result: Any, *, lost: bool = False) -> WorkResult:
    return taken(result, Leaving(Stage.EXECUTING, (Stage.EXECUTING,), workspace, lost, LIMIT))


def file(name: str = "page.md", media_type: str = "text/markdown", sha256: str = DIGEST) -> Artifact:
    return Artifact(name=name, media_type=media_type, size=1, sha256=sha256)


def failed(reason: StopReason, kind: str = "", **more: Any) -> WorkResult:
    return WorkResult(stop_reason=reason, error=Failure(kind=kind, message="so it says", **more) if kind else None)


def endless() -> list[Any]:
    within: list[Any] = []
    within.append(within)
    return within


@pytest.mark.parametrize(
    "result",
    [
        pytest.param(None, id="nothing"),
        pytest.param("done", id="a text"),
        pytest.param(WorkResult(stop_reason="completed"), id="a bare word"),  # type: ignore[arg-type] # on purpose
        pytest.param(completed(text="\udcff"), id="text that is no Unicode"),
        pytest.param(completed(text=5), id="text that is none"),
        pytest.param(completed(data={"a": "\udcff"}), id="data that is no Unicode"),
        pytest.param(completed(data={1, 2}), id="a set"),
        pytest.param(completed(data=2**70), id="a huge number"),
        pytest.param(completed(notes={"x": object()}), id="an object among the notes"),
        pytest.param(completed(artifacts="abc"), id="artifacts that are none"),
        pytest.param(completed(artifacts=(file("../../etc/passwd"),)), id="a file outside"),
        pytest.param(completed(artifacts=(file("/etc/passwd"),)), id="an absolute path"),
        pytest.param(completed(artifacts=(file("link"),)), id="a link that leads out"),
        pytest.param(completed(artifacts=(file("missing.md"),)), id="a file that is not there"),
        pytest.param(completed(artifacts=(file(sha256="0" * 64),)), id="a file that was changed since"),
        pytest.param(completed(artifacts=(file(media_type="a/b\r\nX: 1"),)), id="a header for a media type"),
        pytest.param(completed(artifacts=(file(sha256="00\r\nX: 1"),)), id="a header for a digest"),
        pytest.param(failed(StopReason.CANCELLED), id="cancelled, by nobody"),
        pytest.param(failed(StopReason.INTERRUPTED), id="interrupted, by nobody"),
        pytest.param(failed(StopReason.TOOL_ERROR, "stale"), id="stale, by nobody's word"),
        pytest.param(failed(StopReason.TOOL_ERROR, "handler_crashed"), id="a crash of ours"),
        pytest.param(failed(StopReason.PROVIDER_ERROR, "rate_limited", retry_after="soon"), id="a wait that is none"),
    ],
)
def test_what_cannot_be_taken_is_the_agent_s_crash(tmp_path: Path, result: Any) -> None:
    (tmp_path / "page.md").write_text("x")
    (tmp_path / "link").symlink_to("/etc/passwd")
    refused = taken_from(tmp_path, result)
    assert refused.stop_reason is StopReason.AGENT_CRASHED
    assert refused.error is not None
    assert (refused.error.kind, refused.error.error_type) == ("agent_crashed", "UnfitResult")


@pytest.mark.parametrize(
    ("result", "said"),
    [
        (completed(data={"a": [1, {2}]}), "/data/a/1 is no JSON: Type is not JSON serializable: set"),
        (completed(notes={"x": {1: 2}}), "/notes/x is no JSON: Dict key must be str"),
        (completed(text="\udcff"), "/text is no JSON: "),
        (completed(data=endless()), "/data/0/0/0"),
        (completed(data={"x": nan, "y": None}), "/data/x is no number that JSON has: nan or an infinity"),
        (completed(data=-inf), "/data is no number that JSON has"),
        (completed(notes={"deep": [None, (0.5, inf)]}), "/notes/deep/1/1 is no number"),
        (completed(artifacts=("a.txt",)), "WorkResult.artifacts holds a str, no Artifact"),
        (completed(memory_ids=[1]), "WorkResult.memory_ids holds a int, no str"),
        (failed(StopReason.TOOL_ERROR, "tool_error", hints=(5,)), "Failure.hints holds a int, no str"),
    ],
)
def test_what_is_wrong_with_a_result_is_told_by_its_place(tmp_path: Path, result: WorkResult, said: str) -> None:
    error = taken_from(tmp_path, result).error
    assert error is not None
    assert f"the agent's result cannot be taken: {said}" in error.message


def test_a_file_that_was_changed_after_it_was_named_is_told_by_its_name(tmp_path: Path) -> None:
    (tmp_path / "page.md").write_text("longer by now")
    error = taken_from(tmp_path, completed(artifacts=(file(),))).error
    assert error is not None
    assert "the file 'page.md' was changed after `artifact` had read it" in error.message


@pytest.mark.parametrize(
    "more",
    [{"text": "x" * LIMIT}, {"text": "x" * 9 * LIMIT}, {"data": ["x" * 100] * 100}, {"notes": {"x": "\u00e4" * 5000}}],
    ids=["a text", "a text that is too long by itself", "data", "notes"],
)
def test_a_result_that_is_too_large_is_a_failure_of_its_own_kind_and_says_what_to_do(
    tmp_path: Path, more: dict[str, Any]
) -> None:
    refused = taken_from(tmp_path, completed(**more))
    assert refused.stop_reason is StopReason.SCHEMA_VIOLATION
    assert refused.error is not None
    assert refused.error.kind == "result_too_large"
    assert "`item.result_limit` is 10,000: put what is large into files" in refused.error.message
    assert len(canonical(result_to_json(refused))) < LIMIT


@pytest.mark.parametrize(
    "result",
    [
        completed(text="done", data={"a": [1, None]}),
        completed(artifacts=(file(), file(media_type='text/plain; charset="utf-8"'))),
        failed(StopReason.TOOL_ERROR),
        failed(StopReason.TOOL_ERROR, "a kind that nobody knows"),
        failed(StopReason.PROVIDER_ERROR, "rate_limited", retry_after=Seconds(2)),
    ],
)
def test_a_sound_result_leaves_as_it_is(tmp_path: Path, result: WorkResult) -> None:
    (tmp_path / "page.md").write_text("x")
    assert taken_from(tmp_path, result) == result


def test_a_failure_s_words_are_made_to_fit(tmp_path: Path) -> None:
    error = taken_from(tmp_path, failed(StopReason.TOOL_ERROR, "tool_error", error_type="\udcff")).error
    assert error is not None
    assert error.error_type == "?"
    long = Failure(kind="tool_error", message="\udcff" + "x" * 1_000_000)
    cut = taken_from(tmp_path, WorkResult(stop_reason=StopReason.TOOL_ERROR, error=long)).error
    assert cut is not None
    assert cut.message == "?" + "x" * (LONGEST - 1)


def test_that_an_item_was_taken_away_is_believed_when_the_journal_has_said_so(tmp_path: Path) -> None:
    stale = failed(StopReason.INTERRUPTED, "stale")
    assert taken_from(tmp_path, stale, lost=True) == stale


def test_a_refused_result_reaches_the_actor_as_a_crash(room: Rooms) -> None:
    async def boast(item: WorkItem, context: Context) -> WorkResult:
        return completed(artifacts=(file("never-made.md"),))

    stage = room()
    stage.begin(boast)
    done = stage.done()
    assert done.result.stop_reason is StopReason.AGENT_CRASHED


def test_a_last_step_that_is_no_json_is_a_crash_and_does_not_ride(room: Rooms) -> None:
    async def step(item: WorkItem, context: Context) -> WorkResult:
        await context.steps.last("work", {}, _a_set)
        return completed()

    stage = room()
    stage.begin(step)
    done = stage.done()
    assert (done.result.stop_reason, done.steps) == (StopReason.AGENT_CRASHED, ())


@pytest.mark.parametrize(
    ("output", "said"),
    [
        ({"a": {1}}, "the step work returned what is no JSON, at /a: Type is not JSON serializable: set"),
        ([1.5, nan], "the step work returned nan or an infinity, which JSON has not, at /1"),
    ],
)
def test_what_a_step_cannot_keep_is_told_by_its_place(room: Rooms, output: Any, said: str) -> None:
    async def give() -> Any:
        return output

    async def step(item: WorkItem, context: Context) -> WorkResult:
        await context.steps.once("work", {}, give)
        return completed()

    stage = room()
    stage.begin(step)
    error = stage.done().result.error
    assert error is not None
    assert said in error.message


def test_a_stage_that_lost_its_item_says_so(room: Rooms) -> None:
    async def late(item: WorkItem, context: Context) -> WorkResult:
        try:
            await context.steps.once("late", {}, _one)
        except ModelFailed as error:
            return WorkResult(stop_reason=StopReason.INTERRUPTED, error=Failure(kind=error.kind, message=error.message))
        raise AssertionError

    stage = room()
    held = stage.held()
    stage.desk.succeed(held)
    assert stage.desk.state("one") is not WorkState.RUNNING
    stage.begin(late, held=held)
    error = stage.done().result.error
    assert error is not None
    assert error.kind == "stale"


async def _a_set() -> Any:
    return {1}


async def _one() -> int:
    return 1
