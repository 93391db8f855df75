"""Claims: the best ready items go to the free slots, each under a new fence.

Few statements find the candidates; which of them goes into which slot is decided in Python, lane by lane.
"""

from collections import Counter, defaultdict, deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cache
from heapq import heappop, heappush
from itertools import islice
from typing import NamedTuple

from darumad.events import WorkAssigned
from darumad.journal.batch import Batch
from darumad.journal.conversing import shown
from darumad.journal.deaths import convict, expire
from darumad.journal.encoding import STAGES, WORDS, load
from darumad.journal.gathering import gather
from darumad.journal.requests import Answer, Claim, Claimed, Demand, Demanded, Slot
from darumad.names import AgentName, Stage
from darumad.values import changed
from darumad.work.blame import SETTLED_AFTER
from darumad.work.item import WorkRecord
from darumad.work.lanes import Pool, Turns

ANY = AgentName("*")
"""The agent of a slot that takes items of every definition."""
PROBES = 32
"""Where one item is to try a half-open circuit, it is chosen among this many of the best of each range."""


class _Candidate(NamedTuple):
    """A ready item, as the statements find it. They sort by rank and row: the best comes first.

    `fresh`: it would begin its walk. `resumed`: its attempt is open. `begun`: it was claimed before. `delays`: how
    often an outage put it off.
    """

    rank: int
    id: int
    resumed: int
    begun: int
    expires_at: int | None
    delays: int
    stage: str
    agent: AgentName
    lane: str
    fresh: int


Choice = tuple[_Candidate, Slot]
_PoolOf = Callable[[str, AgentName], Pool]
_Line = deque[tuple[int, Pool, _Candidate]]
_InLine = dict[Pool, set[str]]


def demand(batch: Batch, asked: Sequence[Demand]) -> list[Answer]:
    """Once for all who ask in one batch."""
    ((present,),) = batch.run("ranges_of_ready", [WORDS[stage] for stage in Stage])
    agents = {agent for _, agent, _ in load(present)}
    if batch.suspects:
        agents.update(agent for (agent,) in batch.run("of_suspects", ()))
    return [Demanded(frozenset(agents))] * len(asked)


def claim(batch: Batch, claims: Sequence[Claim]) -> list[Answer]:
    """Carry out one claim after the other: each has bounds of its own."""
    return [_claim(batch, each) for each in claims]


def _claim(batch: Batch, asked: Claim) -> Claimed:
    chosen, turns = _chosen(batch, asked)
    answer = _hold(batch, chosen) if chosen else Claimed(())
    batch.turns = turns  # at the very end: a claim that fails costs no lane a turn
    return answer


def _chosen(batch: Batch, asked: Claim) -> tuple[list[Choice], Turns]:
    """Which candidate goes into which slot, and the lanes' turns after that."""
    lanes, candidates = _candidates(batch, asked)
    suspects = _suspects(batch)
    turns = batch.turns.among(*_in_line(asked, lanes, (*candidates, *suspects)))
    chosen = list(islice(_choose(asked, candidates, turns, lanes), len(asked.slots)))  # no look at those behind them
    if suspects:
        chosen += _one_suspect(asked, suspects, chosen, turns, lanes)
    return chosen, turns


def _hold(batch: Batch, chosen: Sequence[Choice]) -> Claimed:
    slots = {each.id: slot for each, slot in chosen}
    batch.run_if_any("keep_resources", [each.id for each, _ in chosen if each.begun and not each.resumed])
    batch.run("claim", [(row, slot.holder, slot.resources_version) for row, slot in slots.items()])
    begun = [each.id for each, _ in chosen if not each.resumed]
    batch.run_if_any("open_attempts", begun)
    batch.run("open_holds", list(slots))
    found, unread = gather(batch, slots)
    held = shown(batch, tuple(found.values()), list(found), begun)
    batch.record([_assigned(each.record) for each in held])
    convict(batch, unread)
    return Claimed(held, unread=len(unread))


def _candidates(batch: Batch, asked: Claim) -> "tuple[_Lanes, list[_Candidate]]":
    lanes = _Lanes(batch)
    found = _best(batch, asked, lanes)
    if any(each.expires_at is not None and each.expires_at <= batch.now for each in found):
        expire(batch)
        lanes = _Lanes(batch)  # whoever had a place may have been cancelled with a parent that is over its time
        found = _best(batch, asked, lanes)
    return lanes, _spared_first([*lanes.ready(asked.gated), *filter(lanes.lets_in, found)], asked.but_one)


