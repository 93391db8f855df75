"""The page of the template holds what the code holds, and what the how-to shows runs."""

import re
from pathlib import Path
from textwrap import indent
from typing import Any

import pytest

from darumad.agents import Earlier, Sight, Template, build_brief, make_agent
from darumad.agents.definition import AgentDefinition
from darumad.agents.loading import load_template
from darumad.agents.roles.reviewer import ReviewerAgent
from darumad.agents.step_loop import Answer, LoopLimits, OutsideTool, Tool
from darumad.errors import Problem
from darumad.names import AgentName, Role
from darumad.values import Value, fields
from darumad.work import Artifact, Context, Finding, Gate, Review, WorkResult
from darumad.work.codec import review_to_json
from darumad.work.error_context import Site, compact
from darumad.work.model import Message, ModelReply, ModelRequest, ToolCall, ToolSpec
from darumad.work.result import Failure
from tests.agents.fakes import context, item

DOCS = Path(__file__).parents[2] / "docs"
PAGE = (DOCS / "reference" / "template.md").read_text()
HOW_TO = (DOCS / "how-to" / "write-a-template.md").read_text()


KINDS: tuple[type[Value], ...] = (
    Template, Context, ModelRequest, Message, ToolSpec, ToolCall, ModelReply, Tool, OutsideTool, LoopLimits, Answer,
    WorkResult, Review, Problem, Finding, Artifact, Sight,
)  # fmt: skip
"""What a template makes or is given."""


def rows_of(section: str) -> list[tuple[list[str], str]]:
    """The names that each row of this section's table is for, and the cell behind them."""
    body = PAGE.partition(f"\n## {section}\n")[2].partition("\n## ")[0]
    cells = re.findall(r"^\| (`.+?) \| (.+?) \|", body, re.MULTILINE)
    return [(re.findall(r"`([^`]+)`", names), behind) for names, behind in cells]


def names_of(section: str) -> list[str]:
    return [name for names, _ in rows_of(section) for name in names]


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_every_field_has_its_row_in_order(kind: type[Value]) -> None:
    seen = ["workspace" if kind is Context and name == "place" else name for name in kind.__struct_fields__]
    assert names_of(kind.__name__) == seen


@pytest.mark.parametrize(
    "kind", [each for each in KINDS if each not in {Context, ModelRequest}], ids=lambda kind: kind.__name__
)
def test_what_has_no_default_is_said_to_be_required(kind: type[Value]) -> None:
    required = {name for names, default in rows_of(kind.__name__) if default == "required" for name in names}
    assert required == {each.name for each in fields(kind) if each.required}


def test_what_a_context_holds_as_json_has_a_row_for_each_key() -> None:
    review = Review(gates={}, required=frozenset())
    told = compact(Failure(kind="tool_error", message="It fell."), item(), Site())
    assert names_of("context.feedback") == list(review_to_json(review))
    assert names_of("context.failures") == list(told)
    assert names_of("context.brief") == list(build_brief(item(), Earlier()))


def test_every_gate_is_named() -> None:
    assert all(f"`{gate.value}`" in PAGE for gate in Gate)


def test_its_imports_are_where_it_says() -> None:
    block, _ = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    exec(block, {})


async def test_a_reply_with_calls_goes_on_as_the_page_says() -> None:
    _, block = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    call = ToolCall(id="1", name="price", arguments={"fruit": "apple"})
    reply, request = ModelReply(text="", calls=(call,), stop="tools"), ModelRequest(messages=(Message(role="user"),))

    async def run(wished: ToolCall) -> str:
        return f"{wished.name}: 2 EUR"

    known: dict[str, Any] = {"Message": Message}
    exec(f"async def go_on(reply, request, run):\n{indent(block, '    ')}    return messages", known)
    asked, said, came = await known["go_on"](reply, request, run)
    assert (asked, said.calls, came.call_id, came.text) == (request.messages[0], (call,), "1", "price: 2 EUR")


async def test_the_template_of_the_how_to_works_and_passes_its_review(tmp_path: Path) -> None:
    block, _ = re.findall(r"```python\n(.*?)```", HOW_TO, re.DOTALL)
    (tmp_path / "words.py").write_text(block)
    template = load_template(str(tmp_path / "words.py"))
    definition = AgentDefinition(name=AgentName("words"), role=Role.EXECUTOR)
    made = await make_agent(Role.EXECUTOR, definition, lambda _: template).execute_work(item(), context(tmp_path))
    assert made.success, made.error
    review = await ReviewerAgent(lambda _: template).execute_work(item(), context(tmp_path, work=made))
    assert review.data["passed"]


class Outside:
    """Effects as the bridge's: run once under a key, and its output given back from then on."""

    unknown, done = (), ()

    def __init__(self) -> None:
        self.outputs: dict[str, Any] = {}

    async def once(self, tool: str, arguments: Any, run: Any, *, idempotent: bool, repeatable: bool) -> Any:
        assert not idempotent
        assert not repeatable
        if tool not in self.outputs:
            self.outputs[tool] = await run("item-1:1:executing:1")
        return self.outputs[tool]


async def test_the_letter_of_the_how_to_is_sent_once_however_often_its_item_is_tried(tmp_path: Path) -> None:
    _, block = re.findall(r"```python\n(.*?)```", HOW_TO, re.DOTALL)
    (tmp_path / "mailer.py").write_text(block)
    template, effects = load_template(str(tmp_path / "mailer.py")), Outside()
    agent = make_agent(Role.EXECUTOR, AgentDefinition(name=AgentName("mailer"), role=Role.EXECUTOR), lambda _: template)
    for _ in range(2):
        made = await agent.execute_work(item(), context(tmp_path, effects=effects))
        assert made.text == "sent as item-1:1:executing:1", made.error
    assert (tmp_path / "outbox").read_text() == "item-1:1:executing:1 board@example.org\n"
