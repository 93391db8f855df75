"""Building the house in order, each room given what it needs; the exit stack takes it down in reverse."""

import asyncio
import functools
import os
import random  # noqa: TID251 - the one Random of the daemon is made here
import secrets
from collections.abc import Callable, Coroutine, Mapping, MutableMapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from darumad import __version__
from darumad.actors import (
    ROOT,
    Admission,
    Beat,
    Desk,
    Hint,
    Station,
    TreeListener,
    agent_at,
    branches,
    instances,
    places,
    restart_instances,
    root_flags,
)
from darumad.agents import AgentDefinition, Templates, make_agent
from darumad.agents.providers import BUCKETS as PROVIDER_BUCKETS
from darumad.agents.providers import Broker, Chosen, Keyring, Validations, discover, load_credentials
from darumad.bridge import Bridge, JournalLedger, Limit, LoopThread, Stopped, Workspaces
from darumad.bus import Bus, Tally
from darumad.clock import SystemClock
from darumad.control import (
    BUCKETS,
    House,
)
from darumad.control.house import Revoked, Running
from darumad.daemon import configured
from darumad.daemon.gauges import gauges
from darumad.daemon.guardian import Guardian
from darumad.daemon.keys import Keys, Providers
from darumad.daemon.telling import hear, tell
from darumad.daemon.treasury import Treasury
from darumad.errors import Broken
from darumad.events import Fact
from darumad.ids import uuid7
from darumad.journal import MEASURES, Journal, Publisher
from darumad.journal.commits import Commits
from darumad.journal.requests import PAUSED, Note
from darumad.logs import logger
from darumad.names import AgentName, Fence, ItemId, Role, Seconds, Stage
from darumad.settings import Settings
from darumad.supervision import ActorDeadError, ChildSpec, Event, Supervisor, SupervisorRef, lint
from darumad.vault import Vault
from darumad.work.item import WorkRecord
from darumad.work.ports import Agent, Owner

T = TypeVar("T")
log = logger(__name__)
WITHIN = Seconds(10.0)
"""Seconds that a thread of the error kernel may take to answer while the house is built or taken down."""
STUCK = 30.0
"""Seconds that one batch may take in the journal's writer or in the publisher before it counts as stuck."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Kernel:
    """The error kernel: what stands outside the tree and outlives every actor."""

    settings: Settings
    clock: SystemClock
    rng: random.Random
    new_id: Callable[[], str]
    tally: Tally
    publisher: Publisher
    journal: Journal
    loop: LoopThread
    guardian: Guardian
    signals: Bus[Event]

    def signal(self, name: str, path: str, incarnation: int, data: Mapping[str, object]) -> None:
        """Tell whoever listens now; it is not recorded and may be lost."""
        self.signals.publish(Event(name, self.clock.monotonic(), path, incarnation, data))

    def note(self, fact: Fact) -> None:
        """Record a fact that changes no item."""
        self.journal.post(Note(facts=(fact,)))


def kernel(settings: Settings, clock: SystemClock, guardian: Guardian, stack: ExitStack) -> Kernel:
    """The publisher, the journal and the bridge's loop, running.

    Raises:
        Refused: the state directory cannot be had or the journal cannot be used.
    """
    new_id = functools.partial(_new_id, clock)
    tally = Tally({**BUCKETS, **PROVIDER_BUCKETS, **MEASURES})
    publisher = Publisher(clock)
    publisher.subscribe(tell)
    signals: Bus[Event] = Bus(_listener_failed)
    signals.subscribe(hear)
    journal = Journal.open(
        settings.state_dir,
        clock=clock,
        node=settings.daemon.node,
        new_id=new_id,
        publish=publisher.publish,
        tally=tally,
        ageing=settings.queue.ageing,
        version=__version__,
        ballast=settings.journal.ballast,
        low_water=settings.journal.low_water,
        lanes=configured.lanes(settings),
        on_fatal=lambda error: guardian.end("broken_disk", str(error)),
    )
    publisher.start()
    stack.callback(publisher.close, WITHIN)
    journal.start()
    stack.callback(journal.close, WITHIN)
    loop = LoopThread(clock)
    loop.start()
    stack.callback(loop.stop, WITHIN)
    return Kernel(
        settings=settings,
        clock=clock,
        rng=random.Random(secrets.randbits(64)),  # noqa: S311 - jitter is no secret
        new_id=new_id,
        tally=tally,
        publisher=publisher,
        journal=journal,
        loop=loop,
        guardian=guardian,
        signals=signals,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Minds:
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
    """The providers' keys; the variables that held them are taken out of `environ`.

    Raises:
        Refused: `bad_settings`: a key file that cannot be used.
    """
    return load_credentials(configured.provider_config(settings), environ)


def minds(house: Kernel, keyring: Keyring, stack: ExitStack) -> Minds:
    """The bridge and what stands behind it; looks for a provider when the settings leave the choice."""
    keys = Keys(
        keyring,
        Vault(house.settings.state_dir, os.environ),
        house.journal,
        house.clock,
        aside=functools.partial(house.loop.aside, failed=_listener_failed),
    )

    async def build() -> Minds:
        config = configured.provider_config(house.settings)
        chosen = await discover(config, keyring.known())
        commits = Commits(house.journal.post, house.loop.loop)
        ledger = JournalLedger(
            commits,
            house.clock,
            new_id=house.new_id,
            allowance=configured.allowance(house.settings),
        )
        used = config.using(chosen.provider, chosen.model)
        broker = Broker(used, ledger, house.clock, house.rng, house.tally, keyring)
        executors = configured.agent_definitions(house.settings)[Role.EXECUTOR]
        templates = Templates(executors)
        workspaces = Workspaces(house.settings.state_dir / "workspaces", house.settings.state_dir / "uploads")
        bridge = Bridge(
            house.loop,
            make=functools.partial(_new_agent, templates),
            broker=broker,
            commits=commits,
            ledger=ledger,
            workspaces=workspaces,
            limits=configured.limits(house.settings),
            rng=house.rng,
            signal=house.signal,
        )
        validations = Validations(used, keyring.get, house.clock, house.loop.loop)
        return Minds(
            chosen=chosen,
            broker=broker,
            providers=Providers(used, keyring, validations, house.loop.loop),
            keys=keys,
            templates=templates,
            bridge=bridge,
            workspaces=workspaces,
            ledger=ledger,
        )

    built = _on(house.loop, build())
    stack.callback(_close, built.broker, house.loop)
    return built


def _new_agent(templates: Templates, role: Role, definition: AgentDefinition) -> Agent:
    """One more life of an agent. It begins with its template's file as it is now: a corrected one is taken up."""
    if role is Role.EXECUTOR:
        templates.reload(definition.name)
    return make_agent(role, definition, templates)


