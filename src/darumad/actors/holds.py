"""Which templates are held: they crash for one item after the other, or hold up the loop that all agents share.

Memory only; the rules stand in `work.blame`.
"""

from collections import defaultdict, deque
from collections.abc import Collection

from darumad.names import AgentName, ItemId, Seconds, Stage
from darumad.work.blame import LOOP_HOLDS, TEMPLATE_ITEMS, holds_template, holds_the_loop
from darumad.work.item import WorkRecord
from darumad.work.result import StopReason, WorkResult

_KEPT = 4 * TEMPLATE_ITEMS
"""How many crashes of a definition are remembered: enough to see three different items among them."""


class TemplateHolds:
    """How the stages of each definition end, as the orchestrator sees it. Times are monotonic seconds."""

    def __init__(self) -> None:
        self._crashes: defaultdict[AgentName, deque[tuple[Seconds, ItemId]]] = defaultdict(lambda: deque(maxlen=_KEPT))
        self._loop_held: defaultdict[tuple[AgentName, Stage], deque[Seconds]] = defaultdict(
            lambda: deque(maxlen=LOOP_HOLDS)
        )
        self._left_behind: defaultdict[AgentName, deque[Seconds]] = defaultdict(lambda: deque(maxlen=LOOP_HOLDS))
        self._succeeded: dict[tuple[AgentName, Stage], Seconds] = {}

    def count(self, record: WorkRecord, result: WorkResult, now: Seconds) -> bool:
        """Count how a stage of this item ended; whether it did what its template is held for."""
        agent, stage = record.item.agent, record.stage
        if result.success:
            self._succeeded[agent, stage] = now
        elif result.error is not None and result.error.kind == "loop_held":
            self._loop_held[agent, stage].append(now)
            return self._holds_the_loop(agent, stage, now)
        elif result.stop_reason is StopReason.AGENT_CRASHED and stage is Stage.EXECUTING:
            self._crashes[agent].append((now, record.item.id))
            return self._crashes_for_all(agent, now)
        return False

    def left_behind(self, agent: AgentName, now: Seconds) -> None:
        """Count a call of its template's that held the loop when no item ran in it: it does so whatever succeeds."""
        self._left_behind[agent].append(now)

    def all_held(self, now: Seconds) -> frozenset[AgentName]:
        """Every definition that is held: nothing is claimed for it."""
        crashing = {agent for agent in self._crashes if self._crashes_for_all(agent, now)}
        holding = {agent for agent, stage in self._loop_held if self._holds_the_loop(agent, stage, now)}
        behind = {agent for agent in self._left_behind if self._leaves_behind(agent, now)}
        return frozenset(crashing | holding | behind)

    def forget(self, agents: Collection[AgentName]) -> None:
        """Their operator had them restarted: what they did before does not count."""
        for agent in agents:
            self._crashes.pop(agent, None)
            self._left_behind.pop(agent, None)
            for stage in Stage:
                self._loop_held.pop((agent, stage), None)

    def _crashes_for_all(self, agent: AgentName, now: Seconds) -> bool:
        last = self._succeeded.get((agent, Stage.EXECUTING))
        return holds_template(tuple(self._crashes[agent]), last_success=last, now=now)

    def _holds_the_loop(self, agent: AgentName, stage: Stage, now: Seconds) -> bool:
        held = tuple(self._loop_held[agent, stage])
        return holds_the_loop(held, last_success=self._succeeded.get((agent, stage)), now=now)

    def _leaves_behind(self, agent: AgentName, now: Seconds) -> bool:
        return holds_the_loop(tuple(self._left_behind[agent]), last_success=None, now=now)
