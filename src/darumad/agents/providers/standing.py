"""What outlives the loop: how each provider stands, and who is revoked. Safe from any thread; nothing of asyncio."""

import threading
from collections import OrderedDict, defaultdict
from collections.abc import Callable, Mapping
from math import inf

from darumad.agents.providers.breaker import Circuit, End, Lets, Permit, State, end_of
from darumad.agents.providers.calibration import Calibration
from darumad.agents.providers.classify import AttemptFailed
from darumad.agents.providers.evidence import Blame, Evidence, Target
from darumad.agents.providers.limiter import Amounts, Booking, Limiter, Measure, Remaining
from darumad.agents.providers.policy import LONGEST_WAIT, RetryBudget, Rng
from darumad.agents.providers.sparing import Sparing
from darumad.clock import Clock
from darumad.events import (
    Fact,
    ProviderCircuitClosed,
    ProviderCircuitOpened,
    ProviderFallback,
    ProviderRateLimited,
    ProviderUsageExceeded,
    ProviderUsageUnknown,
)
from darumad.names import ItemId
from darumad.values import Value, changed
from darumad.work.ports import Owner

_UNCALIBRATED = Calibration()

GUESS, MOST_GUESSED = 1.0, 30.0
"""Seconds for which a provider is left alone that refuses calls for their rate and says no time: at first, at most.

One that says a time and refuses again once it is over is left alone for twice as long each time, up to the same.
"""

MAX_REVOKED = 65_536
"""Items whose revoked fence is remembered; the oldest go first, long after their calls have ended."""


class CircuitState(Value):
    """A circuit as it is shown. `half_opens_at` is monotonic seconds; None when it is closed or hard-open.

    `cause` is the kind of failure that opened it last, where time alone half-opens it. `probed`: it is half-open, and
    the one call that it lets through is on its way. `mended`: it is so by somebody's word, after no failure that is
    known. `answered_at` is when its target last answered, monotonic seconds.
    """

    state: State
    half_opens_at: float | None
    kind: str | None = None
    cause: str | None = None
    probed: bool = False
    mended: bool = False
    answered_at: float | None = None

    @property
    def shut(self) -> bool:
        """Whether the next call would be refused."""
        return self.probed or self.state in {State.OPEN, State.HARD_OPEN}


