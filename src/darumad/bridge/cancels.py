"""Cancels under way: what each still waits for, and the one answer that it gets."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field

from darumad.bridge.seat import Limit, Stopped
from darumad.clock import Clock
from darumad.names import ItemId
from darumad.work.ports import Owner


@dataclass(slots=True, eq=False)
class Cancel:
    """A cancel under way: what it still waits for."""

    began: float
    why: Limit
    waiting: set[Owner]
    stopped: list[ItemId]
    reply: Callable[[Stopped], None]
    abandoned: list[ItemId] = field(default_factory=list)

    def answer(self, now: float) -> None:
        """Say what stopped; whatever is still waited for has not."""
        left = (*self.abandoned, *(each.item for each in self.waiting))
        self.reply(Stopped(tuple(self.stopped), left, int((now - self.began) * 1000)))


class Cancels:
    """Those of one half. Added from any thread, under the bridge's lock; all else is the loop's."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._open: list[Cancel] = []

    def add(
        self, owned: Sequence[Owner], running: Collection[Owner], why: Limit, reply: Callable[[Stopped], None]
    ) -> None:
        """One that waits for those of `owned` that are `running`; the others have stopped already."""
        waiting = {each for each in owned if each in running}
        done = [each.item for each in owned if each not in waiting]
        self._open.append(Cancel(self._clock.monotonic(), why, waiting, done, reply))

    def take(self) -> Sequence[Cancel]:
        """All of them, to be answered by the caller."""
        taken, self._open = self._open, []
        return taken

    def ended(self, owned: Owner, *, abandoned: bool) -> None:
        """What ran for `owned` has ended, or was given up."""
        if not self._open:  # as nearly ever
            return
        for cancel in self._open:
            if owned in cancel.waiting:
                cancel.waiting.discard(owned)
                (cancel.abandoned if abandoned else cancel.stopped).append(owned.item)
        self.answer()

    def answer(self) -> None:
        """Answer those that wait for nothing more."""
        for each in [each for each in self._open if not each.waiting]:
            self._open.remove(each)  # in place: others are appended from other threads
            each.answer(self._clock.monotonic())
