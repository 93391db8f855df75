"""Routes: what each operation is called on the wire. One table for server and client; standard library only."""

from collections.abc import Mapping

from darumad.values import Value

BODY_LIMIT = 1 << 20
"""Bytes that a request's body may have where nothing else is said."""
BATCH_LIMIT = 16 << 20
"""Bytes that a batch may have."""
UPLOAD_LIMIT = 1 << 30
"""Bytes that one uploaded file or packed directory may have."""


class Route(Value):
    """One operation's method and path. `writes` needs the daemon's own user or root; `limit` is in bytes of body."""

    name: str
    method: str
    path: str
    writes: bool = False
    limit: int = BODY_LIMIT


ROUTES: Mapping[str, Route] = {
    each.name: each
    for each in (
        Route("submit", "POST", "/v1/work", writes=True),
        Route("batch", "POST", "/v1/batch", writes=True, limit=BATCH_LIMIT),
        Route("work list", "GET", "/v1/work"),
        Route("work show", "GET", "/v1/work/{id}"),
        Route("work wait", "GET", "/v1/work/{id}/wait"),
        Route("work cancel", "POST", "/v1/work/{id}/cancel", writes=True),
        Route("cancel many", "POST", "/v1/work/cancel", writes=True),
        Route("retry many", "POST", "/v1/work/retry", writes=True),
        Route("work retry", "POST", "/v1/work/{id}/retry", writes=True),
        Route("work answer", "POST", "/v1/work/{id}/answer", writes=True),
        Route("work edit", "POST", "/v1/work/{id}/edit", writes=True),
        Route("work purge", "POST", "/v1/work/{id}/purge", writes=True),
        Route("result", "GET", "/v1/work/{id}/result"),
        Route("artifacts get", "GET", "/v1/work/{id}/artifacts/{name:path}"),
        Route("upload", "PUT", "/v1/blobs/{sha256}", writes=True, limit=UPLOAD_LIMIT),
        Route("status", "GET", "/v1/status"),
        Route("tree", "GET", "/v1/tree"),
        Route("agents list", "GET", "/v1/agents"),
        Route("agents restart", "POST", "/v1/agents/{name:path}/restart", writes=True),
        Route("agents show", "GET", "/v1/agents/{name:path}"),
        Route("estimate", "POST", "/v1/estimate"),
        Route("budgets show", "GET", "/v1/budgets"),
        Route("budgets set", "POST", "/v1/budgets/{scope}", writes=True),
        Route("budgets reset", "POST", "/v1/budgets/{scope}/reset", writes=True),
        Route("providers list", "GET", "/v1/providers"),
        Route("providers check", "POST", "/v1/providers/{name}/check", writes=True),
        Route("secrets list", "GET", "/v1/secrets"),
        Route("secrets set", "POST", "/v1/secrets/{name}", writes=True),
        Route("secrets remove", "POST", "/v1/secrets/{name}/remove", writes=True),
        Route("secrets rotate", "POST", "/v1/secrets", writes=True),
        Route("events", "GET", "/v1/events"),
        Route("health", "GET", "/v1/health"),
        Route("metrics", "GET", "/metrics"),
        Route("samples", "GET", "/v1/metrics"),
        Route("drain", "POST", "/v1/drain", writes=True),
        Route("pause", "POST", "/v1/pause", writes=True),
        Route("panic", "POST", "/v1/panic", writes=True),
        Route("resume", "POST", "/v1/resume", writes=True),
        Route("stop", "POST", "/v1/stop", writes=True),
        Route("version", "GET", "/version"),
    )
}
