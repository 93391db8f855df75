from collections.abc import AsyncIterator, Iterator

import pytest

from darumad.agents.providers.client import load
from darumad.sim import Simulation
from tests.agents.providers.desk import MODELS, Desk


@pytest.fixture(scope="module")
def simulation() -> Iterator[Simulation]:
    for kind in MODELS:
        load(kind)
    with Simulation() as running:
        yield running


@pytest.fixture
def sim(simulation: Simulation) -> Simulation:
    simulation.play()
    return simulation


@pytest.fixture
async def desk(sim: Simulation) -> AsyncIterator[Desk]:
    desk = Desk(sim)
    yield desk
    await desk.broker.close()


@pytest.fixture(params=sorted(MODELS))
def vendor(request: pytest.FixtureRequest, desk: Desk) -> str:
    desk.use = request.param
    return request.param
