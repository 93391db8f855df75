"""A restart of an agent takes up the whole of its changed file, at the border too."""

from pathlib import Path

import pytest

from darumad.actors import agent_at, restart_instances
from darumad.errors import Refused
from darumad.settings import AgentSettings, Settings
from tests.daemon.serving import PATIENCE, served, settings
from tests.kit import eventually

FILE = """
from darumad.agents import Template
from darumad.names import Stage
from darumad.work.result import StopReason, WorkResult


async def execute(item, context):
    return WorkResult(stop_reason=StopReason.COMPLETED, text="{word}", model="offline")


TEMPLATE = Template(
    name="{word}", version="1", says="Says {word}.", execute=execute, required_gates=frozenset(),
    complete_by_form={form}, stages={stages},
)
"""


def _defined(file: Path) -> Settings:
    """One instance of an agent `mine`, whose template is this file."""
    return settings(file.parent, agents={"mine": AgentSettings(template=str(file), isolation="none", count=1)})


def test_a_restart_takes_up_how_items_are_accepted_and_which_stages_they_walk(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = home / "mine.py"
    file.write_text(FILE.format(word="before", form=False, stages="(Stage.OPTIMIZING, Stage.EXECUTING)"))
    with served(_defined(file), monkeypatch) as daemon:
        call = daemon.client.call
        assert daemon.client.submit({"id": "vague", "description": "do it", "agent": "mine"})["state"] == "parked"
        file.write_text(FILE.format(word="after", form=True, stages="(Stage.EXECUTING,)"))
        call("agents restart", {}, name="mine")
        eventually(lambda: call("agents show", name="mine")["template"] == "after", PATIENCE)
        assert call("agents show", name="mine")["stages"] == ["executing"]
        assert daemon.client.submit({"id": "fine", "description": "do it", "agent": "mine"})["state"] == "ready"
        assert daemon.client.wait("fine", within=PATIENCE)["state"] == "succeeded"


def test_an_item_whose_template_cannot_be_loaded_waits_for_it_and_for_nothing_else(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = home / "mine.py"
    file.write_text("1 / 0")
    with served(_defined(file), monkeypatch) as daemon:
        assert daemon.client.call("agents show", name="mine")["stages"] == []
        vague = daemon.client.submit({"id": "vague", "description": "do it", "agent": "mine"})
        named = daemon.client.submit({"id": "named", "description": "do it", "agent": "mine", "stages": ["execute"]})
        assert (vague["state"], named["state"]) == ("ready", "ready")
        untold = "stages: the template of mine was never loaded, so nobody knows which it has, and the item walks "
        assert vague["warnings"][0].startswith(f"{untold}optimizing, executing, reviewing; name them, or ")
        assert not [each for each in named["warnings"] if each.startswith("stages")]
        file.write_text(FILE.format(word="after", form=True, stages="(Stage.EXECUTING,)"))
        daemon.client.call("agents restart", {}, name="mine")
        for name, walk in ("vague", ["optimizing", "executing", "reviewing"]), ("named", ["executing"]):
            done = daemon.client.wait(name, within=PATIENCE)
            assert (done["state"], done["asked"]["stages"]) == ("succeeded", walk)


def test_an_item_whose_template_broke_walks_as_it_said_before(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = home / "mine.py"
    file.write_text(FILE.format(word="before", form=True, stages="(Stage.EXECUTING,)"))
    with served(_defined(file), monkeypatch) as daemon:
        call = daemon.client.call
        file.write_text("1 / 0")
        call("agents restart", {}, name="mine")
        eventually(lambda: "mine" in str(call("health")["amiss"]), PATIENCE)
        assert daemon.client.submit({"id": "one", "description": "do it", "agent": "mine"})["state"] == "ready"
        assert call("work show", id="one")["asked"]["stages"] == ["executing"]
        (said,) = call("health")["held_back"]
        assert said.startswith(f"agent mine, which cannot be made: {file}")


def test_an_item_whose_template_breaks_while_the_daemon_is_down_walks_as_it_said_in_an_earlier_life(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = home / "mine.py"
    file.write_text(FILE.format(word="before", form=True, stages="(Stage.EXECUTING,)"))
    with served(_defined(file), monkeypatch):
        pass
    file.write_text("1 / 0")
    with served(_defined(file), monkeypatch) as daemon:
        daemon.client.submit({"id": "one", "description": "do it", "agent": "mine"})
        file.write_text(FILE.format(word="after", form=True, stages="(Stage.EXECUTING,)"))
        daemon.client.call("agents restart", {}, name="mine")
        done = daemon.client.wait("one", within=PATIENCE)
        assert (done["state"], done["asked"]["stages"]) == ("succeeded", ["executing"])


def test_nothing_of_the_tree_that_is_no_agent_goes_down_by_hand_and_work_goes_on(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with served(settings(home), monkeypatch) as daemon:
        call = daemon.client.call
        kept = {each["path"]: each["incarnation"] for each in call("tree")["items"] if agent_at(each["path"]) is None}
        assert {"daruma", "daruma/engine/orchestrator", "daruma/doors/control-socket"} <= kept.keys()
        for path in kept:
            with pytest.raises(Refused, match=f"{path} is no agent"):
                call("agents restart", {}, name=path)
        assert restart_instances(daemon.engine.root, kept, lambda _: None) == {}
        assert kept.items() <= {each["path"]: each["incarnation"] for each in call("tree")["items"]}.items()
        daemon.client.submit({"id": "one", "description": "Say hello to the world", "agent": "echo"})
        assert daemon.client.wait("one", within=PATIENCE)["state"] == "succeeded"
