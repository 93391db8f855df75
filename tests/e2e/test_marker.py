"""A key planted wherever a key may turn up, and looked for in all that the daemon keeps, logs and answers.

Twelve places: URL, echoed header, JSON key, JSON value, HTML body, base64, split over two pieces of a stream, a chained
exception, the fault handler's dump, the environment of child processes, the audit log, a metric's label. What a server
can plant is planted by the servers of all three vendors.
"""

import base64
import json
import signal
from collections.abc import Callable, Iterator, Mapping
from hashlib import sha256
from io import BytesIO
from itertools import product

import pytest

from darumad.control.client import Client, Json
from darumad.control.routes import ROUTES
from darumad.errors import DarumaError
from darumad.sim import Fault, Reply, Rule, Simulation, ToolUse, When
from tests.e2e.conftest import own
from tests.kit.daemon import PATIENCE, Daemon
from tests.kit.house import eventually

MARKER = "sk-ant-m4rk3r-0f-7h1s-t3st"
MODELS = {"anthropic": "claude-haiku-4-5", "ollama": "llama3.2", "openai": "gpt-sim"}
CODED = base64.b64encode(f"user:{MARKER}".encode()).decode()


def said(text: str) -> Fault:
    return Fault(name="http_status", code=400, text=text)


def raw(code: int, text: str, content_type: str = "application/json") -> Fault:
    return Fault(name="http_status", code=code, body="raw", text=text, headers={"content-type": content_type})


STREAMED = {"anthropic": "text/event-stream", "ollama": "application/x-ndjson", "openai": "text/event-stream"}
WIRE: dict[str, Callable[[str], Fault | Reply]] = {
    "url": lambda _: Fault(
        name="http_status",
        code=302,
        headers={"location": f"http://{MARKER}:{MARKER}@127.0.0.1:9/{MARKER}?key={MARKER}"},
    ),
    "header": lambda _: Fault(
        name="http_status", code=500, headers={"x-echo": MARKER, "request-id": MARKER, "x-request-id": MARKER}
    ),
    "retry-after": lambda _: Fault(name="http_status", code=503, headers={"retry-after": MARKER}),
    "json-key": lambda _: raw(500, json.dumps({MARKER: 1, "error": {MARKER: MARKER}})),
    "json-value": lambda _: said(f"bad key {MARKER}"),
    "echoed": lambda _: Fault(name="http_status", code=403, body="echo"),
    "error-code": lambda _: Fault(name="http_status", code=404, text=MARKER, error_code=MARKER),
    "html": lambda _: Fault(name="http_status", code=502, body="html", text=f"<b>{MARKER}</b>"),
    "base64": lambda _: said(f"Basic {CODED}"),
    "said": lambda _: Reply(text=f"the key is {MARKER}, or {CODED}; so much for that"),
    "tool": lambda _: Reply(tool_calls=(ToolUse(name=MARKER, args={MARKER: MARKER}),)),
    "error-type": lambda _: Fault(name="err_event", type=MARKER),
    "chained": lambda vendor: raw(200, f'data: {{"{MARKER}": "{MARKER}"', STREAMED[vendor]),
    "label": lambda _: Reply(text="fine", model=MARKER),
}
"""What a server sends, by what the place is called. Texts are longer than a piece of a stream, so they are split."""
HANGING = [f"{vendor}-hangs" for vendor in MODELS]
"""Calls that are open when the process falls."""
LEAKS = ("chain", "tool", "environment")
"""What an agent of the operator's own lets out."""


@pytest.fixture
def sim() -> Iterator[Simulation]:
    with Simulation(*MODELS) as running:
        yield running


@pytest.fixture
def daemon(house: Callable[..., Daemon], sim: Simulation) -> Daemon:
    """Uses the marker as its key everywhere, and has met it in every place."""
    names = [f"{vendor}-{place}" for vendor in MODELS for place in WIRE]
    sim.play(
        *(_plants(name) for name in names), Rule(id="hangs", when=When(key="*hangs"), fault=Fault(name="hang_body"))
    )
    daemon = house(_settings(sim, names), environ={"OPENAI_API_KEY": MARKER}).start()
    items = [_work(name, name) for name in names] + [_work(each, "leaks", input=each) for each in LEAKS]
    daemon.client.batch(items)
    _told_by_hand(daemon)
    met = {each["id"] for each in items}
    eventually(lambda: met <= _put_off_or_ended(daemon), 2 * PATIENCE)
    assert {each.key for each in sim.attempts() if each.method == "POST"} >= set(names)
    return daemon


