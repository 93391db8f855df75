"""The command line: one file a command, imported when that command is asked for and not before.

Commands that talk to a daemon import its client and nothing else of the house; the others import their room inside
the function. Data goes to stdout, everything else to stderr.
"""

import sys
from collections.abc import Sequence

from darumad.cli.ending import BAD_SETTINGS, ended
from darumad.cli.streams import open_the_closed

__all__ = ["main"]


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command in `argv` (without the program's name); its exit code."""
    open_the_closed()
    if sys.platform != "linux":
        print(f"daruma runs on Linux; this is {sys.platform}.", file=sys.stderr)  # noqa: T201 - nothing else is loaded yet
        return BAD_SETTINGS
    from darumad.cli.group import daruma  # noqa: PLC0415 - click is not needed to say no

    return ended(daruma, list(sys.argv[1:] if argv is None else argv))
