"""The rules, one generator each: given a history, what breaks the promise. Nothing of Daruma is imported here.

`STANDING` holds of every file that any crash may leave; `DRAINED` once everything has been given the time to end.
"""

import json
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping
from itertools import pairwise
from math import inf

from tests.crash.history import Call, History, Row

Found = Iterator[tuple[str, str]]
"""The item that a rule found fault with, and what the fault is."""
Rule = Callable[[History], Found]

_FINISHED = frozenset({"succeeded", "dead", "cancelled"})
_ENDS: Mapping[str, frozenset[str]] = {
    "succeeded": frozenset({"work.succeeded"}),
    "dead": frozenset({"work.dead", "work.expired"}),
    "cancelled": frozenset({"work.cancelled"}),
}
_CUTS_A_CALL = frozenset({"work.interrupted", "work.rescued", "work.cancelled"})
PLACES: Mapping[str, int] = {"narrow": 2}
"""How many items may be under way at once in each lane that has a limit."""
SOON = 1_000
"""Milliseconds from the beginning of a life to the end of what the one before it held."""
_PUTS_BACK = frozenset({"work.interrupted", "work.rescued"})
_AFTER_THE_END = frozenset({"work.stale_result", "work.stopped"})
"""Events that change no state, and may come of what was still under way."""


def _states(history: History) -> dict[str, str]:
    return {row["uid"]: row["state"] for row in history.tables["item"]}


# --- of every file ----------------------------------------------------------------------------------------------------


def nothing_acknowledged_is_lost(history: History) -> Found:
    """Whoever was told that the daemon has their item finds it there, in their own words."""
    kept = {row["uid"]: json.loads(row["body"])["description"] for row in history.tables["payload"]}
    states = _states(history)
    for each in history.answered:
        if each.item not in states or each.item not in kept:
            yield each.item, "was acknowledged and is gone"
        elif kept[each.item] != history.wishes[each.item].description:
            yield each.item, "is kept in words that nobody sent"
    for cancelled in history.cancelled:
        if states.get(cancelled.item) != "cancelled":
            yield cancelled.item, f"was acknowledged as cancelled and is {states.get(cancelled.item)}"


def nothing_comes_from_nowhere(history: History) -> Found:
    """Every item is one that a client sent, and there is one of each."""
    counts = Counter(row["uid"] for row in history.tables["item"])
    for item, count in counts.items():
        if item not in history.wishes:
            yield item, "was sent by nobody"
        if count > 1:
            yield item, f"is there {count} times"


def what_was_read_stays(history: History) -> Found:
    """An end that somebody has read is the end, and its result is the result.

    A dead item may still be cancelled, and one that somebody wished to retry may live again.
    """
    again = {each.whom for each in history.retried}
    states = _states(history)
    results = {row["uid"]: json.loads(row["body"])["text"] for row in history.tables["result"]}
    for each in history.seen:
        if each.state not in _FINISHED or (each.state == "dead" and each.item in again):
            continue
        if states.get(each.item) not in {each.state, "cancelled" if each.state == "dead" else each.state}:
            yield each.item, f"was read as {each.state} and is {states.get(each.item)}"
        elif each.state == "succeeded" and results.get(each.item) != each.result:
            yield each.item, f"was read with the result {each.result!r} and has {results.get(each.item)!r}"


def a_result_is_its_holders(history: History) -> Found:
    """An item has a result when it succeeded, one, and under a fence that somebody held."""
    states = _states(history)
    held = {(row["uid"], row["fence"]) for row in history.tables["hold"]}
    counts = Counter(row["uid"] for row in history.tables["result"])
    for row in history.tables["result"]:
        if (row["uid"], row["fence"]) not in held:
            yield row["uid"], f"has a result under fence {row['fence']}, which nobody held"
    for item, state in states.items():
        if counts[item] != (state == "succeeded"):
            yield item, f"is {state} and has {counts[item]} results"


