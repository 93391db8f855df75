"""Who waits for whom. Only the waiting thread writes its own entry, in its life; any thread reads.

A thread that is about to wait without a limit says so, before it posts what it waits for the answer of, and then
follows the waits from there. If they lead back to it, none of them would ever end, and one is refused. Of two that
close such a ring at once, one at least sees all of it. A wait that has a limit ends by itself: it is not entered, and
no ring goes through it. An entry whose latch is open means nothing.
"""

from typing import Final, Protocol

from darumad.supervision.errors import WouldDeadlock
from darumad.supervision.latch import Latch
from darumad.supervision.life import Life, Phase, here


class Refusable(Protocol):
    """An answer that somebody waits for, and may be refused."""

    def refuse(self, error: BaseException) -> None:
        """Answer with `error`; harmless if it is answered."""


class Wait:
    """One thread's wait, until `latch` opens, for what only the thread of `target` can bring about."""

    __slots__ = ("latch", "reply", "target")

    def __init__(self, target: Life, latch: Latch, reply: Refusable | None = None) -> None:
        self.target: Final = target
        self.latch: Final = latch
        self.reply: Final = reply


class _Farewell:
    """A wait for an end, which may be refused before that comes."""

    def __init__(self) -> None:
        self.latch: Final = Latch()
        self.refusal: BaseException | None = None

    def refuse(self, error: BaseException) -> None:
        """Wait no longer."""
        self.refusal = error
        self.latch.open()


def would_deadlock(target: Life, *, limited: bool = True) -> bool:
    """Whether this thread, waiting for `target`, waits for itself or for one that waits for it.

    A wait that is not `limited` is also refused if `target` waits for this thread through others.
    """
    me = here.life
    if me is None:
        return False
    if me is target or (me.phase is not Phase.RUNNING and target.is_above(me)):
        return True
    return not limited and bool(_twice_the_same(target.waiting, me))


def announce(target: Life, latch: Latch, reply: Refusable | None = None) -> None:
    """Say that this thread is about to wait; it must, or `latch` must be opened."""
    me = here.life
    if me is not None:
        me.waiting = Wait(target, latch, reply)


def await_answer(asked: Life, latch: Latch, reply: Refusable) -> None:
    """Wait until `latch` opens, which `asked` is to do; if it cannot, `reply` is refused, which opens it too."""
    me = here.life
    if me is None:
        latch.wait()
        return
    me.waiting = mine = Wait(asked, latch, reply)
    try:
        if _twice_the_same(mine, me):
            reply.refuse(_deadlock(asked))
        latch.wait()
    finally:
        me.waiting = None


def await_end(life: Life) -> None:
    """Wait until `life` has ended.

    Raises:
        WouldDeadlock: it cannot while this thread waits.
    """
    me = here.life
    if me is None:
        life.ended.wait()
        return
    farewell = _Farewell()
    me.waiting = mine = Wait(life, farewell.latch, farewell)
    try:
        if _twice_the_same(mine, me):
            raise _deadlock(life)
        life.opens_at_end(farewell.latch)
        farewell.latch.wait()
    finally:
        me.waiting = None
    if farewell.refusal is not None and not life.ended.is_open:
        raise farewell.refusal


def await_child(child: Life, latch: Latch, timeout: float | None) -> bool:
    """Wait, as the child's supervisor, for its start or its end; whether it came within `timeout` seconds.

    The supervisor goes on whatever happens: if the child waits for it, that wait is refused. Its own wait counts though
    it may have a limit, for at the end of that the child would be convicted of what is not its fault.
    """
    me = here.life
    if me is None:
        return latch.wait(timeout)
    me.waiting = mine = Wait(child, latch)
    try:
        for wait in reversed(_twice_the_same(mine, me)):
            if wait.reply is not None:
                wait.reply.refuse(_deadlock(me))
                break
        return latch.wait(timeout)
    finally:
        me.waiting = None


def _twice_the_same(first: Wait | None, me: Life) -> list[Wait]:
    """The waits from `first` on, if they lead to `me`; else none.

    Each is read at another moment. If a second look finds the same ones, all of them were there between the two.
    """
    ring = _ring(first, me)
    return ring if ring and ring == _ring(first, me) else []


def _ring(wait: Wait | None, me: Life) -> list[Wait]:
    found: list[Wait] = []
    while wait is not None and not wait.latch.is_open and wait not in found:
        found.append(wait)
        if wait.target is me:
            return found
        wait = wait.target.waiting
    return []


def _deadlock(asked: Life) -> WouldDeadlock:
    return WouldDeadlock(f"{asked.path or 'actor'} is waiting for this thread")
