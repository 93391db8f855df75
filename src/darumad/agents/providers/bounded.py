"""How much of an answer is read: no client bounds that, least of all what a small answer unfolds to.

So every client here has the hook `bound` on its responses. It unpacks what is compressed, and sees that it is UTF-8:
one of them would put something else in the place of what is not.

What is read as JSON in one go holds every thread meanwhile, and takes thirty times its size where it is made for that.
So a document may be no longer than any answer of a model is, and of a stream each line. Vectors are longer, and lists
of numbers cost a tenth of that.
"""

import zlib
from codecs import getincrementaldecoder
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any

from darumad.agents.providers.classify import AttemptFailed

MAX_DOCUMENT_BYTES = 2 * 1024 * 1024
"""JSON longer than this is no answer: 128,000 tokens are 0.6 MiB, and twice as much where each letter is escaped."""
MAX_VECTORS_BYTES = 32 * 1024 * 1024
"""The same of vectors: 1,000 of 1,536 numbers each."""
MAX_STREAM_BYTES = 48 * 1024 * 1024
"""A stream longer than this is none: 128,000 tokens are 38 MiB where each comes with 300 bytes around it."""
MAX_REFUSAL_BYTES = 1024 * 1024
"""What a refusal says beyond this is not read: its status tells what it is."""
_PART = 256 * 1024
"""Bytes that are unfolded at once."""
_PACKED = frozenset({"gzip", "x-gzip", "deflate"})
_EITHER = 32 + zlib.MAX_WBITS
"""What zlib calls either form, whichever the first bytes are of."""
_OF_VECTORS = ("/embed", "/embeddings")
"""How the paths end where vectors are asked for."""
_STREAMS = ("text/event-stream", "application/x-ndjson")


def too_long(most: int, what: str = "the answer") -> AttemptFailed:
    """The failure of what is longer than `most` bytes."""
    return AttemptFailed("malformed_response", f"{what} is over {most >> 20} MiB")


def streams(response: Any) -> bool:
    """Whether it says that it is read line by line."""
    return bool(response.headers.get("content-type", "").startswith(_STREAMS))


def bound(stream: type[Any], is_read_by_lines: Callable[[Any], bool] = streams) -> Callable[[Any], Awaitable[None]]:
    """A hook on responses, for a client that reads bodies of the type `stream`."""
    body = type("BoundedStream", (_Bounded, stream), {})

    async def bounded(response: Any) -> None:
        coding = response.headers.pop("content-encoding", "").strip().lower()
        whole = MAX_VECTORS_BYTES if response.request.url.path.endswith(_OF_VECTORS) else MAX_DOCUMENT_BYTES
        most = MAX_STREAM_BYTES if is_read_by_lines(response) else whole
        refusal = not response.is_success
        response.stream = body(
            response.stream, MAX_REFUSAL_BYTES if refusal else most, whole, coding in _PACKED, refusal
        )

    return bounded


class _Bounded:
    """A body, unpacked, that is cut or ends in an error where it is longer than it may be."""

    def __init__(self, body: Any, most: int, at_once: int, packed: bool, refusal: bool) -> None:  # noqa: FBT001 - made in one place
        self._body = body
        self._most = most
        self._at_once = at_once
        self._line = 0
        self._unpack = zlib.decompressobj(_EITHER) if packed else None
        self._refusal = refusal

    async def __aiter__(self) -> AsyncIterator[bytes]:
        left = self._most
        text = getincrementaldecoder("utf-8")("replace" if self._refusal else "strict")
        async for piece in self._body:
            for part in self._unpacked(piece):
                left -= len(part)
                if left >= 0:
                    text.decode(part)
                    self._see_line(part)
                    yield part
                elif self._refusal:
                    return
                else:
                    raise too_long(self._most)

    def _see_line(self, part: bytes) -> None:
        """See that the line which goes on beyond `part` is not too long to be read."""
        end = part.rfind(b"\n")
        self._line = len(part) - end - 1 if end >= 0 else self._line + len(part)
        if self._line > self._at_once:
            raise too_long(self._at_once, "a line of the answer")

    def _unpacked(self, piece: bytes) -> Iterator[bytes]:
        if self._unpack is None:
            yield piece
            return
        try:
            while part := self._unpack.decompress(piece, _PART):
                yield part
                piece = self._unpack.unconsumed_tail
        except zlib.error:
            raise AttemptFailed("malformed_response", "the answer could not be decoded") from None

    async def aclose(self) -> None:
        await self._body.aclose()
