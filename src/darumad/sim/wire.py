"""HTTP/1.1 by hand, for a framework neither resets a connection nor lies about a length; and the steps of an answer."""

import asyncio
import json
import re
import socket
import struct
import zlib
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from http import HTTPStatus
from typing import Any, cast

from darumad.sim.hangups import Hangups

_GZIP = 31
"""What zlib calls its largest window with gzip's own head and end."""
_DIGITS = re.compile(r"[0-9A-Fa-f]{1,16}")
MAX_HEAD = 64 * 1024
MAX_BODY = 32 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Request:
    """One request, whole. Header names are lower case."""

    method: str
    path: str
    query: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def size(self) -> int:
        """Bytes of all that it says."""
        head = (self.path, self.query, *self.headers, *self.headers.values())
        return len(self.body) + sum(map(len, head))


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer as it would be sent if nothing went wrong: one frame with a length, or several as chunks.

    For faults: `ping` keeps the vendor's stream alive and says nothing, `failing` gives the frame that tells of an
    error inside it, `path` is where the request went.
    """

    status: int
    frames: tuple[bytes, ...]
    content_type: str = "application/json"
    headers: Mapping[str, str] | None = None
    chunked: bool = False
    ping: bytes = b""
    failing: Callable[[str], bytes] | None = None
    path: str = "/"

    def head(self) -> bytes:
        """The status line and the headers."""
        length = str(sum(map(len, self.frames)))
        framing = {"transfer-encoding": "chunked"} if self.chunked else {"content-length": length}
        headers = {"content-type": self.content_type, **framing, **(self.headers or {})}
        lines = [
            f"HTTP/1.1 {self.status} {_phrase(self.status)}",
            *(f"{name}: {value}" for name, value in headers.items()),
        ]
        return "\r\n".join([*lines, "", ""]).encode()

    def pieces(self) -> tuple[bytes, ...]:
        """The frames as they go out, without the end of the last chunk."""
        return tuple(b"%x\r\n%s\r\n" % (len(each), each) for each in self.frames) if self.chunked else self.frames

    def gzipped(self) -> "Answer":
        """The same compressed, each frame so that it can be read before the next has come."""
        squeeze = zlib.compressobj(wbits=_GZIP)
        frames = [squeeze.compress(each) + squeeze.flush(zlib.Z_SYNC_FLUSH) for each in self.frames]
        frames[-1] += squeeze.flush()
        return replace(self, frames=tuple(frames), headers={**(self.headers or {}), "content-encoding": "gzip"})

    def end(self) -> bytes:
        """What closes the body."""
        return b"0\r\n\r\n" if self.chunked else b""

    def flat(self) -> bytes:
        """All of it, as it goes out."""
        return b"".join((self.head(), *self.pieces(), self.end()))


def json_answer(status: int, body: Any, headers: Mapping[str, str] | None = None) -> Answer:
    """An answer of one JSON document."""
    return Answer(status, (json.dumps(body).encode(),), headers=headers)


def read_json(text: bytes | str) -> Any:
    """The document in `text`.

    Raises:
        ValueError: there is none, or one so deep that nobody reads it.
    """
    try:
        return json.loads(text)
    except RecursionError:
        raise ValueError("it lies too deep") from None


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Unknown"


@dataclass(frozen=True, slots=True)
class Send:
    """Put these bytes on the wire."""

    data: bytes


@dataclass(frozen=True, slots=True)
class Wait:
    """Let so many seconds pass."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Hold:
    """Wait until the gate of that name is released."""

    gate: str


@dataclass(frozen=True, slots=True)
class Hang:
    """Say nothing more, for ever. With `beat`, send that again and again, every `interval` seconds."""

    beat: bytes = b""
    interval: float = 0.05


@dataclass(frozen=True, slots=True)
class Close:
    """Close the connection: FIN."""


@dataclass(frozen=True, slots=True)
class Reset:
    """Tear the connection down: RST."""


@dataclass(frozen=True, slots=True)
class Stale:
    """Keep the connection, and close it when the next request comes over it."""


Step = Send | Wait | Hold | Hang | Close | Reset | Stale