def fences_only_rise(history: History) -> Found:
    """From hold to hold, from boot to boot and from one dead file to the next; nothing is kept under one to come."""
    now = {row["uid"]: row["fence"] for row in history.tables["item"]}
    for earlier, later in pairwise([*(kill.fences for kill in history.kills if kill.daemon), now]):
        for item, fence in earlier.items():
            if later.get(item, -1) < fence:
                yield item, f"had fence {fence} at a kill and {later.get(item)} after it"
    for one, other in pairwise(history.tables["hold"]):
        same = one["uid"] == other["uid"]
        if same and (other["boot"], other["claimed_at"]) < (one["boot"], one["claimed_at"]):
            yield one["uid"], f"was held under fence {other['fence']} before fence {one['fence']}"
    for table in ("hold", "step", "result"):
        for row in history.tables[table]:
            if row["fence"] > now.get(row["uid"], -1):
                yield row["uid"], f"has fence {now.get(row['uid'])} and a {table} under {row['fence']}"


def what_ran_is_put_back_at_once(history: History) -> Found:
    """Whatever a life held when it died is free again within a second of the next life's beginning."""
    began = {row["boot"]: row["started_at"] for row in history.tables["boot"]}
    after = {one: began[other] for one, other in pairwise(sorted(began))}
    for row in history.tables["hold"]:
        if row["boot"] in after and (row["ended_at"] is None or row["ended_at"] > after[row["boot"]] + SOON):
            yield row["uid"], f"was held under fence {row['fence']} by a life that was over"


def no_lane_is_crowded(history: History) -> Found:
    """Of a lane with a limit no more items are held at once than it has places, over all lives of the daemon."""
    changes: defaultdict[str, list[tuple[float, int, str]]] = defaultdict(list)
    for row in history.tables["hold"]:
        wish = history.wishes.get(row["uid"])
        if wish is not None and wish.lane in PLACES:
            ended_at = inf if row["ended_at"] is None else row["ended_at"]
            changes[wish.lane] += [(row["claimed_at"], 1, row["uid"]), (ended_at, -1, row["uid"])]
    for lane, moments in changes.items():
        held = 0
        for _, change, item in sorted(moments):  # who leaves makes room for who comes in the same moment
            held += change
            if held > PLACES[lane]:
                yield item, f"was claimed as the {held}th of lane {lane}"


def nothing_happens_after_the_end(history: History) -> Found:
    """Events begin with the submit; behind an end only a dead item may live again."""
    over: dict[str, str] = {}
    begun: set[str] = set()
    for row in history.tables["event"]:
        item, kind = row["subject"], row["type"]
        if kind in _AFTER_THE_END:
            continue
        if (kind == "work.submitted") == (item in begun):
            yield item, f"has {kind} out of turn"
        begun.add(item)
        if over.get(item) in {"work.succeeded", "work.cancelled"}:
            yield item, f"has {kind} after {over[item]}"
        if any(kind in kinds for kinds in _ENDS.values()):
            over[item] = kind


def an_end_and_its_event_are_one(history: History) -> Found:
    """What the rows say and what the events say is the same."""
    told = defaultdict(Counter)
    for row in history.tables["event"]:
        told[row["subject"]][row["type"]] += 1
    for item, state in _states(history).items():
        if told[item]["work.submitted"] != 1:
            yield item, f"was told as submitted {told[item]['work.submitted']} times"
        for end, kinds in _ENDS.items():
            times = sum(told[item][kind] for kind in kinds)
            if state == end and not times:
                yield item, f"is {state} and no event tells it"
            if times and end not in {"dead", state}:
                yield item, f"is {state} and was told as {end}"
            if times > 1 and end != "dead":
                yield item, f"was told as {end} {times} times"
    for item in told.keys() - _states(history).keys():
        yield item, "has events and no row"


def a_step_is_kept_before_the_next_call(history: History) -> Found:
    """What a model call repeats of earlier replies was on disk before the call was made."""
    kept = defaultdict(str)
    for row in history.tables["step"]:
        kept[row["uid"]] += row["output"]
    for call in history.calls:
        if call.stage == "executing":
            yield from (
                (call.item, f"called on with {word}, kept in no step")
                for word in call.heard
                if word not in kept[call.item]
            )


