"""The one table of kinds of failure: who acts on each, and what counts against an agent.

The broker reads the first columns, supervision is handed the last one as its judge, and people are told the hints.
What becomes of the *item* is another table, in `work.causes`. A kind is added to both, or a test names what is missing.
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import Literal

from darumad.values import Value

Judgement = Literal["count", "ignore", "crash"]
"""What an agent's error means to its supervisor: one more in the window, nothing, or a restart at once."""


class Retry(StrEnum):
    """Whether and how the failed thing is tried again before the item hears of it, in the words of the docs."""

    NO = "no"
    QUICK = "once, quickly"
    UNSENT = "once, at once, if no byte was received"
    IN_TIME = "at most once, if the deadline allows"
    ONCE = "once"
    BACKOFF = "with backoff"
    AFTER_WAIT = "after the wait the provider asks for"
    COMPACTED = "once, after compaction"
    REPAIRED = "a repair turn, at most twice"
    BY_ATTEMPTS = "by the item's attempts"
    BY_EFFECT = "as the tool's effect class allows"
    SPAWN = "spawned again, with backoff"


class Fallback(StrEnum):
    """Whether the next target of the chain is asked instead."""

    NO = "no"
    YES = "yes"
    LONG_WAIT = "if the wait is longer than the deadline or 30 s"
    BIGGER = "to a bigger model"
    OPTIONAL = "where the settings say so"


class Breaker(StrEnum):
    """What the failure does to the circuit of its target."""

    NO = "no"
    FAILURE = "a failure"
    HARD_OPEN = "open until it is mended"
    HARD_OPEN_MODEL = "open for that model until it is mended"


class Counts(StrEnum):
    """Whether a *final* failure, after the broker's retries and fallback, is an error of the agent."""

    COUNT = "count"
    WHILE_CLOSED = "while_closed"
    IGNORE = "ignore"
    CRASH = "crash"


class Kind(Value, kw_only=True):
    """One kind of failure: where it comes from, who acts, and what a person may do about it.

    `recovery` are steps for a person, the first of them the likeliest; `hints` say what usually lies behind it.
    """

    name: str
    comes_from: str
    retry: Retry = Retry.NO
    fallback: Fallback = Fallback.NO
    breaker: Breaker = Breaker.NO
    counts: Counts = Counts.IGNORE
    hints: tuple[str, ...]
    recovery: tuple[str, ...]


