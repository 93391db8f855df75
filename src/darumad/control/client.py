"""The client of the control socket, for the command line and for other programs.

It needs the standard library only, and keeps one connection open between calls. Replies are plain dictionaries as they
came: fields that this version does not know are kept. A failure is raised as one of the three families of `errors`.
"""

import http.client
import json
import os
import select
import socket
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any, Self, cast
from urllib.parse import quote, urlencode

from darumad.control.places import LONGEST_PATH, socket_path
from darumad.control.routes import ROUTES, Route
from darumad.errors import CODES, Broken, DarumaError, Problem, Refused, Unavailable
from darumad.ids import traced
from darumad.values import Value

Json = dict[str, Any]
PATIENCE = 30.0
"""Seconds that a call may take unless it says otherwise: over a local socket an answer takes milliseconds."""
QUIET = 2.0
"""An answer that is this many seconds late is told to the caller as silence."""
_CHUNK = 1 << 18
_SILENT = "it hangs, has too much to do, or its process is stopped; its log and `systemctl status darumad` tell"
_HTTP_ERROR = 400
_HTTP_TOO_SLOW, _HTTP_TOO_MANY, _HTTP_BROKEN, _HTTP_FULL = 408, 429, 500, 503
_NOT_NOW = frozenset({_HTTP_TOO_SLOW, _HTTP_TOO_MANY, _HTTP_FULL, 504, 507})
"""Statuses after which the same request may succeed later: too slow, too many, full, wait expired, no room on disk."""


class Download(Value):
    """An open answer that is read as it comes, once; `size` in bytes."""

    size: int | None
    chunks: Iterator[bytes]
    """Raises Unavailable, `hung_up`, where the answer ends before its size."""


class Stream(Value):
    """Recorded events, each told once as it is iterated: those behind the position `since`.

    `newest` is the position of the newest event there was when it was opened.
    """

    since: int
    newest: int
    told: Iterator[Json]

    def __iter__(self) -> Iterator[Json]:
        return self.told


class _UnixConnection(http.client.HTTPConnection):
    """HTTP over a Unix socket; the host in the requests is only a word."""

    def __init__(self, path: Path, timeout: float | None) -> None:
        super().__init__("localhost", timeout=timeout)
        self._path = path

    def connect(self) -> None:
        opened = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            opened.settimeout(self.timeout)
            opened.connect(os.fspath(self._path))
        except OSError:
            opened.close()
            raise
        self.sock = opened


