"""The optimizer's agent: decides what the executor gets to see, or what whoever asked for a context gets."""

from typing import Any

from darumad.agents.prompts import render
from darumad.agents.roles.brief import (
    BYTES_PER_TOKEN,
    CONTEXT_TOKENS,
    Earlier,
    Over,
    build_brief,
    over_budget,
    tokens_of,
)
from darumad.agents.roles.conduct import Conduct, found_before_spending
from darumad.agents.template import SHIPPED_WITH
from darumad.names import Role
from darumad.work.item import WorkItem
from darumad.work.model import Message, ModelFailed, ModelRequest
from darumad.work.ports import Context
from darumad.work.result import StopReason, WorkResult

READ_AT_ONCE = 100_000
"""How many tokens of one input a model is shown to condense it."""
_SPARED = frozenset({"cancelled", "stale", "interrupted"})
"""Kinds after which nothing may follow; any other failure costs an executor's item its model's help and no more."""


class OptimizerAgent:
    """Builds briefs. Without a model they are computed; with one, an input that does not fit is condensed, not cut."""

    resources_version = None
    """See `work.ports.Agent`."""

    def __init__(self, *, context_tokens: int = CONTEXT_TOKENS) -> None:
        self._context_tokens = context_tokens
        self._conduct = Conduct("optimizer")

    async def execute_work(self, item: WorkItem, context: Context) -> WorkResult:
        """The brief of `item` as `data`: a pure function of the item, its feedback, failures and answers."""
        return await self._conduct.run(item, context, find=found_before_spending, work=self._work)

    async def _work(self, item: WorkItem, context: Context) -> WorkResult:
        brief = self._brief(item, context)
        over = over_budget(item, brief)
        if over and context.complete.model is not None:
            brief = await self._condensed(item, context, over)
        return WorkResult(
            stop_reason=StopReason.COMPLETED,
            data=brief,
            model=context.complete.model or "offline",
            template="optimizer",
            resources_version=SHIPPED_WITH,
        )

    async def _condensed(self, item: WorkItem, context: Context, over: tuple[Over, ...]) -> dict[str, Any]:
        try:
            shorter = {each.name: await _condense(item, context, each) for each in over}
        except ModelFailed as error:
            if error.kind in _SPARED or item.role is Role.OPTIMIZER:
                raise
            return self._brief(item, context, degraded=True)
        return self._brief(item, context, condensed=shorter)

    def _brief(
        self, item: WorkItem, context: Context, *, condensed: dict[str, str] | None = None, degraded: bool = False
    ) -> dict[str, Any]:
        return build_brief(
            item,
            Earlier(context.feedback, context.failures, context.answers, context.effects.done, context.turns),
            condensed=condensed,
            context_tokens=self._context_tokens,
            degraded=degraded,
        )


def opening(item: WorkItem, turns: tuple[Message, ...]) -> ModelRequest | None:
    """What a model is asked first for the brief of `item`; None where everything fits, and none is. Pure."""
    over = over_budget(item, build_brief(item, Earlier(turns=turns)))
    return _condensing(item, over[0]) if over else None


def _condensing(item: WorkItem, over: Over) -> ModelRequest:
    """A shorter text is asked for; of an input beyond all measure only the beginning is read."""
    text = over.text.encode()[: int(READ_AT_ONCE * BYTES_PER_TOKEN)].decode("utf-8", "ignore")
    prompt = render(
        "condense.md", intent=item.description, name=over.name, text=text, tokens=tokens_of(b"." * over.room)
    )
    return ModelRequest(messages=(Message(role="user", text=prompt),), max_tokens=max(tokens_of(b"." * over.room), 256))


async def _condense(item: WorkItem, context: Context, over: Over) -> str:
    """A shorter text for one input, as a journalled step."""
    request = _condensing(item, over)

    async def ask() -> str:
        reply = await context.complete(request)
        if reply.stop != "end" or not reply.text.strip():
            raise ModelFailed("empty_output", f"the model did not condense the input {over.name!r}")
        return reply.text

    return str(await context.steps.once("condense", {"prompt": request.messages[0].text}, ask))
