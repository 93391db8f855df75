"""What an item requires of its agent, on the installed daemon: refused, done, left over a restart, and gone on with."""

from collections.abc import Callable, Mapping
from typing import Any

import yaml

from tests.kit.daemon import Daemon


def _offering(*words: str) -> Mapping[str, Any]:
    agents = {"mine": {"template": "echo", "offers": list(words)}}
    return {"executors": {"count": 2}, "provider": {"use": "offline"}, "agents": agents}


def test_an_item_waits_over_restarts_for_an_agent_that_offers_what_it_requires(house: Callable[..., Daemon]) -> None:
    daemon = house(_offering("gpu", "git")).start()
    refused = daemon.run("submit", "Say hello", "--agent", "echo", "--requires", "gpu")
    assert refused.returncode == 2
    assert "/requires/0: agent echo does not offer gpu; name one as `agent` that does: mine" in refused.stderr
    offered = daemon.run("agents", "show", "mine").stdout
    assert "offers    git, gpu\n" in offered
    daemon.run("pause")
    said = daemon.run("submit", "Say hello", "--id", "a", "--agent", "mine", "--requires", "gpu", "--requires", "git")
    assert said.returncode == 0, said.stderr
    daemon.stop()

    daemon.config.write_text(yaml.safe_dump(_offering("git")))
    daemon.start()
    daemon.run("resume")
    daemon.submit("plain", agent="mine")
    assert daemon.settled("plain")["state"] == "succeeded"
    shown = daemon.run("work", "show", "a").stdout
    assert "state        ready\n" in shown
    assert "requires     gpu, git\n" in shown
    assert "waits for    agent mine, which no longer offers gpu: let `agents.mine.offers` say so again" in shown
    daemon.stop()

    daemon.config.write_text(yaml.safe_dump(_offering("gpu", "git")))
    daemon.start()
    assert daemon.settled("a")["state"] == "succeeded"
    assert daemon.item("a")["attempt"] == 1
