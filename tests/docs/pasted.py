"""What the pages tell a reader to type, pasted into a shell in a copy of the checkout, block by block."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from tests.examples.outputs import ROOT, checkout

_FENCE = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_PATIENCE = 300.0
"""Seconds after which a page will not end any more; on a machine that has nothing else to do it takes ten."""
_MARK = "=== end of block {} ==="


def blocks(page: Path, under: str = "") -> list[tuple[str, list[str]]]:
    """The page's `sh` blocks below the line that begins with `under`, each with what a `text` block promises of it."""
    text = page.read_text()
    if under:
        text = text[text.index(f"\n{under}") + 1 :]
    found: list[tuple[str, list[str]]] = []
    for tongue, body in _FENCE.findall(text):
        if tongue == "sh":
            found.append((body, []))
        elif tongue == "text":
            found[-1][1].extend(body.splitlines())
    return found


def reader(place: Path, programs: Mapping[str, str] | None = None) -> dict[str, str]:
    """A checkout at `place`, set up, and the environment of its reader; `programs` are scripts that are there too."""
    checkout(place)
    for name in ("README.md", "config", "systemd"):
        (place / name).symlink_to(ROOT / name)
    for folder in (".venv/bin", "bin", ".config/daruma"):
        (place / folder).mkdir(parents=True)
    for name in ("daruma", "python"):
        (place / ".venv/bin" / name).symlink_to(Path(sys.executable).with_name(name))
    for name, script in (programs or {}).items():
        (place / "bin" / name).write_text(f"#!/bin/sh\n{script}\n")
        (place / "bin" / name).chmod(0o755)
    return {
        "PATH": f"{place / 'bin'}:{os.environ['PATH']}",
        "HOME": os.fspath(place),
        "LANG": "C.UTF-8",
        "DARUMA_STATE_DIR": os.fspath(place / "state"),
        "DARUMA_CONTROL__SOCKET": os.fspath(place / "control.sock"),
    }


def paste(place: Path, environ: Mapping[str, str], pieces: Sequence[str]) -> list[str]:
    """What each piece showed. Whatever it left running is ended.

    Raises:
        AssertionError: a line of one failed.
    """
    script = ["set -eo pipefail", "trap 'kill $(jobs -p) 2>/dev/null || true; wait || true' EXIT"]
    for number, piece in enumerate(pieces):
        script += [piece, f"echo '{_MARK.format(number)}'"]
    (place / "pasted.sh").write_text("\n".join(script) + "\n")
    with (place / "shown").open("w+") as terminal:
        shell = subprocess.Popen(
            ["bash", "pasted.sh"],
            cwd=place,
            env=dict(environ),
            stdin=subprocess.DEVNULL,
            stdout=terminal,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            code = shell.wait(_PATIENCE)
        except subprocess.TimeoutExpired:
            code = None
        finally:
            with suppress(ProcessLookupError):
                os.killpg(shell.pid, signal.SIGKILL)
            shell.wait()
        terminal.seek(0)
        shown = terminal.read()
    assert code == 0, shown
    found = []
    for number in range(len(pieces)):
        piece, mark, shown = shown.partition(_MARK.format(number) + "\n")
        assert mark, piece
        found.append(piece)
    return found
