"""A dialogue made shorter once it no longer fits: of what tools said, what lies furthest back is left out.

Every call and every answer keeps its place, for a vendor refuses a call without its answer; the task stays whole.
"""

from collections.abc import Callable

from darumad.values import changed
from darumad.work.kinds import KINDS, Retry
from darumad.work.model import Message, ModelFailed, ModelRequest

KEPT = 2_000
"""Characters of an observation of the last round, where there is no earlier one to leave out."""


def too_long(failed: ModelFailed) -> bool:
    """Whether the call failed for its length, and a shorter dialogue may be answered."""
    known = KINDS.get(failed.kind)
    return known is not None and known.retry is Retry.COMPACTED


def length(request: ModelRequest) -> int:
    """The characters of its dialogue."""
    return sum(len(each.text) for each in request.messages)


def compacted(request: ModelRequest) -> ModelRequest | None:
    """`request` without what tools said before the last round, or with the last round cut; None: that is short."""
    last = max((at for at, each in enumerate(request.messages) if each.role == "assistant"), default=0)
    earlier, latest = request.messages[:last], request.messages[last:]
    without = _each_observation(earlier, lambda text: f"({len(text)} characters left out to make room)")
    messages = (*without, *latest)
    if messages == request.messages:
        messages = (*earlier, *_each_observation(latest, lambda text: shortened(text, KEPT)))
    return None if messages == request.messages else changed(request, messages=messages)


def shortened(text: str, most: int) -> str:
    """A text's beginning and its end, where it has more than `most` characters."""
    if len(text) <= most:
        return text
    half = most // 2
    return f"{text[:half]}\n... {len(text) - 2 * half} characters left out ...\n{text[-half:]}"


def _each_observation(messages: tuple[Message, ...], make: Callable[[str], str]) -> tuple[Message, ...]:
    """`messages` with what tools said made anew, where that is shorter."""
    made = [(each, make(each.text) if each.role == "tool" else each.text) for each in messages]
    return tuple(changed(each, text=text) if len(text) < len(each.text) else each for each, text in made)
