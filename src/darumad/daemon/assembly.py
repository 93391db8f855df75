"""Building the house in order, each room given what it needs; the exit stack takes it down in reverse."""

import asyncio
import functools
import os
import random  # noqa: TID251 - the one Random of the daemon is made here
from collections.abc import Callable, Coroutine, Mapping, MutableMapping
from contextlib import ExitStack
from typing import Any, TypeVar

from darumad import __version__
from darumad.agents import AgentDefinition, Templates, make_agent
from darumad.agents.providers import Broker, Chosen, Keyring, Validations, discover, load_credentials
from darumad.bridge import Bridge, BridgeHalf, JournalLedger, Loops, LoopThread, Workspaces
from darumad.bus import Bus, Tally
from darumad.clock import SystemClock
from darumad.control import BUCKETS, SignalCounter
from darumad.daemon import configured
from darumad.daemon.guardian import Guardian
from darumad.daemon.keys import Keys, Providers
from darumad.daemon.telling import hear, tell
from darumad.daemon.walks import Walks
from darumad.events import Fact
from darumad.ids import uuid7
from darumad.journal import Journal, Publisher
from darumad.journal.commits import Commits
from darumad.journal.requests import Note
from darumad.logs import logger
from darumad.names import Role, Seconds
from darumad.settings import Settings
from darumad.supervision import Event
from darumad.values import Value
from darumad.vault import Vault
from darumad.work.ports import Agent

T = TypeVar("T")
log = logger(__name__)
WITHIN = Seconds(10.0)
"""Seconds that a thread of the error kernel may take to answer while the house is built or taken down."""


class Kernel(Value, kw_only=True):
    """The error kernel: what stands outside the tree and outlives every actor."""

    settings: Settings
    clock: SystemClock
    rng: random.Random
    new_id: Callable[[], str]
    tally: Tally
    publisher: Publisher
    journal: Journal
    loops: Loops
    guardian: Guardian
    signals: Bus[Event]

    def signal(self, name: str, path: str, incarnation: int, data: Mapping[str, object]) -> None:
        """Tell whoever listens now; it is not recorded and may be lost."""
        self.signals.publish(Event(name, self.clock.monotonic(), path, incarnation, data))

    def note(self, fact: Fact) -> None:
        """Record a fact that changes no item."""
        self.journal.post(Note(facts=(fact,)))


def build_kernel(settings: Settings, clock: SystemClock, guardian: Guardian, stack: ExitStack) -> Kernel:
    """The publisher, the journal and the loop that agents run on, running.

    Raises:
        Refused: the state directory cannot be had or the journal cannot be used.
    """
    rng = random.Random()  # noqa: S311 - jitter and ids are no secrets
    new_id = functools.partial(_new_id, clock, rng)
    tally = Tally(BUCKETS)
    publisher = Publisher(clock)
    publisher.subscribe(tell)
    signals: Bus[Event] = Bus(listener_failed)
    signals.subscribe(hear)
    signals.subscribe(SignalCounter(tally))
    journal = Journal.open(
        settings.state_dir,
        clock=clock,
        node=settings.daemon.node,
        new_id=new_id,
        publish=publisher.publish,
        tally=tally,
        ageing=settings.queue.ageing,
        program=configured.program(settings, __version__),
        ballast=settings.journal.ballast,
        low_water=settings.journal.low_water,
        lanes=configured.lanes(settings),
        offers=configured.offers(settings),
        on_fatal=lambda error: guardian.end("broken_disk", str(error)),
    )
    publisher.start()
    stack.callback(publisher.close, WITHIN)
    journal.start()
    stack.callback(journal.close, WITHIN)
    loops = Loops(clock)
    loops.start()
    stack.callback(loops.stop, WITHIN)
    return Kernel(
        settings=settings,
        clock=clock,
        rng=rng,
        new_id=new_id,
        tally=tally,
        publisher=publisher,
        journal=journal,
        loops=loops,
        guardian=guardian,
        signals=signals,
    )


