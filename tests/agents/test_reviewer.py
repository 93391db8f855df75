import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from darumad.agents import Template, first_request
from darumad.agents.roles.judge import SHOWN
from darumad.agents.roles.reviewer import ReviewerAgent
from darumad.names import Role, Stage
from darumad.values import changed
from darumad.work.gates import Finding, Gate, Review, Verdict
from darumad.work.item import Input, WorkItem
from darumad.work.model import Message, ModelFailed
from darumad.work.ports import Context
from darumad.work.result import Artifact, StopReason, WorkResult
from tests.agents.fakes import Scripted, Steps, calls, context, item

DONE = WorkResult(stop_reason=StopReason.COMPLETED, text="here it is", data={"n": 1})


async def nobody_executes(work: WorkItem, seen: Context) -> WorkResult:
    raise AssertionError("a reviewer does not execute")


def reviewer(required: frozenset[Gate], found: Mapping[Gate, Finding] | None = None) -> ReviewerAgent:
    async def check(work: WorkItem, seen: Context) -> Review:
        return Review(gates=found or {}, required=required)

    template = Template(
        name="t", version="1", says="for a test", execute=nobody_executes, check=check, required_gates=required
    )
    return ReviewerAgent(lambda _: template)


def verdicts(gates: Mapping[str, str], **more: Any) -> dict[str, Any]:
    """What a judge says."""
    said = {
        gate: {"verdict": verdict, "issues": ["look again"] if verdict == "fail" else []}
        for gate, verdict in gates.items()
    }
    return {"gates": said, "requirements": [], "recommendations": [], "suggested_tests": [], **more}


async def review(agent: ReviewerAgent, seen: Context, **of: Any) -> Mapping[str, Any]:
    result = await agent.execute_work(item(**of), seen)
    assert result.success, result.error
    return result.data  # type: ignore[no-any-return]


# --- without a model ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("gate", list(Gate))
async def test_without_a_model_a_required_gate_that_nothing_checked_is_unknown_and_no_pass(
    gate: Gate, tmp_path: Path
) -> None:
    found = await review(reviewer(frozenset({gate})), context(tmp_path, work=DONE))
    assert (found["passed"], found["undecided"], found["issues"]) == (False, [gate.value], [])


async def test_a_gate_that_stays_open_says_who_left_it_open(tmp_path: Path) -> None:
    def said(found: Mapping[str, Any], gate: Gate) -> Any:
        return found["gates"][gate.value]["issues"]

    both = reviewer(frozenset({Gate.COMPLETENESS, Gate.TESTS_PASSING}))
    found = await review(both, context(tmp_path, work=DONE))
    assert said(found, Gate.COMPLETENESS) == ["the check of t@1 leaves it unknown, and no model judged it"]
    assert said(found, Gate.TESTS_PASSING) == ["the check of t@1 leaves it unknown, and no model can tell"]
    found = await review(
        reviewer(frozenset({Gate.COMPLETENESS})),
        context(tmp_path, Scripted(verdicts({"completeness": "unknown"})), work=DONE),
    )
    assert said(found, Gate.COMPLETENESS) == ["the check of t@1 leaves it unknown, and the model could not tell"]


async def test_what_the_templates_check_found_is_the_review(tmp_path: Path) -> None:
    gates = {Gate.COMPLETENESS: Finding(Verdict.FAIL, ("half of it is missing",))}
    found = await review(reviewer(frozenset({Gate.COMPLETENESS}), gates), context(tmp_path, work=DONE))
    assert (found["passed"], found["issues"]) == (False, ["half of it is missing"])


async def test_a_gate_that_is_not_required_does_not_decide(tmp_path: Path) -> None:
    gates = {Gate.COMPLETENESS: Finding(Verdict.PASS), Gate.CORRECTNESS: Finding(Verdict.UNKNOWN)}
    found = await review(reviewer(frozenset({Gate.COMPLETENESS}), gates), context(tmp_path, work=DONE))
    assert found["passed"] is True


async def test_requirements_that_nobody_could_judge_are_no_pass(tmp_path: Path) -> None:
    gates = {Gate.COMPLETENESS: Finding(Verdict.PASS)}
    agent = reviewer(frozenset({Gate.COMPLETENESS}), gates)
    found = await review(agent, context(tmp_path, work=DONE), requirements=("it rhymes",))
    assert (found["passed"], found["undecided"]) == (False, ["intent_satisfied"])


