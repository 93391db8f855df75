"""The model as a judge: asked for the gates and requirements that nobody could decide without one, in a fixed form.

It cannot overrule what was seen on disk, nor say that tests passed: only running them says that.
"""

import asyncio
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import orjson

from darumad.agents import artifacts
from darumad.agents.answers import ask_for_json
from darumad.agents.dialogue import dialogue_before
from darumad.agents.prompts import render
from darumad.agents.schemas import closed
from darumad.agents.template import Sight
from darumad.values import Value, changed, field
from darumad.work.gates import Finding, Gate, Review, Verdict
from darumad.work.item import WorkItem
from darumad.work.model import Message, ModelRequest
from darumad.work.ports import Context

NEVER_JUDGED = frozenset({Gate.TESTS_PASSING})
"""Gates that no opinion decides."""
JUDGED = frozenset(Gate) - NEVER_JUDGED
SHOWN = 200_000
"""Bytes of the work that the judge is shown, shared by its files."""
_A_CHARACTER = 4
"""Bytes that a character has at most: with so many more one sees that there are more."""


class Exhibit(Value, kw_only=True):
    """The work as a judge is shown it. `files` are names below the workspace; `texts`, by name, stand in none."""

    text: str = ""
    data: Any = None
    files: Sequence[str] = ()
    texts: Mapping[str, str] = field(default_factory=dict)


async def judge(item: WorkItem, context: Context, review: Review, exhibit: Exhibit) -> Review:
    """`review` with what a model says of the gates that are open and of the requirements.

    The requirements are the item's, or those of the last review: criteria are never rewritten between rounds. Where
    there are none yet, the model takes three to eight out of the intent.

    Raises:
        ModelFailed: no answer came, or none in the form that was asked for.
    """
    gates = _open(review)
    criteria = item.requirements or _earlier(context.feedback)
    if not gates and not item.requirements:
        return review
    answer = await ask_for_json(context, "judge", await _request(item, context, exhibit, gates, criteria))
    findings = {gate: _finding(gate, answer["gates"][gate.value], review.finding(gate)) for gate in gates}
    met = {each["requirement"]: bool(each["satisfied"]) for each in answer["requirements"]}
    return changed(
        review,
        gates={**review.gates, **findings},
        requirements={each: met.get(each, False) for each in criteria} if criteria else met,
        recommendations=(*review.recommendations, *answer["recommendations"]),
        suggested_tests=(*review.suggested_tests, *answer["suggested_tests"]),
    )


def opening(item: WorkItem, turns: tuple[Message, ...], review: Review, exhibit: Exhibit) -> ModelRequest:
    """What a model is asked first for `review`, of an `exhibit` without files; `turns` are the earlier ones. Pure."""
    files = _files(Path(), exhibit)
    return _prompted(item, Sight(turns=turns), exhibit, files, gates=_open(review), criteria=item.requirements)


def _open(review: Review) -> list[Gate]:
    """The gates that a model is asked for."""
    return [gate for gate in Gate if gate in review.undecided - NEVER_JUDGED]


def _earlier(feedback: Sequence[Mapping[str, Any]]) -> tuple[str, ...]:
    return tuple(feedback[-1].get("requirements") or ()) if feedback else ()


def _finding(gate: Gate, said: Mapping[str, Any], before: Finding) -> Finding:
    """The model's, or that of `before` where it could not tell either, and not why."""
    verdict, issues = Verdict(said["verdict"]), tuple(f"{gate.value}: {issue}" for issue in said["issues"])
    return Finding(verdict, issues or before.issues) if verdict is before.verdict else Finding(verdict, issues)


async def _request(
    item: WorkItem, context: Context, exhibit: Exhibit, gates: Sequence[Gate], criteria: Sequence[str]
) -> ModelRequest:
    files = await asyncio.to_thread(_files, context.place, exhibit)
    return _prompted(item, context, exhibit, files, gates=gates, criteria=criteria)


def _prompted(  # noqa: PLR0913 - each part of a prompt is somebody's
    item: WorkItem,
    seen: Context | Sight,
    exhibit: Exhibit,
    files: Sequence["_Shown"],
    *,
    gates: Sequence[Gate],
    criteria: Sequence[str],
) -> ModelRequest:
    prompt = render(
        "judge.md",
        item=item,
        dialogue=dialogue_before(item, seen),
        gates=[(gate.value, _ASKS[gate]) for gate in gates],
        criteria=list(criteria),
        text=exhibit.text,
        data="" if exhibit.data is None else orjson.dumps(exhibit.data, option=orjson.OPT_SORT_KEYS).decode(),
        files=files,
    )
    return ModelRequest(messages=(Message(role="user", text=prompt),), output_schema=_schema(gates, criteria))


class _Shown(Value):
    """A text or file of the work as the judge sees it; `cut` says of how many bytes of it that is, None for all."""

    name: str
    text: str
    cut: int | None


def _files(workspace: Path, exhibit: Exhibit) -> list[_Shown]:
    """Each text and file of the work with its beginning; a file as it is on disk now."""
    share = SHOWN // max(len(exhibit.files) + len(exhibit.texts), 1)
    found = ((name, artifacts.text_of(workspace, name, most=share + _A_CHARACTER)) for name in exhibit.files)
    read = ((name, "(missing, or no text)" if text is None else text) for name, text in found)
    return [_shown(name, text, share) for name, text in (*exhibit.texts.items(), *read)]


def _shown(name: str, text: str, share: int) -> _Shown:
    whole = text.encode()
    if len(whole) <= share:
        return _Shown(name, text, None)
    return _Shown(name, whole[:share].decode("utf-8", "ignore"), share)


def _schema(gates: Sequence[Gate], criteria: Sequence[str]) -> dict[str, Any]:
    texts = {"type": "array", "items": {"type": "string"}}
    verdict = closed(verdict={"enum": [each.value for each in Verdict]}, issues=texts)
    requirement: dict[str, Any] = {"type": "string"} | ({"enum": list(criteria)} if criteria else {})
    return closed(
        gates=closed(**{gate.value: verdict for gate in gates}),
        requirements={
            "type": "array",
            "items": closed(requirement=requirement, satisfied={"type": "boolean"}, evidence={"type": "string"}),
        },
        recommendations=texts,
        suggested_tests=texts,
    )


_ASKS: Mapping[Gate, str] = {
    Gate.INTENT_SATISFIED: "Does the work do what was asked for, all of it, and nothing against it?",
    Gate.DOCUMENTATION_COMPLETE: "Is what was made described for those who will use it?",
    Gate.NO_ANTIPATTERNS: "Is it free of unfinished parts, dead ends and known bad practice?",
    Gate.CONSTRAINTS_MAINTAINED: "Is every constraint kept?",
    Gate.COMPLETENESS: "Is every part there that was asked for?",
    Gate.CORRECTNESS: "Is what it says or does right?",
    Gate.PRINCIPLED_IMPLEMENTATION: "Is it done in a way that an expert of the field would stand by?",
}
