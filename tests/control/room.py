"""A control room on real parts: journal, publisher, server, Unix socket. What stands behind the Daemon is scripted."""

import asyncio
import itertools
import sqlite3
import tempfile
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from darumad.bridge import UnpackLimits, Workspaces
from darumad.bus import Tally
from darumad.clock import SystemClock
from darumad.control import BUCKETS, Client, ControlServer, ControlSocket, Daemon, open_control_socket
from darumad.events import WorkSucceeded
from darumad.journal import Claim, Claimed, Journal, Move, Moved, Program, Publisher, Slot
from darumad.journal.encoding import sha256
from darumad.names import AgentName, Capability, ItemId, Millis, NanoUsd, Role, Seconds, Stage
from darumad.vault import Vault
from darumad.work import (
    Allowance,
    Artifact,
    Caps,
    Limits,
    StopReason,
    Usage,
    WorkItem,
    WorkResult,
    WorkState,
    result_to_json,
)
from darumad.work.conversation import exchange_of
from darumad.work.ends import Next
from darumad.work.estimate import Quote
from darumad.work.item import WorkRecord
from darumad.work.lanes import Lane
from darumad.work.model import Message

WITHIN = Seconds(10.0)
STAGES = (Stage.OPTIMIZING, Stage.EXECUTING, Stage.REVIEWING)


@dataclass(frozen=True, slots=True)
class AgentAs:
    name: AgentName
    template: str | None = "general"
    stages: tuple[Stage, ...] = STAGES
    complete_by_form: bool = False
    version: str | None = "1.0.0"
    offers: frozenset[Capability] = frozenset()
    role: Role = Role.EXECUTOR


@dataclass(frozen=True, slots=True)
class Row:
    path: str
    kind: str = "worker"
    state: str = "running"
    incarnation: int = 1
    restarts: int = 0
    last_exit: str | None = None
    mailbox_depth: int = 0
    errors_in_window: int = 0
    last_error: str | None = None


AGENTS = {each.name: each for each in (
    AgentAs(AgentName("executor")),
    AgentAs(AgentName("echo"), "echo", (Stage.EXECUTING,), complete_by_form=True),
    AgentAs(AgentName("documentation"), "documentation"),
    AgentAs(AgentName("optimizer"), None, (Stage.OPTIMIZING,), version=None, role=Role.OPTIMIZER),
    AgentAs(AgentName("orchestrator"), None, (Stage.PLANNING,), version=None, role=Role.ORCHESTRATOR),
    AgentAs(AgentName("reviewer"), None, (Stage.REVIEWING,), version=None, role=Role.REVIEWER),
)}  # fmt: skip


@dataclass
class Purse:
    """What may be spent: five dollars a day, and what was said since."""

    journal: Journal
    today: str = "2026-11-21"
    reviews: int = 0
    priced_only: bool = False
    tomorrow: datetime = datetime(2026, 11, 22, tzinfo=ZoneInfo("Europe/Berlin"))

    @property
    def allowance(self) -> Allowance:
        caps = {"all": Caps(daily=Limits(nano_usd=NanoUsd(5_000_000_000)))}
        five = Allowance(caps=caps, priced_only=self.priced_only)
        return five.overridden(self.journal.reader().settings("budget/"))

    def day_with_room(self, record: WorkRecord) -> datetime | None:
        return self.tomorrow if (record.error or {}).get("budget") == "all" else None

    def review(self, scope: str | None = None) -> Sequence[ItemId]:
        self.reviews += 1
        return [ItemId(f"waited-for-{scope}")]


@dataclass
class Keys:
    """A real vault; one provider takes what is kept as `far-api-key`."""

    vault: Vault
    looks: int = 0
    said_mended: set[str] = field(default_factory=set)

    def refresh(self) -> Sequence[str]:
        self.looks += 1
        return ["far"]

    def mended(self, providers: Collection[str]) -> None:
        self.said_mended.update(providers)