async def test_tests_that_nobody_ran_are_no_pass(tmp_path: Path) -> None:
    gates = {Gate.COMPLETENESS: Finding(Verdict.PASS)}
    agent = reviewer(frozenset({Gate.COMPLETENESS}), gates)
    found = await review(agent, context(tmp_path, work=DONE), tests=("test_a",))
    assert (found["passed"], found["undecided"]) == (False, ["tests_passing"])


async def test_a_review_of_nothing_is_an_invalid_item(tmp_path: Path) -> None:
    result = await reviewer(frozenset()).execute_work(item(), context(tmp_path))
    assert result.stop_reason is StopReason.INVALID_ITEM


# --- schema and files -----------------------------------------------------------------------------------------------


async def test_data_that_breaks_its_schema_is_sent_back_with_the_place(tmp_path: Path) -> None:
    schema = {"type": "object", "properties": {"n": {"type": "string"}}}
    found = await review(reviewer(frozenset()), context(tmp_path, work=DONE), output_schema=schema)
    assert found["passed"] is False
    assert found["issues"] == ['output_schema: /n: 1 is not of type "string"']


async def test_data_that_keeps_its_schema_is_not_thereby_correct(tmp_path: Path) -> None:
    agent = reviewer(frozenset({Gate.CORRECTNESS}))
    found = await review(agent, context(tmp_path, work=DONE), output_schema={"type": "object"})
    assert (found["passed"], found["undecided"]) == (False, ["correctness"])


async def test_a_schema_that_leads_elsewhere_is_not_followed(tmp_path: Path) -> None:
    seen = context(tmp_path, work=DONE)
    result = await reviewer(frozenset()).execute_work(item(output_schema={"$ref": "http://127.0.0.1:1/x.json"}), seen)
    assert result.stop_reason is StopReason.INVALID_ITEM
    assert result.error is not None
    assert "/output_schema" in result.error.message


@pytest.mark.parametrize("mark", ["TODO", "FIXME", "HACK", "XXX", "NotImplementedError", "placeholder"])
async def test_marks_of_unfinished_work_in_a_file_fail_the_gate_that_asks_for_none(mark: str, tmp_path: Path) -> None:
    (tmp_path / "made.py").write_text(f"x = 1\nraise {mark}  # later\n")
    work = made("made.py")
    found = await review(reviewer(frozenset({Gate.NO_ANTIPATTERNS})), context(tmp_path, work=work))
    assert found["issues"] == [f"no_antipatterns: unfinished: made.py:2: {mark}"]


async def test_a_finished_file_passes_it(tmp_path: Path) -> None:
    (tmp_path / "made.py").write_text("x = 1\n")
    found = await review(reviewer(frozenset({Gate.NO_ANTIPATTERNS})), context(tmp_path, work=made("made.py")))
    assert found["passed"] is True


PNG = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR"
TEXT, PICTURE = "text/x-python", "image/png"


@pytest.mark.parametrize(
    ("data", "says", "why"),
    [
        (None, TEXT, "made: No such file or directory"),
        (b"x = 1\0\n", TEXT, "made: it is said to be text/x-python, and is no text"),
        (b"x = 1\n" * 400_000, TEXT, "made: of its 2,400,000 bytes only 2,097,152 were read"),
    ],
    ids=["missing", "no text", "too large"],
)
async def test_a_file_that_could_not_be_looked_through_leaves_the_gate_unknown_and_is_named(
    data: bytes | None, says: str, why: str, tmp_path: Path
) -> None:
    (tmp_path / "fine.py").write_text("x = 1\n")
    work = made("fine.py", put(tmp_path, data, says))
    found = await review(reviewer(frozenset({Gate.NO_ANTIPATTERNS})), context(tmp_path, work=work))
    assert (found["passed"], found["undecided"]) == (False, ["no_antipatterns"])
    assert found["gates"]["no_antipatterns"]["issues"] == [f"not looked through: {why}"]


@pytest.mark.parametrize("codec", ["utf-8-sig", "utf-16", "utf-32"])
async def test_a_text_is_looked_through_in_whatever_it_is_written(codec: str, tmp_path: Path) -> None:
    work = made(put(tmp_path, "x = 1\n# TODO\n".encode(codec), TEXT))
    found = await review(reviewer(frozenset({Gate.NO_ANTIPATTERNS})), context(tmp_path, work=work))
    assert found["issues"] == ["no_antipatterns: unfinished: made:2: TODO"]


