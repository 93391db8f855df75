"""The publisher: tells listeners what was committed, on a thread of its own, and keeps the last events in a ring.

Logs, metrics and streams are such listeners. They can neither hold up the writer nor raise into it.
"""

import threading
from bisect import bisect_right
from collections import deque
from collections.abc import Callable, Sequence
from itertools import islice
from queue import SimpleQueue

import orjson

from darumad.bus import Bus
from darumad.clock import Clock
from darumad.events import Recorded
from darumad.names import Position, Seconds
from darumad.values import Value, asdict

RING = 16_384
"""How many events are kept, rendered as JSON. A follower that is further behind reads the journal."""


class PublisherHealth(Value):
    """How many batches wait, and how many seconds the present one has been told (None between two)."""

    queued: int
    batch_age: Seconds | None


class Publisher:
    """Hands committed batches to listeners in the order of their COMMIT, on a thread of its own.

    What a listener raises goes to `threading.excepthook`; the others hear the batch all the same.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._queue: SimpleQueue[Sequence[Recorded] | None] = SimpleQueue()
        self._bus: Bus[Sequence[Recorded]] = Bus(_to_excepthook)
        self._ring = Ring()
        self._began: float | None = None
        self._thread = threading.Thread(target=self._work, name="publisher", daemon=True)

    def start(self) -> None:
        """Begin to tell batches; those published before this are told first."""
        self._thread.start()

    def publish(self, batch: Sequence[Recorded]) -> None:
        """Queue a committed batch and return at once. The writer calls this after COMMIT."""
        if batch:
            self._queue.put(batch)

    def subscribe(self, listener: Callable[[Sequence[Recorded]], None]) -> Callable[[], None]:
        """`listener` hears every batch from now on, on the publisher's thread; the returned call ends that."""
        return self._bus.subscribe(listener)

    def after(self, position: int) -> tuple[tuple[bytes, ...], bool]:
        """The rendered events behind `position`, one JSON line each, and whether that is all of them."""
        return self._ring.after(position)

    def forget(self, subject: str) -> None:
        """Empty the events about `subject` in the ring: a follower that catches up learns no more than their types."""
        self._ring.forget(subject)

    @property
    def position(self) -> Position:
        """The last position told."""
        return self._ring.last

    def health(self) -> PublisherHealth:
        """Safe from any thread at any time."""
        began = self._began
        age = None if began is None else Seconds(max(0.0, self._clock.monotonic() - began))
        return PublisherHealth(self._queue.qsize(), age)

    def close(self, within: Seconds) -> bool:
        """Tell what was published before, then stop. False if that took longer than `within` seconds."""
        if self._thread.ident is None:
            return True
        self._queue.put(None)
        self._thread.join(within)
        return not self._thread.is_alive()

    def _work(self) -> None:
        while (batch := self._queue.get()) is not None:
            self._began = self._clock.monotonic()
            self._ring.extend(batch)
            self._bus.publish(batch)
            self._began = None


class Ring:
    """The last events, rendered once. Positions only go up; they may have holes."""

    def __init__(self, size: int = RING) -> None:
        self._lock = threading.Lock()
        self._positions: deque[int] = deque(maxlen=size)
        self._lines: deque[bytes] = deque(maxlen=size)
        self._dropped_to: int | None = None

    @property
    def last(self) -> Position:
        """The newest position held; 0 when there is none."""
        with self._lock:
            return Position(self._positions[-1] if self._positions else 0)

    def extend(self, batch: Sequence[Recorded]) -> None:
        """Renders `batch` and lets the oldest go."""
        lines = [render(each) for each in batch]
        with self._lock:
            if self._dropped_to is None:
                self._dropped_to = batch[0].seq - 1
            self._let_go(batch)
            self._positions.extend([each.seq for each in batch])
            self._lines.extend(lines)

    def _let_go(self, batch: Sequence[Recorded]) -> None:
        held = len(self._positions)
        over = held + len(batch) - (self._positions.maxlen or 0)
        if over > 0:
            self._dropped_to = self._positions[over - 1] if over <= held else batch[over - held - 1].seq

    def forget(self, subject: str) -> None:
        """Keep the events about `subject` in their positions, without their data."""
        with self._lock:
            for place, line in enumerate(self._lines):
                event = orjson.loads(line)
                if event["subject"] == subject:
                    self._lines[place] = orjson.dumps({**event, "data": {}}, option=orjson.OPT_APPEND_NEWLINE)

    def after(self, position: int) -> tuple[tuple[bytes, ...], bool]:
        """The lines behind `position`, and whether they are complete: none of them was dropped or is from before."""
        with self._lock:
            start = bisect_right(self._positions, position)
            lines = tuple(islice(self._lines, start, None))
            return lines, self._dropped_to is not None and position >= self._dropped_to


def render(event: Recorded) -> bytes:
    """One event as one line of JSON."""
    return orjson.dumps(asdict(event), option=orjson.OPT_APPEND_NEWLINE)


def _to_excepthook(error: Exception) -> None:
    hook = threading.ExceptHookArgs((type(error), error, error.__traceback__, threading.current_thread()))
    threading.excepthook(hook)
