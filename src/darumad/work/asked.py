"""What a model was asked, kept short: each turn of a dialogue asks all of the turn before, and a little more."""

from collections.abc import Mapping
from typing import Any

MESSAGES, BEHIND = "messages", "behind"
Asked = Mapping[str, Any]


def is_dialogue(inputs: Any) -> bool:
    """Whether these are the inputs of a step that asks a model: they hold the messages that it sees."""
    return isinstance(inputs, Mapping) and isinstance(inputs.get(MESSAGES), list)


def beyond(before: Asked | None, asked: Asked) -> dict[str, Any]:
    """`asked` without what `before` said: the fields that differ, and the messages behind the first `behind` ones.

    Those are as they were. So `{**before, **beyond}`, with these messages behind those, is `asked` again.
    """
    if before is None:
        return {**asked, BEHIND: 0}
    behind = _common(before[MESSAGES], asked[MESSAGES])
    fields = {name: value for name, value in asked.items() if name not in before or before[name] != value}
    return {**fields, BEHIND: behind, MESSAGES: asked[MESSAGES][behind:]}


def _common(before: list[Any], now: list[Any]) -> int:
    """How many messages both begin with."""
    pairs = enumerate(zip(before, now, strict=False))
    return next((at for at, (one, other) in pairs if one != other), min(len(before), len(now)))
