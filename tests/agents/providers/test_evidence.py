"""A failure is the item's own where others are answered, also when its tries alone have opened the circuit."""

from math import inf

import pytest
from hypothesis import given
from hypothesis import strategies as st

from darumad.agents.providers.evidence import REMEMBERED, Blame, Evidence
from darumad.names import ItemId

HERE, ELSEWHERE = ("ollama", "qwen3"), ("anthropic", "claude")
POISON, OTHER = ItemId("poison"), ItemId("other")
ITS_OWN = Blame(circuit_open=False, target_answered=True)
AN_OUTAGE = Blame(circuit_open=True, target_answered=False)


def failed(evidence: Evidence, item: ItemId, now: float, answered_at: float = -inf) -> Blame:
    """Its call was sent a second ago."""
    return evidence.failed(HERE, item, now, since=now - 1, answered_at=answered_at)


def test_whoever_fails_for_the_first_time_while_nobody_is_answered_meets_an_outage() -> None:
    assert failed(Evidence(), POISON, 10.0, answered_at=8.0) == AN_OUTAGE


@pytest.mark.parametrize(("answered", "found"), [(OTHER, ITS_OWN), (POISON, AN_OUTAGE)])
def test_whoever_fails_again_fails_by_itself_where_others_and_not_it_were_answered(
    answered: ItemId, found: Blame
) -> None:
    evidence = Evidence()
    failed(evidence, POISON, 10.0)
    evidence.answered(HERE, answered)
    assert failed(evidence, POISON, 20.0, answered_at=15.0) == found


def test_whoever_fails_again_beside_others_that_fail_meets_an_outage() -> None:
    evidence = Evidence()
    failed(evidence, POISON, 10.0)
    evidence.answered(HERE, OTHER)
    failed(evidence, OTHER, 19.0, answered_at=15.0)
    assert failed(evidence, POISON, 20.0, answered_at=15.0).circuit_open


def test_what_one_target_was_failed_at_says_nothing_of_another() -> None:
    evidence = Evidence()
    evidence.failed(ELSEWHERE, POISON, 10.0, since=9.0, answered_at=-inf)
    assert failed(evidence, POISON, 20.0, answered_at=15.0) == AN_OUTAGE


def test_whoever_failed_in_an_earlier_outage_and_was_never_answered_is_not_to_blame_for_the_next() -> None:
    evidence = Evidence()
    for at in (10.0, 20.0, 30.0):
        assert failed(evidence, POISON, at, answered_at=at - 5) == AN_OUTAGE
        failed(evidence, OTHER, at + 1, answered_at=at - 5)
        evidence.answered(HERE, OTHER)


items = st.sampled_from([ItemId(name) for name in "abcd"])


@given(outages=st.lists(st.lists(items, max_size=6), min_size=1, max_size=8), data=st.data())
def test_nobody_is_to_blame_for_outages_in_which_others_fail_that_never_had(
    outages: list[list[ItemId]], data: st.DataObject
) -> None:
    """They end with an answer to some, and those that were waiting for theirs may be the first of the next."""
    evidence, now = Evidence(), 10.0
    for number, waiting in enumerate(outages):
        meets = [*waiting, ItemId(f"new-{number}"), ItemId(f"newer-{number}")]
        for each in data.draw(st.permutations(meets)):
            now += 1
            found = evidence.failed(HERE, each, now, since=now - 0.5, answered_at=10.0 * number)
            assert found == AN_OUTAGE
        evidence.answered(HERE, data.draw(st.sampled_from(meets)))
        now = max(now, 10.0 * (number + 1)) + 1


@given(rounds=st.lists(st.permutations([ItemId(name) for name in "abcd"]), min_size=3, max_size=8))
def test_items_that_are_never_answered_do_not_excuse_each_other_for_ever(rounds: list[list[ItemId]]) -> None:
    """They fail together again and again, and each time somebody else is answered."""
    evidence = Evidence()
    for number, together in enumerate(rounds):
        found = [failed(evidence, each, 10.0 * number + 5, answered_at=10.0 * number) for each in together]
        assert (found[0] == ITS_OWN) == (number >= 2)
        evidence.answered(HERE, OTHER)


@pytest.mark.parametrize(("others", "found"), [(REMEMBERED - 1, ITS_OWN), (REMEMBERED, AN_OUTAGE)])
def test_so_many_failures_are_remembered_and_the_oldest_go_first(others: int, found: Blame) -> None:
    evidence = Evidence()
    failed(evidence, POISON, 10.0)
    evidence.answered(HERE, OTHER)
    for number in range(others):
        failed(evidence, ItemId(f"other-{number}"), 11.0)
    evidence.answered(HERE, OTHER)
    assert failed(evidence, POISON, 20.0, answered_at=15.0) == found
