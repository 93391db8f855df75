"""Whose executors stand, by the rules alone: no tree, no clock."""

from collections.abc import Collection

from hypothesis import given
from hypothesis import strategies as st

from darumad.actors.standing import SPARE, Changes, Standing
from darumad.names import AgentName, Seconds

IDLE = Seconds(3_600.0)
NAMES = tuple(AgentName(each) for each in "abcde")
A, B, C, *_ = NAMES


def standing(most: int = 100) -> Standing:
    return Standing(NAMES, most=most, idle_after=IDLE)


def at_work(*agents: AgentName):
    return lambda agent: agent in agents


NOBODY = at_work()
ALL = at_work(*NAMES)


def wanted(rules: Standing, *agents: AgentName, now: float = 0.0, busy: Collection[AgentName] = ()) -> Changes:
    rules.want(agents, Seconds(now))
    return rules.changes(at_work(*busy), Seconds(now))


def test_whoever_is_wanted_starts_once_and_a_stranger_never() -> None:
    rules = standing()
    assert wanted(rules, A, AgentName("executor"), AgentName("unknown")) == Changes(start=(A,))
    assert wanted(rules, A, B) == Changes(start=(B,))
    assert wanted(rules, A, B) == Changes()


def test_whoever_nobody_could_start_is_wanted_anew() -> None:
    rules = standing()
    wanted(rules, A)
    rules.missed(A)
    assert wanted(rules, A) == Changes(start=(A,))


def test_the_longest_idle_makes_room_and_it_alone() -> None:
    rules = standing(most=2)
    wanted(rules, A, now=0)
    wanted(rules, B, now=1)
    assert wanted(rules, C, now=SPARE + 2) == Changes(end=(A,), start=(C,))


def test_whoever_is_at_work_or_had_work_a_moment_ago_makes_no_room() -> None:
    rules = standing(most=2)
    wanted(rules, A, B, now=0)
    assert wanted(rules, C, now=SPARE) == Changes()
    assert wanted(rules, C, now=SPARE + 1, busy=(A, B)) == Changes()
    assert rules.unplaced == {C}
    assert wanted(rules, C, now=SPARE + 1, busy=(A,)) == Changes(end=(B,), start=(C,))
    assert rules.unplaced == frozenset()


def test_places_are_given_in_the_order_they_were_wanted() -> None:
    rules = standing(most=1)
    wanted(rules, A, now=0)
    wanted(rules, C, now=1)
    wanted(rules, B, now=2)
    assert rules.changes(NOBODY, Seconds(SPARE + 2)) == Changes(end=(A,), start=(C,))
    assert rules.unplaced == {B}


def test_whoever_had_no_work_for_longer_than_that_ends() -> None:
    rules = standing()
    wanted(rules, A, B, C, now=0)
    wanted(rules, B, now=10)
    assert rules.look(NOBODY, ALL, IDLE) == Changes()
    assert rules.look(at_work(C), ALL, Seconds(IDLE + 1)) == Changes(end=(A,))
    assert rules.look(NOBODY, ALL, Seconds(IDLE + 11)) == Changes(end=(B,))
    assert wanted(rules, A, now=IDLE + 12) == Changes(start=(A,))


def test_whoever_is_gone_from_the_tree_starts_again() -> None:
    rules = standing()
    wanted(rules, A, B, now=0)
    assert rules.look(NOBODY, at_work(A), Seconds(5)) == Changes(start=(B,))


def test_whoever_waits_for_a_place_and_has_no_work_any_more_is_forgotten() -> None:
    rules = standing(most=1)
    wanted(rules, A, B, now=0)
    assert rules.unplaced == {B}
    rules.know((A,), Seconds(5))
    assert rules.unplaced == frozenset()
    assert rules.changes(NOBODY, Seconds(SPARE + 6)) == Changes()


def test_whoever_an_operator_had_started_starts_though_there_is_no_work_for_it() -> None:
    rules = standing()
    rules.want((A,), Seconds(0))
    rules.know((), Seconds(0))
    assert rules.changes(NOBODY, Seconds(0)) == Changes(start=(A,))


def test_whoever_waits_for_a_place_keeps_its_turn_whatever_else_is_there_by_then() -> None:
    rules = standing(most=1)
    for agent in (A, C, B):
        wanted(rules, agent, now=0)
    rules.know(NAMES, Seconds(SPARE + 1))
    assert rules.changes(NOBODY, Seconds(SPARE + 1)).start == (C,)
    rules.know(NAMES, Seconds(2 * SPARE + 2))
    assert rules.changes(NOBODY, Seconds(2 * SPARE + 2)).start == (B,)


def test_whoever_has_work_that_nobody_may_claim_makes_room_and_gets_its_turn_again() -> None:
    rules = standing(most=1)
    wanted(rules, A, now=0)
    rules.know((A, B), Seconds(SPARE + 1))
    assert rules.changes(NOBODY, Seconds(SPARE + 1)) == Changes(end=(A,), start=(B,))
    assert rules.unplaced == {A}
    assert rules.changes(NOBODY, Seconds(2 * SPARE + 2)) == Changes(end=(B,), start=(A,))
    assert rules.unplaced == frozenset(), "nothing came for it while it stood"


def test_whoever_did_something_a_moment_ago_makes_no_room() -> None:
    rules = standing(most=1)
    wanted(rules, A, now=0)
    rules.works((A,), Seconds(SPARE))
    assert wanted(rules, B, now=SPARE + 1) == Changes()


EVENTS = st.lists(
    st.tuples(st.sampled_from(("want", "look")), st.frozensets(st.sampled_from(NAMES)), st.floats(0.1, 4_000.0)),
    max_size=40,
)


@given(EVENTS, st.integers(1, 5))
def test_whatever_happens_no_more_stand_than_may_and_nobody_at_work_ends(
    events: list[tuple[str, frozenset[AgentName], float]], most: int
) -> None:
    rules, stand, now = standing(most), set[AgentName](), 0.0
    for kind, agents, later in events:
        now += later
        busy = agents & stand
        if kind == "want":
            changes = wanted(rules, *agents, now=now, busy=busy)
            assert agents <= (stand - set(changes.end)) | set(changes.start) | rules.unplaced
        else:
            changes = rules.look(at_work(*busy), at_work(*stand), Seconds(now))
            assert changes.start == ()
        assert not busy & set(changes.end)
        assert set(changes.end) <= stand
        stand = (stand - set(changes.end)) | set(changes.start)
        assert len(stand) <= most
