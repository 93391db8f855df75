"""The desk: what an operation has at hand. One `Desk` per server, one `Ask` per request; on the control loop only."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from typing import Any, ParamSpec, TypeVar

from darumad.control.border import Request, chunks_of
from darumad.control.daemon import Daemon
from darumad.control.peers import Peer
from darumad.control.routes import Route
from darumad.control.streams import Streams
from darumad.control.turn import Turn
from darumad.control.watch import CommitWatch
from darumad.errors import unknown_agent, unknown_item
from darumad.journal.commits import Commits
from darumad.journal.requests import Audit
from darumad.names import ItemId
from darumad.values import Value, field
from darumad.work.item import WorkRecord

COPIES = 2
"""So many of those who copy files are at it at once."""
T = TypeVar("T")
P = ParamSpec("P")


class Ask(Value):
    """One request: who asks, by which route, what stood in its body, and the request itself."""

    peer: Peer
    route: Route
    sent: Mapping[str, Any]
    request: Request

    @property
    def key(self) -> str | None:
        """Its Idempotency-Key."""
        return self.request.header(b"idempotency-key")

    @property
    def accepts(self) -> str:
        """Its Accept header."""
        return self.request.header(b"accept") or ""

    @property
    def resume_from(self) -> str | None:
        """Its Last-Event-ID."""
        return self.request.header(b"last-event-id")

    @property
    def body(self) -> AsyncIterator[bytes]:
        """Its body as it comes, for operations that read it themselves."""
        return chunks_of(self.request, self.route.limit)

    async def gone(self) -> None:
        """Returns when the caller has hung up."""
        await self.request.gone()

    def audit(self, target: str) -> Audit:
        """The audit row of this request."""
        request_id = self.request.correlation_id or ""
        return Audit(by=self.peer.by, action=self.route.name, target=target, pid=self.peer.pid, request_id=request_id)


class Desk(Value):
    """The daemon, and what belongs to the control loop: commits, watch, streams, turn, and its `lag` in seconds."""

    daemon: Daemon
    commits: Commits
    watch: CommitWatch
    streams: Streams
    turn: Turn
    lag: Callable[[], float]
    sealing: asyncio.Lock = field(default_factory=asyncio.Lock)
    """Held by whoever changes a secret or the key: what is sealed with a key that is being forgotten would be lost."""
    _going: set[asyncio.Task[None]] = field(default_factory=set)
    _copying: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(COPIES))

    async def read(self, fn: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """What `fn` reads, off the loop: a long list must not hold up the next submit."""
        return await asyncio.to_thread(fn, *args, **kwargs)

    async def record(self, name: str) -> WorkRecord:
        """The item of this id.

        Raises:
            Refused: `not_found`.
        """
        record = await self.read(self.daemon.reader.record, ItemId(name))
        if record is None:
            raise unknown_item(name)
        return record

    def check_agent(self, name: str | None) -> None:
        """Pass an agent that there is, or none; of one that was, items may be left, so look for those first.

        Raises:
            Refused: `unknown_agent`.
        """
        known = self.daemon.definitions()
        if name is not None and name not in known:
            raise unknown_agent(name, known)

    async def copy(self, fn: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """What `fn` copies, off the loop and few at once: slow disks must not take all threads from those who read."""
        async with self._copying:
            return await asyncio.to_thread(fn, *args, **kwargs)

    def leave_going(self, work: Coroutine[Any, Any, None]) -> None:
        """Lets `work` go on behind the answer; what it raises is reported."""
        task = asyncio.get_running_loop().create_task(work)
        self._going.add(task)
        task.add_done_callback(self._gone)

    def _gone(self, task: asyncio.Task[None]) -> None:
        self._going.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self.daemon.report("what was left going behind an answer", error, None)
