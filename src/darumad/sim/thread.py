"""The simulator on a thread and a loop of its own, for whoever wants a model server beside what it tests."""

import asyncio
import threading
from collections.abc import Callable, Coroutine, Mapping, Sequence
from types import TracebackType
from typing import Any, Self, TypeVar

from darumad.sim.log import Attempt
from darumad.sim.scenario import Rule, Scenario
from darumad.sim.server import Listener, Simulator
from darumad.sim.vendor import VENDORS

T = TypeVar("T")
_CEILING = 10.0


class Simulation:
    """A running simulator: enter it, take `url`s, `play` rules, read `attempts`.

    Every instant in an attempt is monotonic seconds, the same on all threads of the machine.
    """

    def __init__(self, *listeners: str, models: Sequence[str] = ()) -> None:
        self._listeners = listeners or tuple(VENDORS)
        self._simulator = Simulator(models=models)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="simulator", daemon=True)
        self.ports: Mapping[str, int] = {}

    def __enter__(self) -> Self:
        self._thread.start()
        self.ports = {name: self._run(self._simulator.listen(Listener(name))) for name in self._listeners}
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._run(self._simulator.close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(_CEILING)
        self._loop.close()

    def url(self, listener: str) -> str:
        """The base URL of a listener."""
        return f"http://127.0.0.1:{self.ports[listener]}"

    def play(self, *rules: Rule, seed: int = 0, **more: Any) -> None:
        """Play these rules from now on, with an empty log and every gate shut; `more` are fields of the scenario."""
        self._call(lambda: self._simulator.load(Scenario(rules, seed, **more)))

    def release(self, gate: str) -> None:
        """Let through who waits at a gate."""
        self._call(lambda: self._simulator.release(gate))

    def attempts(self) -> tuple[Attempt, ...]:
        """What was asked so far."""
        return self._simulator.log.attempts()

    def wait(self, until: Callable[[tuple[Attempt, ...]], bool], within: float = _CEILING) -> tuple[Attempt, ...]:
        """The attempts, once `until` holds of them.

        Raises:
            TimeoutError: it did not, `within` seconds.
        """
        return self._simulator.log.wait(until, within)

    def _run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(_CEILING)

    def _call(self, fn: Callable[[], None]) -> None:
        async def called() -> None:
            fn()

        self._run(called())
