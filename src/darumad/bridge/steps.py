"""The steps of one stage, bound to one item under one fence.

Each step is on disk before anything follows from it, so that a restart does not repeat it. The last step of a stage may
be committed with the end of the stage.
"""

from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from typing import Any

from darumad.bridge.keeping import StageCommits
from darumad.journal.requests import STALE, DropSteps, Held, Step
from darumad.work.asked import Asked, beyond, is_dialogue
from darumad.work.canonical import canonical, digest, no_number, unwritable
from darumad.work.model import ModelFailed

_WITHIN: ContextVar[int] = ContextVar("_WITHIN", default=0)
"""The number of the step that whoever asks runs in: steps that run at once have each their own."""


class Steps:
    """Implements `work.ports.StepLog`. Used on the loop, also by many tasks of one stage at once.

    `limit` is how many bytes the output of a step may have as JSON.
    """

    def __init__(self, held: Held, commits: StageCommits, limit: int) -> None:
        self._held = held
        self._commits = commits
        self._limit = limit
        self._recorded = {seq: (kind, inputs, output) for seq, kind, inputs, output in held.steps}
        self._asked: Asked | None = None
        self._seq = 0
        self._lost = False
        self._stepped = False
        self._replayed: set[int] = set()
        self._riding: tuple[Step, ...] = ()

    @property
    def riding(self) -> tuple[Step, ...]:
        """The last step, to be committed together with the stage."""
        return self._riding

    @property
    def stepped(self) -> bool:
        """Whether the journal has a new step of this stage."""
        return self._stepped

    @property
    def seq(self) -> int:
        """The number of the step that whoever asks runs in; 0 outside of any."""
        return _WITHIN.get()

    @property
    def replayed(self) -> frozenset[int]:
        """The numbers of the steps that were taken from the journal."""
        return frozenset(self._replayed)

    @property
    def lost(self) -> bool:
        """Whether the journal has said that the item is no longer held here."""
        return self._lost

    def lose(self) -> ModelFailed:
        """What to raise now that the journal has said so."""
        self._lost = True
        return ModelFailed("stale", "the item is no longer held under this fence")

    async def once(self, kind: str, inputs: Any, run: Callable[[], Awaitable[Any]]) -> Any:
        """See `StepLog.once`.

        Raises:
            ModelFailed: kind `stale`: the item is no longer held here, so nothing may follow; `result_too_large`.
            TypeError: what `run` gave is no JSON.
        """
        known, step = await self._live(kind, inputs, run)
        if step is not None:
            if await self._commits.commit(step) is STALE:
                raise self.lose()
            self._stepped = True
        return known

    async def last(self, kind: str, inputs: Any, run: Callable[[], Awaitable[Any]]) -> Any:
        """See `StepLog.last`.

        Raises:
            ModelFailed: kind `result_too_large`.
            TypeError: what `run` gave is no JSON.
        """
        known, step = await self._live(kind, inputs, run)
        if step is not None:
            self._riding = (step,)
        return known

    async def _live(self, kind: str, inputs: Any, run: Callable[[], Awaitable[Any]]) -> tuple[Any, Step | None]:
        self._seq += 1
        seq = self._seq
        inputs_digest = digest(inputs)
        before, self._asked = self._asked, inputs if is_dialogue(inputs) else self._asked
        recorded = self._recorded.get(seq)
        if recorded is not None and recorded[:2] == (kind, inputs_digest):
            self._replayed.add(seq)
            return recorded[2], None
        if recorded is not None:
            await self._end_replay(seq)
        output = await _run_within(seq, run)
        self._see_size(kind, output)
        asked = beyond(before, inputs) if is_dialogue(inputs) else None
        return output, self._step(seq, kind, inputs_digest, output, asked)

    async def _end_replay(self, seq: int) -> None:
        """The first difference ends it: never a silent mix of old and new.

        What was recorded behind goes before anything runs: a step that runs beside this one may be kept before it is.
        One that has no record ends nothing: those behind it began before it had ended.
        """
        self._recorded.clear()
        record = self._held.record
        drop = DropSteps(item=record.item.id, fence=record.fence, attempt=record.attempt, stage=record.stage, seq=seq)
        if await self._commits.commit(drop) is STALE:
            raise self.lose()

    def _see_size(self, kind: str, output: Any) -> None:
        """What cannot be stored must not be relied on either; the stage's end, with which it may ride, would not be."""
        try:
            size = len(canonical([kind, output]))
        except TypeError as error:
            where = unwritable(output) or "/"
            raise TypeError(f"the step {kind} returned what is no JSON, at {where}: {error}") from error
        if (lost := no_number(output)) is not None:  # it would be `null` when the step is replayed
            raise TypeError(f"the step {kind} returned nan or an infinity, which JSON has not, at {lost or '/'}")
        if size > self._limit:
            said = f"the step {kind} has {size:,} bytes, and `item.result_limit` is {self._limit:,}"
            raise ModelFailed("result_too_large", f"{said}: put what is large into files")

    def _step(self, seq: int, kind: str, input_digest: str, output: Any, asked: Asked | None) -> Step:
        record = self._held.record
        return Step(
            item=record.item.id,
            fence=record.fence,
            attempt=record.attempt,
            stage=record.stage,
            seq=seq,
            kind=kind,
            input_digest=input_digest,
            output=output,
            asked=asked,
        )


async def _run_within(seq: int, run: Callable[[], Awaitable[Any]]) -> Any:
    """What `run` gives; whoever asks in it for the step's number gets `seq`."""
    token = _WITHIN.set(seq)
    try:
        return await run()
    finally:
        _WITHIN.reset(token)