def replies_do_not_mix(history: History) -> Found:
    """Every dialogue is one that the model had, reply by reply; and so is the one behind a result."""
    calls = {call.said: call for call in history.calls}
    for call in history.calls:
        for at, word in enumerate(call.heard):
            before = calls.get(word)
            if before is None or before.item != call.item:
                yield call.item, f"goes on from {word}, which it was never told"
            elif call.stage == "executing" and before.heard != call.heard[:at]:
                yield call.item, f"goes on from {word}, which was said to {before.heard}, after {call.heard[:at]}"
    steps: defaultdict[str, defaultdict[int, str]] = defaultdict(lambda: defaultdict(str))
    for row in history.tables["step"]:
        if row["stage"] == "executing":
            steps[row["uid"]][row["attempt"]] += row["output"]
    for row in history.tables["result"]:
        yield from _result_is_of_its_steps(row["uid"], json.loads(row["body"])["text"], calls, steps[row["uid"]])


def _result_is_of_its_steps(item: str, text: str, calls: Mapping[str, Call], steps: Mapping[int, str]) -> Found:
    """All of a dialogue is in one attempt: its last, or an earlier one whose work was only reviewed again."""
    final = next((call for word, call in calls.items() if word in text and call.item == item), None)
    if final is None:
        yield item, f"has a result that no model gave it: {text!r}"
    elif not any(all(word in kept for word in (*final.heard, final.said)) for kept in steps.values()):
        yield item, f"has a result made from {(*final.heard, final.said)}, which no attempt's steps hold"


def books_add_up(history: History) -> Found:
    """Each budget is the sum of its reservations: settled ones are spent, open ones reserved."""
    sums: defaultdict[tuple[str, str], list[int]] = defaultdict(lambda: [0, 0, 0])
    for row in history.tables["reservation"]:
        is_open = row["settled_at"] is None
        spent = 0 if is_open else booked(row)
        entry = (spent, row["estimate"] if is_open else 0, int(is_open))
        for budget in _budgets_of(row):
            sums[budget] = [before + more for before, more in zip(sums[budget], entry, strict=True)]
    for row in history.tables["budget"]:
        held = [row["spent"], row["reserved"], row["reserved_calls"]]
        if held != sums[row["scope"], row["period"]]:
            yield row["scope"], f"has booked {held} where its reservations make {sums[row['scope'], row['period']]}"


def an_attempt_used_what_its_calls_did(history: History) -> Found:
    """What is said of each attempt is the sum of the calls that were made under its fences, and settled."""
    attempts = {(row["uid"], row["fence"]): row["attempt"] for row in history.tables["hold"]}
    sums: defaultdict[tuple[str, int], list[int]] = defaultdict(lambda: [0, 0])
    for row in history.tables["reservation"]:
        if row["settled_at"] is not None:
            of = row["uid"], attempts[row["uid"], row["fence"]]
            sums[of] = [sums[of][0] + booked(row), sums[of][1] + row["calls"]]
    for row in history.tables["attempt"]:
        told, made = [row["nano_usd"], row["calls"]], sums[row["uid"], row["attempt"]]
        if told != made:
            yield row["uid"], f"says {told} of its attempt {row['attempt']}, whose calls make {made}"


def booked(reservation: Row) -> int:
    """What a settled reservation cost; where nobody knows, what was reserved."""
    return int(reservation["estimate"] if reservation["nano_usd"] is None else reservation["nano_usd"])


def _budgets_of(row: Row) -> Iterator[tuple[str, str]]:
    yield f"item:{row['uid']}", "ever"
    for scope in (f"agent:{row['agent']}", f"provider:{row['provider']}", "all"):
        yield scope, row["day"]
        yield scope, "ever"


# --- once all is drained ----------------------------------------------------------------------------------------------


def everything_ends_as_it_must(history: History) -> Found:
    """Whatever was acknowledged has come to its own end; nothing still runs."""
    ends = {"succeeds": {"succeeded"}, "dies": {"dead"}, "may die": _FINISHED, "any": _FINISHED}
    states = _states(history)
    for each in history.answered:
        fate = history.wishes[each.item].fate
        if each.item in states and states[each.item] not in ends[fate]:
            yield each.item, f"should have come to `{fate}` and is {states[each.item]}"
    for item, state in states.items():
        if state in {"running", "ready", "waiting", "scheduled"}:
            yield item, f"is {state} for ever"


