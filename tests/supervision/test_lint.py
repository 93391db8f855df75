"""The lint: what is valid and yet can never work."""

import pytest

from darumad.supervision import Backoff, ChildSpec, ErrorBudget, Supervisor, SupervisorFlags, lint

MINUTE = ErrorBudget(5, 60.0)


def agent(**rest) -> ChildSpec:
    return ChildSpec("a", print, error_budget=MINUTE, **rest)


@pytest.mark.parametrize(
    ("intensity", "period", "trips"), [(1, 5, False), (3, 60, False), (3, 239, False), (3, 240, True), (5, 600, True)]
)
def test_the_period_inequality(intensity: int, period: float, *, trips: bool) -> None:
    assert (lint(SupervisorFlags(intensity=intensity, period=period), [agent()]) == []) is trips


def test_backoff_is_part_of_the_time_to_trip() -> None:
    slow = agent(backoff=Backoff(10, 40))
    assert lint(SupervisorFlags(intensity=3, period=309), [slow])
    assert lint(SupervisorFlags(intensity=3, period=310), [slow]) == []


def test_a_child_with_its_own_account_cannot_escalate() -> None:
    assert lint(SupervisorFlags(), [agent(backoff=Backoff(1, 60, give_up_after=8))]) == []


def test_levels_multiply_and_are_named() -> None:
    inner = Supervisor.factory(SupervisorFlags(intensity=1, period=120), [agent()])
    nested = ChildSpec("s", inner, type="supervisor")
    assert lint(SupervisorFlags(intensity=1, period=240), [nested]) == []
    (finding,) = lint(SupervisorFlags(intensity=1, period=239), [nested], name="daruma")
    assert finding.startswith("daruma: can never escalate for s")
    tight = Supervisor.factory(SupervisorFlags(intensity=1, period=119), [agent()])
    (finding,) = lint(SupervisorFlags(intensity=1, period=240), [ChildSpec("s", tight, type="supervisor")])
    assert finding.startswith("root/s: can never escalate for a")


def test_a_supervisor_takes_as_long_as_the_slowest_child_that_can_trip_it() -> None:
    quick = ChildSpec("quick", print, error_budget=ErrorBudget(5, 10.0))
    slow = ChildSpec("slow", print, error_budget=MINUTE, backoff=Backoff(10, 40))
    apart = ChildSpec("apart", print, error_budget=ErrorBudget(5, 200.0), backoff=Backoff(1, 60, give_up_after=8))
    inner = Supervisor.factory(SupervisorFlags(intensity=1, period=600), [quick, slow, apart])
    nested = ChildSpec("s", inner, type="supervisor")
    assert lint(SupervisorFlags(intensity=1, period=260), [nested]) == []
    assert len(lint(SupervisorFlags(intensity=1, period=259), [nested])) == 1


def test_supervisors_are_permanent_and_unhurried_and_workers_have_a_start_timeout() -> None:
    inner = Supervisor.factory(SupervisorFlags(), [])
    specs = [
        ChildSpec("s", inner, type="supervisor", restart="transient"),
        ChildSpec("t", inner, type="supervisor", shutdown=5.0),
        ChildSpec("u", inner),
        ChildSpec("w", print, start_timeout=None),
    ]
    found = lint(SupervisorFlags(), specs)
    assert [f.split(":")[0] for f in found] == ["root/s", "root/t", "root/u", "root/w"]
