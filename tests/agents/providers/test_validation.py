"""Whether a provider can be used, as asked of simulated ones, of servers that are none, and of nobody."""

import http.server
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from darumad.agents.providers import Credential, ProviderSpec
from darumad.agents.providers.client import load
from darumad.agents.providers.validation import validated
from darumad.sim import Simulation
from tests.agents.providers.desk import KEY, Desk
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


async def test_an_ollama_without_a_model_in_the_settings_is_connected(vendors: Simulation) -> None:
    found = await validated(spec("ollama", vendors.url("ollama"), None), None)
    assert (found.state, found.reason) == ("connected", "it has 1 models")


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
        assert found.reason == "it did not answer within 0.05 s"
    found = await validated(spec("ollama", url), None)
    assert found.reason == f"nothing answers at {url}"


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


def test_what_a_client_brought_is_never_looked_through_for_garbage_again(monkeypatch: pytest.MonkeyPatch) -> None:
    frozen: list[str] = []
    monkeypatch.setattr("gc.freeze", lambda: frozen.append("once"))
    monkeypatch.delitem(sys.modules, "darumad.agents.providers.ollama")
    load("ollama")
    load("ollama")
    assert frozen == ["once"]