class Connection(asyncio.Protocol):
    """One connection: reads requests whole, serves them one after the other, and hears at once when the caller goes."""

    def __init__(
        self, number: int, serve: Callable[["Connection", Request], Awaitable[None]], hangups: Hangups
    ) -> None:
        self.number = number
        self._hangups = hangups
        self._serve = serve
        self._buffer = bytearray()
        self._serving: asyncio.Task[None] | None = None
        self._transport: asyncio.Transport | None = None
        self._gone = False
        self._heard: Callable[[], None] = lambda: None
        self.stale = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See `asyncio.Protocol`."""
        self._transport = cast("asyncio.Transport", transport)
        self._hangups.watch(self._plug.fileno(), self._lost)

    def data_received(self, data: bytes) -> None:
        """See `asyncio.Protocol`."""
        if self.stale:
            self.close()
            return
        self._buffer += data
        self._advance()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - however it was lost
        """See `asyncio.Protocol`."""
        self._hangups.forget(self._plug.fileno())
        self._lost()
        if self._serving is not None:
            self._serving.cancel()

    def on_lost(self, heard: Callable[[], None]) -> None:
        """Call this, in place of what was to be called, when the caller goes; at once if it is gone. Once."""
        self._heard = heard
        if self._gone:
            heard()

    def _lost(self) -> None:
        if not self._gone:
            self._gone = True
            self._heard()

    def send(self, data: bytes) -> None:
        """Put bytes on the wire, if there still is one."""
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(data)

    def close(self) -> None:
        """FIN, after what was sent."""
        if self._transport is not None:
            self._transport.close()

    def reset(self) -> None:
        """RST: what was sent may be lost."""
        if self._transport is not None:
            self._plug.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self._transport.abort()

    @property
    def _plug(self) -> socket.socket:
        assert self._transport is not None
        plug: socket.socket = self._transport.get_extra_info("socket")
        return plug

    def _advance(self) -> None:
        if self._serving is not None and not self._serving.done():
            return
        try:
            request = take_request(self._buffer)
        except ValueError:
            self.send(Answer(400, (b"bad request",), "text/plain").flat())
            self.close()
            return
        if request is not None:
            self._serving = asyncio.ensure_future(self._serve(self, request))
            self._serving.add_done_callback(self._served)

    def _served(self, task: "asyncio.Task[None]") -> None:
        if task.cancelled():
            return
        if task.exception() is None:
            self._advance()
        else:
            self.close()  # nobody shall wait for an answer that will not come


def take_request(buffer: bytearray) -> Request | None:
    """The first request in the buffer, taken out of it; None while it is not whole.

    Raises:
        ValueError: it is no HTTP, or too big.
    """
    head, found, _ = bytes(buffer[:MAX_HEAD]).partition(b"\r\n\r\n")
    if not found:
        if len(buffer) >= MAX_HEAD:
            raise ValueError("the head is too long")
        return None
    first, *lines = head.decode("latin-1").split("\r\n")
    method, target, _ = first.split(" ", 2)
    headers = {name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    taken = _body(memoryview(buffer)[len(head) + 4 :].tobytes(), headers)
    if taken is None:
        return None
    body, size = taken
    del buffer[: len(head) + 4 + size]
    path, _, query = target.partition("?")
    return Request(method, path, query, headers, body)


def _body(rest: bytes, headers: Mapping[str, str]) -> tuple[bytes, int] | None:
    """The body at the start of `rest`, and how many bytes it took there."""
    if headers.get("transfer-encoding", "").lower() == "chunked":
        return _chunks(rest)
    length = _size(headers.get("content-length", "0"), 10)
    return (rest[:length], length) if len(rest) >= length else None


def _size(said: str, base: int) -> int:
    """The length of a body, or of one more chunk.

    Raises:
        ValueError: it is none, or too much.
    """
    if not _DIGITS.fullmatch(said):
        raise ValueError("a length has digits alone")
    size = int(said, base)
    if size > MAX_BODY:
        raise ValueError("the body is too long")
    return size


def _chunks(rest: bytes) -> tuple[bytes, int] | None:
    body, at = bytearray(), 0
    while (end := rest.find(b"\r\n", at)) >= 0:
        size = _size(rest[at:end].split(b";")[0].strip().decode("latin-1"), 16)
        if len(body) + size > MAX_BODY:
            raise ValueError("the body is too long")
        if len(rest) < end + 2 + size + 2:
            return None
        body += rest[end + 2 : end + 2 + size]
        at = end + 2 + size + 2
        if size == 0:
            return bytes(body), at
    return None
