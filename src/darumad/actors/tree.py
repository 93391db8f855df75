"""The tree as child specs.

Who supervises whom, how often anything may restart, and what happens when that is not enough.

What Daruma is made of escalates, up to the root and the service manager; an agent's instance that keeps failing
is benched, so that one user's broken agent never restarts anybody else's, and never the daemon.
"""

from collections.abc import Callable, Mapping, Sequence

from darumad.actors.orchestrator import Orchestrator, OrchestratorPorts
from darumad.actors.role import RoleActor, Station
from darumad.agents import AgentDefinition
from darumad.names import AgentName, Role, Seconds
from darumad.supervision import (
    Backoff,
    ChildSpec,
    ErrorBudget,
    Judge,
    Liveness,
    Supervisor,
    SupervisorFlags,
    SupervisorRef,
)
from darumad.values import Value

ROOT = "daruma"
ORCHESTRATOR = f"{ROOT}/engine/orchestrator"
EXECUTORS = f"{ROOT}/engine/minds/executors"
BUILT_IN = AgentName("executor")
"""The definition whose executors always stand. Those of the others are started when there is work for them."""


class Policy(Value, kw_only=True):
    """The restart policy of agents' instances, in seconds; the settings' `supervision` section."""

    errors: int
    window: Seconds
    backoff: Backoff
    ping_deadline: Seconds
    shutdown: Seconds
    judge: Judge


def root_flags() -> SupervisorFlags:
    """The root: a breach here ends the daemon with exit code 70."""
    return SupervisorFlags(strategy="one_for_one", intensity=2, period=900.0)


def branches(
    ports: OrchestratorPorts,
    *,
    definitions: Mapping[Role, Sequence[AgentDefinition]],
    station: Callable[[Role, AgentDefinition], Station],
    policy: Policy,
    doors: Sequence[ChildSpec],
) -> list[ChildSpec]:
    """The root's children, in the order they start: the engine first, the doors last."""
    built_in = [_executors_of(each, station, policy) for each in definitions[Role.EXECUTOR] if each.name == BUILT_IN]
    minds = _supervisor(
        "minds",
        SupervisorFlags(strategy="one_for_one", intensity=3, period=600.0),
        [
            _pool("planners", Role.ORCHESTRATOR, definitions, station, policy),
            _pool("optimizers", Role.OPTIMIZER, definitions, station, policy),
            _supervisor("executors", _ONE_FOR_ONE, built_in),
            _pool("reviewers", Role.REVIEWER, definitions, station, policy),
        ],
    )
    orchestrator = ChildSpec(
        id="orchestrator",
        start=lambda: Orchestrator.start(ports),
        shutdown=policy.shutdown,
        liveness=Liveness(policy.ping_deadline),
        mailbox=1_000_000,
    )
    engine = _supervisor(
        "engine", SupervisorFlags(strategy="rest_for_one", intensity=3, period=600.0), [orchestrator, minds]
    )
    opened = _supervisor("doors", SupervisorFlags(strategy="one_for_one", intensity=3, period=300.0), list(doors))
    return [engine, opened]


def on_demand(
    definitions: Sequence[AgentDefinition], station: Callable[[Role, AgentDefinition], Station], policy: Policy
) -> Mapping[AgentName, ChildSpec]:
    """The executors that stand while there is work for them, each definition's under a supervisor of their own."""
    return {each.name: _executors_of(each, station, policy) for each in definitions if each.name != BUILT_IN}


def executors_under(root: SupervisorRef) -> SupervisorRef | None:
    """The supervisor above all executors; None while it is away."""
    refs = (row.ref for row in root.tree() if row.path == EXECUTORS)
    return next((ref for ref in refs if isinstance(ref, SupervisorRef)), None)


def agent_at(path: str) -> AgentName | None:
    """The definition of the instance at `path`; None for what is no agent's instance."""
    parts = path.split("/")
    if parts[1:3] != ["engine", "minds"] or not parts[-1].isdigit():
        return None
    return AgentName(parts[-2])


def _supervisor(name: str, flags: SupervisorFlags, specs: list[ChildSpec]) -> ChildSpec:
    return ChildSpec(id=name, start=Supervisor.factory(flags, specs), type="supervisor", shutdown="infinity")


def _pool(
    name: str,
    role: Role,
    definitions: Mapping[Role, Sequence[AgentDefinition]],
    station: Callable[[Role, AgentDefinition], Station],
    policy: Policy,
) -> ChildSpec:
    specs = [spec for each in definitions[role] for spec in _instances(role, each, station, policy)]
    return _supervisor(name, _ONE_FOR_ONE, specs)


def _executors_of(
    definition: AgentDefinition, station: Callable[[Role, AgentDefinition], Station], policy: Policy
) -> ChildSpec:
    return _supervisor(f"of-{definition.name}", _ONE_FOR_ONE, _instances(Role.EXECUTOR, definition, station, policy))


def _instances(
    role: Role, definition: AgentDefinition, station: Callable[[Role, AgentDefinition], Station], policy: Policy
) -> list[ChildSpec]:
    return [
        ChildSpec(
            id=f"{definition.name}/{number}",
            start=lambda: RoleActor.start(station(role, definition)),
            shutdown=policy.shutdown,
            error_budget=ErrorBudget(limit=policy.errors, within=policy.window, judge=policy.judge),
            backoff=policy.backoff,
            liveness=Liveness(policy.ping_deadline),
        )
        for number in range(1, definition.count + 1)
    ]


_ONE_FOR_ONE = SupervisorFlags(strategy="one_for_one", intensity=3, period=600.0)
