"""Work is looked at, waited for, taken back, and its result fetched."""

import asyncio
import hashlib
import os
import threading
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from darumad.control import Client, uploads
from darumad.control.outlook import parked_for
from darumad.errors import DarumaError, Refused, Unavailable
from darumad.journal.requests import Outcome
from darumad.values import changed
from darumad.work import Artifact, WorkState
from darumad.work.ends import UNDECIDED
from darumad.work.item import WorkRecord
from tests.control.room import CLEAR, Served
from tests.kit import eventually
from tests.kit.deep import dug
from tests.work.build import record


def test_items_are_listed_a_page_at_a_time(served: Served) -> None:
    served.client.batch([{**CLEAR, "id": f"i{number}", "labels": {"n": str(number)}} for number in range(5)])
    first = served.client.call("work list", limit=3)
    rest = served.client.call("work list", limit=3, after=first["next"])
    assert [each["id"] for each in (*first["items"], *rest["items"])] == ["i0", "i1", "i2", "i3", "i4"]
    assert rest["next"] is None
    assert [each["id"] for each in served.client.call("work list", label="n=4")["items"]] == ["i4"]


def test_a_listing_by_a_state_that_there_is_not_names_the_ones_there_are(client: Client) -> None:
    with pytest.raises(Refused) as refused:
        client.call("work list", state="asleep")
    assert "waiting" in refused.value.problems[0].detail


def test_an_item_is_shown_with_its_attempts_when_they_are_asked_for(served: Served) -> None:
    served.client.submit({**CLEAR, "id": "one"})
    served.room.die()
    view = served.client.call("work show", id="one", attempts=True)
    assert view["state"] == "dead"
    assert view["error"]["message"] == "the tool broke"
    assert view["asked"]["description"] == CLEAR["description"]
    assert [each["outcome"] for each in view["attempts"]] == ["tool_error"]
    assert served.client.call("work show", id="one")["attempts"] is None


def test_an_item_is_shown_with_where_its_time_went_and_what_was_booked_for_it(served: Served) -> None:
    served.client.submit({**CLEAR, "id": "one"})
    served.room.succeed()
    view = served.client.call("work show", id="one")
    assert view["spent"].keys() <= {"ready", "executing"}
    assert sum(view["spent"].values()) == view["finished_at"] - view["created_at"]
    assert view["used"] == {"nano_usd": 0, "tokens": 0, "calls": 0}


@pytest.mark.parametrize("operation", ["work show", "work wait", "result"])
def test_an_unknown_item_is_not_found(client: Client, operation: str) -> None:
    with pytest.raises(Refused) as refused:
        client.call(operation, id="nobody")
    assert refused.value.code == "not_found"


@pytest.mark.parametrize("name", ["a/b", "../status", "a b?c#d", "%2F", "käse"])
def test_an_id_that_no_item_can_have_is_named_whatever_it_would_mean_in_an_address(client: Client, name: str) -> None:
    with pytest.raises(Refused) as refused:
        client.call("work show", id=name)
    assert (refused.value.code, [each.pointer for each in refused.value.problems]) == ("invalid", ["/id"])


def test_an_empty_id_is_refused_before_anybody_is_asked(client: Client) -> None:
    with pytest.raises(Refused, match="the id is empty"):
        client.call("work show", id="")


def test_who_waits_is_told_as_soon_as_the_item_is_done(served: Served) -> None:
    served.client.submit({**CLEAR, "id": "one"})
    found: list[str] = []

    def wait() -> None:
        with Client(served.path) as other:
            found.append(other.wait("one", within=30)["state"])

    waiter = threading.Thread(target=wait)
    waiter.start()
    eventually(lambda: served.server._desk is not None and "one" in served.server._desk.watch._items)
    served.room.succeed()
    waiter.join(5)
    assert found == ["succeeded"]


