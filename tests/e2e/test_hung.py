"""Every slot held by calls that never answer: the daemon answers its people, and other work goes on."""

import time
from collections.abc import Callable, Iterator
from statistics import median
from typing import Any

import pytest

from darumad.sim import Fault, Reply, Rule, Simulation, When
from tests.e2e.conftest import own
from tests.kit import eventually
from tests.kit.daemon import PATIENCE, Daemon, asking
from tests.kit.hung import ENDLESS, HANGS, held, opened, settings, still_open

AT_ONCE = 0.25
"""Seconds until an answer, on a machine where the cheapest question of all takes a tenth of that at the most."""
GRACE = 5.0
"""Seconds in which a socket that is to be closed is closed on the noisiest machine; a quiet one takes hundredths."""
TIMES = 5
SLOTS = 2
WAITS = ("concurrent/futures/", "/selectors.py:", "/socket.py:", "supervision/ref.py:get")
"""Where a thread is that waits for a task, a socket or another actor."""
FIRST_SLOT = "daruma/engine/minds/executors/of-caller/caller/1"
ANSWERS = Rule(id="answers", when=When(listener="anthropic"), script=(Reply(text="the answer is {key}"),))


@pytest.fixture(scope="module")
def hanging() -> Iterator[Simulation]:
    """The model servers behind `hung`."""
    with Simulation("ollama", "anthropic") as running:
        running.play(HANGS, ANSWERS)
        yield running


@pytest.fixture(scope="module")
def hung(hanging: Simulation) -> Iterator[Daemon]:
    """A daemon whose agent `caller` has every slot in the middle of a call that never answers, and more to do."""
    settings = _settings(hanging, **ENDLESS)
    with opened(hanging, settings, 4 * TIMES, {"ANTHROPIC_API_KEY": "sk-ant-not-a-real-key"}) as daemon:
        yield daemon


def _settings(sim: Simulation, slots: int = SLOTS, **limits: str) -> dict[str, Any]:
    """With `caller`, an agent on another provider, and one that looks where the threads are."""
    hangs = settings(sim, slots, **limits)
    answerer = {"template": "general", "provider": "anthropic", "count": 1}
    return {
        **hangs,
        "providers": {**hangs["providers"], "anthropic": {"base_url": sim.url("anthropic")}},
        "agents": {**hangs["agents"], "answerer": answerer, "looks": own("looks", count=1)},
    }


# --- what its people ask ----------------------------------------------------------------------------------------------


def test_status_tree_cancel_and_restart_answer_at_once(hung: Daemon, hanging: Simulation) -> None:
    asked: dict[str, Callable[[str], object]] = {
        "status": lambda _: hung.client.call("status"),
        "tree": lambda _: hung.client.call("tree"),
        "work cancel": lambda item: hung.client.call("work cancel", {"wait": False}, id=item),
        "agents restart": lambda _: hung.client.call("agents restart", name=FIRST_SLOT),
    }
    took = {
        name: median(_took(ask, held(hung, hanging, SLOTS)[0]) for _ in range(TIMES)) for name, ask in asked.items()
    }
    cheapest = median(_took(lambda _: hung.client.call("version"), "") for _ in range(TIMES))
    print(took, cheapest)
    assert {name: seconds for name, seconds in took.items() if seconds >= max(AT_ONCE, 10 * cheapest)} == {}


def _took(ask: Callable[[str], object], item: str) -> float:
    """Seconds until the answer; `item` holds a slot."""
    began = time.monotonic()
    ask(item)
    return time.monotonic() - began


def test_an_item_of_another_agent_on_another_provider_finishes(hung: Daemon) -> None:
    hung.client.submit(asking("other", "answerer"))
    assert hung.settled("other")["state"] == "succeeded"
    result = hung.client.call("result", id="other")
    assert (result["text"], result["model"]) == ("the answer is other", "anthropic:claude-sonnet-5-5")


def test_no_actor_waits_in_the_bridge_a_socket_or_a_future(hung: Daemon, hanging: Simulation) -> None:
    held(hung, hanging, SLOTS)
    hung.submit("look", agent="looks")
    hung.settled("look")
    looks = hung.client.call("result", id="look")["data"]
    actors = {row["path"] for row in hung.client.call("tree")["items"] if "/" in row["path"]}
    assert len(actors) > 3 * SLOTS
    for actor in actors:
        # One look may come upon an actor on its way, handing over; one that waits would be found there again and again.
        at_its_mailbox = ["/supervision/mailbox.py:" in look[actor][0] for look in looks]
        assert sum(at_its_mailbox) > len(looks) / 2, (actor, looks[-1][actor])
        assert not any(wait in place for look in looks for place in look[actor] for wait in WAITS), actor


