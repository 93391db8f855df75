"""What is wrong with an item is said all at once, by field, before any model is called."""

from typing import Any

import pytest

from darumad.errors import Problem
from darumad.names import ItemId, Millis, NanoUsd, Role, Stage
from darumad.values import changed, fields
from darumad.work import PHASES, Input, Limits, WorkItem
from darumad.work.model import Message
from darumad.work.validation import MAX_ENTRIES, STAGES_OF, expired, validate
from tests.work.build import item

SHA = "0" * 64
ASKED = Message(role="user", text="Say hello")
INPUT = Input(name="notes/a.txt", text="hello")


def errors(**fields: Any) -> list[str]:
    return [problem.pointer for problem in validate(item(**fields)).errors]


def warnings(**fields: Any) -> list[str]:
    return [problem.pointer for problem in validate(item(**fields)).warnings]


ENTRIES: dict[str, Any] = {
    "messages": ASKED, "requires": "gpu", "depends_on": "another", "inputs": INPUT, "labels": "a",
    **dict.fromkeys(("requirements", "constraints", "tech_stack", "tests"), "a word"),
}  # fmt: skip


def holding(field: str, count: int) -> Any:
    if field in {"inputs", "labels"}:  # each has a name of its own
        names = map(str, range(count))
        return dict.fromkeys(names, "a") if field == "labels" else tuple(changed(INPUT, name=name) for name in names)
    return (ENTRIES[field],) * count


def test_every_list_and_mapping_of_an_item_has_a_bound() -> None:
    bare, otherwise = item(), {"stages"}
    held = {each.name for each in fields(WorkItem) if isinstance(getattr(bare, each.name), tuple | dict)}
    assert held - otherwise == MAX_ENTRIES.keys()


@pytest.mark.parametrize("field", MAX_ENTRIES)
def test_a_list_may_hold_so_many_and_says_how_many_it_has_beyond(field: str) -> None:
    most = MAX_ENTRIES[field]
    assert errors(**{field: holding(field, most)}) == []
    (problem,) = validate(item(**{field: holding(field, most + 1)})).errors
    said = f"must hold at most {most:,}, and holds {most + 1:,}; leave some out"
    assert problem == Problem(f"/{field}", said)


def test_a_plain_item_is_valid_and_nothing_is_to_be_said() -> None:
    findings = validate(item())
    assert (findings.valid, findings.errors, findings.warnings) == (True, (), ())


