"""The server: the control loop on a thread of its own, and the doors that are opened on it.

It is given what listens and serves dups of its socket: whoever owns the sockets outlives a door's restart, so that no
connection is refused meanwhile. No signal is handled here, and nothing here is a rule.
"""

import asyncio
import functools
import socket
import threading
from collections.abc import Callable, Coroutine, Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any, Literal, Protocol, TypeVar, cast

import uvicorn
import uvloop
from starlette.types import ASGIApp, Receive, Scope, Send

from darumad.control.app import App, control_app, metrics_app
from darumad.control.counting import FactCounter
from darumad.control.daemon import Daemon
from darumad.control.desk import Desk
from darumad.control.on_daemon import API
from darumad.control.peers import MOST_OVER_TCP, MOST_OVER_UNIX, Fault, Manners, PeerProtocol
from darumad.control.streams import Streams
from darumad.control.turn import Turn
from darumad.control.uploads import sweep
from darumad.control.watch import CommitWatch
from darumad.errors import Broken
from darumad.journal.commits import Commits

T = TypeVar("T")
DoorName = Literal["control-socket", "metrics"]
TICK = 0.25
"""Seconds between two signs of life of the control loop."""
_GRACE = 2
"""Seconds that an open request is given when its door closes."""
_OPENING = 10.0
_MOST: dict[DoorName, int] = {"control-socket": MOST_OVER_UNIX, "metrics": MOST_OVER_TCP}
_APPS: Mapping[str, Callable[[Desk], App]] = {"control-socket": control_app, "metrics": metrics_app}


class Listening(Protocol):
    """What listens for a door and outlives it."""

    def dup(self) -> socket.socket | None:
        """Its socket as it is now, for a door to serve and close; None where it cannot be had yet."""


