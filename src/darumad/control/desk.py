"""The desk: what an operation has at hand. One `Desk` per server, one `Ask` per request; on the control loop only."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Mapping
from dataclasses import dataclass, field
from typing import Any, ParamSpec, TypeVar

from starlette.responses import Response

from darumad.control.house import House
from darumad.control.peers import Caller
from darumad.control.streams import Streams
from darumad.control.views import Said
from darumad.control.watch import Watch
from darumad.journal.commits import Commits
from darumad.journal.requests import Audit

T = TypeVar("T")
P = ParamSpec("P")


@dataclass(frozen=True, slots=True)
class Ask:
    """One request: who asks, what stood in its body, and whether they still listen.

    `key` is its Idempotency-Key, `accepts` its Accept header, `resume_from` its Last-Event-ID. `body` is for
    operations that read it as it comes; `gone` returns when the caller has hung up.
    """

    caller: Caller
    operation: str
    sent: Mapping[str, Any]
    body: AsyncIterator[bytes]
    gone: Callable[[], Awaitable[None]]
    key: str | None = None
    accepts: str = ""
    resume_from: str | None = None

    def audit(self, target: str) -> Audit:
        """The audit row of this request."""
        return Audit(by=self.caller.by, action=self.operation, target=target, pid=self.caller.pid)


@dataclass(frozen=True, slots=True)
class Desk:
    """The daemon, and what belongs to the control loop: commits, watch, streams; `lag` is that loop's, in seconds."""

    house: House
    commits: Commits
    watch: Watch
    streams: Streams
    lag: Callable[[], float]
    _going: set[asyncio.Task[None]] = field(default_factory=set)

    async def read(self, fn: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """What `fn` reads, off the loop: a long list must not hold up the next submit."""
        return await asyncio.to_thread(fn, *args, **kwargs)

    def leave_going(self, work: Coroutine[Any, Any, None]) -> None:
        """Lets `work` go on behind the answer; what it raises is reported."""
        task = asyncio.get_running_loop().create_task(work)
        self._going.add(task)
        task.add_done_callback(self._gone)

    def _gone(self, task: asyncio.Task[None]) -> None:
        self._going.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self.house.report("what was left going behind an answer", error)


def replied(view: Said, status: int = 200) -> Response:
    """`view` as a response with a status of its own."""
    return Response(view.model_dump_json(), status, media_type="application/json")
