"""An item that cannot be read is seen among the others, with what to do about it, and can be let go of."""

import hashlib
import io
from collections.abc import Callable

import pytest

from darumad.errors import DarumaError
from darumad.names import ItemId
from tests.control.room import CLEAR, Room, Served

Damage = Callable[[Room, str], None]
DAMAGES: dict[str, Damage] = {
    "another word": lambda room, name: room.rewrite(name, "Write a report", "Write a retort"),
    "no text": lambda room, name: room.blot(name),
    "no JSON": lambda room, name: room.rewrite(name, "{", ""),
    "no item": lambda room, name: room.write_unread(name),
}
damaged = pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
ASKED = {"phase": "testing", "priority": 9, "lane": "quick"}
CHANGED = "the payload of bad is not what was written: its sha256 differs. Restore the journal from a backup."
LET_GO = "Or let go of the item with `daruma work cancel bad` and `daruma work purge bad`."


def submit(served: Served, damage: Damage, *, claimed: bool = False, **fields: object) -> None:
    """Three items, of which the one in the middle cannot be read; `claimed` before that."""
    for name in ("good", "bad", "better"):
        served.client.submit({**CLEAR, **ASKED, **fields, "id": name, "labels": {"of": name}})
    if claimed:
        served.room.claim()
        served.room.claim()
    damage(served.room, "bad")


def upload(served: Served, content: bytes) -> str:
    digest = hashlib.sha256(content).hexdigest()
    served.client.upload(digest, io.BytesIO(content), len(content))
    return digest


def states(served: Served) -> dict[str, str]:
    return {each["id"]: each["state"] for each in served.client.call("work list")["items"]}


@damaged
def test_it_is_listed_among_the_others_and_shown_with_what_to_do(served: Served, damage: Damage) -> None:
    submit(served, damage)
    listed = {each["id"]: each["unreadable"] for each in served.client.call("work list")["items"]}
    assert list(listed) == ["good", "bad", "better"]
    assert (listed["good"], listed["better"]) == (None, None)
    shown = served.client.call("work show", id="bad")
    assert shown["unreadable"] == listed["bad"]
    assert "Restore the journal from a backup." in shown["unreadable"]
    assert shown["unreadable"].endswith(LET_GO)
    known = {name: value for name, value in shown["asked"].items() if value is not None}
    assert shown["state"] == "ready"
    assert known == {"id": "bad", "agent": "echo", "phase": "testing", "priority": 9, "lane": "quick"}


@damaged
def test_a_list_shows_of_it_what_its_row_has_and_no_default(served: Served, damage: Damage) -> None:
    submit(served, damage)
    _, bad, _ = served.client.call("work list")["items"]
    assert (bad["phase"], bad["priority"], bad["description"]) == ("testing", 9, None)


@damaged
def test_a_purge_takes_its_uploads_along_but_for_those_that_others_name(served: Served, damage: Damage) -> None:
    alone, shared = (upload(served, content) for content in (b"alone", b"shared"))
    submit(served, damage, inputs=[{"name": each, "upload": each} for each in (alone, shared)])
    served.client.submit({**CLEAR, "id": "other", "inputs": [{"name": "b", "upload": shared}]})
    served.client.call("work cancel", {}, id="bad")
    for name in ("good", "better"):
        served.client.call("work cancel", {}, id=name)
        served.client.call("work purge", {}, id=name)
    assert served.client.call("work purge", {}, id="bad")["uploads_kept"] == [shared]
    assert [each.name for each in (served.room.directory / "uploads").iterdir()] == [shared]


@damaged
def test_it_is_cancelled_and_purged_and_nobody_else_is(served: Served, damage: Damage) -> None:
    submit(served, damage)
    served.client.call("work cancel", {}, id="bad")
    assert served.client.call("work show", id="bad")["unreadable"].endswith("the item with `daruma work purge bad`.")
    assert served.client.call("work purge", {}, id="bad")["id"] == "bad"
    assert states(served) == {"good": "ready", "better": "ready"}


@damaged
def test_whoever_holds_it_is_revoked_by_a_cancel_and_by_a_panic(served: Served, damage: Damage) -> None:
    submit(served, damage, claimed=True)
    assert set(served.client.call("panic", {})["stopped"]) == {"good", "bad"}
    assert served.client.call("work cancel", {}, id="bad")["stopped"] == ["bad"]
    assert states(served) == {"good": "running", "bad": "cancelled", "better": "ready"}


@damaged
def test_it_is_cancelled_with_whatever_has_its_label(served: Served, damage: Damage) -> None:
    submit(served, damage)
    assert served.client.call("cancel many", {"label": "of=bad"})["items"] == ["bad"]


@damaged
def test_it_cannot_be_edited_and_says_why(served: Served, damage: Damage) -> None:
    submit(served, damage)
    with pytest.raises(DarumaError) as refused:
        served.client.call("work edit", {"priority": 9}, id="bad")
    assert (refused.value.code, str(refused.value)[-len(LET_GO) :]) == ("bad_journal", LET_GO)


@damaged
def test_who_hands_it_in_once_more_is_told_that_it_is_there(served: Served, damage: Damage) -> None:
    submit(served, damage)
    assert served.client.submit({**CLEAR, **ASKED, "id": "bad", "labels": {"of": "bad"}})["created"] is False


def test_what_stands_beside_the_payload_may_be_unreadable_too(served: Served) -> None:
    submit(served, lambda room, name: room.park("provider", "it is away"))
    served.room.write("UPDATE item SET error = ? WHERE uid = ?", "{", "good")
    record = served.room.journal.reader().record(ItemId("good"))
    assert record is not None
    assert (record.state, record.error) == ("parked", None)
    assert str(record.unreadable).startswith("what the journal holds of it cannot be read (JSONDecodeError: ")


def test_an_item_whose_events_cannot_be_read_is_shown_without_them(served: Served) -> None:
    served.client.submit({**CLEAR, "id": "one"})
    served.client.call("work cancel", {}, id="one")
    for kind in ("work.submitted", "work.cancelled"):
        served.room.write("UPDATE event SET data = '{' WHERE subject = 'one' AND type = ?", kind)
    shown = served.client.call("work show", id="one")
    assert (shown["state"], shown["cancelled"]) == ("cancelled", None)


def test_a_payload_that_was_changed_says_so(served: Served) -> None:
    submit(served, DAMAGES["another word"])
    assert served.client.call("work show", id="bad")["unreadable"] == f"{CHANGED} {LET_GO}"
