"""Work that waits until a test lets it go."""

import threading
from collections import defaultdict

from darumad.work.item import WorkItem
from darumad.work.ports import Context
from darumad.work.result import WorkResult
from tests.actors.company import completed
from tests.kit import Gate


class Held:
    """Work that waits until it is let go, item by item or all at once, and then ends as said."""

    def __init__(self, end: WorkResult | None = None) -> None:
        self._end = end
        self.begun: list[str] = []
        self._lock = threading.Lock()
        self._gates: defaultdict[str, Gate] = defaultdict(Gate)
        self._all = False

    async def __call__(self, item: WorkItem, context: Context) -> WorkResult:
        self.begun.append(item.id)
        with self._lock:
            gate = self._gates[item.id]
            if self._all:
                gate.open()
        await gate.passed()
        return self._end or completed(text=f"did {item.id}")

    def release(self, *items: str) -> None:
        with self._lock:
            self._all = self._all or not items
            for name in items or tuple(self._gates):
                self._gates[name].open()
