"""The journal: what has happened, on disk before anyone acts on it. The only room that knows SQLite.

Everyone above posts the requests of `requests` and hears their outcomes after COMMIT; reads go through a `Reader`.
The schema and every statement are SQL in `schema.sql` and `queries.sql`. Rules about items are the domain's
(`darumad.work`); what is the journal's own is that a change, its event and its audit row are one transaction, and that
nothing under an old fence changes anything.
"""

from darumad.journal.journal import MEASURES, Journal
from darumad.journal.publisher import Publisher, PublisherHealth
from darumad.journal.reader import Reader
from darumad.journal.requests import (
    APPLIED,
    STALE,
    Accept,
    Accepted,
    Answer,
    Audit,
    Cancel,
    Cancelled,
    Claim,
    Claimed,
    EffectEnd,
    EffectStart,
    Held,
    Move,
    Moved,
    NewItem,
    Note,
    Outcome,
    OverBudget,
    Promoted,
    PromoteDue,
    Release,
    Released,
    Request,
    Rescue,
    Rescued,
    Reserve,
    Said,
    Setting,
    Settle,
    Slot,
    Step,
)
from darumad.journal.writer import Addressee, WriterHealth

__all__ = [
    "APPLIED",
    "MEASURES",
    "STALE",
    "Accept",
    "Accepted",
    "Addressee",
    "Answer",
    "Audit",
    "Cancel",
    "Cancelled",
    "Claim",
    "Claimed",
    "EffectEnd",
    "EffectStart",
    "Held",
    "Journal",
    "Move",
    "Moved",
    "NewItem",
    "Note",
    "Outcome",
    "OverBudget",
    "PromoteDue",
    "Promoted",
    "Publisher",
    "PublisherHealth",
    "Reader",
    "Release",
    "Released",
    "Request",
    "Rescue",
    "Rescued",
    "Reserve",
    "Said",
    "Setting",
    "Settle",
    "Slot",
    "Step",
    "WriterHealth",
]