@pytest.mark.parametrize(
    ("pointer", "fields"),
    [
        ("/id", {"id": ""}),
        ("/id", {"id": "a b"}),
        ("/id", {"id": "a/b"}),
        ("/id", {"id": "a\n"}),
        ("/id", {"id": "."}),
        ("/id", {"id": ".."}),
        ("/id", {"id": "a" * 257}),
        ("/description", {"description": ""}),
        ("/description", {"description": " \n\t"}),
        ("/description", {"description": "a" * 50_001}),
        ("/priority", {"priority": 11}),
        ("/priority", {"priority": -1}),
        ("/agent", {"agent": ""}),
        ("/agent", {"agent": "Executor"}),
        ("/agent", {"agent": "executor/1"}),
        ("/agent", {"agent": "executor@"}),
        ("/agent", {"agent": "a" * 64}),
        ("/requires/1", {"requires": ("gpu", "GPU")}),
        ("/requires/0", {"requires": ("-gpu",)}),
        ("/requires/0", {"requires": ("g" * 64,)}),
        ("/requires/0", {"requires": ("gpu\n",)}),
        ("/lane", {"lane": ""}),
        ("/lane", {"lane": "a\0b"}),
        ("/stages", {"stages": ()}),
        ("/stages", {"stages": (Stage.OPTIMIZING,)}),
        ("/stages", {"stages": (Stage.EXECUTING, Stage.OPTIMIZING)}),
        ("/stages", {"stages": (Stage.EXECUTING, Stage.EXECUTING)}),
        ("/stages", {"stages": (Stage.PLANNING, Stage.EXECUTING)}),
        ("/tests/1", {"tests": ("a", "a" * 50_001)}),
        ("/labels", {"labels": {"k" * 256: "v"}}),
        ("/labels/a~1b", {"labels": {"a/b": "v" * 1_001}}),
        ("/messages/0/role", {"messages": (Message(role="assistant", text="hello"),)}),
        ("/messages/1/role", {"messages": (ASKED, Message(role="tool", text="42", call_id="c"))}),
        ("/messages/1/text", {"messages": (ASKED, Message(role="assistant", text=" "))}),
        ("/messages/1/text", {"messages": (ASKED, Message(role="assistant", text="a" * 50_001))}),
        ("/conversation", {"conversation": "a b"}),
        ("/parent", {"parent": "a b"}),
        ("/parent", {"parent": "a"}),
        ("/depends_on/1", {"depends_on": ("b", "a b")}),
        ("/depends_on/0", {"depends_on": ("a",)}),
        ("/requirements/1", {"requirements": ("one", " ")}),
        ("/constraints/0", {"constraints": ("",)}),
        ("/tech_stack/0", {"tech_stack": ("",)}),
        ("/tests/0", {"tests": ("",)}),
        ("/inputs/0", {"inputs": (Input(name="a"),)}),
        ("/inputs/0/name", {"inputs": (Input(name="a/" + "é" * 128, text=""),)}),
        ("/inputs/0/name", {"inputs": (Input(name="a/b/c", upload=SHA), Input(name="a", upload=SHA))}),
        ("/inputs/0", {"inputs": (Input(name="a", text="", upload=SHA),)}),
        ("/inputs/0", {"inputs": (Input(name="a", text="", path="/a"),)}),
        ("/inputs/0/path", {"inputs": (Input(name="a", path="a"),)}),
        ("/inputs/0/path", {"inputs": (Input(name="a", path="/a\0"),)}),
        ("/inputs/0/name", {"inputs": (Input(name="a/b/c", path="/c"), Input(name="a", upload=SHA))}),
        ("/inputs/0/name", {"inputs": (Input(name="../a", text=""),)}),
        ("/inputs/0/name", {"inputs": (Input(name="/etc/passwd", text=""),)}),
        ("/inputs/0/name", {"inputs": (Input(name="a//b", text=""),)}),
        ("/inputs/0/name", {"inputs": (Input(name="", text=""),)}),
        ("/inputs/0/name", {"inputs": (Input(name="a\x00", text=""),)}),
        ("/inputs/0/name", {"inputs": (Input(name="a\\b", text=""),)}),
        ("/inputs/1/name", {"inputs": (INPUT, INPUT)}),
        ("/inputs/0/upload", {"inputs": (Input(name="a", upload="beef"),)}),
        ("/output_schema", {"output_schema": {"enum": {1, 2}}}),
        ("/output_schema", {"output_schema": {"title": "x" * 65_536}}),
        ("/output_schema/$ref", {"output_schema": {"$ref": "http://localhost/x"}}),
        ("/output_schema/items/0/$ref", {"output_schema": {"items": [{"$ref": "file:///etc/passwd"}]}}),
        ("/output_schema/a~1b/$dynamicRef", {"output_schema": {"a/b": {"$dynamicRef": "other.json"}}}),
        ("/timeout", {"timeout": 0}),
        ("/timeout", {"timeout": float("inf")}),
        ("/idle_timeout", {"idle_timeout": -1}),
        ("/idle_timeout", {"idle_timeout": float("nan")}),
        ("/backoff", {"backoff": -0.1}),
        ("/max_attempts", {"max_attempts": 0}),
        ("/max_reviews", {"max_reviews": -1}),
        ("/expires_at", {"run_at": Millis(2), "expires_at": Millis(2)}),
        ("/budget/nano_usd", {"budget": Limits(nano_usd=NanoUsd(-1))}),
        ("/budget/tokens", {"budget": Limits(tokens=-1)}),
        ("/budget/calls", {"budget": Limits(calls=-1)}),
    ],
)
def test_a_wrong_field_is_named(pointer: str, fields: dict[str, Any]) -> None:
    assert errors(**fields) == [pointer]


@pytest.mark.parametrize(
    "fields",
    [
        {"id": "A.b_c:d-9"},
        {"id": "a" * 256, "depends_on": ("b", "c")},
        {"description": "a" * 50_000},
        {"priority": 0},
        {"priority": 10},
        {"agent": "my-agent@1.2.0"},
        {"stages": (Stage.EXECUTING,)},
        {"stages": (Stage.EXECUTING, Stage.REVIEWING)},
        {"inputs": (INPUT, Input(name="b", upload=SHA))},
        {"output_schema": {"$schema": "https://json-schema.org/draft/2020-12/schema", "$ref": "#/$defs/a"}},
        {"output_schema": {"properties": {"$ref": {"type": "string"}}}},
        {"timeout": 0.1, "idle_timeout": 1, "backoff": 0, "max_attempts": 1, "max_reviews": 0},
        {"run_at": Millis(1), "expires_at": Millis(2)},
        {"budget": Limits(nano_usd=NanoUsd(0), tokens=0, calls=0)},
    ],
)
def test_what_is_allowed_is_not_refused(fields: dict[str, Any]) -> None:
    assert errors(**fields) == []


