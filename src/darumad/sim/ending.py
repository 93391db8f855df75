"""Where an answer ends before it is all said: at a text that the caller named, or at as many tokens as it asked for."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from darumad.sim.scenario import Asked, Reply

_BYTES_A_TOKEN = 3.2


def stops_in(raw: Any) -> tuple[str, ...]:
    """The texts at which a request wants its answer to end: one, or a list of them."""
    given: Sequence[Any] = raw if isinstance(raw, list) else [raw]
    return tuple(str(each) for each in given if each)


def ended(reply: Reply, asked: Asked, tokens: Callable[[Asked, Reply], int]) -> Reply:
    """`reply` up to where the caller wanted it to end; one that says by itself how it ends stays as it is."""
    if reply.stop is not None or reply.output_tokens is not None:
        return reply
    reply = _up_to_a_stop(reply, asked)
    if not asked.max_tokens or tokens(asked, reply) <= asked.max_tokens:
        return reply
    text = reply.text[: int(asked.max_tokens * _BYTES_A_TOKEN)]
    stop = reply.stop if text == reply.text else "max_tokens"
    return replace(reply, text=text, output_tokens=asked.max_tokens, stop=stop)


def _up_to_a_stop(reply: Reply, asked: Asked) -> Reply:
    found = [(at, each) for each in asked.stops if (at := reply.text.find(each)) >= 0]
    if not found:
        return reply
    at, stopped_by = min(found)
    return replace(reply, text=reply.text[:at], stop="stop_sequence", stopped_by=stopped_by, mute=True)