def _close(broker: Broker, loop: LoopThread) -> None:
    """Closes the providers' sockets; a loop that does not turn any more keeps them until the process is gone."""
    try:
        _on(loop, broker.close())
    except TimeoutError:
        log.warning("broker_not_closed", why="the loop does not turn")


class Engine:
    """The tree and what it is told by: made once, rooted by `start`."""

    def __init__(self, house: Kernel, behind: Minds) -> None:
        self._house = house
        self._minds = behind
        self.admission = Admission(paused=house.journal.reader().setting(PAUSED) == "yes")
        self._definitions = configured.agent_definitions(house.settings)
        self._orchestrator: Callable[[object], None] | None = None
        self.treasury = Treasury(
            configured.allowance(house.settings),
            house.journal,
            house.clock,
            behind.ledger,
            provider_of=behind.broker.provider_of,
            hint=self.hint,
            aside=functools.partial(house.loop.aside, failed=_listener_failed),
        )
        self._root: SupervisorRef | None = None

    @property
    def root(self) -> SupervisorRef:
        """The root supervisor.

        Raises:
            Broken: it was never started.
        """
        if self._root is None:
            raise Broken("the tree does not stand yet")
        return self._root

    def start(self, doors: Sequence[ChildSpec]) -> None:
        """Start the tree: the engine first, the doors last; every child is READY when this returns.

        Raises:
            Broken: the tree could never escalate as it should (the lint), which is a defect of this code.
        """
        specs = self._specs(doors)
        flags = root_flags()
        findings = lint(flags, specs)
        if findings:
            raise Broken("; ".join(findings))
        signals = self._house.signals
        signals.subscribe(self._listener())
        signals.subscribe(self._on_root)
        self._root = Supervisor.start(
            flags,
            specs,
            name=ROOT,
            clock=self._house.clock,
            bus=signals.publish,
            rng=self._house.rng,
            leak_cap=self._house.settings.supervision.leak_cap,
        )

    def tell(self, message: object) -> None:
        """Tell whoever is the orchestrator now; nobody, if none is: the next one reads the journal."""
        told = self._orchestrator
        if told is None:
            return
        try:
            told(message)
        except ActorDeadError:
            return

    def hint(self, ready: Mapping[tuple[AgentName, Stage], int] | None = None) -> None:
        """Work may be ready: so much of it where it is known where, anywhere otherwise."""
        self.tell(Hint(ready))

    def beat_root(self, heard: Callable[[], None]) -> None:
        """Have `heard` called on the root's thread, between two of its jobs."""
        self.root.echo(heard)

    def beat_orchestrator(self, heard: Callable[[], None]) -> None:
        """Have `heard` called on the thread of whoever is the orchestrator now, between two messages."""
        self.tell(Beat(heard))

    def _specs(self, doors: Sequence[ChildSpec]) -> list[ChildSpec]:
        settings = self._house.settings
        desk = Desk(
            clock=self._house.clock,
            rng=self._house.rng,
            admission=self.admission,
            post=self._house.journal.post,
            revoke=self._revoke,
            gated=self._gated,
            counts={each.name: each.count for each in self._definitions[Role.EXECUTOR]},
            backoff=configured.retry(settings),
            reread=settings.queue.reread,
            arrived=self._arrived,
        )
        return branches(
            desk, definitions=self._definitions, station=self._station, policy=configured.policy(settings), doors=doors
        )

    def _arrived(self, told: Callable[[object], None]) -> None:
        self._orchestrator = told

    def _station(self, role: Role, definition: Any) -> Station:
        return Station(
            role=role,
            definition=definition,
            bridge=self._minds.bridge,
            orchestrator=self.tell,
            note=self._house.note,
        )

    def _listener(self) -> TreeListener:
        return TreeListener(
            agent_of=agent_at,
            note=self._house.note,
            orchestrator=self.tell,
            forget=self._minds.bridge.forget,
            degraded_at=self._house.settings.supervision.degraded_at,
        )

    def _on_root(self, event: Event) -> None:
        """Why the root is about to end, told before it does: the guardian must not guess."""
        if event.path != ROOT:
            return
        if event.name == "supervisor.leak_cap":
            self._house.guardian.end("leaked", f"{event.data['count']} threads were abandoned and still run")
        elif event.name == "supervisor.intensity_exceeded":
            self._house.guardian.end("root", "the root supervisor gave up: its children were restarted too often")

    def _revoke(self, item: ItemId, fence: Fence) -> None:
        self._minds.bridge.cancel([Owner(item, fence)], Limit.INTERRUPTED, lambda _: None)

    def _gated(self) -> frozenset[AgentName]:
        broker = self._minds.broker
        names = (each.name for each in self._definitions[Role.EXECUTOR])
        return frozenset(name for name in names if broker.shut(name))


