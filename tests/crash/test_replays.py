"""An agent that asks otherwise than before its death, which a campaign meets too seldom at the end of its replay."""

import random
from pathlib import Path

from darumad.control.client import Client
from tests.crash.checker import check
from tests.crash.client import Loader
from tests.crash.failpoints import points
from tests.crash.history import read_tables
from tests.crash.houses import PATIENCE, Place, daemon, model_server, nursery, until_answering, until_drained
from tests.crash.kills import dead_file, history_of
from tests.crash.rules import DRAINED
from tests.kit import eventually

ENDS_A_REPLAY = [each for each in points() if each.startswith("bridge.steps.Steps._end_replay ")]


def submitted(place: Place) -> None:
    """One item for that agent, as a client of a campaign hands it in."""
    with place.client_log("client0").open("a") as log, Client(place.socket) as client:
        loader = Loader(client, log, "client0", random.Random(0), pace=0.0)
        assert loader._submit([loader._item("fickle")])


def test_a_death_at_the_end_of_a_replay_mixes_no_old_step_with_a_new_one(tmp_path: Path) -> None:
    place, kills = Place(tmp_path), []
    with model_server(place, faults=0.0), nursery(place) as cradle:
        cradle.bear()
        until_answering(place, lambda: cradle.dead)
        submitted(place)
        eventually(lambda: read_tables(place.database, ["step"])["step"], PATIENCE)
        cradle.kill()
        kills.append(dead_file(place, "at random"))
        for each in ENDS_A_REPLAY:
            cradle.bear(each)
            eventually(lambda: cradle.dead, PATIENCE)
            cradle.kill()
            kills.append(dead_file(place, each))
        assert place.told.read_text().split("\n")[:-1] == ENDS_A_REPLAY
        with daemon(place):
            until_drained(place)
    history = history_of(place, kills)
    assert check(history, DRAINED) == []
    assert [row["state"] for row in history.tables["item"]] == ["succeeded"]
    assert len(history.calls) == 2, "the step of the first life is gone with the second, and was made anew in the last"
