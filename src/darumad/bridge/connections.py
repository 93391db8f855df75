"""The connections of a loop that does not turn, shut down from outside.

Whoever answers at their other end is to stop, for what it says is heard by nobody and may be paid for. The loop itself
closes them when its thread comes back to itself; only the kernel may be asked for them until then.
"""

import asyncio
import os
import socket
import stat
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

_INTERNET = frozenset({socket.AF_INET, socket.AF_INET6})


def hang_up(loop: asyncio.AbstractEventLoop) -> int:
    """Shut down each connection over the network that `loop` listens to; how many. Their descriptors stay the loop's.

    Only for a loop whose thread is held up: one that turns closes descriptors, and others are given the same numbers.
    """
    return sum(_shut_down(each) for each in _listened_to(loop))


def _listened_to(loop: asyncio.AbstractEventLoop) -> Iterator[int]:
    """The descriptors that the loop's epoll instance has, as Linux tells; none where it does not."""
    epoll = loop._get_backend_id()  # type: ignore[attr-defined] # noqa: SLF001 - libuv's uv_backend_fd, which is public there
    with suppress(OSError):
        for line in Path(f"/proc/self/fdinfo/{epoll}").read_text().splitlines():
            if line.startswith("tfd:"):
                yield int(line.split()[1])


def _shut_down(descriptor: int) -> bool:
    try:
        if not stat.S_ISSOCK(os.fstat(descriptor).st_mode):
            return False
        with socket.socket(fileno=os.dup(descriptor)) as connection:
            if connection.family not in _INTERNET:
                return False
            connection.shutdown(socket.SHUT_RDWR)
    except OSError:  # it is closed, or no connection any more
        return False
    return True
