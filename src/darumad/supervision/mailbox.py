"""The mailbox: a system lane that overtakes, a bounded message lane, and an end after which nothing gets in.

Messages go in and out without a lock: appending to a deque and taking from it are atomic, and a lock that a preempted
thread holds costs every other one a hand-over of the interpreter. Locked are the system lane, going to sleep, waking up
and the end.
"""

import threading
from collections import deque
from typing import Any, Final

from darumad.supervision.errors import MailboxFull
from darumad.supervision.pykka_door import Envelope

UNBOUNDED: Final = 1 << 62


class Mailbox:
    """Many threads put, one gets. `bound` limits the message lane only; many at once may pass it by one each."""

    __slots__ = ("_asleep", "_bound", "_closed", "_lock", "_messages", "_roll", "_system", "_wake", "_whose")

    def __init__(self, bound: int = UNBOUNDED) -> None:
        self._lock = threading.Lock()
        self._wake = threading.Lock()
        self._wake.acquire()
        self._asleep = False
        self._closed = False
        self._bound = bound
        self._roll: set[Any] | None = None
        self._whose: object = None
        self._messages: deque[Envelope[Any]] = deque()
        self._system: deque[object] = deque()

    def put(self, envelope: Envelope[Any]) -> bool:
        """Take a message; False once the mailbox is closed.

        Raises:
            MailboxFull: the message lane is at its bound.
        """
        if len(self._messages) >= self._bound:
            if self._closed:
                return False
            raise MailboxFull(f"{self._bound} messages wait")
        self._messages.append(envelope)
        if self._asleep:
            self._rouse()
        return not self._closed or not self._took_back(envelope)

    def post(self, signal: object) -> bool:
        """Take a signal on the system lane, ahead of every message; False once the mailbox is closed."""
        with self._lock:
            if self._closed:
                return False
            self._system.append(signal)
            self._rouse_locked()
            return True

    def get(self) -> object | None:
        """The next signal, or else the next envelope; None once the mailbox is closed."""
        while not self._closed:
            try:
                if self._system:
                    return self._system.popleft()
                if self._messages:
                    return self._messages.popleft()
            except IndexError:  # closed between the look and the grasp
                continue
            self._sleep()
        return None

    def close(self) -> tuple[list[object], list[Envelope[Any]]]:
        """Take nothing any more; the signals and envelopes that nobody will handle. Empty the second time."""
        with self._lock:
            self._closed = True
            self._bound = 0  # nothing gets past it any more
            signals = list(self._system)
            self._system.clear()
            self._rouse_locked()
        return signals, self._emptied()

    def sign(self, roll: set[Any], whose: object) -> None:
        """Keep `whose` on `roll` while the consumer is awake, from now on; only the consumer's thread may call it.

        Who looks for the busy among many reads the roll, which costs neither side anything for those that sleep.
        """
        self._roll, self._whose = roll, whose
        roll.add(whose)

    @property
    def closed(self) -> bool:
        """Whether nothing gets in any more."""
        return self._closed

    @property
    def depth(self) -> int:
        """How many messages wait."""
        return len(self._messages)

    @property
    def idle(self) -> bool:
        """Whether the consumer sleeps because both lanes are empty."""
        return self._asleep and not self._system and not self._messages

    def _sleep(self) -> None:
        self._asleep = True
        # Whoever puts from here on sees a sleeper and wakes it; what was put before is seen by this look.
        if self._system or self._messages or self._closed:
            self._rouse()
        if self._roll is None:
            self._wake.acquire()
            return
        self._roll.discard(self._whose)
        self._wake.acquire()
        self._roll.add(self._whose)

    def _rouse(self) -> None:
        with self._lock:
            self._rouse_locked()

    def _rouse_locked(self) -> None:
        if self._asleep:
            self._asleep = False
            self._wake.release()

    def _took_back(self, envelope: Envelope[Any]) -> bool:
        """The mailbox closed under this put: whether the envelope was still in it. If not, whoever closed it has it."""
        try:
            self._messages.remove(envelope)
        except (ValueError, IndexError):
            return False
        return True

    def _emptied(self) -> list[Envelope[Any]]:
        found = []
        try:
            while True:
                found.append(self._messages.popleft())
        except IndexError:
            return found
