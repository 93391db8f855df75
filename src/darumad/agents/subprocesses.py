"""Heavy or risky work in a process of its own: its output drained, its time the item's, its end certain."""

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import Sequence
from typing import Any

import orjson

from darumad.agents.template import ToolFailed
from darumad.cores import any_core

_ENVIRONMENT = {"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8"}
"""All that the process sees of ours: no key, no setting, no way into it."""
_TAIL = 2_000
"""Characters of its stderr that an error tells."""


async def ask_module(module: str, request: Any) -> Any:
    """Run `module` as a program of this Python, hand it `request` as JSON on stdin, and give back the JSON it prints.

    The process has its own session, and is killed with all it started when the caller is cancelled.

    Raises:
        ToolFailed: it ended with another code than 0, was killed, or printed no JSON; with the end of what it said.
    """
    said, errors, code = await _run((sys.executable, "-I", "-m", module), orjson.dumps(request))
    if code != 0:
        how = f"was killed by signal {-code}" if code < 0 else f"ended with code {code}"
        tail = errors.decode("utf-8", "replace").strip()[-_TAIL:]
        raise ToolFailed(f"{module} {how}: {tail}" if tail else f"{module} {how}")
    try:
        return orjson.loads(said)
    except orjson.JSONDecodeError as error:
        raise ToolFailed(f"{module} printed no JSON: {error}") from error


async def _run(command: Sequence[str], stdin: bytes) -> tuple[bytes, bytes, int]:
    with any_core():
        process = await asyncio.create_subprocess_exec(
            *command,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env=_ENVIRONMENT,
            cwd="/",
            start_new_session=True,
        )
    try:
        said, errors = await process.communicate(stdin)
    finally:
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            await asyncio.shield(process.wait())
    assert process.returncode is not None
    return said, errors, process.returncode
