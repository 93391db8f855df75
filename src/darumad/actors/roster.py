"""The roster: which slots live, which are free, what each holds. Memory only; the journal decides who owns what."""

from collections import Counter, OrderedDict, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from math import inf

from darumad.bridge import Seat
from darumad.journal.requests import Held, Slot
from darumad.names import NEVER, AgentName, Fence, ItemId, Role, Seconds, Stage

ANY = AgentName("*")
"""Optimizers and reviewers serve every definition's items."""
Pool = tuple[Role, AgentName]

MOST = 128
"""Slots of one pool that one claim offers at the most."""

_ROLE_OF: dict[Stage, Role] = {
    Stage.PLANNING: Role.ORCHESTRATOR,
    Stage.OPTIMIZING: Role.OPTIMIZER,
    Stage.EXECUTING: Role.EXECUTOR,
    Stage.REVIEWING: Role.REVIEWER,
}
_STAGE_OF = {role: stage for stage, role in _ROLE_OF.items()}


def pool_of(stage: Stage, agent: AgentName) -> Pool:
    """The pool whose slots carry out `stage` of an item of the definition `agent`."""
    return role_pool(_ROLE_OF[stage], agent)


def role_pool(role: Role, agent: AgentName) -> Pool:
    """The pool that a slot of this role and definition belongs to."""
    return role, agent if role is Role.EXECUTOR else ANY


@dataclass(slots=True)
class Seated:
    """One live slot, and the item it holds; since when it holds that, or held the last one (monotonic seconds).

    `resources_version`: the state of the template that its agent was made of, if it has one.
    """

    seat: Seat
    pool: Pool
    resources_version: str | None = None
    held: Held | None = None
    since: Seconds = NEVER

    def works_on(self, held: Held) -> bool:
        """Whether it holds this item, under this fence."""
        if self.held is None:
            return False
        mine, theirs = self.held.record, held.record
        return (mine.item.id, mine.fence) == (theirs.item.id, theirs.fence)


