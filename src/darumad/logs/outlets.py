"""Where lines go: a stream or a file, each behind a queue and a thread of its own. Nobody who logs waits here.

What cannot be written is counted and let go; secrets are taken out right before the write.
"""

import os
import tempfile
import threading
from collections import deque
from contextlib import suppress
from pathlib import Path

from darumad.errors import Problem, Refused
from darumad.logs.rendering import Render
from darumad.redaction import redact

CAPACITY = 10_000
"""How many lines wait for one outlet at most."""
BATCH = 65_536
"""How many bytes are written at once, about: what a pipe takes."""
LINGER = 0.02
"""Seconds between two writes: lines gather meanwhile, and one wake-up and one look for secrets serve many of them."""


_MODE = 0o640


class Stream:
    """An open descriptor, such as stderr's; it is never closed by us."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def write(self, data: bytes) -> None:
        """All of `data`; waits as long as the reader lets it.

        Raises:
            OSError: the reader is gone.
        """
        left = memoryview(data)
        while left:
            left = left[os.write(self._descriptor, left) :]

    def reopen(self) -> None:
        """Nothing: it has no name to be opened by."""

    def close(self) -> None:
        """Nothing: others write there too."""


class WatchedFile:
    """A file that may be renamed or removed at any time: the next line then goes to a new one under its name.

    Source: the standard library's `WatchedFileHandler`, for logrotate.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._descriptor = -1
        self._identity: tuple[int, int] | None = None

    def write(self, data: bytes) -> None:
        """Appends all of `data` to the file that bears the name now.

        Raises:
            OSError: the file cannot be opened, or the disk is full.
        """
        if self._identity is None or self._seen() != self._identity:
            self.reopen()
        left = memoryview(data)
        while left:
            left = left[os.write(self._descriptor, left) :]

    def reopen(self) -> None:
        """Opens the file anew. One that is made here is for its owner, and its group to read, whatever the umask.

        Raises:
            OSError: it cannot be opened; the next write tries again.
        """
        self.close()
        self._path.parent.mkdir(parents=True, exist_ok=True)
        made = not self._path.exists()
        self._descriptor = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, _MODE)
        if made:
            with suppress(OSError):  # a file system without modes: the line counts for more
                os.fchmod(self._descriptor, _MODE)
        found = os.fstat(self._descriptor)
        self._identity = (found.st_dev, found.st_ino)

    def close(self) -> None:
        """Closes the file; a write opens it again."""
        self._identity = None
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def _seen(self) -> tuple[int, int] | None:
        try:
            found = self._path.stat()
        except OSError:
            return None
        return found.st_dev, found.st_ino


def check_file(path: Path) -> None:
    """Pass a log file that lines can be appended to by whoever asks; nothing is made or written.

    Raises:
        Refused: `bad_settings`, naming `log.file`: it would swallow every line.
    """
    try:
        if path.exists():
            os.close(os.open(path, os.O_WRONLY | os.O_APPEND | os.O_NONBLOCK | os.O_CLOEXEC))
        else:
            tempfile.TemporaryFile(dir=next(each for each in path.parents if each.exists())).close()
    except OSError as error:
        problem = Problem("log.file", f"is {path}, and cannot be written: {error.strerror}")
        raise Refused("the log's file cannot be had", code="bad_settings", problems=[problem]) from error


Sink = Stream | WatchedFile


class Outlet:
    """A bounded queue before one sink, and the thread that writes, without what is secret.

    `put` never waits; what finds no room is counted.
    """

    def __init__(self, sink: Sink, render: Render, *, name: str, capacity: int = CAPACITY) -> None:
        self.render = render
        self.dropped = 0
        self._sink = sink
        self._capacity = capacity
        self._lines: deque[str] = deque()
        self._wake = threading.Event()
        self._closing = threading.Event()
        self._reopening = False
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def put(self, line: str) -> None:
        """Queues `line`, which ends with a newline; from any thread."""
        if len(self._lines) >= self._capacity:
            self.dropped += 1
            return
        self._lines.append(line)
        if not self._wake.is_set():
            self._wake.set()

    def reopen(self) -> None:
        """Has the sink opened anew before the next line is written; from any thread."""
        self._reopening = True
        self._wake.set()

    def close(self, within: float) -> None:
        """Writes what waits, for at most `within` seconds; what is left then is dropped and counted."""
        self._closing.set()
        self._wake.set()
        self._thread.join(within)

    def _run(self) -> None:
        while True:
            self._wake.wait()
            self._wake.clear()
            self._reopen_if_asked()
            while self._lines:
                self._write()
            if self._closing.wait(LINGER) and not self._lines:
                self._sink.close()
                return

    def _reopen_if_asked(self) -> None:
        if self._reopening:
            self._reopening = False
            with suppress(OSError):  # the next write tries again, and counts what it loses
                self._sink.reopen()

    def _write(self) -> None:
        batch, size = [], 0
        while self._lines and size < BATCH:
            batch.append(self._lines.popleft())
            size += len(batch[-1])
        try:
            text = "".join(batch)
            if redact.suspects(text):
                text = "".join(map(redact, batch))
            self._sink.write(text.encode("utf-8", "backslashreplace"))
        except OSError:
            self.dropped += len(batch)
