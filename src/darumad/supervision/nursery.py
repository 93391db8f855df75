"""How a supervisor's thread brings a child up and takes it down: bounded, synchronous, and each step an event.

A supervisor that was fenced meanwhile does nothing more: whatever waits here raises `Superseded`, which unwinds its
thread.
"""

import traceback
from contextlib import suppress

from darumad.supervision.child import Child
from darumad.supervision.errors import IGNORE, StartError, Timeout
from darumad.supervision.life import REAL, Birth, Life
from darumad.supervision.reasons import ABANDONED, KILLED, NORMAL, SHUTDOWN, ExitReason, text_of
from darumad.supervision.ref import ActorRef
from darumad.supervision.signals import Stop
from darumad.supervision.tree import Superseded, Tree
from darumad.supervision.waits import announce, await_child

LINGER = 5.0
"""Seconds in which a thread ends that has nothing left to do."""


def bring_up(tree: Tree, child: Child, supervisor: Life) -> ActorRef | None:
    """Start the child and wait until it is READY; None if it wished to be ignored.

    Raises:
        StartError: it did not become READY; nothing of it is left, but for a thread that hangs.
    """
    _not_superseded(supervisor)
    child.incarnation = tree.next_incarnation(child.path)
    child.state = "restarting" if child.state == "restarting" else "starting"
    tree.emit("child.starting", child.path, child.incarnation)
    birth = Birth(tree, child.path, child.incarnation, supervisor, child.spec)
    try:
        ref = birth.call(child.spec.start, child.args)
        if ref is IGNORE:
            child.state = "undefined"
            return None
        return _adopt(tree, child, birth, ref)
    except StartFailed as failed:
        raise _start_failed(tree, child, birth, failed.cause) from failed.chained
    except Superseded:
        raise
    except BaseException as error:
        raise _start_failed(tree, child, birth, error) from error
    finally:
        with suppress(RuntimeError):  # a helper's thread: the machine has none left, and its ref says so
            birth.settle(child.life)


class StartFailed(Exception):  # noqa: N818 - inside this file only
    """The child's own thread, or the clock, said no."""

    def __init__(self, cause: object) -> None:
        super().__init__(text_of(cause))
        self.cause = cause

    @property
    def chained(self) -> BaseException | None:
        """The cause, if it is an exception."""
        return self.cause if isinstance(self.cause, BaseException) else None


def _start_failed(tree: Tree, child: Child, birth: Birth, cause: object) -> StartError:
    for life in birth.lives:  # whatever else the factory had started goes with it
        life.mailbox.post(Stop(NORMAL))
    reason = ExitReason("start_failed", cause)
    child.went_down(reason)
    child.last_error = text_of(cause)
    tree.emit("child.start_failed", child.path, child.incarnation, reason=reason, error=child.last_error)
    return StartError(child.id, cause)


def _adopt(tree: Tree, child: Child, birth: Birth, ref: object) -> ActorRef:
    life = getattr(ref, "_life", None)
    if not isinstance(ref, ActorRef) or life not in birth.lives:
        raise TypeError(f"start must return the ref of an actor that it started, not {ref!r}")
    assert life is not None
    child.begins(life)
    if life.parent is not None and life.parent.fenced:  # too late for whoever fenced the subtree to have seen it
        life.fence(ABANDONED)
    announce(life, life.ready)
    birth.settle(life)
    _await_ready(tree, life, child.spec.start_timeout)
    child.went_up(ref, tree.now())
    tree.emit("child.started", child.path, child.incarnation)
    return ref


def _await_ready(tree: Tree, life: Life, timeout: float | None) -> None:
    supervisor = life.parent
    assert supervisor is not None
    in_time = await_child(life, life.ready, timeout)
    _not_superseded(supervisor)
    if not in_time:
        tree.abandon(life)
        raise StartFailed(Timeout(f"not READY within {timeout} seconds"))
    if life.failure is not None:
        assert life.thread is not None
        life.thread.join(LINGER)
        raise StartFailed(life.failure)


def take_down(tree: Tree, child: Child, supervisor: Life) -> ExitReason:
    """Stop the child as its spec says; why it ended, which may be a reason of its own."""
    ask_to_stop(tree, child)
    return see_off(tree, child, supervisor)


def ask_to_stop(tree: Tree, child: Child) -> None:
    """Tell the child to stop, or fence it and all below it at once if it is brutal."""
    assert child.life is not None
    if child.spec.shutdown == "brutal":
        tree.kill(child.life)
    else:
        child.life.mailbox.post(Stop(SHUTDOWN))


def see_off(tree: Tree, child: Child, supervisor: Life, *, since: float | None = None) -> ExitReason:
    """Wait for the child's thread, and abandon it if it is not gone in time; says so, and why the life ended.

    The time runs from `since`, in real seconds; from now, if not given.
    """
    life = child.life
    assert life is not None
    within = child.spec.stop_within
    if child.spec.shutdown == "brutal":
        tree.kill(life)
    elif not _ended(life, supervisor, within, since):
        tree.emit("child.stop_timeout", child.path, child.incarnation, within=within)
        tree.abandon(life)
    return mark_down(tree, child, supervisor)


def mark_down(tree: Tree, child: Child, supervisor: Life) -> ExitReason:
    """Enter that the child's life is over, and tell of it."""
    _not_superseded(supervisor)
    life = child.life
    if life is None or not life.tell_once():
        raise Superseded
    reason = life.reason or KILLED
    child.went_down(reason)
    _let_go(reason)
    tree.emit("child.exited", child.path, child.incarnation, reason=reason)
    return reason


def _ended(life: Life, supervisor: Life, within: float | None, since: float | None) -> bool:
    """Whether the life has ended in time, and its thread with it."""
    passed = 0.0 if since is None else REAL.monotonic() - since
    in_time = await_child(life, life.ended, None if within is None else max(0.0, within - passed))
    _not_superseded(supervisor)
    if in_time and not life.fenced and life.thread is not None:
        life.thread.join(LINGER)
    return in_time


def _not_superseded(supervisor: Life) -> None:
    if supervisor.fenced:
        raise Superseded


def _let_go(reason: ExitReason) -> None:
    """A traceback holds the frames, and they the dead child and its arguments: empty them."""
    error = reason.detail
    if not isinstance(error, BaseException) or error.__traceback__ is None:
        return
    traceback.clear_frames(error.__traceback__)
    frame = error.__traceback__.tb_frame.f_back
    while frame is not None:
        with suppress(RuntimeError):  # it runs still
            frame.clear()
        frame = frame.f_back