@dataclass
class Providers:
    """Providers that answer once each of them was asked; one, if nobody says more."""

    state: str = "pending"
    names: Sequence[str] = ("far",)
    well: bool = True
    passes: bool = False
    reason: Callable[[], str] = lambda: "because"
    refusing: dict[str, str] = field(default_factory=dict)
    asked: set[str] = field(default_factory=set)
    vouched_for: set[str] = field(default_factory=set)
    all_asked: asyncio.Event = field(default_factory=asyncio.Event)

    def shown(self) -> Sequence[Mapping[str, Any]]:
        return [{"name": name, "kind": "anthropic", "model": "m", "base_url": None, "key": "store", "used": True,
                 "state": "error" if name in self.refusing else self.state, "reason": self.reason(), "checked_at": None,
                 "passes": self.passes} for name in self.names]  # fmt: skip

    def asked_for(self, agent: str) -> Sequence[str]:
        return self.names

    def standing(self) -> Mapping[str, bool | str]:
        return {name: self.refusing.get(name, True) for name in self.names}

    def uncalled(self) -> Collection[str]:
        return list(self.refusing)

    def vouch_for(self, agents: Iterable[str]) -> None:
        self.vouched_for.update(agents)

    async def check(self, provider: str) -> bool:
        self.asked.add(provider)
        if self.asked >= set(self.names):
            self.all_asked.set()
        await self.all_asked.wait()
        self.state = "connected" if self.well else "error"
        return self.well

    def quote(self, item: WorkItem, turns: tuple[Message, ...]) -> Quote:
        said = sum(len(each.text) for each in (*turns, *item.messages))
        most = Usage(input_tokens=900 + said, output_tokens=100, calls=1, nano_usd=None)
        return Quote(provider="far", model="m", most=most)


