"""A soak: every provider fails a fifth of its calls in every way there is, two of them go down, and nothing is lost.

It takes `DARUMA_SOAK` seconds, 20 unless it is said; `make soak` takes ten minutes. What is asserted of limits and
retries is computed from the simulator's own log, and from nothing else: who opened and closed what when, and by the id
that each try bears which of them are one call.
"""

import os
import time
from collections import Counter
from collections.abc import Callable, Iterator
from math import sqrt
from typing import Any

import pytest

from darumad.sim import Attempt, Fault, Rule, Simulation, Spread, When, calls, most_at_once, most_within
from darumad.sim.faults import FAULTS, VENDOR_FAULTS
from darumad.sim.spoiled import SPOILED
from tests.kit.daemon import Daemon
from tests.kit.house import eventually

SECONDS = float(os.environ.get("DARUMA_SOAK", "20"))
PATIENCE = 120.0 + 2 * SECONDS
PROVIDERS = {"anthropic-a": "claude-haiku-4-5", "ollama-b": "llama3.2", "openai-c": "gpt-sim"}
HOPELESS = {
    "anthropic-401": "claude-haiku-4-5",
    "openai-402": "gpt-sim",
    "ollama-403": "llama3.2",
    "openai-404": "gpt-sim",
}
"""Who refuses every call for what only another setting mends: each a provider of its own, for its items are parked."""
BUSY = "ollama-busy"
"""Who refuses every other call for its rate, so that only the retry budget keeps its tries within bounds."""
MODELS = PROVIDERS | HOPELESS | {BUSY: "llama3.2"}
CONCURRENCY, A_MINUTE = 4, 120
READ_A_MINUTE, WRITTEN_A_MINUTE = 60_000, 240_000
"""Tokens. Of a call that ends nobody knows how, all that it may have written counts for a minute."""
FLAKY = 0.2
SURELY = 10
"""Of a fault that so many calls should meet, none is met by chance once in twenty thousand soaks."""
OUTAGES = {"anthropic-a": (0.2, 0.5), "openai-c": (0.3, 0.5)}
"""Who is down, and in which part of the soak."""
DOWN = {"anthropic-a": Fault(name="http_status", code=500), "openai-c": Fault(name="rst", phase="headers")}
"""How: either would count against an agent if its circuit did not open."""
STATUSES = (400, 408, 409, 413, 422, 429, 500, 502, 503, 504, 529)
"""What a call may be refused with for a while."""
SETTLED = {"succeeded", "parked", "dead"}
KNOWN_AFTER = 3.0
"""Seconds: what failed before an outage may still restart somebody in its first moments."""
ALWAYS, SHARE = 10, 0.2
"""The retry budget of docs: in any minute a fifth of the calls, and always ten."""


def _faults() -> list[Fault]:
    statuses = [Fault(name="http_status", code=code, retry_after=0.1 if code == 429 else None) for code in STATUSES]
    return [*statuses, *(Fault(name=name) for name in sorted({*FAULTS, *SPOILED, *VENDOR_FAULTS} - {"http_status"}))]


def _rules() -> list[Rule]:
    faults = _faults()
    down = [
        Rule(
            id=f"outage-{name}",
            when=When(listener=name, t=(begin * SECONDS, end * SECONDS)),
            fault=DOWN[name],
        )
        for name, (begin, end) in OUTAGES.items()
    ]
    hopeless = [
        Rule(id=name, when=When(listener=name), fault=Fault(name="http_status", code=int(name[-3:])))
        for name in HOPELESS
    ]
    refusals = Fault(name="http_status", code=429, retry_after=0.05)
    busy = [
        Rule(id="refuses", when=When(listener=BUSY, p=0.5), fault=refusals),
        Rule(id="takes", when=When(listener=BUSY), latency=0.1),
    ]
    each = FLAKY / len(faults)
    flaky = [
        Rule(id=f"flaky-{n}", when=When(p=each / (1 - n * each)), fault=fault)  # of what those above it left
        for n, fault in enumerate(faults)
    ]
    return [
        *down,
        *hopeless,
        *busy,
        *flaky,
        Rule(id="well", latency=Spread("uniform", 0.5, 2.5)),
    ]  # so that it lasts as long as it should


