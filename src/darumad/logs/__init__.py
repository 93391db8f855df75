"""Logs: one line an event, as JSON or for people, on stderr and in a file, and never at the price of the work.

Whoever logs renders its line and puts it into a bounded queue; one thread per outlet writes. An outlet that takes no
more (a pipe nobody reads, a full disk) costs lines, which are counted, and nobody's time. Secrets are taken out of the
finished lines right before they are written, so that no road leads around it: the standard library's loggers come the
same way.
"""

import logging
import os
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Protocol

import structlog

from darumad.clock import Clock
from darumad.logs.outlets import Outlet, Stream, WatchedFile, check_file
from darumad.logs.rendering import PRIORITY, Fields, Render, Stamp, as_json, for_people, with_priority
from darumad.values import Value

__all__ = ["Logs", "check_file", "configure", "logger"]

CLOSE_WITHIN = 2.0
"""Seconds that `close` gives an outlet to write what waits."""

_QUIET = ("anthropic", "httpx", "httpx2", "httpcore", "httpcore2", "asyncio", "aiohttp", "uvicorn")
"""Libraries whose chatter below a warning is of no use to an operator."""


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
            self._road.carry(record.levelname.lower() if record.levelname.lower() in PRIORITY else "info", fields)
        except Exception:  # noqa: BLE001 - a library's broken log call must not break its caller
            self.handleError(record)


def _traceback(exc_info: Any) -> str:
    return logging.Formatter().formatException(exc_info)


class Logs(Value):
    """The logs of a running daemon; `levels` are what the standard library's loggers had before."""

    outlets: tuple[Outlet, ...]
    file: WatchedFile | None
    handler: logging.Handler
    levels: Mapping[str, int]

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
        for name, level in self.levels.items():
            logging.getLogger(name).setLevel(level)
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
    return Logs(tuple(outlets), file, handler, _configure_stdlib(handler, level))


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


class _Named(Value):
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


def _configure_stdlib(handler: logging.Handler, level: int) -> Mapping[str, int]:
    """The levels as they were, by the logger's name; the root's is empty."""
    levels = {"": level, **dict.fromkeys(_QUIET, max(level, logging.WARNING))}
    before = {name: logging.getLogger(name).level for name in levels}
    logging.getLogger().addHandler(handler)
    for name, now in levels.items():
        logging.getLogger(name).setLevel(now)
    logging.captureWarnings(True)  # noqa: FBT003 - the library's own signature
    return before


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
