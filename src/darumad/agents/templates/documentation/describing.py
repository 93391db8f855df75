"""Descriptions for names that their source says nothing of, written by a model, a batch at a time."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from darumad.agents.answers import ask_for_json
from darumad.agents.artifacts import MARKERS
from darumad.agents.prompts import render
from darumad.work.model import Message, ModelRequest
from darumad.work.ports import Context

MOST = 96
"""How many names of one package are described; the others are shown as their source has them."""
BATCH = 12
"""How many names one call describes."""
LONGEST = 1_500
"""Characters of one description; what is longer was not asked for and is left out."""


async def describe(package: str, wanted: Sequence[Mapping[str, str]], context: Context) -> dict[str, str]:
    """A description by name, for those of `wanted` that the model had something usable to say about.

    Every call is a journalled step: after a restart none that was paid for is made again.

    Raises:
        ModelFailed: a call failed, or kept breaking the form it was asked for.
    """
    texts: dict[str, str] = {}
    for batch in _batches(wanted):
        answer = await ask_for_json(context, "describe", _request(package, batch))
        asked = {each["name"] for each in batch}
        texts |= {each["name"]: each["text"].strip() for each in answer["descriptions"] if each["name"] in asked}
    return {name: text for name, text in texts.items() if _usable(text)}


def _batches(wanted: Sequence[Mapping[str, str]]) -> Iterator[Sequence[Mapping[str, str]]]:
    return (wanted[start : start + BATCH] for start in range(0, len(wanted), BATCH))


def _request(package: str, batch: Sequence[Mapping[str, str]]) -> ModelRequest:
    prompt = render("describe.md", package=package, names=list(batch))
    return ModelRequest(
        messages=(Message(role="user", text=prompt),), output_schema=_schema([each["name"] for each in batch])
    )


def _usable(text: str) -> bool:
    """Nothing empty, nothing endless, and no promise of something still to come."""
    return 0 < len(text) <= LONGEST and not MARKERS.search(text) and "\0" not in text


def _schema(names: Sequence[str]) -> dict[str, Any]:
    description = {
        "type": "object",
        "properties": {"name": {"enum": list(names)}, "text": {"type": "string"}},
        "required": ["name", "text"],
        "additionalProperties": False,
    }
    return {
        "type": "object",
        "properties": {"descriptions": {"type": "array", "items": description}},
        "required": ["descriptions"],
        "additionalProperties": False,
    }
