"""The whole daemon in this process, on a thread of the test's, with the test in the service manager's place."""

import os
import socket
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path
from typing import Any

import pytest
import structlog

from darumad import daemon
from darumad.control.client import Client
from darumad.daemon.signs import VitalSigns
from darumad.logs import Logs, configure
from darumad.settings import Bridge, Control, Daemon, Executors, Log, Provider, Settings, Supervision
from darumad.values import changed
from tests.kit import eventually

PATIENCE = 20.0


def settings(home: Path, **more: Any) -> Settings:
    """Two slots a role, no model, and a stop that waits for nobody."""
    given: dict[str, Any] = {
        "state_dir": home / "state",
        "control": Control(socket=home / "control.sock"),
        "daemon": Daemon(drain_timeout=0.0),  # type: ignore[arg-type]
        "executors": Executors(count=2),
        "provider": Provider(use="offline"),
        "supervision": Supervision(),
        "bridge": Bridge(),
        "log": Log(level="error"),
        **more,
    }
    return changed(Settings(), **given)


class Serving:
    """One daemon, from before its start to its exit code."""

    def __init__(self, settings: Settings) -> None:
        self.client = Client(settings.control.socket)
        self.signs: VitalSigns | None = None
        self.code: int | None = None
        self.error: BaseException | None = None
        self._settings = settings
        self._thread = threading.Thread(target=self._run, name="the daemon", daemon=True)

    def start(self) -> None:
        self._thread.start()
        eventually(self._ready, PATIENCE)

    def answers_again(self) -> None:
        """Returns when whoever connects anew is answered."""
        self.client.close()
        eventually(self._ready, PATIENCE)

    def exit_code(self) -> int:
        """What the process would end with, once it does."""
        self._thread.join(PATIENCE)
        assert not self._thread.is_alive(), "it never ended"
        assert self.error is None, self.error
        assert self.code is not None
        return self.code

    def stop(self) -> None:
        if self._thread.is_alive() and self.signs is not None:
            self.signs._kernel.guardian.end("asked", "the test")
            self._thread.join(PATIENCE)
        self.client.close()

    @property
    def engine(self) -> Any:
        assert self.signs is not None
        return self.signs._engine

    @property
    def kernel(self) -> Any:
        assert self.signs is not None
        return self.signs._kernel

    @property
    def minds(self) -> Any:
        return self.engine._minds

    def health(self) -> dict[str, bool | str]:
        """The parts that are not green, and why."""
        assert self.signs is not None
        return {part: said for part, said in self.signs().items() if said is not True}

    def _ready(self) -> bool:
        if self.error is not None:
            raise self.error
        with suppress(Exception):
            return bool(self.client.call("health")["live"])
        return False

    def _run(self) -> None:
        try:
            self.code = daemon.run(self._settings, stands=lambda: None)
        except BaseException as error:  # noqa: BLE001 - it is the test's to look at
            self.error = error


class Manager:
    """The service manager's end of the notify socket: a real datagram socket."""

    def __init__(self, path: Path) -> None:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(os.fspath(path))
        self._socket.settimeout(PATIENCE)

    def until(self, word: str) -> str:
        """The next message with `word` in it."""
        while word not in (said := self._socket.recv(4096).decode()):
            pass
        return said

    def hears(self, word: str, within: float) -> bool:
        """Whether `word` comes within so many real seconds, not counting what was said before."""
        self._forget()
        self._socket.settimeout(within)
        try:
            self.until(word)
        except TimeoutError:
            return False
        finally:
            self._socket.settimeout(PATIENCE)
        return True

    def close(self) -> None:
        self._socket.close()

    def _forget(self) -> None:
        self._socket.setblocking(False)
        with suppress(BlockingIOError):
            while True:
                self._socket.recv(4096)


def _configured(*given: Any, **more: Any) -> Logs:
    """As the daemon's own, but no logger keeps the way that it took: the tests that come after listen elsewhere."""
    logs = configure(*given, **more)
    structlog.configure(cache_logger_on_first_use=False)
    return logs


@contextmanager
def served(given: Settings, monkeypatch: pytest.MonkeyPatch, clock: Any = None) -> Iterator[Serving]:
    """The daemon, answering; ended with the block. `clock` takes the place of the machine's."""
    serving, interval = Serving(given), sys.getswitchinterval()

    class Kept(VitalSigns):
        def __init__(self, *rooms: Any) -> None:
            super().__init__(*rooms)
            serving.signs = self

    monkeypatch.setattr(daemon, "VitalSigns", Kept)
    monkeypatch.setattr(daemon, "configure", _configured)
    monkeypatch.setattr(daemon, "_on_signals", lambda *_: None)  # only a main thread may have handlers
    monkeypatch.setattr(daemon, "_heard_by", lambda _: nullcontext())
    monkeypatch.setattr(daemon, "_on_rotation", lambda *_: None)
    monkeypatch.setattr(daemon.faulthandler, "enable", lambda: None)  # pytest's own stays where it is
    if clock is not None:
        monkeypatch.setattr(daemon, "SystemClock", lambda: clock)
    try:
        serving.start()
        yield serving
    finally:
        serving.stop()
        sys.setswitchinterval(interval)
