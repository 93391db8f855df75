"""What holds for every test: no deadline on Hypothesis, and nothing left running."""

import sys
import threading
import traceback
from collections.abc import Iterator

import pytest
from hypothesis import settings

from tests.kit import eventually

settings.register_profile("daruma", deadline=None)  # a busy machine is no fault of a rule
settings.load_profile("daruma")


@pytest.fixture(scope="module", autouse=True)
def no_thread_is_left() -> Iterator[None]:
    """What a file's tests started has ended with them: a thread left behind slows all that come after."""
    before = set(threading.enumerate())
    yield

    def left() -> list[threading.Thread]:
        return [each for each in threading.enumerate() if each not in before]

    try:
        eventually(lambda: not left())
    except AssertionError:
        pytest.fail("\n".join(_told(each) for each in left()))


def _told(thread: threading.Thread) -> str:
    frame = sys._current_frames().get(thread.ident or 0)
    return f"{thread.name} is left, in\n{''.join(traceback.format_stack(frame)) if frame else ''}"
