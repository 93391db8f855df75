"""Executors that stand while there is work for them: the daemon's own orchestrator, tree and journal."""

import threading
from collections.abc import Callable
from typing import Any

from darumad.actors import Restarted
from darumad.actors.messages import SlotUp
from darumad.actors.standing import SPARE
from darumad.agents import AgentDefinition
from darumad.errors import Unavailable
from darumad.names import AgentName, Role, Seconds, Stage
from darumad.supervision import TreeRow
from darumad.work.ports import Agent
from darumad.work.states import WorkState
from tests.actors.company import IDLE, REREAD, Company
from tests.actors.held import Held
from tests.journal.desk import new_item
from tests.kit import eventually

Companies = Callable[..., Company]
OTHER: dict[str, Any] = {"agent": "other", "stages": (Stage.EXECUTING,)}
THIRD: dict[str, Any] = {"agent": "third", "stages": (Stage.EXECUTING,)}


def standing(daemon: Company) -> set[str]:
    """The definitions that have executors in the tree."""
    return {row.path.rpartition("of-")[2] for row in rows(daemon) if row.type == "supervisor" and "/of-" in row.path}


def rows(daemon: Company) -> list[TreeRow]:
    return list(daemon.root.tree())


def lives(daemon: Company, agent: str) -> list[int]:
    """Which life each instance of this definition is in."""
    return [row.incarnation for row in rows(daemon) if f"/{agent}/" in row.path and row.type == "worker"]


def wait(daemon: Company, seconds: float) -> None:
    """So much time passes, with the looks at the journal that fall into it taken in one by one."""
    for _ in range(round(seconds / REREAD)):
        daemon.clock.advance(REREAD)
        eventually(daemon.at_rest)


def test_a_definitions_executors_start_with_its_first_item_and_the_built_in_ones_with_the_daemon(
    company: Companies,
) -> None:
    daemon = company(count=2).start().seated()
    assert standing(daemon) == {"executor"}
    daemon.submit("one", **OTHER)
    daemon.succeeds("one")
    assert (standing(daemon), lives(daemon, "other")) == ({"executor", "other"}, [1, 1])
    assert len([each for each in daemon.facts("agent.started") if each["agent"] == "other"]) == 2


def test_they_start_while_the_item_is_still_prepared(company: Companies) -> None:
    held = Held()
    daemon = company(optimizer=held).start().seated()
    daemon.submit("one", agent="other")
    eventually(lambda: held.begun and standing(daemon) == {"executor", "other"})
    held.release()
    daemon.succeeds("one")


def test_what_was_there_before_the_daemon_came_up_is_found(company: Companies) -> None:
    daemon = company()
    daemon.desk.submit(new_item("one", **OTHER))
    daemon.start().succeeds("one")


def test_a_lost_hint_costs_no_more_than_the_next_look_at_the_journal(company: Companies) -> None:
    daemon = company().start().seated()
    daemon.submit("one", hint=False, **OTHER)
    wait(daemon, REREAD)
    daemon.succeeds("one")


def test_what_comes_after_another_definitions_item_starts_its_own_executors(company: Companies) -> None:
    daemon = company().start().seated()
    daemon.submit("one", stages=(Stage.EXECUTING,))
    daemon.submit("two", needs=("one",), **OTHER)
    daemon.succeeds("one", "two")


def test_after_long_without_work_they_end_and_the_next_item_starts_them_again(company: Companies) -> None:
    daemon = company(count=1).start().seated()
    daemon.submit("one", **OTHER)
    daemon.succeeds("one")
    wait(daemon, IDLE)
    assert standing(daemon) == {"executor", "other"}
    wait(daemon, 2 * REREAD)
    eventually(lambda: standing(daemon) == {"executor"})
    daemon.submit("two", **OTHER)
    daemon.succeeds("two")
    assert lives(daemon, "other") == [2]
    assert not daemon.facts("agent.restarted"), "nothing failed"


def test_whoever_works_for_longer_than_that_is_not_ended(company: Companies) -> None:
    held = Held()
    daemon = company(count=1, executor=held).start().seated()
    daemon.submit("one", **OTHER)
    eventually(lambda: held.begun)
    wait(daemon, IDLE + 2 * REREAD)
    assert lives(daemon, "other") == [1]
    held.release()
    daemon.succeeds("one")


def test_the_longest_idle_makes_room_for_whoever_is_wanted(company: Companies) -> None:
    daemon = company(count=1)
    daemon.most_standing = 1
    daemon.start().seated()
    daemon.submit("one", **OTHER)
    daemon.succeeds("one")
    wait(daemon, SPARE + REREAD)
    daemon.submit("two", **THIRD)
    daemon.succeeds("two")
    eventually(lambda: standing(daemon) == {"executor", "third"})


