"""The eight gates of a review and the verdict they sum up to. Unknown is never pass."""

from collections.abc import Iterable, Mapping
from enum import StrEnum

from darumad.values import Value, field


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


class Finding(Value):
    """One gate's verdict, with what it found."""

    verdict: Verdict
    issues: tuple[str, ...] = ()


_UNSEEN = Finding(Verdict.UNKNOWN)
_FINE = frozenset({Verdict.PASS, Verdict.NOT_APPLICABLE})


class Review(Value, kw_only=True):
    """All gates of one review. `passed` only when every required gate passed or does not apply."""

    gates: Mapping[Gate, Finding]
    required: frozenset[Gate]
    recommendations: tuple[str, ...] = ()
    suggested_tests: tuple[str, ...] = ()
    requirements: Mapping[str, bool] = field(default_factory=dict)

    @property
    def issues(self) -> tuple[str, ...]:
        """What the required gates found, in gate order, and each requirement that is not met."""
        found: list[str] = []
        for gate in in_order(self._required_with(Verdict.FAIL)):
            found += self.gates[gate].issues or (f"{gate.value} failed",)
        for name, met in self.requirements.items():
            if not met:
                found.append(f"requirement not satisfied: {name}")
        return tuple(found)

    @property
    def passed(self) -> bool:
        """Whether the work may succeed. A gate that could not be judged is no pass."""
        for gate in self.required:
            if self.finding(gate).verdict not in _FINE:
                return False
        return all(self.requirements.values())

    @property
    def undecided(self) -> frozenset[Gate]:
        """The required gates that nobody could judge."""
        return frozenset(self._required_with(Verdict.UNKNOWN))

    @property
    def confidence(self) -> float:
        """The share of the applicable gates that passed, 0.0 to 1.0."""
        verdicts = [each.verdict for each in self.gates.values()]
        applicable = len(verdicts) - verdicts.count(Verdict.NOT_APPLICABLE)
        return verdicts.count(Verdict.PASS) / applicable if applicable else 0.0

    def _required_with(self, verdict: Verdict) -> list[Gate]:
        return [gate for gate in self.required if self.finding(gate).verdict is verdict]

    def finding(self, gate: Gate) -> Finding:
        """What `gate` found; a gate nobody looked at is unknown."""
        return self.gates.get(gate, _UNSEEN)


_PLACE = {gate: place for place, gate in enumerate(Gate)}


def in_order(gates: Iterable[Gate]) -> list[Gate]:
    """`gates` in the order in which a review is told."""
    return sorted(gates, key=_PLACE.__getitem__)