@pytest.mark.parametrize(("beside", "passed"), [(("fine.py",), True), ((), False)], ids=["beside a text", "alone"])
async def test_a_picture_is_not_looked_through_and_keeps_no_text_from_passing(
    beside: tuple[str, ...], passed: bool, tmp_path: Path
) -> None:
    (tmp_path / "fine.py").write_text("x = 1\n")
    work = made(*beside, put(tmp_path, PNG, PICTURE))
    found = await review(reviewer(frozenset({Gate.NO_ANTIPATTERNS})), context(tmp_path, work=work))
    assert (found["passed"], found["undecided"]) == (passed, [] if passed else ["no_antipatterns"])


def put(workspace: Path, data: bytes | None, says: str) -> Artifact:
    """The artifact `made` of the media type `says`; with None nothing is there."""
    if data is not None:
        (workspace / "made").write_bytes(data)
    return Artifact(name="made", media_type=says, size=len(data or b""), sha256="0" * 64)


async def test_prose_is_never_searched_for_marks(tmp_path: Path) -> None:
    work = WorkResult(stop_reason=StopReason.COMPLETED, text="TODO: none left")
    found = await review(reviewer(frozenset({Gate.NO_ANTIPATTERNS})), context(tmp_path, work=work))
    assert found["undecided"] == ["no_antipatterns"]


def made(*files: str | Artifact) -> WorkResult:
    """Work with these files; those that are only named are Python."""
    named = Artifact(name="", media_type=TEXT, size=1, sha256="0" * 64)
    artifacts = tuple(each if isinstance(each, Artifact) else changed(named, name=each) for each in files)
    return WorkResult(stop_reason=StopReason.COMPLETED, artifacts=artifacts)


# --- with a model ---------------------------------------------------------------------------------------------------


async def test_a_model_decides_the_gates_that_are_open_and_sees_the_files_as_they_are_now(tmp_path: Path) -> None:
    (tmp_path / "made.py").write_text("print('what is on disk')\n")
    model, steps = Scripted(verdicts({"intent_satisfied": "pass"})), Steps()
    agent = reviewer(frozenset({Gate.INTENT_SATISFIED}))
    found = await review(agent, context(tmp_path, model, work=made("made.py"), steps=steps))
    assert (found["passed"], steps.live) == (True, ["judge"])
    assert "what is on disk" in model.asked[0].messages[0].text


async def test_a_model_cannot_overrule_what_was_seen(tmp_path: Path) -> None:
    gates = {Gate.COMPLETENESS: Finding(Verdict.FAIL, ("it is not there",))}
    agent = reviewer(frozenset({Gate.COMPLETENESS, Gate.INTENT_SATISFIED}), gates)
    model = Scripted(verdicts({"intent_satisfied": "pass"}))
    found = await review(agent, context(tmp_path, model, work=DONE))
    assert (found["passed"], found["issues"]) == (False, ["it is not there"])
    assert model.asked[0].output_schema is not None
    assert list(model.asked[0].output_schema["properties"]["gates"]["properties"]) == ["intent_satisfied"]


async def test_a_model_that_does_not_know_leaves_the_gate_unknown(tmp_path: Path) -> None:
    model = Scripted(verdicts({"correctness": "unknown"}))
    found = await review(reviewer(frozenset({Gate.CORRECTNESS})), context(tmp_path, model, work=DONE))
    assert (found["passed"], found["undecided"]) == (False, ["correctness"])


async def test_what_left_a_gate_open_is_still_told_where_a_model_could_not_tell_either(tmp_path: Path) -> None:
    model, missing = Scripted(verdicts({"no_antipatterns": "unknown"})), put(tmp_path, None, TEXT)
    found = await review(reviewer(frozenset({Gate.NO_ANTIPATTERNS})), context(tmp_path, model, work=made(missing)))
    assert found["gates"]["no_antipatterns"]["issues"] == ["not looked through: made: No such file or directory"]


async def test_no_model_is_asked_whether_tests_passed(tmp_path: Path) -> None:
    found = await review(reviewer(frozenset({Gate.TESTS_PASSING})), context(tmp_path, Scripted(), work=DONE))
    assert found["undecided"] == ["tests_passing"]


