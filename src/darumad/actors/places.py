"""What the tree looks like to people: rows for `tree`, health for each agent's instance.

Read from tables and counters; no actor is asked.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from darumad.actors.tree import agent_at
from darumad.names import Incarnation
from darumad.supervision import SupervisorRef, TreeRow
from darumad.work.health import Life, Signs, health_of

_LIFE = {
    "up": Life.RUNNING,
    "starting": Life.STARTING,
    "restarting": Life.RESTARTING,
    "benched": Life.BENCHED,
}


@dataclass(frozen=True, slots=True)
class Place:
    """One place of the tree at one moment, in primitives."""

    path: str
    kind: str
    state: str
    incarnation: int
    restarts: int
    last_exit: str | None
    mailbox_depth: int
    errors_in_window: int
    last_error: str | None


def places(root: SupervisorRef) -> list[Place]:
    """Every place, parents first, siblings in start order."""
    return [_place(row) for row in root.tree()]


def instances(
    root: SupervisorRef, in_flight: Mapping[str, int], spawn_errors: Mapping[str, str]
) -> list[dict[str, Any]]:
    """The health of every agent's instance, by path and holder."""
    return [_instance(row, in_flight, spawn_errors) for row in root.tree() if agent_at(row.path) is not None]


def restart_instances(root: SupervisorRef, named: str) -> list[str]:
    """Starts the instances of the definition `named`, or the one at the path `named`, anew.

    The paths that were restarted.

    A benched one is started at once with a clean record.
    """
    rows = {row.path: row for row in root.tree()}
    wanted = [row for row in rows.values() if named in {row.path, agent_at(row.path)}]
    for row in wanted:
        parent = rows[row.parent or ""].ref
        if isinstance(parent, SupervisorRef) and row.id is not None:
            parent.terminate_child(row.id)
            parent.restart_child(row.id)
    return [row.path for row in wanted]


def _place(row: TreeRow) -> Place:
    return Place(
        path=row.path,
        kind=row.type,
        state=row.state,
        incarnation=row.incarnation,
        restarts=row.restarts,
        last_exit=_said(row.last_exit),
        mailbox_depth=row.mailbox_depth,
        errors_in_window=row.errors_in_window,
        last_error=row.last_error or None,
    )


def _said(reason: Any) -> str | None:
    if reason is None:
        return None
    return str(reason.kind) if reason.detail is None else f"{reason.kind}: {reason.detail}"


def _instance(row: TreeRow, in_flight: Mapping[str, int], spawn_errors: Mapping[str, str]) -> dict[str, Any]:
    holder = f"{row.path}#{row.incarnation}"
    signs = Signs(
        life=_LIFE.get(row.state, Life.STOPPED),
        incarnation=Incarnation(row.incarnation),
        spawn_error=spawn_errors.get(holder),
        errors_in_window=row.errors_in_window,
        consecutive_errors=row.consecutive_errors,
        last_error=row.last_error or None,
        restarts=row.restarts,
        in_flight=in_flight.get(holder, 0),
        mailbox_depth=row.mailbox_depth,
    )
    return {"path": row.path, "agent": agent_at(row.path), **asdict(health_of(signs))}