def _plants(name: str) -> Rule:
    vendor, _, place = name.partition("-")
    planted = WIRE[place](vendor)
    fault, script = (planted, ()) if isinstance(planted, Fault) else (None, (planted,))
    return Rule(id=name, when=When(key=name), fault=fault, script=script)


def _settings(sim: Simulation, names: list[str]) -> Json:
    def provider(name: str) -> Json:
        vendor = name.partition("-")[0]
        url = sim.url(vendor) + ("/v1" if vendor == "openai" else "")
        return {"kind": vendor, "base_url": url, "model": MODELS[vendor], "key_env": "OPENAI_API_KEY", "concurrency": 1}

    away = f"http://127.0.0.1:9/{MARKER}"
    return {
        "provider": {"use": "offline"},
        "providers": {name: provider(name) for name in (*names, *HANGING)}
        | {"away": {**provider("ollama"), "base_url": away}},
        "agents": {name: {"template": "general", "provider": name, "count": 1} for name in (*names, *HANGING)}
        | {"away": {"template": "general", "provider": "away"}, "leaks": own("leaks")},
        "log": {"level": "debug", "file": "state/daemon.jsonl"},
    }


def _work(name: str, agent: str, **fields: object) -> Json:
    return {
        "id": name, "description": f"[[sim:{name}]] Say what the answer is", "agent": agent, "stages": ["execute"],
        "challenge": False, "max_attempts": 1, **fields,
    }  # fmt: skip


def _told_by_hand(daemon: Daemon) -> None:
    """What an operator does with the key, and so is audited."""
    assert daemon.run("secrets", "set", "another-key", given=f"{MARKER}\n").returncode == 0
    assert daemon.run("secrets", "remove", "another-key").returncode == 0
    daemon.run("providers", "check", "away")


def _put_off_or_ended(daemon: Daemon) -> set[str]:
    """The items that have met what was planted."""
    ends = {"work.scheduled", "work.parked", "work.dead", "work.succeeded"}
    return {each["subject"] for each in daemon.events() if each["type"] in ends}


def forms() -> list[str]:
    """How the marker may be written: as it is, and as base64 wherever it begins within three bytes."""
    coded = [base64.b64encode(b"\0" * before + MARKER.encode()).decode() for before in range(3)]
    return [MARKER, *(each[4:-4] for each in coded)]


def holding(text: str | bytes) -> list[str]:
    data = text.encode() if isinstance(text, str) else text
    return [each for each in forms() if each.encode() in data]


EACH_ITEM: Mapping[str, Json] = {
    "work show": {"attempts": True, "steps": True},
    "result": {},
    "work wait": {"timeout": 0},
}
"""What is asked of every item."""
LOOKS = (
    "status", "health", "samples", "tree", "agents list", "work list", "providers list", "secrets list", "budgets show",
    "version",
)  # fmt: skip
MORE: Json = {"description": "Say one thing more", "agent": "leaks", "input": "tool", "challenge": False}
HELD = f"{next(iter(MODELS))}-echoed"
"""An item that is parked, for its key is refused."""
ACTS: Mapping[str, Callable[[Client], object]] = {
    "events": lambda client: list(client.events()),
    "metrics": lambda client: client.text("metrics"),
    "agents show": lambda client: client.call("agents show", name="leaks"),
    "estimate": lambda client: client.call("estimate", MORE),
    "submit": lambda client: client.submit({"id": "more", **MORE}),
    "batch": lambda client: client.batch([{"id": each, **MORE} for each in ("and-more", "and-more-again")]),
    "upload": lambda client: client.upload(sha256(b"so").hexdigest(), BytesIO(b"so"), 2),
    "artifacts get": lambda client: client.text("artifacts get", id="environment", name="said.txt"),
    "work retry": lambda client: client.call("work retry", {}, id=HELD),
    "work answer": lambda client: client.call("work answer", {"answers": ["so"]}, id="tool"),
    "work edit": lambda client: client.call("work edit", {"priority": 6}, id="chain"),
    "work cancel": lambda client: client.call("work cancel", {}, id=HELD),
    "work purge": lambda client: client.call("work purge", {}, id=HELD),
    "retry many": lambda client: client.call("retry many", {"agent": "leaks"}),
    "cancel many": lambda client: client.call("cancel many", {"agent": HELD}),
    "agents restart": lambda client: client.call("agents restart", name="leaks"),
    "budgets set": lambda client: client.call("budgets set", {"daily": "50 USD"}, scope="all"),
    "budgets reset": lambda client: client.call("budgets reset", {}, scope="all"),
    "secrets set": lambda client: client.call("secrets set", {"value": MARKER}, name="one-more"),
    "secrets rotate": lambda client: client.call("secrets rotate"),
    "secrets remove": lambda client: client.call("secrets remove", {}, name="one-more"),
    "providers check": lambda client: [
        client.call("providers check", {}, name=each["name"])
        for each in client.call("providers list")["items"]
        if each["used"]  # the others are the vendors' own
    ],
    "drain": lambda client: client.call("drain"),
    "pause": lambda client: client.call("pause"),
    "panic": lambda client: client.call("panic"),
    "resume": lambda client: client.call("resume"),
}
"""Every other operation, done or refused."""
LAST = "stop"


