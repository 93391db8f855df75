"""A child as its supervisor keeps it: the place, not the life. Only the supervisor's thread writes it; any reads."""

import weakref
from typing import TYPE_CHECKING, Any, Literal

from darumad.supervision.backoff import Failures
from darumad.supervision.life import Life
from darumad.supervision.reasons import ExitReason
from darumad.supervision.spec import ChildSpec

if TYPE_CHECKING:
    from darumad.clock import TimerHandle
    from darumad.supervision.ref import ActorRef

State = Literal["starting", "up", "restarting", "undefined", "benched"]


class Child:
    """One row of the ownership table."""

    __slots__ = (
        "_handle",
        "args",
        "failures",
        "id",
        "incarnation",
        "last_error",
        "last_exit",
        "life",
        "parent",
        "path",
        "ref",
        "restarts",
        "retry_at",
        "spec",
        "started_at",
        "state",
        "timer",
        "token",
    )

    def __init__(self, spec: ChildSpec, path: str, parent: "Child | None", args: tuple[Any, ...] = ()) -> None:
        self.spec = spec
        self.id: str | None = spec.id
        self.path = path
        self.parent = parent
        self.args = args
        self.state: State = "undefined"
        self.life: Life | None = None
        self.ref: ActorRef | None = None
        self.incarnation = 0
        self.restarts = 0
        self.last_exit: ExitReason | None = None
        self.last_error = ""
        self.started_at = 0.0
        self.failures = Failures()
        self.retry_at = 0.0
        self.timer: TimerHandle | None = None
        self.token = 0
        self._handle: weakref.ref[ActorRef] | None = None

    @property
    def is_up(self) -> bool:
        """Whether a life of it runs, as far as its supervisor has heard."""
        return self.state == "up"

    @property
    def is_active(self) -> bool:
        """Whether it is up or will be without anybody's call. OTP: its pid is not `undefined`."""
        return self.state != "undefined"

    def is_named_by(self, ref: "ActorRef") -> bool:
        """Whether `ref` is of the life that runs, or of the last that did while none does. OTP: `{restarting, Pid}`."""
        return self._handle is not None and self._handle() is ref

    def void_timer(self) -> None:
        """Whatever was armed for it means nothing any more."""
        self.token += 1
        if self.timer is not None:
            self.timer.cancel()
            self.timer = None

    def begins(self, life: Life) -> None:
        """A new life was made; it is not READY yet."""
        self.life = life

    def went_up(self, ref: "ActorRef", now: float) -> None:
        """The new life is READY."""
        self.ref, self.started_at = ref, now
        self._handle = weakref.ref(ref)
        self.restarts += self.last_exit is not None
        self.state = "up"

    def went_down(self, reason: ExitReason) -> None:
        """The life is over, or never was READY."""
        if self.life is not None and self.life.last_error:
            self.last_error = self.life.last_error
        self.last_exit = reason
        self.life = self.ref = None
        self.state = "undefined"
