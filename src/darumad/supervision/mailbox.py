"""The mailbox: a system lane that overtakes, a bounded message lane, and an end after which nothing gets in.

One lock, and a second one that the only consumer sleeps on: cheaper than `queue.Queue`, whose every put notifies.
"""

import threading
from collections import deque
from typing import Any

from darumad.supervision.errors import MailboxFull
from darumad.supervision.pykka_door import Envelope

UNBOUNDED = 1 << 62


class Mailbox:
    """Many threads put, one gets. `bound` limits the message lane only."""

    __slots__ = ("_asleep", "_bound", "_closed", "_lock", "_messages", "_system", "_wake")

    def __init__(self, bound: int = UNBOUNDED) -> None:
        self._lock = threading.Lock()
        self._wake = threading.Lock()
        self._wake.acquire()
        self._asleep = False
        self._closed = False
        self._bound = bound
        self._messages: deque[Envelope[Any]] = deque()
        self._system: deque[object] = deque()

    def put(self, envelope: Envelope[Any]) -> bool:
        """Take a message; False once the mailbox is closed.

        Raises:
            MailboxFull: the message lane is at its bound.
        """
        with self._lock:
            if self._closed:
                return False
            if len(self._messages) >= self._bound:
                raise MailboxFull(f"{self._bound} messages wait")
            self._messages.append(envelope)
            if self._asleep:
                self._asleep = False
                self._wake.release()
            return True

    def post(self, signal: object) -> bool:
        """Take a signal on the system lane, ahead of every message; False once the mailbox is closed."""
        with self._lock:
            if self._closed:
                return False
            self._system.append(signal)
            if self._asleep:
                self._asleep = False
                self._wake.release()
            return True

    def get(self) -> object | None:
        """The next signal, or else the next envelope; None once the mailbox is closed."""
        while True:
            with self._lock:
                if self._closed:
                    return None
                if self._system:
                    return self._system.popleft()
                if self._messages:
                    return self._messages.popleft()
                self._asleep = True
            self._wake.acquire()

    def close(self) -> tuple[list[object], list[Envelope[Any]]]:
        """Take nothing any more; the signals and envelopes that nobody will handle. Empty the second time."""
        with self._lock:
            self._closed = True
            signals, messages = list(self._system), list(self._messages)
            self._system.clear()
            self._messages.clear()
            if self._asleep:
                self._asleep = False
                self._wake.release()
        return signals, messages

    @property
    def depth(self) -> int:
        """How many messages wait."""
        return len(self._messages)

    @property
    def idle(self) -> bool:
        """Whether the consumer sleeps because both lanes are empty."""
        return self._asleep
