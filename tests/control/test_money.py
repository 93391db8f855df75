"""Budgets over the socket: what stands, what an operator says, and what an item cannot be given."""

import hashlib
import io
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from darumad.control.client import Client
from darumad.errors import Refused
from darumad.journal import APPLIED, Reserve, Settle
from darumad.names import Fence, ItemId, NanoUsd
from darumad.work import Limits, Usage
from darumad.work.budget import budgets_over
from darumad.work.estimate import Quote
from darumad.work.item import WorkItem
from darumad.work.model import Message
from tests.control.conftest import Served
from tests.control.room import WITHIN

CLEAR = {"description": "Document the package colours", "agent": "echo"}
DAY = "2026-11-21"


CENTS = NanoUsd(200_000_000)


def spend(
    served: Served, reservation: str, *, settled: bool = True, agent: str = "echo", price: NanoUsd | None = CENTS
) -> None:
    """A call of a quarter of a dollar and 120 tokens, of which 0.20 USD and 100 tokens come to be used."""
    room = served.room
    request = Reserve(
        id=reservation, item=ItemId("a"), fence=Fence(1), agent=agent, provider="far", day=DAY,
        estimate=Usage(input_tokens=120, calls=1, nano_usd=NanoUsd(250_000_000)),
        limits=dict.fromkeys(budgets_over("a", agent, "far", DAY), Limits()),
    )  # fmt: skip
    assert room.journal.call(request, WITHIN) is APPLIED
    if settled:
        used = Usage(input_tokens=60, output_tokens=40, calls=1, nano_usd=price)
        assert room.journal.call(Settle(id=reservation, usage=used), WITHIN) is APPLIED


def shown(served: Served, scope: str | None = None) -> dict[tuple[str, str], dict[str, Any]]:
    items = served.client.call("budgets show", scope=scope)["items"]
    return {(each["scope"], each["period"]): each for each in items}


def test_what_is_spent_reserved_and_left_of_everything_is_shown(served: Served) -> None:
    spend(served, "r1")
    spend(served, "r2", settled=False)
    today = shown(served)["all", DAY]
    assert today["limit"] == {"nano_usd": 5_000_000_000, "tokens": None, "calls": None}
    assert today["spent"] == {"nano_usd": 200_000_000, "tokens": 100, "calls": 1}
    assert today["reserved"] == {"nano_usd": 250_000_000, "tokens": 120, "calls": 1}
    assert today["left"] == {"nano_usd": 4_550_000_000, "tokens": None, "calls": None}
    assert shown(served)["all", "ever"]["spent"] == today["spent"]


@pytest.mark.parametrize("scope", ["agent:echo", "provider:far"])
def test_a_scope_without_a_limit_is_shown_when_it_is_asked_for(served: Served, scope: str) -> None:
    spend(served, "r1")
    assert (scope, DAY) not in shown(served)
    assert shown(served, scope)[scope, DAY]["spent"]["calls"] == 1


@pytest.mark.parametrize(
    ("scope", "meant", "code"),
    [("agent:ehco", "agent:echo", "unknown_agent"), ("provider:fra", "provider:far", "unknown_provider")],
)
def test_a_limit_on_what_there_is_not_is_refused_with_what_there_is(
    served: Served, scope: str, meant: str, code: str
) -> None:
    with pytest.raises(Refused, match=f"did you mean `{meant.split(':')[1]}`") as refused:
        served.client.call("budgets set", {"daily": 1}, scope=scope)
    assert refused.value.code == code
    assert served.client.call("budgets set", {"daily": 1}, scope=meant)["items"]


@pytest.mark.parametrize(
    ("scope", "code"),
    [("agent:ehco", "unknown_agent"), ("provider:fra", "unknown_provider"), ("item:nobody", "not_found")],
)
@pytest.mark.parametrize("operation", ["budgets show", "budgets reset"])
def test_a_budget_of_nobody_is_refused_and_not_shown_as_nothing(
    served: Served, operation: str, scope: str, code: str
) -> None:
    body = None if operation == "budgets show" else {}
    with pytest.raises(Refused) as refused:
        served.client.call(operation, body, scope=scope)
    assert refused.value.code == code
    assert served.room.purse.reviews == 0


