"""The journal for coroutines: a request is posted at once and awaited on one loop.

One wake-up brings a whole batch's answers.
"""

import asyncio
from collections.abc import Callable, Sequence

from darumad.journal.requests import Answer, Outcome, Request

Post = Callable[[Request, Callable[[Sequence[Outcome]], None]], None]


class Commits:
    """Binds the journal to one asyncio loop; made and used on that loop only."""

    def __init__(self, post: Post, loop: asyncio.AbstractEventLoop) -> None:
        self._post = post
        self.loop = loop
        self._waiting: dict[int, tuple[Request, asyncio.Future[Answer]]] = {}

    def begin(self, request: Request) -> "asyncio.Future[Answer]":
        """Posts `request` now, whatever becomes of the caller; the future brings its answer after COMMIT."""
        future: asyncio.Future[Answer] = self.loop.create_future()
        self._waiting[id(request)] = (request, future)
        self._post(request, self._arrived)
        return future

    def drop(self, request: Request) -> None:
        """Posts `request`, whose answer nobody waits for. From any thread."""
        self._post(request, _unheard)

    async def commit(self, request: Request) -> Answer:
        """The answer to `request`, after COMMIT.

        A caller that is cancelled meanwhile leaves the request where it is: it was posted.

        Raises:
            DarumaError: the journal refused the request, or could not say what became of it.
        """
        answer = await self.begin(request)
        if isinstance(answer, Exception):
            raise answer
        return answer

    def _arrived(self, outcomes: Sequence[Outcome]) -> None:
        try:
            self.loop.call_soon_threadsafe(self._resolve, outcomes)
        except RuntimeError:
            return  # the loop has closed: nobody waits any more

    def _resolve(self, outcomes: Sequence[Outcome]) -> None:
        for outcome in outcomes:
            _, future = self._waiting.pop(id(outcome.request))
            if not future.done():
                future.set_result(outcome.answer)


def _unheard(_: Sequence[Outcome]) -> None:
    return
