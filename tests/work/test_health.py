"""What an instance's signs add up to."""

from itertools import product
from typing import Any

import pytest

from darumad.names import Incarnation, Millis
from darumad.work.health import ActorState, AgentHealth, AgentState, Signs, health_of


def seen(life: ActorState = ActorState.RUNNING, **signs: Any) -> AgentHealth:
    return health_of(Signs(life=life, incarnation=Incarnation(3), **signs))


def test_nothing_to_do_is_idle_and_healthy() -> None:
    health = seen()
    assert (health.state, health.healthy, health.degraded) == (AgentState.IDLE, True, False)


def test_an_item_in_flight_is_busy() -> None:
    assert seen(in_flight=1).state is AgentState.BUSY


@pytest.mark.parametrize(("errors", "degraded"), [(2, False), (3, True), (4, True)])
def test_three_errors_in_the_window_are_degraded(errors: int, degraded: bool) -> None:
    health = seen(errors_in_window=errors, in_flight=1)
    assert (health.degraded, health.healthy) == (degraded, not degraded)
    assert health.state is (AgentState.DEGRADED if degraded else AgentState.BUSY)


def test_consecutive_errors_alone_are_not_degraded() -> None:
    assert seen(consecutive_errors=9).healthy


def test_an_agent_whose_provider_is_down_is_degraded_and_says_so() -> None:
    health = seen(gated="its provider's circuit is open", last_error="older", in_flight=1)
    assert (health.state, health.last_error) == (AgentState.DEGRADED, "its provider's circuit is open")
    assert not health.healthy


def test_an_agent_that_cannot_be_made_is_degraded_and_says_why() -> None:
    health = seen(spawn_error="no module named x", last_error="older")
    assert (health.state, health.last_error) == (AgentState.DEGRADED, "no module named x")


@pytest.mark.parametrize("life", [life for life in ActorState if life is not ActorState.RUNNING])
def test_a_life_that_does_not_run_is_what_it_is_and_not_healthy(life: ActorState) -> None:
    health = seen(life, paused=True, errors_in_window=4, in_flight=1)
    assert (health.state.value, health.healthy, health.degraded) == (life.value, False, False)


def test_an_agent_that_is_still_being_made_is_starting_and_not_healthy_yet() -> None:
    health = seen(agent_made=False, in_flight=1)
    assert (health.state, health.healthy, health.degraded) == (AgentState.STARTING, False, False)


def test_an_agent_that_cannot_be_made_is_degraded_and_not_starting_for_ever() -> None:
    assert seen(agent_made=False, spawn_error="no key").state is AgentState.DEGRADED


def test_paused_is_healthy_unless_it_is_degraded() -> None:
    assert seen(paused=True, in_flight=1).state is AgentState.PAUSED
    assert seen(paused=True).healthy
    assert not seen(paused=True, errors_in_window=3).healthy


def test_every_state_can_be_seen() -> None:
    every = product(ActorState, (False, True), (None, "no key"), (0, 1))
    found = {seen(life, paused=p, spawn_error=s, in_flight=n).state for life, p, s, n in every}
    assert found == set(AgentState)


def test_the_figures_are_handed_on() -> None:
    signs: dict[str, Any] = {
        "errors_in_window": 1,
        "consecutive_errors": 2,
        "last_error": "it broke",
        "last_error_at": Millis(3),
        "restarts": 4,
        "last_restart_at": Millis(5),
        "last_progress_at": Millis(6),
        "in_flight": 7,
        "mailbox_depth": 8,
    }
    health = seen(**signs)
    assert {name: getattr(health, name) for name in signs} == signs
    assert health.incarnation == 3
