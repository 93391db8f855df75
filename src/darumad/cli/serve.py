"""`daruma serve`: the daemon itself, in the foreground."""

import gc
import os
import signal
import sys
from pathlib import Path

import click

from darumad.cli.paths import PathType

_YOUNG = 5_000
"""New objects after which they are looked through. Python's own 700 are fewer than a batch of items has on its way."""


@click.command()
@click.option("--config", type=PathType(), metavar="FILE", help="The settings file.")
def serve(config: Path | None) -> None:
    """Run the daemon in the foreground, until a signal or `daruma stop` ends it.

    Ends with 0 when it was stopped, 64 and 78 for what a restart would not mend (the call, the settings), and 70, 74 or
    75 for what another start may: it fell too often, the disk failed, something hung.
    """
    _outlive_harmless_signals()
    gc.disable()  # until all stands: what starting makes stays, and looking through it takes a twentieth of the time
    from darumad.daemon import run  # noqa: PLC0415 - the whole house, which no other command needs
    from darumad.settings import load  # noqa: PLC0415 - the same

    _leave(run(load(config, os.environ), stands=collect))


def collect() -> None:
    """Collect garbage, and never among what stands by now: each look through it held every thread for 70 ms."""
    gc.set_threshold(_YOUNG)
    gc.enable()
    gc.freeze()


def _outlive_harmless_signals() -> None:
    """What asks for the log's file to be opened anew ends nobody, not even before the house listens for it.

    No SIG_IGN: what an agent starts would inherit it.
    """
    for number in (signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2):
        signal.signal(number, lambda *_: None)


def _leave(code: int) -> None:
    """End the process, which the house has left in order: the interpreter would wait for every thread of an agent."""
    for each in (sys.stdout, sys.stderr):
        each.flush()
    os._exit(code)
