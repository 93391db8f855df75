"""What each call of a supervisor's API does to its children, on the supervisor's own thread. See `supervisor_ref`."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from darumad.supervision.actor import log
from darumad.supervision.child import Child
from darumad.supervision.errors import (
    AlreadyPresent,
    AlreadyStarted,
    NotFound,
    PoolNeedsRef,
    Restarting,
    Running,
    StartError,
)
from darumad.supervision.life import Life
from darumad.supervision.nursery import bring_up, take_down
from darumad.supervision.reasons import text_of
from darumad.supervision.ref import ActorRef
from darumad.supervision.spec import ChildSpec, SupervisorFlags, check_apart, check_child
from darumad.supervision.supervisor_ref import ChildInfo, ChildState
from darumad.supervision.tree import Tree


class ChildCalls:
    """The calls about children: start, terminate, restart and delete one, and tell which there are."""

    is_pool: bool
    _life: Life
    _tree: Tree
    _flags: SupervisorFlags
    _specs: tuple[ChildSpec, ...]
    _children: dict[str, Child]

    if TYPE_CHECKING:

        def _enter(self, spec: ChildSpec, args: tuple[Any, ...] = ()) -> Child: ...
        def _remove(self, child: Child) -> None: ...
        def _try_again(self, child: Child) -> None: ...

    def do_start_child(self, spec_or_args: tuple[Any, ...]) -> ActorRef | None:
        """See `SupervisorRef.start_child`."""
        if self.is_pool:
            return self._start_new(self._enter(self._specs[0], spec_or_args), keep_ignored=False)
        (spec,) = spec_or_args
        check_child(self._flags, spec)
        there = self._by_id(spec.id)
        if there is not None:
            raise AlreadyStarted(there.ref) if there.is_up else AlreadyPresent(spec.id)
        check_apart([spec.id, *(child.spec.id for child in self._children.values())])
        return self._start_new(self._enter(spec), keep_ignored=spec.restart != "temporary")

    def _start_new(self, child: Child, *, keep_ignored: bool) -> ActorRef | None:
        try:
            ref = bring_up(self._tree, child, self._life)
        except StartError:
            self._remove(child)
            raise
        if ref is None and not keep_ignored:
            self._remove(child)
        if child.spec.restart == "temporary":
            child.args = ()  # it is never started again
        return ref

    def do_want_child(self, spec: ChildSpec) -> None:
        """See `SupervisorRef.want_child`."""
        if self._by_id(spec.id) is not None:
            return
        try:
            self.do_start_child((spec,))
        except (StartError, ValueError) as error:
            log.error("%s: %s was not started: %s", self._life.path, spec.id, text_of(error))

    def do_dismiss_child(self, who: str, first: Callable[[], None]) -> None:
        """See `SupervisorRef.dismiss_child`."""
        if self._by_id(who) is not None:
            first()
            self.do_terminate_child(who)
            self.do_delete_child(who)

    def do_terminate_child(self, who: str | ActorRef) -> None:
        """See `SupervisorRef.terminate_child`."""
        if isinstance(who, ActorRef) and not self.is_pool:
            raise NotFound(who)
        if self._is_of_the_past(who):
            return
        child = self._find(who)
        child.void_timer()
        if child.is_up:
            take_down(self._tree, child, self._life)
        child.state = "undefined"
        if self.is_pool or child.spec.restart == "temporary":
            self._remove(child)

    def do_restart_child(self, who: str) -> ActorRef | None:
        """See `SupervisorRef.restart_child`."""
        child = self._stopped(who)
        child.void_timer()
        child.failures.forget()
        try:
            return bring_up(self._tree, child, self._life)
        except StartError:
            if child.spec.backoff is not None:
                self._try_again(child)
            raise

    def do_delete_child(self, who: str) -> None:
        """See `SupervisorRef.delete_child`."""
        self._remove(self._stopped(who))

    def do_which_children(self) -> list[ChildInfo]:
        """See `SupervisorRef.which_children`."""
        return [ChildInfo(c.id, _state(c), c.ref, c.incarnation, c.spec.type) for c in self._children.values()]

    def do_count_children(self) -> Mapping[str, int]:
        """See `SupervisorRef.count_children`."""
        children = self._children.values()
        supervisors = sum(child.spec.type == "supervisor" for child in children)
        return {
            "specs": 1 if self.is_pool else len(children),
            "active": sum(child.is_up for child in children),
            "supervisors": supervisors,
            "workers": len(children) - supervisors,
        }

    def do_get_childspec(self, who: str | ActorRef) -> ChildSpec:
        """See `SupervisorRef.get_childspec`."""
        if self.is_pool and isinstance(who, str):
            raise NotFound(who)
        return self._specs[0] if self._is_of_the_past(who) else self._find(who).spec

    def _by_id(self, name: str) -> Child | None:
        return self._children.get(f"{self._life.path}/{name}")

    def _find(self, who: str | ActorRef) -> Child:
        if isinstance(who, ActorRef):
            named = self._named_by(who)
            if named is None:
                raise NotFound(who)
            return named
        if self.is_pool:
            raise PoolNeedsRef(f"{self._life.path} is a pool")
        child = self._by_id(who)
        if child is None:
            raise NotFound(who)
        return child

    def _named_by(self, ref: ActorRef) -> Child | None:
        child = self._children.get(ref.path)
        return child if child is not None and child.is_named_by(ref) else None

    def _is_of_the_past(self, who: str | ActorRef) -> bool:
        """Whether a pool is asked about a life that is gone: only a living stranger is not found, as in OTP."""
        return self.is_pool and isinstance(who, ActorRef) and not who.is_alive() and self._named_by(who) is None

    def _stopped(self, who: str) -> Child:
        if self.is_pool:
            raise PoolNeedsRef(f"{self._life.path} is a pool")
        child = self._find(who)
        if child.state == "restarting":
            raise Restarting(max(0.0, child.retry_at - self._tree.now()))
        if child.is_up:
            raise Running(who)
        return child


def _state(child: Child) -> ChildState:
    return "undefined" if child.state == "starting" else child.state
