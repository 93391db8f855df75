"""The app: the operations over HTTP. One table says who answers where, and nothing stands between it and the server.

The endpoints are all of one shape: who asks, what is asked, do it, answer.
"""

from collections.abc import Awaitable, Callable, Mapping
from urllib.parse import unquote, urlsplit

from starlette.responses import Response
from starlette.routing import compile_path
from starlette.types import ASGIApp, Receive, Scope, Send

from darumad.control import on_daemon, problem
from darumad.control.border import Json, Request, body_of, checked
from darumad.control.desk import Ask, Desk
from darumad.control.operations import OPERATIONS, Operation
from darumad.control.peers import peer_of
from darumad.errors import Broken, DarumaError, Refused
from darumad.values import Value

Endpoint = Callable[[Request], Awaitable[ASGIApp]]
Place = tuple[str, str]
"""A method and a path, which may have places with names: `/v1/work/{id}`."""
_NOTHING: dict[str, object] = {}
_OUR_NAMES = frozenset({"localhost", "127.0.0.1", "::1"})


class App:
    """A table of endpoints as an ASGI app. Paths as they stand are looked up; then those with places, in their order.

    Who may ask by GET may ask by HEAD.
    """

    def __init__(self, endpoints: Mapping[Place, Endpoint]) -> None:
        self._plain = {place: endpoint for place, endpoint in endpoints.items() if "{" not in place[1]}
        shaped = {place: endpoint for place, endpoint in endpoints.items() if place not in self._plain}
        self._shaped = [(method, compile_path(path)[0], endpoint) for (method, path), endpoint in shaped.items()]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers one request."""
        endpoint, places = self._found(scope["method"], scope["path"], scope["raw_path"])
        answer = await endpoint(Request(scope, receive, places))
        await answer(scope, receive, send)

    def _found(self, asked: str, path: str, raw: bytes) -> tuple[Endpoint, Mapping[str, str]]:
        """Who answers, and what stands in the path's places: a slash that was written as %2F belongs to its place."""
        method = "GET" if asked == "HEAD" else asked
        endpoint = self._plain.get((method, path))
        if endpoint is not None:
            return endpoint, {}
        sent = raw.decode("latin-1")
        for known, shape, shaped in self._shaped:
            if known == method and (found := shape.match(sent)):
                return shaped, {name: unquote(each) for name, each in found.groupdict().items()}
        return _unknown, {}


def control_app(desk: Desk) -> App:
    """Everything there is, for the control socket."""
    routes = {(each.route.method, each.route.path): _endpoint(desk, each) for each in OPERATIONS.values()}
    return App(routes | _probes(desk))


def metrics_app(desk: Desk) -> App:
    """What a scraper and a prober need, for a loopback port: read only, whoever asks."""

    async def metrics(_: Request) -> Response:
        return await on_daemon.metrics(desk)

    routes: dict[Place, Endpoint] = {("GET", "/metrics"): metrics} | _probes(desk)
    return App({place: _local_only(endpoint) for place, endpoint in routes.items()})


def _local_only(endpoint: Endpoint) -> Endpoint:
    """Refuses what a web page in a browser asks of a loopback port, also under a name that it made point there."""

    async def guarded(request: Request) -> ASGIApp:
        if _host_of(request) not in _OUR_NAMES:
            return Response("this is not the host you asked for\n", 421)
        if request.header(b"origin") is not None or request.header(b"sec-fetch-site") == "cross-site":
            return Response("not for web pages\n", 403)
        return await endpoint(request)

    return guarded


def _host_of(request: Request) -> str | None:
    """The name, without its port, under which somebody found the way here."""
    try:
        return urlsplit(f"//{request.header(b'host') or 'localhost'}").hostname
    except ValueError:
        return None


def _probes(desk: Desk) -> dict[Place, Endpoint]:
    async def livez(_: Request) -> ASGIApp:
        return await on_daemon.live(desk)

    async def readyz(_: Request) -> ASGIApp:
        return await on_daemon.ready(desk)

    return {("GET", "/livez"): livez, ("GET", "/readyz"): readyz}


def _endpoint(desk: Desk, operation: Operation) -> Endpoint:
    async def endpoint(request: Request) -> ASGIApp:
        try:
            return await _answer(desk, operation, request)
        except DarumaError as error:
            return problem.answer(error, request)
        except OSError as error:
            desk.daemon.report(operation.route.name, error, request.trace_id)
            return problem.answer(Broken(f"the disk would not: {error}", code="io_error"), request)
        except Exception as error:  # noqa: BLE001 - the caller is told that it is our defect; the log says which
            desk.daemon.report(operation.route.name, error, request.trace_id)
            told = f"{operation.route.name} failed inside; in the log it has the trace_id {request.trace_id}"
            return problem.answer(Broken(told), request)

    return endpoint


async def _answer(desk: Desk, operation: Operation, request: Request) -> ASGIApp:
    peer, route = peer_of(request.client), operation.route
    if route.writes and not peer.may_write:
        raise Refused(f"{route.name} is for the daemon's own user and root, and you are {peer.by}", code="denied")
    # A body that is streamed is the operation's to read; a GET has none.
    reads = not operation.streams and route.method != "GET"
    sent = await body_of(request, route.limit) if reads else _NOTHING
    ask = Ask(peer, route, sent, request)
    try:
        asked = checked(operation.request, sent, request.places, request.parameters)
    except Refused as refused:
        raise (refused if operation.rest is None else operation.rest(desk, ask, refused)) from None
    answer = await operation.run(desk, ask, asked)
    return Json(answer) if isinstance(answer, Value | Mapping) else answer


async def _unknown(request: Request) -> Response:
    refusal = Refused(f"there is no {request.method} {request.path}", code="unknown_operation")
    return problem.answer(refusal, request)
