"""How a command ends: its exit code, and on stderr what went wrong and what to do next."""

import contextlib
import errno
import os
import sys
from collections.abc import Sequence
from pathlib import Path

import click

from darumad.errors import DarumaError, Refused

OK, WORK_FAILED, USAGE, PARKED, WAIT_EXPIRED, BAD_INVOCATION, BAD_SETTINGS = 0, 1, 2, 5, 7, 64, 78
INTERRUPTED, NOBODY_READS = 130, 141
_NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO})
"""How a file that the output was led to fails."""
_COMPLETION = "_DARUMA_COMPLETE"


def ended(command: click.Command, argv: Sequence[str]) -> int:
    """Runs `command`; its exit code, with everything said that there is to say."""
    try:
        return _run(command, argv)
    except DarumaError as error:
        say_error(error)
        return error.entry.exit
    except click.ClickException as error:
        error.show()
        # The daemon itself has a code of its own for this, which its unit knows not to restart on.
        return BAD_INVOCATION if argv[:1] == ["serve"] else USAGE
    except (click.Abort, KeyboardInterrupt):
        return INTERRUPTED
    except BrokenPipeError:
        _forget_stdout()
        return NOBODY_READS
    except OSError as error:
        refused = _refusal(error)
        if refused is None:
            raise
        say_error(refused)
        return refused.entry.exit


def _refusal(error: OSError) -> Refused | None:
    """What lies behind `error` where it is none of ours: one is called from nowhere, or no answer could be printed."""
    if _nowhere():
        return Refused("the directory that this was called in is not there any more", code="no_directory")
    if error.filename is not None or error.errno not in _NO_ROOM:
        return None
    _forget_stdout()
    return unwritten("the output", error)


def _nowhere() -> bool:
    """Whether nothing can be found from here: the working directory was removed."""
    try:
        os.getcwd()  # noqa: PTH109 - a path is not wanted
    except FileNotFoundError:
        return True
    return False


def _run(command: click.Command, argv: Sequence[str]) -> int:
    if _COMPLETION in os.environ:
        command.main(list(argv), prog_name="daruma")
    try:
        with command.make_context("daruma", list(argv)) as context:
            command.invoke(context)
    except click.exceptions.Exit as exit_:
        return exit_.exit_code
    return OK


def unwritten(place: Path | str, error: OSError) -> Refused:
    """The refusal of a place on the caller's side that cannot be written to: it is full or failing, or is none."""
    code = "cannot_write" if error.errno in _NO_ROOM else "no_such_place"
    return Refused(f"{place} cannot be written: {error.strerror or error}", code=code)


def say_error(error: DarumaError) -> None:
    """What went wrong, field by field, and what to do next, on stderr."""
    from darumad.cli.speaking import note  # noqa: PLC0415 - what all goes well for never speaks of an error

    lines = [f"daruma: {error.message}"]
    # What the message says in its own words is not said again with the place it was found at.
    lines += [f"  {each.pointer}: {each.detail}" for each in error.problems if each.detail not in error.message]
    lines.append(f"  -> {error.entry.next_step}")
    with contextlib.suppress(OSError):
        note("\n".join(lines))


def _forget_stdout() -> None:
    """Whoever read has gone: nothing more is written there, not even by the interpreter's own last flush."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)
