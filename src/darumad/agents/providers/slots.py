"""A bounded number of open calls, and a fair queue before them. Lives on one loop and goes with it."""

import asyncio
from collections import OrderedDict, deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from darumad.agents.providers.classify import AttemptFailed


class Slots:
    """`limit` calls at once. Agents that wait are served in turn, so a busy definition starves no other."""

    def __init__(self, limit: int) -> None:
        self._free = limit
        self._waiting: OrderedDict[str, deque[asyncio.Future[None]]] = OrderedDict()

    @asynccontextmanager
    async def hold(self, agent: str, *, within: float) -> AsyncIterator[None]:
        """A slot, for as long as the block runs.

        Raises:
            AttemptFailed: kind `local_saturation`, when none was free `within` seconds.
        """
        await self._take(agent, within)
        try:
            yield
        finally:
            self._give()

    async def _take(self, agent: str, within: float) -> None:
        if self._free > 0:
            self._free -= 1
            return
        turn = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(agent, deque()).append(turn)
        try:
            async with asyncio.timeout(within):
                await turn
        except TimeoutError:
            self._leave(agent, turn)
            raise AttemptFailed("local_saturation", f"no slot was free within {within:g} s") from None
        except asyncio.CancelledError:
            self._leave(agent, turn)
            raise

    def _leave(self, agent: str, turn: "asyncio.Future[None]") -> None:
        """Out of the queue; a slot that was handed over in the same moment goes to the next."""
        if turn.done() and not turn.cancelled():
            self._give()
            return
        queue = self._waiting.get(agent)
        if queue and turn in queue:
            queue.remove(turn)

    def _give(self) -> None:
        while self._waiting:
            agent, queue = self._waiting.popitem(last=False)
            turn = queue.popleft() if queue else None
            if queue:
                self._waiting[agent] = queue
            if turn is not None and not turn.done():
                turn.set_result(None)
                return
        self._free += 1
