"""What an item requires and its agent no longer offers keeps it from being claimed, and never loses it."""

import pytest

from darumad.names import AgentName, Capability
from darumad.work.lanes import Lane
from darumad.work.states import WorkState
from tests.journal.desk import DO, REVIEW, Desk, move, new_item

GPU, GIT = Capability("gpu"), Capability("git")
MINE = AgentName("mine")


def with_offers(desk: Desk, *offered: Capability, agent: AgentName = MINE, died: bool = False) -> Desk:
    """The same journal, in a daemon that was started with an agent that offers these."""
    desk.die() if died else desk.close()
    desk.offers = [(agent, each) for each in offered]
    return desk.open()


def needing(item: str, *requires: Capability, agent: AgentName = MINE, **more: object):
    return new_item(item, requires=requires, agent=agent, stages=(DO, REVIEW), **more)


def claimed(desk: Desk, stage=DO) -> list[str]:
    return [each.record.item.id for each in desk.claim(stage, count=9, agent=MINE)]


def test_an_item_whose_agent_offers_it_all_is_claimed(desk: Desk) -> None:
    with_offers(desk, GPU, GIT)
    desk.submit(needing("a", GPU, GIT, GPU))
    assert desk.record("a").item.requires == (GPU, GIT, GPU)
    assert claimed(desk) == ["a"]


@pytest.mark.parametrize("left", [(), (GPU,)])
def test_one_whose_agent_offers_less_after_a_restart_is_left_and_goes_on_when_it_does_again(
    desk: Desk, left: tuple[Capability, ...]
) -> None:
    with_offers(desk, GPU, GIT)
    desk.submit(needing("a", GPU, GIT), needing("plain"))
    with_offers(desk, *left)
    assert claimed(desk) == ["plain"]
    assert desk.state("a") is WorkState.READY
    with_offers(desk, GIT, GPU)
    assert claimed(desk)[0] == "a"


@pytest.mark.parametrize(("asked", "offering"), [("mine", "other"), ("other", "mine")])
def test_what_another_agent_offers_is_no_use(desk: Desk, asked: str, offering: str) -> None:
    with_offers(desk, GPU, agent=AgentName(asked))
    desk.submit(needing("a", GPU, agent=AgentName(asked)))
    with_offers(desk, GPU, agent=AgentName(offering))
    assert desk.claim(DO, agent=asked) == ()


def test_a_thousand_that_are_left_keep_nobody_waiting_who_came_after_them(desk: Desk) -> None:
    with_offers(desk, GPU)
    desk.submit(*(needing(f"left-{number}", GPU) for number in range(1000)), max_unfinished=2000)
    with_offers(desk)
    desk.submit(needing("plain"), max_unfinished=2000)
    assert claimed(desk) == ["plain"]


def test_one_that_was_at_work_when_the_daemon_died_waits_too(desk: Desk) -> None:
    with_offers(desk, GPU)
    desk.submit(needing("a", GPU))
    assert claimed(desk) == ["a"]
    with_offers(desk, died=True)
    assert (desk.state("a"), claimed(desk)) == (WorkState.READY, [])
    with_offers(desk, GPU)
    assert claimed(desk) == ["a"]


def test_its_review_waits_with_it(desk: Desk) -> None:
    with_offers(desk, GPU)
    desk.submit(needing("a", GPU))
    (held,) = desk.claim(DO, agent=MINE)
    desk.call(move(held, WorkState.READY, REVIEW))
    with_offers(desk)
    assert desk.claim(REVIEW) == ()


def test_one_that_has_a_place_in_a_lane_keeps_it_and_is_not_claimed(desk: Desk) -> None:
    desk.lanes["tree"] = Lane(max_running=1)
    with_offers(desk, GPU)
    desk.submit(needing("a", GPU, lane="tree"), needing("plain", lane="tree"))
    (held,) = desk.claim(DO, agent=MINE)
    desk.call(move(held, WorkState.READY, DO))
    with_offers(desk)
    assert claimed(desk) == []
    with_offers(desk, GPU)
    assert claimed(desk) == ["a"]


def test_a_suspect_is_no_exception(desk: Desk) -> None:
    with_offers(desk, GPU)
    desk.submit(needing("a", GPU))
    for _ in range(2):
        desk.claim(DO, agent=MINE)
        with_offers(desk, GPU, died=True)
    assert desk.record("a").suspect
    with_offers(desk)
    desk.clock.advance(600.0)
    assert claimed(desk) == []
    with_offers(desk, GPU)
    desk.clock.advance(600.0)
    assert claimed(desk) == ["a"]


def test_one_that_was_dead_meanwhile_waits_after_its_retry(desk: Desk) -> None:
    with_offers(desk, GPU)
    desk.submit(needing("a", GPU))
    (held,) = desk.claim(DO, agent=MINE)
    desk.kill(held)
    with_offers(desk)
    desk.release("a")
    assert (desk.state("a"), claimed(desk)) == (WorkState.READY, [])
    with_offers(desk, GPU)
    assert claimed(desk) == ["a"]


def test_what_it_required_goes_with_it(desk: Desk) -> None:
    with_offers(desk, GPU)
    desk.submit(needing("a", GPU), "plain")
    assert desk.sql("SELECT capability FROM requires") == [("gpu",)]
    desk.close()
    desk.open()
    desk.sql("DELETE FROM item WHERE uid = 'a'")
    assert desk.sql("SELECT * FROM requires") == []
