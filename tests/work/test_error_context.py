"""What is told of a failure: short where a machine reads it, whole where a person does."""

import pytest

from darumad.names import ItemId
from darumad.work import KINDS, PHASES, Failure
from darumad.work.error_context import BY_PHASE, Site, boxed, compact, hints_of, steps_of
from tests.work.build import item

FAILURE = Failure(kind="auth", message="the key was refused", error_type="AuthenticationError", hints=("my own",))
SITE = Site(
    agent="minds/executors/executor/2",
    incarnation=7,
    state="busy",
    request_id="req_1",
    environment={"Python": "3.11", "anthropic key": "configured"},
)


def test_the_short_form_has_at_most_three_hints_and_two_steps() -> None:
    many = Failure(kind="auth", message="no", hints=("a", "b", "c", "d"))
    told = compact(many, item(), SITE)
    assert told["hints"] == ["a", "b", "c"]
    assert len(told["recovery"]) == 2


def test_the_short_form_names_type_message_item_agent_and_request() -> None:
    told = compact(FAILURE, item(id=ItemId("x"), phase="testing"), SITE)
    assert (told["type"], told["message"], told["kind"]) == ("AuthenticationError", "the key was refused", "auth")
    assert (told["item"], told["agent"]) == ({"id": "x", "phase": "testing"}, SITE.agent)
    assert told["request_id"] == "req_1"


def test_without_a_request_no_request_is_named() -> None:
    assert not {"request_id", "budget", "needs"} & compact(FAILURE, item(), Site()).keys()


def test_the_budget_that_had_no_room_is_named() -> None:
    failure = Failure(kind="budget_exhausted", message="the daily budget has no room", budget="all", needs={"calls": 1})
    told = compact(failure, item(), SITE)
    assert (told["budget"], told["needs"]) == ("all", {"calls": 1})


def test_hints_come_from_the_kind_and_never_from_the_message() -> None:
    misleading = Failure(kind="tool_error", message="401 unauthorized: bad api key, context too long, timeout")
    assert hints_of(misleading) == KINDS["tool_error"].hints


def test_each_hint_is_told_once() -> None:
    again = Failure(kind="auth", message="no", hints=KINDS["auth"].hints[:1])
    assert hints_of(again) == KINDS["auth"].hints


@pytest.mark.parametrize("phase", PHASES)
def test_the_phase_has_its_own_step_after_the_kinds(phase: str) -> None:
    assert steps_of(FAILURE, phase)[:2] == (KINDS["auth"].recovery[0], BY_PHASE[phase])


def test_an_unknown_kind_in_an_unknown_phase_has_nothing_to_say() -> None:
    unknown = Failure(kind="gremlins", message="?")
    assert (hints_of(unknown), steps_of(unknown, "daydreaming")) == ((), ())


def test_the_box_is_one_that_a_person_can_read() -> None:
    box = boxed(FAILURE, item(description="w" * 200), SITE)
    lines = box.splitlines()
    assert {len(line) for line in lines} == {100}
    assert lines[0][0] + lines[-1][0] == "┌└"
    assert all(line[0] == line[-1] == "│" for line in lines[1:-1])
    for each in ("AuthenticationError: the key was refused", "executor/2#7, busy", "req_1", "configured", "my own"):
        assert each in box


def test_the_box_cuts_the_description_to_a_hundred_characters() -> None:
    flat = "".join(line.strip("│ ") for line in boxed(FAILURE, item(description="w" * 200), SITE).splitlines())
    assert flat.count("w") == 97 + boxed(FAILURE, item(description=""), SITE).count("w")


def test_nobody_writes_lines_of_their_own_into_the_box() -> None:
    forged = Failure(kind="auth", message="no\n│ all is well │\x1b[2J\r")
    box = boxed(forged, item(), Site())
    assert r"no\n│ all is well │\x1b[2J\r" in box
    assert "\x1b" not in box


def test_what_is_not_known_is_not_in_the_box() -> None:
    box = boxed(FAILURE, item(), Site())
    assert "request:" not in box
    assert "environment" not in box
