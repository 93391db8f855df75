"""The timeouts of one attempt at a call: until the first event of the answer, then between two. Pings do not count."""

import asyncio
from collections.abc import Mapping
from types import TracebackType
from typing import Self

from darumad.agents.providers.classify import AttemptFailed
from darumad.agents.providers.config import Timeouts


class AttemptWatch:
    """Entered around one attempt. `event` is called for each piece of the answer, and starts the idle timeout anew.

    An answer that is not `streamed` has no first token: nothing of it comes before it is complete, so until then only
    the timeout of the whole call holds.

    Raises on exit:
        AttemptFailed: kind `timeout`, naming the timeout that expired.
    """

    def __init__(self, timeouts: Timeouts, *, streamed: bool = True) -> None:
        self._timeouts = timeouts
        self._patience = timeouts.first_token if streamed else timeouts.total
        self._loop = asyncio.get_running_loop()
        self._begun = self._loop.time()
        self._due = self._begun + self._patience
        self._scope = asyncio.timeout(None)
        self._timer: asyncio.TimerHandle
        self.headers: Mapping[str, str] = {}
        self.first_after: float | None = None
        """Seconds until the first event came; None before it."""

    @property
    def received(self) -> bool:
        """Whether any of the answer has come."""
        return self.first_after is not None

    def heard(self, headers: Mapping[str, str]) -> None:
        """The answer's headers came: no part of it, but they may say what the server grants."""
        self.headers = headers

    def event(self) -> None:
        """Some of the answer came: the idle timeout begins anew. The timer is kept and looks again: that costs less."""
        now = self._loop.time()
        self._due = now + self._timeouts.idle
        if self.first_after is None:
            self.first_after = now - self._begun
        if self._due < self._timer.when():
            self._look_then()

    async def __aenter__(self) -> Self:
        await self._scope.__aenter__()
        self._timer = self._loop.call_at(self._due, self._look)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._timer.cancel()
        try:
            await self._scope.__aexit__(kind, error, trace)
        except TimeoutError:
            raise AttemptFailed("timeout", self._expired()) from None

    def _look(self) -> None:
        """The timer rang. What it was set for is over; events that came since may have put the end off."""
        if self._loop.time() < self._due:
            self._look_then()
        else:
            self._scope.reschedule(self._due)

    def _look_then(self) -> None:
        self._timer.cancel()
        self._timer = self._loop.call_at(self._due, self._look)

    def _expired(self) -> str:
        if self.received:
            return f"nothing more came for {self._timeouts.idle:g} s"
        return f"no first token within {self._patience:g} s"
