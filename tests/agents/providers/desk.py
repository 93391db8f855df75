"""A broker before a simulated provider, with a ledger that remembers."""

import asyncio
import itertools
from collections.abc import Callable
from dataclasses import dataclass, field

from darumad.agents.providers import BUCKETS, Broker, Credential, ProviderConfig, ProviderSpec, Timeouts
from darumad.bus import Tally
from darumad.clock import Clock, SystemClock
from darumad.names import ItemId, Seconds
from darumad.sim import Simulation
from darumad.values import changed
from darumad.work.model import Message, ModelFailed, ModelRequest
from darumad.work.ports import Complete, Owner
from darumad.work.result import Usage

KEY = "sk-marker-8c1f0d"
MODELS = {"anthropic": "claude-sonnet-5-5", "ollama": "llama3.2", "openai": "gpt-sim"}
QUICK = Timeouts(connect=Seconds(2), first_token=Seconds(0.3), idle=Seconds(0.3), total=Seconds(20), queue=Seconds(5))
SLOW = Timeouts(connect=Seconds(5), first_token=Seconds(20), idle=Seconds(20), total=Seconds(30), queue=Seconds(20))
OWNER = Owner(ItemId("item"), 1)


class Draws:
    """Chance that always draws low, so that waits are short."""

    def random(self) -> float:
        return 0.05


@dataclass
class Books:
    """A ledger: what was reserved, and what each reservation was settled at."""

    reserved: dict[str, tuple[Owner, str, str, Usage]] = field(default_factory=dict)
    settled: dict[str, list[Usage]] = field(default_factory=dict)
    without_money: set[str] = field(default_factory=set)
    held: asyncio.Event | None = None
    asked: asyncio.Event = field(default_factory=asyncio.Event)
    numbers: "itertools.count[int]" = field(default_factory=itertools.count)

    async def reserve(self, owner: Owner, *, agent: str, provider: str, model: str, estimate: Usage) -> str:
        if provider in self.without_money:
            raise ModelFailed("budget_exhausted", "the day's budget is spent")
        self.asked.set()
        if self.held is not None:
            await self.held.wait()
        number = f"r{next(self.numbers)}"
        self.reserved[number] = (owner, agent, provider, estimate)
        return number

    def settle(self, reservation: str, usage: Usage) -> None:
        self.settled.setdefault(reservation, []).append(usage)

    @property
    def open(self) -> set[str]:
        return set(self.reserved) - set(self.settled)

    @property
    def used(self) -> list[Usage]:
        return [usage for usages in self.settled.values() for usage in usages]


def url_of(sim: Simulation, name: str) -> str:
    """Where the provider answers; OpenAI's clients take the version as a part of it."""
    return sim.url(name) + ("/v1" if name.startswith("openai") else "")


class Desk:
    """One provider of each vendor, all simulated."""

    def __init__(self, sim: Simulation, clock: Clock | None = None) -> None:
        self.sim = sim
        self.clock = clock or SystemClock()
        self.books = Books()
        self.tally = Tally(BUCKETS)
        self.specs = {
            name: ProviderSpec(
                kind=name, base_url=url_of(sim, name), model=MODELS[name], timeouts=SLOW, concurrency=8, num_ctx=100_000
            )
            for name in MODELS
        }
        self.use = "anthropic"
        self.max_in_flight = 256
        self.by_agent: dict[str, str] = {}
        self.facts: list[object] = []
        self.numbers = itertools.count()
        self.keys = dict.fromkeys(("anthropic", "openai"), Credential(KEY))
        self._broker: Broker | None = None

    def change(self, **fields: object) -> None:
        self.specs = {name: changed(spec, **fields) for name, spec in self.specs.items()}

    @property
    def broker(self) -> Broker:
        if self._broker is None:
            config = ProviderConfig(
                use=self.use, providers=self.specs, by_agent=self.by_agent, max_in_flight=self.max_in_flight
            )
            self._broker = Broker(
                config,
                self.books,
                self.clock,
                Draws(),
                self.tally,
                self.facts.append,
                lambda: f"call-{next(self.numbers)}",
                self.keys,
            )
        return self._broker

    def complete(self, owner: Owner = OWNER, agent: str = "executor") -> Complete:
        return self.broker.complete_for(owner, agent)

    async def failure(self, prompt: str = "hello") -> ModelFailed:
        """What a call failed with."""
        try:
            await self.complete()(ask(prompt))
        except ModelFailed as failed:
            return failed
        raise AssertionError("the call was answered")


def ask(prompt: str = "hello", **fields: object) -> ModelRequest:
    return ModelRequest(messages=(Message(role="user", text=prompt),), max_tokens=1_000, **fields)


async def seen(sim: Simulation, until: Callable[[tuple[object, ...]], bool]) -> tuple[object, ...]:
    """What the simulator saw, once `until` holds of it, without blocking this loop."""
    return await asyncio.to_thread(sim.wait, until)


async def turns(until: Callable[[], bool]) -> None:
    """Let the loop turn until `until` holds; ten seconds are the ceiling."""
    async with asyncio.timeout(10):
        while not until():  # noqa: ASYNC110 - a few turns of the loop, no time
            await asyncio.sleep(0)