@pytest.fixture
def sim() -> Iterator[Simulation]:
    with Simulation(*MODELS) as running:
        yield running


def _settings(sim: Simulation) -> dict[str, object]:
    a_minute = {
        "requests_per_minute": A_MINUTE, "input_tokens_per_minute": READ_A_MINUTE,
        "output_tokens_per_minute": WRITTEN_A_MINUTE,
    }  # fmt: skip

    def provider(name: str) -> dict[str, object]:
        vendor = name.partition("-")[0]
        return {
            "kind": vendor, "base_url": sim.url(name) + ("/v1" if vendor == "openai" else ""),
            "model": MODELS[name], "concurrency": CONCURRENCY, "first_token": "4s", "idle": "2s", "total": "20s",
            **({} if name == BUSY else a_minute),
        }  # fmt: skip

    return {
        "provider": {"use": "offline"},
        "budget": {"daily": "100000 USD"},  # what ended nobody knows how is booked at the most
        "providers": {name: provider(name) for name in MODELS},
        "agents": {name: {"template": "general", "provider": name, "count": 2 * CONCURRENCY} for name in MODELS},
    }


def test_under_faults_and_outages_every_item_ends_and_every_limit_holds(
    house: Callable[..., Daemon], sim: Simulation
) -> None:
    daemon = house(_settings(sim), environ={"OPENAI_API_KEY": "sk-sim", "ANTHROPIC_API_KEY": "sk-sim"}).start()
    daemon.client.batch([_work(name, 0) for name in PROVIDERS])  # the clients are imported for the first call of each
    eventually(lambda: _unsettled(daemon) == 0, PATIENCE)
    sim.play(*_rules(), seed=42)  # its time begins when the daemon is there
    began = time.time()
    items = [_work(name, n) for n in range(1, int(1.5 * SECONDS)) for name in PROVIDERS]
    items += [_work(name, n) for n in range(1, 1 + CONCURRENCY) for name in HOPELESS]
    items += [_work(BUSY, n) for n in range(1, int(3 * SECONDS))]
    for first in range(0, len(items), 30):
        daemon.client.batch(items[first : first + 30])
    eventually(lambda: _unsettled(daemon) == 0, PATIENCE)
    hopeless, ended = _ends(daemon)
    attempts = tuple(each for each in sim.attempts() if each.method == "POST")  # the others ask for the models
    _tell(ended, attempts)
    assert hopeless == {("parked", "provider"): CONCURRENCY * len(HOPELESS)}
    assert ended["succeeded", None] >= 0.95 * sum(ended.values()), ended
    assert all(reason for state, reason in ended if state != "succeeded"), ended
    assert {f"outage-{name}" for name in OUTAGES} <= {each.rule for each in attempts}
    _assert_flaky([each for each in attempts if each.listener in PROVIDERS and not each.rule.startswith("outage")])
    _assert_limits(attempts)
    errors, restarts = daemon.events("agent.error_recorded"), daemon.events("agent.restarted")
    assert len(restarts) <= len(errors) / 5, "an instance that fails five times is restarted, and no other"
    assert not [each for each in restarts if _is_down(each["data"]["agent"], _seconds(each) - began)], "by an outage"
    told = Counter((each["type"], each["subject"].partition(":")[0]) for each in daemon.events())
    for name in OUTAGES:
        assert told["provider.circuit_opened", name] >= 1
    assert sum(told["provider.rate_limited", name] for name in PROVIDERS) <= 3 * (2 + PATIENCE / 60), "one a minute"


def _is_down(agent: str, at: float) -> bool:
    """Whether an agent's provider is in its outage, and has been for long enough to be known to be."""
    begin, end = (share * SECONDS for share in OUTAGES.get(agent, (0.0, 0.0)))
    return begin + KNOWN_AFTER < at < end