def test_a_cancel_is_a_closed_socket_in_the_server_s_own_log(hung: Daemon, hanging: Simulation) -> None:
    name = held(hung, hanging, SLOTS)[0]
    began = time.monotonic()
    reply = hung.client.call("work cancel", {}, id=name)
    assert (reply["stopped"], reply["not_stopped"]) == ([name], [])
    attempts = hanging.wait(lambda attempts: name not in still_open(attempts))
    *_, last = [each for each in attempts if each.key == name]
    assert last.client_disconnected_at is not None
    assert last.client_disconnected_at - began < GRACE
    assert hung.item(name)["state"] == "cancelled"
    assert [each["data"]["stopped"] for each in hung.until("work.stopped", name)] == [[name]]
    assert name not in held(hung, hanging, SLOTS), "its slot is the next item's"


def test_a_restarted_agent_s_call_is_closed_and_its_item_asks_again(hung: Daemon, hanging: Simulation) -> None:
    before, asked = held(hung, hanging, SLOTS), len(hanging.attempts())
    hung.client.call("agents restart", name=FIRST_SLOT)
    attempts = hanging.wait(lambda attempts: len(attempts) == asked + 1 and bool(attempts[-1].key))
    assert attempts[-1].key in before
    assert held(hung, hanging, SLOTS) == before
    times = [each.client_disconnected_at for each in attempts if each.key == attempts[-1].key]
    assert [at is not None for at in times] == [True] * (len(times) - 1) + [False]


# --- limits -----------------------------------------------------------------------------------------------------------

OBEYS = {
    "provider": {"use": "offline"},
    "item": {"cancel_grace": "300ms"},
    "agents": {"obeys": own("obeys", count=1)},
}
TALKATIVE = Reply(text="word " * 5_000)
HUNG_CALLS = [
    pytest.param(
        {"first_token": "1500ms"}, Rule(id="mute", fault=Fault(name="hang_headers")), "no first token", id="first",
    ),
    pytest.param(
        {"idle": "1500ms"}, Rule(id="stuck", script=(TALKATIVE,), fault=Fault(name="hang_body", after=2)),
        "nothing more came", id="idle",
    ),
    pytest.param({"total": "2500ms"}, Rule(id="drip", script=(TALKATIVE,), per_frame=0.05), "in all", id="total"),
]  # fmt: skip


@pytest.mark.parametrize(("limit", "rule", "said"), HUNG_CALLS)
def test_a_hung_call_ends_at_each_of_its_limits_and_frees_its_slot(
    house: Callable[..., Daemon], limit: dict[str, str], rule: Rule, said: str
) -> None:
    with Simulation("ollama", "anthropic") as sim:
        sim.play(Rule(id="well", when=When(key="well"), script=(Reply(text="well"),)), rule)
        daemon = house(_settings(sim, slots=1, **limit)).start()
        daemon.client.batch([asking("hung", "caller"), asking("well", "caller")])
        assert daemon.settled("well")["state"] == "succeeded"
        (put_off, *_) = daemon.until("work.scheduled", "hung")
        assert (put_off["data"]["reason"], said in put_off["data"]["error"]) == ("outage", True), put_off
        sim.wait(lambda attempts: "hung" not in still_open(attempts))


@pytest.mark.parametrize(
    ("act", "limit", "kind"),
    [("busy", {"timeout": "300ms"}, "item_timeout"), ("wait", {"idle_timeout": "300ms"}, "idle_timeout")],
    ids=["hard", "idle"],
)
def test_an_agent_that_never_ends_is_ended_at_its_item_s_limit_and_its_slot_is_free(
    house: Callable[..., Daemon], act: str, limit: dict[str, str], kind: str
) -> None:
    daemon = house(OBEYS).start()
    witness = str(daemon.home / "witness")
    daemon.submit("endless", agent="obeys", input={"witness": witness, "acts": [act]}, max_attempts=1, **limit)
    daemon.submit("next", agent="obeys", input={"witness": witness, "acts": ["work"]})
    dead = daemon.settled("endless")
    assert (dead["state"], dead["error"]["kind"], dead["failures"]) == ("dead", kind, 1)
    assert daemon.settled("next")["state"] == "succeeded"
    assert daemon.instance("obeys/1")["incarnation"] == 1, "it ended when it was asked to: its actor lives on"


def test_an_agent_that_ignores_its_cancel_costs_its_slot_a_life_and_no_more(house: Callable[..., Daemon]) -> None:
    daemon = house(OBEYS).start()
    witness = str(daemon.home / "witness")
    daemon.submit("deaf", agent="obeys", input={"witness": witness, "acts": ["deaf"]})
    daemon.submit("next", agent="obeys", input={"witness": witness, "acts": ["work"]})
    eventually((daemon.home / "witness").exists, PATIENCE)
    reply = daemon.client.call("work cancel", {}, id="deaf")
    assert (reply["stopped"], reply["not_stopped"]) == ([], ["deaf"])
    assert daemon.settled("next")["state"] == "succeeded"
    assert daemon.instance("obeys/1")["incarnation"] == 2