class Client:
    """Calls operations by name: `Client().call("work show", id="three")`. Not for several threads at once.

    `silence` is called when an answer is late, with the seconds that it is still waited for. `traceparent` (W3C Trace
    Context) goes with each request; its trace-id becomes the `correlation_id` of what is submitted. `daemon_version` is
    the version that came with the last answer; None before the first. `bound` may be set by a caller who has little
    time: it is given the seconds that a call may take, and returns those that the caller has.
    """

    def __init__(
        self,
        path: Path | None = None,
        *,
        silence: Callable[[float], object] | None = None,
        traceparent: str | None = None,
    ) -> None:
        self.path = path or socket_path(os.environ)
        self._tracing = {"traceparent": traceparent} if traceparent and traced(traceparent) else {}
        self._silence = silence
        self.daemon_version: str | None = None
        self.bound: Callable[[float], float] = lambda seconds: seconds
        self._kept: _UnixConnection | None = None

    def close(self) -> None:
        """Close the connection. The next call opens another."""
        if self._kept is not None:
            self._kept.close()
            self._kept = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def call(self, operation: str, body: Any = None, *, within: float = PATIENCE, **params: Any) -> Json:
        """The answer to `operation`.

        Args:
            operation: a name of the routes table, such as `work list`.
            body: JSON, for operations that take one.
            within: seconds to wait for the answer.
            params: those that the path names go there, all others into the query; None is left out.

        Raises:
            Refused, Unavailable, Broken: as the daemon answered; code `unreachable` when no daemon could be reached,
                `hung_up` when the connection broke before the answer was complete.
        """
        response = self._ask(operation, body, params, within)
        return cast("Json", json.loads(self._read(response) or b"{}"))

    def text(self, operation: str, *, within: float = PATIENCE, **params: Any) -> str:
        """The answer to an operation that does not speak JSON, such as `metrics`. Raises as `call`."""
        return self._read(self._ask(operation, None, params, within)).decode()

    def submit(self, item: Mapping[str, Any]) -> Json:
        """Hand in one item. Give it an id, and a repeat after a lost answer is the same item. Raises as `call`."""
        return self.call("submit", dict(item))

    def batch(self, items: Sequence[Mapping[str, Any]]) -> Json:
        """Hand in items, all or none of them. Raises as `call`."""
        return self.call("batch", {"items": [dict(each) for each in items]}, within=4 * PATIENCE)

    def wait(self, item: str, *, within: float) -> Json:
        """The item once it is finished or parked, at most `within` seconds later.

        Raises:
            Unavailable: code `wait_expired`: it is still under way. Otherwise as `call`.
        """
        return self.call("work wait", id=item, timeout=within, within=within + PATIENCE)

    def events(self, *, since: str = "", follow: bool = False, **only: Any) -> Stream:
        """Recorded events in order, from behind `since`; with `follow`, then live.

        Raises as `call`, and so does the iteration: `hung_up` where the stream breaks, and where one that is
        followed ends, which it does only with the daemon. A daemon that lives gives a sign of that every 15 s.
        """
        params = {"since": since or None, "follow": "true" if follow else None, **only}
        response = self._ask("events", None, params, PATIENCE)
        behind, newest = (int(response.headers.get(name, 0)) for name in ("Daruma-Since", "Daruma-Newest"))
        return Stream(behind, newest, self._events(response, follow=follow))

    def _events(self, response: http.client.HTTPResponse, *, follow: bool) -> Iterator[Json]:
        try:
            with self._told():
                yield from (json.loads(line) for line in _lines(response) if line.strip())
            if follow:
                raise _hung_up_on(self.path, "it ended")
        finally:
            self.close()  # of a stream that nobody read to its end the rest is still on the way

    def upload(self, sha256: str, content: IO[bytes], size: int) -> Json:
        """Stream `size` bytes of `content` to the daemon, to be named in an item's `inputs`. Raises as `call`."""
        headers = {"Content-Length": str(size), "Content-Type": "application/octet-stream"}
        response = self._send(ROUTES["upload"], f"/v1/blobs/{quote(sha256)}", content, headers, 10 * PATIENCE)
        return cast("Json", json.loads(self._read(response)))

    @contextmanager
    def download(self, item: str, name: str) -> Iterator[Download]:
        """One artifact of an item's result, open for reading. Raises as `call`."""
        response = self._ask("artifacts get", None, {"id": item, "name": name}, PATIENCE)
        length = response.headers.get("Content-Length")
        try:
            size = int(length) if length else None
            yield Download(size, self._chunks(response, size))
        finally:
            self.close()

    def _ask(self, operation: str, body: Any, params: Mapping[str, Any], within: float) -> http.client.HTTPResponse:
        route = ROUTES[operation]
        with _text_only(params, body):
            path, left = _fill(route.path, params)
            query = urlencode([(name, value) for name, value in left.items() if value is not None])
            sent = None if body is None else json.dumps(body, ensure_ascii=False).encode()
        headers = {"Content-Type": "application/json"} if sent is not None else {}
        return self._send(route, f"{path}?{query}" if query else path, sent, headers, within)

    def _send(
        self,
        route: Route,
        target: str,
        body: bytes | IO[bytes] | None,
        headers: Mapping[str, str],
        within: float,
    ) -> http.client.HTTPResponse:
        with self._told():
            connection = self._dial(self.bound(within))
            # The daemon may refuse a body before it has read it all: its answer is there to be read all the same.
            with suppress(BrokenPipeError, ConnectionResetError):
                connection.request(route.method, target, body, {**headers, **self._tracing})
            self._tell_of_silence(connection, within)
            response = connection.getresponse()
        self.daemon_version = response.headers.get("Daruma-Version")
        if response.status >= _HTTP_ERROR:
            raise _as_error(response.status, response.headers.get("Retry-After"), self._read(response))
        return response

    def _tell_of_silence(self, connection: _UnixConnection, within: float) -> None:
        """Call `silence` if the answer is late: `QUIET` seconds after what it may take beyond `PATIENCE`."""
        quiet = max(0.0, within - PATIENCE) + QUIET
        left = self.bound(within)
        if self._silence is None or quiet >= left:
            return
        answers = select.poll()
        answers.register(connection.sock, select.POLLIN)
        if not answers.poll(quiet * 1000):
            self._silence(left - quiet)
            connection.sock.settimeout(left - quiet)

    def _dial(self, within: float) -> _UnixConnection:
        if len(os.fsencode(self.path)) > LONGEST_PATH:
            raise Refused(f"{self.path} is longer than the {LONGEST_PATH} bytes that a socket's path may have")
        kept = self._kept
        if kept is None or kept.sock is None or _hung_up(kept.sock):
            self.close()
            kept = self._kept = _UnixConnection(self.path, within)
            with _dialled(self.path):
                kept.connect()
        kept.sock.settimeout(within)
        return kept

    def _chunks(self, response: http.client.HTTPResponse, size: int | None) -> Iterator[bytes]:
        """The body, piece by piece. Only reading is guarded: an error of the consumer's is not the daemon's."""
        read = 0
        while piece := self._read(response, _CHUNK):
            read += len(piece)
            yield piece
        if size is not None and read < size:
            raise _hung_up_on(self.path, f"{read} of {size} bytes came")

    def _read(self, response: http.client.HTTPResponse, at_most: int | None = None) -> bytes:
        with self._told():
            return response.read(at_most)

    @contextmanager
    def _told(self) -> Iterator[None]:
        """Raise what goes wrong on the connection as one of our own errors, and close that connection."""
        try:
            yield
        except TimeoutError as error:
            self.close()
            raise Unavailable(f"the daemon at {self.path} did not answer in time: {_SILENT}") from error
        except (OSError, http.client.HTTPException) as error:
            self.close()
            raise _hung_up_on(self.path, f"{type(error).__name__} {error}") from error


