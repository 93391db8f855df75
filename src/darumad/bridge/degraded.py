"""The brief of an item whose optimizer failed: all that takes no model to say. Built where the failure is reported."""

import structlog

from darumad.agents import Earlier, build_brief
from darumad.bridge.seat import Done, handler_crashed
from darumad.journal.requests import Held
from darumad.names import Attempt
from darumad.values import changed
from darumad.work.effects import done_before
from darumad.work.ends import goes_on_degraded

log = structlog.get_logger(__name__)


def with_brief(done: Done) -> Done:
    """`done` with what the next stage is shown, where the item goes on degraded.

    One that cannot be built is a defect of ours and is held against its item: whoever decides meets no exception.
    """
    record = done.held.record
    if not goes_on_degraded(done.result, record.stage, record.item.stages):
        return done
    try:
        return changed(done, brief=_brief(done.held))
    except Exception as error:
        log.exception("brief_not_built", item_id=record.item.id)
        return handler_crashed(done, error)


def _brief(held: Held) -> dict[str, object]:
    record = held.record
    done = done_before(held.effects, Attempt(record.attempt))
    earlier = Earlier(record.feedback, held.failed, record.answers, done, held.turns)
    return build_brief(record.item, earlier, degraded=True)
