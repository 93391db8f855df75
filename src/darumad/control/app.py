"""The app: the operations over HTTP, one endpoint each, all of one shape: who asks, what is asked, do it, answer."""

from collections.abc import Awaitable, Callable

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route as HttpRoute

from darumad.control import on_daemon, problem
from darumad.control.border import body_of, checked, chunks_of
from darumad.control.desk import Ask, Desk
from darumad.control.operations import OPERATIONS, Operation
from darumad.control.peers import Caller, caller_of
from darumad.errors import Broken, DarumaError, Refused

Endpoint = Callable[[Request], Awaitable[Response]]
_NOTHING: dict[str, object] = {}
_OUR_NAMES = frozenset({"localhost", "127.0.0.1", "::1", "[::1]"})


def control_app(desk: Desk) -> Starlette:
    """Everything there is, for the control socket."""
    routes = [
        HttpRoute(each.route.path, _endpoint(desk, each), methods=[each.route.method]) for each in OPERATIONS.values()
    ]
    return _app(routes + _probes(desk))


def metrics_app(desk: Desk) -> Starlette:
    """What a scraper and a prober need, for a loopback port: read only, whoever asks."""

    async def metrics(_: Request) -> Response:
        return await on_daemon.metrics(desk)

    routes = [HttpRoute("/metrics", metrics, methods=["GET"]), *_probes(desk)]
    return _app([HttpRoute(each.path, _local_only(each.endpoint), methods=["GET"]) for each in routes])


def _local_only(endpoint: Endpoint) -> Endpoint:
    """Refuses what a web page in a browser asks of a loopback port, also under a name that it made point there."""

    async def guarded(request: Request) -> Response:
        if request.url.hostname not in _OUR_NAMES:
            return Response("this is not the host you asked for\n", 421)
        if "origin" in request.headers or request.headers.get("sec-fetch-site") == "cross-site":
            return Response("not for web pages\n", 403)
        return await endpoint(request)

    return guarded


def _app(routes: list[HttpRoute]) -> Starlette:
    return Starlette(routes=routes, exception_handlers={404: _unknown, 405: _unknown})


def _probes(desk: Desk) -> list[HttpRoute]:
    async def livez(_: Request) -> Response:
        return await on_daemon.live(desk)

    async def readyz(_: Request) -> Response:
        return await on_daemon.ready(desk)

    return [HttpRoute("/livez", livez, methods=["GET"]), HttpRoute("/readyz", readyz, methods=["GET"])]


def _endpoint(desk: Desk, operation: Operation) -> Endpoint:
    async def endpoint(request: Request) -> Response:
        try:
            return await _answer(desk, operation, request)
        except DarumaError as error:
            return problem.answer(error, request.url.path)
        except OSError as error:
            desk.house.report(operation.route.name, error)
            return problem.answer(Broken(f"the disk would not: {error}", code="io_error"), request.url.path)
        except Exception as error:  # noqa: BLE001 - the caller is told that it is our defect; the log says which
            desk.house.report(operation.route.name, error)
            return problem.answer(Broken(f"{operation.route.name} failed inside"), request.url.path)

    return endpoint


async def _answer(desk: Desk, operation: Operation, request: Request) -> Response:
    caller, route = caller_of(request.scope["client"]), operation.route
    if route.writes and not caller.may_write:
        raise Refused(f"{route.name} is for the daemon's own user and root, and you are {caller.by}", code="denied")
    # A body that is streamed is the operation's to read; a GET has none.
    reads = not operation.streams and route.method != "GET"
    sent = await body_of(request, route.limit) if reads else _NOTHING
    query = dict(request.query_params) if request.scope["query_string"] else {}
    asked = checked(operation.request, sent, request.path_params, query)
    answer = await operation.run(desk, _ask(request, operation, caller, sent), asked)
    if isinstance(answer, Response):
        return answer
    return Response(answer.model_dump_json(), media_type="application/json")


def _ask(request: Request, operation: Operation, caller: Caller, sent: dict[str, object]) -> Ask:
    async def gone() -> None:
        while (await request.receive())["type"] != "http.disconnect":
            pass

    headers = request.headers
    return Ask(
        caller=caller,
        operation=operation.route.name,
        sent=sent,
        body=chunks_of(request, operation.route.limit),
        gone=gone,
        key=headers.get("idempotency-key"),
        accepts=headers.get("accept", ""),
        resume_from=headers.get("last-event-id"),
    )


async def _unknown(request: Request, _: Exception) -> Response:
    refusal = Refused(f"there is no {request.method} {request.url.path}", code="unknown_operation")
    return problem.answer(refusal, request.url.path)
