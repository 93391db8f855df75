"""What leaves an agent: its result is checked once, here, before anybody journals it, shows it or acts on it.

Templates are other people's code. What they hand back is taken or refused as a whole; a refused result is the agent's
crash and counts, for what cannot be stored would otherwise be computed again without end.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from types import NoneType
from typing import Any

from darumad.agents import UnfitResult, artifacts, ended, fitted
from darumad.agents.artifacts import UnsafePath, place
from darumad.logs import logger
from darumad.names import Stage
from darumad.values import Value, changed
from darumad.work.canonical import canonical, no_number, unwritable
from darumad.work.causes import ENDS, Course, cause_of
from darumad.work.codec import result_to_json
from darumad.work.result import Artifact, Failure, StopReason, WorkResult

log = logger(__name__)

LONGEST = 4000
"""How much of a failure's message is taken, in characters."""
_FORMS: Mapping[type, Mapping[str, type | tuple[type, ...]]] = {
    WorkResult: {
        "stop_reason": StopReason,
        "text": str,
        "artifacts": (tuple, list),
        "error": (NoneType, Failure),
        "model": str,
        "template": str,
        "memory_ids": (tuple, list),
        "notes": (dict, Mapping),
    },
    Failure: {
        "kind": str,
        "message": str,
        "error_type": str,
        "hints": (tuple, list),
        "retry_after": (NoneType, int, float),
    },
    Artifact: {"name": str, "media_type": str, "size": int, "sha256": str},
}
"""What is of which type. Alternatives are tuples, the likely one first: unions take `isinstance` four times as long."""
_ENTRIES: Mapping[type, Mapping[str, type]] = {
    WorkResult: {"artifacts": Artifact, "memory_ids": str},
    Failure: {"hints": str},
}
"""What the lists among them hold."""
_FREE = ("data", "notes")
"""Where a template may put whatever is JSON."""
_NOT_ITS_TO_SAY = frozenset({Course.CANCEL, Course.CRASH, Course.PUT_BACK, Course.STAY})
"""What only the daemon can know of an item: that it was cancelled, interrupted, or taken away."""
_TOKEN = r"[A-Za-z0-9!#$&^_.+-]+"  # noqa: S105 - what RFC 9110 calls a token
_MEDIA_TYPE = re.compile(rf'{_TOKEN}/{_TOKEN}(?:; ?{_TOKEN}=(?:{_TOKEN}|"[ -!#-~]*"))*')
_SHA256 = re.compile(r"[0-9a-f]{64}")


class LargeResult(UnfitResult):
    """A result with more in it than the journal takes."""


class Leaving(Value):
    """Where a result comes from.

    `lost`: the journal has told the stage that its item is no longer held here. `limit`: how many bytes a result may
    have as JSON.
    """

    stage: Stage
    stages: tuple[Stage, ...]
    workspace: Path
    lost: bool
    limit: int


def taken(result: Any, leaving: Leaving) -> WorkResult:
    """`result` as it may be journalled, or the crash that it is. It looks for files: with any, never on the loop."""
    try:
        _see_form(result, WorkResult)
        if result.error is not None:
            result = changed(result, error=_fitted(result.error))
        return _seen(result, leaving)
    except UnfitResult as unfit:
        return refused(unfit)


def refused(unfit: UnfitResult) -> WorkResult:
    """What becomes of a result that cannot be taken, and the log's word on it."""
    log.error("unfit_result", why=str(unfit))
    kind = "result_too_large" if isinstance(unfit, LargeResult) else "agent_crashed"
    return ended(kind, fitted(f"the agent's result cannot be taken: {unfit}"), error_type=type(unfit).__name__)


def _seen(result: WorkResult, leaving: Leaving) -> WorkResult:
    _see_end(result, leaving)
    _see_size(result, leaving.limit)
    for each in result.artifacts:
        _see_artifact(each, leaving.workspace)
    return result


def _see_size(result: WorkResult, limit: int) -> None:
    """What it comes to as JSON, which it must be; a text that is too long by itself is not written first."""
    told = result_to_json(result)
    try:
        size = len(result.text) if len(result.text) > limit else len(canonical(told))
    except (TypeError, ValueError) as error:
        raise UnfitResult(f"{unwritable(told)} is no JSON: {error}") from error
    if size > limit:
        raise LargeResult(f"it has {size:,} bytes, and `item.result_limit` is {limit:,}: put what is large into files")
    if (where := no_number({name: told[name] for name in _FREE})) is not None:
        raise UnfitResult(f"{where} is no number that JSON has: nan or an infinity")


def _see_form(value: Any, form: type) -> None:
    if not isinstance(value, form):
        raise UnfitResult(f"it is a {type(value).__name__}, no {form.__name__}")
    for name, wanted in _FORMS[form].items():
        found = getattr(value, name)
        if not isinstance(found, wanted):
            raise UnfitResult(f"{form.__name__}.{name} is a {type(found).__name__}")
    for name, wanted in _ENTRIES.get(form, {}).items():
        for each in getattr(value, name):
            if not isinstance(each, wanted):
                raise UnfitResult(f"{form.__name__}.{name} holds a {type(each).__name__}, no {wanted.__name__}")


def _fitted(failure: Failure) -> Failure:
    _see_form(failure, Failure)
    return changed(failure, message=fitted(failure.message, LONGEST), error_type=fitted(failure.error_type))


def _see_end(result: WorkResult, leaving: Leaving) -> None:
    if result.stop_reason is StopReason.COMPLETED:
        return
    cause = cause_of(result, leaving.stage, leaving.stages)
    if ENDS[cause].course in _NOT_ITS_TO_SAY and not leaving.lost:
        raise UnfitResult(f"'{cause}' is not an agent's to say")


def _see_artifact(artifact: Any, workspace: Path) -> None:
    _see_form(artifact, Artifact)
    if not _MEDIA_TYPE.fullmatch(artifact.media_type):
        raise UnfitResult(f"{artifact.media_type!r} is no media type")
    if not _SHA256.fullmatch(artifact.sha256) or artifact.size < 0:
        raise UnfitResult(f"the artifact {artifact.name!r} has no size or sha256")
    try:
        there = place(workspace, artifact.name).is_file()
        now = artifacts.artifact(workspace, artifact.name) if there else None
    except (OSError, UnsafePath) as error:
        raise UnfitResult(str(error)) from error
    if now is None:
        raise UnfitResult(f"the artifact {artifact.name!r} is no file of the workspace")
    if (now.size, now.sha256) != (artifact.size, artifact.sha256):
        raise UnfitResult(
            f"the file {artifact.name!r} was changed after `artifact` had read it: call it once it is whole"
        )
