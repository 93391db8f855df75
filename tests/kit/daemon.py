"""The installed daemon: a process in a directory of its own, driven over its real socket, ended by its pid."""

import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, Self

import yaml

from darumad.control.client import Client, Json
from darumad.errors import Unavailable
from tests.kit.house import eventually

DARUMA = Path(sys.executable).with_name("daruma")
PATIENCE = 30.0
"""Seconds after which whatever a test waits for will not come."""
INHERITED = ("PATH", "LANG", "LC_ALL", "TZ", "TMPDIR")
"""What of the tests' environment the daemon sees: no key and no setting of the developer's gets in."""


class Daemon:
    """One state directory and the daemon on it, which may be started, killed and started again."""

    def __init__(self, home: Path, settings: Mapping[str, Any], environ: Mapping[str, str] | None = None) -> None:
        self.home = home
        self.state = home / "state"
        self.socket = home / "control.sock"
        self.log = home / "daemon.log"
        self.config = home / "daruma.yaml"
        self.config.write_text(yaml.safe_dump(dict(settings)))
        self.environ = {name: os.environ[name] for name in INHERITED if name in os.environ} | {
            "HOME": os.fspath(home),
            "DARUMA_STATE_DIR": os.fspath(self.state),
            "DARUMA_CONTROL__SOCKET": os.fspath(self.socket),
            "DARUMA_SOCKET": os.fspath(self.socket),
            "NO_COLOR": "1",
            **(environ or {}),
        }
        self.client = Client(self.socket)
        self.process: subprocess.Popen[bytes] | None = None

    # --- its life -----------------------------------------------------------------------------------------------------

    def start(self) -> Self:
        """Start it and return when it answers."""
        self.launch()
        eventually(self._answers, PATIENCE)
        return self

    def launch(self) -> subprocess.Popen[bytes]:
        """Start its process and return at once."""
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [DARUMA, "serve", "--config", self.config], env=self.environ, stderr=log, cwd=self.home
            )
        return self.process

    def kill(self) -> None:
        """End its process at once, as a power cut would."""
        assert self.process is not None
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(PATIENCE)
        self.client.close()

    def stop(self) -> int:
        """Ask it to stop; its exit code."""
        assert self.process is not None
        self.client.call("stop")
        return self.process.wait(PATIENCE)

    def close(self) -> None:
        """Leave nothing of it running, whatever a test did to it."""
        self.client.close()
        if self.process is not None and self.process.poll() is None:
            self.kill()

    def _answers(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, f"it ended with {self.process.returncode}: {self.said()}"
        try:
            return bool(self.client.call("health")["live"])
        except Unavailable:
            return False

    # --- what is asked of it ------------------------------------------------------------------------------------------

    def run(self, *arguments: str, given: str | None = None) -> subprocess.CompletedProcess[str]:
        """One command as a user types it."""
        return subprocess.run(
            [DARUMA, *arguments],
            env=self.environ,
            cwd=self.home,
            input=given,
            capture_output=True,
            text=True,
            timeout=2 * PATIENCE,
            check=False,
        )

    def submit(self, name: str, agent: str = "echo", **fields: Any) -> Json:
        """Hand in one item called `name`."""
        return self.client.submit({"id": name, "description": f"Do what {name} is about", "agent": agent, **fields})

    def settled(self, name: str) -> Json:
        """The item once it is finished or parked."""
        return self.client.wait(name, within=PATIENCE)

    def item(self, name: str, **params: Any) -> Json:
        """The item as it stands."""
        return self.client.call("work show", id=name, **params)

    def becomes(self, name: str, **fields: Any) -> Json:
        """The item once these fields of it have these values."""
        eventually(lambda: fields.items() <= self.item(name).items(), PATIENCE)
        return self.item(name)

    def listed(self) -> list[Json]:
        """Every item on one line each."""
        return list(self.client.call("work list", limit=1000)["items"])

    def events(self, kind: str = "", subject: str = "", since: str = "0") -> list[Json]:
        """What was recorded so far: events of this type about this subject."""
        found = self.client.events(since=since)
        return [each for each in found if kind in {"", each["type"]} and subject in {"", each["subject"]}]

    def until(self, kind: str, subject: str = "", times: int = 1) -> list[Json]:
        """The events of this type about this subject, once there are so many."""
        eventually(lambda: len(self.events(kind, subject)) >= times, PATIENCE)
        return self.events(kind, subject)

    def instance(self, path_ends: str) -> Json:
        """The one instance whose path ends so."""
        (found,) = [each for each in self.client.call("agents list")["items"] if each["path"].endswith(path_ends)]
        return dict(found)

    # --- what it leaves -----------------------------------------------------------------------------------------------

    def said(self) -> str:
        """The end of its log."""
        return self.log.read_text()[-4000:] if self.log.exists() else ""

    def logged(self) -> list[Json]:
        """Its log, line by line."""
        return [json.loads(line) for line in self.log.read_text().splitlines() if line.startswith("{")]

    def dead_rows(self, *questions: str) -> list[list[tuple[Any, ...]]]:
        """Answers to SQL from a copy of the journal, so that the file stays as the dead process left it."""
        copy = self.home / "copy"
        shutil.rmtree(copy, ignore_errors=True)
        copy.mkdir()
        for each in self.state.glob("journal.db*"):
            shutil.copy(each, copy / each.name)
        return rows(copy / "journal.db", questions)


def asking(name: str, agent: str) -> Json:
    """An item whose model calls the simulator knows by its name, done when the model has answered."""
    return {
        "id": name,
        "description": f"[[sim:{name}]] Say what the answer is",
        "agent": agent,
        "stages": ["execute"],
        "challenge": False,
    }


def rows(database: Path, questions: Sequence[str]) -> list[list[tuple[Any, ...]]]:
    """Answers to SQL, with nothing of Daruma between."""
    with closing(sqlite3.connect(database)) as connection:
        return [connection.execute(each).fetchall() for each in questions]