def _spared_first(candidates: list[_Candidate], but_one: Mapping[AgentName, str]) -> list[_Candidate]:
    """The candidates, with those of a half-open circuit sorted by how often they were put off, the least first.

    An item that its server cannot answer opens the circuit again each time it is the probe. Were it always the first,
    it would hold up all the others.
    """
    return sorted(candidates, key=lambda each: each.delays if each.agent in but_one else 0) if but_one else candidates


def _best(batch: Batch, asked: Claim, lanes: "_Lanes") -> list[_Candidate]:
    """The best items of each range that is asked for, as many as there could be slots for; all together, best first.

    A range is what the index holds in order: the ready items of one stage, definition and lane, fresh ones or others.
    """
    wanted = {(slot.stage, slot.agent) for slot in asked.slots}
    ((present,),) = batch.run("ranges_of_ready", list({WORDS[stage] for stage, _ in wanted}))
    lanes.waiting = load(present)
    shut = {*batch.turns.paused, *lanes.full}
    ranges = [
        (stage, agent, lane, fresh)
        for stage, agent, lane in lanes.waiting
        if (stage, agent) in wanted or (stage, ANY) in wanted
        if agent not in asked.gated and lane not in shut
        for fresh in ((0, 1) if asked.first.get(agent, 1) > 0 else (0,))
    ]
    if not ranges:
        return []
    most = max(PROBES if asked.but_one else 0, *Counter([slot.stage for slot in asked.slots]).values())
    ((best,),) = batch.run("best_of_ranges", ranges, most=most)
    found = zip(ranges, load(best), strict=True)
    return sorted([_Candidate._make((*item, *where)) for where, items in found for item in items])


class _Lanes:
    """The lanes as a claim finds them: in those that have a limit, who has a place and how many places are left.

    `waiting` is each stage, definition and lane in which something is ready, whether it may go or not.
    """

    def __init__(self, batch: Batch) -> None:
        self.waiting: Sequence[tuple[str, AgentName, str]] = ()
        self._left = dict(batch.turns.limits)
        self._ready: list[_Candidate] = []
        held, inside, shared = set[int](), set[int](), set[int]()
        for *row, place, family, ready in batch.run_if_any("under_way_in_lanes", list(self._left)):
            each = _Candidate(*row)
            if place not in held:
                held.add(place)
                inside |= {place} if self._left[each.lane] > 0 else set()
                shared |= {place} if family else set()
                self._left[each.lane] -= 1
            if ready and place in inside:
                self._ready.append(each)
        family = batch.run_if_any("family_in_places", list(shared & inside))
        self._ready += [_Candidate(*row) for row in family]
        self._named = {each.id for each in self._ready}

    @property
    def full(self) -> list[str]:
        """The lanes that have no place left."""
        return [lane for lane, left in self._left.items() if left <= 0]

    def ready(self, gated: frozenset[AgentName]) -> list[_Candidate]:
        """The ready items that have a place already: they go on, whoever is before them in the line."""
        return [each for each in self._ready if each.agent not in gated]

    def lets_in(self, each: _Candidate) -> bool:
        """Whether this one waits in the line. An item that has a place in a limited lane does not."""
        return each.lane not in self._left or not (each.begun or each.id in self._named)

    def takes(self, each: _Candidate) -> bool:
        """Give this one a place if it needs one; whether it may go."""
        if each.begun or each.lane not in self._left:
            return True
        self._left[each.lane] -= 1
        return self._left[each.lane] >= 0


