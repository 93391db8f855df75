"""What is logged while a test listens."""

from collections.abc import Iterator
from contextlib import contextmanager

import structlog
from structlog.testing import LogCapture
from structlog.typing import EventDict, Processor


@contextmanager
def captured_logs(*processors: Processor) -> Iterator[list[EventDict]]:
    """Every line that is logged meanwhile, on whatever thread, as these processors leave it.

    structlog's own `capture_logs` empties and fills the one list that other threads are going through: an actor that
    logs just then falls.
    """
    before, capture = structlog.get_config()["processors"], LogCapture()
    structlog.configure(processors=[*processors, capture])
    try:
        yield capture.entries
    finally:
        structlog.configure(processors=before)
