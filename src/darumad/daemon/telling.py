"""What is committed, told to the log.

One INFO line for each item's end, a WARNING where an agent fell, everything else for DEBUG.
"""

from collections.abc import Sequence
from logging import DEBUG

from darumad.events import Recorded
from darumad.logs import logger
from darumad.supervision import Event

log = logger("darumad.facts")

_INFO = frozenset({
    "work.succeeded", "work.cancelled", "work.parked", "work.challenged",
    "agent.unbenched", "agent.health_restored", "provider.circuit_closed", "provider.fallback",
    "daemon.starting", "daemon.ready", "daemon.draining", "daemon.stopping", "daemon.restored", "paused", "resumed",
})  # fmt: skip
_WARNING = frozenset({
    "work.dead", "work.expired",
    "agent.restarted", "agent.benched", "agent.health_degraded", "agent.spawn_failed",
    "provider.circuit_opened", "provider.rate_limited", "provider.usage_unknown", "provider.usage_exceeded",
    "budget.threshold", "budget.exhausted", "bridge.stalled", "bridge.replaced",
    "daemon.degraded", "daemon.clock_jumped", "daemon.socket_bound", "work.purged", "panicked",
})  # fmt: skip


def tell(batch: Sequence[Recorded]) -> None:
    """Log a committed batch; runs on the publisher's thread."""
    for each in batch if log.is_enabled_for(DEBUG) else _above_debug(batch):
        if each.type in _INFO:
            log.info(each.type.replace(".", "_"), subject=each.subject, seq=each.seq, **each.data)
        elif each.type in _WARNING:
            log.warning(each.type.replace(".", "_"), subject=each.subject, seq=each.seq, **each.data)
        else:
            log.debug(each.type.replace(".", "_"), subject=each.subject, seq=each.seq, **each.data)


def _above_debug(batch: Sequence[Recorded]) -> Sequence[Recorded]:
    return [each for each in batch if each.type in _INFO or each.type in _WARNING]


def hear(signal: Event) -> None:
    """Log a signal for DEBUG; runs where it was emitted."""
    log.debug(signal.name.replace(".", "_"), path=signal.path, incarnation=signal.incarnation, **signal.data)