def replies(daemon: Daemon) -> Iterator[tuple[str, str]]:
    """All that can be asked of it, and what it answers."""
    names = [str(each["id"]) for each in daemon.listed()]
    for name, (call, params) in product(names, EACH_ITEM.items()):
        yield call, _answered(daemon, call, id=name, **params)
    for call in LOOKS:
        yield call, _answered(daemon, call)
    for call, act in ACTS.items():
        yield call, _answer(act, daemon)
    for command in (["doctor"], ["tree"], ["status", "--json"], ["config", "show"], ["agents", "show", "leaks"]):
        done = daemon.run(*command)
        yield " ".join(command), done.stdout + done.stderr


def _answer(ask: Callable[[Client], object], daemon: Daemon) -> str:
    try:
        return json.dumps(ask(daemon.client))
    except DarumaError as error:
        return f"{error} {error.code} {error.problems}"


def _answered(daemon: Daemon, call: str, **params: object) -> str:
    return _answer(lambda client: client.call(call, **params), daemon)


def _result(daemon: Daemon, name: str) -> str:
    return _answered(daemon, "result", id=name)


def kept(daemon: Daemon) -> Iterator[tuple[str, bytes]]:
    """Every file that it has written."""
    paths = [path for path in (daemon.log, *daemon.state.rglob("*")) if path.is_file()]
    assert any(path.name.startswith("journal") for path in paths)
    for path in paths:
        yield str(path), path.read_bytes()


def test_a_key_that_turns_up_in_twelve_places_is_kept_logged_and_answered_in_none(
    daemon: Daemon, sim: Simulation
) -> None:
    assert "PATH=" in _result(daemon, "environment")
    assert [daemon.item(each)["error"]["message"].count("[redacted]") for each in ("chain", "tool")] == [1, 1]
    for vendor in MODELS:
        assert "the key is [redacted], or " in _result(daemon, f"{vendor}-said")

    told = list(replies(daemon))
    assert {call for call, _ in told} >= ROUTES.keys() - {LAST}
    assert [(where, each) for where, text in told for each in holding(text)] == []

    daemon.client.batch([_work(name, name) for name in HANGING])
    sim.wait(lambda attempts: {each.key for each in attempts} >= set(HANGING), PATIENCE)
    assert holding(_answered(daemon, LAST)) == []
    assert daemon.process is not None
    daemon.process.send_signal(signal.SIGABRT)
    daemon.process.wait(PATIENCE)
    assert "Fatal Python error: Aborted" in daemon.log.read_text()
    assert [(where, each) for where, data in kept(daemon) for each in holding(data)] == []
    ((audited,),) = daemon.dead_rows("SELECT count(*) FROM audit WHERE action LIKE '%secret%'")
    assert audited == (5,)


@pytest.mark.parametrize("text", [f"x{MARKER}y", CODED, base64.b64encode(f"{MARKER}:x".encode()).decode()])
def test_what_is_looked_for_would_be_found(text: str) -> None:
    assert holding(text)
