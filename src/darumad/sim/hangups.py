"""Who has hung up, by the kernel's word: the loop hears of several sockets in any order, and of each a little later."""

import select
from collections.abc import Callable

_GONE = select.EPOLLRDHUP | select.EPOLLET  # once each


class Hangups:
    """Looked at when a request comes, so that who closed a connection before it asked over another is seen to have."""

    def __init__(self) -> None:
        self._epoll = select.epoll()
        self._heard: dict[int, Callable[[], None]] = {}

    def watch(self, fd: int, heard: Callable[[], None]) -> None:
        """Call `heard` when the other end of this socket is found closed."""
        self._heard[fd] = heard
        self._epoll.register(fd, _GONE)

    def forget(self, fd: int) -> None:
        """The socket is about to be closed here."""
        del self._heard[fd]
        self._epoll.unregister(fd)

    def look(self) -> None:
        """Tell of all that are closed by now."""
        for fd, _ in self._epoll.poll(0):
            self._heard[fd]()
