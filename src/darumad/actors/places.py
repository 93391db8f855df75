"""What the tree looks like to people: rows for `tree`, health for each agent's instance.

Read from tables and counters; no actor is asked.
"""

from collections.abc import Callable, Collection
from typing import Any

from darumad.actors.tree import agent_at
from darumad.bridge import Bridge
from darumad.names import AgentName, Incarnation, Millis, Role, Seconds
from darumad.supervision import Restarting, Running, StartError, SupervisorDead, SupervisorRef, TreeRow
from darumad.values import Value, changed
from darumad.work.health import ActorState, AgentHealth, Signs, health_of

_LIFE = {
    "up": ActorState.RUNNING,
    "starting": ActorState.STARTING,
    "restarting": ActorState.RESTARTING,
    "benched": ActorState.BENCHED,
}
_HEALTH = AgentHealth.__struct_fields__


class Place(Value):
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
    root: SupervisorRef, bridge: Bridge, now: Millis, gated: Callable[[AgentName], str | None] = lambda _: None
) -> list[dict[str, Any]]:
    """The health of every agent's instance; `now` is wall milliseconds.

    `gated` says of an executor's definition why nothing is claimed for it: that degrades it and restarts nobody.
    """
    rows = [row for row in root.tree() if agent_at(row.path) is not None]
    idle, errors, made = bridge.in_flight(), bridge.spawn_errors(), bridge.made()

    def signs(row: TreeRow) -> Signs:
        holder = _holder(row)
        return changed(
            _signs(row, idle.get(holder), now),
            agent_made=holder in made,
            spawn_error=errors.get(holder),
            gated=_gated(row, gated),
        )

    return [_instance(row.path, signs(row)) for row in rows]


def _gated(row: TreeRow, gated: Callable[[AgentName], str | None]) -> str | None:
    agent = agent_at(row.path)
    if agent is None or agent in {Role.OPTIMIZER.value, Role.REVIEWER.value}:
        return None  # they ask for whichever definition's item they hold
    return gated(agent)


def restart_instances(
    root: SupervisorRef, paths: Collection[str], requested: Callable[[str], None]
) -> dict[str, str | None]:
    """Starts the instances at `paths` anew; of each, why it could not start, or None. `requested` is told each before.

    A benched one is started at once with a clean record; one that could not start is left to its supervisor, which
    tries again. Where no agent's instance is, nothing is done: its siblings may have to go down with it, and only its
    supervisor's strategy says which.
    """
    rows = {row.path: row for row in root.tree()}
    wanted = [row for path, row in rows.items() if path in paths and agent_at(path) is not None]
    return {row.path: _restart(row, rows[row.parent or ""].ref, requested) for row in wanted}


def _restart(row: TreeRow, parent: object, requested: Callable[[str], None]) -> str | None:
    if isinstance(parent, SupervisorRef) and row.id is not None:
        requested(row.path)
        try:
            parent.terminate_child(row.id)
            parent.restart_child(row.id)
        except (Running, Restarting, SupervisorDead):
            return None  # who asked with us was faster, or its supervisor is restarted: its new life comes of that
        except StartError as error:
            return str(error)
    return None


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


def _holder(row: TreeRow) -> str:
    return f"{row.path}#{row.incarnation}"


def _signs(row: TreeRow, idle: Seconds | None, now: Millis) -> Signs:
    """`idle`: for how many seconds its task has made no progress; None when it has none."""
    return Signs(
        life=_LIFE.get(row.state, ActorState.STOPPED),
        incarnation=Incarnation(row.incarnation),
        errors_in_window=row.errors_in_window,
        consecutive_errors=row.consecutive_errors,
        last_error=row.last_error or None,
        restarts=row.restarts,
        last_progress_at=None if idle is None else Millis(now - round(idle * 1000)),
        in_flight=0 if idle is None else 1,
        mailbox_depth=row.mailbox_depth,
    )


def _instance(path: str, signs: Signs) -> dict[str, Any]:
    health = health_of(signs)
    return {"path": path, "agent": agent_at(path), **{name: getattr(health, name) for name in _HEALTH}}
