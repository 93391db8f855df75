"""The simulator itself: one listener a provider instance, one director, one log, an admin door; all on one loop."""

import asyncio
import json
import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from http import HTTPStatus
from secrets import token_hex
from typing import Any

from darumad.sim.admin import administer
from darumad.sim.ending import ended
from darumad.sim.faults import VENDOR_FAULTS, Plan, plan
from darumad.sim.granting import Account
from darumad.sim.hangups import Hangups
from darumad.sim.log import SECRET_HEADERS, Log
from darumad.sim.prefix import Kept
from darumad.sim.scenario import LOOK_UP, Asked, Choice, Director, Fault, Reply, Scenario
from darumad.sim.spoiled import spoil
from darumad.sim.vendor import VENDORS, Vendor, vendor_of
from darumad.sim.wire import (
    Answer,
    Close,
    Connection,
    Hang,
    Hold,
    Request,
    Reset,
    Send,
    Stale,
    Step,
    Wait,
    json_answer,
    read_json,
)

_MARKER = re.compile(r"\[\[sim:([\w.-]+)\]\]")
_MISSHAPEN = (ArithmeticError, AttributeError, LookupError, TypeError, ValueError)
"""What reading a request raises that is JSON, and not what its vendor's API takes."""
_LEAST_PAUSE = 0.001
"""Seconds between two beats of who hangs, whatever a scenario says."""
ADMIN = "admin"
ACCEPTS = "accept-encoding"
CALL = "x-daruma-call"


@dataclass(frozen=True, slots=True)
class Listener:
    """A provider instance: its name begins with the vendor whose protocol it speaks. `port` 0 takes a free one."""

    name: str
    port: int = 0

    @property
    def kind(self) -> str:
        """A key of `VENDORS`, or `admin`."""
        return vendor_of(self.name)


@dataclass(slots=True)
class _Handled:
    """One request on its way: its connection, its entry in the log, and the bytes that went out."""

    connection: Connection
    entry: int
    sent: int = 0


@dataclass(slots=True)
class _Place:
    """What a listener has open, what it granted, which models it has loaded, and which prompts it keeps."""

    account: Account
    chats: asyncio.Semaphore
    open: int = 0
    waiting: int = 0
    loaded: set[str] = field(default_factory=set)
    kept: Kept = field(default_factory=Kept)


