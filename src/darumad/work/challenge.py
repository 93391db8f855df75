"""The challenge: before money is spent, an item too vague to do is sent back with the questions to answer.

These are the rules that need no model; they run when an item is accepted. Words are matched whole: "adjust" is not
"just". Two issues or more challenge; one warns.
"""

import re
from collections.abc import Mapping

from darumad.names import Role
from darumad.values import Value
from darumad.work.item import WorkItem

MIN_WORDS = 10
MISSING_CATEGORIES = 3
ISSUES_THAT_CHALLENGE = 2
VAGUE_TERMS: tuple[str, ...] = ("quickly", "just", "simple", "easy", "whatever", "somehow")
NEEDS_CRITERIA = frozenset({"implementation", "testing", "deployment"})

CATEGORIES: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "what": ("What is to be made or changed?", ("add", "create", "build", "implement", "develop", "write", "fix")),
    "why": ("What is it for?", ("because", "for", "need", "goal", "purpose", "so that")),
    "how": ("How should it be done, and with what?", ("using", "with", "via", "through", "by")),
    "constraints": ("What must it keep to?", ("must", "should", "cannot", "within", "limit")),
    "scope": ("What belongs to it, and what does not?", ("only", "all", "some", "specific", "following", "include")),
}
"""Each category of detail: the question to ask when it is missing, and the words that show it is there."""

_WORD = re.compile(r"[\w'-]+")
_SHOWN = {name: re.compile(f" (?:{'|'.join(words)}) ") for name, (_, words) in CATEGORIES.items()}


class Issue(Value):
    """One thing that makes an item vague, and what to ask about it."""

    says: str
    questions: tuple[str, ...]


class Challenge(Value):
    """What the rules found in one item."""

    issues: tuple[Issue, ...] = ()

    @property
    def stands(self) -> bool:
        """Whether the item is to be parked until somebody answers."""
        return len(self.issues) >= ISSUES_THAT_CHALLENGE

    @property
    def questions(self) -> tuple[str, ...]:
        """What to answer, in order, each once."""
        return tuple(dict.fromkeys(question for issue in self.issues for question in issue.questions))


def challenge_of(item: WorkItem, *, complete_by_form: bool) -> Challenge:
    """What is too vague about `item`. Only an executor's free-text work is asked about, and only where it allows it.

    Args:
        item: the item to look at.
        complete_by_form: the item's definition has a request schema, or its template states its own success criteria,
            so that nothing the description leaves out is missing.
    """
    if complete_by_form or not item.challenge or item.role is not Role.EXECUTOR:
        return Challenge()
    words = _words(_asked(item))
    found = (_too_short(words), _vague(item.description), _no_criteria(item), _no_detail(words))
    return Challenge(tuple(issue for issue in found if issue))


def _asked(item: WorkItem) -> str:
    """All that somebody asked: what a dialogue has said already, its last turn need not say again."""
    if not item.messages:
        return item.description
    return "\n".join([*(each.text for each in item.messages if each.role == "user"), item.description])


def vague_terms(text: str) -> tuple[str, ...]:
    """The vague terms in `text`, each once, in the order of `VAGUE_TERMS`."""
    lowered = text.lower()
    suspected = [term for term in VAGUE_TERMS if term in lowered]  # few texts have any, so few are taken apart
    if not suspected:
        return ()
    words = set(_words(text))
    return tuple(term for term in suspected if term in words)


def word_count(text: str) -> int:
    """How many words `text` has, separated by white space."""
    return len(text.split())


def _words(text: str) -> list[str]:
    return _WORD.findall(text.lower())


def _too_short(words: list[str]) -> Issue | None:
    if len(words) >= MIN_WORDS:
        return None
    return Issue(f"the description has fewer than {MIN_WORDS} words", ("What is the goal?",))


def _vague(text: str) -> Issue | None:
    terms = vague_terms(text)
    asked = tuple(f"What does '{term}' mean here?" for term in terms)
    return Issue(f"vague: {', '.join(terms)}", asked) if terms else None


def _no_criteria(item: WorkItem) -> Issue | None:
    if item.phase not in NEEDS_CRITERIA or item.success_criteria or item.requirements or item.tests:
        return None
    return Issue("no success criteria", ("How will we know it is done?",))


def _no_detail(words: list[str]) -> Issue | None:
    text = f" {' '.join(words)} "
    missing = {name: question for name, (question, _) in CATEGORIES.items() if not _SHOWN[name].search(text)}
    if len(missing) < MISSING_CATEGORIES:
        return None
    return Issue(f"nothing is said of: {', '.join(missing)}", tuple(missing.values()))
