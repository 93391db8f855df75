"""What agents see of the house, as values: a model with a script, a step log that can be replayed, a context."""

from collections.abc import Awaitable, Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import orjson

from darumad.agents import AgentDefinition, Templates, make_agent
from darumad.names import AgentName, Attempt, ItemId, Role, Stage
from darumad.work.canonical import digest
from darumad.work.item import WorkItem
from darumad.work.model import ModelFailed, ModelReply, ModelRequest, ToolCall
from darumad.work.ports import Agent, Complete, Context
from darumad.work.result import Usage

Said = ModelReply | ModelFailed | str | Mapping[str, Any]


class Scripted:
    """A model that says what its script says, in order, and keeps what it was asked. Called once more, it fails.

    `other` is asked elsewhere, where its answers were of no use.
    """

    def __init__(self, *script: Said, model: str | None = "scripted:model", other: "Scripted | None" = None) -> None:
        self._other = other
        self._script = list(script)
        self._model = model
        self.asked: list[ModelRequest] = []

    @property
    def model(self) -> str | None:
        return self._model

    def elsewhere(self, kind: str) -> "Scripted | None":
        return self._other

    async def __call__(self, request: ModelRequest) -> ModelReply:
        self.asked.append(request)
        assert self._script, f"the model was called once more than scripted: {request.messages[-1].text[:200]}"
        said = self._script.pop(0)
        if isinstance(said, ModelFailed):
            raise said
        if isinstance(said, ModelReply):
            return said
        text = said if isinstance(said, str) else orjson.dumps(said).decode()
        return ModelReply(text=text, model="scripted:model", usage=Usage(input_tokens=10, output_tokens=5, calls=1))


def no_model() -> Scripted:
    return Scripted(model=None)


def calls(*wished: tuple[str, Mapping[str, Any]], text: str = "") -> ModelReply:
    """A reply that asks for tools."""
    listed = tuple(
        ToolCall(id=f"call-{number}", name=name, arguments=args) for number, (name, args) in enumerate(wished)
    )
    usage = Usage(input_tokens=10, output_tokens=5, calls=1)
    return ModelReply(text=text, calls=listed, stop="tools", model="scripted:model", usage=usage)


class Steps:
    """A step log as the bridge's: replays what it was given while kind and inputs agree, then runs live."""

    def __init__(self, recorded: Iterable[tuple[str, str, Any]] = ()) -> None:
        self._recorded = list(recorded)
        self.done: list[tuple[str, str, Any]] = []
        self.live: list[str] = []
        self.lasts = 0

    async def once(self, kind: str, inputs: Any, run: Callable[[], Awaitable[Any]]) -> Any:
        key = digest(inputs)
        index = len(self.done)
        if index < len(self._recorded) and self._recorded[index][:2] == (kind, key):
            output = self._recorded[index][2]
        else:
            self._recorded.clear()
            self.live.append(kind)
            output = orjson.loads(orjson.dumps(await run()))
        self.done.append((kind, key, output))
        return output

    async def last(self, kind: str, inputs: Any, run: Callable[[], Awaitable[Any]]) -> Any:
        self.lasts += 1
        return await self.once(kind, inputs, run)


def item(description: str = "Say this back to me, please, and nothing else", **more: Any) -> WorkItem:
    return WorkItem(**{"id": ItemId("item-1"), "description": description, **more})


def context(workspace: Path, complete: Complete | None = None, **more: Any) -> Context:
    given: dict[str, Any] = {
        "stage": Stage.EXECUTING,
        "attempt": Attempt(1),
        "place": workspace,
        "steps": Steps(),
        "complete": complete or no_model(),
        "progress": lambda: None,
    }
    return Context(**{**given, **more})


def agent(role: Role, template: str) -> Agent:
    """The agent of a role, over items of one executor that runs `template`."""
    executor = AgentDefinition(name=AgentName("executor"), role=Role.EXECUTOR, template=template)
    own = executor if role is Role.EXECUTOR else AgentDefinition(name=AgentName(role.value), role=role)
    templates = Templates([executor])
    templates.load()
    return make_agent(role, own, templates)
