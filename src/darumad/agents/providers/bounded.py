"""How much of an answer is read: no client bounds that, least of all what a small answer unfolds to.

So every client here has the hook `bound` on its responses. It unpacks what is compressed, and sees that it is UTF-8:
one of them would put something else in the place of what is not.
"""

import zlib
from codecs import getincrementaldecoder
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any

from darumad.agents.providers.classify import AttemptFailed

MAX_ANSWER_BYTES = 32 * 1024 * 1024
"""An answer longer than this is none."""
MAX_REFUSAL_BYTES = 1024 * 1024
"""What a refusal says beyond this is not read: its status tells what it is."""
_PART = 256 * 1024
"""Bytes that are unfolded at once."""
_PACKED = frozenset({"gzip", "x-gzip", "deflate"})
_EITHER = 32 + zlib.MAX_WBITS
"""What zlib calls either form, whichever the first bytes are of."""


def bound(stream: type[Any]) -> Callable[[Any], Awaitable[None]]:
    """A hook on responses, for a client that reads bodies of the type `stream`."""
    body = type("BoundedStream", (_Bounded, stream), {})

    async def bounded(response: Any) -> None:
        coding = response.headers.pop("content-encoding", "").strip().lower()
        response.stream = body(response.stream, packed=coding in _PACKED, refusal=not response.is_success)

    return bounded


class _Bounded:
    """A body, unpacked, that is cut or ends in an error where it is longer than it may be."""

    def __init__(self, body: Any, *, packed: bool, refusal: bool) -> None:
        self._body = body
        self._unpack = zlib.decompressobj(_EITHER) if packed else None
        self._refusal = refusal

    async def __aiter__(self) -> AsyncIterator[bytes]:
        left = MAX_REFUSAL_BYTES if self._refusal else MAX_ANSWER_BYTES
        text = getincrementaldecoder("utf-8")("replace" if self._refusal else "strict")
        async for piece in self._body:
            for part in self._unpacked(piece):
                left -= len(part)
                if left >= 0:
                    text.decode(part)
                    yield part
                elif self._refusal:
                    return
                else:
                    raise AttemptFailed("malformed_response", f"the answer is over {MAX_ANSWER_BYTES >> 20} MiB")

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