@pytest.mark.parametrize("agent", ["echo", "gone"])
def test_what_an_agent_spent_is_shown_also_once_it_is_gone_and_its_limits_are_lifted(
    served: Served, agent: str
) -> None:
    spend(served, "r1", agent=agent)
    assert shown(served, f"agent:{agent}")[f"agent:{agent}", DAY]["spent"]["calls"] == 1
    assert served.client.call("budgets reset", {}, scope=f"agent:{agent}")["items"]


def test_a_limit_that_was_set_holds_until_it_is_reset_and_says_what_goes_on(served: Served) -> None:
    reply = served.client.call("budgets set", {"daily": "20.00 USD", "total_calls": 9}, scope="all")
    assert reply["released"] == ["waited-for-all"]
    assert shown(served)["all", DAY]["limit"]["nano_usd"] == 20_000_000_000
    assert shown(served)["all", "ever"]["limit"]["calls"] == 9
    served.client.call("budgets set", {"daily": 7.5, "total_calls": "none"}, scope="all")
    assert shown(served)["all", DAY]["limit"]["nano_usd"] == 7_500_000_000
    assert shown(served)["all", "ever"]["limit"]["calls"] is None
    served.client.call("budgets reset", {}, scope="all")
    assert shown(served)["all", DAY]["limit"]["nano_usd"] == 5_000_000_000
    assert served.room.purse.reviews == 3
    audits = served.room.journal.reader().audits()
    assert ("budgets set", "budget/all/daily/nano_usd") in {(each["action"], each["target"]) for each in audits}


def test_a_new_scope_appears_with_its_first_limit(served: Served) -> None:
    served.client.call("budgets set", {"daily_tokens": 50}, scope="agent:echo")
    assert shown(served)["agent:echo", DAY]["limit"] == {"nano_usd": None, "tokens": 50, "calls": None}


def test_an_item_may_be_given_more(served: Served) -> None:
    served.client.submit({**CLEAR, "id": "a", "budget": {"calls": 1}})
    served.client.call("budgets set", {"total_calls": 3}, scope="item:a")
    assert shown(served, "item:a")["item:a", "ever"]["limit"]["calls"] == 3


@pytest.mark.parametrize(
    ("scope", "said", "pointer"),
    [
        ("all", {}, "/daily"),
        ("all", {"daily": -1}, "/daily"),
        ("all", {"daily": "lots"}, "/daily"),
        ("all", {"daily": "0.0000000001"}, "/daily"),
        ("all", {"daily": 1e-10}, "/daily"),
        ("all", {"total_calls": "few"}, "/total_calls"),
        ("all", {"dayly": 1}, "/dayly"),
        ("everyone", {"daily": 1}, "/scope"),
        ("agent:Not A Name", {"daily": 1}, "/scope"),
        ("item:a", {"daily": 1}, "/daily"),
        ("item:a", {"total": "none"}, "/total"),
    ],
)
def test_what_cannot_be_meant_is_refused_by_name(
    served: Served, scope: str, said: dict[str, Any], pointer: str
) -> None:
    served.client.submit({**CLEAR, "id": "a"})
    with pytest.raises(Refused) as refused:
        served.client.call("budgets set", said, scope=scope)
    assert [each.pointer for each in refused.value.problems] == [pointer], refused.value.problems
    assert served.room.purse.reviews == 0


def test_a_scope_that_is_none_is_told_what_there_is_and_no_pattern(served: Served) -> None:
    with pytest.raises(Refused) as refused:
        served.client.call("budgets set", {"daily": 1}, scope="foo:bar")
    assert [each.detail for each in refused.value.problems] == ["must be all, agent:NAME, provider:NAME or item:ID"]


def test_an_item_that_is_not_there_has_no_budget(served: Served) -> None:
    with pytest.raises(Refused) as refused:
        served.client.call("budgets set", {"total": 1}, scope="item:nobody")
    assert refused.value.code == "not_found"


