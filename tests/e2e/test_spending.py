"""What the model server counted is what is booked, and no limit is exceeded, whatever becomes of the daemon."""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from darumad.sim import Attempt, Fault, Reply, Rule, Simulation, When
from tests.e2e.conftest import own
from tests.kit import eventually
from tests.kit.daemon import PATIENCE, Daemon

KEY = {"ANTHROPIC_API_KEY": "sk-ant-not-a-real-key"}
MODEL = "llama3.2"
UNPRICED = "claude-of-tomorrow"
READ, WRITTEN = 1_000, 500
PRICE = READ * 2_000 + WRITTEN * 10_000
"""Nano-dollars that an answer costs, at 2 USD and 10 USD for a million tokens."""
BILLED = Reply(text="It is done.", input_tokens=READ, output_tokens=WRITTEN)
ANSWERS = Rule(id="answers", script=(BILLED,))
SLOWLY = Rule(id="slowly", script=(BILLED,), latency=0.15)
ITEMS, MANY = 24, 200
ALL = ("all", "ever")


@pytest.fixture
def sim() -> Iterator[Simulation]:
    with Simulation("anthropic", "ollama", models=(MODEL, UNPRICED, "claude-sonnet-5-5")) as running:
        running.play(ANSWERS)
        yield running


@pytest.fixture
def spender(house: Callable[..., Daemon], sim: Simulation) -> Callable[..., Daemon]:
    """Makes daemons whose executors ask the simulated Ollama, which costs what Anthropic does, within these limits."""

    def make(*, slots: int = 8, output: str = "10 USD", **budget: Any) -> Daemon:
        settings = {
            "provider": {"use": "ollama"},
            "providers": {"ollama": {"base_url": sim.url("ollama"), "model": MODEL, "concurrency": 8}},
            "prices": {MODEL: {"input": "2 USD", "output": output}},
            "executors": {"count": slots},
            "budget": budget,
        }
        return house(settings).start()

    return make


def submit(daemon: Daemon, count: int = ITEMS, **fields: Any) -> list[str]:
    names = [f"item-{number}" for number in range(count)]
    daemon.client.batch([asking(name, **fields) for name in names])
    return names


def asking(name: str, **fields: Any) -> dict[str, Any]:
    """An item that is one model call."""
    return {"id": name, "description": f"Say what {name} is about", "stages": ["execute"], "challenge": False, **fields}


@pytest.mark.parametrize("stages", [["execute"], ["optimize", "execute"]], ids=len)
def test_an_estimate_is_what_the_first_call_then_reserves(
    spender: Callable[..., Daemon], sim: Simulation, stages: list[str]
) -> None:
    daemon = spender(daily="100 USD")
    sim.play(Rule(id="held", script=(BILLED,), gate="door"))
    fields = {
        "stages": stages, "input": {"of": "the first snow"}, "requirements": ["three lines"],
        "output_schema": {"type": "object"}, "messages": [{"role": "user", "text": "Begin with a greeting."}],
    }  # fmt: skip
    estimate = daemon.client.call("estimate", asking("one", **fields))["a_call"]
    daemon.client.submit(asking("one", **fields))
    sim.wait(lambda attempts: any(each.rule == "held" for each in attempts), PATIENCE)
    (today,) = [each for each in daemon.client.call("budgets show")["items"] if each["period"] != "ever"]
    assert today["reserved"] == estimate
    sim.release("door")


def test_what_is_parked_after_its_budget_was_raised_goes_on(house: Callable[..., Daemon], tmp_path: Path) -> None:
    with Simulation("ollama") as sim:
        settings = {
            "provider": {"use": "ollama"},
            "providers": {"ollama": {"base_url": sim.url("ollama"), "model": MODEL}},
            "agents": {"broods": own("broods", count=1)},
            "budget": {"agents": {"broods": {"total_calls": 0}}},
        }
        daemon, raised = house(settings).start(), tmp_path / "raised"
        daemon.client.submit(asking("one", agent="broods", input=str(raised)))
        eventually((tmp_path / "raised.refused").exists, PATIENCE)
        assert daemon.run("budgets", "set", "agent:broods", "--total-calls", "1").returncode == 0
        raised.touch()
        daemon.becomes("one", state="succeeded")
        assert [each["data"]["reason"] for each in daemon.events("work.parked", "one")] == ["budget"]


