import logging
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
import structlog

from tests.actors.company import Company


@pytest.fixture
def company(tmp_path: Path) -> Iterator[Callable[..., Company]]:
    """Makes the one company of a test; `start` it when it is as the test wants it."""
    with ExitStack() as stack:
        yield lambda **given: Company(tmp_path, stack, **given)


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    """Nothing is logged: a traceback drawn for people costs more than all else here."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    yield
    structlog.reset_defaults()
