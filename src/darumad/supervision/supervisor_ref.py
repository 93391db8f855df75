"""The supervisor's API, for every thread but its own."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from darumad.supervision.address import Address
from darumad.supervision.child import Child
from darumad.supervision.errors import NotFound, PoolNeedsRef, SupervisorDead, WouldDeadlock
from darumad.supervision.life import Life, here, stale
from darumad.supervision.reasons import SHUTDOWN, ExitReason
from darumad.supervision.ref import ActorRef
from darumad.supervision.signals import Call
from darumad.supervision.spec import ChildSpec, ChildType
from darumad.supervision.waits import await_end, would_deadlock

if TYPE_CHECKING:
    from darumad.supervision.supervisor import Supervisor
    from darumad.supervision.tree import Tree, TreeRows

ChildState = Literal["up", "restarting", "undefined", "benched"]


@dataclass(frozen=True, slots=True)
class ChildInfo:
    """A child at one moment; a pool's children have no id."""

    id: str | None
    state: ChildState
    ref: ActorRef | None
    incarnation: int
    type: ChildType


class SupervisorRef(ActorRef):
    """A supervisor's life. A call raises `SupervisorDead` once it is over, and `WouldDeadlock` where it would hang."""

    def __init__(self, supervisor: "Supervisor") -> None:
        super().__init__(supervisor)
        assert self._life.tree is not None
        self._tree: Tree = self._life.tree
        self._is_pool = supervisor.is_pool

    def start_child(self, *spec_or_args: Any) -> ActorRef | None:
        """Start a child from its spec, or a pool's next child from its arguments; None if it wished to be ignored.

        Raises:
            StartError: it did not become READY; its spec is not kept.
            AlreadyStarted: the id is up.
            AlreadyPresent: the id is there and not up: stopped, benched or restarting.
            ValueError: the spec is wrong, or does not fit this supervisor.
        """
        found: ActorRef | None = self._call(lambda sup: sup.do_start_child(spec_or_args))
        return found

    def want_child(self, spec: ChildSpec) -> None:
        """As `start_child` where no child has this id, without waiting for it. What goes wrong is in the log."""
        self._life.mailbox.post(Call(lambda sup: sup.do_want_child(spec)))

    def dismiss_child(self, child: str, first: Callable[[], None] = lambda: None) -> None:
        """As `terminate_child` and `delete_child` where there is such a child, without waiting for it.

        `first` is called before it is stopped, on the supervisor's thread, and only posts.
        """
        self._life.mailbox.post(Call(lambda sup: sup.do_dismiss_child(child, first)))

    def terminate_child(self, child: str | ActorRef) -> None:
        """Stop a child; it stays stopped. Its spec is kept, unless it is temporary or a pool's.

        A pool's child is named by its ref, and while it waits for its next start by the ref of its last life.

        Raises:
            NotFound: no such child; for a pool, the ref of a living stranger; for any other, a ref.
            PoolNeedsRef: a pool was given an id.
        """
        self._refuse_suicide(child)
        self._call(lambda sup: sup.do_terminate_child(child))

    def restart_child(self, child: str) -> ActorRef | None:
        """Start a stopped or benched child again, with a clean record.

        One that has a backoff and does not become READY is tried again as after a crash.

        Raises:
            NotFound: no such child.
            Running: it is up.
            Restarting: it waits for its next start.
            StartError: it did not become READY.
        """
        self._refuse_suicide(child)
        found: ActorRef | None = self._call(lambda sup: sup.do_restart_child(child))
        return found

    def delete_child(self, child: str) -> None:
        """Forget a stopped or benched child.

        Raises:
            NotFound: no such child.
            Running: it is up.
            Restarting: it waits for its next start.
        """
        self._call(lambda sup: sup.do_delete_child(child))

    def which_children(self) -> list[ChildInfo]:
        """The children, in start order."""
        found: list[ChildInfo] = self._call(lambda sup: sup.do_which_children())
        return found

    def count_children(self) -> Mapping[str, int]:
        """How many `specs`, `active`, `supervisors` and `workers` there are."""
        found: Mapping[str, int] = self._call(lambda sup: sup.do_count_children())
        return found

    def get_childspec(self, child: str | ActorRef) -> ChildSpec:
        """The spec of a child.

        Raises:
            NotFound: no such child.
        """
        found: ChildSpec = self._call(lambda sup: sup.do_get_childspec(child))
        return found

    def address(self, child: str) -> Address:
        """The place of a child, read from the table: no thread is asked.

        Raises:
            NotFound: no such child.
            PoolNeedsRef: a pool's children have no lasting place.
        """
        if self._is_pool:
            raise PoolNeedsRef(f"{self.path} is a pool")
        if self._life.over:
            raise SupervisorDead(f"{self} has ended")
        path = f"{self.path}/{child}"
        found = self._tree.get(path)
        if found is None or found.parent is None or found.parent.path != self.path:
            raise NotFound(child)
        return Address(self._tree, path, _above(found))

    def tree(self) -> "TreeRows":
        """This supervisor and all below it, parents first, siblings in start order; read without asking anyone.

        Printed, it is drawn as `daruma tree` draws it: one place a line, under its parent.
        """
        return self._tree.rows(self.path)

    def wait(self, timeout: float | None = None) -> ExitReason | None:
        """Why this life ended, once it has; None if it has not within `timeout` seconds.

        Raises:
            WouldDeadlock: without a timeout: it cannot end while this thread waits.
        """
        if timeout is None:
            await_end(self._life)
        elif not self._life.ended.wait(timeout):
            return None
        return self._life.reason

    @property
    def leaked(self) -> int:
        """How many abandoned threads still run under this root."""
        return self._tree.leaked()

    def echo(self, heard: "Callable[[], None]") -> None:
        """Have `heard` called on the supervisor's own thread, between two of its jobs; never, once its life is over.

        Does not wait. `heard` must only post: for whoever wants to know whether the supervisor still turns.
        """
        self._life.mailbox.post(Call(lambda _: heard()))

    def _call(self, run: "Callable[[Supervisor], object]") -> Any:
        if would_deadlock(self._life, limited=False):
            raise WouldDeadlock(f"{self} is waiting for this thread")
        call = Call(run, self._life)
        call.reply.announce()
        if stale(here.life) or not self._life.mailbox.post(call):
            call.fail(SupervisorDead(f"{self} has ended"))
        return call.reply.get()

    def _refuse_suicide(self, child: str | ActorRef) -> None:
        path = child.path if isinstance(child, ActorRef) else f"{self.path}/{child}"
        at: Life | None = here.life
        while at is not None:
            if at.path and at.path == path:
                raise WouldDeadlock(f"{path} would wait for its own end")
            at = at.parent

    def _stops_the_caller(self) -> bool:
        me = here.life
        return me is not None and (me is self._life or self._life.is_above(me))

    def _reason_of_stop(self) -> ExitReason:
        return SHUTDOWN


def _above(child: Child) -> tuple[str, ...]:
    paths = []
    at = child.parent
    while at is not None:
        paths.append(at.path)
        at = at.parent
    return tuple(paths)