class Roster:
    """Slots by holder (`path#incarnation`). A slot is free, taken for a claim or a move under way, or holds one item.

    A taken one stays so until it is given its item or freed, also when it goes down and comes up again under its name.
    """

    def __init__(self) -> None:
        self._seated: dict[str, Seated] = {}
        self._free: defaultdict[Pool, OrderedDict[str, None]] = defaultdict(OrderedDict)
        self._taken: set[str] = set()
        self._under_way: Counter[AgentName] = Counter()
        self._live: Counter[Pool] = Counter()

    def add(self, seat: Seat, resources_version: str | None = None) -> None:
        """A slot is up, and free. One that is up already keeps what it holds: its agent was made anew beneath it."""
        if (seated := self._seated.get(seat.holder)) is not None:
            seated.resources_version = resources_version
            return
        pool = role_pool(seat.role, seat.definition.name)
        self._seated[seat.holder] = Seated(seat, pool, resources_version)
        self._live[pool] += 1
        if seat.holder not in self._taken:
            self._free[pool][seat.holder] = None

    def remove(self, holder: str) -> Seated | None:
        """The slot is gone; what it held is the caller's to put back."""
        seated = self._seated.pop(holder, None)
        if seated is None:
            return None
        self._live[seated.pool] -= 1
        self._free[seated.pool].pop(holder, None)
        if seated.held is not None:
            self._under_way[seated.held.record.item.agent] -= 1
        return seated

    def find(self, holder: str) -> Seated | None:
        """The slot of this life, if it still lives."""
        return self._seated.get(holder)

    def take(self, pool: Pool) -> str | None:
        """The slot of `pool` that is free for the longest, taken; None when there is none."""
        if not self._free[pool]:
            return None
        holder, _ = self._free[pool].popitem(last=False)
        self._taken.add(holder)
        return holder

    def hold(self, holder: str, held: Held, since: Seconds) -> Seated | None:
        """The slot now holds this item; None when it has died meanwhile."""
        seated = self._seated.get(holder)
        self._taken.discard(holder)
        if seated is not None:
            seated.held, seated.since = held, since
            self._under_way[held.record.item.agent] += 1
        return seated

    def free(self, holder: str) -> None:
        """The slot has nothing to do (any more)."""
        seated = self._seated.get(holder)
        self._taken.discard(holder)
        if seated is None:
            return
        if seated.held is not None:
            self._under_way[seated.held.record.item.agent] -= 1
            seated.held = None
        self._free[seated.pool][holder] = None

    def offer(self, wanted: Mapping[Pool, int]) -> tuple[Slot, ...]:
        """Free slots, at most as many of each pool as are wanted, taken for a claim."""
        slots = []
        for pool, most in wanted.items():
            for _ in range(most):
                holder = self.take(pool)
                if holder is None:
                    break
                slots.append(Slot(pool[1], _STAGE_OF[pool[0]], holder, self.resources_version(holder)))
        return tuple(slots)

    def is_busy(self, agent: AgentName) -> bool:
        """Whether anything of this definition is held, or a slot of its executors is taken."""
        pool = role_pool(Role.EXECUTOR, agent)
        return self._under_way[agent] > 0 or self._live[pool] > len(self._free[pool])

    def stands(self, agent: AgentName) -> bool:
        """Whether this definition's executors have a live slot."""
        return self._live[role_pool(Role.EXECUTOR, agent)] > 0

    def dismiss(self, agent: AgentName) -> None:
        """The slots of this definition's executors, none of which holds anything, are about to go."""
        for holder in tuple(self._free[role_pool(Role.EXECUTOR, agent)]):
            self.remove(holder)

    def held(self) -> frozenset[tuple[ItemId, Fence]]:
        """The items that are held right now, each under its fence."""
        records = (each.held.record for each in self._seated.values() if each.held is not None)
        return frozenset((record.item.id, record.fence) for record in records)

    def taken(self) -> frozenset[str]:
        """The holders that are taken for a claim or a move: the journal may name them before they hold anything."""
        return frozenset(self._taken)

    def since(self, holder: str) -> Seconds:
        """Since when the slot holds what it does, or held what it held last; for one that is gone, never."""
        seated = self._seated.get(holder)
        return Seconds(inf) if seated is None else seated.since

    def resources_version(self, holder: str | None) -> str | None:
        """The state of the template that this slot's agent was made of; None where there is no template, or no slot."""
        seated = None if holder is None else self._seated.get(holder)
        return None if seated is None else seated.resources_version

    def under_way(self, agent: AgentName) -> int:
        """How many items of this definition are held right now, in whatever stage."""
        return self._under_way[agent]

    def holds(self, item: ItemId) -> bool:
        """Whether a slot holds this item right now."""
        return any(each.held is not None and each.held.record.item.id == item for each in self._seated.values())

    def pools(self) -> tuple[Pool, ...]:
        """Every pool that has a live slot."""
        return tuple(pool for pool, slots in self._live.items() if slots)


class Backlog:
    """How many items may be ready for each pool, as far as hints tell: never fewer than there are, for long.

    What is offered to a claim is taken off; a pool whose every offered slot found work may hold more. A pool that no
    claim has offered slots of since `anywhere` stays unknown: its slots may all have been busy, or not up yet.
    """

    def __init__(self) -> None:
        self._counts: Counter[Pool] = Counter()
        self._looked: set[Pool] = set()

    def add(self, pool: Pool, count: int = 1) -> None:
        """So many more items are ready there."""
        self._counts[pool] += count

    def anywhere(self) -> None:
        """Nobody knows where, or how many."""
        self._looked.clear()

    def wanted(self, pools: Iterable[Pool]) -> dict[Pool, int]:
        """How many slots of each of these pools a claim should offer now."""
        most = {pool: MOST if pool not in self._looked else min(self._counts[pool], MOST) for pool in pools}
        return {pool: count for pool, count in most.items() if count > 0}

    def asked(self, slots: Iterable[Slot]) -> None:
        """A claim with these slots is under way."""
        for slot in slots:
            pool = pool_of(slot.stage, slot.agent)
            self._looked.add(pool)
            self._counts[pool] = max(0, self._counts[pool] - 1)

    def answered(self, slots: Iterable[Slot], taken: frozenset[str]) -> None:
        """That claim gave work to the holders in `taken`."""
        short = {pool_of(slot.stage, slot.agent) for slot in slots if slot.holder not in taken}
        for pool in {pool_of(slot.stage, slot.agent) for slot in slots} - short:
            self._counts[pool] = max(self._counts[pool], MOST)
