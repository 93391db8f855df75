"""Whose a file is and what may be done with it, as people are told who may not use it."""

import os
import pwd
import stat
from pathlib import Path


def user(uid: int) -> str:
    """The user with the number `uid`: by name too, where there is one."""
    try:
        return f"{pwd.getpwuid(uid).pw_name} (uid {uid})"
    except KeyError:
        return f"uid {uid}"


def told(path: Path, found: os.stat_result) -> str:
    """To whom `path` belongs, with which mode, and who runs this."""
    mode = stat.S_IMODE(found.st_mode)
    return f"{path} belongs to {user(found.st_uid)} with mode {mode:04o}, and this runs as {user(os.geteuid())}"
