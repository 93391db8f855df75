"""A command costs what it needs: what must not be imported, by name, and what the help may take."""

import subprocess
import sys

import pytest

HEAVY = {
    "aiohttp", "anthropic", "asyncio", "griffe", "httpx", "jinja2", "jsonschema_rs", "ollama", "orjson",
    "prometheus_client", "pydantic", "pydantic_core", "pykka", "rich", "starlette", "structlog", "uvicorn", "uvloop",
    "sqlite3", "tenacity", "yaml",
}  # fmt: skip
ROOMS = {
    "actors",
    "agents",
    "bridge",
    "bus",
    "daemon",
    "events",
    "journal",
    "logs",
    "settings",
    "sim",
    "supervision",
    "work",
}


def _imported(*argv: str) -> set[str]:
    command = [sys.executable, "-X", "importtime", "-m", "darumad", *argv]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    lines = [line for line in done.stderr.splitlines() if line.startswith("import time:")]
    return {line.rpartition("|")[2].strip() for line in lines}


@pytest.mark.parametrize("argv", [["status", "--socket", "/nowhere"], ["--help"], ["submit", "--help"]])
def test_an_online_command_imports_the_client_and_nothing_else_of_the_house(argv: list[str]) -> None:
    imported = _imported(*argv)
    assert "click" in imported
    assert not HEAVY & imported
    assert not {f"darumad.{room}" for room in ROOMS} & imported


def test_status_needs_the_client_only_of_the_control_room() -> None:
    ours = {name for name in _imported("status", "--socket", "/nowhere") if name.startswith("darumad.control.")}
    assert ours == {"darumad.control.client", "darumad.control.places", "darumad.control.routes"}


def test_the_help_imports_no_command() -> None:
    ours = {name for name in _imported("--help") if name.startswith("darumad")}
    rooms = {"darumad", "darumad.cli", "darumad.cli.ending", "darumad.cli.group", "darumad.cli.streams"}
    assert ours == rooms | {"darumad.errors", "darumad.plural", "darumad.values"}
