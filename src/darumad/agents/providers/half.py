"""The half of the broker that belongs to one loop, and dies with it: clients, slots, and the calls that are open."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from darumad.agents.providers.client import Client, build, load
from darumad.agents.providers.config import Kind, ProviderSpec
from darumad.agents.providers.credential import Credential
from darumad.agents.providers.slots import Slots
from darumad.values import Value
from darumad.work.ports import Owner


class _Opened(Value):
    """An open call: whose it is, the task it runs in, and how often that task had been cancelled when it began."""

    owner: Owner
    task: asyncio.Task[Any]
    cancelled: int

    @classmethod
    def here(cls, owner: Owner) -> "_Opened":
        """A call that the running task makes for `owner`."""
        task = asyncio.current_task()
        assert task is not None
        return cls(owner, task, task.cancelling())

    @property
    def ending(self) -> bool:
        """Whether a cancel has reached it: a second one would break off the first in the middle of closing a socket."""
        return self.task.cancelling() > self.cancelled


@dataclass(slots=True)
class LoopHalf:
    """What is of one loop. An asyncio primitive or a client that is moved to another raises there."""

    loop: asyncio.AbstractEventLoop
    everybody: Slots
    most: int
    slots: dict[str, Slots] = field(default_factory=dict)
    clients: dict[tuple[str, Credential | None], Client] = field(default_factory=dict)
    loaded: set[Kind] = field(default_factory=set)
    loading: asyncio.Lock = field(default_factory=asyncio.Lock)
    open: dict[asyncio.Timeout, _Opened] = field(default_factory=dict)
    closing: bool = False

    @classmethod
    def here(cls, most: int) -> "LoopHalf":
        """A half for the running loop, with at most so many calls open at once."""
        return cls(asyncio.get_running_loop(), Slots(most), most)

    async def load(self, kind: Kind) -> None:
        """Have what clients of this kind are made of. The first time it takes seconds, which are no provider's fault.

        Raises:
            AttemptFailed: see `client.load`.
        """
        if kind not in self.loaded:
            async with self.loading:
                if kind not in self.loaded:
                    await asyncio.to_thread(load, kind)
                    self.loaded.add(kind)

    def client(self, name: str, spec: ProviderSpec, key: Credential | None) -> Client:
        """The client of a provider with this key, made when it is first wanted; its kind is loaded.

        That of an earlier key stays, for its open calls may end.

        Raises:
            AttemptFailed: it cannot be made; see `client.build`.
        """
        client = self.clients.get((name, key))
        if client is None:
            client = self.clients[name, key] = build(name, spec, key, self.most)
        return client

    def slots_of(self, name: str, spec: ProviderSpec) -> Slots:
        """The places of a provider."""
        found = self.slots.get(name)
        if found is None:
            found = self.slots[name] = Slots(spec.concurrency)
        return found

    @contextmanager
    def opened(self, owner: Owner, scope: asyncio.Timeout) -> Iterator[None]:
        """A call of `owner` is open for as long as the block runs; expiring its scope ends it."""
        self.open[scope] = _Opened.here(owner)
        try:
            yield
        finally:
            del self.open[scope]

    def abort(self, owner: Owner | None = None) -> None:
        """Expire the open calls of `owner` and of earlier holders of its item; without one, all of them."""
        for scope, each in self.open.items():
            theirs = owner is None or (each.owner.item == owner.item and each.owner.fence <= owner.fence)
            if theirs and not scope.expired() and not each.ending:
                scope.reschedule(self.loop.time())

    async def close(self) -> None:
        """Abort what is open and close every client."""
        self.closing = True
        self.abort()
        for client in self.clients.values():
            await client.close()
