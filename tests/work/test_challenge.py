"""An item too vague to do is sent back with questions; one that says what it wants is not."""

from typing import Any

import pytest

from darumad.names import Role
from darumad.work.challenge import CATEGORIES, VAGUE_TERMS, Challenge, challenge_of, vague_terms
from darumad.work.model import Message
from tests.work.build import item

CLEAR = "Write a parser for the log format using only the standard library; it must keep line numbers for errors."


def asked(description: str, *, complete_by_form: bool = False, **fields: Any) -> Challenge:
    criteria = {"success_criteria": "its tests pass"}
    return challenge_of(item(description=description, **criteria | fields), complete_by_form=complete_by_form)


def test_an_item_that_says_what_it_wants_is_not_asked() -> None:
    assert asked(CLEAR) == Challenge()


def test_an_item_too_vague_to_do_comes_back_with_its_questions() -> None:
    found = asked("make it better somehow", success_criteria=None)
    assert found.stands
    assert found.questions == (
        "What is the goal?",
        "What does 'somehow' mean here?",
        "How will we know it is done?",
        *(question for question, _ in CATEGORIES.values()),
    )


def test_one_issue_warns_and_two_challenge() -> None:
    one = asked(CLEAR, success_criteria=None)
    two = asked(CLEAR + " Just do it.", success_criteria=None)
    assert (len(one.issues), one.stands) == (1, False)
    assert (len(two.issues), two.stands) == (2, True)


@pytest.mark.parametrize("term", VAGUE_TERMS)
def test_each_vague_term_is_asked_about(term: str) -> None:
    assert asked(f"{CLEAR} {term.title()}!").questions == (f"What does '{term}' mean here?",)


@pytest.mark.parametrize("word", ["adjust", "justice", "simplest", "uneasy", "easygoing", "just-in-time"])
def test_a_vague_term_inside_another_word_is_none(word: str) -> None:
    assert vague_terms(f"the {word} thing") == ()


def test_several_vague_terms_are_one_issue_with_a_question_each() -> None:
    found = asked(CLEAR + " It is simple and easy.")
    assert len(found.issues) == 1
    assert len(found.questions) == 2


@pytest.mark.parametrize(("words", "issues"), [(9, 1), (10, 0)])
def test_fewer_than_ten_words_are_an_issue(words: int, issues: int) -> None:
    text = " ".join(["add", "a", "check", "for", "all", "of", "it", "using", "must", "only", "with", "tests"][:words])
    assert len(asked(text).issues) == issues


@pytest.mark.parametrize("phase", ["implementation", "testing", "deployment"])
@pytest.mark.parametrize("said", [{"success_criteria": "x"}, {"requirements": ("x",)}, {"tests": ("x",)}])
def test_whatever_says_when_it_is_done_will_do(phase: str, said: dict[str, Any]) -> None:
    nothing = {"success_criteria": None}
    assert len(asked(CLEAR, phase=phase, **nothing).issues) == 1
    assert asked(CLEAR, phase=phase, **(nothing | said)) == Challenge()


@pytest.mark.parametrize("phase", ["planning", "documentation", "analysis", "daydreaming"])
def test_other_phases_need_no_criteria(phase: str) -> None:
    assert asked(CLEAR, phase=phase, success_criteria=None) == Challenge()


@pytest.mark.parametrize(
    ("text", "issues"),
    [
        ("one two three four five six seven eight nine must only", 1),
        ("one two three four five six seven eight must only using", 0),
        ("one two three four five six seven eight so that must only", 0),
    ],
)
def test_three_missing_categories_of_detail_are_an_issue(text: str, issues: int) -> None:
    assert len(asked(text).issues) == issues


@pytest.mark.parametrize("name", list(CATEGORIES))
def test_each_category_is_shown_by_each_of_its_words(name: str) -> None:
    filler = "one two three four five six seven eight nine ten"
    question, words = CATEGORIES[name]
    assert question in asked(filler).questions
    assert [word for word in words if question in asked(f"{filler} {word} eleven").questions] == []


def test_free_text_only_and_only_where_the_item_allows_it() -> None:
    vague = "make it better"
    assert asked(vague).stands
    assert asked(vague, complete_by_form=True) == Challenge()
    assert asked(vague, challenge=False) == Challenge()
    assert asked(vague, role=Role.REVIEWER) == Challenge()


def test_what_a_dialogue_has_said_already_is_not_asked_again() -> None:
    before = (Message(role="user", text=CLEAR), Message(role="assistant", text="Here it is."))
    assert asked("And in German?", messages=before) == Challenge()
    assert asked("And in German?", messages=(Message(role="user", text="Hello"), *before[1:])).stands