@dataclass
class Room:
    """The daemon's side: what a test may turn, and what was asked of it."""

    directory: Path
    clock: SystemClock
    journal: Journal
    publisher: Publisher
    tally: Tally
    journal_wrong: tuple[str, ...] | None = None
    no_room: str | None = None
    cannot_start: str | None = None
    signs: dict[str, bool | str] = field(default_factory=lambda: dict.fromkeys(("actor", "loop", "writer"), True))
    rows: list[Row] = field(default_factory=lambda: [Row("daruma", "supervisor"), Row("daruma/engine", "supervisor"),
                                                    Row("daruma/engine/orchestrator", mailbox_depth=3)])  # fmt: skip
    instances: list[Mapping[str, Any]] = field(default_factory=lambda: [
        {"path": "daruma/engine/minds/executors/echo/1", "agent": "echo", "state": "idle", "errors_in_window": 2,
         "incarnation": 4, "restarts": 3, "last_error": "tool_error"}])  # fmt: skip
    definitions: dict[AgentName, AgentAs] = field(default_factory=lambda: dict(AGENTS))
    unmade: dict[AgentName, str] = field(default_factory=dict)
    shut: set[AgentName] = field(default_factory=set)
    held: set[AgentName] = field(default_factory=set)
    unplaced: set[AgentName] = field(default_factory=set)
    woken: list[AgentName] = field(default_factory=list)
    lanes: dict[str, Lane] = field(default_factory=dict)
    revoked: list[Any] = field(default_factory=list)
    asked: list[tuple[str, str]] = field(default_factory=list)
    reported: list[tuple[str, BaseException, str | None]] = field(default_factory=list)
    hints: int = 0
    is_draining: bool = False
    is_paused: bool = False
    purse: Purse = field(init=False)
    keys: Keys = field(init=False)
    providers: Providers = field(default_factory=Providers)
    max_unfinished: int = 10_000
    settings_file: Path | None = None
    input_roots: tuple[Path, ...] = ()
    head_timeout: Seconds = WITHIN
    body_timeout: Seconds = WITHIN

    def __post_init__(self) -> None:
        self.purse = Purse(self.journal)
        self.keys = Keys(Vault(self.directory, {}))

    def offer(self, agent: str, *words: Capability) -> None:
        """The settings say from now on that this agent offers these."""
        name = AgentName(agent)
        self.definitions[name] = replace(self.definitions[name], offers=frozenset(words))

    def daemon(self) -> Daemon:
        ids = itertools.count(1)
        uploads, limits = self.directory / "uploads", UnpackLimits(size=0, files=0, spare=0)
        workspaces = Workspaces(self.directory / "workspaces", uploads, limits)
        return Daemon(
            clock=self.clock,
            tally=self.tally,
            journal=self.journal,
            reader=self.journal.reader(),
            publisher=self.publisher,
            tree=lambda: self.rows,
            agents=lambda: self.instances,
            unmade=lambda: self.unmade,
            shut=lambda agent: agent in self.shut,
            held=lambda: frozenset(self.held),
            unplaced=lambda: frozenset(self.unplaced),
            lanes=self.lanes,
            vital_signs=lambda: self.signs,
            journal_wrong=lambda: self.journal_wrong,
            no_room=lambda: self.no_room,
            hint=self._hint,
            revoke=self._revoke,
            restart_instances=lambda paths: {
                each["path"]: self.cannot_start for each in self.instances if each["path"] in paths
            },
            wake=self.woken.append,
            pause=self._pause,
            paused=lambda: self.is_paused,
            drain=lambda by: self._turn("drain", by, draining=True),
            resume=lambda by: self._turn("resume", by, draining=False),
            stop=lambda by: self._turn("stop", by, draining=True),
            draining=lambda: self.is_draining,
            chosen_provider=lambda: {"provider": "offline", "model": None, "why": "a test"},
            definitions=lambda: self.definitions,
            settings_file=self.settings_file,
            state_dir=self.directory / "state",
            upload_dir=uploads,
            input_roots=self.input_roots,
            low_water=0,
            head_timeout=self.head_timeout,
            body_timeout=self.body_timeout,
            remove_workspaces=lambda item: workspaces.remove(workspaces.home_of(item)),
            remember=Seconds(60.0),
            log_file=None,
            workspace_of=lambda record: self.directory / "workspaces" / record.item.id,
            new_id=lambda: f"made-{next(ids)}",
            report=lambda *told: self.reported.append(told),
            boot=self.journal.boot,
            version="0.1.0",
            started_at=self.clock.wall(),
            max_unfinished=self.max_unfinished,
            unfinished=lambda: self.journal.health().unfinished,
            treasury=self.purse,
            keys=self.keys,
            providers=self.providers,
            gauges=lambda: {("bridge_lag_seconds", ()): 0.25},
        )

    def claim(self, agent: str = "echo", stage: Stage = Stage.EXECUTING) -> Claimed:
        """Some slot takes the best item."""
        answer = self.journal.call(Claim(slots=(Slot(AgentName(agent), stage, f"{agent}/1#1"),)), WITHIN)
        assert isinstance(answer, Claimed)
        return answer

    def succeed(self, artifacts: tuple[Artifact, ...] = ()) -> None:
        """The best ready item of `echo` is done."""
        self._end(WorkState.SUCCEEDED, artifacts)

    def suspect(self, name: str) -> None:
        """As two deaths of the daemon would leave the item."""
        self.write("UPDATE item SET suspect = 1, lives = 2 WHERE uid = ?", name)

    def rewrite(self, name: str, old: str, new: str) -> None:
        """As a disk, or somebody else, might change what was asked for."""
        its = "SELECT id FROM item WHERE uid = ?"
        self.write(f"UPDATE payload SET body = replace(body, ?, ?) WHERE item = ({its})", old, new, name)

    def write_unread(self, name: str) -> None:
        """As an earlier version kept an edit's null: whole, and no item."""
        self.rewrite(name, '"requirements":[]', '"requirements":null')
        ((body,),) = self.write("SELECT body FROM payload JOIN item ON item.id = item WHERE uid = ?", name)
        self.write("UPDATE payload SET sha256 = ? WHERE body = ?", sha256(body), body)

    def blot(self, name: str) -> None:
        """As a disk might: with a byte that no text has."""
        its = "SELECT id FROM item WHERE uid = ?"
        self.write(f"UPDATE payload SET body = CAST(x'ff' || body AS TEXT) WHERE item = ({its})", name)

    def write(self, sql: str, *values: str) -> list[tuple[Any, ...]]:
        """Behind the daemon's back, into one row."""
        with closing(sqlite3.connect(self.directory / "state" / "journal.db", isolation_level=None)) as connection:
            done = connection.execute(sql, values)
            found = done.fetchall()
            assert found or done.rowcount == 1
            return found

    def die(self, kind: str = "tool_error", message: str = "the tool broke", **more: Any) -> None:
        self._end(WorkState.DEAD, (), {"kind": kind, "message": message, **more})

    def park(self, reason: str, message: str, **more: Any) -> None:
        """The best ready item of `echo` waits for somebody."""
        self._end(WorkState.PARKED, (), {"kind": "", "message": message, **more}, reason)

    def put_off(self, reason: str) -> None:
        """The best ready item of `echo` goes on in an hour."""
        self._end(WorkState.SCHEDULED, (), reason=reason, run_at=Millis(self.clock.wall() + 3_600_000))

    def _end(
        self,
        state: WorkState,
        artifacts: tuple[Artifact, ...],
        error: Mapping[str, Any] | None = None,
        reason: str | None = None,
        run_at: Millis | None = None,
    ) -> None:
        record = self.claim().held[0].record
        done = WorkResult(stop_reason=StopReason.COMPLETED, text="it is done", artifacts=artifacts, model="offline")
        succeeded = state is WorkState.SUCCEEDED
        fact = WorkSucceeded(subject=record.item.id, agent="echo", phase=record.item.phase, attempt=record.attempt,
                             model="offline", duration_ms=1500)  # fmt: skip
        move = Move(
            item=record.item.id,
            fence=record.fence,
            attempt=record.attempt,
            from_stage=Stage.EXECUTING,
            follows=Next(
                to=state,
                stage=Stage.EXECUTING,
                ends_attempt=True,
                outcome="completed" if succeeded else "provider_error" if reason else "tool_error",
                error=error,
                reason=reason,
                run_at=run_at,
            ),
            result=result_to_json(done) if succeeded else None,
            exchange=exchange_of(record.item, done) if succeeded else None,
            facts=(fact,) if succeeded else (),
        )
        assert isinstance(self.journal.call(move, WITHIN), Moved)

    def _hint(self, _: object) -> None:
        self.hints += 1

    async def _revoke(self, running: Sequence[Any], reason: str, cancelled: bool) -> tuple[list[str], list[str], int]:
        self.revoked.append((tuple(running), reason, cancelled))
        return [str(item) for item, _, _ in running], [], 7

    def _pause(self, by: str) -> None:
        self.asked.append(("pause", by))
        self.is_paused = True

    def _turn(self, what: str, by: str, *, draining: bool) -> None:
        self.asked.append((what, by))
        self.is_draining = draining


