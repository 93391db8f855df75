"""How large the stacks of new threads are, the only door to it: the process has one size at a time for all of them.

Whoever begins a thread elsewhere while an actor's is begun gets one as small as an actor's.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

WHOLE = 0
"""What the system gives by itself."""
_lock = threading.Lock()


@contextmanager
def stacks_of(size: int) -> Iterator[None]:
    """Threads that are begun in here have a stack of `size` bytes."""
    with _lock:
        before = threading.stack_size(size)
        try:
            yield
        finally:
            threading.stack_size(before)


def begin(thread: threading.Thread, size: int = WHOLE) -> None:
    """Start `thread` with a stack of `size` bytes."""
    with stacks_of(size):
        thread.start()
