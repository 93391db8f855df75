"""A restart of an agent takes up the whole of its changed file, at the border too."""

from pathlib import Path

import pytest

from darumad.settings import AgentSettings
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


def test_a_restart_takes_up_how_items_are_accepted_and_which_stages_they_walk(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = home / "mine.py"
    file.write_text(FILE.format(word="before", form=False, stages="(Stage.OPTIMIZING, Stage.EXECUTING)"))
    agents = {"mine": AgentSettings(template=str(file), isolation="none", count=1)}
    with served(settings(home, agents=agents), monkeypatch) as daemon:
        call = daemon.client.call
        assert daemon.client.submit({"id": "vague", "description": "do it", "agent": "mine"})["state"] == "parked"
        file.write_text(FILE.format(word="after", form=True, stages="(Stage.EXECUTING,)"))
        call("agents restart", {}, name="mine")
        eventually(lambda: call("agents show", name="mine")["template"] == "after", PATIENCE)
        assert call("agents show", name="mine")["stages"] == ["executing"]
        assert daemon.client.submit({"id": "fine", "description": "do it", "agent": "mine"})["state"] == "ready"
        assert daemon.client.wait("fine", within=PATIENCE)["state"] == "succeeded"
