"""The journal as the house holds it: opened once, asked by posting, read through readers, closed last."""

import threading
import uuid
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from darumad.bus import Tally
from darumad.clock import Clock
from darumad.errors import Unavailable
from darumad.events import Recorded
from darumad.journal import boot as boots
from darumad.journal.reader import Reader
from darumad.journal.requests import Answer, Outcome, Program, Request
from darumad.journal.room import Room
from darumad.journal.state_directory import StateDirectory, check_own, file_at, free_on, prepare, take_lock
from darumad.journal.writer import Addressee, Writer, WriterHealth, WriterStart
from darumad.lockfiles import LockFile
from darumad.names import Boot, ItemId, Offer, Seconds
from darumad.work.lanes import Lane, Turns

MEASURES = {
    "journal_commit_seconds": (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0),
    "journal_batch_size": (1, 2, 4, 8, 16, 32, 64, 128, 256),
}
"""The distributions that the writer observes, with their buckets: a `Tally` handed in must know them."""


class Journal:
    """What has happened, on disk before anyone acts on it."""

    def __init__(
        self, state: StateDirectory, lock: LockFile, clock: Clock, booted: boots.Booted, given: WriterStart
    ) -> None:
        self._state = state
        self._file = file_at(state.database)
        self._lock = lock
        self._clock = clock
        self._booted = booted
        self._publish = given.publish
        self._room = given.room
        self._writer = Writer(booted.db, clock, given)
        self._reader = Reader(state.database)
        self._closed = False

    @classmethod
    def open(  # noqa: PLR0913 - all of it is the daemon's to say
        cls,
        directory: Path,
        *,
        clock: Clock,
        node: str,
        new_id: Callable[[], str] = lambda: str(uuid.uuid4()),
        publish: Callable[[Sequence[Recorded]], None],
        tally: Tally | None,
        ageing: Seconds,
        program: Program,
        on_fatal: Callable[[Exception], None],
        ballast: int = 0,
        low_water: int = 0,
        lanes: Mapping[str, Lane] | None = None,
        offers: Sequence[Offer] = (),
    ) -> "Journal":
        """Takes the directory, checks what lies in it, begins a boot and puts back what earlier boots held.

        Args:
            directory: made if it is not there, and kept to its owner.
            clock: where all times in the journal come from.
            node: the name of this machine, for the boot's row.
            new_id: makes the name by which a new journal and its marker know each other.
            publish: gets every committed batch's events, on the writer's thread; it must only post them on.
            tally: gets the `MEASURES`.
            ageing: seconds of waiting that weigh as much as one step of priority.
            program: what this life runs on, for the boot's row.
            on_fatal: called once the disk has failed; nothing is written from then on.
            ballast: bytes set aside for when the disk is full.
            lanes: those that are more than a name.
            offers: which agent offers what items may require; nobody claims an item whose agent offers less.
            low_water: bytes that must be free on the disk for anything new to be taken in.

        Raises:
            Refused: `already_running`, `bad_journal` or `bad_place`; the message says what to do.
            Unavailable: `disk_full`: not even a boot can be written.
        """
        state = StateDirectory(directory.absolute())
        prepare(state)
        check_own(state)
        lock = take_lock(state)
        asked = boots.BootRequest(node=node, program=program, ageing_ms=round(ageing * 1000), offers=offers)
        room = Room(state, ballast=ballast, low_water=low_water)
        try:
            booted = boots.boot(state, clock, asked, new_id=new_id, room=room)
            room.set_aside()
        except BaseException:
            lock.close()
            raise
        given = WriterStart(
            boot=booted.boot,
            booted_at=clock.monotonic(),
            tail=booted.tail,
            suspects=booted.suspects,
            ageing_ms=asked.ageing_ms,
            publish=publish,
            tally=tally,
            on_fatal=on_fatal,
            room=room,
            turns=Turns(lanes),
        )
        return cls(state, lock, clock, booted, given)

    @property
    def boot(self) -> Boot:
        """Which life of the daemon this is."""
        return self._booted.boot

    @property
    def rescued(self) -> tuple[ItemId, ...]:
        """The items that earlier lives held, and that are ready again."""
        return self._booted.rescued

    def start(self) -> None:
        """Tell what the boot recorded, and begin to carry out requests."""
        self._publish(self._booted.recorded)
        self._writer.start()

    def post(self, request: Request, reply: Addressee | None = None) -> None:
        """Asks for `request`, from any thread, and never waits.

        `reply` is called on the writer's thread after COMMIT, once a batch with all the outcomes that are its own;
        it must only post them on.
        """
        self._writer.post(request, reply)

    def call(self, request: Request, within: Seconds) -> Answer:
        """Asks and waits: for tests and commands without a daemon, never for a handler.

        Raises:
            Unavailable: `wait_expired` after `within` seconds; the request may still be carried out.
            DarumaError: the answer, if it is an error.
        """
        said: list[Outcome] = []
        arrived = threading.Event()

        def hear(outcomes: Sequence[Outcome]) -> None:
            said.extend(outcomes)
            arrived.set()

        self.post(request, hear)
        if not arrived.wait(within):
            raise Unavailable(f"the journal did not answer within {within} s", code="wait_expired")
        answer = said[0].answer
        if isinstance(answer, Exception):
            raise answer
        return answer

    def reader(self) -> Reader:
        """To read with, from any thread; one is enough for the house."""
        return self._reader

    def health(self) -> WriterHealth:
        """How the writer is; asks nobody and never waits."""
        return self._writer.health()

    def no_room(self) -> str | None:
        """Why nothing new is taken in for want of room on the disk; None while there is enough."""
        held = self.health().held
        low = self._room.low() or ("the disk is full" if held else None)
        return f"{low}; {held} ends and steps wait to be written" if held else low

    def room(self) -> int:
        """Bytes that are left on its disk."""
        return free_on(self._state.path)

    @property
    def in_place(self) -> bool:
        """Whether the file that is written is the one at its place: one that was removed is lost with the process."""
        return file_at(self._state.database) == self._file

    def size(self) -> int:
        """Bytes on disk: the database and what is not yet folded into it."""
        files = (self._state.database, self._state.database.with_name(f"{self._state.database.name}-wal"))
        return sum(each.stat().st_size for each in files if each.exists())

    def close(self, within: Seconds) -> bool:
        """Carries out what was posted, ends the boot and lets the directory go. Safe to call twice.

        False when the writer did not come to an end within `within` seconds: the connection and the lock then stay
        until the process is gone, for nobody else may write beside it.
        """
        if self._closed:
            return True
        if not self._writer.close(within):
            return False
        self._closed = True
        self._reader.close()
        if not self._writer.failed:
            boots.end(self._booted.db, self._booted.boot, self._clock.wall())
        self._booted.db.close()
        self._lock.close()
        return True
