"""An actor that writes down what happens to it, and does as it is told."""

import threading
from typing import Any

from darumad.supervision import Actor


class Probe(Actor):
    """Appends `(what, id, incarnation)` to `log`: start, stop, failure, and each message it handled.

    Messages: an exception is raised; `("exit", reason)` exits; `("block", event)` waits for the event;
    `("report", error)` reports; `"who"` is answered with `(id, incarnation)`; a callable is called with the actor.
    """

    def __init__(
        self,
        log: list[Any],
        id: str,  # noqa: A002 - the contract's word
        *,
        on_start: Any = None,
        on_stop: Any = None,
        on_failure: Any = None,
    ) -> None:
        super().__init__()
        self.log, self.id = log, id
        self._starting, self._stopping, self._failing = on_start, on_stop, on_failure

    def note(self, what: Any) -> None:
        self.log.append((what, self.id, self.incarnation))

    def on_start(self) -> None:
        self.note("start")
        if self._starting is not None:
            self._starting(self)

    def on_stop(self) -> None:
        self.note("stop")
        if self._stopping is not None:
            self._stopping(self)

    def on_failure(self, exc_type: Any, exc: Any, tb: Any) -> None:  # type: ignore[override]
        self.note("failure")
        if self._failing is not None:
            self._failing(self)

    def on_receive(self, message: Any) -> Any:
        match message:
            case BaseException():
                raise message
            case "who":
                return (self.id, self.incarnation)
            case ("exit", reason):
                return self.exit(reason)
            case ("block", event):
                self.note("blocked")
                event.wait(60)
                return None
            case ("report", error):
                return self.report(error)
        if callable(message):
            return message(self)
        self.note(message)
        return message


def pause(seconds: float) -> None:
    """Let real time pass in an actor whose row is about real time."""
    threading.Event().wait(seconds)
