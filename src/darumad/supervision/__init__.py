"""Supervision: the only room that knows Pykka, and the only one that knows of no work.

A small OTP: supervisors, child specs, restart intensity, incarnations, error budgets, backoff, liveness. Everyone
above speaks of `Address`, `ChildSpec` and messages.
"""

from darumad.clock import TimerHandle
from darumad.supervision.actor import Actor
from darumad.supervision.address import Address
from darumad.supervision.backoff import Backoff, Rng
from darumad.supervision.error_window import ErrorBudget, Judge, Verdict, default_judge
from darumad.supervision.errors import (
    IGNORE,
    ActorDeadError,
    AlreadyPresent,
    AlreadyStarted,
    FatalError,
    MailboxFull,
    NotFound,
    PoolNeedsRef,
    Restarting,
    Running,
    StartError,
    SupervisionError,
    SupervisorDead,
    Timeout,
    WouldDeadlock,
)
from darumad.supervision.event import Bus, Event
from darumad.supervision.intensity import Intensity
from darumad.supervision.lint import lint
from darumad.supervision.reasons import ExitReason
from darumad.supervision.ref import ActorRef
from darumad.supervision.spec import ChildSpec, Liveness, SupervisorFlags
from darumad.supervision.supervisor import Supervisor
from darumad.supervision.supervisor_ref import ChildInfo, SupervisorRef
from darumad.supervision.tree import Clock, TreeRow

__all__ = [
    "IGNORE",
    "Actor",
    "ActorDeadError",
    "ActorRef",
    "Address",
    "AlreadyPresent",
    "AlreadyStarted",
    "Backoff",
    "Bus",
    "ChildInfo",
    "ChildSpec",
    "Clock",
    "ErrorBudget",
    "Event",
    "ExitReason",
    "FatalError",
    "Intensity",
    "Judge",
    "Liveness",
    "MailboxFull",
    "NotFound",
    "PoolNeedsRef",
    "Restarting",
    "Rng",
    "Running",
    "StartError",
    "SupervisionError",
    "Supervisor",
    "SupervisorDead",
    "SupervisorFlags",
    "SupervisorRef",
    "Timeout",
    "TimerHandle",
    "TreeRow",
    "Verdict",
    "WouldDeadlock",
    "default_judge",
    "lint",
]
