"""Housekeeping: a thread that lets go of what was kept for its time, and looks after the journal and the clock.

It asks the journal in small bites and waits between them; nobody waits for it. What fails costs nothing else of it, and
is tried again when it is due the next time.
"""

import os
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from math import inf
from pathlib import Path
from typing import cast

from darumad.bridge import Workspaces
from darumad.clock import Clock
from darumad.daemon.inspection import Inspection
from darumad.events import DaemonClockJumped, Fact, JournalChecked
from darumad.journal import Journal, Outcome, Prune, Pruned, SetBack
from darumad.logs import logger
from darumad.names import Millis, Seconds
from darumad.settings import Retention
from darumad.values import Value

log = logger(__name__)
TICK = Seconds(5)
"""How often it looks at the clock, in seconds."""
BREATH = Seconds(0.05)
"""Seconds between two bites."""
WITHIN = Seconds(60)
"""Seconds that the journal may take for one bite."""
PATIENCE = Seconds(300)
"""Seconds that it may be at one thing: more than a bite takes, or a large directory."""
JUMP_MS = 60_000
"""A wall clock that goes on by so much more or less than the monotonic one was set, or the machine slept."""


class HousekeepingPorts(Value, kw_only=True):
    """What it works with. `note` records a fact; `look_again` has the orchestrator read the journal.

    `look_at_the_date` releases what waited for another day; `look_at_the_claims` sees whether any are made.
    """

    clock: Clock
    journal: Journal
    workspaces: Workspaces
    uploads: Path
    directory: Path
    note: Callable[[Fact], None]
    look_again: Callable[[], None]
    look_at_the_date: Callable[[], object]
    look_at_the_claims: Callable[[], None]


