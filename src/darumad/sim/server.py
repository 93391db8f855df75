"""The simulator itself: one listener a provider instance, one director, one log, an admin door; all on one loop."""

import asyncio
import json
import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from hashlib import sha256
from typing import Any

from darumad.sim import anthropic, ollama
from darumad.sim.faults import Plan, plan
from darumad.sim.log import SECRET_HEADERS, Log
from darumad.sim.scenario import Asked, Choice, Director, Fault, Reply, Scenario, scenario_of
from darumad.sim.wire import Answer, Close, Connection, Hang, Hold, Request, Reset, Send, Step, Wait, json_answer

VENDORS = ("anthropic", "ollama")
_MARKER = re.compile(r"\[\[sim:([\w.-]+)\]\]")
_NEVER = 3_600.0


@dataclass(frozen=True, slots=True)
class Listener:
    """A provider instance: its name begins with the vendor whose protocol it speaks. `port` 0 takes a free one."""

    name: str
    port: int = 0

    @property
    def vendor(self) -> str:
        """`anthropic` or `ollama`."""
        return self.name.partition("-")[0]


@dataclass(slots=True)
class _Handled:
    """One request on its way: its connection, its entry in the log, and the bytes that went out."""

    connection: Connection
    entry: int
    sent: int = 0


@dataclass(slots=True)
class Simulator:
    """Start it on a running loop and ask everything else on that loop. The log is safe anywhere."""

    scenario: Scenario = field(default_factory=Scenario)
    models: Sequence[str] = ("llama3.2",)
    log: Log = field(default_factory=Log)
    _director: Director = field(init=False)
    _servers: list[asyncio.Server] = field(default_factory=list)
    _connections: set[Connection] = field(default_factory=set)
    _gates: defaultdict[str, asyncio.Event] = field(default_factory=lambda: defaultdict(asyncio.Event))
    _numbers: int = 0

    def __post_init__(self) -> None:
        self._director = Director(self.scenario)

    # --- life -------------------------------------------------------------------------------------------------------

    async def listen(self, listener: Listener) -> int:
        """Open a listener on loopback; its port.

        Raises:
            ValueError: its name begins with no vendor that is known.
        """
        if listener.vendor not in (*VENDORS, "admin"):
            raise ValueError(f"{listener.name}: a listener's name begins with one of {', '.join(VENDORS)}")
        server = await asyncio.get_running_loop().create_server(
            lambda: self._connected(listener), "127.0.0.1", listener.port
        )
        self._servers.append(server)
        return int(server.sockets[0].getsockname()[1])

    async def close(self) -> None:
        """Close every listener and every connection."""
        for server in self._servers:
            server.close()
        for connection in list(self._connections):
            connection.reset()
        for server in self._servers:
            await server.wait_closed()

    def load(self, scenario: Scenario) -> None:
        """Play another scenario from its beginning, with an empty log and every gate shut."""
        self._director = Director(scenario)
        self._gates.clear()
        self.log.forget()

    def release(self, gate: str) -> None:
        """Let through who waits at a gate, and whoever comes later."""
        self._gates[gate].set()

    def _connected(self, listener: Listener) -> Connection:
        self._numbers += 1
        connection = Connection(self._numbers, lambda conn, request: self._serve(listener, conn, request))
        self._connections.add(connection)
        connection.on_lost = lambda: self._connections.discard(connection)
        return connection

    # --- one request ------------------------------------------------------------------------------------------------

    async def _serve(self, listener: Listener, connection: Connection, request: Request) -> None:
        if request.path.startswith("/_sim/"):
            connection.send(_flat(self._administer(request)))
            return
        handled = _Handled(connection, self._arrived(listener, connection, request))
        connection.on_lost = lambda: self._lost(handled)
        await self._carry_out(handled, self._steps(listener, request, handled.entry))
        self.log.note(handled.entry, t_end=_now(), bytes_out=handled.sent)
        connection.on_lost = lambda: self._connections.discard(connection)

    def _arrived(self, listener: Listener, connection: Connection, request: Request) -> int:
        return self.log.open(
            listener=listener.name,
            connection=connection.number,
            method=request.method,
            path=request.path,
            headers={name: value for name, value in request.headers.items() if name not in SECRET_HEADERS},
            body_sha256=sha256(request.body).hexdigest(),
            body=_json(request.body),
            t_arrive=_now(),
        )

    def _lost(self, handled: _Handled) -> None:
        self._connections.discard(handled.connection)
        self.log.note(handled.entry, client_disconnected_at=_now(), bytes_out=handled.sent)

    def _steps(self, listener: Listener, request: Request, entry: int) -> Plan:
        refused = self._refusal(listener, request)
        if refused is not None:
            self.log.note(entry, status=refused.status)
            return plan(refused, None)
        body = _json(request.body)
        vendor = anthropic if listener.vendor == "anthropic" else ollama
        asked = vendor.asked(listener.name, _key(listener, request, body), body)
        choice = self._director.choose(asked)
        rule, fault = choice.rule, choice.rule.fault
        answer = vendor.answer(asked, _filled(choice, asked), entry)
        if fault is not None and fault.name == "http_status":
            answer, fault = _status(vendor.status_answer(fault, request.headers.get("authorization", "")), fault), None
        self.log.note(
            entry, key=asked.key, rule=rule.id, n=choice.n, status=answer.status,
            fault=rule.fault.name if rule.fault else None,
        )  # fmt: skip
        ping = anthropic.PING if vendor is anthropic else b"\n"
        return _held(choice, plan(answer, fault, per_frame=rule.per_frame, ping=ping))

    def _refusal(self, listener: Listener, request: Request) -> Answer | None:
        """What is answered without a model: everything but the vendor's one way to ask it."""
        if listener.vendor == "ollama":
            return self._of_ollama(request)
        if (request.method, request.path) != ("POST", "/v1/messages"):
            return anthropic.error(404, "Not found")
        return anthropic.refusal(request)

    def _of_ollama(self, request: Request) -> Answer | None:
        match request.method, request.path:
            case "POST", "/api/chat":
                return ollama.refusal(request, self.models)
            case "GET", "/api/tags":
                return ollama.tags(self.models)
            case "GET", "/api/version":
                return json_answer(200, {"version": "0.0.0-sim"})
            case "GET" | "HEAD", "/":
                return Answer(200, (b"Ollama is running",), "text/plain")
            case _:
                return ollama.error(404, "404 page not found")

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
                await asyncio.sleep(seconds)
            case Hold(gate):
                await self._gates[gate].wait()
            case Hang(beat, interval):
                while True:
                    await asyncio.sleep(interval if beat else _NEVER)
                    self._send(handled, beat)
            case Close():
                handled.connection.close()
            case Reset():
                handled.connection.reset()

    def _send(self, handled: _Handled, data: bytes) -> None:
        if data and not handled.sent:
            self.log.note(handled.entry, t_first_byte=_now())
        handled.sent += len(data)
        handled.connection.send(data)

    # --- the admin door ---------------------------------------------------------------------------------------------

    def _administer(self, request: Request) -> Answer:
        match request.method, request.path.removeprefix("/_sim/").split("/"):
            case "GET", ["log"]:
                since = int(request.query.removeprefix("since=") or 0)
                return json_answer(200, [each.shown() for each in self.log.attempts(since)])
            case "GET", ["stats"]:
                return json_answer(200, self._stats())
            case "PUT", ["scenario"]:
                return self._loaded(request.body)
            case "POST", ["reset"]:
                self.load(self.scenario)
            case "POST", ["gate", name, "release"]:
                self.release(name)
            case _:
                return json_answer(404, {"error": "no such operation"})
        return json_answer(200, {})

    def _loaded(self, body: bytes) -> Answer:
        try:
            self.scenario = scenario_of(json.loads(body))
        except ValueError as error:
            return json_answer(400, {"error": str(error)})
        self.load(self.scenario)
        return json_answer(200, {"rules": len(self.scenario.rules)})

    def _stats(self) -> dict[str, Any]:
        attempts = self.log.attempts()
        open_now = [each for each in attempts if each.t_end is None and each.client_disconnected_at is None]
        return {
            "attempts": len(attempts),
            "open": len(open_now),
            "retried_by_client": sum(each.headers.get("x-stainless-retry-count", "0") != "0" for each in attempts),
        }