@dataclass(frozen=True)
class Served:
    """A room behind an open control socket."""

    room: Room
    server: ControlServer
    socket: ControlSocket
    client: Client

    @property
    def path(self) -> Path:
        return self.socket.path


@contextmanager
def built() -> Iterator[Room]:
    """A room whose journal runs; its directory has a short path, for sockets."""
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="daruma-")))
        clock, tally = SystemClock(), Tally(BUCKETS)
        publisher = Publisher(clock)
        journal = Journal.open(
            directory / "state",
            clock=clock,
            node="local",
            publish=publisher.publish,
            tally=tally,
            ageing=Seconds(600.0),
            program=Program("0.1.0"),
            on_fatal=_fail,
        )
        publisher.start()
        stack.callback(publisher.close, WITHIN)
        journal.start()
        stack.callback(journal.close, WITHIN)
        yield Room(directory, clock, journal, publisher, tally)


@contextmanager
def serving(room: Room) -> Iterator[Served]:
    """The room's control socket, open."""
    with ExitStack() as stack:
        socket = open_control_socket(room.directory / "control.sock")
        stack.callback(socket.close)
        server = ControlServer(room.daemon())
        server.start()
        stack.callback(server.stop, WITHIN)
        door = server.open("control-socket", socket.listening)
        stack.callback(door.close, WITHIN)
        stack.callback(server.hush)
        server.let_in()
        yield Served(room, server, socket, stack.enter_context(Client(socket.path)))


def _fail(error: Exception) -> None:
    raise AssertionError("the journal failed") from error


CLEAR = {
    "description": "Write a report of all the specific files because the goal must be met using only the tools",
    "success_criteria": "the report exists",
    "agent": "echo",
}
"""An item that nothing is wrong with."""
