"""Effects of held items' tools: fenced like steps, and settled by a person where nobody knows what happened."""

from collections.abc import Sequence
from typing import Any

from darumad.errors import Refused
from darumad.events import WorkStaleResult
from darumad.journal.batch import Batch
from darumad.journal.encoding import dump, dump_or_null, load
from darumad.journal.requests import APPLIED, STALE, Answer, EffectEnd, EffectStart
from darumad.names import Attempt
from darumad.work.effects import Effect, EffectState

VERDICTS = {"done": EffectState.DONE, "run again": EffectState.VOID}
"""What a person may say of an effect with an unknown outcome."""


def effect_start(batch: Batch, asked: Sequence[EffectStart]) -> list[Answer]:
    """Nothing outside may begin before this has been answered `APPLIED`."""
    begun = {uid for (uid,) in batch.run("start_effects", [_started(each) for each in asked])}
    batch.record(_stale(each, f"effect {each.key}") for each in asked if each.item not in begun)
    return [APPLIED if each.item in begun else STALE for each in asked]


def effect_end(batch: Batch, asked: Sequence[EffectEnd]) -> list[Answer]:
    """Also while the item was only put back under the same fence, as with a step."""
    ended = {uid for (uid,) in batch.run("end_effects", [_ended(each) for each in asked])}
    batch.record(_stale(each, f"the end of effect {each.key}") for each in asked if each.item not in ended)
    return [APPLIED if each.item in ended else STALE for each in asked]


def settle_unknown(batch: Batch, row: int, answers: Sequence[str]) -> bool | Refused:
    """What a person says of an item's effects with an unknown outcome; False when it has none.

    A text behind `done:` is what the tool would have answered.
    """
    if not batch.run("unknown_effects", [row]):
        return False
    word, _, more = answers[0].partition(":")
    verdict = VERDICTS.get(word.strip().lower())
    if verdict is None:
        said = "nobody knows whether its tool did what it began: answer `done`, `done: WHAT CAME OF IT`, or `run again`"
        return Refused(said, code="invalid")
    output = dump(more.strip() or "done, as its operator says") if verdict is EffectState.DONE else None
    batch.run("settle_effects", [row], state=verdict.value, output=output)
    return True


def effect_from_row(row: Sequence[Any]) -> Effect:
    """An effect as `effects_of_held` has it, behind its item's row."""
    key, attempt, seq, tool, arguments, state, idempotent, output = row
    return Effect(
        key=key,
        attempt=Attempt(attempt),
        seq=seq,
        tool=tool,
        arguments=load(arguments),
        state=EffectState(state),
        idempotent=bool(idempotent),
        output=load(output),
    )


def _started(each: EffectStart) -> tuple[Any, ...]:
    return (
        each.item, each.fence, each.attempt, each.stage.value, each.seq, each.key, each.tool, dump(each.arguments),
        int(each.idempotent),
    )  # fmt: skip


def _ended(each: EffectEnd) -> tuple[Any, ...]:
    return (
        each.item, each.fence, each.attempt, each.stage.value, each.key, each.state.value, dump_or_null(each.output),
    )  # fmt: skip


def _stale(each: EffectStart | EffectEnd, what: str) -> WorkStaleResult:
    return WorkStaleResult(each.item, each.stage, what)