def test_a_wait_that_runs_out_says_so_and_leaves_the_item_alone(served: Served) -> None:
    served.client.submit({**CLEAR, "id": "one"})
    with pytest.raises(Unavailable) as unavailable:
        served.client.wait("one", within=0.05)
    assert unavailable.value.code == "wait_expired"


def test_a_parked_item_is_not_waited_for_and_says_what_it_needs(served: Served) -> None:
    served.client.submit({"description": "just do it somehow", "id": "vague"})
    view = served.client.wait("vague", within=30)
    assert view["state"] == "parked"
    assert "work answer" in view["waits_for"]


def test_answers_put_a_parked_item_on_its_way(served: Served) -> None:
    served.client.submit({"description": "just do it somehow", "id": "vague"})
    assert served.client.call("work answer", {"answers": ["a better door"]}, id="vague")["released"] == ["vague"]
    view = served.client.call("work show", id="vague")
    assert (view["state"], view["answers"]) == ("ready", ["a better door"])


def test_a_dead_item_is_tried_again_when_somebody_asks(served: Served) -> None:
    served.client.submit({**CLEAR, "id": "one"})
    served.room.die()
    assert served.client.call("work retry", {}, id="one")["released"] == ["one"]
    assert served.client.call("work show", id="one")["state"] == "ready"


def test_a_retry_says_that_what_its_agents_providers_refused_is_mended_also_of_an_item_that_is_ready(
    served: Served,
) -> None:
    served.client.submit({**CLEAR, "id": "one"})
    with pytest.raises(Refused, match="one is ready: it cannot be retried"):
        served.client.call("work retry", {}, id="one")
    served.room.providers.names = ("far", "near")
    served.room.providers.refusing["near"] = "it refused a call"
    assert served.client.call("work retry", {}, id="one")["released"] == ["one"]
    assert served.room.keys.said_mended == {"near"}


def test_a_cancel_of_running_work_revokes_who_held_it_and_says_what_stopped(served: Served) -> None:
    served.client.submit({**CLEAR, "id": "one"})
    held = served.room.claim().held[0]
    reply = served.client.call("work cancel", {"reason": "enough"}, id="one")
    assert (reply["cancelled"], reply["stopped"], reply["after_ms"]) == (["one"], ["one"], 7)
    (running,), told, cancelled = served.room.revoked[0]
    assert (running[0], running[2], cancelled) == ("one", held.record.fence, True)
    assert told == f"cancelled by uid:{os.getuid()}: enough"
    eventually(lambda: "work.stopped" in [each.type for each in served.room.journal.reader().events(0)])


def test_a_cancel_that_does_not_wait_answers_first_and_revokes_all_the_same(served: Served) -> None:
    served.client.submit({**CLEAR, "id": "one"})
    served.room.claim()
    reply = served.client.call("work cancel", {"wait": False}, id="one")
    assert reply["after_ms"] is None
    eventually(lambda: served.room.revoked)


def _unanswered(request: Any, reply: Any) -> None:
    """A journal that hangs."""


def _failing(request: Any, reply: Any) -> None:
    """A journal whose disk has failed."""
    reply([Outcome(request, Unavailable("the disk failed", code="io_error"))])


@pytest.mark.parametrize(
    ("journal", "code", "why"),
    [
        (_unanswered, "unavailable", "the journal is slow: the cancel may still happen"),
        (_failing, "io_error", "the disk failed"),
    ],
)
def test_a_cancel_that_is_not_committed_revokes_who_held_the_item_and_says_so(
    served: Served, monkeypatch: pytest.MonkeyPatch, journal: Any, code: str, why: str
) -> None:
    served.client.submit({**CLEAR, "id": "one"})
    served.room.claim()
    assert served.server._desk is not None
    monkeypatch.setattr(served.server._desk.commits, "_post", journal)
    with pytest.raises(DarumaError) as lost:
        served.client.call("work cancel", {}, id="one")
    assert (lost.value.code, lost.value.message) == (code, f"{why}; what ran for one was stopped all the same")
    ((running,), _, cancelled) = served.room.revoked[0]
    assert (running[0], cancelled) == ("one", False), "where the item goes is still to be decided"
    eventually(lambda: "work.stopped" in [each.type for each in served.room.journal.reader().events(0)])


