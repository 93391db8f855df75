"""The checker: holds a history against rules. Nothing of Daruma is imported here."""

from collections.abc import Iterable
from dataclasses import dataclass

from tests.crash.history import History
from tests.crash.rules import Rule


@dataclass(frozen=True, slots=True)
class Violation:
    """A promise that was broken: which rule, by what, and how."""

    rule: str
    subject: str
    says: str

    def __str__(self) -> str:
        return f"{self.rule}: {self.subject} {self.says}"


def check(history: History, rules: Iterable[Rule]) -> list[Violation]:
    """Every violation that these rules find."""
    return [Violation(rule.__name__, subject, says) for rule in rules for subject, says in rule(history)]


def repeated_calls(history: History) -> int:
    """How many answered model calls were made again: what the kills cost."""
    answered = [(call.item, call.prompt) for call in history.calls if call.whole and call.fault is None]
    return len(answered) - len(set(answered))
