"""The one door to Pykka: every name of it that this room touches, the private ones too.

Private names may change with any release; `tests/supervision/test_pykka_contract.py` says so loudly when they do.
"""

from pykka import (  # noqa: TID251 - the one door
    ActorDeadError,
    ActorRegistry,
    ThreadingActor,
    ThreadingFuture,
    Timeout,
)
from pykka import ActorRef as PykkaRef  # noqa: TID251 - the one door
from pykka._envelope import Envelope  # noqa: TID251 - the one door
from pykka.messages import _ActorStop as ActorStop  # noqa: TID251 - the one door

__all__ = [
    "ActorDeadError",
    "ActorRegistry",
    "ActorStop",
    "Envelope",
    "PykkaRef",
    "ThreadingActor",
    "ThreadingFuture",
    "Timeout",
]
