"""What the simulator saw: one entry an attempt, whatever became of it. Safe to read from any thread."""

import threading
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

SECRET_HEADERS = frozenset({"authorization", "x-api-key", "cookie"})


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


class Log:
    """Attempts by number, each replaced by what it has become."""

    def __init__(self) -> None:
        self._attempts: dict[int, Attempt] = {}
        self._changed = threading.Condition()
        self._next = 1

    def open(self, **fields: Any) -> int:
        """A new attempt's number."""
        with self._changed:
            number, self._next = self._next, self._next + 1
            self._attempts[number] = Attempt(number=number, **fields)
            self._changed.notify_all()
        return number

    def note(self, number: int, **fields: Any) -> None:
        """What has become of an attempt; of one that was forgotten, nothing."""
        with self._changed:
            if number in self._attempts:
                self._attempts[number] = replace(self._attempts[number], **fields)
                self._changed.notify_all()

    def attempts(self, since: int = 0) -> tuple[Attempt, ...]:
        """The attempts after the number `since`, in order of arrival."""
        with self._changed:
            return tuple(each for number, each in self._attempts.items() if number > since)

    def forget(self) -> None:
        """Begin anew; numbers go on."""
        with self._changed:
            self._attempts.clear()

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
