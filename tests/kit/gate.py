"""A gate for coroutines that any thread may open."""

import asyncio
import threading


class Gate:
    """Coroutines of any loop wait at it; once it is open, nobody waits any more."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._open = False
        self._waiting: list[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = []

    def open(self) -> None:
        """Let everybody through. From any thread."""
        with self._lock:
            self._open, waiting, self._waiting = True, self._waiting, []
        for loop, opened in waiting:
            loop.call_soon_threadsafe(opened.set)

    @property
    def is_open(self) -> bool:
        return self._open

    async def passed(self) -> None:
        """Returns when the gate is open."""
        opened = asyncio.Event()
        with self._lock:
            if self._open:
                return
            self._waiting.append((asyncio.get_running_loop(), opened))
        await opened.wait()
