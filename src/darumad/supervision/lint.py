"""What a tree's settings get wrong though each of them is valid. Pure; the daemon refuses to start on a finding."""

from collections.abc import Iterable, Iterator

from darumad.supervision.spec import ChildSpec, SupervisorFlags
from darumad.supervision.supervisor import SupervisorFactory


def lint(flags: SupervisorFlags, specs: Iterable[ChildSpec], *, name: str = "root") -> list[str]:
    """The findings, one sentence each, into every nested supervisor; `name` is what the root is called in them."""
    return list(_level(flags, tuple(specs), name))


def _level(flags: SupervisorFlags, specs: tuple[ChildSpec, ...], path: str) -> Iterator[str]:
    for spec in specs:
        here = f"{path}/{spec.id}"
        yield from _child(spec, here)
        yield from _can_trip(flags, spec, path)
        if isinstance(spec.start, SupervisorFactory):
            yield from _level(spec.start.flags, spec.start.specs, here)


def _child(spec: ChildSpec, path: str) -> Iterator[str]:
    nested = isinstance(spec.start, SupervisorFactory)
    if nested != (spec.type == "supervisor"):
        yield f"{path}: type is {spec.type}, but its start {'makes' if nested else 'does not make'} a supervisor"
    if spec.type == "supervisor":
        if spec.restart != "permanent":
            yield f"{path}: a supervisor must be permanent, or its subtree is lost with its first exit"
        if spec.shutdown != "infinity":
            yield f"{path}: a supervisor's shutdown must be infinity, or its subtree is abandoned half stopped"
    elif spec.start_timeout is None:
        yield f"{path}: start_timeout is not set, so a start that hangs hangs the tree"


def _can_trip(flags: SupervisorFlags, spec: ChildSpec, path: str) -> Iterator[str]:
    if spec.backoff is not None and spec.backoff.own_account:
        return
    needed = time_to_trip(flags, spec)
    if flags.period < needed:
        yield (
            f"{path}: can never escalate for {spec.id}: {flags.intensity + 1} restarts of it take up to "
            f"{needed:g} s, and the period is {flags.period:g} s"
        )


def time_to_trip(flags: SupervisorFlags, spec: ChildSpec) -> float:
    """Seconds in which `spec`, failing as slowly as still trips its budget, exceeds the intensity of `flags`."""
    delays = 0.0
    if spec.backoff is not None:
        delays = sum(spec.backoff.base_delay(nth) for nth in range(1, flags.intensity + 1))
    return (flags.intensity + 1) * slowest_exit(spec) + delays


def slowest_exit(spec: ChildSpec) -> float:
    """Seconds a child may take to fail for good: its budget's window, or its own slowest child's way to the top."""
    if isinstance(spec.start, SupervisorFactory):
        inner = spec.start
        able = (s for s in inner.specs if not (s.backoff is not None and s.backoff.own_account))
        return max((time_to_trip(inner.flags, s) for s in able), default=0.0)
    return spec.error_budget.within if spec.error_budget is not None else 0.0