def test_an_estimate_says_what_earlier_items_came_to_and_accepts_nothing(served: Served) -> None:
    served.client.submit({**CLEAR, "id": "a"})
    spend(served, "r1")
    served.room.succeed()
    reply = served.client.call("estimate", {**CLEAR, "id": "next", "budget": {"calls": 7}})
    assert (reply["provider"], reply["model"], reply["items"]) == ("far", "m", 1)
    assert reply["median"] == reply["most"] == {"nano_usd": 200_000_000, "tokens": 100, "calls": 1}
    assert reply["a_call"] == {"nano_usd": None, "tokens": 1_000, "calls": 1}
    assert reply["allowed"] == {"nano_usd": 4_800_000_000, "tokens": None, "calls": 7}
    assert [each["id"] for each in served.client.call("work list")["items"]] == ["a"]


def test_what_earlier_items_cost_at_an_unknown_price_is_not_taken_for_nothing(served: Served) -> None:
    served.client.submit({**CLEAR, "id": "a"})
    served.room.succeed()
    spend(served, "r1", price=None)
    reply = served.client.call("estimate", CLEAR)
    assert (reply["median"]["nano_usd"], reply["most"]["nano_usd"]) == (None, None)
    assert served.client.call("work show", id="a")["used"]["nano_usd"] is None


def test_an_estimate_counts_what_was_said_in_its_conversation_and_in_its_dialogue(served: Served) -> None:
    served.client.submit({**CLEAR, "id": "a", "conversation": "talk"})
    served.room.succeed()
    next_ = {**CLEAR, "conversation": "talk", "messages": [{"role": "user", "text": "twelve chars"}]}
    said = len(CLEAR["description"]) + len("it is done") + 12
    assert served.client.call("estimate", next_)["a_call"]["tokens"] == 1_000 + said


def test_a_template_that_takes_its_time_to_say_what_it_asks_keeps_nobody_else_waiting(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, go = threading.Event(), threading.Event()

    def opens(item: WorkItem, turns: tuple[Message, ...]) -> Quote:
        begun.set()
        go.wait(WITHIN)
        return Quote()

    monkeypatch.setattr(served.room.providers, "quote", opens)
    with ThreadPoolExecutor() as asking:
        estimate = asking.submit(served.client.call, "estimate", CLEAR)
        assert begun.wait(WITHIN)
        with Client(served.path) as another:
            another.call("health", within=WITHIN / 2)
        go.set()
        assert estimate.result()["provider"] is None


def test_an_estimate_of_what_nobody_has_done_yet_says_so_and_a_wrong_item_is_refused(served: Served) -> None:
    reply = served.client.call("estimate", CLEAR)
    assert (reply["items"], reply["median"], reply["most"]) == (0, None, None)
    assert reply["warnings"] == ["the price of far:m is not known: what it costs would be in no sum"]
    with pytest.raises(Refused) as refused:
        served.client.call("estimate", {**CLEAR, "agent": "nobody"})
    assert [each.pointer for each in refused.value.problems] == ["/agent"]


def test_an_estimate_of_a_review_says_that_its_files_are_not_counted(served: Served) -> None:
    review = {
        **CLEAR,
        "agent": "reviewer",
        "role": "reviewer",
        "phase": "review",
        "input": {"id": "a", "description": "b"},
    }
    before = served.client.call("estimate", review)["warnings"]
    digest = hashlib.sha256(b"here").hexdigest()
    served.client.upload(digest, io.BytesIO(b"here"), 4)
    told = served.client.call("estimate", {**review, "inputs": [{"name": "a", "upload": digest}]})["warnings"]
    (more,) = set(told) - set(before)
    assert "its files are not counted" in more


def test_an_estimate_says_that_a_call_of_unknown_price_would_be_refused(served: Served) -> None:
    served.room.purse.priced_only = True
    (warning,) = served.client.call("estimate", CLEAR)["warnings"]
    assert warning.startswith("it would be parked: the price of far:m is not known")
    assert "set `prices.m` in the settings" in warning
