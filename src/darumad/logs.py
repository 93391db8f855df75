"""Logs: one line an event, as JSON or for people, on stderr and in a file, and never at the price of the work.

Whoever logs renders its line and puts it into a bounded queue; one thread per outlet writes. An outlet that takes no
more (a pipe nobody reads, a full disk) costs lines, which are counted, and nobody's time. Secrets are taken out of the
finished lines right before they are written, so that no road leads around it: the standard library's loggers come the
same way.
"""

import json
import logging
import os
import sys
import tempfile
import threading
from collections import deque
from collections.abc import Callable, Mapping, MutableMapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol

import orjson
import structlog

from darumad.clock import Clock
from darumad.errors import Problem, Refused
from darumad.redaction import redact

CAPACITY = 10_000
"""How many lines wait for one outlet at most."""
BATCH = 65_536
"""How many bytes are written at once, about: what a pipe takes."""
LINGER = 0.02
"""Seconds between two writes: lines gather meanwhile, and one wake-up and one look for secrets serve many of them."""
CLOSE_WITHIN = 2.0
"""Seconds that `close` gives an outlet to write what waits."""

_PRIORITY = {"debug": 7, "info": 6, "warning": 4, "error": 3, "critical": 2}
_QUIET = ("anthropic", "httpx", "httpx2", "httpcore", "httpcore2", "asyncio", "aiohttp", "uvicorn")
"""Libraries whose chatter below a warning is of no use to an operator."""

Fields = MutableMapping[str, Any]
Render = Callable[[Fields], str]


class LogSettings(Protocol):
    """What this room needs to be told."""

    @property
    def level(self) -> str:
        """debug, info, warning or error."""

    @property
    def format(self) -> str:
        """auto, json or console."""

    @property
    def file(self) -> Path | None:
        """A file that gets the lines too."""


# --- where lines go -------------------------------------------------------------------------------------------------


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
        """Opens the file anew, readable by its owner and group only.

        Raises:
            OSError: it cannot be opened; the next write tries again.
        """
        self.close()
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._descriptor = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o640)
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


# --- how a line looks -----------------------------------------------------------------------------------------------


def as_json(fields: Fields) -> str:
    """One JSON object; what JSON does not know is written as its text. Never raises: a log call breaks nobody."""
    try:
        return orjson.dumps(fields, default=str, option=orjson.OPT_NON_STR_KEYS).decode() + "\n"
    except orjson.JSONEncodeError:  # a lone surrogate, a huge number, a cycle, an object that cannot be printed
        return json.dumps({str(name): _plain(value) for name, value in fields.items()}) + "\n"


def _plain(value: Any) -> str | int | float | bool | None:
    if value is None or isinstance(value, str | int | float | bool):
        return value
    try:
        return repr(value)
    except Exception:  # noqa: BLE001 - it may be anything
        return f"<unprintable {type(value).__name__}>"


def with_priority(render: Render) -> Render:
    """As `render`, with the priority before each line that the journal of systemd reads (sd-daemon(3))."""

    def prefixed(fields: Fields) -> str:
        return f"<{_PRIORITY.get(fields['level'], 6)}>{render(fields)}"

    return prefixed


def for_people(*, colors: bool) -> Render:
    """A console's lines: time, level, what happened, and the fields."""
    console = structlog.dev.ConsoleRenderer(colors=colors)

    def rendered(fields: Fields) -> str:
        return f"{console(None, '', dict(fields))}\n"

    return rendered


class Stamp:
    """Wall time as ISO 8601 in UTC with milliseconds; the part that changes once a second is kept."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._second: tuple[int, str] = (-1, "")

    def __call__(self) -> str:
        """Now."""
        seconds, millis = divmod(self._clock.wall(), 1000)
        known, text = self._second
        if seconds != known:
            text = datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")
            self._second = (seconds, text)
        return f"{text}.{millis:03d}Z"


# --- the road -------------------------------------------------------------------------------------------------------


class Road:
    """The one way of every line: ordered, rendered and put into each outlet."""

    def __init__(self, clock: Clock, outlets: tuple[Outlet, ...]) -> None:
        self._stamp = Stamp(clock)
        self._outlets = outlets

    def carry(self, level: str, fields: Fields) -> None:
        """Sends one event on its way; from any thread."""
        ordered = {
            "timestamp": self._stamp(),
            "level": level,
            "logger": fields.pop("logger", ""),
            "event": fields.pop("event", ""),
            **fields,
        }
        for outlet in self._outlets:
            outlet.put(outlet.render(ordered))

    def end(self, named: Any, method: str, fields: Fields) -> str:
        """The last of structlog's processors: nothing is left for its own logger to do."""
        fields.setdefault("logger", getattr(named, "name", ""))
        self.carry(method, fields)
        return ""