def every_dead_letter_is_earned(history: History) -> Found:
    """Only those die whose model or agent made them, or whose dependency is dead or cancelled."""
    states = _states(history)
    needs = defaultdict(list)
    for row in history.tables["dependency"]:
        needs[row["uid"]].append(row["needs"])
    for item, state in states.items():
        doomed = item in history.wishes and history.wishes[item].fate in {"dies", "may die"}
        if state == "dead" and not doomed and not any(states[each] in {"dead", "cancelled"} for each in needs[item]):
            yield item, "is dead and innocent"


def no_answered_call_is_repeated(history: History) -> Found:
    """A call that was answered is made again at most once a death that caught its item, and afresh in a new attempt.

    What ends alone - an orchestrator that fails, an agent that is restarted - catches an item when this is put back.
    """
    deaths = Counter(item for kill in history.kills for item in kill.states if kill.caught(item))
    raised = sum(not kill.daemon for kill in history.kills) + len(history.restarted)
    rescues = Counter(row["subject"] for row in history.tables["event"] if row["type"] in _PUTS_BACK)
    attempts = {row["uid"]: max(row["attempt"], 1) for row in history.tables["item"]}
    answered: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for call in history.calls:
        if call.whole and call.fault is None:
            answered[call.item][call.prompt] += 1
    for item, prompts in answered.items():
        again = sum(prompts.values()) - len(prompts)
        allowed = deaths[item] + min(raised, rescues[item]) + (attempts.get(item, 1) - 1) * len(prompts)
        if again > allowed:
            yield item, f"made {again} answered calls again; {allowed} could not be helped"


def dependencies_come_first(history: History) -> Found:
    """No item is claimed before all that it needs has succeeded."""
    assigned: dict[str, int] = {}
    succeeded: dict[str, int] = {}
    for row in history.tables["event"]:
        if row["type"] == "work.assigned":
            assigned.setdefault(row["subject"], row["seq"])
        elif row["type"] == "work.succeeded":
            succeeded[row["subject"]] = row["seq"]
    wished = {
        (item, needs) for item in _states(history) if item in history.wishes for needs in history.wishes[item].needs
    }
    kept = {(row["uid"], row["needs"]) for row in history.tables["dependency"]}
    for item, needs in wished ^ kept:
        yield item, f"was sent with another list of needs than it has: {needs}"
    for item, needs in wished:
        if item in assigned and assigned[item] < succeeded.get(needs, 1 << 62):
            yield item, f"began before {needs} was done"


def what_is_booked_was_counted(history: History) -> Found:
    """What the server counted is booked: to the dollar where every call was seen to end, and else not less.

    A call that nobody saw the end of is booked at its estimate, and there is one for each such booking.
    """
    counted: Counter[str] = Counter()
    unseen = Counter(item for kill in history.kills for item in kill.unsettled)
    unseen.update(row["subject"] for row in history.tables["event"] if row["type"] in _CUTS_A_CALL)
    for call in history.calls:
        counted[call.item] += call.nano_usd
        unseen[call.item] += not call.whole
    books: Counter[str] = Counter()
    estimates: Counter[str] = Counter()
    for row in history.tables["reservation"]:
        if row["settled_at"] is None:
            yield row["uid"], "has a reservation that nobody settled"
        books[row["uid"]] += booked(row)
        estimates[row["uid"]] += row["nano_usd"] in {None, row["estimate"]}
    for item in counted.keys() | books.keys():
        if books[item] < counted[item] or (books[item] != counted[item] and not estimates[item]):
            yield item, f"has booked {books[item]} nano-USD; the server counted {counted[item]}"
        if estimates[item] > unseen[item]:
            yield item, f"has booked {estimates[item]} estimates; {unseen[item]} calls were not seen to end"


STANDING: tuple[Rule, ...] = (
    nothing_acknowledged_is_lost, nothing_comes_from_nowhere, what_was_read_stays, a_result_is_its_holders,
    fences_only_rise, what_ran_is_put_back_at_once, no_lane_is_crowded, nothing_happens_after_the_end,
    an_end_and_its_event_are_one, a_step_is_kept_before_the_next_call, replies_do_not_mix, books_add_up,
    an_attempt_used_what_its_calls_did,
)  # fmt: skip
DRAINED: tuple[Rule, ...] = (
    *STANDING, everything_ends_as_it_must, every_dead_letter_is_earned, no_answered_call_is_repeated,
    dependencies_come_first, what_is_booked_was_counted,
)  # fmt: skip
