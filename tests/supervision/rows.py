"""The rows of the contract: every promise of the room has an id, and every id a test that is named after it.

The rows speak for themselves in the tests' names: `test_<id>_<what it says>`. `docs/explanation/supervision.md` tells
what they add up to.
"""

HERE = (
    *("A1", "A2", "A3", "A6", "A7", "A8", "A9"),
    *("B1", "B2", "B3", "B4", "B5", "B6", "B7", "B8"),
    *("C1", "C2", "C3", "C7", "C9", "C10", "C11"),
    *("D1", "D2", "D3", "D5"),
    *("E1", "E2", "E3", "E4", "E6", "E8", "E9"),
    *("F1", "F2", "F3"),
    *("G1", "G3", "G4", "G6", "G9"),
    *("L1", "L3", "L4", "L9"),
    *("M1", "M2", "M3", "M5"),
    *("V1", "V2", "V3"),
)
"""Rows of this room. Gaps in the numbers are rows that were merged into others."""

RACING = ("C9", "E6", "E8", "G9", "L3", "V2")
"""Rows that also run with threads that take turns every microsecond."""

ON_THE_REAL_CLOCK = ("D2", "G1", "L1", "M1")
"""Rows about time that also run on the machine's clock, beside one CPU-bound thread."""

ELSEWHERE = {
    "D7": ("daemon/test_ending.py::test_a_root_whose_children_fall_too_often_ends_it_with_70_and_says_so",),
    "E12": (
        (
            "daemon/test_ending.py::"
            "test_an_actor_that_never_comes_back_does_not_hold_a_stop_which_shows_its_stack_and_ends_with_75"
        ),
    ),
    "G8": ("e2e/test_outage.py::test_an_outage_delays_items_and_degrades_their_agents_and_restarts_and_fails_none",),
    "G9": ("e2e/test_supervision.py::test_a_restart_under_load_has_only_that_slot_s_item_claimed_again",),
    "G11": (
        "actors/test_orchestrator.py::test_what_one_decision_raises_is_its_items_and_the_others_go_on",
        "journal/test_boot.py::test_a_killer_is_dead_after_its_third_crash_and_nobody_else_is",
    ),
    "L5": (
        "bridge/test_tasks.py::test_while_a_model_call_is_open_both_limits_stand_still",
        "bridge/test_tasks.py::test_a_stage_without_progress_ends_at_its_idle_limit",
        "bridge/test_tasks.py::test_progress_keeps_the_idle_limit_away",
        "agents/providers/test_faults.py::test_a_stream_of_pings_is_silence",
        "work/test_kinds.py::test_the_agents_own_failures_count_whatever_the_circuit",
        "work/test_kinds.py::test_a_providers_failure_counts_only_while_its_circuit_is_closed",
    ),
    "L7": (
        "daemon/test_loop_watch.py::test_l7_a_template_that_sleeps_on_the_loop_costs_its_neighbours_a_moment",
        "daemon/test_loop_watch.py::test_l7_a_stall_is_told_after_a_second_once_with_the_stack_and_so_is_its_end",
        "bridge/test_replacing.py::test_l7_what_a_blocked_loop_held_is_interrupted_once_and_a_new_loop_takes_new_work",
        "bridge/test_replacing.py::test_l7_a_thousand_healthy_calls_make_the_pulse_late_and_convict_nobody",
    ),
    "L8": (
        "bridge/test_tasks.py::test_a_cancel_revokes_the_owner_first_then_ends_the_task_and_says_what_stopped",
        "bridge/test_tasks.py::test_a_task_that_ignores_its_cancel_is_abandoned_after_the_grace_and_counted",
    ),
    "L9": (
        "daemon/test_ending.py::test_three_threads_that_never_come_back_end_it_with_75_and_say_so",
        "daemon/test_ending.py::test_a_loop_that_is_held_up_once_too_often_ends_it_with_75",
    ),
    "M6": (
        "agents/providers/test_breaker.py::test_no_walk_has_two_probes_or_calls_through_an_open_circuit",
        "agents/providers/test_breaker.py::test_each_failed_probe_doubles_the_wait_up_to_two_minutes",
    ),
}
"""Rows, or the last clauses of rows, that speak of models, the bridge, the journal or the daemon: their tests there."""
