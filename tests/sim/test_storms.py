"""Whatever happens to a company, and in whatever order: every item comes to its end, and no slot is lost over it.

What happens is drawn by a seed; how the threads take turns is the machine's. A failure names the seed.
"""

import random
from collections.abc import Callable

import pytest

from darumad.actors import Barred
from darumad.actors.messages import Hint
from darumad.bridge import Limit
from darumad.journal import Cancel, Rescue
from darumad.names import AgentName, ItemId, Role
from darumad.supervision import Restarting, Running
from darumad.work.gates import Verdict
from darumad.work.item import WorkItem
from darumad.work.ports import Context, Owner
from darumad.work.result import StopReason, WorkResult
from darumad.work.states import WorkState
from tests.actors.company import REREAD, Company, completed, failed, review
from tests.actors.held import Held
from tests.journal.desk import AUDIT
from tests.journal.desk import Gate as Writer
from tests.kit import eventually

Companies = Callable[..., Company]
COUNT, TURNS = 3, 60
CIRCUITS = (
    Barred(),
    Barred(wholly=frozenset({AgentName("executor")})),
    Barred(but_one={AgentName("executor"): "near"}),
)
OVER = {WorkState.SUCCEEDED, WorkState.DEAD, WorkState.CANCELLED}


class Storm:
    """What happens to one company, turn by turn."""

    def __init__(self, daemon: Company, seed: int) -> None:
        self._daemon, self._rng = daemon, random.Random(seed)
        self._items: list[str] = []
        self._writer: Writer | None = None

    async def works(self, item: WorkItem, context: Context) -> WorkResult:
        """An executor's work in a storm: it may find that its tool is broken, seldom."""
        return failed("tool_error", StopReason.TOOL_ERROR) if self._rng.random() < 0.05 else completed()

    async def judges(self, item: WorkItem, context: Context) -> WorkResult:
        """A reviewer's."""
        return review(Verdict.FAIL, "once more") if self._rng.random() < 0.2 else review(Verdict.PASS)

    def blow(self) -> None:
        """All turns; the writer runs freely afterwards."""
        happens = (
            *(self._submit, self._submit, self._cancel, self._rescue),
            *(self._fall, self._pass_time, self._hold_up, self._bar),
        )
        for _ in range(TURNS):
            self._rng.choice(happens)()
        self._let_go()
        self._daemon.barred = Barred()

    def settle(self) -> None:
        """Returns once every item has come to its end."""
        eventually(self._over, 60)

    def _over(self) -> bool:
        self._daemon.clock.advance(REREAD)
        return {self._daemon.desk.state(each) for each in self._items} <= OVER

    def _submit(self) -> None:
        names = [f"i{len(self._items) + n}" for n in range(self._rng.randint(1, 4))]
        self._let_go()
        self._daemon.submit(*names)
        self._items += names

    def _cancel(self) -> None:
        if not self._items:
            return
        self._let_go()
        item = ItemId(self._rng.choice(self._items))
        said = self._daemon.desk.call(Cancel(items=(item,), reason="enough", audit=AUDIT, those_that_can=True))
        for uid, _, fence in said.running:
            self._daemon.bridge.cancel([Owner(uid, fence)], Limit.CANCELLED, lambda _: None)

    def _rescue(self) -> None:
        """Somebody takes everything from everybody."""
        self._daemon.desk.journal.post(Rescue(live=frozenset()))
        self._daemon.tell(Hint())

    def _fall(self) -> None:
        """An agent's instance ends and is begun again."""
        role = self._rng.choice(["optimizers/optimizer", "of-executor/executor", "reviewers/reviewer"])
        place = self._daemon.instance(f"{role}/{self._rng.randint(1, COUNT)}")
        parent = self._daemon.instance(role.partition("/")[0]).ref
        parent.terminate_child(place.id)
        try:
            parent.restart_child(place.id)
        except (Running, Restarting):
            return

    def _pass_time(self) -> None:
        self._daemon.clock.advance(self._rng.choice([0.5, REREAD]))

    def _bar(self) -> None:
        """A circuit opens, lets one call through, or closes; sometimes nobody says so."""
        self._daemon.barred = self._rng.choice(CIRCUITS)
        if self._rng.random() < 0.5:
            self._daemon.tell(Hint())

    def _hold_up(self) -> None:
        """What is posted from now on is one batch."""
        if self._writer is None:
            self._writer = Writer(self._daemon.desk)

    def _let_go(self) -> None:
        if self._writer is not None:
            self._writer.open()
            self._writer = None


@pytest.mark.parametrize("seed", range(8))
def test_after_a_storm_every_item_is_at_its_end_and_every_slot_takes_work(company: Companies, seed: int) -> None:
    daemon = company(count=COUNT)
    storm, calm = Storm(daemon, seed), dict(daemon.minds)
    daemon.minds |= {Role.EXECUTOR: storm.works, Role.REVIEWER: storm.judges}
    daemon.start().seated()
    storm.blow()
    storm.settle()
    daemon.minds |= calm
    for role in (Role.OPTIMIZER, Role.EXECUTOR, Role.REVIEWER):
        held = Held(review(Verdict.PASS))
        daemon.minds[role] = held
        names = [f"{role.value}-{n}" for n in range(COUNT)]
        daemon.submit(*names)
        eventually(lambda held=held, names=names: sorted(held.begun) == names)
        held.release()
        daemon.succeeds(*names)
        daemon.minds[role] = calm[role]
