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