def _now() -> float:
    return asyncio.get_running_loop().time()


def _json(body: bytes) -> Any:
    try:
        return json.loads(body)
    except ValueError:
        return None


def _key(listener: Listener, request: Request, body: Mapping[str, Any]) -> str:
    """Who asks, as far as the request tells: a header, a marker in its text, the model's alias, else the listener."""
    marker = _MARKER.search(json.dumps(body.get("messages"))) or _MARKER.search(json.dumps(body.get("system")))
    return (
        request.headers.get("x-sim-key")
        or (marker.group(1) if marker else "")
        or str(body.get("model", "")).partition("@")[2]
        or listener.name
    )


def _filled(choice: Choice, asked: Asked) -> Reply:
    reply = choice.reply or Reply(text="" if asked.schema else "ack {key}#{n}")
    text = reply.text.replace("{key}", asked.key).replace("{n}", str(choice.n)).replace("{prompt}", asked.prompt)
    if choice.rule.id == "otherwise" and asked.schema:
        text = ""
    return replace(reply, text=text)


def _status(answer: Answer, fault: Fault) -> Answer:
    match fault.body:
        case "html":
            return replace(answer, frames=(b"<html>bad gateway</html>",), content_type="text/html")
        case "empty":
            return replace(answer, frames=(b"",))
        case "list":
            return replace(answer, frames=(b'["no", "object"]',))
        case _:
            return answer


def _held(choice: Choice, steps: Plan) -> Plan:
    if choice.rule.latency:
        yield Wait(choice.rule.latency)
    if choice.rule.gate is not None:
        yield Hold(choice.rule.gate)
    yield from steps


def _flat(answer: Answer) -> bytes:
    return b"".join((answer.head(), *answer.pieces(), answer.end()))
