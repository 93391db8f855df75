"""The standard streams: those that the process was started without lead nowhere from here on.

A number that stays closed goes to whatever is opened next, and what then writes to stderr writes into that.
"""

import os
import sys


def open_the_closed() -> None:
    """Opens `/dev/null` for each of them that is closed, lowest first: so it gets that one's number.

    `sys.stdin` stays None: that there is nothing to read is no empty text. The others take whatever is said, as stderr
    always does: a path may hold what is no text.
    """
    for name in ("stdin", "stdout", "stderr"):
        if getattr(sys, name) is None:
            descriptor = os.open(os.devnull, os.O_RDWR)
            os.set_inheritable(descriptor, True)  # noqa: FBT003 - as os takes it
            if name != "stdin":
                setattr(sys, name, os.fdopen(descriptor, "w", errors="backslashreplace"))