def test_every_fault_is_told_at_once_in_the_order_of_the_fields() -> None:
    assert errors(id="", description="", priority=99, lane="", max_attempts=0) == [
        "/id", "/description", "/priority", "/lane", "/max_attempts",
    ]  # fmt: skip


def test_a_schema_nested_beyond_the_limit_is_refused_without_a_recursion_error() -> None:
    deep: Any = {}
    for _ in range(21):
        deep = {"a": deep}
    assert errors(output_schema=deep) == ["/output_schema" + "/a" * 20]
    for _ in range(5_000):
        deep = {"a": deep}
    assert errors(output_schema=deep) == ["/output_schema"]


@pytest.mark.parametrize(
    ("pointer", "fields"),
    [
        ("/description", {"description": "fix it"}),
        ("/description", {"description": "do it somehow, please"}),
        ("/phase", {"phase": "daydreaming"}),
    ],
)
def test_what_is_doubtful_warns_and_is_kept(pointer: str, fields: dict[str, Any]) -> None:
    assert warnings(**fields) == [pointer]
    assert errors(**fields) == []


@pytest.mark.parametrize("phase", PHASES)
def test_no_known_phase_warns(phase: str) -> None:
    assert warnings(phase=phase) == []


def test_a_vague_term_inside_another_word_does_not_warn() -> None:
    assert warnings(description="adjust the simplest measurement") == []


# --- asked for directly ---------------------------------------------------------------------------------------------


def test_every_role_has_its_walk() -> None:
    assert set(STAGES_OF) == set(Role)


@pytest.mark.parametrize("role", [role for role in Role if role is not Role.EXECUTOR])
def test_an_item_for_another_role_walks_that_roles_stage_only(role: Role) -> None:
    about = {"description": "plan how the report is written", "input": {"id": "x", "description": "y"}}
    assert errors(role=role, **about) == ["/stages"]
    assert errors(role=role, stages=STAGES_OF[role], **about) == []


REVIEW = {"role": Role.REVIEWER, "stages": (Stage.REVIEWING,), "phase": "review"}


@pytest.mark.parametrize(
    ("pointers", "artifact"),
    [
        (["/input"], None),
        (["/input"], "the report"),
        (["/input/id", "/input/description"], {}),
        (["/input/description"], {"id": "x"}),
        ([], {"id": "x", "description": "the report"}),
    ],
)
def test_a_review_asked_for_directly_needs_its_artifact(pointers: list[str], artifact: Any) -> None:
    assert errors(**REVIEW, input=artifact) == pointers


def test_a_review_asked_for_directly_in_another_phase_warns() -> None:
    assert warnings(**{**REVIEW, "phase": "testing"}, input={"id": "x", "description": "y"}) == ["/phase"]


def test_an_optimization_asked_for_directly_warns_without_context() -> None:
    optimization = {"role": Role.OPTIMIZER, "stages": (Stage.OPTIMIZING,)}
    assert warnings(**optimization) == ["/input"]
    assert warnings(**optimization, input={"context": "x"}) == []


@pytest.mark.parametrize(("goal", "pointers"), [("build it all now", ["/description"]), ("build it all right now", [])])
def test_a_goal_to_plan_has_five_words(goal: str, pointers: list[str]) -> None:
    assert errors(role=Role.ORCHESTRATOR, stages=(Stage.PLANNING,), description=goal) == pointers


@pytest.mark.parametrize("role", [Role.OPTIMIZER, Role.REVIEWER])
def test_what_a_role_is_asked_for_directly_has_a_form_of_its_own(role: Role) -> None:
    about = {"role": role, "stages": STAGES_OF[role], "input": {"id": "x", "description": "y"}}
    assert errors(**about, output_schema={"type": "object"}) == ["/output_schema"]


def test_a_dependency_may_be_named_by_any_legal_id() -> None:
    assert errors(depends_on=(ItemId("x.y:z_1-2"),)) == []


def test_text_that_is_too_long_is_told_where_it_goes_instead() -> None:
    (problem,) = validate(item(description="a" * 50_001)).errors
    assert problem.detail.endswith("hand long text in as a file of `inputs`, on the command line with `--input FILE`")


def test_an_item_expires_at_the_moment_that_it_names_and_no_sooner() -> None:
    now = Millis(1_795_219_200_000)
    assert [*expired(None, now), *expired(Millis(now + 1), now)] == []
    assert [*expired(now, now)] == [Problem("/expires_at", "must be later than now, 2026-11-21T00:00:00Z")]