@dataclass(slots=True)
class Simulator:
    """Start it on a running loop and ask everything else on that loop. The log is safe anywhere.

    `models` are what every listener has, in place of its vendor's own.
    """

    scenario: Scenario = field(default_factory=Scenario)
    models: Sequence[str] = ()
    log: Log = field(default_factory=Log)
    _director: Director = field(init=False)
    _began: float = 0.0
    _servers: list[asyncio.Server] = field(default_factory=list)
    _listeners: list[str] = field(default_factory=list)
    _connections: set[Connection] = field(default_factory=set)
    _hangups: Hangups = field(default_factory=Hangups)
    _gates: defaultdict[str, asyncio.Event] = field(default_factory=lambda: defaultdict(asyncio.Event))
    _places: dict[str, _Place] = field(default_factory=dict)
    _numbers: int = 0

    def __post_init__(self) -> None:
        self._director = Director(self.scenario)

    # --- life -------------------------------------------------------------------------------------------------------

    async def listen(self, listener: Listener) -> int:
        """Open a listener on loopback; its port.

        Raises:
            ValueError: its name begins with no vendor that is known.
        """
        if listener.kind not in {*VENDORS, ADMIN}:
            raise ValueError(f"{listener.name}: a listener's name begins with one of {', '.join(VENDORS)}")
        self._began = self._began or _now()
        server = await asyncio.get_running_loop().create_server(
            lambda: self._connected(listener), "127.0.0.1", listener.port, backlog=4096
        )
        self._servers.append(server)
        self._listeners += [listener.name] * (listener.kind != ADMIN)
        return int(server.sockets[0].getsockname()[1])

    async def close(self) -> None:
        """Close every listener and every connection."""
        for server in self._servers:
            server.close()
        for connection in list(self._connections):
            connection.reset()
        for server in self._servers:
            await server.wait_closed()

    @property
    def listeners(self) -> Sequence[str]:
        """The names of those that are open, but for the admin's."""
        return self._listeners

    def load(self, scenario: Scenario) -> None:
        """Play a scenario from its beginning, with an empty log, every gate shut and nothing granted yet."""
        self.scenario = scenario
        self._director = Director(scenario)
        self._began = _now()
        self._gates.clear()
        self._places.clear()
        self.log.forget()

    def _played(self) -> float:
        """Seconds of the scenario since it began."""
        return (_now() - self._began) / self.scenario.pace

    def release(self, gate: str) -> None:
        """Let through who waits at a gate, and whoever comes later."""
        self._gates[gate].set()

    def _connected(self, listener: Listener) -> Connection:
        self._numbers += 1
        connection = Connection(
            self._numbers, lambda conn, request: self._serve(listener, conn, request), self._hangups
        )
        self._connections.add(connection)
        connection.on_lost(lambda: self._connections.discard(connection))
        return connection

    def _place(self, listener: str) -> _Place:
        if listener not in self._places:
            scenario = self.scenario
            chats = asyncio.Semaphore(scenario.server(listener).parallel)
            self._places[listener] = _Place(Account(scenario.quota(listener)), chats)
        return self._places[listener]

    # --- one request ------------------------------------------------------------------------------------------------

    async def _serve(self, listener: Listener, connection: Connection, request: Request) -> None:
        if request.path.startswith("/_sim/"):
            connection.send(administer(self, request).flat())
            return
        self._hangups.look()
        place, handled = self._place(listener.name), _Handled(connection, self._arrived(listener, connection, request))
        connection.on_lost(lambda: self._lost(handled))
        place.open += 1
        try:
            await self._answer(listener, request, place, handled)
        finally:
            place.open -= 1
        self.log.note(handled.entry, t_end=_now(), bytes_out=handled.sent)
        connection.on_lost(lambda: self._connections.discard(connection))

    def _arrived(self, listener: Listener, connection: Connection, request: Request) -> int:
        return self.log.open(
            listener=listener.name,
            connection=connection.number,
            method=request.method,
            path=request.path,
            headers={name: value for name, value in request.headers.items() if name not in SECRET_HEADERS},
            body_sha256=sha256(request.body).hexdigest(),
            body=_json(request.body),
            bytes_in=request.size,
            call=request.headers.get(CALL, ""),
            t_arrive=_now(),
        )

    def _lost(self, handled: _Handled) -> None:
        self._connections.discard(handled.connection)
        self.log.note(handled.entry, client_disconnected_at=_now(), bytes_out=handled.sent)

    async def _answer(self, listener: Listener, request: Request, place: _Place, handled: _Handled) -> None:
        vendor = VENDORS.get(listener.kind)
        if vendor is None:
            await self._refuse(handled, json_answer(404, {}))
            return
        read = self._read(listener, vendor, request, place)
        if isinstance(read, Asked):
            await self._ask(vendor, read, request, place, handled)
        elif read.status != HTTPStatus.OK:
            await self._refuse(handled, read)
        else:
            asked = self._looked_up(listener, request, place)
            await self._carry_out(handled, self._found(vendor, asked, request, read, handled.entry))

    def _read(self, listener: Listener, vendor: Vendor, request: Request, place: _Place) -> Asked | Answer:
        """What a model is asked; or the answer where none is: what is looked up, or why nothing is answered."""
        if not self.scenario.server(listener.name).takes(_api_key(request)):
            return vendor.error(HTTPStatus.UNAUTHORIZED, vendor.NOT_TAKEN)
        try:
            unasked = vendor.without_model(request, self.models or vendor.MODELS)
            return self._asked(listener, vendor, request, place) if unasked is None else unasked
        except _MISSHAPEN:
            return vendor.error(HTTPStatus.BAD_REQUEST, "The request has the wrong shape")

    async def _refuse(self, handled: _Handled, answer: Answer) -> None:
        """What is wrong by the vendor's own rules is for none of the scenario's."""
        self.log.note(handled.entry, status=answer.status)
        await self._carry_out(handled, plan(answer, None))

    async def _ask(self, vendor: Vendor, asked: Asked, request: Request, place: _Place, handled: _Handled) -> None:
        refused = self._refused(vendor, asked, place)
        if refused is not None:
            self.log.note(handled.entry, key=asked.key, rule="quota", status=refused.status)
            await self._carry_out(handled, plan(refused, None))
            return
        async with place.chats:
            await self._load(asked, place)
            await self._carry_out(handled, self._steps(vendor, asked, request, place, handled.entry))

    def _looked_up(self, listener: Listener, request: Request, place: _Place) -> Asked:
        """Who looks something up: of no model, and with no text."""
        asked = Asked(
            listener=listener.name, endpoint=LOOK_UP, key=_key(listener, request, {}), model="", prompt="", last_role=""
        )
        return self._met(asked, request, place)

    def _asked(self, listener: Listener, vendor: Vendor, request: Request, place: _Place) -> Asked:
        body = _json(request.body)
        asked = vendor.asked(listener.name, _key(listener, request, body), request.path, body)
        return self._met(asked, request, place)

    def _met(self, asked: Asked, request: Request, place: _Place) -> Asked:
        """With how and when it was asked."""
        return replace(asked, method=request.method, headers=request.headers, at=self._played(), open=place.open)

    def _found(self, vendor: Vendor, asked: Asked, request: Request, answer: Answer, entry: int) -> Plan:
        """What is looked up, as the scenario lets it be found."""
        choice = self._director.choose(asked)
        rule, fault = choice.rule, choice.rule.fault
        if fault is not None and fault.name in VENDOR_FAULTS:
            answer = _failed(vendor, fault, asked, request)
        self.log.note(
            entry, key=asked.key, rule=rule.id, n=choice.n, status=answer.status, fault=fault.name if fault else None
        )
        return _held(choice, plan(replace(answer, path=request.path), fault, per_frame=rule.per_frame))

    def _refused(self, vendor: Vendor, asked: Asked, place: _Place) -> Answer | None:
        """What the listener has no room for: its minute's quota, its queue."""
        now = self._played()
        if asked.metered and not place.account.grants(now, vendor.tokens_of(asked)):
            wait = f"{place.account.resets_in(now) * self.scenario.pace:.3f}"
            refused = vendor.failure(Fault(name="http_status", code=429, retry_after=wait), asked, "")
            return self._told(vendor, refused, place)
        server = self.scenario.server(asked.listener)
        if place.open > server.parallel + server.queue:
            return vendor.failure(Fault(name="http_status", code=503, text=vendor.BUSY), asked, "")
        return None

    async def _load(self, asked: Asked, place: _Place) -> None:
        """The first answer of a model takes as long as loading it."""
        if asked.model not in place.loaded:
            place.loaded.add(asked.model)
            await self._sleep(self.scenario.server(asked.listener).load)

    def _steps(self, vendor: Vendor, asked: Asked, request: Request, place: _Place, entry: int) -> Plan:
        choice = self._director.choose(asked)
        rule, fault = choice.rule, choice.rule.fault
        if fault is not None and fault.name in VENDOR_FAULTS:
            answer = _failed(vendor, fault, asked, request)
            reply, said = Reply(), 0
        else:
            reply = ended(_filled(choice, asked), asked, vendor.tokens_said)
            reply = reply if fault is None else spoil(reply, fault, asked)
            cached, kept = place.kept.taken(self._played(), asked.prefixes)
            asked = replace(asked, cached=cached, kept=kept)
            answer, said = self._given(vendor, asked, reply, entry)
        read = vendor.tokens_of(asked) if reply.input_tokens is None else reply.input_tokens
        if asked.metered:
            place.account.note(self._played(), read - asked.cached, said)
        self.log.note(
            entry, key=asked.key, rule=rule.id, n=choice.n, status=answer.status, fault=fault.name if fault else None,
            input_tokens=read * asked.metered, output_tokens=said, said=reply.text * asked.metered,
        )  # fmt: skip
        answer = replace(self._told(vendor, answer, place), path=request.path)
        if fault is None and self.scenario.server(asked.listener).gzip and "gzip" in request.headers.get(ACCEPTS, ""):
            answer = answer.gzipped()
        return _held(choice, plan(answer, fault, per_frame=rule.per_frame))

    def _given(self, vendor: Vendor, asked: Asked, reply: Reply, entry: int) -> tuple[Answer, int]:
        """The reply as it goes out, and its tokens. A prompt that does not fit the window is cut, or refused."""
        server = self.scenario.server(asked.listener)
        window = min((each for each in (asked.num_ctx, server.num_ctx) if each is not None), default=None)
        if asked.metered and window is not None and vendor.tokens_of(asked) > window:
            if server.overflow == "error":
                return vendor.failure(Fault(name="context_overflow"), asked, ""), 0
            reply = replace(reply, input_tokens=window // 2 + 2)
        answer = vendor.answer(replace(asked, model=reply.model or asked.model), reply, entry)
        return answer, vendor.tokens_said(asked, reply)

    def _told(self, vendor: Vendor, answer: Answer, place: _Place) -> Answer:
        """The answer with what is left of the quota in its headers."""
        now, account = self._played(), place.account
        resets_in = account.resets_in(now) * self.scenario.pace
        wall = datetime.now(UTC)  # noqa: TID251 - the simulator has nothing of the daemon's
        at = (wall + timedelta(seconds=resets_in)).isoformat().replace("+00:00", "Z")
        told = vendor.quota_headers(account.quota, account.left(now), at, resets_in)
        return replace(answer, headers={**told, **(answer.headers or {})}) if told else answer

    async def _carry_out(self, handled: _Handled, steps: Plan) -> None:
        for step in steps:
            await self._step(handled, step)
            if isinstance(step, Close | Reset):
                return

    async def _step(self, handled: _Handled, step: Step) -> None:
        match step:
            case Send(data):
                self._send(handled, data)
            case Wait(seconds):
                await self._sleep(seconds)
            case Hold(gate):
                await self._gates[gate].wait()
            case Hang(beat, interval):
                await self._hang(handled, beat, interval)
            case Stale():
                handled.connection.stale = True
            case Close():
                handled.connection.close()
            case Reset():
                handled.connection.reset()

    async def _hang(self, handled: _Handled, beat: bytes, interval: float) -> None:
        """Until the caller goes. Who sends without a pause would hear nobody else, and fill the memory."""
        while beat:
            await asyncio.sleep(max(interval * self.scenario.time_scale, _LEAST_PAUSE))
            self._send(handled, beat)
        await asyncio.Event().wait()

    async def _sleep(self, seconds: float) -> None:
        if seconds > 0:
            await asyncio.sleep(seconds * self.scenario.time_scale)

    def _send(self, handled: _Handled, data: bytes) -> None:
        if data and not handled.sent:
            self.log.note(handled.entry, t_first_byte=_now())
        handled.sent += len(data)
        handled.connection.send(data)


def _now() -> float:
    return asyncio.get_running_loop().time()


def _json(body: bytes) -> Any:
    try:
        return read_json(body)
    except ValueError:
        return None


def _key(listener: Listener, request: Request, body: Mapping[str, Any]) -> str:
    """Who asks, as far as the request tells: a header, a marker, its key, the model's alias, its listener."""
    said = json.dumps([body.get("messages"), body.get("system"), body.get("input")])
    marker = _MARKER.search(said) if "[[sim:" in said else None
    return (
        request.headers.get("x-sim-key")
        or (marker.group(1) if marker else "")
        or _api_key(request).partition("@")[2]
        or str(body.get("model", "")).partition("@")[2]
        or listener.name
    )


def _api_key(request: Request) -> str:
    return request.headers.get("x-api-key") or request.headers.get("authorization", "").removeprefix("Bearer ")


def _filled(choice: Choice, asked: Asked) -> Reply:
    reply = choice.reply or Reply(text="" if asked.schema else "ack {key}#{n}")
    text = reply.text.replace("{key}", asked.key).replace("{n}", str(choice.n)).replace("{random}", token_hex(8))
    text = text.replace("{prompt}", asked.prompt)
    if choice.rule.id == "otherwise" and asked.schema:
        text = ""
    if reply.words is not None and not text:
        text = "word " * max(1, round(reply.words.at(choice.draw)))
    return replace(reply, text=text)


def _failed(vendor: Vendor, fault: Fault, asked: Asked, request: Request) -> Answer:
    return _bodied(vendor.failure(fault, asked, request.headers.get("authorization", "")), fault)


def _bodied(answer: Answer, fault: Fault) -> Answer:
    match fault.body:
        case "html":
            page = f"<html>{fault.text or 'bad gateway'}</html>".encode()
            return replace(answer, frames=(page,), content_type="text/html")
        case "empty":
            return replace(answer, frames=(b"",))
        case "list":
            return replace(answer, frames=(b'["no", "object"]',))
        case "raw":
            return replace(answer, frames=(fault.text.encode(),))
        case _:
            return answer


def _held(choice: Choice, steps: Plan) -> Plan:
    if choice.latency:
        yield Wait(choice.latency)
    if choice.rule.gate is not None:
        yield Hold(choice.rule.gate)
    yield from steps