class Housekeeping:
    """See the module. `check_after` is in seconds from the start, None for never."""

    def __init__(self, ports: HousekeepingPorts, retention: Retention, check_after: Seconds | None) -> None:
        self._ports = ports
        self._retention = retention
        self._check_at = None if check_after is None else ports.clock.monotonic() + check_after
        self._tidy_at = ports.clock.monotonic() + min(retention.every, 60.0)
        self._offset, self._position = self._drift(), ports.journal.reader().last_position()
        self._set_back: deque[SetBack] = deque()
        self._low = False
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._work, name="housekeeping", daemon=True)
        self._inspection: Inspection | None = None
        self._went_on_at = ports.clock.monotonic()
        self.last_check: JournalChecked | None = None

    def journal_wrong(self) -> Sequence[str] | None:
        """What the last check found, in sentences; None before there was one."""
        return None if self.last_check is None else self.last_check.wrong

    def late(self) -> Seconds:
        """For how many seconds it has been at one and the same thing, or at none. From any thread."""
        return Seconds(self._ports.clock.monotonic() - self._went_on_at)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def close(self, within: Seconds) -> bool:
        """Stop after the present bite. False if that took longer than `within` seconds."""
        self._closed.set()
        if self._thread.ident is not None:
            self._thread.join(within)
        return not self._thread.is_alive()

    def _work(self) -> None:
        while not self._closed.wait(TICK):
            self.tick()
        if self._inspection is not None:
            self._inspection.end()

    def tick(self) -> None:
        """Whatever is due by now."""
        now = self._ports.clock.monotonic()
        self._each(self.look_at_the_clock, self.look_at_the_disk)
        if self._check_at is not None and now >= self._check_at and self._inspection is None:
            self._check_at = now + self._retention.every  # once more, unless this one comes to something
            self._each(self.check)
        if self._inspection is not None:
            self._each(self.hear_of_the_check)
        if now >= self._tidy_at:
            self._tidy_at = now + self._retention.every
            self.tidy()
        self._each(self._ports.look_at_the_claims)

    def _each(self, *jobs: Callable[[], None]) -> None:
        """Does these; one that fails is logged, and costs the others nothing."""
        for job in jobs:
            try:
                job()
            except Exception as error:  # whatever it is: nobody else would look at the rest
                log.exception("housekeeping_failed", job=job.__qualname__, error=str(error))
            self._went_on()

    def _went_on(self) -> None:
        self._went_on_at = self._ports.clock.monotonic()

    # --- the clock ----------------------------------------------------------------------------------------------------

    def look_at_the_clock(self) -> None:
        """Tell of a wall clock that was set, and have everything that waits for a time be looked at anew."""
        drift, position = self._drift(), self._ports.journal.reader().last_position()
        by, before = drift - self._offset, self._position
        self._offset, self._position = drift, position
        if abs(by) > JUMP_MS:
            self._ports.note(DaemonClockJumped("daemon", by))
            if by < 0:
                at = self._ports.clock.wall()
                self._set_back.append(SetBack(by_ms=-by, at=at, right=before, wrong=position))
            else:
                self._ports.look_again()
            self._ports.look_at_the_date()
        while self._set_back:
            self._ports.journal.post(self._set_back.popleft(), self._were_set_back)

    def _were_set_back(self, outcomes: Sequence[Outcome]) -> None:
        """On the writer's thread. What was not done is asked for again at the next look: nothing of it has happened."""
        failed = [each for each in outcomes if isinstance(each.answer, Exception)]
        self._set_back.extend(cast("SetBack", each.request) for each in failed)
        for each in failed:
            log.warning("not_set_back", error=str(each.answer))
        self._ports.look_again()

    def _drift(self) -> int:
        return self._ports.clock.wall() - round(self._ports.clock.monotonic() * 1000)

    # --- the disk -----------------------------------------------------------------------------------------------------

    def look_at_the_disk(self) -> None:
        """Tell, once each, that it takes nothing new and that it does again: the log does, for it may take no event."""
        no_room = self._ports.journal.no_room()
        if no_room is not None and not self._low:
            log.warning("disk_low", why=no_room)
        elif no_room is None and self._low:
            log.info("disk_has_room")
            self._ports.look_again()
        self._low = no_room is not None

    # --- the journal --------------------------------------------------------------------------------------------------

    def check(self) -> None:
        """Begin to have every page looked at: `hear_of_the_check`."""
        self._inspection = Inspection(self._ports.directory, self._ports.clock)

    def hear_of_the_check(self) -> None:
        """Tell what was found, once all was looked at. Nothing else here waits for that: it may take minutes."""
        inspection = self._inspection
        found = None if inspection is None else inspection.found()
        if inspection is None or found is None:
            return
        self._inspection, self.last_check = None, found
        if not inspection.failed:
            self._check_at = None
        self._ports.note(found)

    # --- what was kept for its time -----------------------------------------------------------------------------------

    def tidy(self) -> None:
        """Let go of all that is old enough."""
        self._each(self.let_go_of_items, self.remove_workspaces, self.remove_uploads)

    def let_go_of_items(self) -> None:
        """What the journal keeps no longer goes, with what those items wrote."""
        behind: int | None = 0
        while behind is not None and not self._closed.wait(BREATH if behind else 0):
            pruned = cast("Pruned", self._ports.journal.call(self._bite(behind), WITHIN))
            self._went_on()
            for item in pruned.items:
                self._remove(self._ports.workspaces.home_of(item))
            behind = pruned.behind

    def remove_workspaces(self) -> None:
        """The spare ones go."""
        for place in self._spare_workspaces():
            self._remove(place)

    def _remove(self, home: Path) -> None:
        self._ports.workspaces.remove(home)
        self._went_on()

    def remove_uploads(self) -> None:
        """The spare ones go."""
        for file in self._spare_uploads():
            file.unlink(missing_ok=True)

    def _bite(self, behind: int) -> Prune:
        kept, now = self._retention, self._ports.clock.wall()
        return Prune(
            steps=_before(now, kept.steps),
            events=_before(now, kept.events),
            items=_before(now, kept.results),
            remember_ms=round((kept.results + kept.ids) * 1000),
            behind=behind,
        )

    def _spare_workspaces(self) -> Iterator[Path]:
        """Those of finished items that are too old, then the oldest of them until all fit in the room there is."""
        sizes = {home: self._size(home) for home in self._ports.workspaces.homes()}
        # Measuring takes minutes: who needs one is asked behind it, for items come in and are retried meanwhile.
        needed = {self._ports.workspaces.home_of(item) for item in self._ports.journal.reader().unfinished()}
        oldest = self._ports.clock.wall() / 1000 - self._retention.workspaces
        used = sum(sizes.values())
        for touched, home in sorted((_touched(home), home) for home in sizes.keys() - needed):
            if touched >= oldest and used <= self._retention.workspaces_size:
                return
            used -= sizes[home]
            yield home

    def _size(self, home: Path) -> int:
        self._went_on()
        return sum(map(_size_of, _files(home)))

    def _spare_uploads(self) -> Iterator[Path]:
        """Those that no item names, unless they were sent or asked for lately: somebody may be about to name them."""
        before = self._ports.clock.wall() / 1000 - self._retention.uploads
        old = [each for each in _files(self._ports.uploads) if _is_older(each, before)]
        named = self._ports.journal.reader().named_uploads() if old else frozenset()
        for each in old:
            if each.name not in named and _is_older(each, before):  # it may have been asked for since
                yield each


def _before(now: Millis, kept: Seconds) -> Millis:
    return Millis(now - round(kept * 1000))


def _is_older(file: Path, than: float) -> bool:
    """Whether `file` is there and was last touched before `than`, in wall seconds."""
    try:
        return file.stat().st_mtime < than
    except FileNotFoundError:
        return False


def _touched(home: Path) -> float:
    """When a file was last made in `home`, or a directory, in wall seconds; never, where somebody has removed it."""
    try:
        return home.stat().st_mtime
    except FileNotFoundError:
        return inf


def _size_of(file: Path) -> int:
    """Bytes; none of one that its agent has removed by now, or whose path is too long for the system."""
    try:
        return file.lstat().st_size
    except OSError:
        return 0


def _files(place: Path) -> Sequence[Path]:
    """Every file below `place`, where agents may be at work: a directory that is gone by now holds none.

    Nor does one whose path is too long for the system; how many are one in the other is no matter.
    """
    folders, found = [place], list[Path]()
    while folders:
        with suppress(OSError), os.scandir(folders.pop()) as entries:
            for each in entries:
                if each.is_dir(follow_symlinks=False):
                    folders.append(Path(each))
                elif each.is_file(follow_symlinks=False):
                    found.append(Path(each))
    return found
