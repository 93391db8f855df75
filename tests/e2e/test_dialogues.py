"""The installed daemon and what was said before: a dialogue that is handed in, and a conversation that it keeps."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from darumad.sim import Reply, Rule, Simulation, When
from tests.kit.daemon import Daemon

TALK = [{"role": "user", "text": "Name a colour."}, {"role": "assistant", "text": "Blue."}]


@pytest.fixture
def sim() -> Iterator[Simulation]:
    with Simulation("ollama") as running:
        running.play(
            Rule(id="gated", when=When(prompt_re="Hold on"), gate="second", script=(Reply(text="Green."),)),
            Rule(id="answers", script=(Reply(text="Green."),)),
        )
        yield running


@pytest.fixture
def daemon(house: Callable[..., Daemon], sim: Simulation) -> Daemon:
    provider = {"kind": "ollama", "base_url": sim.url("ollama"), "model": "llama3.2", "concurrency": 2}
    return house({"provider": {"use": "ollama"}, "providers": {"ollama": provider}, "executors": {"count": 2}}).start()


def heard(sim: Simulation, item: str) -> list[tuple[str, str]]:
    """The dialogue that the model was last shown for this item, but for what it is told of the whole."""
    asked = [each.body["messages"] for each in sim.attempts() if each.path == "/api/chat"]
    (*_, last) = (each for each in asked if f"[[sim:{item}]]" in each[-1]["content"])
    return [(each["role"], each["content"]) for each in last if each["role"] != "system"]


def hand_in(daemon: Daemon, item: str, says: str, **fields: Any) -> None:
    text = f"[[sim:{item}]] {says}"
    stages = ["optimize", "execute"]
    daemon.client.submit({"id": item, "description": text, "stages": stages, "challenge": False, **fields})


def ask(daemon: Daemon, item: str, says: str, **fields: Any) -> None:
    hand_in(daemon, item, says, **fields)
    assert daemon.settled(item)["state"] == "succeeded"


def test_a_dialogue_is_handed_in_and_gone_on(daemon: Daemon, sim: Simulation) -> None:
    ask(daemon, "next", "And another?", messages=TALK)
    *before, (role, last) = heard(sim, "next")
    assert before == [("user", "Name a colour."), ("assistant", "Blue.")]
    assert (role, "And another?" in last, "Blue." in last) == ("user", True, False)
    assert daemon.client.call("result", id="next")["text"] == "Green."


def test_the_next_item_of_a_conversation_hears_the_earlier_ones_also_after_a_kill(
    daemon: Daemon, sim: Simulation
) -> None:
    ask(daemon, "first", "Name a colour.", conversation="talk")
    ask(daemon, "elsewhere", "Name a city.")
    said = [("user", "[[sim:first]] Name a colour."), ("assistant", "Green.")]
    hand_in(daemon, "second", "Hold on.", conversation="talk")
    sim.wait(lambda asked: any("Hold on." in str(each.body) for each in asked))
    ask(daemon, "third", "A third?", conversation="talk")
    assert heard(sim, "third")[:-1] == said
    daemon.kill()
    sim.release("second")
    daemon.start()
    assert daemon.settled("second")["state"] == "succeeded"
    assert heard(sim, "second")[:-1] == said, "a resumed attempt is shown what it was shown before"
    ask(daemon, "fourth", "And the last?", conversation="talk")
    assert [text for role, text in heard(sim, "fourth")[:-1] if role == "user"] == [
        "[[sim:first]] Name a colour.",
        "[[sim:third]] A third?",
        "[[sim:second]] Hold on.",
    ]
    listed = daemon.run("work", "list", "--conversation", "talk").stdout
    assert [name for name in ("first", "second", "third", "fourth", "elsewhere") if name in listed][-1] == "fourth"
