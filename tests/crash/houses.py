"""What a campaign runs: the model server, the clients, and one daemon after another on one state directory."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any, cast

import yaml

import darumad
from darumad.control.client import Client, Json
from darumad.errors import DarumaError
from tests.crash.rules import PLACES
from tests.kit import eventually

PATIENCE = 120.0
"""Seconds after which whatever a campaign waits for will not come."""
OFTEN, SELDOM = 0.01, 0.2
"""Seconds between two looks at what is soon there, and at what makes the daemon count all its items."""
_ROOT = Path(__file__).parents[2]
_INHERITED = ("PATH", "LANG", "LC_ALL", "TZ", "TMPDIR")


class Place:
    """The folder of one campaign, and how its parts find each other."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.state = home / "daemon" / "state"
        self.database = self.state / "journal.db"
        self.socket = home / "s"
        self.config = home / "daruma.yaml"
        self.log = home / "daemon.log"
        self.told = home / "failed-at"
        self.calls = home / "calls.jsonl"
        (home / "daemon").mkdir()
        self.told.touch()

    def client_log(self, name: str) -> Path:
        """What the client so named writes down."""
        return self.home / f"{name}.jsonl"

    @property
    def client_logs(self) -> list[Path]:
        """Of all clients."""
        return sorted(self.home.glob("client*.jsonl"))

    def environ(self, more: Mapping[str, str] | None = None) -> dict[str, str]:
        """What the parts see: nothing of the developer's, and the same sources as we."""
        sources = Path(darumad.__file__).parents[1]
        return {name: os.environ[name] for name in _INHERITED if name in os.environ} | {
            "HOME": os.fspath(self.home),
            "PYTHONPATH": f"{sources}:{_ROOT}",
            "DARUMA_STATE_DIR": os.fspath(self.state),
            "DARUMA_CONTROL__SOCKET": os.fspath(self.socket),
            "ANTHROPIC_API_KEY": "sk-of-nobody",
            **(more or {}),
        }

    def settle(self, url: str) -> None:
        """Write the settings: those that ship, but for where the model is and how much it may cost in a day.

        There are lanes with few places, and three agents are added: one whose code raises, one that asks otherwise in
        each life, one that cannot be made.
        """
        templates = Path(__file__).parent / "templates"
        settings = {
            "provider": {"use": "anthropic"},
            "providers": {"anthropic": {"base_url": url}},
            "budget": {"daily": "100000 USD"},
            "lanes": {name: {"max_running": places} for name, places in PLACES.items()},
            "agents": {
                "clumsy": {"template": f"{templates}/clumsy.py", "isolation": "none", "count": 1},
                "fickle": {"template": f"{templates}/fickle.py", "isolation": "none", "count": 1},
                "unmade": {"template": f"{templates}/unmade.py", "isolation": "none", "count": 1},
            },
        }
        self.config.write_text(yaml.safe_dump(settings))


@contextmanager
def _program(place: Place, module: str, *arguments: object) -> Iterator[subprocess.Popen[str]]:
    """A part that runs until its input ends, and is then given the time to come to its own end."""
    process = subprocess.Popen(
        [sys.executable, "-m", module, *map(str, arguments)],
        env=place.environ(), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1,
    )  # fmt: skip
    try:
        yield process
        assert process.stdin is not None
        process.stdin.close()
        assert process.wait(PATIENCE) == 0, f"{module} ended with {process.returncode}"
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()
        cast("IO[str]", process.stdout).close()


@contextmanager
def model_server(place: Place, *, faults: float) -> Iterator[None]:
    """The model server; its log is written when the block ends."""
    with _program(place, "tests.crash.model", place.calls, faults) as process:
        assert process.stdout is not None
        url = process.stdout.readline().strip()
        assert url, "the model server did not start"
        place.settle(url)
        yield


@contextmanager
def client(place: Place, name: str, *, pace: float) -> Iterator[None]:
    """A client that works until the block ends, with `pace` seconds between two deeds."""
    with _program(place, "tests.crash.client", place.socket, place.client_log(name), name, pace):
        yield


class Nursery:
    """See `tests.crash.nursery`: daemons by fork. One lives at a time."""

    def __init__(self, process: subprocess.Popen[str], place: Place) -> None:
        self._process = process
        self._place = place
        self.pid = 0
        assert self._line() == "ready\n", "the nursery did not open"

    def bear(self, point: str | None = None, nth: int = 1, deed: str = "kill") -> None:
        """Begin a life, which fails where it is ordered to."""
        order = {"config": os.fspath(self._place.config), "point": point, "nth": nth, "deed": deed}
        assert self._process.stdin is not None
        self._process.stdin.write(f"{json.dumps(order)}\n")
        self._process.stdin.flush()
        self.pid = int(self._line())

    @property
    def dead(self) -> bool:
        """Whether the present life is over, whether or not its parent has looked after it yet."""
        try:
            stat = Path(f"/proc/{self.pid}/stat").read_text()
        except OSError:
            return True
        return stat.rpartition(")")[2].split()[0] == "Z"

    def stop(self) -> None:
        """Ask the present life to end in good order."""
        with suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGTERM)

    def kill(self) -> int:
        """End the present life at once, if it has not ended; how it did."""
        with suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)
        return int(self._line())

    def _line(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline()


@contextmanager
def nursery(place: Place) -> Iterator[Nursery]:
    """Imports the house once."""
    with _program(place, "tests.crash.nursery", place.log, place.told) as process:
        yield Nursery(process, place)


@contextmanager
def daemon(place: Place, environ: Mapping[str, str] | None = None) -> Iterator[subprocess.Popen[bytes]]:
    """A daemon that was started as everybody does it, and answers. It is asked to stop when the block ends."""
    with place.log.open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "darumad", "serve", "--config", place.config], env=place.environ(environ), stderr=log
        )
    try:
        until_answering(place, lambda: process.poll() is not None)
        assert process.poll() is None, f"it ended with {process.returncode}: {place.log.read_text()[-4000:]}"
        yield process
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
        process.wait(PATIENCE)


def asked(place: Place, operation: str, **params: Any) -> Json | None:
    """The answer to one operation; None while there is nobody to ask."""
    with Client(place.socket) as client:
        try:
            return client.call(operation, **params)
        except DarumaError:
            return None


def until_answering(place: Place, over: Callable[[], bool]) -> None:
    """Return when the daemon answers, or when `over` says that it never will."""
    eventually(lambda: over() or asked(place, "health") is not None, PATIENCE, OFTEN)


def until_drained(place: Place) -> None:
    """Return when nothing is left to do for the daemon."""

    def drained() -> bool:
        status = asked(place, "status")
        return status is not None and not any(
            status["queue"][each] for each in ("waiting", "ready", "scheduled", "running")
        )

    eventually(drained, PATIENCE, SELDOM)


def watched(true: Callable[[], bool], process: subprocess.Popen[bytes]) -> None:
    """Return when `true` comes true; fail when the process ends before."""
    eventually(lambda: process.poll() is not None or true(), PATIENCE, 5 * OFTEN)
    assert process.poll() is None, f"it ended with {process.returncode}"
