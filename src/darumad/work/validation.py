"""Validation: what is wrong with an item, every fault at once and each naming its field, before any model is called.

Errors refuse the item (or end it as `invalid_item`); warnings are told and the item goes on. Pure and far below a
millisecond: it runs at the border and again in every agent.
"""

import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from itertools import combinations
from math import inf
from typing import Any

from darumad.errors import Problem, pointer
from darumad.names import SLUG, Capability, Millis, Role, Stage
from darumad.values import Value
from darumad.work.canonical import canonical
from darumad.work.challenge import vague_terms, word_count
from darumad.work.item import NO_LIMITS, PHASES, Limits, WorkItem
from darumad.work.model import Message

MAX_ID = 256
MAX_NAME_PART = 255
"""Bytes that a file system takes for the name of one file or directory."""
MAX_DESCRIPTION = 50_000
MAX_ENTRIES: Mapping[str, int] = {
    "messages": 1_000,
    "requires": 100,
    "depends_on": 10_000,
    "requirements": 1_000,
    "constraints": 1_000,
    "tech_stack": 1_000,
    "tests": 1_000,
    "inputs": 1_000,
    "labels": 100,
}
"""How much each list of an item, and its labels, may hold; its walk, its input and its schema are bounded otherwise."""
MAX_LABEL_KEY = 255
MAX_LABEL = 1_000
SHORT_DESCRIPTION = 10
MIN_PLAN_WORDS = 5
PRIORITIES = range(11)
ONE_SOURCE = "must have one of text, upload and path"
MAX_SCHEMA_BYTES = 64 * 1024
MAX_SCHEMA_DEPTH = 20

STAGES_OF: Mapping[Role, tuple[Stage, ...]] = {
    Role.EXECUTOR: (Stage.OPTIMIZING, Stage.EXECUTING, Stage.REVIEWING),
    Role.ORCHESTRATOR: (Stage.PLANNING,),
    Role.OPTIMIZER: (Stage.OPTIMIZING,),
    Role.REVIEWER: (Stage.REVIEWING,),
}
"""The walk of an item, by who it is for; an executor's may leave stages out, but not executing."""


def _walks(role: Role) -> frozenset[tuple[Stage, ...]]:
    whole = STAGES_OF[role]
    if role is not Role.EXECUTOR:
        return frozenset({whole})
    parts = (part for length in range(1, len(whole) + 1) for part in combinations(whole, length))
    return frozenset(part for part in parts if Stage.EXECUTING in part)


WALKS: Mapping[Role, frozenset[tuple[Stage, ...]]] = {role: _walks(role) for role in Role}
"""Every walk that an item may have, by who it is for."""
ONLY_WALKS = "must be some of optimizing, executing, reviewing, in this order, with executing"
"""What is said of a walk that no executor's item may have."""

_ID = re.compile(r"[A-Za-z0-9._:-]+")
_AGENT = re.compile(r"[a-z0-9][a-z0-9-]{0,62}(@[A-Za-z0-9.+-]{1,64})?")
_SHA256 = re.compile(r"[0-9a-f]{64}")


class Findings(Value):
    """What validation found. Each problem names its field by a JSON pointer."""

    errors: tuple[Problem, ...] = ()
    warnings: tuple[Problem, ...] = ()

    @property
    def valid(self) -> bool:
        """Whether nothing forbids the work."""
        return not self.errors


_FLAWLESS = Findings()


def validate(item: WorkItem) -> Findings:
    """Everything that is wrong or doubtful in `item`, in the order of its fields."""
    errors, warnings = tuple(_errors(item)), tuple(_warnings(item))
    return Findings(errors, warnings) if errors or warnings else _FLAWLESS


