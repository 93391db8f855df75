"""Which templates are held because they crash for one item after the other.

Memory only; the rule stands in `work.blame`.
"""

from collections import defaultdict, deque

from darumad.names import AgentName, ItemId, Seconds
from darumad.work.blame import TEMPLATE_ITEMS, holds_template

_KEPT = 4 * TEMPLATE_ITEMS
"""How many crashes of a definition are remembered: enough to see three different items among them."""


class TemplateHolds:
    """Crashes and successes of each definition, as the orchestrator sees them end. Times are monotonic seconds."""

    def __init__(self) -> None:
        self._crashes: defaultdict[AgentName, deque[tuple[Seconds, ItemId]]] = defaultdict(lambda: deque(maxlen=_KEPT))
        self._succeeded: dict[AgentName, Seconds] = {}

    def crashed(self, agent: AgentName, item: ItemId, now: Seconds) -> None:
        """The agent's coroutine raised on this item."""
        self._crashes[agent].append((now, item))

    def succeeded(self, agent: AgentName, now: Seconds) -> None:
        """The agent completed its stage: whatever crashed before was not the template."""
        self._succeeded[agent] = now

    def held(self, agent: AgentName, now: Seconds) -> bool:
        """Whether the template is at fault and not its items."""
        crashes = self._crashes.get(agent)
        return crashes is not None and holds_template(tuple(crashes), last_success=self._succeeded.get(agent), now=now)

    def all_held(self, now: Seconds) -> frozenset[AgentName]:
        """Every definition that is held: nothing is claimed for it."""
        return frozenset(agent for agent in self._crashes if self.held(agent, now))
