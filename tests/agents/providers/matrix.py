"""A cell of the matrix: a fault on a path, met by an agent's stage through the step loop, the broker and the client."""

import asyncio
import itertools
import re
import socket
from dataclasses import dataclass, replace
from pathlib import Path

from darumad.agents.providers import ProviderSpec
from darumad.agents.roles.conduct import failed
from darumad.agents.step_loop import Tool, run_loop
from darumad.names import Attempt, ItemId, Seconds, Stage
from darumad.sim import Fault, Reply, Rule, Simulation, ToolUse, When
from darumad.values import changed
from darumad.work.kinds import verdict
from darumad.work.model import Message, ModelFailed, ModelRequest, ToolSpec
from darumad.work.ports import Context, Owner
from darumad.work.result import StopReason, WorkResult
from tests.agents.providers.desk import SLOW, Desk
from tests.work.build import follows, record

PAGE = Path(__file__).parents[3] / "docs" / "reference" / "faults.md"
VENDORS = ("anthropic", "ollama", "openai")
PATHS = tuple(f"{vendor}/{way}" for vendor in VENDORS for way in ("streamed", "whole"))
HEAD = "| Fault | Paths | Kind | Asked | Circuit | Agent | Item |"
LOOK = ToolSpec(
    name="look",
    says="Look at a file.",
    schema={"type": "object", "properties": {"path": {"type": "string"}}, "required": ["path"]},
)
FORM = {
    "type": "object",
    "properties": {"answer": {"type": "string"}, "sure": {"type": "boolean"}},
    "required": ["answer", "sure"],
    "additionalProperties": False,
}
LONG = Reply(text="word " * 60)
CALL = Reply(tool_calls=(ToolUse(name="look", args={"path": "a"}),))
TOO_MANY = 429
SCRIPTS = {
    "none": ((LONG,), False, When()),
    "refused": ((LONG,), False, When()),
    "thinking": ((replace(LONG, thinking="let me see"),), False, When()),
    "tool_call": ((CALL, LONG), False, When()),
    "stale_keepalive": ((CALL,), True, When(nth=(1,))),
    "schema_violation": ((Reply(),), True, When()),
}
"""Per fault, where it is not a long answer on every call: the script, whether it is a fault, and on which calls."""
SILENT = ("hang", "pings_only", "drip")
PATIENCE = Seconds(2.5)
"""How long silence is borne: a request that a busy machine sends late must arrive before it is given up."""


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the page."""

    fault: str
    paths: tuple[str, ...]
    cell: str


def rows() -> list[Row]:
    """The page's lines."""
    lines = PAGE.read_text().partition(HEAD)[2].splitlines()[2:]
    found = []
    for line in lines:
        fault, paths, *cell = (each.strip() for each in line.strip("|").split("|"))
        found.append(Row(fault, PATHS if paths == "all" else tuple(paths.split(", ")), " | ".join(cell)))
    return found


def scenario(name: str) -> tuple[tuple[Reply, ...], Fault | None, When]:
    """What the simulator does in the rows called `name`: its script, its fault, and on which of the calls."""
    word, *given = name.split()
    fields = dict(each.split("=") if "=" in each else ("code", int(each)) for each in given)
    if fields.get("code") == TOO_MANY and "error_code" not in fields:
        fields.setdefault("retry_after", 0.05)
    script, fault, when = SCRIPTS.get(word, ((LONG,), True, When()))
    return script, Fault(name=word, **fields) if fault else None, when


def rule(name: str, path: str) -> Rule:
    """The rule for one cell."""
    script, fault, when = scenario(name)
    return Rule(id=key_of(name, path), when=replace(when, key=key_of(name, path)), script=script, fault=fault)


def key_of(name: str, path: str) -> str:
    """By what the simulator knows the cell's calls: its model's alias."""
    return re.sub(r"\W+", "-", f"{path}-{name}")


class Steps:
    """A step log that keeps nothing."""

    async def once(self, kind: str, inputs: object, run: object) -> object:
        return await run()

    last = once


async def cell(sim: Simulation, name: str, path: str) -> str:
    """What the fault comes to on this path, as a line of the page has it."""
    vendor, way = path.split("/")
    desk = Desk(sim)
    desk.use, key = vendor, key_of(name, path)
    desk.keys = dict.fromkeys(VENDORS, desk.keys["anthropic"])
    desk.specs = {vendor: _spec(desk.specs[vendor], key, name, way)}
    try:
        with _refusing() as closed:
            if name == "refused":
                desk.change(base_url=closed)
            result = await _stage(desk, name)
    finally:
        await desk.broker.close()
    (standing,) = desk.broker.circuits().values()
    asked = sum(each.key == key for each in sim.attempts())
    kind, judged = _judged(result)
    return f"{kind} | {asked} | {standing.state.value} | {judged} | {_item(result)}"


def _spec(spec: ProviderSpec, key: str, name: str, way: str) -> ProviderSpec:
    timeouts = SLOW
    if name.startswith("drip"):
        timeouts = changed(SLOW, total=PATIENCE)
    elif name.startswith(SILENT):
        unheard = way == "whole" and name.startswith(("hang_headers", "hang_informational"))
        short = {"total": PATIENCE} if unheard else {"first_token": PATIENCE, "idle": PATIENCE}
        timeouts = changed(SLOW, **short)
    return changed(spec, model=f"{spec.model}@{key}", stream=way == "streamed", timeouts=timeouts)


async def _stage(desk: Desk, name: str) -> WorkResult:
    async def look(arguments: object) -> str:
        return "nothing to see"

    form = FORM if name.startswith("schema_violation") else None
    request = ModelRequest(messages=(Message(role="user", text="hello"),), max_tokens=1_000, output_schema=form)
    context = Context(
        stage=Stage.EXECUTING, attempt=Attempt(1), place=Path(), steps=Steps(),
        complete=desk.complete(Owner(ItemId(name), 1)), progress=lambda: None,
    )  # fmt: skip
    try:
        answer = await run_loop(request, (Tool(LOOK, look),), context)
    except ModelFailed as error:
        return failed(error)
    return WorkResult(stop_reason=StopReason.COMPLETED, text=answer.text)


def _judged(result: WorkResult) -> tuple[str, str]:
    if result.error is None:
        return "ok", "-"
    counts = verdict(result.error.kind, circuit_open=result.error.circuit_open, moved={})
    return result.error.kind, {"count": "counts", "ignore": "ignored"}[counts]


def _item(result: WorkResult) -> str:
    following = follows(record(), result)
    if result.error is None:
        return "goes on"
    return f"{following.to.value} ({following.reason})" if following.reason else following.to.value


class _refusing:  # noqa: N801 - it reads as a context
    """An address where nobody listens, for as long as it is held."""

    def __enter__(self) -> str:
        self._held = socket.socket()
        self._held.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{self._held.getsockname()[1]}"

    def __exit__(self, *_: object) -> None:
        self._held.close()


async def matrix(sim: Simulation, named: list[Row], at_once: int = 12) -> dict[tuple[str, str], str]:
    """Every cell of these rows, by fault and path."""
    cells = [(row.fault, path) for row in named for path in row.paths]
    sim.play(*(rule(*each) for each in cells))
    turns = asyncio.Semaphore(at_once)

    async def met(fault: str, path: str) -> tuple[tuple[str, str], str]:
        async with turns:
            return (fault, path), await cell(sim, fault, path)

    return dict(await asyncio.gather(*itertools.starmap(met, cells)))
