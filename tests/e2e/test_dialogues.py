"""The installed daemon and what was said before: a dialogue that is handed in stands before the description."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from darumad.sim import Reply, Rule, Simulation
from tests.kit.daemon import Daemon

TALK = [{"role": "user", "text": "Name a colour."}, {"role": "assistant", "text": "Blue."}]


@pytest.fixture
def sim() -> Iterator[Simulation]:
    with Simulation("ollama") as running:
        running.play(Rule(id="answers", script=(Reply(text="Green."),)))
        yield running


@pytest.fixture
def daemon(house: Callable[..., Daemon], sim: Simulation) -> Daemon:
    provider = {"kind": "ollama", "base_url": sim.url("ollama"), "model": "llama3.2"}
    return house({"provider": {"use": "ollama"}, "providers": {"ollama": provider}, "executors": {"count": 2}}).start()


def heard(sim: Simulation, item: str) -> list[tuple[str, str]]:
    """The dialogue that the model was last shown for this item, but for what it is told of the whole."""
    asked = [each.body["messages"] for each in sim.attempts() if f"[[sim:{item}]]" in str(each.body)]
    return [(each["role"], each["content"]) for each in asked[-1] if each["role"] != "system"]


def ask(daemon: Daemon, item: str, says: str, **fields: Any) -> None:
    text = f"[[sim:{item}]] {says}"
    stages = ["optimize", "execute"]
    daemon.client.submit({"id": item, "description": text, "stages": stages, "challenge": False, **fields})
    assert daemon.settled(item)["state"] == "succeeded"


def test_a_dialogue_is_handed_in_and_gone_on(daemon: Daemon, sim: Simulation) -> None:
    ask(daemon, "next", "And another?", messages=TALK)
    *before, (role, last) = heard(sim, "next")
    assert before == [("user", "Name a colour."), ("assistant", "Blue.")]
    assert (role, "And another?" in last, "Blue." in last) == ("user", True, False)
    assert daemon.client.call("result", id="next")["text"] == "Green."
