"""The checker is only worth what it catches: one history in order, and one forged for each way to break a promise."""

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import pytest

from tests.crash.checker import check
from tests.crash.history import Answered, Call, Cancelled, History, Kill, Seen, Wish
from tests.crash.rules import DRAINED, STANDING

Forge = Callable[[History], History]
DAY = "2026-11-21"


def in_order() -> History:
    """`first` and `second`, which needs it, succeed over one kill; `doomed` dies of its model; `gone` is cancelled."""
    wishes = (
        Wish("first", "do first", fate="succeeds"),
        Wish("second", "do second", ("first",), "succeeds"),
        Wish("doomed", "do doomed", fate="dies"),
        Wish("gone", "do gone", fate="any"),
    )
    return History(
        wishes={each.item: each for each in wishes},
        answered=tuple(Answered(10, each.item) for each in wishes),
        cancelled=(Cancelled(15, "gone"),),
        seen=(Seen(80, "first", "succeeded", "done f2"),),
        calls=(
            _call(20, "first", (), "f1"),
            _call(30, "first", ("f1",), "f2"),
            _call(50, "first", ("f1",), "f2'"),
            _call(60, "second", (), "s1"),
        ),
        kills=(Kill(35, "at random", states={"first": ("running", "executing")}, fences={"first": 1}),),
        tables={
            "item": [
                _item("first", "succeeded", 2),
                _item("second", "succeeded", 1),
                _item("doomed", "dead", 1),
                _item("gone", "cancelled", 1),
            ],
            "payload": [{"uid": each.item, "body": json.dumps({"description": each.description})} for each in wishes],
            "result": [_result("first", 2, "done f2"), _result("second", 1, "done s1")],
            "step": [_step("first", 1, 1, "f1"), _step("first", 2, 1, "f2"), _step("second", 1, 1, "s1")],
            "hold": [_hold("doomed", 1, 1), _hold("first", 1, 1), _hold("first", 2, 2), _hold("second", 1, 2)],
            "boot": [{"boot": 1, "started_at": 0}, {"boot": 2, "started_at": 2_000}],
            "dependency": [{"uid": "second", "needs": "first"}],
            "event": _events(
                "submitted first, submitted second, submitted doomed, submitted gone, assigned first, cancelled gone,"
                " assigned doomed, dead doomed, rescued first, assigned first, succeeded first, ready second,"
                " assigned second, succeeded second"
            ),
            "attempt": [_attempt("first", 30, 3), _attempt("second", 10, 1), _attempt("doomed", 0, 0)],
            "reservation": [
                _reservation("first", 1, 10),
                _reservation("first", 1, 10),
                _reservation("first", 2, 10),
                _reservation("second", 1, 10),
            ],
            "budget": [
                {"scope": "all", "period": DAY, "spent": 40, "reserved": 0, "reserved_calls": 0},
                {"scope": "item:first", "period": "ever", "spent": 30, "reserved": 0, "reserved_calls": 0},
            ],
        },
    )


def _call(at: int, item: str, heard: tuple[str, ...], said: str) -> Call:
    return Call(at, item, "executing", f"{item} after {heard}", heard, said, whole=True, nano_usd=10)


def _item(uid: str, state: str, fence: int) -> dict[str, Any]:
    return {"uid": uid, "state": state, "stage": "reviewing", "fence": fence, "attempt": 1}


def _result(uid: str, fence: int, text: str) -> dict[str, Any]:
    return {"uid": uid, "fence": fence, "body": json.dumps({"text": text})}


def _step(uid: str, seq: int, fence: int, output: str) -> dict[str, Any]:
    return {"uid": uid, "attempt": 1, "stage": "executing", "seq": seq, "fence": fence, "output": output}


def _hold(uid: str, fence: int, boot: int) -> dict[str, Any]:
    return {
        "uid": uid,
        "fence": fence,
        "attempt": 1,
        "boot": boot,
        "claimed_at": 1000 * boot + fence,
        "ended_at": 2_000,
    }


def _attempt(uid: str, nano_usd: int, calls: int) -> dict[str, Any]:
    return {"uid": uid, "attempt": 1, "nano_usd": nano_usd, "calls": calls}


def _reservation(uid: str, fence: int, nano_usd: int | None) -> dict[str, Any]:
    of = {"agent": "executor", "provider": "anthropic", "day": DAY}
    return {"uid": uid, "fence": fence, **of, "estimate": 99, "settled_at": 1, "nano_usd": nano_usd, "calls": 1}


def _events(told: str) -> list[dict[str, Any]]:
    pairs = (each.split() for each in told.split(","))
    return [{"seq": seq, "type": f"work.{kind}", "subject": item} for seq, (kind, item) in enumerate(pairs, 1)]


# --- the forgeries ----------------------------------------------------------------------------------------------------


def without(table: str, **like: Any) -> Forge:
    return lambda history: _with(
        history, table, [row for row in history.tables[table] if not like.items() <= row.items()]
    )


def adding(table: str, *rows: Mapping[str, Any]) -> Forge:
    return lambda history: _with(history, table, [*history.tables[table], *rows])


def changing(table: str, like: Mapping[str, Any], **fields: Any) -> Forge:
    def forge(history: History) -> History:
        rows = [{**row, **fields} if like.items() <= row.items() else row for row in history.tables[table]]
        return _with(history, table, rows)

    return forge


