"""The room's public words: importable from its front door, with these parameters."""

import inspect

import pykka
import pytest

import darumad.supervision as room

WORDS = (
    *("Actor", "ActorRef", "SupervisorRef", "Address", "SupervisorFlags", "ErrorBudget", "Backoff", "Liveness"),
    *("ChildSpec", "Supervisor", "lint", "ExitReason", "Event", "Clock", "ChildInfo", "default_judge", "IGNORE"),
    *("StartError", "AlreadyStarted", "AlreadyPresent", "NotFound", "Running", "Restarting", "SupervisorDead"),
    *("WouldDeadlock", "MailboxFull", "PoolNeedsRef", "ActorDeadError", "Timeout", "FatalError"),
)
PARAMETERS = {
    "SupervisorFlags": {"strategy": "one_for_one", "intensity": 1, "period": 5.0, "auto_shutdown": "never"},
    "ErrorBudget": {"limit": 5, "within": 60.0, "judge": room.default_judge},
    "Backoff": {
        "min": inspect.Parameter.empty,
        "max": inspect.Parameter.empty,
        "factor": 2.0,
        "jitter": 0.2,
        "reset_after": 300.0,
        "give_up_after": None,
        "retry_benched": 900.0,
    },
    "Liveness": {"ping_deadline": inspect.Parameter.empty},
    "ExitReason": {"kind": inspect.Parameter.empty, "detail": None},
}


@pytest.mark.parametrize("word", WORDS)
def test_each_word_is_at_the_front_door(word) -> None:
    assert word in room.__all__
    assert getattr(room, word) is not None


def test_the_front_door_names_nothing_that_is_not_there() -> None:
    assert [name for name in room.__all__ if not hasattr(room, name)] == []


@pytest.mark.parametrize("word", PARAMETERS)
def test_each_value_takes_these_parameters_with_these_defaults(word) -> None:
    found = inspect.signature(getattr(room, word)).parameters.values()
    assert {parameter.name: parameter.default for parameter in found} == PARAMETERS[word]


def test_a_child_spec_and_a_root_take_what_the_contract_says() -> None:
    spec = "id start restart shutdown type significant start_timeout error_budget backoff liveness mailbox"
    assert " ".join(inspect.signature(room.ChildSpec).parameters) == spec
    root = "flags specs name clock bus rng leak_cap"
    assert " ".join(inspect.signature(room.Supervisor.start).parameters) == root


@pytest.mark.parametrize(
    ("owner", "methods"),
    [
        ("Actor", "on_start on_receive on_stop on_failure path incarnation exit report start"),
        ("ActorRef", "path incarnation tell ask stop is_alive proxy"),
        ("Address", "tell ask incarnation"),
        ("SupervisorRef", "start_child restart_child terminate_child delete_child which_children count_children"),
        ("SupervisorRef", "get_childspec address stop is_alive tell ask path incarnation proxy"),
    ],
)
def test_each_has_these_methods(owner, methods) -> None:
    assert [name for name in methods.split() if not hasattr(getattr(room, owner), name)] == []


def test_a_ref_is_pykkas_and_two_of_its_errors_too() -> None:
    assert issubclass(room.ActorRef, pykka.ActorRef)
    assert issubclass(room.SupervisorRef, room.ActorRef)
    assert room.ActorDeadError is pykka.ActorDeadError
    assert room.Timeout is pykka.Timeout
