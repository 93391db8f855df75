from collections.abc import Iterator

import pytest

from darumad.control import Client
from tests.control.room import Room, Served, built, serving


@pytest.fixture
def room() -> Iterator[Room]:
    with built() as room:
        yield room


@pytest.fixture
def served(room: Room) -> Iterator[Served]:
    with serving(room) as served:
        yield served


@pytest.fixture
def client(served: Served) -> Client:
    return served.client
