"""The watch over claims: from time to time it looks whether slots stand idle beside what they could be doing."""

import math

from darumad.actors import Claiming, Scene, Standstill, role_pool
from darumad.daemon import configured
from darumad.daemon.assembly import Kernel, Minds
from darumad.daemon.engine import Engine
from darumad.daemon.housekeeping import TICK
from darumad.journal import Reader
from darumad.names import Role
from darumad.work.lanes import limited

LOOKS = 24
"""So many looks in a row find the same before it is told: two minutes, beyond what the orchestrator needs to reread."""


class ClaimWatch:
    """Each look asks the orchestrator how it claims, and judges by what it answered to the last one.

    While it does not answer nothing is judged: that is told as its own sign.
    """

    def __init__(self, kernel: Kernel, minds: Minds, engine: Engine) -> None:
        self._kernel = kernel
        self._bridge = minds.bridge
        self._engine = engine
        self._lanes = configured.lanes(kernel.settings)
        self._counts = {each.name: each.count for each in engine.definitions[Role.EXECUTOR]}
        self._standstill = Standstill(LOOKS + math.ceil(kernel.settings.queue.reread / TICK))
        self._answer: Claiming | None = None

    @property
    def sign(self) -> bool | str:
        """True, or what is left lying; as of the last look."""
        return self._standstill.sign

    def look(self) -> None:
        """Look. It reads the journal: on no loop, and no timer."""
        answer, self._answer = self._answer, None
        if not self._engine.dispatch.open or self._kernel.journal.no_room() is not None:
            self._standstill.look(None)
        elif answer is not None:
            self._standstill.look(self._scene(answer))
        self._engine.ask_how_claiming(self._heard)

    def _heard(self, claiming: Claiming) -> None:
        self._answer = claiming

    def _scene(self, claiming: Claiming) -> Scene:
        reader, known = self._kernel.journal.reader(), self._known()
        return Scene(
            ready=[each for each in reader.ready() if each.agent in known],
            under_way=reader.under_way(),
            counts=self._counts,
            idle=frozenset(role_pool(each.role, each.definition.name) for each in self._bridge.idle()),
            shut_lanes=self._shut_lanes(reader),
            claiming=claiming,
        )

    def _known(self) -> frozenset[str]:
        return frozenset(each.name for group in self._engine.definitions.values() for each in group)

    def _shut_lanes(self, reader: Reader) -> frozenset[str]:
        """The lanes that are paused or full."""
        full = [name for name, most in limited(self._lanes).items() if len(reader.in_lane(name, most)) >= most]
        return frozenset(full) | {name for name, each in self._lanes.items() if each.paused}
