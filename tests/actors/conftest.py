from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.actors.company import Company


@pytest.fixture
def company(tmp_path: Path) -> Iterator[Callable[..., Company]]:
    """Makes the one company of a test; `start` it when it is as the test wants it."""
    with ExitStack() as stack:
        yield lambda **given: Company(tmp_path, stack, **given)