class Minds(Value, kw_only=True):
    """The agents' side: the broker to the models, the templates, and the bridge to them."""

    chosen: Chosen
    broker: Broker
    providers: Providers
    keys: Keys
    templates: Templates
    bridge: Bridge
    workspaces: Workspaces
    ledger: JournalLedger


def credentials_of(settings: Settings, environ: MutableMapping[str, str]) -> Keyring:
    """The providers' keys; the variables that held them are taken out of `environ`."""
    return load_credentials(configured.provider_config(settings), environ)


def build_minds(kernel: Kernel, keyring: Keyring) -> Minds:
    """The bridge and what stands behind it; looks for a provider when the settings leave the choice."""
    keys = Keys(
        keyring,
        Vault(kernel.settings.state_dir, os.environ),
        kernel.journal,
        kernel.clock,
        aside=functools.partial(kernel.loops.aside, failed=listener_failed),
    )
    walks = Walks(kernel.journal)

    async def build() -> Minds:
        config = configured.provider_config(kernel.settings)
        chosen = await discover(config, keyring.meant())
        ledger = JournalLedger(
            Commits(kernel.journal.post, kernel.loops.now.loop),
            kernel.clock,
            new_id=kernel.new_id,
            allowance=configured.allowance(kernel.settings),
        )
        used = config.using(chosen.provider, chosen.model)
        broker = Broker(used, ledger, kernel.clock, kernel.rng, kernel.tally, kernel.note, kernel.new_id, keyring)
        templates = Templates(configured.agent_definitions(kernel.settings)[Role.EXECUTOR], walks)
        state, unpacked = kernel.settings.state_dir, configured.unpack_limits(kernel.settings)
        workspaces = Workspaces(state / "workspaces", state / "uploads", unpacked)
        half_on = _halves(kernel, broker, ledger, templates, workspaces)
        validations = Validations(used, keyring.get, broker, kernel.clock, kernel.loops.post)
        return Minds(
            chosen=chosen,
            broker=broker,
            providers=Providers(used, keyring, validations, lambda: kernel.loops.now.loop, templates.loaded),
            keys=keys,
            templates=templates,
            bridge=Bridge(kernel.loops, half_on, broker),
            workspaces=workspaces,
            ledger=ledger,
        )

    built = _on(kernel.loops.now, build())
    kernel.loops.at_end(built.broker.close)
    return built


def _halves(
    kernel: Kernel, broker: Broker, ledger: JournalLedger, templates: Templates, workspaces: Workspaces
) -> Callable[[LoopThread], BridgeHalf]:
    """What makes the bridge's half on each loop that there is; the ledger books over the newest."""

    def half_on(thread: LoopThread) -> BridgeHalf:
        commits = Commits(kernel.journal.post, thread.loop)
        ledger.move_to(commits)
        return BridgeHalf(
            thread,
            make=functools.partial(_new_agent, templates),
            broker=broker,
            commits=commits,
            ledger=ledger,
            workspaces=workspaces,
            limits=configured.limits(kernel.settings),
            rng=kernel.rng,
            tally=kernel.tally,
            signal=kernel.signal,
            note=kernel.note,
        )

    return half_on


async def _new_agent(templates: Templates, role: Role, definition: AgentDefinition) -> Agent:
    """One more life of an agent. It begins with its template's file as it is now: a corrected one is taken up."""
    if role is Role.EXECUTOR:
        await templates.reload(definition.name)
    return make_agent(role, definition, templates)


def _new_id(clock: SystemClock, rng: random.Random) -> str:
    """The system's own randomness would let go of the interpreter for each id, in the middle of whoever needs one."""
    return uuid7(clock.wall(), rng.getrandbits)


def listener_failed(error: BaseException) -> None:
    """A listener raised: the log hears of it, and nobody else."""
    log.error("listener_failed", error=f"{type(error).__name__}: {error}", exc_info=error)


def _on(thread: LoopThread, work: Coroutine[Any, Any, T]) -> T:
    """The outcome of `work` on the bridge's loop.

    Only while the house is built or taken down may anyone wait for it.
    """
    return asyncio.run_coroutine_threadsafe(work, thread.loop).result(WITHIN)
