"""Whether what could be claimed is claimed, as it looks from outside. Pure.

The slots are those of the bridge and the items those of the journal: what the orchestrator remembers of both may be
just what is wrong.
"""

from collections.abc import Mapping, Sequence

from darumad.actors.messages import Claiming
from darumad.actors.roster import Pool, pool_of
from darumad.journal import Ready
from darumad.names import AgentName
from darumad.values import Value


class Scene(Value, kw_only=True):
    """What there is at one moment.

    Where items are `ready`, how many of each definition are `under_way` and may be (`counts`), which pools have a slot
    that is `idle`, which lanes let nobody in, and what the orchestrator says of itself.
    """

    ready: Sequence[Ready]
    under_way: Mapping[AgentName, int]
    counts: Mapping[AgentName, int]
    idle: frozenset[Pool]
    shut_lanes: frozenset[str]
    claiming: Claiming


def claimable(scene: Scene) -> Ready | None:
    """Items that a claim would be given now, where there are any. In doubt there are none.

    One in doubt is held back by those of its definition that are in the middle of their walk, by its definition's
    probe, or by its place in a lane.
    """
    midway = {each.agent for each in scene.ready if not each.fresh}
    full = {agent for agent, most in scene.counts.items() if scene.under_way.get(agent, 0) >= most}
    for each in scene.ready:
        begins = not each.fresh or each.agent not in full | midway
        lets = not scene.claiming.barred.bars(each.agent) and each.lane not in scene.shut_lanes
        if begins and lets and pool_of(each.stage, each.agent) in scene.idle:
            return each
    return None


class Standstill:
    """Counts the looks in a row at which something could be claimed while nothing was; at `most` its sign is red."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._looks = 0
        self._claimed: int | None = None
        self._left: Ready | None = None

    def look(self, scene: Scene | None) -> None:
        """What a look found; None while nobody is to claim anything."""
        self._left = None if scene is None else claimable(scene)
        claimed = None if scene is None else scene.claiming.claimed
        self._looks = self._looks + 1 if self._left is not None and claimed == self._claimed else 0
        self._claimed = claimed

    @property
    def sign(self) -> bool | str:
        """True, or what is left lying."""
        left = self._left
        if left is None or self._looks < self._most:
            return True
        return f"nothing is claimed, though items of {left.agent} are ready for {left.stage} and a slot for it is idle"