def _seconds(event: dict[str, Any]) -> float:
    """When it happened: seconds since the epoch."""
    return event["at"] / 1000


def _tell(ended: Counter[tuple[object, object]], attempts: tuple[Attempt, ...]) -> None:
    """The figures, for who runs it with `-s`."""
    print(f"\nsoak: {SECONDS:g} s, {sum(ended.values())} items: {dict(ended)}")
    for name in (*PROVIDERS, BUSY):
        asked = [each for each in attempts if each.listener == name]
        minute = [
            most_within(((each.t_arrive, amount(each)) for each in asked), 60.0)
            for amount in (lambda _: 1, lambda each: each.input_tokens, lambda each: each.output_tokens)
        ]
        at_once = most_at_once(asked)
        faults = sum(each.fault is not None for each in asked)
        print(
            f"soak: {name}: {len(asked)} attempts at {calls(asked)} calls, {faults} faults; at most {at_once} at once,"
            f" and in a minute {minute[0]} requests, {minute[1]} tokens read, {minute[2]} written"
        )


def _work(name: str, number: int) -> dict[str, object]:
    return {
        "id": f"{name}-{number}", "description": f"[[sim:{name}-{number}]] Say what the answer is", "agent": name,
        "stages": ["execute"], "challenge": False, "max_attempts": 8, "backoff": "100ms",
    }  # fmt: skip


def _unsettled(daemon: Daemon) -> int:
    """How many items go on: asked often, so the daemon is not asked for all of them."""
    queue = daemon.client.call("status")["queue"]
    return sum(count for state, count in queue.items() if state not in SETTLED)


def _ends(daemon: Daemon) -> tuple[Counter[tuple[object, object]], Counter[tuple[object, object]]]:
    """How the items of the providers that refuse everything stand, and all others: by state and reason."""
    ends = (Counter[tuple[object, object]](), Counter[tuple[object, object]]())
    for each in _every(daemon):
        ends[str(each["id"]).rpartition("-")[0] not in HOPELESS][each["state"], each.get("reason")] += 1
    return ends


def _every(daemon: Daemon) -> Iterator[dict[str, object]]:
    """All items, a line each."""
    after = None
    while True:
        page = daemon.client.call("work list", limit=1000, **({"after": after} if after else {}))
        yield from page["items"]
        after = page["next"]
        if not after:
            return


def _assert_limits(attempts: tuple[Attempt, ...]) -> None:
    for name in (*PROVIDERS, BUSY):
        asked = [each for each in attempts if each.listener == name]
        minutes = 1 + (asked[-1].t_arrive - asked[0].t_arrive) // 60
        assert all(each.call for each in asked)
        assert len(asked) <= calls(asked) * (1 + SHARE) + ALWAYS * minutes
        own_retries = {each.headers.get("x-stainless-retry-count") for each in asked}
        assert own_retries == {None if name.startswith("ollama") else "0"}
        assert most_at_once(asked) <= CONCURRENCY
    for name in PROVIDERS:
        asked = [each for each in attempts if each.listener == name]
        assert most_within(((each.t_arrive, 1) for each in asked), 60.0) <= A_MINUTE
        assert most_within(((each.t_arrive, each.input_tokens) for each in asked), 60.0) <= READ_A_MINUTE
        assert most_within(((each.t_arrive, each.output_tokens) for each in asked), 60.0) <= WRITTEN_A_MINUTE


def _assert_flaky(asked: list[Attempt]) -> None:
    """As many of the calls met a fault as should, within four standard deviations; in a long soak each of them."""
    share = sum(each.fault is not None for each in asked) / len(asked)
    assert abs(share - FLAKY) <= 4 * sqrt(FLAKY * (1 - FLAKY) / len(asked)), share
    faults = _faults()
    if FLAKY * len(asked) >= SURELY * len(faults):
        assert {each.fault for each in asked} >= {each.name for each in faults}
