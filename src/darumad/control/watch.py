"""Wakes those who wait on the control loop for a commit. It does not say what was committed: they read the journal.

The publisher's thread looks at each batch once. It wakes the loop at most once a batch, and only when somebody waits.
"""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Protocol

from darumad.events import Recorded


class _Publisher(Protocol):
    def subscribe(self, listener: Callable[[Sequence[Recorded]], None]) -> Callable[[], None]: ...


class CommitWatch:
    """Subscribed to the publisher from the start. Made on the control loop's thread, before that loop serves."""

    def __init__(self, publisher: _Publisher, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._items: dict[str, set[asyncio.Event]] = {}
        self._all: set[asyncio.Event] = set()
        self._unsubscribe = publisher.subscribe(self._committed)
        self.closed = False

    @contextmanager
    def item(self, item: str) -> Iterator[asyncio.Event]:
        """An event that is set whenever something about `item` was committed."""
        bell = asyncio.Event()
        self._items.setdefault(item, set()).add(bell)
        try:
            yield bell
        finally:
            waiting = self._items[item]
            waiting.discard(bell)
            if not waiting:
                del self._items[item]

    @contextmanager
    def everything(self) -> Iterator[asyncio.Event]:
        """An event that is set whenever anything was committed."""
        bell = asyncio.Event()
        self._all.add(bell)
        try:
            yield bell
        finally:
            self._all.discard(bell)

    def close(self) -> None:
        """End the subscription, and wake everybody who waits: they see that it is `closed`."""
        self._unsubscribe()
        self.closed = True
        self._ring({bell for bells in self._items.values() for bell in bells} | self._all)

    def _committed(self, batch: Sequence[Recorded]) -> None:
        """On the publisher's thread. A waiter that is not seen yet reads the journal after this."""
        items = self._items
        touched = [each.subject for each in batch if each.subject in items] if items else []
        if not touched and not self._all:
            return
        try:
            self._loop.call_soon_threadsafe(self._wake, touched)
        except RuntimeError:
            return  # the loop has closed: nobody waits any more

    def _wake(self, touched: Sequence[str]) -> None:
        self._ring({bell for item in touched for bell in self._items.get(item, ())} | self._all)

    @staticmethod
    def _ring(bells: set[asyncio.Event]) -> None:
        for bell in bells:
            bell.set()
