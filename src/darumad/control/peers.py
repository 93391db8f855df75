"""Peers: who is at the other end of the Unix socket, as the kernel says (SO_PEERCRED), and what they may do."""

import asyncio
import os
import resource
import socket
import struct
from dataclasses import dataclass
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

_CREDENTIALS = struct.Struct("3i")
_FILES = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
MOST_OVER_UNIX = 4096 if _FILES == resource.RLIM_INFINITY else _FILES // 2
"""Connections that the control socket has open at once: half of the files that this process may open."""
MOST_OVER_TCP = 64
"""Connections that the metrics door has open at once: a scraper and a prober need two, and any local user may ask."""
HEAD_WITHIN = 10.0
"""Seconds in which the head of a request must be here whole."""
LONGEST_HEAD = 64 << 10
"""Bytes that the head of a request may have."""
_FULL = b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 5\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
_LONG = b"HTTP/1.1 431 Request Header Fields Too Large\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks: `by` is `uid:1000` or `tcp`; only the daemon's own user and root write."""

    by: str
    pid: int
    may_write: bool


NOBODY = Caller("tcp", 0, may_write=False)
"""Whoever comes over TCP: reads what that door shows, and nothing else."""


def caller_of(client: tuple[str, int] | None) -> Caller:
    """The caller that an ASGI scope's `client` stands for."""
    by, pid = client or ("", 0)
    if not by.startswith("uid:"):
        return NOBODY
    return Caller(by, pid, may_write=int(by.removeprefix("uid:")) in {0, os.geteuid()})


class PeerProtocol(HttpToolsProtocol):
    """HTTP whose `client` in the ASGI scope is `(uid:1000, pid)` on a Unix socket, asked once per connection.

    A door lets in so many connections and no more, and a request's head must come soon and be short: whoever may
    connect cannot take every file descriptor or the memory of the daemon.
    """

    _head_due: asyncio.TimerHandle | None = None
    _head_size = 0
    _in_head = False
    _head_fits = True

    def connection_made(  # type: ignore[override]  # as uvicorn narrows it
        self, transport: asyncio.Transport
    ) -> None:
        """Sees who connects before the first byte is read."""
        super().connection_made(transport)
        peer: Any = transport.get_extra_info("socket")
        most = MOST_OVER_TCP
        if peer is not None and peer.family == socket.AF_UNIX:
            pid, uid, _ = _CREDENTIALS.unpack(peer.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size))
            self.client = (f"uid:{uid}", pid)
            most = MOST_OVER_UNIX
        if len(self.connections) == most:
            self.logger.warning("a door is full: %d connections are open, and more are refused until one ends", most)
        if len(self.connections) > most:
            self._refuse(_FULL)
        else:
            self._expect_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forgets what was expected of it."""
        self._no_longer_expect_head()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Reads on, unless it was refused or its head is as long as a body."""
        if self.transport.is_closing():
            return
        super().data_received(data)
        if self._in_head and not self.transport.is_closing():
            self._head_size += len(data)
            if self._head_size > LONGEST_HEAD:
                self._refuse(_LONG)

    def on_message_begin(self) -> None:
        """A head begins."""
        super().on_message_begin()
        self._in_head, self._head_size = True, 0
        self._expect_head()

    def on_header(self, name: bytes, value: bytes) -> None:
        """One more line of the head; too much of it and uvicorn refuses what raised here."""
        self._head_size += len(name) + len(value)
        if self._head_size > LONGEST_HEAD:
            self._head_fits = False
            raise ValueError("the head of the request is too long")
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """The head is here."""
        self._in_head = False
        self._no_longer_expect_head()
        super().on_headers_complete()

    def send_400_response(self, msg: str) -> None:
        """Says what is wrong with a head that could not be read, and hangs up."""
        if self._head_fits:
            super().send_400_response(msg)
        else:
            self._refuse(_LONG)

    def _expect_head(self) -> None:
        if self._head_due is None:
            self._head_due = self.loop.call_later(HEAD_WITHIN, self._too_slow)

    def _no_longer_expect_head(self) -> None:
        if self._head_due is not None:
            self._head_due.cancel()
            self._head_due = None

    def _too_slow(self) -> None:
        self.transport.close()

    def _refuse(self, answer: bytes) -> None:
        self.transport.write(answer)
        self.transport.close()