_KINDS: tuple[Kind, ...] = (
    # --- the provider cannot be reached, or answers nonsense -------------------------------------------------------
    Kind(
        name="connect",
        comes_from="connection refused, name not found, TLS, connect timeout",
        retry=Retry.QUICK,
        fallback=Fallback.YES,
        breaker=Breaker.FAILURE,
        counts=Counts.WHILE_CLOSED,
        hints=("Nobody answers at the provider's address.", "A local model server may not be running."),
        recovery=("Check the provider with `daruma doctor`.", "Check the network, the address and its certificate."),
    ),
    Kind(
        name="disconnect",
        comes_from="reset, end of stream, truncated body, protocol error",
        retry=Retry.UNSENT,
        fallback=Fallback.YES,
        breaker=Breaker.FAILURE,
        counts=Counts.WHILE_CLOSED,
        hints=("The provider or something between closed the connection.",),
        recovery=("Nothing, if it is rare: it is tried again.", "Look at the provider's own log or status page."),
    ),
    Kind(
        name="timeout",
        comes_from="read, first-token, idle or total limit of a call, 408, 504",
        retry=Retry.IN_TIME,
        fallback=Fallback.YES,
        breaker=Breaker.FAILURE,
        counts=Counts.WHILE_CLOSED,
        hints=("The model took longer than the call's limits.", "A local model that is being loaded takes minutes."),
        recovery=("Raise the provider's limits, or choose a faster model.", "Look at the provider's load."),
    ),
    Kind(
        name="server_error",
        comes_from="every 5xx not named elsewhere, 409, an error inside the stream",
        retry=Retry.BACKOFF,
        fallback=Fallback.YES,
        breaker=Breaker.FAILURE,
        counts=Counts.WHILE_CLOSED,
        hints=("The provider failed on its side.",),
        recovery=("Look at the provider's status page.", "Configure a fallback."),
    ),
    Kind(
        name="malformed_response",
        comes_from="bad JSON, wrong shape, any redirect",
        retry=Retry.ONCE,
        fallback=Fallback.YES,
        breaker=Breaker.FAILURE,
        counts=Counts.WHILE_CLOSED,
        hints=("What answered does not speak the provider's protocol.", "A proxy may answer in its place."),
        recovery=("Check the provider's `base_url`.", "Look for a proxy on the way."),
    ),
    Kind(
        name="truncated_stream",
        comes_from="a stream without its end marker",
        retry=Retry.ONCE,
        fallback=Fallback.YES,
        breaker=Breaker.FAILURE,
        counts=Counts.WHILE_CLOSED,
        hints=("The answer ended before its end was said; what came is not trusted.",),
        recovery=("Nothing, if it is rare: it is tried again.", "Look at the provider's own log."),
    ),
    Kind(
        name="overloaded",
        comes_from="529, 503, overloaded_error inside the stream, a full queue",
        retry=Retry.BACKOFF,
        fallback=Fallback.YES,
        breaker=Breaker.FAILURE,
        hints=("The provider has more to do than it can.",),
        recovery=("Wait; the item goes on by itself.", "Configure a fallback."),
    ),
    Kind(
        name="rate_limited",
        comes_from="429",
        retry=Retry.AFTER_WAIT,
        fallback=Fallback.LONG_WAIT,
        hints=("The account's rate limit is reached.",),
        recovery=("Wait; the item goes on by itself.", "Lower the provider's `concurrency`, or raise that limit."),
    ),
    # --- the provider says no, until somebody changes something -------------------------------------------------------
    Kind(
        name="quota_exhausted",
        comes_from="402, a spend limit, insufficient_quota",
        fallback=Fallback.YES,
        breaker=Breaker.HARD_OPEN,
        hints=("The account has no credit left.",),
        recovery=("Add credit or raise the spend limit there, then `daruma providers check` or `daruma work retry`.",),
    ),
    Kind(
        name="auth",
        comes_from="401, 403",
        fallback=Fallback.YES,
        breaker=Breaker.HARD_OPEN,
        hints=("The key is missing, wrong or revoked.", "The key may not use this model."),
        recovery=(
            "Set a valid key: a file or the store is read again by itself.",
            "Where the same key is good again: `daruma providers check` or `daruma work retry`.",
        ),
    ),
    Kind(
        name="model_not_found",
        comes_from="404, or no model is configured",
        fallback=Fallback.YES,
        breaker=Breaker.HARD_OPEN_MODEL,
        hints=(
            "The configured model does not exist there.",
            "No model is configured at all.",
            "The client of its protocol is not installed; then the message says how it would be.",
        ),
        recovery=(
            "Give the provider that model, then `daruma providers check` or `daruma work retry`.",
            "Or configure a model that it has, and restart the daemon: the item goes on by itself.",
        ),
    ),
    # --- the request is wrong -----------------------------------------------------------------------------------------
    Kind(
        name="invalid_request",
        comes_from="any other 4xx",
        counts=Counts.COUNT,
        hints=("The provider refused the request as malformed.",),
        recovery=("Look at the agent's parameters: the model may not support one of them.",),
    ),
    Kind(
        name="request_too_large",
        comes_from="413",
        retry=Retry.COMPACTED,
        fallback=Fallback.BIGGER,
        counts=Counts.COUNT,
        hints=("The request is larger than the provider takes.",),
        recovery=("Hand in less, or split the work.",),
    ),
    Kind(
        name="context_too_long",
        comes_from="the prompt does not fit the model's context window",
        retry=Retry.COMPACTED,
        fallback=Fallback.BIGGER,
        counts=Counts.COUNT,
        hints=("The prompt does not fit the model's context window.", "A local model may run with a small `num_ctx`."),
        recovery=("Split the work, or hand in less.", "Choose a model with a larger window."),
    ),
    # --- the answer is no use -----------------------------------------------------------------------------------------
    Kind(
        name="bad_tool_args",
        comes_from="a tool call whose arguments do not fit the tool's schema",
        retry=Retry.REPAIRED,
        fallback=Fallback.OPTIONAL,
        counts=Counts.COUNT,
        hints=("The model does not call tools as their schemas say.",),
        recovery=("Choose a model that is good at tools.", "Simplify the tool's schema."),
    ),
    Kind(
        name="schema_violation",
        comes_from="an answer that does not satisfy its JSON Schema",
        retry=Retry.REPAIRED,
        fallback=Fallback.OPTIONAL,
        counts=Counts.COUNT,
        hints=("The answer does not satisfy the schema that was asked for.",),
        recovery=("Simplify the schema, or choose a stronger model.",),
    ),
    Kind(
        name="empty_output",
        comes_from="a complete answer with nothing in it",
        retry=Retry.REPAIRED,
        fallback=Fallback.OPTIONAL,
        counts=Counts.COUNT,
        hints=("The model answered, and said nothing.",),
        recovery=("Say more precisely what is wanted.", "Choose a stronger model."),
    ),
    Kind(
        name="refusal",
        comes_from="the model declined, or a content filter did",
        fallback=Fallback.OPTIONAL,
        hints=("The model declined to do this.",),
        recovery=("Rephrase the work, or choose another model.",),
    ),
    # --- the agent ----------------------------------------------------------------------------------------------------
    Kind(
        name="loop_detected",
        comes_from="the same tool with the same arguments gave the same result again",
        counts=Counts.COUNT,
        hints=("The agent goes round in circles.",),
        recovery=("Say what it should do differently, then retry.", "Choose a stronger model."),
    ),
    Kind(
        name="agent_crashed",
        comes_from="an exception left the agent's or its template's coroutine",
        retry=Retry.BY_ATTEMPTS,
        counts=Counts.COUNT,
        hints=("The template's code raised.",),
        recovery=("Read the traceback in the log and correct the template.",),
    ),
    Kind(
        name="result_too_large",
        comes_from="a result, or what a step returned, is larger than `item.result_limit`",
        retry=Retry.BY_ATTEMPTS,
        counts=Counts.COUNT,
        hints=("The template returns what belongs into a file.",),
        recovery=("Have the template write it into a file of its workspace.", "Raise `item.result_limit`."),
    ),
    Kind(
        name="handler_crashed",
        comes_from="the daemon's own handler raised, MemoryError, an escaped BaseException",
        counts=Counts.CRASH,
        hints=("This is a defect of Daruma, or the machine is out of memory.",),
        recovery=("Read the traceback in the log and report it.",),
    ),
    Kind(
        name="unreadable",
        comes_from="the journal holds of the item what was never written, or what cannot be read",
        hints=("The disk, or somebody else, changed the journal.",),
        recovery=("See what else is damaged with `daruma journal check`, and restore the journal from a backup.",),
    ),
    Kind(
        name="tool_error",
        comes_from="a tool raised (a command's non-zero exit is an observation, not an error)",
        retry=Retry.BY_EFFECT,
        counts=Counts.COUNT,
        hints=("A tool of the agent raised.",),
        recovery=("Read the tool's message: a path, a right or a program may be missing.",),
    ),
    Kind(
        name="item_timeout",
        comes_from="the item's own `timeout`, with no model call open",
        retry=Retry.BY_ATTEMPTS,
        counts=Counts.COUNT,
        hints=("The stage took longer than the item's `timeout`.",),
        recovery=("Raise `timeout`, or split the work.",),
    ),
    Kind(
        name="idle_timeout",
        comes_from="the item's own `idle_timeout`, with no model call open",
        retry=Retry.BY_ATTEMPTS,
        counts=Counts.COUNT,
        hints=("Nothing progressed for the item's `idle_timeout`.", "A tool may hang."),
        recovery=("Look at what the last step waited for.", "Raise `idle_timeout`."),
    ),
    Kind(
        name="child_died",
        comes_from="an isolated agent's process ended",
        retry=Retry.SPAWN,
        counts=Counts.COUNT,
        hints=("The agent's process ended; it may have run out of its memory limit.",),
        recovery=("Look at the log for the signal or exit code.",),
    ),
    Kind(
        name="spawn_failed",
        comes_from="the agent could not be made",
        retry=Retry.SPAWN,
        hints=("The agent cannot be made: its template may not import.",),
        recovery=("See the reason in `daruma agents show`, correct it, then `daruma agents restart`.",),
    ),
    Kind(
        name="max_steps",
        comes_from="the agent's limit of steps",
        retry=Retry.BY_ATTEMPTS,
        hints=("The work is larger than the agent's `max_steps`.",),
        recovery=("Split the work, or raise `max_steps`.",),
    ),
    Kind(
        name="max_tokens",
        comes_from="a reply cut by the token limit",
        retry=Retry.BY_ATTEMPTS,
        hints=("The answer is longer than `max_tokens` allows; half an answer is none.",),
        recovery=("Raise `max_tokens`, or ask for less at once.",),
    ),
    # --- the daemon and its people ------------------------------------------------------------------------------------
    Kind(
        name="local_saturation",
        comes_from="a full pool, a full limiter queue, every target's circuit open",
        fallback=Fallback.YES,
        hints=("More calls wait than the provider may have open.",),
        recovery=("Wait; the item goes on by itself.", "Raise the provider's `concurrency` if it can take more."),
    ),
    Kind(
        name="no_room",
        comes_from="the disk has no room for the item's workspace or for what it does, or the process for its files",
        hints=("The disk of the state directory is full or failing, or the daemon has too many files open.",),
        recovery=("Make room on that disk; the item goes on by itself.", "Look at the limit of open files."),
    ),
    Kind(
        name="budget_exhausted",
        comes_from="what is spent and the next call's estimate exceed a limit",
        hints=("A budget of the item, its agent or the day is spent.",),
        recovery=("Raise the budget; the item goes on by itself.", "Wait for the next day, if it is the daily one."),
    ),
    Kind(
        name="price_unknown",
        comes_from="a call whose price nobody knows, under `budget.unknown_price: refuse`",
        hints=("The model is on no list of prices.",),
        recovery=("Set the model's price under `prices`, or allow unknown ones; restart the daemon, and it goes on.",),
    ),
    Kind(
        name="cancelled",
        comes_from="somebody cancelled the item, or its owner was revoked",
        hints=("Somebody cancelled it.",),
        recovery=("Submit it again if it is still wanted.",),
    ),
    Kind(
        name="interrupted",
        comes_from="drain, rescue, preemption, panic, a lost actor",
        hints=("The daemon put it back; it is no fault of the item.",),
        recovery=("Nothing: it goes on where it was.",),
    ),
    Kind(
        name="bridge_stalled",
        comes_from="the loop that agents run on was blocked, and was replaced",
        hints=("Some agent's code blocked the loop that all agents share.",),
        recovery=(
            "Look for `bridge.stalled` in the log: it has the stack.",
            "Take what blocks out of that template's coroutines: `asyncio.to_thread`, or a subprocess.",
        ),
    ),
    Kind(
        name="loop_held",
        comes_from="the item's own coroutine held the loop that agents run on for `bridge.dead_after`",
        hints=("The agent's template blocks the loop that all agents share.",),
        recovery=(
            "Take what blocks at that line out of the template's coroutine: `asyncio.to_thread`, or a subprocess.",
            "Then `daruma agents restart` its agent.",
        ),
    ),
    Kind(
        name="invalid_item",
        comes_from="the item's fields, found wrong by the agent",
        hints=("The agent cannot do anything with these fields.",),
        recovery=("Correct the fields named and submit it again.",),
    ),
    Kind(
        name="challenged",
        comes_from="the item is too vague, or the agent asks",
        hints=("It is not clear what is wanted.",),
        recovery=("Answer with `daruma work answer`.",),
    ),
    Kind(
        name="review_rejected",
        comes_from="the review found faults",
        hints=("The review found faults in the work.",),
        recovery=(
            "Read the issues in `daruma work show`.",
            "Correct the requirements if they ask for the wrong thing.",
        ),
    ),
    Kind(
        name="outcome_unknown",
        comes_from="a tool that began to do something outside and was not heard of again",
        retry=Retry.BY_EFFECT,
        hints=("A tool was interrupted while it did something outside; it may have been done.",),
        recovery=(
            "Look outside whether it was done.",
            "Then `daruma work answer ID done`, or `daruma work answer ID 'run again'`.",
        ),
    ),
    Kind(
        name="stale",
        comes_from="an answer under a fence that no longer holds",
        hints=("Somebody else holds the item by now.",),
        recovery=("Nothing: it changed nothing.",),
    ),
)

KINDS: Mapping[str, Kind] = {kind.name: kind for kind in _KINDS}
"""Every kind by its name, in the order of the docs."""


def verdict(kind: str, *, circuit_open: bool, moved: Mapping[str, str]) -> Judgement:
    """What a final failure of `kind` means to the agent's supervisor.

    A final failure counts unless it is known not to be the agent's doing: a kind nobody knows counts too. Once the
    target's circuit is open (`circuit_open`) its failures are known, and count for nobody. `moved` is the setting
    `supervision.count`: it puts a kind under another word of `Counts`.

    Raises:
        ValueError: `moved` holds a word that is none of `Counts`.
    """
    counts = Counts(moved[kind]) if kind in moved else _counts(kind)
    match counts:
        case Counts.CRASH:
            return "crash"
        case Counts.IGNORE:
            return "ignore"
        case Counts.WHILE_CLOSED if circuit_open:
            return "ignore"
        case _:
            return "count"


def _counts(kind: str) -> Counts:
    known = KINDS.get(kind)
    return known.counts if known else Counts.COUNT
