"""The one door to Pykka: every name of it that this room touches, the private ones too.

Private names may change with any release; `tests/supervision/test_pykka_contract.py` says so loudly when they do.
"""

from typing import Final

from pykka import (  # noqa: TID251 - the one door
    ActorDeadError,
    ActorRegistry,
    Future,
    ThreadingActor,
    Timeout,
)
from pykka import ActorRef as PykkaRef  # noqa: TID251 - the one door
from pykka._envelope import Envelope  # noqa: TID251 - the one door
from pykka._types import OptExcInfo  # noqa: TID251 - the one door
from pykka.messages import _ActorStop as ActorStop  # noqa: TID251 - the one door

__all__ = [
    "REPLACED",
    "ActorDeadError",
    "ActorRegistry",
    "ActorStop",
    "Envelope",
    "Future",
    "OptExcInfo",
    "PykkaRef",
    "ThreadingActor",
    "Timeout",
]

REPLACED: Final = (
    "_create_actor_inbox",
    "_create_future",
    "_start_actor_loop",
    "_actor_loop",
    "_handle_receive",
)
"""Pykka's own methods of an actor that `actor.py` puts others in the place of."""