def _choose(asked: Claim, candidates: Sequence[_Candidate], turns: Turns, lanes: _Lanes) -> Iterator[Choice]:
    """Candidates with their slots, best first and lane by lane. A slot of its own definition comes before one of any.

    This yields one by one, as they are taken: a candidate that nobody takes costs its lane no turn.
    """
    free: defaultdict[tuple[str, str], deque[Slot]] = defaultdict(deque)
    for slot in asked.slots:
        free[slot.stage, slot.agent].append(slot)
    pool_of = _pools(asked)
    begun: Counter[AgentName] = Counter()
    probed: set[str] = set()
    for each in _in_turn(candidates, pool_of, turns):
        slots = free[each.stage, each.agent] or free[each.stage, ANY]
        if not slots or (each.fresh and begun[each.agent] >= asked.first.get(each.agent, len(asked.slots))):
            continue
        circuit = asked.but_one.get(each.agent)
        if circuit in probed or not lanes.takes(each):
            continue
        begun[each.agent] += each.fresh
        if circuit is not None:
            probed.add(circuit)
        turns.took(pool_of(each.stage, each.agent), each.lane)
        yield each, slots.popleft()


def _in_turn(candidates: Sequence[_Candidate], pool_of: _PoolOf, turns: Turns) -> Iterator[_Candidate]:
    """The candidates lane by lane, each lane's in their order.

    The best candidate that is left says which pool is next, and of that pool the lane that is furthest behind in turns
    goes; of equals the one whose first has the better rank. A lane with a limit is one line for all pools, because its
    places go by rank.
    """
    if len({each.lane for each in candidates}) == 1:
        yield from candidates
        return
    lines: defaultdict[tuple[str, Pool | None], _Line] = defaultdict(deque)
    heads: defaultdict[Pool, list[tuple[float, int, _Line]]] = defaultdict(list)

    def stand(line: _Line) -> None:
        place, pool, each = line[0]
        heappush(heads[pool], (turns.position(pool, each.lane), place, line))

    limited = turns.limits
    for place, each in enumerate(candidates):
        pool = pool_of(each.stage, each.agent)
        lines[each.lane, None if each.lane in limited else pool].append((place, pool, each))
    for line in lines.values():
        stand(line)
    gone: set[int] = set()
    for place, each in enumerate(candidates):
        while place not in gone:
            _, at, line = heappop(heads[pool_of(each.stage, each.agent)])
            gone.add(at)
            yield line.popleft()[2]
            if line:
                stand(line)  # by now what it took has moved its lane on, and no other


def _in_line(asked: Claim, lanes: _Lanes, able: Iterable[_Candidate]) -> tuple[_InLine, _InLine]:
    """For each pool that is asked for: the lanes that may go, and all lanes that have something ready for it."""
    pool_of = _pools(asked)
    going: _InLine = {(slot.stage, slot.agent): set() for slot in asked.slots}
    there: _InLine = {pool: set() for pool in going}
    for each in able:
        going.get(pool_of(each.stage, each.agent), set()).add(each.lane)
    for stage, agent, lane in lanes.waiting:
        there.get(pool_of(stage, agent), set()).add(lane)
    return going, there


def _pools(asked: Claim) -> _PoolOf:
    """How to find the pool that an item waits for: its own definition's if that is asked for, else that of any."""
    present = {(slot.stage, slot.agent) for slot in asked.slots}

    @cache  # asked twice an item, of few pools
    def pool_of(stage: str, agent: AgentName) -> Pool:
        own = (STAGES[stage], agent)
        return own if own in present else (own[0], ANY)

    return pool_of


def _suspects(batch: Batch) -> list[_Candidate]:
    """The suspects that may run, the best first. None may before the boot has lived for `SETTLED_AFTER`."""
    if not batch.suspects or batch.lived < SETTLED_AFTER:
        return []
    paused = batch.turns.paused
    found = [_Candidate(*row) for row in batch.run("claim_suspects", ())]
    return [each for each in found if each.lane not in paused]


def _one_suspect(
    asked: Claim, suspects: Sequence[_Candidate], chosen: Sequence[Choice], turns: Turns, lanes: _Lanes
) -> Iterator[Choice]:
    """At most one suspect, into a slot that is left. It runs alone, so if the process dies now, it was this item."""
    taken = {slot for _, slot in chosen}
    free = changed(asked, slots=tuple(each for each in asked.slots if each not in taken))
    probed = {asked.but_one[each.agent] for each, _ in chosen if each.agent in asked.but_one}
    found = [each for each in suspects if each.agent not in asked.gated and asked.but_one.get(each.agent) not in probed]
    return islice(_choose(free, found, turns, lanes), 1)


def _assigned(record: WorkRecord) -> WorkAssigned:
    return WorkAssigned(record.item.id, record.stage, record.attempt, str(record.holder))