async def test_every_requirement_is_judged_and_one_left_out_is_not_met(tmp_path: Path) -> None:
    said = [{"requirement": "it runs", "satisfied": True, "evidence": "it ran"}]
    model = Scripted(verdicts({"intent_satisfied": "pass"}, requirements=said))
    agent = reviewer(frozenset({Gate.INTENT_SATISFIED}))
    found = await review(agent, context(tmp_path, model, work=DONE), requirements=("it runs", "it is fast"))
    assert found["requirements"] == {"it runs": True, "it is fast": False}
    assert (found["passed"], found["issues"]) == (False, ["requirement not satisfied: it is fast"])


async def test_the_criteria_of_the_first_review_hold_in_the_next(tmp_path: Path) -> None:
    model = Scripted(verdicts({"intent_satisfied": "pass"}))
    earlier = ({"requirements": {"it rhymes": False}, "issues": ["it does not rhyme"]},)
    agent = reviewer(frozenset({Gate.INTENT_SATISFIED}))
    found = await review(agent, context(tmp_path, model, work=DONE, feedback=earlier))
    assert found["requirements"] == {"it rhymes": False}
    assert "it rhymes" in model.asked[0].messages[0].text


async def test_an_answer_out_of_form_is_asked_for_again_with_what_is_wrong(tmp_path: Path) -> None:
    model = Scripted("I think it is fine.", verdicts({"correctness": "perfect"}), verdicts({"correctness": "pass"}))
    found = await review(reviewer(frozenset({Gate.CORRECTNESS})), context(tmp_path, model, work=DONE))
    assert found["passed"] is True
    assert "it is no JSON" in model.asked[1].messages[-1].text
    assert "/gates/correctness/verdict" in model.asked[2].messages[-1].text


async def test_a_judge_that_never_keeps_the_form_is_no_pass(tmp_path: Path) -> None:
    model = Scripted("fine", "fine", "fine")
    result = await reviewer(frozenset({Gate.CORRECTNESS})).execute_work(item(), context(tmp_path, model, work=DONE))
    assert result.stop_reason is StopReason.SCHEMA_VIOLATION


async def test_another_judge_is_asked_where_one_never_keeps_the_form(tmp_path: Path) -> None:
    model = Scripted("fine", "fine", "fine", other=Scripted("hm", verdicts({"correctness": "pass"})))
    result = await reviewer(frozenset({Gate.CORRECTNESS})).execute_work(item(), context(tmp_path, model, work=DONE))
    assert result.data["passed"] is True


async def test_a_judge_that_cannot_be_reached_is_no_verdict(tmp_path: Path) -> None:
    model = Scripted(ModelFailed("connect", "nobody answers"))
    result = await reviewer(frozenset({Gate.CORRECTNESS})).execute_work(item(), context(tmp_path, model, work=DONE))
    assert (result.stop_reason, result.data) == (StopReason.PROVIDER_ERROR, None)


async def test_a_verdict_that_was_cut_is_no_verdict(tmp_path: Path) -> None:
    cut = calls(text='{"gates": {')
    model = Scripted(type(cut)(text=cut.text, stop="max_tokens"))
    result = await reviewer(frozenset({Gate.CORRECTNESS})).execute_work(item(), context(tmp_path, model, work=DONE))
    assert result.stop_reason is StopReason.MAX_TOKENS


async def test_a_judge_sees_the_dialogue_that_was_gone_on_from(tmp_path: Path) -> None:
    model = Scripted(verdicts({"intent_satisfied": "pass"}))
    talk = (Message(role="user", text="Name a colour."), Message(role="assistant", text="Blue."))
    await review(reviewer(frozenset({Gate.INTENT_SATISFIED})), context(tmp_path, model, work=DONE), messages=talk)
    (asked,) = model.asked[0].messages
    assert "<user>\nName a colour.\n</user>\n<assistant>\nBlue.\n</assistant>" in asked.text


# --- asked for directly ---------------------------------------------------------------------------------------------


DIRECT: dict[str, Any] = {
    "role": Role.REVIEWER, "stages": (Stage.REVIEWING,), "phase": "review",
    "input": {"id": "report", "description": "the quarterly report"},
}  # fmt: skip
TALK = (Message(role="user", text="The report is done."), Message(role="assistant", text="Good."))


async def asked_for(model: Scripted, workspace: Path, seen: Mapping[str, Any] | None = None, **of: Any) -> WorkResult:
    """The review of an artifact that the item hands in."""

    def no_template(agent: str) -> Template:
        raise AssertionError("what was handed in was made by no template")

    return await ReviewerAgent(no_template).execute_work(
        item(**DIRECT, **of), context(workspace, model, **(seen or {}))
    )


