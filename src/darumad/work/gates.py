"""The eight gates of a review and the verdict they sum up to. Unknown is never pass."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum


class Gate(StrEnum):
    """What a review looks at, one by one."""

    INTENT_SATISFIED = "intent_satisfied"
    TESTS_PASSING = "tests_passing"
    DOCUMENTATION_COMPLETE = "documentation_complete"
    NO_ANTIPATTERNS = "no_antipatterns"
    CONSTRAINTS_MAINTAINED = "constraints_maintained"
    COMPLETENESS = "completeness"
    CORRECTNESS = "correctness"
    PRINCIPLED_IMPLEMENTATION = "principled_implementation"


class Verdict(StrEnum):
    """What one gate found."""

    PASS = "pass"  # noqa: S105 - a verdict, not a password
    FAIL = "fail"
    UNKNOWN = "unknown"
    NOT_APPLICABLE = "not_applicable"


@dataclass(frozen=True, slots=True)
class Finding:
    """One gate's verdict, with what it found."""

    verdict: Verdict
    issues: tuple[str, ...] = ()


_UNSEEN = Finding(Verdict.UNKNOWN)
_FINE = frozenset({Verdict.PASS, Verdict.NOT_APPLICABLE})


@dataclass(frozen=True, slots=True, kw_only=True)
class Review:
    """All gates of one review. `passed` only when every required gate passed or does not apply."""

    gates: Mapping[Gate, Finding]
    required: frozenset[Gate]
    recommendations: tuple[str, ...] = ()
    suggested_tests: tuple[str, ...] = ()
    requirements: Mapping[str, bool] = field(default_factory=dict)

    @property
    def issues(self) -> tuple[str, ...]:
        """What the required gates found, in gate order, and each requirement that is not met."""
        failed = (gate for gate in self.required if self.finding(gate).verdict is Verdict.FAIL)
        found = [issue for gate in in_order(failed) for issue in self.gates[gate].issues or (f"{gate.value} failed",)]
        found += [f"requirement not satisfied: {name}" for name, met in self.requirements.items() if not met]
        return tuple(found)

    @property
    def passed(self) -> bool:
        """Whether the work may succeed. A gate that could not be judged is no pass."""
        gates = all(self.finding(gate).verdict in _FINE for gate in self.required)
        return gates and all(self.requirements.values())

    @property
    def undecided(self) -> frozenset[Gate]:
        """The required gates that nobody could judge."""
        return frozenset(gate for gate in self.required if self.finding(gate).verdict is Verdict.UNKNOWN)

    @property
    def confidence(self) -> float:
        """The share of the applicable gates that passed, 0.0 to 1.0."""
        applicable = [each for each in self.gates.values() if each.verdict is not Verdict.NOT_APPLICABLE]
        passed = [each for each in applicable if each.verdict is Verdict.PASS]
        return len(passed) / len(applicable) if applicable else 0.0

    def finding(self, gate: Gate) -> Finding:
        """What `gate` found; a gate nobody looked at is unknown."""
        return self.gates.get(gate, _UNSEEN)


_PLACE = {gate: place for place, gate in enumerate(Gate)}


def in_order(gates: Iterable[Gate]) -> list[Gate]:
    """`gates` in the order in which a review is told."""
    return sorted(gates, key=_PLACE.__getitem__)
