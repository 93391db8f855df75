"""Peers: who is at the other end of a connection, what they may do, and how long they may take to say what they want.

Who it is, the kernel says (SO_PEERCRED).
"""

import asyncio
import functools
import os
import resource
import socket
import struct
from collections.abc import Callable, Mapping
from typing import Any, Literal

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from darumad.control import problem
from darumad.errors import DarumaError, Refused, Unavailable
from darumad.values import Value

_CREDENTIALS = struct.Struct("3i")
_FILES = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
MOST_OVER_UNIX = 4096 if _FILES == resource.RLIM_INFINITY else _FILES // 2
"""Connections that the control socket has open at once: half of the files that this process may open."""
MOST_OVER_TCP = 64
"""Connections that the metrics door has open at once: a scraper and a prober need two, and any local user may ask."""
LONGEST_HEAD = 64 << 10
"""Bytes that the head of a request may have."""
BODY_PACE = 1 << 20
"""Bytes of a body that must come within the body's timeout, or all that is left of it."""
Fault = Literal["full", "long", "slow"]
"""Why somebody is turned away: the door is full, the head of the request is too long, or it or the body too slow."""
_WORDS: Mapping[Fault, DarumaError] = {
    "full": Unavailable("as many callers are connected as the daemon lets in", code="door_full", retry_after=5),
    "long": Refused(f"the head of the request has more than {LONGEST_HEAD >> 10} KiB", code="head_too_long"),
    "slow": Unavailable("the daemon did not get the request in time", code="too_slow"),
}
_NO_HTTP = Refused("what came is no HTTP/1.1 that can be read", code="no_http")


class Manners(Value, kw_only=True):
    """What a door asks of whoever comes: at most `most` are in at once, and both timeouts are in seconds.

    `turned_away` is told of everybody who is.
    """

    most: int
    head_timeout: float
    body_timeout: float
    turned_away: Callable[[Fault], None]


class Peer(Value):
    """Who is at the other end: `by` is `uid:1000` or `tcp`. Only the daemon's own user and root may write."""

    by: str
    pid: int
    may_write: bool


NOBODY = Peer("tcp", 0, may_write=False)
"""Whoever comes over TCP: reads what that door shows, and nothing else."""


@functools.lru_cache(maxsize=256)
def peer_of(client: tuple[str, int] | None) -> Peer:
    """The peer that an ASGI scope's `client` stands for."""
    by, pid = client or ("", 0)
    if not by.startswith("uid:"):
        return NOBODY
    return Peer(by, pid, may_write=int(by.removeprefix("uid:")) in {0, os.geteuid()})


class PeerProtocol(HttpToolsProtocol):
    """HTTP whose `client` in the ASGI scope is `(uid:1000, pid)` on a Unix socket, asked once per connection.

    A door lets in so many connections and no more, a request's head must come soon and be short, and its body must keep
    coming: whoever may connect cannot take every file descriptor or the memory of the daemon.
    """

    def __init__(self, *args: Any, manners: Manners, **more: Any) -> None:
        super().__init__(*args, **more)
        self._manners = manners
        self._due: asyncio.TimerHandle | None = None
        self._head_received = self._head_read = 0
        self._head_fits = True
        self._body_size = 0
        self._reads: Literal["nothing", "head", "body"] = "nothing"

    def connection_made(  # type: ignore[override]  # as uvicorn narrows it
        self, transport: asyncio.Transport
    ) -> None:
        """Sees who connects before the first byte is read."""
        super().connection_made(transport)
        peer: Any = transport.get_extra_info("socket")
        if peer is not None and peer.family == socket.AF_UNIX:
            pid, uid, _ = _CREDENTIALS.unpack(peer.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size))
            self.client = (f"uid:{uid}", pid)
        most = self._manners.most
        if len(self.connections) == most:
            self.logger.warning("a door is full: %d connections are open, and more are refused until one ends", most)
        if len(self.connections) > most:
            self._turn_away("full")
        else:
            self._expect_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forgets what was expected of it."""
        self._expect_nothing()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Reads on, unless it was turned away or its head is as long as a body."""
        if self.transport.is_closing():
            return
        super().data_received(data)
        if self.transport.is_closing():
            return
        if self._reads == "head":
            self._expect_head()  # hardly ever: a head comes whole
            self._head_received += len(data)
            if self._head_received > LONGEST_HEAD:
                self._turn_away("long")
        elif self._reads == "body":
            self._body_size += len(data)
            if self._due is None:  # hardly ever: a small body comes with its head
                self._due = self.loop.call_later(self._manners.body_timeout, self._look_at_body, self._body_size)

    def on_message_begin(self) -> None:
        """A head begins."""
        super().on_message_begin()
        self._reads, self._head_received, self._head_read, self._body_size = "head", 0, 0, 0

    def on_url(self, url: bytes) -> None:
        """A part of the head's first line."""
        self._read_of_head(len(url))
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        """One more line of the head."""
        self._read_of_head(len(name) + len(value))
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """The head is here."""
        self._reads = "body"
        self._expect_nothing()
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """The body is here."""
        self._reads = "nothing"
        self._expect_nothing()
        super().on_message_complete()

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002 - uvicorn's words
        """Says what is wrong with what could not be read, and hangs up."""
        if self._head_fits:
            self._hang_up(_NO_HTTP)
        else:
            self._turn_away("long")

    def _read_of_head(self, size: int) -> None:
        """Too much of it and uvicorn refuses what raised here."""
        self._head_read += size
        if self._head_read > LONGEST_HEAD:
            self._head_fits = False
            raise ValueError("the head of the request is too long")

    def _expect_head(self) -> None:
        if self._due is None:
            self._due = self.loop.call_later(self._manners.head_timeout, self._head_is_late)

    def _expect_nothing(self) -> None:
        if self._due is not None:
            self._due.cancel()
            self._due = None

    def _head_is_late(self) -> None:
        """Whoever said nothing at all is told nothing: it may be a connection that was kept for later."""
        self._turn_away("slow", in_words=self._reads == "head")

    def _look_at_body(self, size_before: int) -> None:
        """Goes on while enough has come since the last look, or while it is the daemon that does not read."""
        if not self.flow.read_paused and self._body_size - size_before < BODY_PACE:
            self._turn_away("slow", in_words=not self.cycle.response_started)
        else:
            self._due = self.loop.call_later(self._manners.body_timeout, self._look_at_body, self._body_size)

    def _turn_away(self, fault: Fault, *, in_words: bool = True) -> None:
        self._manners.turned_away(fault)
        self._hang_up(_WORDS[fault] if in_words else None)

    def _hang_up(self, error: DarumaError | None) -> None:
        """Ends the connection, with words only where they would not stand within an answer."""
        if error is not None and not self._is_answering:
            self.transport.write(problem.at_the_door(error, self.server_state.default_headers))
        self.transport.close()

    @property
    def _is_answering(self) -> bool:
        cycle: Any = self.cycle  # None before the first request
        return cycle is not None and bool(cycle.response_started and not cycle.response_complete)
