"""The circuit of one target, a provider's model: values in, values out. While it is open, failures are known.

Closed, it opens at half of at least 5 attempts failed within 30 s, or when the last 3 failed, however old. Open, it
refuses for 5, 10, ... 120 s (give or take a fifth), then lets one probe through. What no wait can mend - a wrong
key, no money, no such model - opens it hard: until somebody says that it is mended.
"""

from collections.abc import Mapping
from enum import IntEnum, StrEnum

from darumad.values import Value, changed
from darumad.work import KINDS, Breaker

WINDOW = 30.0
"""Seconds over which failures are weighed."""
MIN_SAMPLES = 5
FAILED_SHARE = 0.5
IN_A_ROW = 3
FIRST_OPEN = 5.0
"""Seconds that a circuit stays open the first time; doubled each time its probe fails."""
LONGEST_OPEN = 120.0
JITTER = 0.2
_DOUBLINGS = 5


class State(StrEnum):
    """What a circuit does with a call."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"
    HARD_OPEN = "hard_open"


class Lets(IntEnum):
    """How many calls a circuit lets through."""

    NONE = 0
    ONE = 1
    ALL = 2


class End(StrEnum):
    """How an attempt ended, as far as a circuit cares."""

    ANSWERED = "answered"
    FAILED = "failed"
    HOPELESS = "hopeless"
    LOST = "lost"


_NOT_THE_TARGET_S = frozenset({
    "local_saturation", "budget_exhausted", "price_unknown", "cancelled", "interrupted", "bridge_stalled",
})  # fmt: skip
"""Ends that no target had a part in."""

_SAID_BY: Mapping[Breaker, End] = {
    Breaker.NO: End.ANSWERED,
    Breaker.FAILURE: End.FAILED,
    Breaker.HARD_OPEN: End.HOPELESS,
    Breaker.HARD_OPEN_MODEL: End.HOPELESS,
}


def end_of(kind: str) -> End:
    """What a kind of failure says of its target, by the column `breaker` of `work.kinds`; `no`: it answered."""
    return End.LOST if kind in _NOT_THE_TARGET_S else _SAID_BY[KINDS[kind].breaker]


class Sample(Value):
    """The attempts that ended in one second, on the clock the circuit is asked with."""

    second: int
    ended: int
    failed: int


class Permit(Value):
    """Leave to try. A probe's end decides what becomes of a half-open circuit."""

    probe: bool


class Refusal(Value):
    """No leave: until when (monotonic seconds; None until it is mended), and the kind that opened it hard."""

    until: float | None
    kind: str | None = None


class Circuit(Value):
    """All that is known of one target. `opened` counts openings since it was last closed, `cause` is the last one's."""

    samples: tuple[Sample, ...] = ()
    failed_in_a_row: int = 0
    opened: int = 0
    until: float | None = None
    probing: bool = False
    hard: str | None = None
    cause: str | None = None

    @property
    def closed(self) -> bool:
        """Whether it lets everybody through."""
        return self.until is None and self.hard is None

    def state(self, now: float) -> State:
        """What it does with a call at `now` (monotonic seconds)."""
        if self.hard is not None:
            return State.HARD_OPEN
        if self.until is None:
            return State.CLOSED
        return State.OPEN if now < self.until else State.HALF_OPEN

    def lets(self, now: float) -> Lets:
        """How many calls that came now would be let through."""
        match self.state(now):
            case State.CLOSED:
                return Lets.ALL
            case State.HALF_OPEN if not self.probing:
                return Lets.ONE
            case _:
                return Lets.NONE

    def admit(self, now: float) -> tuple["Circuit", Permit | Refusal]:
        """The circuit after a call asked for leave, and the answer."""
        match self.state(now):
            case State.CLOSED:
                return self, Permit(probe=False)
            case State.HALF_OPEN if not self.probing:
                return changed(self, probing=True), Permit(probe=True)
            case State.HARD_OPEN:
                return self, Refusal(None, self.hard)
            case _:
                return self, Refusal(self.until)

    def ended(self, end: End, permit: Permit, now: float, *, kind: str = "", unit: float = 0.5) -> "Circuit":
        """The circuit after an admitted attempt ended. `unit`, 0.0 to 1.0, is the draw of the jitter.

        What was admitted before the circuit opened and ends after it changes nothing, unless it is hopeless.
        """
        if end is End.HOPELESS:
            return changed(self, hard=kind, probing=False)
        if permit.probe:
            return self._probed(end, now, kind, unit)
        if end is End.LOST or self.state(now) is not State.CLOSED:
            return self
        counted = self._counted(end, now)
        return _opened(counted, now, kind, unit) if _too_many(counted) else counted

    def mended(self, now: float) -> "Circuit":
        """The circuit once somebody says that what opened it is mended: the next call is its probe."""
        return self if self.closed or self.probing else Circuit(until=now)

    def forget_probe(self) -> "Circuit":
        """The circuit when its probe was lost with its loop: another may go."""
        return changed(self, probing=False)

    def _probed(self, end: End, now: float, kind: str, unit: float) -> "Circuit":
        if self.hard is not None or not self.probing:
            return self
        match end:
            case End.ANSWERED:
                return Circuit()
            case End.FAILED:
                return _opened(self, now, kind, unit)
            case _:
                return self.forget_probe()

    def _counted(self, end: End, now: float) -> "Circuit":
        second, failed = int(now), int(end is End.FAILED)
        samples = self.samples
        if samples and samples[-1].second == second:
            kept, last = samples[:-1], Sample(second, samples[-1].ended + 1, samples[-1].failed + failed)
        else:
            kept, last = tuple(each for each in samples if each.second > now - WINDOW), Sample(second, 1, failed)
        return Circuit((*kept, last), self.failed_in_a_row + 1 if failed else 0, self.opened)


def _too_many(circuit: Circuit) -> bool:
    ended = sum(each.ended for each in circuit.samples)
    failed = sum(each.failed for each in circuit.samples)
    shared = ended >= MIN_SAMPLES and failed >= FAILED_SHARE * ended
    return shared or circuit.failed_in_a_row >= IN_A_ROW


def _opened(circuit: Circuit, now: float, kind: str, unit: float) -> Circuit:
    seconds = min(FIRST_OPEN * 2 ** min(circuit.opened, _DOUBLINGS), LONGEST_OPEN)
    spread = seconds * (1 - JITTER + 2 * JITTER * unit)
    return Circuit(opened=circuit.opened + 1, until=now + spread, cause=kind)