def expired(expires_at: Millis | None, now: Millis) -> Iterator[Problem]:
    """That nobody could begin the item any more; `validate` knows no time, for an item expires while it waits, too."""
    if expires_at is not None and expires_at <= now:
        at = datetime.fromtimestamp(now / 1000, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
        yield Problem("/expires_at", f"must be later than now, {at}")


def agent_errors(agent: str) -> Iterator[Problem]:
    """That no agent can be named so."""
    if not _AGENT.fullmatch(agent):
        yield Problem("/agent", "must be a name such as `executor`, or `name@version`")


def _errors(item: WorkItem) -> Iterator[Problem]:
    yield from _id_errors("/id", item.id)
    yield from _entry_errors(item)
    yield from _description_errors(item)
    if item.priority not in PRIORITIES:
        yield Problem("/priority", f"must be 0 to 10, is {item.priority}")
    yield from agent_errors(item.agent)
    yield from _stage_errors(item)
    if item.messages or item.conversation is not None:
        yield from _dialogue_errors(item)
    if item.requires:
        yield from _capability_errors(item.requires)
    yield from _lane_errors(item.lane)
    if item.parent is not None or item.depends_on:
        yield from _tie_errors(item)
    if item.requirements or item.constraints or item.tech_stack or item.tests:
        yield from _list_errors(item)
    if item.inputs:
        yield from _input_errors(item)
    if item.role is Role.REVIEWER:
        yield from _artifact_errors(item.input)
    if item.output_schema is not None:
        yield from _schema_errors(item.role, item.output_schema)
    if item.labels:
        yield from _label_errors(item.labels)
    yield from _limit_errors(item)


def _warnings(item: WorkItem) -> Iterator[Problem]:
    if 0 < len(item.description.strip()) < SHORT_DESCRIPTION:
        yield Problem("/description", f"is shorter than {SHORT_DESCRIPTION} characters")
    for term in vague_terms(item.description):
        yield Problem("/description", f"'{term}' is vague")
    if item.phase not in PHASES:
        yield Problem("/phase", f"'{item.phase}' is not one of {', '.join(PHASES)}; it is kept as it is")
    if item.role is Role.REVIEWER and item.phase != "review":
        yield Problem("/phase", f"a review asked for directly has phase 'review', not '{item.phase}'")
    if item.role is Role.OPTIMIZER and not (item.input or item.inputs):
        yield Problem("/input", "there is no context to optimize")


def _id_errors(where: str, value: str) -> Iterator[Problem]:
    if len(value) > MAX_ID or not _ID.fullmatch(value):
        yield Problem(where, f"must be 1 to {MAX_ID} characters of A-Z a-z 0-9 . _ : -")
    elif value in {".", ".."}:
        yield Problem(where, f"must not be '{value}', which names a directory")


def _entry_errors(item: WorkItem) -> Iterator[Problem]:
    for field, most in MAX_ENTRIES.items():
        count = len(getattr(item, field))
        if count > most:
            yield Problem(f"/{field}", f"must hold at most {most:,}, and holds {count:,}; leave some out")


def _label_errors(labels: Mapping[str, str]) -> Iterator[Problem]:
    for key, value in labels.items():
        if len(key) > MAX_LABEL_KEY:
            yield Problem("/labels", f"the key '{key[:20]}...' is longer than {MAX_LABEL_KEY} characters")
        elif len(value) > MAX_LABEL:
            where = pointer("labels", key)
            yield Problem(where, f"is longer than {MAX_LABEL:,} characters; hand long text in as a file of `inputs`")


def _capability_errors(requires: tuple[Capability, ...]) -> Iterator[Problem]:
    for index, each in enumerate(requires):
        if not SLUG.fullmatch(each):
            yield Problem(f"/requires/{index}", "must be a word of a-z, 0-9 and dashes, at most 63")


def _lane_errors(lane: str) -> Iterator[Problem]:
    if not lane:
        yield Problem("/lane", "must not be empty")
    if "\0" in lane:  # SQLite's JSON ends a text there: a claim would look for another lane, and find nothing
        yield Problem("/lane", "must not hold a NUL character")


def _description_errors(item: WorkItem) -> Iterator[Problem]:
    if not item.description.strip():
        yield Problem("/description", "must say what is to be done")
    elif len(item.description) > MAX_DESCRIPTION:
        how = "hand long text in as a file of `inputs`, on the command line with `--input FILE`"
        yield Problem("/description", f"is longer than {MAX_DESCRIPTION:,} characters; {how}")
    elif item.role is Role.ORCHESTRATOR and word_count(item.description) < MIN_PLAN_WORDS:
        yield Problem("/description", f"a goal to plan has at least {MIN_PLAN_WORDS} words")


def _stage_errors(item: WorkItem) -> Iterator[Problem]:
    if item.stages in WALKS[item.role]:
        return
    if item.role is Role.EXECUTOR:
        yield Problem("/stages", ONLY_WALKS)
    else:
        only = STAGES_OF[item.role][0].value
        yield Problem("/stages", f"an item for the {item.role.value} walks {only} and nothing else")


def _dialogue_errors(item: WorkItem) -> Iterator[Problem]:
    if item.messages:
        yield from _message_errors(item.messages)
    if item.conversation is not None:
        yield from _id_errors("/conversation", item.conversation)


def _message_errors(messages: tuple[Message, ...]) -> Iterator[Problem]:
    if messages[0].role != "user":
        yield Problem("/messages/0/role", "must be `user`: a dialogue begins with what somebody asked")
    for index, each in enumerate(messages):
        if each.role not in {"user", "assistant"} or each.calls:
            yield Problem(f"/messages/{index}/role", "must be `user` or `assistant`, and call no tool")
        if not each.text.strip():
            yield Problem(f"/messages/{index}/text", "must not be empty")
        elif len(each.text) > MAX_DESCRIPTION:
            yield Problem(f"/messages/{index}/text", f"is longer than {MAX_DESCRIPTION:,} characters")


def _tie_errors(item: WorkItem) -> Iterator[Problem]:
    """What is wrong with how it is tied to other items."""
    if item.parent is not None:
        yield from _id_errors("/parent", item.parent)
        if item.parent == item.id:
            yield Problem("/parent", "an item cannot be its own parent")
    if item.parent is not None and item.role is Role.ORCHESTRATOR:
        yield Problem(
            "/parent", "a goal to plan stands by itself, for what it is broken up into is its sub-work; leave it out"
        )
    if item.depends_on:
        yield from _dependency_errors(item)


def _dependency_errors(item: WorkItem) -> Iterator[Problem]:
    for index, each in enumerate(item.depends_on):
        yield from _id_errors(f"/depends_on/{index}", each)
        if each == item.id:
            yield Problem(f"/depends_on/{index}", "an item cannot depend on itself")


def _list_errors(item: WorkItem) -> Iterator[Problem]:
    for field in ("requirements", "constraints", "tech_stack", "tests"):
        yield from _text_errors(field, getattr(item, field))


def _text_errors(field: str, entries: tuple[str, ...]) -> Iterator[Problem]:
    for index, each in enumerate(entries):
        if not each.strip():
            yield Problem(pointer(field, index), "must not be empty")
        elif len(each) > MAX_DESCRIPTION:
            yield Problem(pointer(field, index), f"is longer than {MAX_DESCRIPTION:,} characters")


def _input_errors(item: WorkItem) -> Iterator[Problem]:
    seen: set[str] = set()
    files = {each.name for each in item.inputs if each.text is None}
    for index, each in enumerate(item.inputs):
        if not _is_safe_name(each.name):
            yield Problem(f"/inputs/{index}/name", "must be a relative path without '..', '.' or empty parts")
        elif too_long := [part for part in each.name.split("/") if len(part.encode()) > MAX_NAME_PART]:
            yield Problem(f"/inputs/{index}/name", f"'{too_long[0][:20]}...' is longer than {MAX_NAME_PART} bytes")
        if each.name in seen:
            yield Problem(f"/inputs/{index}/name", f"'{each.name}' is there twice")
        seen.add(each.name)
        above = _above(each.name) & files
        if each.text is None and above:
            yield Problem(f"/inputs/{index}/name", f"lies below '{min(above)}', which is an upload itself")
        if (each.text is None) == (each.upload is None and each.path is None):
            yield Problem(f"/inputs/{index}", ONE_SOURCE)
        if each.path is not None and (not each.path.startswith("/") or "\0" in each.path):
            yield Problem(f"/inputs/{index}/path", "must be an absolute path where the daemon runs, without a NUL")
        if each.upload is not None and not _SHA256.fullmatch(each.upload):
            yield Problem(f"/inputs/{index}/upload", "must be a sha256 in lower-case hex")


def _is_safe_name(name: str) -> bool:
    parts = name.split("/")
    return "\\" not in name and name.isprintable() and not any(part in {"", ".", ".."} for part in parts)


def _above(name: str) -> set[str]:
    """The directories that a file of this name lies in."""
    parts = name.split("/")
    return {"/".join(parts[:count]) for count in range(1, len(parts))}


def _artifact_errors(artifact: Any) -> Iterator[Problem]:
    """A review asked for directly needs something to review: `input` with an id and a description."""
    if not isinstance(artifact, Mapping):
        yield Problem(
            "/input", "must be the artifact to review, an object with an id and a description; its files are inputs"
        )
        return
    for field in ("id", "description"):
        if not artifact.get(field):
            yield Problem(f"/input/{field}", "the artifact to review needs it")


def _schema_errors(role: Role, schema: Mapping[str, Any]) -> Iterator[Problem]:
    if role is not Role.EXECUTOR:
        yield Problem("/output_schema", f"what the {role.value} makes has a form of its own; leave this out")
    try:
        size = len(canonical(schema))
    except TypeError as error:  # also what is nested beyond orjson's own limit
        yield Problem("/output_schema", f"is no JSON: {error}")
        return
    if size > MAX_SCHEMA_BYTES:
        yield Problem("/output_schema", f"is larger than {MAX_SCHEMA_BYTES // 1024} KiB")
        return
    yield from _nested_errors("/output_schema", schema, 1)


def _nested_errors(where: str, value: Any, depth: int) -> Iterator[Problem]:
    """Nesting beyond the limit, and references that would have the daemon fetch something."""
    if depth > MAX_SCHEMA_DEPTH:
        yield Problem(where, f"is nested deeper than {MAX_SCHEMA_DEPTH} levels")
        return
    if isinstance(value, Mapping):
        for key, each in value.items():
            below = where + pointer(key)
            if key in {"$ref", "$dynamicRef"} and isinstance(each, str) and not each.startswith("#"):
                yield Problem(below, f"a reference to '{each}' is not followed; only '#...' within the schema is")
            yield from _nested_errors(below, each, depth + 1)
    elif isinstance(value, list | tuple):
        for index, each in enumerate(value):
            yield from _nested_errors(f"{where}/{index}", each, depth + 1)


def _limit_errors(item: WorkItem) -> Iterator[Problem]:
    if item.timeout is not None or item.idle_timeout is not None or item.backoff is not None:
        yield from _time_errors(item)
    if item.budget is not NO_LIMITS:
        yield from _budget_errors(item.budget)
    if item.max_attempts < 1:
        yield Problem("/max_attempts", "must be at least 1")
    if item.max_reviews < 0:
        yield Problem("/max_reviews", "must be 0 or more")
    if item.run_at is not None and item.expires_at is not None and item.expires_at <= item.run_at:
        yield Problem("/expires_at", "must be later than run_at")


def _time_errors(item: WorkItem) -> Iterator[Problem]:
    for field, value in (("timeout", item.timeout), ("idle_timeout", item.idle_timeout)):
        if value is not None and not 0 < value < inf:
            yield Problem(f"/{field}", "must be more than 0 seconds")
    if item.backoff is not None and not 0 <= item.backoff < inf:
        yield Problem("/backoff", "must be 0 seconds or more")


def _budget_errors(budget: Limits) -> Iterator[Problem]:
    for field, most in (("nano_usd", budget.nano_usd), ("tokens", budget.tokens), ("calls", budget.calls)):
        if most is not None and most < 0:
            yield Problem(f"/budget/{field}", "must be 0 or more")
