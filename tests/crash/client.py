"""A client of a campaign: hands in work over the control socket, tries again when an answer is lost, reads, cancels.

Now and then it does what an operator does: edits, cancels and retries many at once, restarts an agent, panics.

Run as a program it writes down all it does, before and after, until its input ends; then it settles what it left open.
"""

import json
import random
import sys
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from itertools import pairwise
from pathlib import Path
from typing import Any, TextIO

from darumad.control.client import Client, Json
from darumad.errors import DarumaError, Refused
from tests.crash.history import Fate
from tests.crash.model import REFUSED, SLOW
from tests.crash.rules import PLACES

PERSISTS = 0.8
"""How often a client asks again for what broke; otherwise it never learns what became of it."""
AGAIN_AFTER = 0.03
AT_WORK_AFTER = 0.15
"""Seconds after which an item that was handed in is mostly at work."""
_LATER = 1_500
_PLAIN = (
    "Write the two parts of the report on the following figures, because the board must have them by noon, and include"
    " every source with its date, using the form of last year"
)
_VAGUE = "Just fix it"
_KINDS = ("plain", "plain", "plain", "later", "refused", "vague", "vague", "unwanted", "unwanted", "clumsy")

_LANES = ("default", "default", "default", *PLACES)
PANICS = 0.2
"""How often somebody who might panic does: all that runs stops."""