def asked(sim: Simulation) -> list[Attempt]:
    """The calls that the server saw; that the daemon also looks at its models costs nothing."""
    return [each for each in sim.attempts() if each.method == "POST"]


def until(sim: Simulation, calls: int) -> None:
    """Wait for so many calls."""
    sim.wait(lambda attempts: sum(each.method == "POST" for each in attempts) >= calls, PATIENCE)


def states(daemon: Daemon) -> dict[str, int]:
    return {state: count for state, count in daemon.client.call("status")["queue"].items() if count}


def rest(daemon: Daemon) -> dict[str, int]:
    """How the items stand once each is finished or parked."""
    eventually(lambda: states(daemon).keys() <= {"succeeded", "parked"}, 2 * PATIENCE)
    return states(daemon)


def booked(daemon: Daemon) -> dict[str, int]:
    """What was ever spent and is reserved, over everything."""
    (view,) = [each for each in daemon.client.call("budgets show")["items"] if (each["scope"], each["period"]) == ALL]
    return {**view["spent"], "reserved": view["reserved"]["calls"]}


def test_what_the_server_counted_is_what_is_booked(house: Callable[..., Daemon], sim: Simulation) -> None:
    """With the prices that ship: claude-sonnet-5-5 costs as much."""
    settings = {"provider": {"use": "anthropic"}, "providers": {"anthropic": {"base_url": sim.url("anthropic")}}}
    daemon = house(settings, environ=KEY).start()
    submit(daemon)
    assert rest(daemon) == {"succeeded": ITEMS}
    calls = len(asked(sim))
    expected = {"nano_usd": calls * PRICE, "tokens": calls * (READ + WRITTEN), "calls": calls, "reserved": 0}
    eventually(lambda: booked(daemon) == expected)
    assert calls == ITEMS
    spent = daemon.client.call("budgets show", scope="agent:executor")["items"]
    assert {each["spent"]["calls"] for each in spent} == {ITEMS}
    estimate = daemon.run("submit", "--estimate", "Say what one more item is about")
    assert estimate.returncode == 0, estimate.stderr
    assert "anthropic:claude-sonnet-5-5" in estimate.stdout
    assert f"0.0070 USD, 1500 tokens, 1 call, the median of {ITEMS} earlier items" in estimate.stdout
    planned = daemon.run("submit", "--estimate", "--role", "orchestrator", "--", "- [ ] Say what snow is")
    assert "a call may cost  nothing: no model is asked" in planned.stdout
    assert sum(states(daemon).values()) == ITEMS, "nothing was handed in"


def test_ten_calls_are_ten_calls_over_two_kills_and_a_raised_limit_lets_the_rest_go_on(
    spender: Callable[..., Daemon], sim: Simulation
) -> None:
    sim.play(SLOWLY)
    daemon = spender(slots=2, daily_calls=10)
    submit(daemon, MANY)
    for begun in (2, 5):
        until(sim, begun)
        daemon.kill()
        daemon.start()
    stand = rest(daemon)
    assert len(asked(sim)) <= 10
    assert booked(daemon)["calls"] == 10, "what a kill left open is booked at its estimate"
    assert sum(stand.values()) == MANY
    parked = [each["id"] for each in daemon.listed() if each["state"] == "parked"]
    refusal = daemon.item(parked[0])
    assert refusal["reason"] == "budget"
    assert "the daily budget has no room: 10 calls of 10 calls are spent" in refusal["error"]["message"]
    assert "daruma budgets set all --daily-calls N" in refusal["error"]["message"]
    (event, *_) = daemon.events("budget.exhausted")
    assert (event["data"]["unit"], event["data"]["limit"]) == ("calls", 10)
    assert [each["data"]["spent"] >= 8 for each in daemon.events("budget.threshold")] == [True]

    sim.play(ANSWERS)
    said = daemon.run("budgets", "set", "all", "--daily-calls", "1000")
    assert said.returncode == 0, said.stderr
    assert "go on" in said.stderr
    eventually(lambda: states(daemon) == {"succeeded": MANY}, 2 * PATIENCE)
    assert len(daemon.events("work.dead")) == 0


