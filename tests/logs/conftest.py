"""A pipe that stands for stderr, read to its end when a test asks."""

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
import pytest
import structlog

from darumad.clock import SystemClock
from darumad.logs import Logs, configure


@dataclass(frozen=True)
class LogSettings:
    level: str = "info"
    format: str = "auto"
    file: Path | None = None


@dataclass
class Captured:
    logs: Logs
    reader: int
    writer: int

    def text(self) -> str:
        """Everything that was written, after the logs are closed."""
        self.logs.close()
        os.close(self.writer)
        parts = []
        while part := os.read(self.reader, 65536):
            parts.append(part)
        os.close(self.reader)
        return b"".join(parts).decode()

    def lines(self) -> list[dict[str, Any]]:
        return [orjson.loads(line) for line in self.text().splitlines()]


@pytest.fixture
def capture() -> Iterator[Callable[..., Captured]]:
    started: list[Captured] = []

    def start(environ: dict[str, str] | None = None, *, of_the_journal: bool = False, **settings: Any) -> Captured:
        reader, writer = os.pipe()
        if of_the_journal:
            found = os.fstat(writer)
            environ = {"JOURNAL_STREAM": f"{found.st_dev}:{found.st_ino}"}
        logs = configure(LogSettings(**settings), clock=SystemClock(), environ=environ or {}, descriptor=writer)
        started.append(Captured(logs, reader, writer))
        return started[-1]

    yield start
    for each in reversed(started):
        each.logs.close()
    structlog.contextvars.clear_contextvars()