class FromStdlib(logging.Handler):
    """Puts what libraries log on the same road."""

    def __init__(self, road: Road) -> None:
        super().__init__()
        self._road = road

    def emit(self, record: logging.LogRecord) -> None:
        """Carries `record`; one that cannot be rendered is reported as the library's mistake and dropped."""
        try:
            bound = structlog.contextvars.get_contextvars()
            fields: Fields = {**bound, "logger": record.name, "event": record.getMessage()}
            if record.exc_info:
                fields["exception"] = _traceback(record.exc_info)
            self._road.carry(record.levelname.lower() if record.levelname.lower() in _PRIORITY else "info", fields)
        except Exception:  # noqa: BLE001 - a library's broken log call must not break its caller
            self.handleError(record)


def _traceback(exc_info: Any) -> str:
    return logging.Formatter().formatException(exc_info)


@dataclass(frozen=True, slots=True)
class Logs:
    """The logs of a running daemon."""

    outlets: tuple[Outlet, ...]
    file: WatchedFile | None
    handler: logging.Handler

    @property
    def dropped(self) -> int:
        """How many lines were lost, because an outlet took no more."""
        return sum(each.dropped for each in self.outlets)

    def reopen(self) -> None:
        """Opens the file anew, though its name still leads to it; what a rotation that copies asks for."""
        for outlet in self.outlets:
            outlet.reopen()

    def close(self, within: float = CLOSE_WITHIN) -> None:
        """Takes the road out of service and writes what waits, for at most `within` seconds an outlet."""
        logging.getLogger().removeHandler(self.handler)
        logging.captureWarnings(False)  # noqa: FBT003 - the library's own signature
        _PROCESSORS[:] = [_no_road]
        structlog.reset_defaults()
        for outlet in self.outlets:
            outlet.close(within)


def configure(
    settings: LogSettings, *, clock: Clock, environ: Mapping[str, str], descriptor: int | None = None
) -> Logs:
    """Puts every logger of the process on one road: to stderr (or `descriptor`) and to `settings.file`."""
    descriptor = sys.stderr.fileno() if descriptor is None else descriptor
    outlets = [Outlet(Stream(descriptor), _renderer(settings.format, descriptor, environ), name="log-stderr")]
    file = WatchedFile(settings.file) if settings.file else None
    if file:
        outlets.append(Outlet(file, as_json, name="log-file"))
    road = Road(clock, tuple(outlets))
    handler = FromStdlib(road)
    level = logging.getLevelNamesMapping()[settings.level.upper()]
    _configure_structlog(road, level)
    _configure_stdlib(handler, level)
    return Logs(tuple(outlets), file, handler)


class _Logger:
    """A module's logger, whose methods are looked up once.

    structlog's own binds anew for each line, also for those below the level: they would cost 3 us instead of nothing.
    """

    def __init__(self, name: str) -> None:
        self._name = name

    def __getattr__(self, method: str) -> Any:
        found = getattr(structlog.get_logger(self._name).bind(), method)
        if structlog.get_config()["cache_logger_on_first_use"]:
            setattr(self, method, found)
        return found


def logger(name: str) -> Any:
    """A logger that says `name` in each line; made once, at the top of a module, also before `configure`."""
    return _Logger(name)


@dataclass(frozen=True, slots=True)
class _Named:
    """What structlog takes for the logger behind its own: it has a name and nothing left to do."""

    name: str = ""

    def info(self, _done: str) -> None:
        """Nothing: the line is on its way."""

    debug = warning = error = critical = info


_PROCESSORS: list[Any] = []
"""Changed in place: a module's logger keeps the list it met first, and so comes along when the road changes."""


def _configure_structlog(road: Road, level: int) -> None:
    _PROCESSORS[:] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.format_exc_info,
        road.end,
    ]
    structlog.configure(
        processors=_PROCESSORS,
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=_Named,
        cache_logger_on_first_use=True,
    )


def _no_road(_named: Any, _method: str, _fields: Fields) -> str:
    return ""


def _configure_stdlib(handler: logging.Handler, level: int) -> None:
    logging.getLogger().addHandler(handler)
    logging.getLogger().setLevel(level)
    for name in _QUIET:
        logging.getLogger(name).setLevel(max(level, logging.WARNING))
    logging.captureWarnings(True)  # noqa: FBT003 - the library's own signature


def _renderer(form: str, descriptor: int, environ: Mapping[str, str]) -> Render:
    terminal = os.isatty(descriptor)
    if form == "console" or (form == "auto" and terminal):
        return for_people(colors=terminal and "NO_COLOR" not in environ and environ.get("TERM") != "dumb")
    return with_priority(as_json) if _is_the_journal(descriptor, environ) else as_json


def _is_the_journal(descriptor: int, environ: Mapping[str, str]) -> bool:
    """Whether `descriptor` is the stream that systemd connected to its journal (systemd.exec(5), JOURNAL_STREAM)."""
    with suppress(OSError):
        found = os.fstat(descriptor)
        return environ.get("JOURNAL_STREAM") == f"{found.st_dev}:{found.st_ino}"
    return False