def test_what_the_journal_says_of_a_cancel_that_it_does_not_take_comes_through_whole(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    served.client.submit({**CLEAR, "id": "one"})
    served.room.claim()
    assert served.server._desk is not None
    busy = Unavailable("the journal is busy", retry_after=7.0)
    monkeypatch.setattr(served.server._desk.commits, "_post", lambda asked, reply: reply([Outcome(asked, busy)]))
    with pytest.raises(Unavailable) as later:
        served.client.call("work cancel", {}, id="one")
    assert (later.value.message, later.value.retry_after) == (
        "the journal is busy; what ran for one was stopped all the same",
        7.0,
    )


def test_a_cancel_that_is_not_committed_stops_nothing_where_nothing_runs(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    served.client.submit({**CLEAR, "id": "one"})
    assert served.server._desk is not None
    monkeypatch.setattr(served.server._desk.commits, "_post", _failing)
    with pytest.raises(DarumaError) as lost:
        served.client.call("work cancel", {}, id="one")
    assert (lost.value.message, served.room.revoked) == ("the disk failed", [])


def test_a_finished_item_cannot_be_cancelled(served: Served) -> None:
    served.client.submit({**CLEAR, "id": "one"})
    served.room.succeed()
    with pytest.raises(Refused) as refused:
        served.client.call("work cancel", {}, id="one")
    assert refused.value.code == "conflict"


def test_a_result_is_there_once_the_item_succeeded_and_not_before(served: Served) -> None:
    served.client.submit({**CLEAR, "id": "one"})
    with pytest.raises(Refused) as refused:
        served.client.call("result", id="one")
    assert refused.value.code == "conflict"
    assert "ready" in refused.value.message
    served.room.succeed()
    result = served.client.call("result", id="one")
    assert (result["item_id"], result["success"], result["text"]) == ("one", True, "it is done")


def _with_artifact(served: Served, content: bytes) -> None:
    served.client.submit({**CLEAR, "id": "one"})
    place = served.room.directory / "workspaces" / "one" / "docs"
    place.mkdir(parents=True)
    (place / "page.md").write_bytes(content)
    digest = hashlib.sha256(content).hexdigest()
    served.room.succeed((Artifact(name="docs/page.md", media_type="text/markdown", size=len(content), sha256=digest),))


def test_a_file_of_a_result_is_fetched_by_its_name(served: Served) -> None:
    _with_artifact(served, b"# Page\n")
    with served.client.download("one", "docs/page.md") as page:
        assert (page.size, b"".join(page.chunks)) == (7, b"# Page\n")


@pytest.mark.parametrize("name", ["docs/other.md", "../../state/journal.db", "/etc/passwd", "\0", "x" * 300])
def test_what_the_result_does_not_list_is_not_given_out(served: Served, name: str) -> None:
    _with_artifact(served, b"# Page\n")
    with pytest.raises(Refused) as refused, served.client.download("one", name):
        pass
    assert refused.value.code in {"no_file", "unknown_operation"}


def test_an_audit_row_says_who_asked_for_what(served: Served) -> None:
    served.client.submit({**CLEAR, "id": "one"})
    served.client.call("work cancel", {}, id="one")
    rows = {(each["action"], each["target"]) for each in served.room.journal.reader().audits()}
    assert {("submit", "one"), ("work cancel", "one")} <= rows


def test_the_journals_refusals_come_through_with_their_code(served: Served) -> None:
    with pytest.raises(Refused) as refused:
        served.client.submit({**CLEAR, "depends_on": ["nobody"]})
    assert "nobody" in str(refused.value) + str(refused.value.problems)


def test_a_file_is_uploaded_once_and_named_by_its_digest(served: Served, tmp_path: Path) -> None:
    content = b"x" * 300_000
    digest = hashlib.sha256(content).hexdigest()
    file = tmp_path / "input.bin"
    file.write_bytes(content)
    for created in (True, False):
        with file.open("rb") as stream:
            assert served.client.upload(digest, stream, len(content)) == {
                "sha256": digest, "size": len(content), "created": created,
            }  # fmt: skip
    assert (served.room.directory / "uploads" / digest).read_bytes() == content
    assert served.client.submit({**CLEAR, "inputs": [{"name": "input.bin", "upload": digest}]})["state"] == "ready"
    assert [each.name for each in (served.room.directory / "uploads").iterdir()] == [digest]


def test_an_upload_that_is_sent_again_or_named_is_kept_as_long_as_a_new_one(served: Served, tmp_path: Path) -> None:
    digest = hashlib.sha256(b"").hexdigest()
    kept, file = served.room.directory / "uploads" / digest, tmp_path / "empty"
    file.touch()

    def sent() -> object:
        with file.open("rb") as stream:
            return served.client.upload(digest, stream, 0)

    sent()
    for asked in (sent, lambda: served.client.submit({**CLEAR, "inputs": [{"name": "it", "upload": digest}]})):
        os.utime(kept, (1, 1))
        asked()
        assert kept.stat().st_mtime > 1


def test_an_upload_that_is_not_what_its_digest_says_is_refused_and_leaves_nothing(
    served: Served, tmp_path: Path
) -> None:
    file = tmp_path / "input.bin"
    file.write_bytes(b"something else")
    with file.open("rb") as stream, pytest.raises(Refused) as refused:
        served.client.upload("0" * 64, stream, 14)
    assert refused.value.code == "invalid"
    assert list((served.room.directory / "uploads").iterdir()) == []


def test_an_upload_leaves_the_journal_its_room_on_the_disk_and_its_caller_waits(tmp_path: Path) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        yield b"here"

    with pytest.raises(Unavailable) as full:
        asyncio.run(uploads.keep(chunks(), hashlib.sha256(b"here").hexdigest(), tmp_path, spare=1 << 62))
    assert full.value.code == "disk_full"
    assert list(tmp_path.iterdir()) == []


def test_what_an_earlier_life_never_had_whole_is_swept_and_nothing_else(tmp_path: Path) -> None:
    for name in (".incoming-x1", ".incoming-x2", "0" * 64):
        (tmp_path / name).write_bytes(b"half")
    uploads.sweep(tmp_path)
    uploads.sweep(tmp_path / "never made")
    assert [each.name for each in tmp_path.iterdir()] == ["0" * 64]


def _needed(served: Served, parked: WorkRecord) -> str:
    need = parked_for(served.room.daemon(), parked)
    assert need is not None
    return need.says


def test_an_item_whose_review_left_a_gate_open_waits_for_a_verdict_and_not_for_a_provider(served: Served) -> None:
    error = {"type": UNDECIDED, "message": "no verdict"}
    open_gate = changed(record(), state=WorkState.PARKED, reason="provider", error=error)
    refused = changed(open_gate, error={"type": "ModelFailed", "message": "the key is wrong"})
    assert _needed(served, open_gate).startswith("a verdict on what its review left unknown")
    assert _needed(served, refused).startswith("a provider that can do it")


def test_an_item_whose_tool_may_have_acted_says_how_somebody_tells_what_came_of_it(served: Served) -> None:
    error = {"kind": "outcome_unknown", "message": "it is not known whether this was done"}
    parked = changed(record(), state=WorkState.PARKED, reason="conflict", error=error)
    assert f"`daruma work answer {parked.item.id} done`" in _needed(served, parked)
    assert "run again" in _needed(served, parked)


def test_a_purge_takes_along_what_lies_too_deep_for_any_path(served: Served) -> None:
    served.client.submit({**CLEAR, "id": "one"})
    served.room.succeed()
    with dug(served.room.directory / "workspaces" / "one" / "0") as place:
        served.client.call("work purge", {}, id="one")
        assert not place.parent.exists()
