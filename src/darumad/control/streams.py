"""Streams: the recorded events, from any position on, as server-sent events or as lines of JSON.

Inside the publisher's ring a follower is sent rendered bytes, behind it rows of the journal, 500 a turn. Where the
journal has forgotten what was asked for, the stream says so itself: `gap {from, to}`.
"""

import asyncio
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from typing import Any, Protocol

import orjson
from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from darumad.bus import Tally
from darumad.control.watch import CommitWatch
from darumad.errors import Unavailable
from darumad.events import Recorded
from darumad.names import ItemId
from darumad.values import Value

LIMIT = 64
"""Streams that may be open at once."""
HEARTBEAT = 15.0
"""Seconds of silence after which a follower is sent a sign of life."""
GATHER = 0.02
"""Seconds in which new events are gathered before they are sent: a follower is woken 50 times a second at most."""
_PAGE = 500


class _Publisher(Protocol):
    def after(self, position: int) -> tuple[Sequence[bytes], bool]: ...

    @property
    def position(self) -> int: ...


class _Reader(Protocol):
    def last_position(self) -> int: ...

    def events(
        self,
        since: int,
        limit: int = 500,
        item: ItemId | None = None,
        type: str | None = None,  # noqa: A002 - the journal's word
    ) -> Sequence[Recorded]: ...


class Subscription(Value):
    """Which events a follower gets: those behind `since`, of one item or of one type where that is given."""

    since: int
    item: str | None = None
    type: str | None = None
    follow: bool = False

    @property
    def everything(self) -> bool:
        """Whether nothing is filtered out."""
        return self.item is None and self.type is None

    def takes(self, event: dict[str, Any]) -> bool:
        """Whether `event` is one of them."""
        return self.item in {None, event["subject"]} and self.type in {None, event["type"]}


class Form(Value):
    """How a stream is written: its media type, an event, and a sign of life."""

    media_type: str
    render: Callable[[dict[str, Any]], bytes]
    sign_of_life: bytes


def _as_ndjson(event: dict[str, Any]) -> bytes:
    """One line of JSON."""
    return orjson.dumps(event) + b"\n"


def _as_sse(event: dict[str, Any]) -> bytes:
    """One server-sent event, whose id is its position: a browser that reconnects goes on behind it."""
    position = event.get("seq")
    number = b"" if position is None else b"id: %d\n" % position
    return number + b"event: %b\ndata: %b\n\n" % (str(event["type"]).encode(), orjson.dumps(event))


SSE = Form("text/event-stream", _as_sse, b": still here\n\n")
NDJSON = Form("application/x-ndjson", _as_ndjson, b"\n")


class _Stream(StreamingResponse):
    """An open stream on its way out, which says when it has ended; one whose caller hung up at once never begins."""

    def __init__(
        self, events: AsyncGenerator[bytes], form: Form, headers: Mapping[str, str], ended: Callable[[], None]
    ) -> None:
        super().__init__(events, headers=headers, media_type=form.media_type)
        self._events = events
        self._ended = ended

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Sends it."""
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._ended()
            await self._events.aclose()


class Streams:
    """All followers of one control loop. Used on that loop only."""

    def __init__(self, publisher: _Publisher, reader: _Reader, watch: CommitWatch, tally: Tally) -> None:
        self._publisher = publisher
        self._reader = reader
        self._watch = watch
        self._tally = tally
        self._open = 0

    def open(self, wanted: Subscription, form: Form, headers: Mapping[str, str]) -> StreamingResponse:
        """The events that are wanted, in their order and never one twice, as an answer that is yet to be sent.

        Raises:
            Unavailable: as many streams are open as there may be; or it is to be followed, and the daemon is ending.
        """
        if wanted.follow and self._watch.closed:
            raise Unavailable("the daemon is ending")
        if self._open >= LIMIT:
            raise Unavailable(f"{LIMIT} streams are open, which is as many as there may be", retry_after=HEARTBEAT)
        self._open += 1
        return _Stream(self._bytes(wanted, form), form, headers, self._closed)

    def _closed(self) -> None:
        self._open -= 1

    async def _bytes(self, wanted: Subscription, form: Form) -> AsyncGenerator[bytes]:
        position, now = wanted.since, asyncio.get_running_loop().time
        sent = now()
        present = 0 if wanted.follow else await asyncio.to_thread(self._reader.last_position)
        with self._watch.everything() as bell:
            yield b"".join(map(form.render, await self._gap(wanted)))
            while True:
                bell.clear()
                events, position, more = await self._next(wanted, position, present)
                if events:
                    yield b"".join(map(form.render, events))
                    sent = now()
                if more:
                    continue
                if not wanted.follow or self._watch.closed:
                    return
                # What others hear of rings too: a follower of little is silent while much happens.
                if not await _rings(bell, sent + HEARTBEAT - now()):
                    yield form.sign_of_life
                    sent = now()
                await asyncio.sleep(GATHER)

    async def _gap(self, wanted: Subscription) -> Sequence[dict[str, Any]]:
        """What is asked for and no longer there, said once at the beginning."""
        if not wanted.everything or wanted.since == 0:
            return ()
        first = await asyncio.to_thread(self._first_kept)
        if first <= wanted.since + 1:
            return ()
        self._tally.add("event_gaps_total")
        return ({"type": "gap", "subject": "events", "data": {"from": wanted.since + 1, "to": first - 1}},)

    def _first_kept(self) -> int:
        """The position of the oldest event that is still there, or of the next one that comes."""
        newest = self._reader.last_position()
        oldest = self._reader.events(0, 1)
        return oldest[0].seq if oldest else newest + 1

    async def _next(
        self, wanted: Subscription, position: int, present: int
    ) -> tuple[Sequence[dict[str, Any]], int, bool]:
        """The next events behind `position`, the position behind them, and whether there may be more at once.

        The ring hears of a commit a moment after it: until it holds the `present`, the journal is read instead.
        """
        heard = self._publisher.position
        lines, complete = self._publisher.after(position)
        if complete and heard >= present:
            events = [orjson.loads(line) for line in lines]
            reached = events[-1]["seq"] if events else position
            return [each for each in events if wanted.takes(each)], reached, False
        item = None if wanted.item is None else ItemId(wanted.item)
        rows = await asyncio.to_thread(self._reader.events, position, _PAGE, item, wanted.type)
        reached = rows[-1].seq if rows else position
        return [_plain(each) for each in rows], reached, len(rows) == _PAGE


def _plain(event: Recorded) -> dict[str, Any]:
    return {"seq": event.seq, "at": event.at, "type": event.type, "subject": event.subject, "data": event.data}


async def _rings(bell: asyncio.Event, within: float) -> bool:
    try:
        await asyncio.wait_for(bell.wait(), within)
    except TimeoutError:
        return False
    return True
