"""The bridge.

Joins an actor, which is a thread that may never wait, to its agent, which is a coroutine that mostly does.

Everything an actor says to its agent and back crosses here, in batches: a deque and one wake-up. Actors never see
a future; agents never see a thread.
"""

from darumad.bridge.half import BridgeHalf
from darumad.bridge.ledger import JournalLedger
from darumad.bridge.loop import Culprit, LoopThread
from darumad.bridge.loops import Loops
from darumad.bridge.measuring import MEASURES
from darumad.bridge.opening import BridgeLimits
from darumad.bridge.seat import (
    SLOT_ENDED,
    Done,
    Ended,
    Limit,
    Seat,
    Spawned,
    SpawnFailed,
    Stopped,
    handler_crashed,
    put_back,
)
from darumad.bridge.threads import TOO_MANY
from darumad.bridge.unpacking import UnpackLimits
from darumad.bridge.whole import Bridge, BridgeHealth
from darumad.bridge.workspace import Workspaces

__all__ = [
    "MEASURES",
    "SLOT_ENDED",
    "TOO_MANY",
    "Bridge",
    "BridgeHalf",
    "BridgeHealth",
    "BridgeLimits",
    "Culprit",
    "Done",
    "Ended",
    "JournalLedger",
    "Limit",
    "LoopThread",
    "Loops",
    "Seat",
    "SpawnFailed",
    "Spawned",
    "Stopped",
    "UnpackLimits",
    "Workspaces",
    "handler_crashed",
    "put_back",
]  # fmt: skip
