"""The state table, claimed whole."""

import pytest

from darumad.work import INITIAL, LEADS_TO, UNFINISHED, WorkState

S = WorkState


def test_every_state_has_its_row() -> None:
    assert set(LEADS_TO) == set(WorkState)


@pytest.mark.parametrize(
    ("state", "leads_to"),
    [
        (S.WAITING, {S.READY, S.SCHEDULED, S.PARKED, S.DEAD, S.CANCELLED}),
        (S.READY, {S.RUNNING, S.SCHEDULED, S.PARKED, S.DEAD, S.CANCELLED}),
        (S.SCHEDULED, {S.READY, S.PARKED, S.DEAD, S.CANCELLED}),
        (S.RUNNING, {S.RUNNING, S.SUCCEEDED, S.SCHEDULED, S.READY, S.PARKED, S.DEAD, S.CANCELLED}),
        (S.PARKED, {S.READY, S.SCHEDULED, S.CANCELLED, S.DEAD}),
        (S.DEAD, {S.READY, S.WAITING, S.CANCELLED}),
        (S.SUCCEEDED, set()),
        (S.CANCELLED, set()),
    ],
)
def test_a_state_leads_where_the_design_says_and_nowhere_else(state: WorkState, leads_to: set[WorkState]) -> None:
    assert LEADS_TO[state] == leads_to


def test_only_running_work_succeeds() -> None:
    assert {state for state in WorkState if S.SUCCEEDED in LEADS_TO[state]} == {S.RUNNING}


def test_only_ready_work_begins_to_run() -> None:
    assert {state for state in WorkState if S.RUNNING in LEADS_TO[state]} == {S.READY, S.RUNNING}


def test_only_the_dead_go_back_to_waiting() -> None:
    assert {state for state in WorkState if S.WAITING in LEADS_TO[state]} == {S.DEAD}


def test_final_states_lead_nowhere_and_are_succeeded_and_cancelled() -> None:
    assert {state for state in WorkState if not LEADS_TO[state]} == {S.SUCCEEDED, S.CANCELLED}


def test_everything_unfinished_or_dead_can_be_cancelled() -> None:
    assert {state for state in WorkState if S.CANCELLED in LEADS_TO[state]} == UNFINISHED | {S.DEAD}


def test_no_item_begins_running_or_finished() -> None:
    assert {S.WAITING, S.READY, S.SCHEDULED, S.PARKED} == INITIAL


def test_every_state_can_be_reached_from_an_initial_one() -> None:
    reached = set(INITIAL)
    while more := {after for state in reached for after in LEADS_TO[state]} - reached:
        reached |= more
    assert reached == set(WorkState)
