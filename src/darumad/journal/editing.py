"""Editing what was asked for: the whole item is replaced, if nobody else changed it meanwhile.

What an agent is shown ends the attempt, for a replay under other words would be a mix of two; limits, times, priority
and labels do not.
"""

from collections.abc import Sequence

from darumad.errors import Broken, Refused, unknown_item
from darumad.events import WorkEdited
from darumad.journal.batch import Batch
from darumad.journal.encoding import dump, sha256
from darumad.journal.requests import APPLIED, Answer, Edit
from darumad.values import changed
from darumad.work.codec import item_from_text, item_to_json
from darumad.work.item import WorkItem
from darumad.work.states import WorkState

EDITABLE = frozenset({
    WorkState.WAITING, WorkState.READY, WorkState.SCHEDULED, WorkState.PARKED, WorkState.DEAD,
})  # fmt: skip
"""What runs is not changed under its holder, and what is final stays as it was."""
UNSEEN = frozenset({
    "priority", "expires_at", "timeout", "idle_timeout", "backoff", "max_attempts", "max_reviews", "budget", "labels",
})  # fmt: skip
"""Fields that no agent is shown: an edit of these alone leaves the attempt open."""


def edit(batch: Batch, asked: Sequence[Edit]) -> list[Answer]:
    """The writer asks for one at a time of each item."""
    return [_edit(batch, each) for each in asked]


def _edit(batch: Batch, asked: Edit) -> Answer:
    name, item = asked.item.id, asked.item
    rows = batch.run("editable", [name])
    if not rows:
        return unknown_item(name)
    row, state, body = rows[0]
    if WorkState(state) not in EDITABLE:
        return Refused(f"{name} is {state}: it cannot be edited", code="conflict")
    if not _is_still(asked.before, body):
        return Refused(f"{name} was edited by somebody else meanwhile", code="conflict")
    anew = not UNSEEN.issuperset(asked.fields)
    text = _as_read_back(item)
    batch.run("replace_payload", [row], body=text, sha256=sha256(text))
    batch.run("edit", [row], priority=item.priority, expires_at=item.expires_at, anew=int(anew))
    if anew:
        batch.run("close_attempts", [row], outcome="edited")
    if "labels" in asked.fields:
        batch.run("drop_labels", [row])
        batch.run_if_any("accept_labels", [(row, key, value) for key, value in item.labels.items()])
    batch.record([WorkEdited(name, asked.audit.by, tuple(asked.fields))])
    batch.audit(asked.audit)
    return APPLIED


def _as_read_back(item: WorkItem) -> str:
    """The item as JSON text, once it is seen to be the same item when it is read: nobody could claim it otherwise.

    Raises:
        Broken: it is another, or none.
    """
    text = dump(item_to_json(item))
    try:
        same = item_from_text(text) == item
    except ValueError:
        same = False
    if not same:
        raise Broken(f"{item.id} was not edited: what was to be written would not be read back as the same item")
    return text


def _is_still(before: WorkItem, body: str) -> bool:
    """Whether `body` is what the editor saw.

    By what it says: an earlier version wrote fewer fields. Its expiry stands on the row, where a retry takes off one
    that is past.
    """
    return changed(item_from_text(body), expires_at=before.expires_at) == before
