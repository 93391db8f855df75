"""Thirty deaths of the process and more: the one item that kills it is found, and nobody else answers for it."""

import random

import pytest

from darumad.journal import Held, PromoteDue
from darumad.names import ItemId, Millis
from darumad.work.blame import SETTLED_AFTER
from darumad.work.states import WorkState
from tests.journal.desk import DO, Desk, new_item, step

KILLER = "killer"
BYSTANDERS = 24
SLOTS = 6


class Lives:
    """One life after the other: items are claimed, some make a step, some end, and the process dies."""

    def __init__(self, desk: Desk, seed: int) -> None:
        self.desk = desk
        self.chance = random.Random(seed)
        self.deaths = 0
        self.suspects_at_once = 0
        names = [f"i{number}" for number in range(BYSTANDERS)]
        names.insert(BYSTANDERS // 2, KILLER)
        desk.submit(*(new_item(name, stages=(DO,)) for name in names))

    def live(self) -> None:
        """A life: it ends when the killer runs, else at a random moment."""
        for _ in range(self.chance.randint(1, 6)):
            if self.chance.random() < 0.5:
                self.desk.clock.advance(SETTLED_AFTER + 1)
            held = self.desk.claim(DO, SLOTS)
            self._count_suspects()
            if any(each.record.item.id == KILLER for each in held):
                break
            for each in held:
                self._work(each)
        self.deaths += 1
        self.desk.die()
        self.desk.open()

    def _work(self, held: Held) -> None:
        if self.chance.random() < 0.2:
            self.desk.succeed(held)
            self.desk.submit(new_item(f"{held.record.item.id}+", stages=(DO,)))
        elif self.chance.random() < 0.8:  # else the process died before its first step came of it
            self.desk.call(step(held, 1))

    def _count_suspects(self) -> None:
        running = self.desk.reader.records(state=WorkState.RUNNING)
        self.suspects_at_once = max(self.suspects_at_once, sum(each.suspect for each in running))


@pytest.mark.parametrize("seed", [2])
def test_the_item_that_kills_its_worker_is_found_and_many_deaths_condemn_nobody_else(desk: Desk, seed: int) -> None:
    lives = Lives(desk, seed)
    while lives.deaths < 30 or desk.state(KILLER) is not WorkState.DEAD:
        lives.live()
        assert lives.deaths < 120, "the killer was never found"
    dead = [each.item.id for each in desk.reader.records(state=WorkState.DEAD, limit=1000)]
    assert dead == [KILLER]
    assert lives.suspects_at_once <= 1, "suspects run one at a time"
    killer = desk.record(KILLER)
    assert killer.crashes == 3
    assert killer.error is not None
    assert "died 3 times" in killer.error["message"]
    others = [each for each in desk.reader.records(limit=1000) if each.item.id != KILLER]
    assert all(each.failures == 0 and each.attempt <= 1 for each in others), "bystanders pay nothing but the fence"


def test_a_suspect_runs_beside_normal_work(desk: Desk) -> None:
    desk.submit(new_item("s", stages=(DO,)))
    for _ in range(2):
        desk.claim_one(DO)
        desk.die()
        desk.open()
    assert desk.record("s").suspect
    desk.submit(*(new_item(f"i{number}", stages=(DO,)) for number in range(3)))
    assert {each.record.item.id for each in desk.claim(DO, 4)} == {"i0", "i1", "i2"}, "not yet: the daemon is young"
    desk.clock.advance(SETTLED_AFTER)
    assert [each.record.item.id for each in desk.claim(DO, 4)] == ["s"]
    assert desk.reader.attempts(ItemId("s"))[0]["attempt"] == 1


def test_a_suspect_that_is_past_its_time_is_not_claimed_any_more(desk: Desk) -> None:
    desk.submit(new_item("s", stages=(DO,), expires_at=Millis(desk.clock.wall() + 5_000)))
    for _ in range(2):
        desk.claim_one(DO)
        desk.die()
        desk.open()
    desk.clock.advance(SETTLED_AFTER)
    assert desk.claim(DO) == ()
    desk.call(PromoteDue())
    assert (desk.state("s"), desk.events("s")[-1]) == (WorkState.DEAD, "work.expired")
