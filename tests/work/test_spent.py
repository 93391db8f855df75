"""Where an item's time went, by its events."""

from typing import Any

import pytest

from darumad.events import CATALOGUE, Recorded
from darumad.names import Millis
from darumad.work.spent import _LEADS, places, spent

STAY = {"work.answered", "work.edited", "work.stale_result", "work.stopped", "work.purged"}
"""What happens to an item and moves it nowhere."""


def told(*events: tuple[int, str, dict[str, Any]]) -> list[Recorded]:
    return [Recorded(seq, at, f"work.{name}", "a", data) for seq, (at, name, data) in enumerate(events)]


WALK = told(
    (0, "submitted", {"state": "waiting"}),
    (10, "ready", {}),
    (30, "assigned", {"stage": "optimizing", "holder": "o/1#1"}),
    (31, "stage_changed", {"stage": "executing", "holder": None}),
    (35, "assigned", {"stage": "executing", "holder": "x/1#1"}),
    (50, "stale_result", {}),
    (95, "retried", {}),
    (95, "scheduled", {}),
    (200, "ready", {}),
    (201, "assigned", {"stage": "executing", "holder": "x/1#1"}),
    (300, "stage_changed", {"stage": "reviewing", "holder": "r/1#1"}),
    (340, "succeeded", {}),
)


def test_each_event_of_an_item_says_where_it_leads_or_leads_nowhere() -> None:
    assert {each.name for each in CATALOGUE if each.name.startswith("work.")} == _LEADS.keys() | STAY


def test_the_time_of_an_item_is_told_state_by_state_and_stage_by_stage_to_its_end() -> None:
    spent_on = spent(WALK, Millis(9000))
    assert spent_on == {
        "waiting": 10, "ready": 25, "optimizing": 1, "executing": 159, "scheduled": 105, "reviewing": 40
    }  # fmt: skip
    assert sum(spent_on.values()) == 340, "none of it is lost, and the end takes no time"


@pytest.mark.parametrize(("now", "executing"), [(95, 60), (70, 35), (30, 0)])
def test_where_it_is_now_is_counted_up_to_now_and_a_clock_that_was_set_back_takes_nothing(
    now: int, executing: int
) -> None:
    assert spent(WALK[:6], Millis(now)).get("executing", 0) == executing


def test_events_that_are_kept_no_longer_are_not_guessed() -> None:
    assert spent(WALK[9:], Millis(9000)) == {"executing": 99, "reviewing": 40}
    assert spent([], Millis(9000)) == {}
    assert [place for _, place in places(WALK)][-1] is None


def test_an_event_that_cannot_be_read_says_nothing_of_where_an_item_is_and_costs_no_other() -> None:
    unreadable = told((150, "assigned", {"unreadable": "no JSON"}))
    assert spent([*WALK[:8], *unreadable, *WALK[8:]], Millis(9000)) == spent(WALK, Millis(9000))
