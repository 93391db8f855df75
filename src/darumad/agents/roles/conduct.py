"""What the agents of all roles do alike: receive an item, validate it, and work on it.

A known failure becomes a result here. Any other exception is raised: the bridge reports it as a crash of the agent.
"""

import logging
from collections.abc import Awaitable, Callable

from darumad.agents.answers import whole
from darumad.agents.raised import fitted
from darumad.agents.template import ToolFailed
from darumad.errors import Problem
from darumad.logs import logger
from darumad.names import Seconds
from darumad.values import changed
from darumad.work.causes import ENDS
from darumad.work.effects import NothingDone, sentence
from darumad.work.error_context import Site, boxed
from darumad.work.item import WorkItem
from darumad.work.kinds import KINDS
from darumad.work.model import ModelFailed, ModelReply, ModelRequest
from darumad.work.ports import Complete, Context
from darumad.work.result import Failure, StopReason, WorkResult
from darumad.work.validation import Findings, validate

log = logger(__name__)

LONGEST = 4000
"""How much of a failure's message is told, in characters: room for what a tool printed, not for a file."""
RECEIPT_LENGTH = 200
"""How much of a description the receipt shows, in characters."""

Known = ModelFailed | ToolFailed | NothingDone
KNOWN = (ModelFailed, ToolFailed, NothingDone)
"""What work may raise and still be no crash."""

Work = Callable[[WorkItem, Context], Awaitable[WorkResult]]
"""A role's own part: what it makes of an item that is fit."""


class Answering:
    """The model as one stage sees it: an incomplete answer is a failure, and `model` is the one that answered last.

    Before the first call it is the one that would be asked. Replayed steps call nobody.
    """

    __slots__ = ("_complete", "_within", "model")

    def __init__(self, complete: Complete, within: "Answering | None" = None) -> None:
        self._complete = complete
        self._within = within
        self.model = complete.model

    async def __call__(self, request: ModelRequest) -> ModelReply:
        """See `Complete.__call__`."""
        reply = await self._complete(request)
        self._answered_by(reply.model)
        return whole(reply)

    def elsewhere(self, kind: str, /) -> "Answering | None":
        """See `Complete.elsewhere`; who answers there is known here too."""
        other = self._complete.elsewhere(kind)
        return None if other is None else Answering(other, self)

    def _answered_by(self, model: str) -> None:
        self.model = model or self.model
        if self._within is not None:
            self._within._answered_by(model)  # noqa: SLF001 - its own kind


class Conduct:
    """Runs one agent's stages, one at a time: to be given a second item meanwhile is a defect of the caller."""

    def __init__(self, agent: str) -> None:
        self._agent = agent
        self._busy = False

    async def run(
        self,
        item: WorkItem,
        context: Context,
        *,
        find: Callable[[WorkItem, Context], Awaitable[Findings]],
        work: Work,
    ) -> WorkResult:
        """The outcome of this stage of `item`: what `work` made, or why it could not.

        An item with errors ends `invalid_item`, every one of them listed, and no model is called.

        Raises:
            AssertionError: the agent was given an item while it was busy with another.
            Exception: whatever `work` raised that is no known failure.
        """
        log.debug("work_received", item=item.id, phase=item.phase, description=item.description[:RECEIPT_LENGTH])
        findings = await find(item, context)
        for doubt in findings.warnings:
            log.warning("work_taken_with_a_doubt", item=item.id, field=doubt.pointer, doubt=doubt.detail)
        if findings.errors:
            return invalid_item(*findings.errors)
        if context.effects.unknown:
            return ended("outcome_unknown", sentence(context.effects.unknown), error_type="OutcomeUnknown")
        assert not self._busy, f"{self._agent} was given {item.id} while it works on another item"
        self._busy = True
        try:
            if context.complete.model is None:
                return await self._tried(item, context, work)
            return await self._tried(item, changed(context, complete=Answering(context.complete)), work)
        finally:
            self._busy = False

    async def _tried(self, item: WorkItem, context: Context, work: Work) -> WorkResult:
        """What `work` made, or why it failed."""
        try:
            return await work(item, context)
        except KNOWN as error:
            return self._failed(error, item)
        except ExceptionGroup as several:
            return self._failed(_first_of(several), item)

    def _failed(self, error: Known, item: WorkItem) -> WorkResult:
        result = failed(error)
        assert result.error is not None
        if log.is_enabled_for(logging.DEBUG):  # the box costs the loop more than the rest of a failure does
            site = Site(agent=self._agent, state="busy")
            log.debug("work_failed", item=item.id, context=boxed(result.error, item, site))
        return result


def _first_of(several: ExceptionGroup[Exception]) -> Known:
    """The first failure of a task group whose tasks all ended by a known one.

    Raises:
        ExceptionGroup: `several`: there is another exception among them.
    """
    if several.split(KNOWN)[1] is not None:
        raise several
    first: Exception = several
    while isinstance(first, ExceptionGroup):
        first = first.exceptions[0]
    assert isinstance(first, KNOWN)
    return first


def failed(error: Known) -> WorkResult:
    """The result of a stage that ended by a known failure: the stop reason is its kind's."""
    if not isinstance(error, ModelFailed):
        return ended("tool_error", str(error.message), error_type=type(error).__name__)
    result = ended(error.kind, error.message, error_type=type(error).__name__)
    assert result.error is not None
    return changed(
        result,
        error=changed(
            result.error,
            retry_after=None if error.retry_after is None else Seconds(error.retry_after),
            circuit_open=error.circuit_open,
            target_answered=error.target_answered,
            budget=error.budget,
            needs=error.needs,
        ),
    )


def ended(kind: str, message: str, *, error_type: str = "") -> WorkResult:
    """The result of a stage that failed with a kind of `work.kinds`. A kind unknown there is a provider's error."""
    end, known = ENDS.get(kind), KINDS.get(kind)
    hints = known.hints[:3] if known else ()
    return WorkResult(
        stop_reason=end.stop_reason if end else StopReason.PROVIDER_ERROR,
        error=Failure(kind=kind, message=fitted(message, LONGEST), error_type=error_type, hints=hints),
    )


def invalid_item(*problems: Problem) -> WorkResult:
    """The result for an item that is not valid: its message names every problem with its field."""
    told = "; ".join(f"{each.pointer} {each.detail}" for each in problems)
    return ended("invalid_item", told, error_type="InvalidItem")


async def found_before_spending(item: WorkItem, context: Context) -> Findings:
    """What validation finds, where a model may be called; without one nothing can be spent on an item."""
    return validate(item) if context.complete.model is not None else _NOTHING


_NOTHING = Findings()