class _HttpServer(uvicorn.Server):
    """uvicorn's server, told when to end: it does not look ten times a second whether it should."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self._ended = asyncio.Event()

    async def main_loop(self) -> None:
        """Serves until `end`."""
        await self.on_tick(0)  # the headers that every answer has
        await self._ended.wait()

    def end(self) -> None:
        """Lets nobody in any more; on the loop only."""
        self._ended.set()


@dataclass(slots=True)
class Door:
    """A door that is open: requests come in until it is closed. `moves`: it is to be opened anew elsewhere."""

    name: DoorName
    _end: Callable[[], object]
    _served: "Future[None]"
    moves: bool = False

    def close(self, within: float) -> None:
        """Lets nobody in any more and waits until who is in has left, at most `within` seconds. Safe to call twice.

        Raises:
            TimeoutError: somebody is still in.
        """
        self.end()
        self._served.result(within)

    def end(self) -> None:
        """Lets nobody in any more; returns at once."""
        if not self._served.done():
            self._end()

    def when_fallen(self, told: Callable[[str], None]) -> None:
        """Have `told` called with the reason once it no longer serves; on the control loop, or here if it has."""
        self._served.add_done_callback(lambda served: told(_reason(served)))

    @property
    def fallen(self) -> bool:
        """Whether it no longer serves, for whatever reason."""
        return self._served.done()


class ControlServer:
    """The control loop and its thread. Start it once; open and close doors on it from any thread."""

    def __init__(self, daemon: Daemon) -> None:
        self._daemon = daemon
        self._thread = threading.Thread(target=self._run, name="control-loop", daemon=True)
        self._loop = uvloop.new_event_loop()
        self._desk: Desk | None = None
        self._doors: dict[DoorName, Door] = {}
        self._ready = threading.Event()
        self._stands = asyncio.Event()
        self._counter_off: Callable[[], None] | None = None
        self.ticked_at = daemon.clock.monotonic()
        """When the loop last gave a sign of life, in monotonic seconds; read from any thread."""
        self.lag = 0.0
        """How late that sign was, in seconds."""

    def start(self) -> None:
        """Starts the loop; returns when it runs.

        Raises:
            Broken: it did not.
        """
        sweep(self._daemon.upload_dir)
        self._counter_off = self._daemon.publisher.subscribe(FactCounter(self._daemon.tally))
        self._thread.start()
        if not self._ready.wait(_OPENING):
            raise Broken("the control loop did not start")

    def open(self, name: DoorName, listening: Listening) -> Door:
        """Serves `name`'s app on a dup of `listening`; returns when it answers. One that cannot be had yet is shut.

        Raises:
            Broken: the server would not start.
        """
        listens = listening.dup()
        door = _shut(name) if listens is None else self._on_loop(self._open(name, listens)).result(_OPENING)
        self._doors[name] = door
        return door

    def let_in(self) -> None:
        """Answers who has come, and who comes. Until then they wait: a door is open before all that they ask stands."""
        self._loop.call_soon_threadsafe(self._stands.set)

    def move(self, name: DoorName) -> None:
        """Have `name`'s door closed and opened anew, on what listens now; who is in may finish."""
        door = self._doors.get(name)
        if door is not None:
            door.moves = True
            door.end()

    def stop(self, within: float) -> None:
        """Ends every stream and waiter and then the loop; close the doors after `hush` and before this."""
        self.hush()
        if self._counter_off is not None:
            self._counter_off()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(within)

    def hush(self) -> None:
        """Ends streams and waiters, so that their doors can close; who asks from now on is still answered."""
        if self._desk is not None:
            self._loop.call_soon_threadsafe(self._desk.watch.close)

    def _on_loop(self, work: Coroutine[Any, Any, T]) -> "Future[T]":
        return asyncio.run_coroutine_threadsafe(work, self._loop)

    async def _open(self, name: DoorName, listening: socket.socket) -> Door:
        if self._desk is None:
            raise Broken("the control loop is not running")
        app = _once(self._stands, _APPS[name](self._desk))
        server = _HttpServer(_config(app, self._daemon.version, self._manners(name)))
        served = self._on_loop(server.serve(sockets=[listening]))
        while not server.started:
            if served.done():
                raise Broken(f"the door {name} did not open") from served.exception()
            await asyncio.sleep(0)
        return Door(name, lambda: self._loop.call_soon_threadsafe(server.end), served)

    def _manners(self, door: DoorName) -> Manners:
        def turned_away(fault: Fault) -> None:
            self._daemon.tally.add("connections_refused_total", (door, fault))

        return Manners(
            most=_MOST[door],
            head_timeout=self._daemon.head_timeout,
            body_timeout=self._daemon.body_timeout,
            turned_away=turned_away,
        )

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        daemon = self._daemon
        watch = CommitWatch(daemon.publisher, self._loop)
        self._desk = Desk(
            daemon=daemon,
            commits=Commits(daemon.journal.post, self._loop),
            watch=watch,
            streams=Streams(daemon.publisher, daemon.reader, watch, daemon.tally),
            turn=Turn(daemon, self._loop),
            lag=lambda: self.lag,
        )
        self._loop.call_soon(self._tick, daemon.clock.monotonic())
        self._loop.call_soon(self._ready.set)
        try:
            self._loop.run_forever()
        finally:
            self._end()

    def _tick(self, due: float) -> None:
        now = self._daemon.clock.monotonic()
        self.lag, self.ticked_at = max(0.0, now - due), now
        self._loop.call_later(TICK, self._tick, now + TICK)

    def _end(self) -> None:
        """Lets nothing of the loop dangle: what is still going is cancelled and its end awaited."""
        tasks = asyncio.all_tasks(self._loop)
        for task in tasks:
            task.cancel()
        self._loop.run_until_complete(asyncio.gather(*tasks, return_exceptions=True))
        self._loop.run_until_complete(self._loop.shutdown_asyncgens())
        self._loop.run_until_complete(self._loop.shutdown_default_executor())
        self._loop.close()


def _once(stands: asyncio.Event, app: App) -> ASGIApp:
    """`app`, for who comes before `stands` once it is set."""

    async def patient(scope: Scope, receive: Receive, send: Send) -> None:
        await stands.wait()
        await app(scope, receive, send)

    return patient


def _shut(name: DoorName) -> Door:
    """A door that lets nobody in, until it is moved or closed."""
    ended: Future[None] = Future()
    return Door(name, lambda: ended.set_result(None), ended)


def _reason(served: "Future[None]") -> str:
    if served.cancelled():
        return "its loop has ended"
    error = served.exception()
    return "it was closed" if error is None else f"{type(error).__name__}: {error}"


def _config(app: ASGIApp, version: str, manners: Manners) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        http=cast("type[PeerProtocol]", functools.partial(PeerProtocol, manners=manners)),  # uvicorn only calls it
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        date_header=False,
        headers=[("Daruma-Version", version), ("Daruma-Api", str(API))],
        timeout_graceful_shutdown=_GRACE,
    )