class Standing:
    """The pure values, one lock around them, and the clock and draws that they are asked with.

    `note` records a fact: that a circuit has opened or closed, that a provider refuses calls or another has to answer.
    """

    def __init__(self, clock: Clock, rng: Rng, note: Callable[[Fact], None]) -> None:
        self._clock = clock
        self._rng = rng
        self._note = note
        self._lock = threading.Lock()
        self._circuits: dict[Target, Circuit] = {}
        self._answered: dict[Target, float] = {}
        self._evidence = Evidence()
        self._budgets: defaultdict[str, RetryBudget] = defaultdict(RetryBudget)
        self._limiters: dict[str, Limiter] = {}
        self._not_before: dict[str, float] = {}
        self._guesses: dict[str, float] = {}
        self._calibrations: dict[Target, Calibration] = {}
        self._revoked: OrderedDict[str, int] = OrderedDict()
        self._sparing = Sparing()

    # --- circuits ---------------------------------------------------------------------------------------------------

    def refuse_if_open(self, target: Target) -> None:
        """Spare a call the queue when its target is open.

        Raises:
            AttemptFailed: as `admit`.
        """
        circuit = self._circuits.get(target)
        if circuit is None or circuit.closed:
            return
        _, answer = circuit.admit(self._clock.monotonic())
        self._refused(target, answer)

    def admit(self, target: Target) -> Permit:
        """Leave to try `target`; every permit must be given back to `ended`.

        Raises:
            AttemptFailed: its circuit is open: `local_saturation`, with the seconds until it half-opens; or the
                kind that opened it hard.
        """
        with self._lock:
            self._circuits[target], answer = self._circuit(target).admit(self._clock.monotonic())
        return self._refused(target, answer)

    def ended(self, target: Target, permit: Permit, kind: str | None) -> None:
        """An admitted attempt ended: with an answer (`kind` None), or with a kind of failure."""
        end, now = End.ANSWERED if kind is None else end_of(kind), self._clock.monotonic()
        with self._lock:
            if kind is None:
                self._answered[target] = now
                self._guesses.pop(target[0], None)
            before = self._circuit(target)
            after = before.ended(end, permit, now, kind=kind or "", unit=self._rng.random())
            self._circuits[target] = after
        if before.closed and not after.closed:
            half_opens_ms = None if after.until is None or after.hard else int((after.until - now) * 1000)
            self._note(ProviderCircuitOpened(":".join(target), kind or "", half_opens_ms))
        elif after.closed and not before.closed:
            self._note(ProviderCircuitClosed(":".join(target)))

    def answered(self, target: Target, item: ItemId) -> None:
        """A call of `item` came to an answer."""
        with self._lock:
            self._evidence.answered(target, item)

    def blame(self, target: Target, item: ItemId, kind: str, sent_at: float) -> Blame:
        """Whose it is that a call of `item`, first sent at `sent_at` (monotonic seconds), ended with this kind."""
        now = self._clock.monotonic()
        with self._lock:
            is_open = self._circuit(target).state(now) is not State.CLOSED
            answered_at = self._answered.get(target, -inf)
            if end_of(kind) is not End.FAILED:
                return Blame(circuit_open=is_open, target_answered=answered_at > sent_at)
            found = self._evidence.failed(target, item, now, since=sent_at, answered_at=answered_at)
        return changed(found, circuit_open=is_open and found.circuit_open)

    def is_open(self, target: Target) -> bool:
        """Whether failures of this target are known by now, and nobody's but its own."""
        with self._lock:
            return self._circuit(target).state(self._clock.monotonic()) is not State.CLOSED

    def opens_in(self, target: Target) -> float | None:
        """Seconds until an open circuit lets a probe through; None for one that is closed, or is to be mended first."""
        now = self._clock.monotonic()
        with self._lock:
            circuit = self._circuit(target)
        waits = circuit.state(now) is State.OPEN and circuit.until is not None
        return (circuit.until or now) - now if waits else None

    def lets(self, target: Target) -> Lets:
        """How many calls its circuit would let through now."""
        circuit = self._circuits.get(target)
        return Lets.ALL if circuit is None or circuit.closed else circuit.lets(self._clock.monotonic())

    def circuits(self) -> Mapping[Target, CircuitState]:
        """Every target that was ever tried, as it stands."""
        now = self._clock.monotonic()
        with self._lock:
            return {
                target: _shown(circuit, now, self._answered.get(target)) for target, circuit in self._circuits.items()
            }

    def open_until(self, provider: str) -> float | None:
        """When the last of its shut circuits half-opens: monotonic seconds, `inf` for never; None when none is shut.

        One that is half-open is shut while its probe is out: whoever came would only be sent away.
        """
        shut = [each for (name, _), each in self.circuits().items() if name == provider and each.shut]
        return max((inf if each.half_opens_at is None else each.half_opens_at for each in shut), default=None)

    def reset(self, provider: str) -> None:
        """Forget what is known against a provider: it has another key."""
        with self._lock:
            known = self._circuits
            self._circuits = {target: each for target, each in known.items() if target[0] != provider}
            self._left_alone_no_more(provider)
        for target, each in known.items():
            if target[0] == provider and not each.closed:
                self._note(ProviderCircuitClosed(":".join(target)))

    def mended(self, provider: str) -> bool:
        """Somebody says so of `provider`: each circuit that is hard-open lets one call through. Whether any was."""
        now = self._clock.monotonic()
        with self._lock:
            hard = {target: each for target, each in self._circuits.items() if target[0] == provider and each.hard}
            self._circuits |= {target: each.mended(now) for target, each in hard.items()}
        return bool(hard)

    def vouch_for(self, provider: str) -> None:
        """Its operator says that it is well: each open circuit lets one call through, and no wait it wanted holds."""
        now = self._clock.monotonic()
        with self._lock:
            its = {target: each for target, each in self._circuits.items() if target[0] == provider}
            self._circuits |= {target: each.mended(now) for target, each in its.items()}
            self._left_alone_no_more(provider)
            if provider in self._limiters:
                self._limiters[provider].forget_what_was_said()

    def let_go(self) -> None:
        """The loop is gone with every call that was open on it: what they held is free for those of the next.

        A circuit that waited for its probe stays half-open; what was booked counts as sent.
        """
        with self._lock:
            self._circuits = {target: each.forget_probe() for target, each in self._circuits.items()}
            for each in self._limiters.values():
                each.let_go(self._clock.monotonic())

    # --- waits and retries ------------------------------------------------------------------------------------------

    def rate_limited(self, provider: str, seconds: float | None) -> None:
        """`provider` refused a call for its rate: no other for as long as it says, longer each time in a row."""
        now = self._clock.monotonic()
        with self._lock:
            until, asked = self._not_before.get(provider, 0.0), seconds or 0.0
            wait = asked
            if now >= until:  # what was sent before the last wait began says nothing new
                before = self._guesses.get(provider, (asked or GUESS) / 2)
                wait = max(asked, min(2 * before, MOST_GUESSED))
                self._guesses[provider] = wait
            self._not_before[provider] = max(now + wait, until)
            times = self._sparing.times(provider, now)
        if times:
            self._note(ProviderRateLimited(provider, None if seconds is None else int(seconds * 1000), times))

    def overloaded(self, provider: str, seconds: float) -> None:
        """`provider` has more to do than it can, and wants no other call for `seconds`.

        It is left alone for as long as a call waits: who would come later finds out itself, and its circuit opens.
        """
        with self._lock:
            until = self._clock.monotonic() + min(seconds, LONGEST_WAIT)
            self._not_before[provider] = max(until, self._not_before.get(provider, 0.0))

    def fell_back(self, provider: str, to: str, kind: str) -> None:
        """A call to `provider` failed with `kind`, and the provider `to` is asked in its place."""
        with self._lock:
            times = self._sparing.times((provider, to), self._clock.monotonic())
        if times:
            self._note(ProviderFallback(provider, to, kind, times))

    def uncounted(self, target: Target) -> None:
        """`target` ended a call without saying what it used, or said what cannot be: that is booked at its estimate."""
        with self._lock:
            times = self._sparing.times(("usage", target), self._clock.monotonic())
        if times:
            self._note(ProviderUsageUnknown(":".join(target), times))

    def overcounted(self, target: Target, said: int, allowed: int) -> None:
        """`target` says that a call wrote more tokens than it was `allowed`: that is booked as it was `said`."""
        with self._lock:
            times = self._sparing.times(("excess", target), self._clock.monotonic())
        if times:
            self._note(ProviderUsageExceeded(":".join(target), said, allowed, times))

    def held_back(self, provider: str) -> float:
        """Seconds until `provider` wants to be called again; 0.0 for now."""
        until = self._not_before.get(provider)
        return 0.0 if until is None else max(0.0, until - self._clock.monotonic())

    def book(self, provider: str, limits: Amounts, needs: Amounts) -> Booking | float:
        """Leave to send such a call to `provider`, which limits a minute so; or the seconds until it is worth asking.

        Every booking must be settled.
        """
        now = self._clock.monotonic()
        with self._lock:
            limiter = self._limiters.get(provider)
            if limiter is None:
                limiter = self._limiters[provider] = Limiter(limits)
            wait = limiter.when(now, needs) - now
            return limiter.book(needs) if wait <= 0 else wait

    def factor(self, target: Target) -> float:
        """What a guess at the tokens of a prompt for this target is multiplied by."""
        return self._calibrations.get(target, _UNCALIBRATED).factor

    def learn(self, target: Target, guessed: int, read: int) -> None:
        """Its server counted `read` tokens of a prompt for which so many were guessed, before the factor."""
        with self._lock:
            self._calibrations[target] = self._calibrations.get(target, _UNCALIBRATED).learned(guessed, read)

    def settle(self, provider: str, booking: Booking, used: Amounts) -> None:
        """A booked call has ended: count what it really used of its provider's limits. Once it was let go: nothing."""
        with self._lock:
            self._limiters[provider].settle(self._clock.monotonic(), booking, used)

    def heed(self, provider: str, said: Mapping[Measure, Remaining]) -> None:
        """Take a server's word for what is left of its limits."""
        with self._lock:
            if provider in self._limiters:
                self._limiters[provider].heed(self._clock.monotonic(), said)

    def called(self, provider: str) -> None:
        """Count a call towards the retries it allows."""
        with self._lock:
            self._budgets[provider].called(self._clock.monotonic())

    def may_retry(self, target: Target) -> bool:
        """Whether one more try makes sense: the circuit is closed and the retry budget has room, which is taken."""
        if self.is_open(target):
            return False
        with self._lock:
            return self._budgets[target[0]].take(self._clock.monotonic())

    # --- owners -----------------------------------------------------------------------------------------------------

    def revoke(self, owner: Owner) -> None:
        """No further call for `owner`, nor for an earlier holder of its item."""
        with self._lock:
            self._revoked[owner.item] = max(owner.fence, self._revoked.pop(owner.item, owner.fence))
            if len(self._revoked) > MAX_REVOKED:
                self._revoked.popitem(last=False)

    def is_revoked(self, owner: Owner) -> bool:
        """Whether `owner` may call no more."""
        with self._lock:
            fence = self._revoked.get(owner.item)
        return fence is not None and owner.fence <= fence

    def _left_alone_no_more(self, provider: str) -> None:
        self._not_before.pop(provider, None)
        self._guesses.pop(provider, None)

    def _circuit(self, target: Target) -> Circuit:
        return self._circuits.get(target) or Circuit()

    def _refused(self, target: Target, answer: object) -> Permit:
        if isinstance(answer, Permit):
            return answer
        shown = self.circuits()[target]
        name = ":".join(target)
        if shown.kind is not None:
            raise AttemptFailed(shown.kind, f"{name} is not called until it is said to be mended ({shown.kind})")
        wait = max(0.0, (shown.half_opens_at or 0.0) - self._clock.monotonic())
        raise AttemptFailed("local_saturation", f"the circuit of {name} is open", retry_after=wait)


def _shown(circuit: Circuit, now: float, answered_at: float | None) -> CircuitState:
    state = circuit.state(now)
    half_open = state is State.HALF_OPEN
    return CircuitState(
        state,
        circuit.until if circuit.hard is None else None,
        circuit.hard,
        circuit.cause if circuit.hard is None else None,
        probed=half_open and circuit.probing,
        mended=half_open and not circuit.opened,
        answered_at=answered_at,
    )