def test_ten_cents_are_ten_cents_over_two_kills(spender: Callable[..., Daemon], sim: Simulation) -> None:
    """What a kill leaves open is booked at the most it could cost; nothing is ever booked at less than it did."""
    sim.play(Rule(id="long", script=(Reply(text="It is done.", input_tokens=READ, output_tokens=4_000),), latency=0.05))
    daemon = spender(slots=2, output="0.50 USD", daily="0.10 USD")
    submit(daemon, MANY)
    for begun in (2, 6):
        until(sim, begun)
        daemon.kill()
        daemon.start()
    assert rest(daemon).keys() == {"succeeded", "parked"}
    counted = sum(each.input_tokens * 2_000 + each.output_tokens * 500 for each in asked(sim))
    assert counted <= booked(daemon)["nano_usd"] <= 100_000_000
    assert counted > 50_000_000, "most of it was used"
    left = 100_000_000 - booked(daemon)["nano_usd"]
    waiting = {each["id"] for each in daemon.listed() if each["state"] == "parked"}
    assert all(0 < left < daemon.item(each)["error"]["needs"]["nano_usd"] for each in waiting)
    daemon.kill()
    daemon.start()
    daemon.client.submit(asking("later"))
    assert daemon.settled("later")["reason"] == "budget"
    assert {daemon.item(each)["parks"] for each in waiting} == {1}, "nobody was let go on in vain"


def test_calls_wait_for_the_room_that_others_have_reserved_and_all_of_it_is_used(
    spender: Callable[..., Daemon], sim: Simulation
) -> None:
    """Eight calls at once would reserve eight times what fits, and come to a fraction of it."""
    daemon = spender(daily="0.20 USD")
    submit(daemon, 12)
    assert rest(daemon) == {"succeeded": 12}
    assert len(asked(sim)) == 12


def test_a_cancelled_call_is_booked_at_its_estimate_once(spender: Callable[..., Daemon], sim: Simulation) -> None:
    sim.play(Rule(id="hangs", fault=Fault(name="hang_body", after=2)))
    daemon = spender()
    daemon.client.submit(asking("slow"))
    until(sim, 1)
    assert daemon.client.call("work cancel", {}, id="slow")["stopped"] == ["slow"]
    eventually(lambda: booked(daemon)["reserved"] == 0)
    spent = booked(daemon)
    assert spent["calls"] == 1
    assert spent["nano_usd"] >= 8_000 * 10_000, "the most that it could have cost"
    daemon.stop()
    (rows,) = daemon.dead_rows("SELECT calls, settled_at IS NULL FROM reservation")
    assert rows == [(1, 0)]


ENDS: Mapping[str, Callable[[Daemon], Any]] = {
    "cancel": lambda daemon: daemon.client.call("work cancel", {}, id="one"),
    "panic": lambda daemon: (daemon.run("panic"), daemon.run("resume")),
    "restart": lambda daemon: daemon.run("agents", "restart", "twice"),
    "kill": lambda daemon: (daemon.kill(), daemon.start()),
}
"""What ends a stage whose second call is under way. After all but a cancel it goes on behind the first call."""


