"""What Erlang/OTP's `supervisor` does, in a page: no thread, no clock. The oracle of test_otp.py.

Written after `supervisor.erl`: `handle_start_child`, `restart_child`, `restart_multiple_children`, `do_auto_shutdown`.
All that happens falls within one period, and every wait is over.
"""

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal

Outcome = Literal["ready", "failed", "ignored"]


@dataclass
class Row:
    """A child spec, and whether its child runs."""

    id: str
    restart: str
    significant: bool = False
    up: bool = False
    died: bool = False
    """It is gone, and its supervisor has not looked yet."""
    failed: bool = False
    """Its restart failed, and the next try waits behind what had come before."""


@dataclass
class Otp:
    """One supervisor. `plan` tells how the next starts of an id end; then they succeed."""

    strategy: str
    intensity: int
    auto_shutdown: str
    rows: list[Row]
    plan: dict[str, list[Outcome]]
    lives: dict[str, int] = field(default_factory=dict)
    log: list[tuple[str, str]] = field(default_factory=list)
    restarts: int = 0
    alive: bool = True

    def start(self) -> None:
        for row in self.rows:
            self._start(row)

    def states(self) -> list[tuple[str, str, int]]:
        return [(row.id, "up" if row.up else "undefined", self.lives[row.id]) for row in self.rows]

    # The API: what each call answers, as the name of an error, of a word, or None.

    def start_child(self, row: Row) -> str | None:
        there = self._find(row.id)
        if there is not None:
            return "AlreadyStarted" if there.up else "AlreadyPresent"
        outcome = self._start(row)
        if outcome == "ready" or (outcome == "ignored" and row.restart != "temporary"):
            self.rows.append(row)
        return "StartError" if outcome == "failed" else None

    def terminate_child(self, name: str) -> str | None:
        row = self._find(name)
        if row is None:
            return "NotFound"
        self._stop(row)
        return None

    def restart_child(self, name: str) -> str | None:
        row = self._find(name)
        if row is None or row.up:
            return "NotFound" if row is None else "Running"
        return "StartError" if self._start(row) == "failed" else None

    def delete_child(self, name: str) -> str | None:
        row = self._find(name)
        if row is None or row.up:
            return "NotFound" if row is None else "Running"
        self.rows.remove(row)
        return None

    # What happens to children.

    def leave(self, names: Iterable[str], *, abnormally: bool) -> None:
        """These end in this order, before their supervisor looks at the first of them."""
        leaving = [row for row in map(self._find, names) if row is not None and row.up]
        for row in leaving:
            row.up, row.died = False, True
            self.log.append(("failure" if abnormally else "stop", row.id))
        queue = deque(leaving)
        while queue and self.alive:
            row = queue.popleft()
            if row.died:
                row.died = False
                failed = self._after_exit(row, abnormally=abnormally)
            else:
                failed = self._restart(row) if row.failed else None
            if failed is not None:
                queue.append(failed)

    def _after_exit(self, row: Row, *, abnormally: bool) -> Row | None:
        """What is to be done; the row whose start failed in it."""
        if row.restart == "permanent" or (row.restart == "transient" and abnormally):
            return self._restart(row)
        if row.restart == "temporary":
            self.rows.remove(row)
        others = any(each.up or each.died or each.failed for each in self.rows if each.significant and each is not row)
        if row.significant and (self.auto_shutdown == "any_significant" or not others):
            self._shut_down()
        return None

    def _restart(self, row: Row) -> Row | None:
        self.restarts += 1
        if self.restarts > self.intensity:
            self._shut_down()
            return None
        going = [row]
        if self.strategy == "one_for_all":
            going = list(self.rows)
        elif self.strategy == "rest_for_one":
            going = self.rows[self.rows.index(row) :]
        for each in reversed(going):
            self._stop(each)
        for each in going:
            if each.restart != "temporary" and self._start(each) == "failed":
                each.failed = True
                return each
        return None

    def _shut_down(self) -> None:
        self.alive = False
        for row in reversed(list(self.rows)):
            self._stop(row)

    def _start(self, row: Row) -> Outcome:
        self.lives[row.id] = self.lives.get(row.id, 0) + 1
        outcome = self.plan[row.id].pop(0) if self.plan.get(row.id) else "ready"
        if outcome != "ignored":
            self.log.append(("start", row.id))
        row.up, row.failed = outcome == "ready", False
        return outcome

    def _stop(self, row: Row) -> None:
        if row.up:
            self.log.append(("stop", row.id))
        row.up = row.died = row.failed = False
        if row.restart == "temporary":
            self.rows.remove(row)

    def _find(self, name: str) -> Row | None:
        return next((row for row in self.rows if row.id == name), None)
