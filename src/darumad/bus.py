"""The bus: signals to listeners, and plain counters.

It stores nothing and blocks nobody; listeners may not raise into a publisher.
"""

import threading
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import Generic, TypeVar

from darumad.values import Value

T = TypeVar("T")
Listener = Callable[[T], None]


class Bus(Generic[T]):
    """Publishes to every listener, in the publisher's thread and in the order of subscription."""

    def __init__(self, on_error: Callable[[Exception], None]) -> None:
        self._listeners: tuple[Listener[T], ...] = ()
        self._on_error = on_error

    def subscribe(self, listener: Listener[T]) -> Callable[[], None]:
        """Adds `listener`; the returned call removes it again."""
        self._listeners = (*self._listeners, listener)

        def unsubscribe() -> None:
            self._listeners = tuple(each for each in self._listeners if each is not listener)

        return unsubscribe

    def publish(self, event: T) -> None:
        """Hands `event` to every listener. What a listener raises is given to `on_error` and dropped."""
        for listener in self._listeners:
            try:
                listener(event)
            except Exception as error:  # noqa: BLE001 - a listener's failure is not the publisher's
                self._on_error(error)


Labels = tuple[str, ...]


class Histogram(Value):
    """A distribution as Prometheus counts it: per bucket (not cumulated), and the sum."""

    bounds: tuple[float, ...]
    counts: tuple[int, ...]
    total: float


class _Shard:
    """One thread's counters: nobody else writes them, so nothing is locked on the way in."""

    __slots__ = ("counts", "observed")

    def __init__(self) -> None:
        self.counts: defaultdict[tuple[str, Labels], float] = defaultdict(float)
        self.observed: dict[tuple[str, Labels], list[float]] = {}


class Tally:
    """Plain counters and fixed-bucket distributions, one shard per thread, summed when somebody reads.

    `buckets` names every distribution with its upper bounds; an observation of another name raises KeyError.
    """

    def __init__(self, buckets: Mapping[str, Sequence[float]]) -> None:
        self._bounds = {name: tuple(bounds) for name, bounds in buckets.items()}
        self._local = threading.local()
        self._shards: list[_Shard] = []
        self._lock = threading.Lock()

    def add(self, name: str, labels: Labels = (), amount: float = 1) -> None:
        """Counts `amount` under `name` and `labels`."""
        self._shard().counts[name, labels] += amount

    def observe(self, name: str, value: float, labels: Labels = ()) -> None:
        """Puts `value` into its bucket."""
        bounds = self._bounds[name]
        observed = self._shard().observed
        row = observed.get((name, labels))
        if row is None:
            row = observed[name, labels] = [0.0] * (len(bounds) + 2)
        row[bisect_left(bounds, value)] += 1
        row[-1] += value

    def counts(self) -> dict[tuple[str, Labels], float]:
        """Every counter's sum over all threads."""
        sums: defaultdict[tuple[str, Labels], float] = defaultdict(float)
        for shard in self._all():
            for key, value in list(shard.counts.items()):
                sums[key] += value
        return dict(sums)

    def histograms(self) -> dict[tuple[str, Labels], Histogram]:
        """Every distribution's sum over all threads."""
        sums: dict[tuple[str, Labels], list[float]] = {}
        for shard in self._all():
            for key, row in list(shard.observed.items()):
                held = sums.setdefault(key, [0.0] * len(row))
                sums[key] = [a + b for a, b in zip(held, row, strict=True)]
        return {
            key: Histogram(self._bounds[key[0]], tuple(int(each) for each in row[:-1]), row[-1])
            for key, row in sums.items()
        }

    def _shard(self) -> _Shard:
        shard: _Shard | None = getattr(self._local, "shard", None)
        if shard is None:
            shard = self._local.shard = _Shard()
            with self._lock:
                self._shards.append(shard)
        return shard

    def _all(self) -> tuple[_Shard, ...]:
        with self._lock:
            return tuple(self._shards)