def test_where_none_is_idle_the_items_of_another_wait_and_it_is_told_whose(company: Companies) -> None:
    held = Held()
    daemon = company(count=1, executor=held)
    daemon.most_standing = 1
    daemon.start().seated()
    daemon.submit("one", **OTHER)
    eventually(lambda: held.begun == ["one"])
    daemon.submit("two", **THIRD)
    eventually(lambda: daemon.executors.unplaced == {AgentName("third")})
    wait(daemon, SPARE + REREAD)
    assert daemon.becomes("two", WorkState.READY).attempt == 0
    assert daemon.executors.unplaced == {AgentName("third")}
    held.release()
    daemon.succeeds("one")
    wait(daemon, SPARE + 2 * REREAD)
    daemon.succeeds("two")
    assert daemon.executors.unplaced == frozenset()


def test_when_the_supervisor_above_them_comes_back_without_them_they_start_again(company: Companies) -> None:
    held = Held()
    daemon = company(count=1, executor=held).start().seated()
    daemon.submit("one", **OTHER)
    eventually(lambda: held.begun == ["one"])
    minds, executors = daemon.instance("minds").ref, daemon.instance("executors")
    minds.terminate_child("executors")
    minds.restart_child("executors")
    assert daemon.instance("executors").incarnation == executors.incarnation + 1
    held.release()
    wait(daemon, 2 * REREAD)
    daemon.succeeds("one")


def test_an_operators_word_starts_those_that_have_no_work(company: Companies) -> None:
    daemon = company(count=1).start().seated()
    daemon.tell(Restarted(frozenset({AgentName("other")})))
    eventually(lambda: standing(daemon) == {"executor", "other"})


def test_while_draining_none_are_started(company: Companies) -> None:
    daemon = company(count=1).start().seated()
    daemon.dispatch.draining = True
    daemon.submit("one", **OTHER)
    wait(daemon, 2 * REREAD)
    assert standing(daemon) == {"executor"}
    daemon.dispatch.draining = False
    wait(daemon, REREAD)
    daemon.succeeds("one")


def test_executors_that_begin_slowly_are_not_ended_while_their_first_item_waits(company: Companies) -> None:
    daemon = company(count=1)
    daemon.idle_after = Seconds(REREAD / 2)
    make = daemon.make

    def not_yet(role: Role, definition: AgentDefinition) -> Agent:
        if definition.name == "other":
            raise Unavailable("not yet")
        return make(role, definition)

    daemon.make = not_yet
    daemon.start().seated()
    daemon.submit("one", **OTHER)
    wait(daemon, 3 * REREAD)
    assert lives(daemon, "other") == [1]


def test_a_slot_that_comes_up_when_its_executors_are_ended_is_given_nothing(company: Companies) -> None:
    daemon = company(count=1)
    ups: list[SlotUp] = []
    tell = daemon.tell

    def heard(message: object) -> None:
        if isinstance(message, SlotUp) and message.seat.definition.name == "other":
            ups.append(message)
        tell(message)

    daemon.tell = heard  # type: ignore[method-assign] # whoever is built with it is, later
    daemon.start().seated()
    daemon.submit("one", **OTHER)
    daemon.succeeds("one")
    wait(daemon, IDLE + 2 * REREAD)
    eventually(lambda: standing(daemon) == {"executor"})
    daemon.tell(ups[0])
    daemon.submit("two", **OTHER)
    daemon.succeeds("two")
    assert not daemon.facts("work.interrupted")


def test_whoever_was_wanted_while_the_tree_above_came_back_starts_when_it_is_there(company: Companies) -> None:
    daemon = company(count=1).start().seated()
    supervisor = daemon.executors._supervisor
    daemon.executors._supervisor = lambda: None
    daemon.submit("one", **OTHER)
    daemon.becomes("one", WorkState.READY)
    daemon.executors._supervisor = supervisor
    executors = daemon.instance("executors/of-executor").ref
    executors.terminate_child("executor/1")
    executors.restart_child("executor/1")
    daemon.succeeds("one")


def test_whoever_is_ended_before_its_start_was_done_starts_the_next_time_and_is_no_restart(company: Companies) -> None:
    daemon, other = company(count=1).start().seated(), AgentName("other")
    held = threading.Event()
    daemon.instance("executors").ref.echo(held.wait)
    daemon.executors.start(other)
    daemon.executors.end(other)
    daemon.executors.start(other)
    held.set()
    eventually(lambda: lives(daemon, "other") == [2])
    daemon.until("agent.started", "daruma/engine/minds/executors/of-other/other/1", times=2)
    assert not daemon.facts("agent.restarted")
