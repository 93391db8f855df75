"""A bounded number of open calls, and a fair queue before them. Lives on one loop and goes with it."""

import asyncio
from collections import OrderedDict, deque

from darumad.agents.providers.classify import AttemptFailed


class Slots:
    """`limit` calls at once. Agents that wait are served in turn, so a busy definition starves no other."""

    def __init__(self, limit: int) -> None:
        self._free = limit
        self._waiting: OrderedDict[str, deque[asyncio.Future[None]]] = OrderedDict()

    def hold(self, agent: str, *, within: float) -> "_Hold":
        """A slot, for as long as the block runs.

        Raises on entry:
            AttemptFailed: kind `local_saturation`, when none was free `within` seconds.
        """
        return _Hold(self, agent, within)

    def try_take(self) -> bool:
        """Take a slot, to be given back. False when none is free."""
        if self._free == 0:
            return False
        self._free -= 1
        return True

    async def take(self, agent: str, within: float) -> None:
        """The next slot that is given back. Raises as `hold`."""
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
            self.give()
            return
        queue = self._waiting.get(agent)
        if queue and turn in queue:
            queue.remove(turn)

    def give(self) -> None:
        """A slot is free again: the next agent's in turn."""
        while self._waiting:
            agent, queue = self._waiting.popitem(last=False)
            turn = queue.popleft() if queue else None
            if queue:
                self._waiting[agent] = queue
            if turn is not None and not turn.done():
                turn.set_result(None)
                return
        self._free += 1


class _Hold:
    """The block that holds a slot. A class, for each call enters two, and a generator costs more than the slot."""

    __slots__ = ("_agent", "_slots", "_within")

    def __init__(self, slots: Slots, agent: str, within: float) -> None:
        self._slots, self._agent, self._within = slots, agent, within

    async def __aenter__(self) -> None:
        if not self._slots.try_take():
            await self._slots.take(self._agent, self._within)

    async def __aexit__(self, *_: object) -> None:
        self._slots.give()
