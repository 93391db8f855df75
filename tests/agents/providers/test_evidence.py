"""A failure is the item's own where others are answered, also when its tries alone have opened the circuit."""

from math import inf

import pytest

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


@pytest.mark.parametrize(("others", "found"), [(REMEMBERED - 1, ITS_OWN), (REMEMBERED, AN_OUTAGE)])
def test_so_many_failures_are_remembered_and_the_oldest_go_first(others: int, found: Blame) -> None:
    evidence = Evidence()
    failed(evidence, POISON, 10.0)
    for number in range(others):
        failed(evidence, ItemId(f"other-{number}"), 11.0)
    evidence.answered(HERE, OTHER)
    assert failed(evidence, POISON, 20.0, answered_at=15.0) == found