@pytest.mark.parametrize("end", ENDS)
def test_what_a_stage_paid_is_on_its_attempt_whatever_ended_it(
    house: Callable[..., Daemon], sim: Simulation, end: str
) -> None:
    provider = {"base_url": sim.url("ollama"), "model": MODEL}
    daemon = house({
        "provider": {"use": "ollama"}, "providers": {"ollama": provider}, "agents": {"twice": own("twice", count=1)},
        "prices": {MODEL: {"input": "2 USD", "output": "10 USD"}}, "budget": {"daily": "100 USD"},
    }).start()  # fmt: skip
    sim.play(Rule(id="held", when=When(prompt_re="the second time"), script=(BILLED,), gate="door"), ANSWERS)
    daemon.client.submit({"id": "one", "description": "say it", "agent": "twice"})
    until(sim, 2)
    ENDS[end](daemon)
    if end != "cancel":
        until(sim, 3)
    sim.release("door")
    assert daemon.settled("one")["state"] == ("cancelled" if end == "cancel" else "succeeded")
    eventually(lambda: booked(daemon)["reserved"] == 0)
    shown = daemon.item("one", attempts=True)
    (used,) = [each["usage"] for each in shown["attempts"]]
    assert used["calls"] == len(asked(sim)) == (2 if end == "cancel" else 3)
    tokens = used["input_tokens"] + used["output_tokens"]
    assert shown["used"] == {"nano_usd": used["nano_usd"], "tokens": tokens, "calls": used["calls"]}
    assert end == "cancel" or daemon.client.call("result", id="one")["usage"] == used


def test_an_items_own_budget_parks_it_alone_and_giving_it_more_lets_it_go_on(
    spender: Callable[..., Daemon], sim: Simulation
) -> None:
    daemon = spender(item_calls=1)
    daemon.client.submit(asking("poor", budget={"calls": 0}))
    daemon.client.submit(asking("rich"))
    assert daemon.settled("rich")["state"] == "succeeded"
    assert daemon.settled("poor")["reason"] == "budget"
    assert "the item's own budget" in daemon.item("poor")["error"]["message"]
    daemon.run("budgets", "set", "item:poor", "--total-calls", "2")
    daemon.becomes("poor", state="succeeded")
    assert len(asked(sim)) == 2


def test_a_limit_raised_in_the_settings_releases_what_waited_at_the_next_start(
    spender: Callable[..., Daemon], sim: Simulation
) -> None:
    daemon = spender(agents={"executor": {"total_calls": 0}})
    daemon.client.submit(asking("waits"))
    assert daemon.settled("waits")["reason"] == "budget"
    assert daemon.stop() == 0
    daemon.config.write_text(daemon.config.read_text().replace("total_calls: 0", "total_calls: 5"))
    daemon.start()
    daemon.becomes("waits", state="succeeded")


def test_a_call_whose_price_nobody_knows_is_refused_where_the_settings_say_so(
    house: Callable[..., Daemon], sim: Simulation
) -> None:
    provider = {"base_url": sim.url("anthropic"), "model": UNPRICED}
    settings = {"provider": {"use": "anthropic"}, "providers": {"anthropic": provider}}
    daemon = house({**settings, "budget": {"unknown_price": "refuse"}}, environ=KEY).start()
    daemon.client.submit(asking("unpriced"))
    assert daemon.settled("unpriced")["reason"] == "budget"
    told = daemon.item("unpriced")
    assert f"the price of anthropic:{UNPRICED} is not known" in told["error"]["message"]
    assert "Set the model's price under `prices`" in told["error"]["recovery"][0]
    assert "its model's price" in told["waits_for"]
    assert asked(sim) == []
    daemon.stop()

    daemon.config.write_text(daemon.config.read_text().replace("refuse", "allow"))
    daemon.start()
    daemon.becomes("unpriced", state="succeeded")
    page = daemon.client.text("metrics")
    assert f'daruma_llm_calls_without_price_total{{model="{UNPRICED}",provider="anthropic"}} 1.0' in page
    daemon.stop()
    ((row,),) = daemon.dead_rows("SELECT nano_usd, tokens, calls FROM reservation")
    assert row == (None, READ + WRITTEN, 1)