def on_all(verdict: str, **others: str) -> dict[str, Any]:
    judged = dict.fromkeys([gate.value for gate in Gate if gate is not Gate.TESTS_PASSING], verdict)
    return verdicts({**judged, **others})


async def test_a_review_that_was_asked_for_judges_every_gate_that_a_model_can(tmp_path: Path) -> None:
    result = await asked_for(Scripted(on_all("pass", principled_implementation="not_applicable")), tmp_path)
    assert (result.success, result.template, bool(result.resources_version)) == (True, "reviewer", True)
    assert (result.data["passed"], set(result.data["gates"])) == (True, set(Gate) - {Gate.TESTS_PASSING})


async def test_a_review_that_was_asked_for_and_finds_faults_succeeds_with_them(tmp_path: Path) -> None:
    result = await asked_for(Scripted(on_all("pass", correctness="fail")), tmp_path)
    assert result.success
    assert (result.data["passed"], result.data["issues"]) == (False, ["correctness: look again"])


@pytest.mark.parametrize("said", [(), TALK])
async def test_an_estimate_counts_what_its_judge_will_be_asked(tmp_path: Path, said: tuple[Message, ...]) -> None:
    model, handed = Scripted(on_all("pass")), (Input(name="note", text="in a text"),)
    assert (await asked_for(model, tmp_path, {"turns": said}, inputs=handed, requirements=("no typos",))).success
    asked = item(**DIRECT, inputs=handed, requirements=("no typos",))
    assert first_request(asked, said, None) == model.asked[0]


async def test_its_judge_sees_the_artifact_the_texts_and_each_file_of_the_uploads(tmp_path: Path) -> None:
    tree = tmp_path / "inputs" / "package"
    (tree / "deep").mkdir(parents=True)
    (tree / "deep" / "a.py").write_text("print('in the tree')")
    (tmp_path / "inputs" / "b.md").write_text("in a file")
    uploads = {"package": tree, "b.md": tmp_path / "inputs" / "b.md"}
    model = Scripted(on_all("pass"))
    handed = (Input(name="note", text="in a text"), *(Input(name=name, upload="0" * 64) for name in uploads))
    assert (await asked_for(model, tmp_path, {"uploads": uploads}, inputs=handed)).success
    shown = model.asked[0].messages[0].text
    assert '"description":"the quarterly report"' in shown
    files = {"note": "in a text", "inputs/package/deep/a.py": "print('in the tree')", "inputs/b.md": "in a file"}
    assert all(f'<file name="{name}">\n{text}\n</file>' in shown for name, text in files.items())
    assert shown.count("<file ") == len(files)


async def test_its_judge_is_told_of_what_it_is_shown_the_beginning_only(tmp_path: Path) -> None:
    long, short = tmp_path / "long.md", tmp_path / "short.md"
    share = SHOWN // 4
    long.write_text("é" * (share // 2) + "!")  # one byte more than is shown
    short.write_text("é" * (share // 2))
    model, uploads = Scripted(on_all("pass")), {"long.md": long, "short.md": short}
    handed = (Input(name="note", text="a" * share), Input(name="novel", text="b" * 2 * share))
    assert (await asked_for(model, tmp_path, {"uploads": uploads}, inputs=handed)).success
    shown = model.asked[0].messages[0].text
    marks = dict(re.findall(r'^<file name="(.*?)"(.*)>$', shown, re.MULTILINE))
    only = f' shown="the first {share} bytes only"'
    assert marks == {"note": "", "novel": only, "long.md": only, "short.md": ""}
    assert "what would stand behind them is `unknown`" in shown


async def test_without_a_model_no_review_that_was_asked_for_is_made_up(tmp_path: Path) -> None:
    result = await asked_for(Scripted(ModelFailed("model_not_found", "no model"), model=None), tmp_path)
    assert (result.error and result.error.kind, result.data) == ("model_not_found", None)


async def test_tests_that_an_artifact_is_said_to_pass_stay_unknown(tmp_path: Path) -> None:
    result = await asked_for(Scripted(on_all("pass")), tmp_path, tests=("test_a",))
    assert (result.data["passed"], result.data["undecided"]) == (False, ["tests_passing"])
    said = result.data["gates"]["tests_passing"]["issues"]
    assert said == ["nothing checks what is handed in, and no model can tell"]
