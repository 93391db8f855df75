"""Plans: a goal as the items that reach it. Pure.

Whoever plans names the items by keys of its own. They get their ids when the goal succeeds, and are handed in as its
sub-work in that same transaction: there is never half a plan.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from itertools import islice

from darumad.names import ItemId, Stage
from darumad.values import Value
from darumad.work.dependencies import find_cycle
from darumad.work.item import WorkItem
from darumad.work.validation import validate

MOST = 100
"""So many items a plan may have."""
LONGEST_KEY = 64
"""Characters of a key."""
TOLD = 20
"""So many problems are told at once: whoever planned has to read them."""
_LINE = re.compile(r"[ \t]*[-*+] \[ \][ \t]+(\S.*)")
"""An open line of a check list, as Markdown writes it."""
_HIGHEST, _FALLS = 10, 5
"""The priority of a check list's first line, and over how many lines it falls by one."""


class PlannedItem(Value, kw_only=True):
    """One item of a plan. `key` names it there, and `depends_on` holds keys."""

    key: str
    description: str
    phase: str = "implementation"
    priority: int = 5
    depends_on: tuple[str, ...] = ()
    requirements: tuple[str, ...] = ()
    success_criteria: str | None = None


class Plan(Value, kw_only=True):
    """The items, in the order they were named, and the walk that each of them takes."""

    items: tuple[PlannedItem, ...]
    stages: tuple[Stage, ...]


def check_list(text: str) -> tuple[PlannedItem, ...]:
    """The open lines of the check list in `text`, the first the most urgent; empty when there is none."""
    found = filter(None, map(_LINE.match, text.splitlines()))
    return tuple(
        PlannedItem(key=str(place + 1), description=line[1].rstrip(), priority=_HIGHEST - min(place, _FALLS))
        for place, line in enumerate(found)
    )


def problems_of(items: Sequence[PlannedItem]) -> tuple[str, ...]:
    """What keeps these from being a plan, one sentence each with its place: what whoever planned is told."""
    if not 0 < len(items) <= MOST:
        return (f"/items: must be 1 to {MOST} items, are {len(items)}",)
    return tuple(islice(_problems(items), TOLD))


def sub_items(goal: WorkItem, plan: Plan, new_id: Callable[[], str]) -> tuple[WorkItem, ...]:
    """The items of `plan`, as sub-work of `goal`: in its lane, under its labels, with its inputs and constraints."""
    ids = {each.key: ItemId(new_id()) for each in plan.items}
    return tuple(
        WorkItem(
            id=ids[each.key],
            description=each.description,
            phase=each.phase,
            priority=each.priority,
            stages=plan.stages,
            parent=goal.id,
            lane=goal.lane,
            depends_on=tuple(ids[key] for key in each.depends_on),
            requirements=each.requirements,
            success_criteria=each.success_criteria,
            constraints=goal.constraints,
            tech_stack=goal.tech_stack,
            inputs=goal.inputs,
            expires_at=goal.expires_at,
            challenge=False,  # whoever planned has answered already what it would ask
            labels=goal.labels,
        )
        for each in plan.items
    )


def _problems(items: Sequence[PlannedItem]) -> Iterator[str]:
    places = {each.key: place for place, each in enumerate(items)}
    for place, each in enumerate(items):
        if not (0 < len(each.key) <= LONGEST_KEY and each.key.isprintable()):
            yield f"/items/{place}/key: must be 1 to {LONGEST_KEY} printable characters"
        elif places[each.key] != place:
            yield f"/items/{place}/key: '{each.key}' is the key of item {places[each.key]} as well"
        for key in each.depends_on:
            if key not in places:
                yield f"/items/{place}/depends_on: no item has the key '{key[:LONGEST_KEY]}'"
        alone = WorkItem(
            id=ItemId("planned"),
            description=each.description,
            phase=each.phase,
            priority=each.priority,
            requirements=each.requirements,
        )
        for problem in validate(alone).errors:
            yield f"/items/{place}{problem.pointer}: {problem.detail}"
    if members := find_cycle({ItemId(each.key): [ItemId(key) for key in each.depends_on] for each in items}):
        yield f"/items: these depend on each other in a circle: {', '.join(members)}"
