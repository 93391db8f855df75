"""Effects: what a tool did outside the house, where no rollback reaches. Values in, values out.

An effect is written down as started before it is done, and as done after. Whatever is found only started has an
unknown outcome: it may have happened. What may be repeated under the same key is repeated; anything else needs a
person.
"""

from collections.abc import Awaitable, Callable, Container, Iterable, Sequence
from enum import StrEnum
from itertools import chain, count
from typing import Any

from darumad.names import Attempt, ItemId, Stage
from darumad.values import Value
from darumad.work.canonical import canonical


class EffectState(StrEnum):
    """What is known of an effect."""

    STARTED = "started"
    DONE = "done"
    VOID = "void"


class NothingDone(ValueError):  # noqa: N818 - it reads as what is known
    """Raised by a tool that knows that nothing happened outside: its effect is void, and may be tried again.

    Where nobody catches it, the item's attempt ends `tool_error`. The message holds no credential.
    """

    def __init__(self, message: str = "nothing was done outside") -> None:
        super().__init__(message)
        self.message = message


class Effect(Value, kw_only=True):
    """One effect as the journal has it. `key` is what the world outside was given to know a repetition by.

    `seq` is the step that it was first begun in, 0 outside of any.
    """

    key: str
    attempt: Attempt
    seq: int
    tool: str
    arguments: Any
    state: EffectState
    idempotent: bool
    output: Any = None

    def is_of(self, tool: str, arguments: Any) -> bool:
        """Whether it is what `tool` does with `arguments`, which on disk are JSON."""
        return self.tool == tool and canonical(self.arguments) == canonical(arguments)


class Indoors:
    """The effects of a stage that has no business outside: nothing was done, and nothing can be."""

    @property
    def unknown(self) -> tuple[Effect, ...]:
        """None."""
        return ()

    @property
    def done(self) -> tuple[Effect, ...]:
        """None."""
        return ()

    async def once(
        self, tool: str, arguments: Any, run: Callable[[str], Awaitable[Any]], *, idempotent: bool, repeatable: bool
    ) -> Any:
        """Never runs it.

        Raises:
            NothingDone: always.
        """
        del arguments, run, idempotent, repeatable
        raise NothingDone(f"{tool} acts outside, which this stage may not")


def fresh_key(item: ItemId, attempt: Attempt, stage: Stage, seq: int, *, used: Container[str]) -> str:
    """The idempotency key of a step's next effect: the step's own for its first, with an ordinal behind for others."""
    own = f"{item}:{attempt}:{stage}:{seq}"
    return next(key for key in chain((own,), (f"{own}:{ordinal}" for ordinal in count(2))) if key not in used)


def unknown(effects: Iterable[Effect]) -> tuple[Effect, ...]:
    """Those that may have happened and may not be repeated: with one of them an item cannot go on by itself."""
    return tuple(each for each in effects if each.state is EffectState.STARTED and not each.idempotent)


def done_before(effects: Iterable[Effect], attempt: Attempt) -> tuple[Effect, ...]:
    """What earlier attempts than `attempt` did for good: facts that a new one is to know."""
    return tuple(each for each in effects if each.state is EffectState.DONE and each.attempt < attempt)


def standing_in(  # noqa: PLR0913 - each is a fact of its own, named at the call
    effects: Sequence[Effect], tool: str, arguments: Any, *, attempt: Attempt, seq: int, repeatable: bool
) -> Effect | None:
    """The effect that stands in for doing it (again); None when it is to be done anew, under a key of its own.

    Done in this attempt by an earlier holder, or in an earlier attempt unless the tool is declared `repeatable`: its
    output is taken. Started and idempotent, or void in this very step: to be done once more, under its own key. Those
    of this step come before others.
    """
    same = [each for each in effects if each.is_of(tool, arguments) and (each.attempt == attempt or not repeatable)]
    own = [each for each in same if (each.attempt, each.seq) == (attempt, seq)]
    known = [each for each in (*own, *same) if each.state is EffectState.DONE]
    again = [each for each in (*own, *same) if each.state is EffectState.STARTED and each.idempotent]
    void = [each for each in own if each.state is EffectState.VOID]
    return next(iter((*known, *again, *void)), None)


def sentence(effects: Sequence[Effect]) -> str:
    """What a person is told of effects with an unknown outcome."""
    told = "; ".join(f"{each.tool} with {_short(each.arguments)} (key {each.key})" for each in effects)
    return f"it is not known whether this was done: {told}"


def _short(arguments: Any, most: int = 300) -> str:
    text = str(arguments)
    return text if len(text) <= most else f"{text[:most]}..."
