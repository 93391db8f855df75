"""Whether a provider can be used, as asked of simulated ones, of servers that are none, and of nobody; and by calls."""

import http.server
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import pytest

from darumad.agents.providers import Credential, ProviderConfig, ProviderSpec, Validations
from darumad.agents.providers.breaker import IN_A_ROW, LONGEST_OPEN
from darumad.agents.providers.client import load
from darumad.agents.providers.standing import Standing
from darumad.agents.providers.validation import validated
from darumad.sim import Fault, Rule, Simulation, When
from darumad.values import changed
from tests.agents.providers.desk import KEY, MODELS, Desk, Draws, ask
from tests.kit import FakeClock
from tests.serving import serving

VENDORS = {"anthropic": "", "ollama": "", "openai": "/v1"}
"""The kinds, and where their base address ends."""


@pytest.fixture(scope="module")
def vendors() -> Iterator[Simulation]:
    with Simulation(*VENDORS, models=("model-a",)) as running:
        yield running


def spec(kind: str, url: str, model: str | None = "model-a") -> ProviderSpec:
    return ProviderSpec(kind=kind, base_url=url, model=model)  # type: ignore[arg-type]  # a kind, by its name


@contextmanager
def answering(status: int, body: bytes) -> Iterator[str]:
    """A server that answers everything so; its address."""

    class Answers(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Nothing."""

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answers) as server, serving(server) as url:
        yield url


@pytest.mark.parametrize(("kind", "path"), VENDORS.items())
async def test_a_provider_that_has_the_model_is_connected(vendors: Simulation, kind: str, path: str) -> None:
    found = await validated(spec(kind, vendors.url(kind) + path), Credential(KEY))
    assert (found.state, found.reason) == ("connected", "it has model-a")


@pytest.mark.parametrize(("kind", "path"), VENDORS.items())
async def test_a_model_that_is_not_there_is_named(vendors: Simulation, kind: str, path: str) -> None:
    found = await validated(spec(kind, vendors.url(kind) + path, "model-b"), Credential(KEY))
    assert (found.state, found.reason) == ("error", "it takes the key, but has no model called model-b")


@pytest.mark.parametrize(
    ("model", "state", "reason"),
    [
        ("vectors", "connected", "it has model-a and vectors"),
        ("others", "error", "it takes the key, but has no model called others"),
    ],
)
async def test_the_model_that_makes_vectors_is_looked_for_too(model: str, state: str, reason: str) -> None:
    with answering(200, b'{"data": [{"id": "model-a"}, {"id": "vectors"}]}') as url:
        found = await validated(changed(spec("openai", url), embedding_model=model), Credential(KEY))
    assert (found.state, found.reason) == (state, reason)


async def test_an_ollama_without_a_model_in_the_settings_is_connected(vendors: Simulation) -> None:
    found = await validated(spec("ollama", vendors.url("ollama"), None), None)
    assert (found.state, found.reason) == ("connected", "it has 1 model")


async def test_who_needs_a_key_and_has_none_is_not_asked() -> None:
    assert (await validated(spec("anthropic", "http://127.0.0.1:1"), None)).reason == "it has no key"
    assert (await validated(ProviderSpec(kind="openai", model="m"), None)).reason == "it has no key"


@pytest.mark.parametrize(
    ("status", "body", "reason"),
    [
        (401, KEY.encode(), "it refuses the key (401)"),
        (403, b"{}", "it refuses the key (403)"),
        (500, KEY.encode(), "it answers 500"),
        (302, b"", "it answers 302"),
        (200, b"<html>", "is no anthropic server"),
        (200, b"[]", "is no anthropic server"),
        (200, b'{"data": 1}', "is no anthropic server"),
        (200, b"null", "is no anthropic server"),
        (200, b"[" * 100_000, "is no anthropic server"),
    ],
)
async def test_what_is_wrong_is_told_in_our_own_words(status: int, body: bytes, reason: str) -> None:
    with answering(status, body) as url:
        found = await validated(spec("anthropic", url), Credential(KEY))
    assert found.state == "error"
    assert reason in found.reason
    assert KEY not in found.reason


async def test_nobody_there_and_nobody_who_answers_are_told_apart() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        found = await validated(spec("ollama", url), None, within=0.05)
        assert (found.reason, found.unreachable) == ("it did not answer within 0.05 s", True)
    found = await validated(spec("ollama", url), None)
    assert (found.reason, found.unreachable) == (f"nothing answers at {url}", True)


@pytest.mark.parametrize(
    ("status", "unreachable"), [(200, False), (302, False), (401, False), (404, False), (429, True), (503, True)]
)
async def test_who_says_to_come_later_could_not_be_reached_and_who_refuses_was(status: int, unreachable: bool) -> None:
    with answering(status, b"{}") as url:
        assert (await validated(spec("anthropic", url), Credential(KEY))).unreachable is unreachable


def told(desk: Desk, name: str) -> Validations:
    """What is known of the desk's providers, each of which has a key."""
    desk.use = name
    desk.keys = dict.fromkeys(MODELS, Credential(KEY))
    config = ProviderConfig(use=name, providers=desk.specs)
    return Validations(config, desk.keys.get, desk.broker, desk.clock, lambda work: work())


async def test_who_shows_its_models_to_everybody_and_refuses_the_key_of_a_call_is_in_error_until_it_is_mended(
    desk: Desk,
) -> None:
    known = told(desk, "openai")
    desk.sim.play(Rule(id="no", when=When(endpoint="chat"), fault=Fault(name="http_status", code=401)))
    assert (await known.check("openai")).state == "connected"
    assert (await desk.failure()).kind == "auth"
    refused = known.of("openai")
    assert refused.state == "error"
    assert refused.reason == (
        "it refused a call to gpt-sim (auth): none is made until another key, `daruma providers check openai`, "
        "`daruma work retry` or a restart"
    )
    assert (await known.check("openai")).state == "connected", "its list says nothing of the key"
    assert known.of("openai") == changed(refused, at=known.of("openai").at), "asking alone makes no call again"
    assert known.of("ollama").state == "pending", "another provider's calls are its own"
    assert desk.broker.mended("openai")
    assert known.of("openai").state == "connected"
    assert (await desk.failure()).kind == "auth"
    assert known.of("openai").reason == refused.reason, "the one call that was let through was refused as well"
    desk.broker.renew("openai")
    assert known.of("openai").state == "connected"


async def test_nobody_is_told_of_another_key_for_a_provider_that_has_none(desk: Desk) -> None:
    known = told(desk, "ollama")
    desk.keys = {}
    known = Validations(
        ProviderConfig(use="ollama", providers=desk.specs), desk.keys.get, desk.broker, desk.clock, print
    )
    desk.sim.play(Rule(id="no", when=When(endpoint="chat"), fault=Fault(name="http_status", code=404)))
    await desk.failure()
    said = known.refusing("ollama") or ""
    assert said.endswith(
        "(model_not_found): none is made until `daruma providers check ollama`, `daruma work retry` or a restart"
    )


async def test_what_asking_found_first_is_told_in_its_words(desk: Desk) -> None:
    known = told(desk, "anthropic")
    desk.sim.play(Rule(id="no", fault=Fault(name="http_status", code=401)))
    assert (await desk.failure()).kind == "auth"
    assert (await known.check("anthropic")).reason == "it refuses the key (401)"


@pytest.mark.parametrize(
    ("kind", "rule", "reason"),
    [
        ("anthropic", Rule(id="no", fault=Fault(name="http_status", code=503)), "it answers 503"),
        ("openai", Rule(id="no", fault=Fault(name="rst", phase="headers")), "nothing answers at "),
        ("ollama", Rule(id="no", fault=Fault(name="malformed_json")), "is no ollama server"),
        ("ollama", Rule(id="no", gate="shut"), "it did not answer within 0.2 s"),
    ],
)
async def test_a_list_of_models_that_goes_wrong_can_be_rehearsed(
    sim: Simulation, kind: str, rule: Rule, reason: str
) -> None:
    sim.play(replace(rule, when=When(endpoint="models")))
    found = await validated(spec(kind, sim.url(kind) + VENDORS[kind]), Credential(KEY), within=0.2 if rule.gate else 10)
    assert found.state == "error"
    assert reason in found.reason


async def test_a_provider_whose_calls_fail_is_in_error_while_its_circuit_is_open(desk: Desk) -> None:
    known = told(desk, "ollama")
    assert (await known.check("ollama")).state == "connected"
    desk.sim.play(Rule(id="down", when=When(endpoint="chat"), fault=Fault(name="http_status", code=500)))
    await desk.failure()
    found = known.of("ollama")
    assert found.state == "error"
    assert found.reason.startswith("calls to llama3.2 fail (server_error): its circuit is open, and the next call ")


def test_calls_that_fail_are_told_with_their_cause_and_with_when_the_next_is_let_through() -> None:
    standing = Standing(clock := FakeClock(1_000.0), Draws(), print)
    known = Validations(ProviderConfig(), lambda _: None, standing, clock, print)
    target = ("ollama", "llama3.2")

    def told_now() -> tuple[str, str]:
        found = known.of("ollama")
        return found.state, found.reason

    for _ in range(IN_A_ROW):
        standing.ended(target, standing.admit(target), "overloaded")
    fail = "calls to llama3.2 fail (overloaded): its circuit is open, and the next call is"
    assert told_now() == ("error", f"{fail} let through in 4 s")
    clock.jump(LONGEST_OPEN)
    assert told_now() == ("pending", "calls to llama3.2 failed (overloaded): the next one shows whether they do")
    probe = standing.admit(target)
    assert told_now() == ("error", f"{fail} under way")
    standing.ended(target, probe, None)
    assert told_now() == ("connected", "it answered a call to llama3.2")


async def test_a_call_that_is_answered_later_proves_asking_wrong_and_asking_again_has_the_last_word(sim) -> None:
    desk = Desk(sim, clock := FakeClock(1_000.0))
    known = told(desk, "anthropic")
    sim.play(Rule(id="no", fault=Fault(name="http_status", code=401)))
    assert (await known.check("anthropic")).state == "error"
    sim.play()
    clock.jump(60)
    await desk.complete()(ask())
    clock.jump(5)
    found = known.of("anthropic")
    assert (found.state, found.at) == ("connected", 1_060_000)
    assert found.reason == f"it answered a call to {MODELS['anthropic']}"
    sim.play(Rule(id="no", fault=Fault(name="http_status", code=401)))
    assert (await known.check("anthropic")).state == "error"
    await desk.broker.close()


async def test_a_client_of_which_a_part_is_missing_says_what_to_install(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As in an environment older than the lock file, or without the extra."""
    for part in ("darumad.agents.providers.ollama", "httpx_aiohttp"):
        monkeypatch.delitem(sys.modules, part, raising=False)
    monkeypatch.setitem(sys.modules, "httpx_aiohttp", None)
    desk.use = "ollama"
    failed = await desk.failure()
    assert failed.kind == "model_not_found"
    assert "httpx_aiohttp is not installed: pip install --upgrade 'darumad'" in str(failed)


async def test_a_provider_whose_client_is_not_installed_is_in_error_and_says_what_to_install(
    vendors: Simulation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "openai", None)
    found = await validated(spec("openai", f"{vendors.url('openai')}/v1"), Credential(KEY))
    assert found.state == "error"
    assert found.reason == "openai cannot be used, for openai is not installed: pip install --upgrade 'darumad[openai]'"


def test_what_a_client_brought_is_never_looked_through_for_garbage_again(monkeypatch: pytest.MonkeyPatch) -> None:
    frozen: list[str] = []
    monkeypatch.setattr("gc.freeze", lambda: frozen.append("once"))
    monkeypatch.delitem(sys.modules, "darumad.agents.providers.ollama")
    load("ollama")
    load("ollama")
    assert frozen == ["once"]
