"""What the tools of one stage do outside, bound to one item under one fence.

Started before, done after, each on disk before anything follows it: a kill in between is seen for what it is.
"""

from collections.abc import Awaitable, Callable
from typing import Any

from darumad.bridge.keeping import StageCommits
from darumad.bridge.steps import Steps
from darumad.journal.requests import STALE, EffectEnd, EffectStart, Held
from darumad.work.effects import (
    Effect,
    EffectState,
    NothingDone,
    done_before,
    fresh_key,
    standing_in,
    unknown,
)


class Effects:
    """Implements `work.ports.EffectLog`. Used on the loop, within steps and outside of any, also many at once."""

    def __init__(self, held: Held, commits: StageCommits, steps: Steps) -> None:
        self._record = held.record
        self._commits = commits
        self._steps = steps
        self._known = list(held.effects)
        self._used = {each.key for each in held.effects}

    @property
    def unknown(self) -> tuple[Effect, ...]:
        """See `EffectLog.unknown`."""
        return unknown(self._known) if self._known else ()

    @property
    def done(self) -> tuple[Effect, ...]:
        """See `EffectLog.done`."""
        return done_before(self._known, self._record.attempt) if self._known else ()

    async def once(
        self, tool: str, arguments: Any, run: Callable[[str], Awaitable[Any]], *, idempotent: bool, repeatable: bool
    ) -> Any:
        """See `EffectLog.once`.

        Raises:
            ModelFailed: kind `stale`: the item is no longer held here, so nothing may follow; `no_room`.
        """
        attempt, seq = self._record.attempt, self._steps.seq
        known = standing_in(self._open(), tool, arguments, attempt=attempt, seq=seq, repeatable=repeatable)
        if known is not None and known.attempt == attempt:
            self._known.remove(known)  # it answers for one call; the next one like it is meant
        if known is not None and known.state is EffectState.DONE:
            return known.output
        key = self._fresh_key(seq) if known is None else known.key
        await self._commit(self._started(key, seq, tool, arguments, idempotent=idempotent))
        try:
            output = await run(key)
        except NothingDone:
            await self._commit(self._ended(key, EffectState.VOID, None))
            self._used.discard(key)  # whoever tries once more is the next of its step again
            raise
        await self._commit(self._ended(key, EffectState.DONE, output))
        return output

    def _fresh_key(self, seq: int) -> str:
        record = self._record
        key = fresh_key(record.item.id, record.attempt, record.stage, seq, used=self._used)
        self._used.add(key)
        return key

    def _open(self) -> list[Effect]:
        """What a replayed step of this attempt has not answered for already."""
        replayed, attempt = self._steps.replayed, self._record.attempt
        return [each for each in self._known if each.attempt != attempt or each.seq not in replayed]

    def _started(self, key: str, seq: int, tool: str, arguments: Any, *, idempotent: bool) -> EffectStart:
        record = self._record
        return EffectStart(
            item=record.item.id,
            fence=record.fence,
            attempt=record.attempt,
            stage=record.stage,
            seq=seq,
            key=key,
            tool=tool,
            arguments=arguments,
            idempotent=idempotent,
        )

    def _ended(self, key: str, state: EffectState, output: Any) -> EffectEnd:
        record = self._record
        return EffectEnd(
            item=record.item.id,
            fence=record.fence,
            attempt=record.attempt,
            stage=record.stage,
            key=key,
            state=state,
            output=output,
        )

    async def _commit(self, request: EffectStart | EffectEnd) -> None:
        if await self._commits.commit(request) is STALE:
            raise self._steps.lose()
