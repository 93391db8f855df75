"""Peers: who is at the other end of the Unix socket, as the kernel says (SO_PEERCRED), and what they may do."""

import asyncio
import os
import socket
import struct
from dataclasses import dataclass
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

_CREDENTIALS = struct.Struct("3i")


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
    """HTTP whose `client` in the ASGI scope is `(uid:1000, pid)` on a Unix socket, asked once per connection."""

    def connection_made(  # type: ignore[override]  # as uvicorn narrows it
        self, transport: asyncio.Transport
    ) -> None:
        """Sees who connects before the first byte is read."""
        super().connection_made(transport)
        peer: Any = transport.get_extra_info("socket")
        if peer is not None and peer.family == socket.AF_UNIX:
            pid, uid, _ = _CREDENTIALS.unpack(peer.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size))
            self.client = (f"uid:{uid}", pid)
