"""The brief: what an executor gets to see of an item, within a budget of tokens. Pure: same item, same brief."""

from collections.abc import Mapping, Sequence
from typing import Any

from darumad.agents.roles.consolidation import consolidate
from darumad.values import Value
from darumad.work.canonical import canonical
from darumad.work.codec import message_to_json
from darumad.work.conversation import newest
from darumad.work.effects import Effect
from darumad.work.item import Input, WorkItem
from darumad.work.model import Message

BYTES_PER_TOKEN = 3.2
"""How many bytes of text make a token, where no provider has reported better."""
CONTEXT_TOKENS = 200_000
"""What a context may hold unless somebody says otherwise, in tokens."""
CRITICAL_SHARE = 0.4
"""The share of intent, feedback, constraints and inputs; the rest is for skills, the project and the general."""

PRESSURE: tuple[tuple[float, str], ...] = ((0.50, "safe"), (0.75, "moderate"), (0.90, "high"))
"""Up to which use of the budget each word holds; beyond the last it is `critical`."""


class Over(Value):
    """An input that does not fit: its name, its text, and how many bytes of it there is room for."""

    name: str
    text: str
    room: int


class Earlier(Value):
    """What became of an item before: the reviews that sent it back, its failed attempts, and what people answered.

    All oldest first; a failure is a compact error. `done` is what its tools did outside in earlier attempts, for good.
    `turns` are those of its conversation from before its attempt.
    """

    feedback: Sequence[Mapping[str, Any]] = ()
    failures: Sequence[Mapping[str, Any]] = ()
    answers: Sequence[str] = ()
    done: Sequence[Effect] = ()
    turns: tuple[Message, ...] = ()


def tokens_of(text: str | bytes) -> int:
    """An estimate of the tokens in `text`, never 0 for some text."""
    size = len(text) if isinstance(text, bytes) else len(text.encode("utf-8", "surrogatepass"))
    return -(-size * 10 // int(BYTES_PER_TOKEN * 10))


def build_brief(
    item: WorkItem,
    earlier: Earlier,
    *,
    condensed: Mapping[str, str] | None = None,
    context_tokens: int = CONTEXT_TOKENS,
    degraded: bool = False,
) -> dict[str, Any]:
    """The brief of `item`, as JSON.

    Args:
        item: what was asked for.
        earlier: what became of it before.
        condensed: by an input's name, the shorter text that stands in its place.
        context_tokens: the whole budget, in tokens.
        degraded: whether a model should have helped and could not.
    """
    brief: dict[str, Any] = {
        "intent": item.description,
        "messages": list(map(message_to_json, item.messages)),
        "phase": item.phase,
        "criteria": [*item.requirements, *([item.success_criteria] if item.success_criteria else ())],
        "constraints": [*item.constraints, *(f"use {each}" for each in item.tech_stack)],
        "tests": list(item.tests),
        "answers": list(earlier.answers),
        "feedback": consolidate(earlier.feedback, earlier.failures),
        "already done outside, not to be done again": [_fact(each) for each in earlier.done],
        "skills": [],
        "degraded": degraded,
    }
    room = _room_for_inputs(brief, context_tokens)
    if earlier.turns:
        turns = newest(earlier.turns, max(room // 2, room - _asked_for(item)))
        brief["messages"] = list(map(message_to_json, (*turns, *item.messages)))
        room = _room_for_inputs(brief, context_tokens)
    brief["input"], left = _fit_input(item.input, room)
    brief["inputs"] = _fit(item.inputs, condensed or {}, left)
    brief["tokens"] = tokens_of(canonical(brief))
    brief["pressure"] = _pressure(brief["tokens"] / context_tokens)
    return brief


def over_budget(item: WorkItem, brief: Mapping[str, Any]) -> tuple[Over, ...]:
    """The inputs of `item` that `brief` had to cut, with the room each was given."""
    if not item.inputs:
        return ()
    cut = {each["name"]: len(each["text"].encode()) for each in brief["inputs"] if each.get("cut")}
    return tuple(Over(each.name, each.text or "", cut[each.name]) for each in item.inputs if each.name in cut)


def _fact(each: Effect) -> dict[str, Any]:
    return {"tool": each.tool, "arguments": each.arguments, "came of it": each.output}


def _room_for_inputs(brief: Mapping[str, Any], context_tokens: int) -> int:
    """Bytes: the critical share and what skills, of which there are none yet, leave; less what stands already."""
    skills_unused = 0.3
    whole = int(context_tokens * (CRITICAL_SHARE + skills_unused) * BYTES_PER_TOKEN)
    return max(whole - len(canonical(brief)), 0)


def _asked_for(item: WorkItem) -> int:
    """The bytes that all the inputs would take."""
    given = 0 if item.input is None else len(canonical(item.input))
    return given + sum(len(each.text.encode()) for each in item.inputs if each.text)


def _fit_input(value: Any, room: int) -> tuple[Any, int]:
    """Structured input whole, or, where it is larger than the room, as the beginning of its JSON, marked as cut."""
    if value is None:
        return None, room
    data = canonical(value)
    if len(data) <= room:
        return value, room - len(data)
    return {"cut": True, "bytes": len(data), "json": data[:room].decode("utf-8", "ignore")}, 0


def _fit(inputs: Sequence[Input], condensed: Mapping[str, str], room: int) -> list[dict[str, Any]]:
    """Each input with as much of its text as its share allows; what small ones leave goes to the larger ones."""
    if not inputs:
        return []
    texts = {each.name: condensed.get(each.name, each.text or "") for each in inputs}
    shares = _shares({name: len(text.encode()) for name, text in texts.items()}, room)
    return [_told(each, texts[each.name], shares[each.name], short=each.name in condensed) for each in inputs]


def _told(each: Input, text: str, share: int, *, short: bool) -> dict[str, Any]:
    told: dict[str, Any] = {"name": each.name, "media_type": each.media_type}
    if each.upload:
        told["upload"] = each.upload
    if each.text is not None:
        data = text.encode()
        told |= {"text": data[:share].decode("utf-8", "ignore"), "bytes": len(each.text.encode())}
        told |= {"cut": True} if len(data) > share else {}
        told |= {"condensed": True} if short else {}
    return told


def _shares(sizes: Mapping[str, int], room: int) -> dict[str, int]:
    shares: dict[str, int] = {}
    smallest_first = sorted(sizes, key=lambda name: (sizes[name], name))
    for index, name in enumerate(smallest_first):
        shares[name] = min(sizes[name], room // (len(smallest_first) - index))
        room -= shares[name]
    return shares


def _pressure(use: float) -> str:
    for up_to, word in PRESSURE:
        if use < up_to:
            return word
    return "critical"
