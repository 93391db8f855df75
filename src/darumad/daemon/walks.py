"""The walks of agents' items, for who hands one in while its template cannot be loaded."""

from collections import UserDict

from darumad.journal import Journal, Setting
from darumad.names import Stage

_WALK = "walk/"
"""How their keys in the journal begin."""


class Walks(UserDict[str, tuple[Stage, ...]]):
    """The stages that the template of each agent named when it was loaded last, in whatever life of the daemon."""

    def __init__(self, journal: Journal) -> None:
        super().__init__()
        self._journal = journal
        kept = journal.reader().settings(_WALK)
        self.data |= {key.removeprefix(_WALK): tuple(map(Stage, said.split())) for key, said in kept.items()}

    def __setitem__(self, agent: str, walk: tuple[Stage, ...]) -> None:
        if self.get(agent) != walk:
            super().__setitem__(agent, walk)
            self._journal.post(Setting(values={f"{_WALK}{agent}": " ".join(walk)}))
