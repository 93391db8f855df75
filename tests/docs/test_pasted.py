"""What the README, the tutorial and the how-tos tell a reader to type works when it is pasted."""

import shutil
import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from darumad.sim.thread import Simulation
from tests.docs.pasted import blocks, paste, reader
from tests.examples.outputs import ROOT

HOW_TOS = (
    "watch-with-prometheus.md",
    "follow-the-logs.md",
    "limit-calls-and-spending.md",
    "recover-dead-letters.md",
    "plan-a-goal.md",
)

needs_curl = pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not here, and pages tell to type it")


@pytest.fixture
def place() -> Iterator[Path]:
    """Where a reader's checkout is; short enough for a socket."""
    with tempfile.TemporaryDirectory(prefix="daruma-") as made:
        yield Path(made)


def test_the_first_hour_goes_as_its_page_says(place: Path) -> None:
    told = blocks(ROOT / "docs/tutorial/a-first-hour.md")
    shown = paste(place, reader(place), [block for block, _ in told])
    for (block, promised), seen in zip(told, shown, strict=True):
        for line in promised:
            assert line in seen, f"{block}\nshowed\n{seen}"


@needs_curl
def test_the_how_tos_for_a_running_daemon_go_as_their_pages_say(place: Path) -> None:
    """One daemon for all of them, with one item that is dead and a port for Prometheus of this test's own."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = str(probe.getsockname()[1])
    environ = {**reader(place), "DARUMA_METRICS__LISTEN": f"127.0.0.1:{port}"}
    began = """PATH=$PWD/.venv/bin:$PATH
daruma serve --config examples/daruma.yaml 2>daemon.log &
daruma health --within 20s
daruma submit --id fallen --agent clumsy --max-attempts 1 --wait "Climb the ladder" || test $? = 1"""
    told = [block for page in HOW_TOS for block, _ in blocks(ROOT / "docs/how-to" / page)]
    shown = "".join(paste(place, environ, [began, *(block.replace("9464", port) for block in told)]))
    for line in (
        "daruma_agent_up{",
        '"live": true',
        "work.dead",
        "fallen  released",
        "fallen  cancelled",
        "say when breakfast is",
    ):
        assert line in shown, f"{line}\nis not in\n{shown}"


@needs_curl
def test_an_outage_is_rehearsed_as_its_page_says(place: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as first, socket.create_server(("127.0.0.1", 0)) as second:
        ports = {"8900": str(first.getsockname()[1]), "8901": str(second.getsockname()[1])}
    told = [block for block, _ in blocks(ROOT / "docs/how-to/rehearse-an-outage.md")]
    for said, free in ports.items():
        told = [block.replace(f":{said}", f":{free}") for block in told]
    shown = "".join(paste(place, reader(place), ["PATH=$PWD/.venv/bin:$PATH", *told]))
    for line in ("ack ollama-a#", "succeeded", '"http_status": 4', '"rules": 0'):
        assert line in shown, f"{line}\nis not in\n{shown}"


def test_the_readme_goes_on_with_ollama(place: Path) -> None:
    """Ollama's own program is not here: what `ollama pull` would have fetched, the simulator has."""
    with Simulation("ollama", models=("qwen3",)) as models:
        there = {"DARUMA_PROVIDERS__OLLAMA__BASE_URL": models.url("ollama")}
        (block, _) = blocks(ROOT / "README.md", "With [Ollama]")[0]
        assert len(block.splitlines()) == 5
        (shown,) = paste(place, {**reader(place, {"ollama": "exit 0"}), **there}, [block])
        assert "provider         ollama qwen3" in shown
        assert "ack ollama#" in shown
        assert models.attempts()


def test_the_readme_goes_on_with_anthropic(place: Path) -> None:
    with Simulation("anthropic") as models:
        there = {"DARUMA_PROVIDERS__ANTHROPIC__BASE_URL": models.url("anthropic")}
        (block, _) = blocks(ROOT / "README.md", "With [Anthropic]")[0]
        assert len(block.splitlines()) == 5
        (shown,) = paste(place, {**reader(place), **there}, [block])
        assert "provider         anthropic" in shown
        assert "reference.md" in shown


def _settings_of_a_user(place: Path) -> dict[str, str]:
    """Where a user's are looked for, also where root runs the tests, whose are elsewhere."""
    return {"DARUMA_CONFIG": str(place / ".config/daruma/daruma.yaml")}


def test_ollama_is_used_as_its_page_says(place: Path) -> None:
    with Simulation("ollama", models=("qwen3:8b",)) as models:
        there = {"DARUMA_PROVIDERS__OLLAMA__BASE_URL": models.url("ollama")}
        environ = {**reader(place, {"ollama": "exit 0"}), **there, **_settings_of_a_user(place)}
        told = [block for block, _ in blocks(ROOT / "docs/how-to/use-ollama.md")]
        shown = "".join(paste(place, environ, ["PATH=$PWD/.venv/bin:$PATH", *told]))
    assert "provider         ollama qwen3:8b: the settings name ollama" in shown


def test_anthropic_is_used_as_its_page_says(place: Path) -> None:
    """The key is what the reader pastes by hand."""
    with Simulation("anthropic") as models:
        there = {"DARUMA_PROVIDERS__ANTHROPIC__BASE_URL": models.url("anthropic")}
        environ = {**reader(place), **there, **_settings_of_a_user(place)}
        told = [block for block, _ in blocks(ROOT / "docs/how-to/use-anthropic.md")]
        pasted = [block.replace("/dev/stdin", "/dev/stdin <<< sk-ant-of-the-reader") for block in told]
        shown = "".join(paste(place, environ, ["PATH=$PWD/.venv/bin:$PATH", *pasted]))
    assert f"its key is from file: {place}/.config/daruma/anthropic-api-key" in shown


def test_a_conversation_is_held_as_its_page_says(place: Path) -> None:
    with Simulation("ollama", models=("qwen3",)) as models:
        environ = {**reader(place), "DARUMA_PROVIDERS__OLLAMA__BASE_URL": models.url("ollama")}
        began = """PATH=$PWD/.venv/bin:$PATH
export DARUMA_PROVIDER__USE=ollama
daruma serve 2>daemon.log &
daruma health --within 20s"""
        told = [block for block, _ in blocks(ROOT / "docs/how-to/hold-a-conversation.md")]
        _, *shown = paste(place, environ, [began, *told])
    assert [block.count("ack ollama#") for block in shown] == [2, 1]
