"""What is told about a failure: compactly in `result.error`, at length in the log, for a person who has to act on it.

Hints and recovery steps come from the error's kind and the item's phase, never from searching a message's text.
"""

import textwrap
from collections.abc import Mapping
from typing import Any

from darumad.values import Value, field
from darumad.work.item import WorkItem
from darumad.work.kinds import KINDS
from darumad.work.result import Failure

MAX_HINTS = 3
MAX_STEPS = 2
DESCRIPTION_LENGTH = 100
_BOX_WIDTH = 100

BY_PHASE: Mapping[str, str] = {
    "planning": "Give more context: the goal, what exists, and what the plan must keep to.",
    "implementation": "Look at the log of the attempt and at what the work depends on.",
    "review": "Look at the gates that failed, and at the artifact that was reviewed.",
    "testing": "Run the named tests by hand in the item's workspace.",
    "documentation": "Check that what is to be documented can be read.",
    "deployment": "Check the target and the rights on it before another try.",
    "optimization": "Check the task and the context that were handed in.",
    "analysis": "Check that the inputs are complete and readable.",
}
"""The step to take by the item's phase; the kind's own step stands before it."""


class Site(Value, kw_only=True):
    """Where a failure happened: the agent's path, life and state, and the provider's id of the request, if any.

    `environment` names versions and which credentials are configured, never any part of one.
    """

    agent: str = ""
    incarnation: int | None = None
    state: str = ""
    request_id: str = ""
    environment: Mapping[str, str] = field(default_factory=dict)


def hints_of(failure: Failure) -> tuple[str, ...]:
    """What usually lies behind `failure`: its own hints, then its kind's, each once."""
    known = KINDS.get(failure.kind)
    return tuple(dict.fromkeys((*failure.hints, *(known.hints if known else ()))))


def steps_of(failure: Failure, phase: str) -> tuple[str, ...]:
    """What a person may do: the kind's likeliest step, the phase's, then the kind's others."""
    known = KINDS.get(failure.kind)
    by_kind = known.recovery if known else ()
    by_phase = (BY_PHASE[phase],) if phase in BY_PHASE else ()
    return (*by_kind[:1], *by_phase, *by_kind[1:])


def compact(failure: Failure, item: WorkItem, site: Site) -> dict[str, Any]:
    """The short form, as JSON: what stands in `result.error`, in the record and in events. At most 3 hints, 2 steps."""
    told: dict[str, Any] = {
        "kind": failure.kind,
        "type": failure.error_type,
        "message": failure.message,
        "item": {"id": item.id, "phase": item.phase},
        "agent": site.agent,
        "hints": list(hints_of(failure)[:MAX_HINTS]),
        "recovery": list(steps_of(failure, item.phase)[:MAX_STEPS]),
    }
    also = {"request_id": site.request_id, "budget": failure.budget, "needs": dict(failure.needs)}
    return told | {name: said for name, said in also.items() if said}


def boxed(failure: Failure, item: WorkItem, site: Site) -> str:
    """The long form, as a box that a person can read in a log: every hint, every step, and the environment.

    Control characters of what a caller or a provider wrote are shown escaped, so that nobody writes lines of their own
    into the log.
    """
    lines = [
        f"{failure.error_type or failure.kind}: {failure.message}",
        "",
        *_field("kind", failure.kind),
        *_field("item", f"{item.id} ({item.phase})"),
        *_field("task", _cut(item.description)),
        *_field("agent", _agent(site)),
        *_field("request", site.request_id),
        *_listed("hints", hints_of(failure)),
        *_listed("what to do", steps_of(failure, item.phase)),
        *_listed("environment", tuple(f"{name} {value}" for name, value in site.environment.items())),
    ]
    return _box(lines)


def _agent(site: Site) -> str:
    life = f"{site.agent}#{site.incarnation}" if site.incarnation is not None else site.agent
    return f"{life}, {site.state}" if site.state else life


def _cut(text: str) -> str:
    return text if len(text) <= DESCRIPTION_LENGTH else text[: DESCRIPTION_LENGTH - 3] + "..."


def _field(name: str, value: str) -> list[str]:
    return [f"{name + ':':<9}{value}"] if value else []


def _listed(title: str, entries: tuple[str, ...]) -> list[str]:
    return ["", f"{title}:", *(f"  - {each}" for each in entries)] if entries else []


def _box(lines: list[str]) -> str:
    inner = _BOX_WIDTH - 4
    rows = [row for line in lines for row in textwrap.wrap(_printable(line), inner, subsequent_indent="    ") or [""]]
    edge = "─" * (inner + 2)
    return "\n".join([f"┌{edge}┐", *(f"│ {row:<{inner}} │" for row in rows), f"└{edge}┘"])


def _printable(line: str) -> str:
    return "".join(char if char.isprintable() else ascii(char)[1:-1] for char in line)
