"""A goal on the installed daemon: a model breaks it up, a kill costs nothing, and its items are done in order."""

import json
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from darumad.agents.templates import echo
from darumad.sim import Reply, Rule, Simulation
from tests.kit import eventually
from tests.kit.daemon import PATIENCE, Daemon

PIECE = {"phase": "analysis", "priority": 5, "requirements": [], "success_criteria": ""}
PLAN = {
    "items": [
        {**PIECE, "key": "write", "description": "[[sim:write]] Write the report", "depends_on": []},
        {**PIECE, "key": "check", "description": "[[sim:check]] Check the report", "depends_on": ["write"]},
    ]
}
GOAL = "[[sim:goal]] Publish the yearly report on the website"


@pytest.fixture
def sim() -> Iterator[Simulation]:
    with Simulation("ollama") as running:
        running.play(
            Rule(id="plans", script=(Reply(text=json.dumps(PLAN)),)),
        )
        yield running


@pytest.fixture
def daemon(house: Callable[..., Daemon], sim: Simulation) -> Daemon:
    provider = {"kind": "ollama", "base_url": sim.url("ollama"), "model": "llama3.2"}
    agents = {"executor": {"template": "echo", "count": 2}}
    settings = {"provider": {"use": "ollama"}, "providers": {"ollama": provider}, "agents": agents}
    return house(settings).start()


def test_a_goal_becomes_items_that_outlive_a_kill_and_the_plan_is_paid_for_once(
    daemon: Daemon, sim: Simulation
) -> None:
    daemon.client.submit({"id": "goal", "description": GOAL, "role": "orchestrator", "labels": {"of": "report"}})
    assert daemon.settled("goal")["state"] == "succeeded"
    daemon.kill()
    daemon.start()
    write, check = daemon.client.call("result", id="goal")["data"]["items"]
    assert check["depends_on"] == [write["id"]]
    done = [daemon.settled(each["id"]) for each in (write, check)]
    assert [(each["state"], each["asked"]["labels"]) for each in done] == [("succeeded", {"of": "report"})] * 2
    assert done[0]["finished_at"] <= done[1]["started_at"]
    assert len(daemon.client.call("work list", parent="goal")["items"]) == 2
    assert Counter(each.key for each in sim.attempts() if each.path == "/api/chat") == {"goal": 1}


def test_a_goal_waits_for_who_could_do_what_it_plans(house: Callable[..., Daemon], tmp_path: Path) -> None:
    template, works = tmp_path / "own.py", Path(echo.__file__).read_text()
    template.write_text(works)
    agents = {"executor": {"template": str(template), "isolation": "none", "count": 1}}
    daemon = house({"provider": {"use": "offline"}, "agents": agents}).start()
    template.write_text("from darumad.agents import Tempalte\n")
    assert daemon.run("agents", "restart", "executor").returncode == 0
    goal = {"id": "goal", "role": "orchestrator", "description": "Get the house ready\n- [ ] say where the towels are"}
    daemon.client.submit(goal)
    why = f"agent orchestrator, which cannot be made: {template}: "
    eventually(lambda: (daemon.item("goal")["waits_for"] or "").startswith(why), PATIENCE)
    template.write_text(works)
    assert daemon.run("agents", "restart", "executor").returncode == 0
    assert daemon.run("agents", "restart", "orchestrator").returncode == 0
    done = daemon.settled("goal")
    assert (done["state"], done["attempt"], done["failures"]) == ("succeeded", 1, 0)
