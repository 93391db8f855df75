"""What the simulator saw: one entry an attempt, whatever became of it. Safe to read from any thread.

The newest are kept, as many as find room: whoever rehearses for days has a log that stays as large as it is.
"""

import threading
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

SECRET_HEADERS = frozenset({"authorization", "x-api-key", "cookie"})
ROOM = 128 << 20
"""Bytes that a log has for what was asked and said."""
_ENTRY = 4 << 10
"""Bytes that an attempt takes beside them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One request. Instants are monotonic seconds; None where it did not happen. `headers` are without credentials.

    `call` is what the caller's tries of one call share, where it says so; `key` is the caller, as the scenario tells
    them apart. `said` is the text of the reply that was chosen, whatever of it went out.
    """

    number: int
    listener: str
    connection: int
    method: str
    path: str
    headers: Mapping[str, str]
    body_sha256: str
    t_arrive: float
    call: str = ""
    key: str = ""
    rule: str = ""
    n: int = 0
    fault: str | None = None
    status: int | None = None
    said: str = ""
    bytes_in: int = 0
    bytes_out: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    t_first_byte: float | None = None
    t_end: float | None = None
    client_disconnected_at: float | None = None
    body: Any = field(default=None, repr=False)

    def shown(self, *, body: bool = False) -> dict[str, Any]:
        """The entry as JSON; with the request's `body` only when that is wanted."""
        told = asdict(replace(self, body=None))
        del told["body"]
        return told | {"body": self.body} if body else told

    @property
    def takes(self) -> int:
        """Bytes of the log's room."""
        return _ENTRY + self.bytes_in + len(self.said)


class Log:
    """Attempts by number, each replaced by what it has become; the oldest are dropped where `room` is short."""

    def __init__(self, room: int = ROOM) -> None:
        self.dropped = 0
        self._attempts: dict[int, Attempt] = {}
        self._changed = threading.Condition()
        self._next = 1
        self._room = self._left = room

    def open(self, **fields: Any) -> int:
        """A new attempt's number."""
        with self._changed:
            number, self._next = self._next, self._next + 1
            self._keep(Attempt(number=number, **fields))
        return number

    def note(self, number: int, **fields: Any) -> None:
        """What has become of an attempt; of one that was dropped or forgotten, nothing."""
        with self._changed:
            if number in self._attempts:
                self._left += self._attempts[number].takes
                self._keep(replace(self._attempts[number], **fields))

    def _keep(self, attempt: Attempt) -> None:
        self._attempts[attempt.number] = attempt
        self._left -= attempt.takes
        while self._left < 0 and len(self._attempts) > 1:
            self._left += self._attempts.pop(next(iter(self._attempts))).takes
            self.dropped += 1
        self._changed.notify_all()

    def attempts(self, since: int = 0) -> tuple[Attempt, ...]:
        """The attempts after the number `since` that are still kept, in order of arrival."""
        with self._changed:
            return tuple(each for number, each in self._attempts.items() if number > since)

    def forget(self) -> None:
        """Begin anew; numbers go on."""
        with self._changed:
            self._attempts.clear()
            self._left, self.dropped = self._room, 0

    def wait(self, until: Callable[[tuple[Attempt, ...]], bool], within: float) -> tuple[Attempt, ...]:
        """The attempts, once `until` holds of them.

        Raises:
            TimeoutError: it did not, `within` seconds.
        """
        with self._changed:
            if not self._changed.wait_for(lambda: until(tuple(self._attempts.values())), within):
                raise TimeoutError(
                    f"not seen within {within:g} s: {[each.shown() for each in self._attempts.values()]}"
                )
            return tuple(self._attempts.values())
