"""A daemon for each test that asks for one, in a place short enough for a socket's path, gone afterwards."""

import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.kit.daemon import Daemon

TEMPLATES = Path(__file__).parent / "templates"
FEW = {"executors": {"count": 2}, "provider": {"use": "offline"}}
"""Two slots a role and no model."""


@pytest.fixture
def home() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="daruma-") as place:
        yield Path(place)


@pytest.fixture
def house(home: Path) -> Iterator[Callable[..., Daemon]]:
    """Makes daemons that are ended with the test, however it ends; the first lives in `home`."""
    made: list[Daemon] = []

    def make(settings: Mapping[str, Any] = FEW, **given: Any) -> Daemon:
        made.append(Daemon(given.pop("home", home), settings, **given))
        return made[-1]

    yield make
    for each in made:
        each.close()


@pytest.fixture
def daemon(house: Callable[..., Daemon]) -> Daemon:
    """One that runs, with no model."""
    return house().start()


def own(template: str, **fields: Any) -> dict[str, Any]:
    """The definition of an agent whose template lies beside these tests."""
    return {"template": str(TEMPLATES / f"{template}.py"), "isolation": "none", **fields}