def control_house(
    house: Kernel,
    behind: Minds,
    engine: Engine,
    signs: Callable[[], dict[str, bool | str]],
    lost_lines: Callable[[], int],
) -> House:
    """The daemon as the control room sees it."""
    settings = house.settings
    accepted = configured.Accepted(configured.agent_definitions(settings)[Role.EXECUTOR], behind.templates)

    async def revoke(running: Sequence[Running], reason: str, cancelled: bool) -> Revoked:  # noqa: FBT001 - the House's
        waiting = asyncio.get_running_loop()
        done: asyncio.Future[Stopped] = waiting.create_future()

        def reply(stopped: Stopped) -> None:
            waiting.call_soon_threadsafe(done.set_result, stopped)

        log.debug("revoking", items=[each[0] for each in running], reason=reason)
        owned = [Owner(item, fence) for item, _, fence in running]
        behind.bridge.cancel(owned, Limit.CANCELLED if cancelled else Limit.REVOKED, reply, reason)
        answer = await asyncio.shield(done)  # a caller that hangs up does not stop the stopping
        return [str(each) for each in answer.stopped], [str(each) for each in answer.not_stopped], answer.after_ms

    def drain(by: str) -> None:
        log.info("drain_asked", by=by)
        engine.admission.draining = True

    def pause(by: str) -> None:
        log.info("pause_asked", by=by)
        engine.admission.paused = True

    def resume(by: str) -> None:
        log.info("resume_asked", by=by)
        engine.admission.draining = engine.admission.paused = False
        engine.hint()

    def workspace_of(record: WorkRecord) -> Path:
        return behind.workspaces.place(record.item.id, record.failures)

    return House(
        clock=house.clock,
        tally=house.tally,
        journal=house.journal,
        reader=house.journal.reader(),
        publisher=house.publisher,
        tree=lambda: places(engine.root),
        agents=lambda: instances(engine.root, behind.bridge, house.clock.wall(), behind.broker.shut),
        unmade=behind.bridge.unmade,
        vital_signs=signs,
        hint=engine.hint,
        revoke=revoke,
        restart_agent=lambda named: restart_instances(engine.root, named),
        drain=drain,
        pause=pause,
        paused=lambda: engine.admission.paused,
        resume=resume,
        stop=lambda by: house.guardian.end("asked", by),
        draining=lambda: engine.admission.draining,
        chosen_provider=lambda: {
            "provider": behind.chosen.provider, "model": behind.chosen.model, "why": behind.chosen.why,
        },
        definitions=lambda: accepted,
        upload_dir=settings.state_dir / "uploads",
        workspace_of=workspace_of,
        home_of=behind.workspaces.home_of,
        remember=Seconds(settings.retention.results + settings.retention.ids),
        log_file=settings.log.file,
        new_id=house.new_id,
        report=_listener_failed,
        boot=house.journal.boot,
        version=__version__,
        started_at=house.clock.wall(),
        max_unfinished=settings.queue.max_items,
        treasury=engine.treasury,
        keys=behind.keys,
        providers=behind.providers,
        gauges=lambda: gauges(house.journal, behind.bridge, behind.broker, engine.root, lost_lines()),
    )  # fmt: skip


def _new_id(clock: SystemClock) -> str:
    return uuid7(clock.wall(), secrets.randbits)


def _listener_failed(error: BaseException) -> None:
    log.error("listener_failed", error=f"{type(error).__name__}: {error}")


def _on(thread: LoopThread, work: Coroutine[Any, Any, T]) -> T:
    """The outcome of `work` on the bridge's loop.

    Only while the house is built or taken down may anyone wait for it.
    """
    return asyncio.run_coroutine_threadsafe(work, thread.loop).result(WITHIN)
