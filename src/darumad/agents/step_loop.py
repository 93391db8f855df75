"""The step loop: think, call tools, observe, and again, until there is an answer or a limit ends the loop.

Every model reply and every tool result is a journalled step, so a restart goes on behind the last that was paid for.
No clock and no attempt number is read here: the same steps replayed give the same dialogue.
"""

from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from darumad.agents.answers import again, anew, read, repairable, turn, whole
from darumad.agents.compaction import compacted, length, shortened, too_long
from darumad.agents.schemas import violations
from darumad.plural import counted
from darumad.values import Value, changed
from darumad.work.canonical import digest
from darumad.work.effects import NothingDone
from darumad.work.model import Message, ModelFailed, ModelReply, ModelRequest, ToolCall, ToolSpec
from darumad.work.ports import Context


class Tool(Value):
    """Something an agent can do. `run` gets arguments that fit the schema, and returns what the model is shown.

    The model is told of `BadArguments` that `run` raises; a `ToolFailed` ends the stage.
    """

    spec: ToolSpec
    run: Callable[[Mapping[str, Any]], Awaitable[str]]


class OutsideTool(Value):
    """Something an agent can do to the world outside, where no rollback reaches.

    `run` gets the arguments and an idempotency key to hand on. `idempotent`: the world outside knows a repetition by
    that key, so what may have happened is simply done again; otherwise a person is asked. `repeatable`: a new attempt
    does it anew instead of being given what the earlier one's came to.
    """

    spec: ToolSpec
    run: Callable[[Mapping[str, Any], str], Awaitable[str]]
    idempotent: bool = False
    repeatable: bool = False


class BadArguments(NothingDone):
    """Arguments that fit their schema and still cannot be used. The message tells the model what to do instead."""


class LoopLimits(Value, kw_only=True):
    """When a loop ends without an answer. `observation` is how many characters of a tool's output the model is shown.

    `same` is how many equal results of one tool for the same arguments end it; `repairs` how often a model is told what
    is wrong with what it said.
    """

    max_steps: int = 40
    same: int = 3
    repairs: int = 2
    observation: int = 30_000


class Answer(Value):
    """What a loop came to: the model's last words, their JSON where a schema was asked for, the model, and what it did.

    `calls` are the tool calls that were carried out, in this life or in an earlier one that was replayed.
    """

    text: str
    data: Any
    model: str
    calls: tuple[ToolCall, ...]


async def run_loop(
    request: ModelRequest, tools: Sequence[Tool | OutsideTool], context: Context, *, limits: LoopLimits | None = None
) -> Answer:
    """Drive `request` with `tools` to its answer.

    Raises:
        ModelFailed: a call failed; or the loop ended without an answer: `max_steps`, `loop_detected`, `max_tokens`,
            `refusal`, `empty_output`, `bad_tool_args`, `schema_violation`.
        ToolFailed: a tool could not do its part.
    """
    asked = changed(request, tools=tuple(tool.spec for tool in tools))
    return await _Loop(asked, tools, context, limits or LoopLimits()).run()