class Loader:
    """One client. `stopping` is set when it shall come to an end."""

    def __init__(self, client: Client, log: TextIO, name: str, rng: random.Random, pace: float) -> None:
        self._client = client
        self._log = log
        self._name = name
        self._rng = rng
        self._pace = pace
        self._count = 0
        self._mine: list[str] = []
        self._open: list[str] = []
        self._vague: list[str] = []
        self._refused: list[str] = []
        self.stopping = threading.Event()

    def run(self) -> None:
        """Hand in, read and cancel at random; at the end, cancel whatever waits for an answer that nobody will give."""
        deeds: Sequence[Callable[[], None]] = (
            self._one, self._one, self._several, self._read, self._read, self._cancel, self._cancel, self._answer,
            self._edit, self._cancel_many, self._retry_many, self._restart, self._panic,
        )  # fmt: skip
        while not self.stopping.is_set():
            self._rng.choice(deeds)()
            self.stopping.wait(self._pace * 2 * self._rng.random())
        self._persist(lambda: self._client.call("resume"), 1.0)
        for item in self._open:
            self._persist(lambda item=item: self._cancelled(item), 1.0)  # type: ignore[misc] # bound to this item

    # --- what it does -----------------------------------------------------------------------------------------------

    def _one(self) -> None:
        self._submit([self._item()])

    def _several(self) -> None:
        """A batch in which each but the first needs the one before it."""
        items = [self._item("plain") for _ in range(self._rng.randint(2, 4))]
        for before, item in pairwise(items):
            item["depends_on"] = [before["id"]]
        self._submit(items)

    def _submit(self, items: Sequence[Json]) -> bool:
        """Whether the daemon has said that it has them."""
        for item in items:
            self._note(
                "sent", item["id"], description=item["description"], needs=item.get("depends_on", []),
                fate=_fate(item), lane=item["lane"],
            )  # fmt: skip
        told = self._persist(
            lambda: self._client.batch(items) if len(items) > 1 else self._client.submit(items[0]), PERSISTS
        )
        if told is None:
            return False
        for item in items:
            self._note("answered", item["id"])
            self._mine.append(item["id"])
            if item["labels"]["kind"] in {"vague", "unwanted", "clumsy"}:
                self._open.append(item["id"])
            if item["labels"]["kind"] == "vague":
                self._vague.append(item["id"])
            if item["labels"]["kind"] == "refused":
                self._refused.append(item["id"])
        return True

    def _item(self, kind: str | None = None) -> dict[str, Any]:
        self._count += 1
        name = f"{self._name}-{self._count}"
        kind = kind or self._rng.choice(_KINDS)
        description = f"{_VAGUE if kind == 'vague' else _PLAIN}. [[sim:{name}]]"
        item: dict[str, Any] = {
            "id": name,
            "description": description,
            "labels": {"kind": kind, "of": f"{self._name}-{kind}"},
            "lane": self._rng.choice(_LANES),
        }
        if kind != "vague":
            item["success_criteria"] = "Both parts are there."
        if kind == "later":
            item["run_at"] = int(time.time() * 1000) + _LATER
        if kind == "unwanted":
            item["description"] += f" It {SLOW}."
        if kind == "refused":
            item["description"] += f" It {REFUSED}."
        if kind in {"clumsy", "fickle"}:
            item["agent"] = kind
        return item

    def _read(self) -> None:
        if self._mine:
            self._persist(lambda: self._look(self._rng.choice(self._mine)), 0.0)

    def _look(self, item: str) -> None:
        state = self._client.call("work show", id=item)["state"]
        result = self._client.call("result", id=item)["text"] if state == "succeeded" else None
        self._note("seen", item, state=state, result=result)

    def _cancel(self) -> None:
        """One that runs, if one does."""
        if self._open:
            running = self._persist(lambda: self._client.call("work list", state="running"), 0.0) or {"items": ()}
            mine = [each["id"] for each in running["items"] if each["id"] in self._open]
            item = self._rng.choice(mine or self._open)
            self._persist(lambda: self._cancelled(item), PERSISTS)

    def _answer(self) -> None:
        """Let an item go on that asked something; and whatever an operator may have paused."""
        if self._vague:
            item = self._vague[-1]
            self._persist(lambda: self._answered(item), PERSISTS)
        self._persist(lambda: self._client.call("resume"), 0.0)

    def _edit(self) -> None:
        """What is for later is to come sooner than others then."""
        item = self._item("later")
        if self._submit([item]):
            self._persist(lambda: self._unless_refused("work edit", {"priority": 2}, id=item["id"]), 0.0)

    def _cancel_many(self) -> None:
        """Whatever of mine nobody wants, while it is at work; at the end each is asked about."""
        if self._submit([self._item("unwanted")]):
            self.stopping.wait(AT_WORK_AFTER)
            self._persist(lambda: self._unless_refused("cancel many", {"label": f"of={self._name}-unwanted"}), PERSISTS)

    def _retry_many(self) -> None:
        """The dead of mine that will die again."""
        for item in self._refused:
            self._note("retried", item)
        self._persist(lambda: self._unless_refused("retry many", {"label": f"of={self._name}-refused"}), PERSISTS)

    def _restart(self) -> None:
        """An executor that is at work, if one is: what it does goes on elsewhere; and one that nobody has work for."""
        self._persist(lambda: self._client.call("agents restart", name="unmade"), 0.0)
        there = self._persist(lambda: self._client.call("agents show", name="executor")["instances"], 0.0)
        if there:
            instance = self._rng.choice([each for each in there if each["in_flight"]] or there)["path"]
            self._note("restarted", instance)
            self._persist(lambda: self._client.call("agents restart", name=instance), 0.0)

    def _panic(self) -> None:
        """Stop all that runs, and let it go on."""
        if self._rng.random() < PANICS:
            self._note("restarted", "all")
            self._persist(lambda: self._client.call("panic"), 0.0)
            self._persist(lambda: self._client.call("resume"), PERSISTS)

    def _unless_refused(self, operation: str, body: Json, **params: str) -> None:
        with suppress(Refused):
            self._client.call(operation, body, **params)

    def _answered(self, item: str) -> None:
        with suppress(Refused):
            asked = self._client.call("work show", id=item)["questions"]
            self._client.call("work answer", {"answers": ["It must fit on one page."] * len(asked)}, id=item)

    def _cancelled(self, item: str) -> None:
        try:
            self._client.call("work cancel", {"reason": "nobody wants it"}, id=item)
        except Refused:
            return  # it was never accepted, or it is finished
        if self._client.call("work show", id=item)["state"] == "cancelled":
            self._note("cancelled", item)

    # --- how --------------------------------------------------------------------------------------------------------

    def _persist(self, ask: Callable[[], Any], persists: float) -> Any:
        """The answer; None when it was lost and this client gave up."""
        while True:
            try:
                return ask() or {}
            except DarumaError:
                self._client.close()
                if self._rng.random() >= persists:
                    return None
            threading.Event().wait(AGAIN_AFTER)

    def _note(self, what: str, item: str, **more: Any) -> None:
        self._log.write(json.dumps({"at": time.monotonic_ns(), "what": what, "item": item, **more}) + "\n")
        self._log.flush()


def _fate(item: Json) -> Fate:
    match item["labels"]["kind"]:
        case "refused":
            return "dies"
        case "plain" | "later" | "fickle":
            return "succeeds"
        case "clumsy":
            return "may die"
        case _:
            return "any"


def main(socket: Path, log: Path, name: str, pace: float) -> None:
    """See the module."""
    with log.open("a") as lines, Client(socket) as client:
        loader = Loader(client, lines, name, random.Random(name), pace)
        work = threading.Thread(target=loader.run)
        work.start()
        sys.stdin.read()
        loader.stopping.set()
        work.join()


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3], float(sys.argv[4]))
