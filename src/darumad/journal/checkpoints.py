"""When the writer checkpoints: once nobody asked for a while and the WAL has grown, or in any case when it is large.

SQLite's own checkpoints come in the middle of a commit: a claim's slowest hundredth was 9.6 ms with them, 0.8 without.
A queue that is empty is no sign that nobody waits: whoever was just answered may ask again at once.
How long the WAL is cannot be asked without opening its files, so it is reckoned from the rows changed and corrected
at each checkpoint, which tells.
"""

from darumad.journal.database import Database

_PAGE = 4096
IDLE_FRAMES = 4 * 1024 * 1024 // _PAGE
"""With nobody asking, checkpoint from 4 MiB on."""
FULL_FRAMES = 64 * 1024 * 1024 // _PAGE
"""Whoever asks, from 64 MiB on."""


class Checkpoints:
    """Reckons the frames in the WAL of the writer's connection. Used by the writer's thread only."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self._changes = db.changes
        self._left = 0
        self._per_change = 1.0
        self._tried = False
        self.owed = False
        """Whether something that was erased may still stand in the WAL."""

    @property
    def frames(self) -> float:
        """How many frames the WAL should hold by now."""
        return self._left + (self._db.changes - self._changes) * self._per_change

    @property
    def due(self) -> bool:
        """Whether a checkpoint is worth its while once nobody asks; one that a reader stopped waits for a batch."""
        return not self._tried and self.frames >= IDLE_FRAMES

    def after_batch(self) -> None:
        """Checkpoint if it cannot wait."""
        self._tried = False
        if self.owed or self.frames >= FULL_FRAMES:
            self.run()

    def empty_log(self) -> None:
        """Leave nothing in the WAL of what was erased. While a reader holds it, that is owed."""
        self.owed = True
        self.run()

    def run(self) -> None:
        """Move what no reader needs any more from the WAL into the database.

        Whatever a reader holds is left for later.
        """
        self._tried = True
        kept, frames, moved = self._db.checkpoint("TRUNCATE" if self.owed else "PASSIVE")
        self.owed = self.owed and kept
        changes = self._db.changes - self._changes
        if changes > 0 and frames > self._left:
            self._per_change = max(0.05, (frames - self._left) / changes)
        self._left = 0 if moved >= frames else frames
        self._changes = self._db.changes
