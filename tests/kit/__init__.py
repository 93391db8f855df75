"""What every room's tests share."""

from tests.kit.clock import FakeClock, settle
from tests.kit.house import Bus, Leaks, break_supervisor, eventually, seeded_rng
from tests.kit.probe import Probe, pause

__all__ = [
    "Bus",
    "FakeClock",
    "Leaks",
    "Probe",
    "break_supervisor",
    "eventually",
    "pause",
    "seeded_rng",
    "settle",
]