class _Loop:
    """One walk: the dialogue so far, and what it has seen often enough."""

    def __init__(
        self, request: ModelRequest, tools: Sequence[Tool | OutsideTool], context: Context, limits: LoopLimits
    ) -> None:
        self._request = request
        self._tools = {tool.spec.name: tool for tool in tools}
        self._context = context
        self._limits = limits
        self._seen: Counter[str] = Counter()
        self._done: list[ToolCall] = []
        self._repairs = 0
        self._compacted = False

    async def run(self) -> Answer:
        for _ in range(self._limits.max_steps):
            reply = await self._think()
            if reply is None:
                continue
            if reply.calls:
                await self._observe(reply)
                continue
            answer = self._answer(reply)
            if answer is not None:
                return answer
        raise ModelFailed("max_steps", f"there was no result after {counted(self._limits.max_steps, 'step')}")

    async def _think(self) -> ModelReply | None:
        """The model's next turn; None when nothing of it could be used and the model was told so."""
        try:
            return whole(await turn(self._context, "think", self._request))
        except ModelFailed as failed:
            self._request = self._asked_otherwise(failed)
        return None

    def _asked_otherwise(self, failed: ModelFailed) -> ModelRequest:
        """What is asked after a failure that the dialogue itself can mend.

        Raises:
            ModelFailed: it cannot, or was mended often enough.
        """
        if too_long(failed) and not self._compacted and (shorter := compacted(self._request)) is not None:
            self._compacted = True
            self._context.compacted(length(self._request), length(shorter))
            return shorter
        if not repairable(failed):
            raise failed
        self._count_repair(failed.kind, failed.message)
        return anew(self._request, failed.message)

    async def _observe(self, reply: ModelReply) -> None:
        """Run what the model asked for, one after the other, and add what came of it to the dialogue."""
        wrong = self._wrong_with(reply.calls)
        said = Message(role="assistant", text=reply.text, calls=reply.calls, opaque=reply.opaque)
        seen = [
            Message(
                role="tool",
                text=f"error: {wrong[call.id]}" if call.id in wrong else await self._call(call),
                call_id=call.id,
            )
            for call in reply.calls
        ]
        self._request = changed(self._request, messages=(*self._request.messages, said, *seen))

    def _wrong_with(self, calls: Sequence[ToolCall]) -> Mapping[str, str]:
        """What is wrong with each that cannot be made, by its id; one repair, however many of a reply are wrong."""
        wrong = {call.id: told for call in calls if (told := self._refusal_of(call))}
        first = next((call for call in calls if call.id in wrong), None)
        if first is not None:
            self._count_repair("bad_tool_args", f"{first.name}: {wrong[first.id]}")
        return wrong

    def _refusal_of(self, call: ToolCall) -> str:
        tool = self._tools.get(call.name)
        if tool is None:
            return f"there is no tool {call.name!r}; there are {', '.join(self._tools)}"
        return "; ".join(violations(tool.spec.schema, call.arguments))

    async def _call(self, call: ToolCall) -> str:
        observation = await self._run(self._tools[call.name], call)
        self._look_for_circles(call, observation)
        self._done.append(call)
        return observation

    async def _run(self, tool: Tool | OutsideTool, call: ToolCall) -> str:
        async def run() -> Any:
            try:
                said = await (_outside(tool, call, self._context) if isinstance(tool, OutsideTool)
                              else _watched(self._context, call.name, tool.run(call.arguments)))  # fmt: skip
            except NothingDone as error:
                return _unicode(f"error: {error}")
            return shortened(said, self._limits.observation)

        step = {"tool": call.name, "call": call.id, "arguments": call.arguments}
        observation = str(await self._context.steps.once("tool", step, run))
        self._context.progress()
        return observation

    def _look_for_circles(self, call: ToolCall, observation: str) -> None:
        key = digest([call.name, call.arguments, observation])
        self._seen[key] += 1
        if self._seen[key] >= self._limits.same:
            raise ModelFailed(
                "loop_detected", f"{call.name} gave the same result for the same arguments {self._seen[key]} times"
            )

    def _answer(self, reply: ModelReply) -> Answer | None:
        """The answer in `reply`; None when it is not one yet and the model was asked again."""
        if reply.blank:
            self._ask_again(reply, "empty_output", ("the answer is empty: say what the result is",))
            return None
        if self._request.output_schema is None:
            return Answer(reply.text, None, reply.model, tuple(self._done))
        data, broken = read(reply.text, self._request)
        if broken:
            self._ask_again(reply, "schema_violation", broken)
            return None
        return Answer(reply.text, data, reply.model, tuple(self._done))

    def _ask_again(self, reply: ModelReply, kind: str, broken: tuple[str, ...]) -> None:
        self._count_repair(kind, broken[0])
        self._request = again(self._request, reply, broken)

    def _count_repair(self, kind: str, wrong: str) -> None:
        """One more repair; where there were as many as may be, by whoever is asked elsewhere.

        Raises:
            ModelFailed: nobody is.
        """
        self._repairs += 1
        if self._repairs > self._limits.repairs:
            other = self._context.complete.elsewhere(kind)
            if other is None:
                raise ModelFailed(kind, f"after {self._limits.repairs} repairs: {wrong}")
            self._context, self._repairs = changed(self._context, complete=other), 0


async def _watched(context: Context, tool: str, running: Awaitable[str]) -> str:
    """What a tool says, or raises; how it ended is told."""
    ended, outcome = context.tool_begins(tool), "cancelled"
    try:
        said = await running
        outcome = "ok"
    except NothingDone:
        outcome = "refused"
        raise
    except Exception:
        outcome = "failed"
        raise
    finally:
        ended(outcome)
    return _unicode(said)


def _unicode(said: str) -> str:
    """What a tool says with a `?` for half a surrogate pair, as a file's name or a program's words may hold.

    No step could keep it, nor an effect what came of it, and the model can do with the rest.
    """
    return said.encode("utf-8", "replace").decode()


async def _outside(tool: OutsideTool, call: ToolCall, context: Context) -> str:
    """What came of it, now or when it was done before."""

    async def run(key: str) -> str:
        return await _watched(context, call.name, tool.run(call.arguments, key))

    return str(
        await context.effects.once(
            call.name, dict(call.arguments), run, idempotent=tool.idempotent, repeatable=tool.repeatable
        )
    )
