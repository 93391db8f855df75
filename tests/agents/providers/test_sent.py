"""What a call sends is what the settings say: read off the wire of the vendors' own clients, with all they look for."""

import http.server
import re
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from itertools import chain
from pathlib import Path

import anthropic
import ollama
import openai
import pytest

from darumad.agents.providers import Credential
from darumad.work.model import ModelFailed
from tests.agents.providers.desk import KEY, OWNER, Desk, ask
from tests.serving import serving

LEAK = "leaked-0f7b"
VARIABLE = re.compile(r"""["']((?:OPENAI|ANTHROPIC|OLLAMA)_[A-Z_]+)["']""")
AUTHORIZATION = re.compile(r"(?im)^authorization: (.*)$")


@contextmanager
def listening() -> Iterator[tuple[str, list[str]]]:
    """A server that refuses everything; its address, and each request as it came."""
    came: list[str] = []

    class Hears(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length", 0)))
            came.append(f"{self.requestline}\n{self.headers}{body.decode()}")
            self.send_response(404)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Nothing."""

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Hears) as server, serving(server) as url:
        yield url, came


@cache
def variables() -> frozenset[str]:
    """Every variable of a vendor's that its installed client names anywhere."""
    sources = chain.from_iterable(Path(str(each.__file__)).parent.rglob("*.py") for each in (anthropic, ollama, openai))
    return frozenset(chain.from_iterable(VARIABLE.findall(source.read_text()) for source in sources))


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize(
    ("vendor", "key"),
    [("anthropic", KEY), ("ollama", KEY), ("ollama", None), ("openai", KEY), ("openai", None)],
)
async def test_no_variable_that_a_vendor_s_client_looks_for_reaches_a_call_and_no_key_is_sent_where_there_is_none(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, vendor: str, key: str | None, stream: bool
) -> None:
    assert variables() >= {"ANTHROPIC_CUSTOM_HEADERS", "OLLAMA_API_KEY", "OPENAI_CUSTOM_HEADERS", "OPENAI_ORG_ID"}
    for name in variables():
        monkeypatch.setenv(name, f"authorization: Bearer {LEAK}\nx-{LEAK}: {LEAK}" if "HEADERS" in name else LEAK)
    desk.use, desk.keys = vendor, {vendor: Credential(key)} if key else {}
    with listening() as (url, came):
        desk.change(base_url=url, stream=stream, embedding_model="e")
        with pytest.raises(ModelFailed):
            await desk.complete()(ask())
        with pytest.raises(ModelFailed):
            await desk.broker.embed_for(OWNER, vendor)(["some words"])
    assert len(came) == (1 if vendor == "anthropic" else 2), "Anthropic makes no vectors"
    for request in came:
        assert LEAK not in request
        assert AUTHORIZATION.findall(request) == ([f"Bearer {key}"] if key else [])