def told(events: str) -> Forge:
    return lambda history: _with(history, "event", _events(events))


def calling(*calls: Call) -> Forge:
    return lambda history: replace(history, calls=(*history.calls, *calls))


def _with(history: History, table: str, rows: list[Any]) -> History:
    return replace(history, tables={**history.tables, table: rows})


FORGED: Mapping[str, tuple[Forge, str, str]] = {
    "an acknowledged item is gone": (without("item", uid="second"), "nothing_acknowledged_is_lost", "second"),
    "an acknowledged item's words were changed": (
        changing("payload", {"uid": "first"}, body=json.dumps({"description": "do worse"})),
        "nothing_acknowledged_is_lost",
        "first",
    ),
    "a cancelled item went on": (
        changing("item", {"uid": "gone"}, state="succeeded"),
        "nothing_acknowledged_is_lost",
        "gone",
    ),
    "an item was sent by nobody": (adding("item", _item("stray", "dead", 1)), "nothing_comes_from_nowhere", "stray"),
    "a result was changed after somebody read it": (
        changing("result", {"uid": "first"}, body=json.dumps({"text": "done f1"})),
        "what_was_read_stays",
        "first",
    ),
    "there are two final results": (
        adding("result", _result("first", 1, "done f2")),
        "a_result_is_its_holders",
        "first",
    ),
    "a late result came in under a fence that nobody holds": (
        changing("result", {"uid": "second"}, fence=7),
        "a_result_is_its_holders",
        "second",
    ),
    "a fence went back over a crash": (changing("item", {"uid": "first"}, fence=0), "fences_only_rise", "first"),
    "an item was held on by a life that was over": (
        changing("hold", {"uid": "first", "fence": 1}, ended_at=9_000),
        "what_ran_is_put_back_at_once",
        "first",
    ),
    "three were held at once in a lane of two places": (
        lambda history: replace(
            adding("hold", *(_hold(name, 3, 1) for name in ("first", "second", "doomed")))(history),
            wishes={name: replace(wish, lane="narrow") for name, wish in history.wishes.items()},
        ),
        "no_lane_is_crowded",
        "second",
    ),
    "an item succeeded twice": (
        adding("event", *_events("succeeded second")),
        "nothing_happens_after_the_end",
        "second",
    ),
    "an end was not told": (without("event", type="work.dead"), "an_end_and_its_event_are_one", "doomed"),
    "a call was made before the step it goes on from was kept": (
        without("step", uid="first", seq=1),
        "a_step_is_kept_before_the_next_call",
        "first",
    ),
    "a resumed run mixed two replies": (
        calling(_call(70, "first", ("f1", "f2", "g3"), "f4"), _call(65, "first", ("f1",), "g3")),
        "replies_do_not_mix",
        "first",
    ),
    "one item heard what was said to another": (
        calling(_call(70, "second", ("f1",), "s2")),
        "replies_do_not_mix",
        "second",
    ),
    "a budget forgot a reservation": (
        changing("budget", {"scope": "item:first"}, spent=20),
        "books_add_up",
        "item:first",
    ),
    "an attempt lost what it paid before a kill": (
        changing("attempt", {"uid": "first"}, nano_usd=10, calls=1),
        "an_attempt_used_what_its_calls_did",
        "first",
    ),
    "an acknowledged item runs for ever": (
        changing("item", {"uid": "second"}, state="running"),
        "everything_ends_as_it_must",
        "second",
    ),
    "an innocent item died": (
        changing("item", {"uid": "second"}, state="dead"),
        "every_dead_letter_is_earned",
        "second",
    ),
    "a finished step was paid for again without a kill": (
        calling(_call(70, "second", (), "s1'")),
        "no_answered_call_is_repeated",
        "second",
    ),
    "a finished step was paid for twice over one kill": (
        calling(_call(40, "first", (), "f1'")),
        "no_answered_call_is_repeated",
        "first",
    ),
    "a dependent began too early": (
        told("submitted first, submitted second, assigned second, succeeded first"),
        "dependencies_come_first",
        "second",
    ),
    "money was spent that is in no book": (
        changing("reservation", {"uid": "second"}, nano_usd=9),
        "what_is_booked_was_counted",
        "second",
    ),
    "money was booked that nobody asked for": (
        changing("reservation", {"uid": "second"}, nano_usd=None),
        "what_is_booked_was_counted",
        "second",
    ),
    "a call that was seen to end was never settled": (
        changing("reservation", {"uid": "second"}, settled_at=None),
        "what_is_booked_was_counted",
        "second",
    ),
}


def test_a_history_in_order_breaks_no_rule() -> None:
    assert check(in_order(), DRAINED) == []


@pytest.mark.parametrize("name", FORGED)
def test_a_forged_history_is_flagged(name: str) -> None:
    forge, rule, subject = FORGED[name]
    assert (rule, subject) in {(each.rule, each.subject) for each in check(forge(in_order()), DRAINED)}


def test_every_rule_has_a_forgery_that_it_flags() -> None:
    assert {rule for _, rule, _ in FORGED.values()} == {rule.__name__ for rule in DRAINED}


def test_of_an_undrained_file_no_end_is_asked_for() -> None:
    early = changing("item", {"uid": "second"}, state="ready")(
        without("result", uid="second")(without("event", subject="second", type="work.succeeded")(in_order()))
    )
    assert check(early, STANDING) == []