def _lines(response: http.client.HTTPResponse) -> Iterator[bytes]:
    """The complete lines of an answer as they come. Iterating the response would take a broken connection for its end.

    Raises:
        IncompleteRead: the connection broke.
    """
    rest = b""
    while piece := response.read1(_CHUNK):
        *whole, rest = (rest + piece).split(b"\n")
        yield from whole


def _hung_up(sock: socket.socket) -> bool:
    """Whether the other side has closed a connection that nothing is expected on."""
    sock.settimeout(0)
    try:
        return sock.recv(1, socket.MSG_PEEK) == b""
    except BlockingIOError:
        return False
    except OSError:
        return True


def _fill(template: str, params: Mapping[str, Any]) -> tuple[str, Mapping[str, Any]]:
    """The path `template` with its parameters filled in, and the parameters that are not in it.

    Raises:
        Refused: a parameter of the path is empty.
    """
    left = dict(params)
    parts = []
    for part in template.split("/"):
        if part.startswith("{"):
            name, _, kind = part.strip("{}").partition(":")
            said = str(left.pop(name))
            if not said:
                raise Refused(f"the {name} is empty")
            parts.append(quote(said, safe="/" if kind == "path" else ""))
        else:
            parts.append(part)
    return "/".join(parts), left


@contextmanager
def _text_only(*said: Any) -> Iterator[None]:
    """Refuse what JSON cannot carry: bytes of a command line that are not UTF-8, and what is nested too deep."""
    try:
        yield
    except UnicodeEncodeError as error:
        from darumad.control.unsent import unsent  # noqa: PLC0415 - needed for what cannot be sent only

        problems = [problem for each in said for problem in unsent(each)]
        raise Refused("what was said is no text in UTF-8", problems=problems) from error
    except RecursionError as error:
        raise Refused("what was said is nested too deep to be sent") from error


@contextmanager
def _dialled(path: Path) -> Iterator[None]:
    """Raise a failed connect as one of our own errors, by its cause."""
    try:
        yield
    except PermissionError as error:
        raise Refused(f"you may not open {path}", code="denied") from error
    except (FileNotFoundError, ConnectionRefusedError) as error:
        if path.exists() and not path.is_socket():
            raise Unavailable(f"{path} is no socket", code="no_socket") from error
        raise Unavailable(f"no daemon answers at {path}", code="unreachable") from error
    except (TimeoutError, BlockingIOError) as error:
        raise TimeoutError from error  # so many call that the kernel keeps no more of them waiting
    except OSError as error:
        raise Unavailable(f"{path} is no socket: {error.strerror}", code="no_socket") from error


def _hung_up_on(path: Path, how: str) -> Unavailable:
    return Unavailable(f"the daemon at {path} hung up: {how}", code="hung_up")


def _as_error(status: int, retry_after: str | None, body: bytes) -> DarumaError:
    """The error that the daemon sent, in the family of its status. A code that we do not know becomes the family's."""
    try:
        said = json.loads(body)
        detail = str(said.get("detail") or said.get("title") or status)
    except (ValueError, AttributeError):
        said, detail = {}, f"the daemon answered {status}"
    code = said.get("code") if said.get("code") in CODES else None
    if status in _NOT_NOW:
        return Unavailable(detail, code=code, retry_after=float(retry_after) if retry_after else None)
    if status >= _HTTP_BROKEN:
        return Broken(detail, code=code)
    problems = [Problem(str(each.get("pointer")), str(each.get("detail"))) for each in said.get("errors") or ()]
    return Refused(detail, code=code, problems=problems)
