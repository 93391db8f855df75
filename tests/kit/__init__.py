"""What every room's tests share."""

from tests.kit.clock import FakeClock, settle
from tests.kit.gate import Gate
from tests.kit.house import (
    Bus,
    Leaks,
    break_supervisor,
    cpu_bound_thread,
    eventually,
    fastest,
    seeded_rng,
    switch_interval,
    times_a_wait,
)
from tests.kit.logged import captured_logs
from tests.kit.probe import Probe, pause

__all__ = [
    "Bus",
    "FakeClock",
    "Gate",
    "Leaks",
    "Probe",
    "break_supervisor",
    "captured_logs",
    "cpu_bound_thread",
    "eventually",
    "fastest",
    "pause",
    "seeded_rng",
    "settle",
    "switch_interval",
    "times_a_wait",
]
