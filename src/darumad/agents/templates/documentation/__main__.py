"""The reader's process: one JSON request on stdin, one JSON answer on stdout.

Parsing a package takes seconds of CPU, and a package may be hostile: so it is done here, behind limits, and never in
the daemon.
"""

import logging
import os
import resource
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import orjson

from darumad.agents.templates.documentation.audit import audit
from darumad.agents.templates.documentation.finding import NotFound, find_installed, find_uploaded
from darumad.agents.templates.documentation.inventory import Entry, Package
from darumad.agents.templates.documentation.page import Descriptions, render_page
from darumad.agents.templates.documentation.reading import read_package
from darumad.values import asdict

CPU_SECONDS = 300
MEMORY = 4 * 2**30
"""Bytes of address space: a package that needs more is not read."""


def main() -> int:
    """Answer the one request: `{"answer": ...}`, or `{"refused": why}` when there is nothing to read."""
    _limit()
    logging.getLogger("griffe").setLevel(
        logging.CRITICAL
    )  # what it doubts in other people's docstrings is not our news
    request = orjson.loads(sys.stdin.buffer.read())
    try:
        answer: dict[str, Any] = {"answer": _DOES[request["do"]](request)}
    except NotFound as error:
        answer = {"refused": str(error)}
    sys.stdout.buffer.write(orjson.dumps(answer))
    sys.stdout.buffer.flush()
    return 0


def _write(request: Mapping[str, Any]) -> dict[str, Any]:
    """Write the page; say what is in it, and of the first names that nobody describes what a model needs to."""
    package = _read(request)
    descriptions = Descriptions(request.get("descriptions", {}), request.get("author", ""))
    _put(Path(request["page"]), render_page(package, descriptions).encode())
    undescribed = package.undescribed()
    return {
        "package": package.name,
        "modules": len(package.modules),
        "names": len(package.anchors()),
        "unread": [asdict(each) for each in package.unread],
        "undescribed": len(undescribed),
        "to_describe": [_to_describe(each) for each in undescribed[: request.get("most", 0)]],
    }


def _check(request: Mapping[str, Any]) -> dict[str, Any]:
    """Hold the page as it is on disk now against the package as it is now. A page that is gone misses everything."""
    path = Path(request["page"])
    page = path.read_bytes().decode("utf-8", "replace") if path.is_file() else ""
    return asdict(audit(_read(request), page))


def _read(request: Mapping[str, Any]) -> Package:
    said, upload = request["package"], request.get("upload")
    if upload:
        return read_package(*find_uploaded(said, request["called"], Path(upload)))
    return read_package(said, find_installed(said, sys.path))


def _to_describe(entry: Entry) -> dict[str, str]:
    return {"name": entry.path, "kind": entry.kind.value, "source": entry.excerpt or "\n".join(entry.signatures)}


def _put(path: Path, data: bytes) -> None:
    """Whole or not at all: nobody ever sees half a page."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.partial")
    partial.write_bytes(data)
    os.replace(partial, path)  # noqa: PTH105 - over whatever stands there, a link too


def _limit() -> None:
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_SECONDS, CPU_SECONDS))
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


_DOES: Mapping[str, Callable[[Mapping[str, Any]], dict[str, Any]]] = {"write": _write, "check": _check}

if __name__ == "__main__":
    sys.exit(main())
