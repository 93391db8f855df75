"""From the name in a definition to the template. What cannot be loaded is told, and never keeps the daemon down.

The file of each definition is run on a thread of its own: the seconds that its imports take are nobody else's, and one
that never comes to its end keeps its own agent down and no other.
"""

import asyncio
import threading
from collections.abc import Callable, Iterable, Mapping, MutableMapping
from concurrent.futures import Future, wait
from contextlib import suppress
from pathlib import Path

from darumad.agents.definition import AgentDefinition
from darumad.agents.raised import words_of
from darumad.agents.template import Template
from darumad.agents.template_file import SpawnRefused, TemplateFile, read
from darumad.agents.templates import SHIPPED
from darumad.clock import SystemClock
from darumad.cores import leave
from darumad.errors import did_you_mean
from darumad.logs import logger
from darumad.names import AgentName, Seconds, Stage
from darumad.stacks import begin

log = logger(__name__)

PATIENCE = Seconds(10.0)
"""How long anybody waits for a file that is being run. It is not stopped: who asks again waits for the same run."""
GLANCE = Seconds(0.05)
"""How often who waits for all files looks whether that is still wanted."""


def load_template(ref: str) -> Template:
    """The template that `ref` names: one that ships by its name, any other by the path of its file.

    A file's code runs here, in this process: only refs that the operator wrote into the settings may come this way.

    Raises:
        SpawnRefused: nothing has this name, or the file cannot be read, raises, or exposes no `TEMPLATE` that is what
            it must be.
    """
    return read(Path(ref)).run(_module_of(Path(ref).stem)) if _is_file(ref) else _shipped(ref)


class Templates:
    """The template of each agent definition by the definition's name, as it was loaded last. Safe from any thread.

    `walks` keeps the stages that it named then, by the same name; what is in it already is of an earlier life.
    """

    def __init__(
        self, definitions: Iterable[AgentDefinition], walks: MutableMapping[str, tuple[Stage, ...]] | None = None
    ) -> None:
        self._definitions = {each.name: each for each in definitions if each.template}
        self._lock = threading.Lock()
        self._runs: dict[str, _Run] = {}
        self._loaded: dict[str, Template] = {}
        self._walks = {} if walks is None else walks
        self._refused: dict[str, str] = {}

    def __call__(self, agent: str) -> Template:
        """The template of the definition called `agent`. No file is run.

        Raises:
            SpawnRefused: no executor is so named, or its template could not be loaded when that was tried last.
        """
        template = self._loaded.get(agent)
        if template is None:
            raise SpawnRefused(self._why_not(agent))
        return template

    def loaded(self, agent: str) -> Template | None:
        """As a call; None where that is refused."""
        return self._loaded.get(agent)

    def walk(self, agent: str) -> tuple[Stage, ...] | None:
        """The stages that the template of `agent` named when it was loaded last; None where it never was."""
        return self._walks.get(agent)

    def refusals(self) -> Mapping[AgentName, str]:
        """Why those templates could not be loaded that could not when that was tried last."""
        return {AgentName(agent): why for agent, why in dict(self._refused).items()}

    def versions(self) -> Mapping[AgentName, str]:
        """The state of each template that is loaded."""
        return {AgentName(agent): template.resources_version for agent, template in dict(self._loaded).items()}

    def load(self, unless: Callable[[], bool] = lambda: False) -> None:
        """Load the template of each definition, all at once, for the first life of each of its instances.

        One that takes over `PATIENCE` is not waited for, and none as soon as `unless` says so.
        """
        begun: list[_Run] = []
        for agent, definition in self._definitions.items():
            with suppress(SpawnRefused):  # whoever asks for it is told
                if (run := self._begin(agent, takers=definition.count)) is not None:
                    begun.append(run)
        until = SystemClock.monotonic() + PATIENCE
        while (left := [each for each in begun if not each.over.done()]) and SystemClock.monotonic() < until:
            if unless():
                return
            wait([each.over for each in left], GLANCE)
        for run in left:
            log.warning("template_still_loading", agent=run.agent, why=run.why_not)

    async def reload(self, agent: str) -> Template:
        """Take up the file of `agent` as it is now, for everybody who asks from here on.

        Who asks while it is being run gets what comes of that, unless the file was changed since; and so do as many as
        `load` ran it for.

        Raises:
            SpawnRefused: as for a call, and what was loaded before is forgotten; or it is still being run.
        """
        run = await asyncio.to_thread(self._begin, agent) if _is_file(self._ref(agent)) else self._begin(agent)
        if run is None:
            return self(agent)
        with suppress(TimeoutError):
            await asyncio.wait_for(asyncio.wrap_future(run.over), PATIENCE)
        template = run.template()
        run.takers -= 1
        return template

    def _begin(self, agent: str, takers: int = 1) -> "_Run | None":
        """Begin to load the template of `agent`, or find that somebody has; None where it is there at once.

        `takers`: so many may have what comes of a new run, whenever they ask.

        Raises:
            SpawnRefused: there is nothing to be run.
        """
        ref = self._ref(agent)
        try:
            if not _is_file(ref):
                self._take(agent, _shipped(ref))
                return None
            file = read(Path(ref))
        except SpawnRefused as refused:
            self._refuse(agent, str(refused))
            raise
        with self._lock:
            run = self._runs.get(agent)
            if run is None or run.is_spent or run.file != file:
                run = _Run(agent, file, takers, self._ended)
                run.begin()
                self._runs[agent] = run
        return run

    def _ended(self, run: "_Run") -> None:
        with self._lock:
            if self._runs.get(run.agent) is not run:
                return  # its file was changed while it ran
            try:
                self._take(run.agent, run.template())
            except SpawnRefused as refused:
                self._refuse(run.agent, str(refused))

    def _take(self, agent: str, template: Template) -> None:
        self._loaded[agent] = template
        self._walks[agent] = template.stages
        self._refused.pop(agent, None)

    def _refuse(self, agent: str, why: str) -> None:
        self._refused[agent] = why
        self._loaded.pop(agent, None)

    def _why_not(self, agent: str) -> str:
        """Why the template of `agent` is not there."""
        ref, run = self._ref(agent), self._runs.get(agent)
        if run is not None and not run.over.done():
            return run.why_not
        return self._refused.get(agent, f"{ref}: it was not loaded yet")

    def _ref(self, agent: str) -> str:
        definition = self._definitions.get(AgentName(agent))
        if definition is None:
            raise SpawnRefused(f"no agent with a template is called {agent!r}")
        return definition.template


class _Run:
    """A run of a file's code. `over` is done when it has ended, well or not; `takers` have not come for it yet."""

    def __init__(self, agent: str, file: TemplateFile, takers: int, ended: Callable[["_Run"], None]) -> None:
        self.agent = agent
        self.file = file
        self.takers = takers
        self.over: Future[None] = Future()
        self.over.set_running_or_notify_cancel()  # who waits no longer does not end it
        self._ended = ended
        self._began = SystemClock.monotonic()
        self._template: Template | None = None
        self._refused = ""

    def begin(self) -> None:
        """Run it beside everybody else."""
        begin(threading.Thread(target=self._carry_out, name=f"template {self.agent}", daemon=True))

    @property
    def is_spent(self) -> bool:
        """Whether who asks now has the file run anew. A template that all who asked gave up on is for the next of them.

        Else one that takes longer than they wait would be run again and again, and never be there when they look.
        """
        return self.over.done() and (self.takers <= 0 or self._template is None)

    @property
    def why_not(self) -> str:
        """Why its template is not there."""
        took = SystemClock.monotonic() - self._began
        return self._refused or f"{self.file.path}: it is still being run, after {took:.0f} s"

    def template(self) -> Template:
        """What came of it.

        Raises:
            SpawnRefused: nothing, or nothing yet.
        """
        if self._template is None:
            raise SpawnRefused(self.why_not)
        return self._template

    def _carry_out(self) -> None:
        leave()
        try:
            self._template = self.file.run(_module_of(self.agent))
        except SpawnRefused as refused:
            self._refused = str(refused)
        except BaseException as error:  # noqa: BLE001 - a template's fields may be objects that raise when looked at
            self._refused = f"{self.file.path}: {words_of(error)}"
        self._ended(self)
        self.over.set_result(None)


def _is_file(ref: str) -> bool:
    return _named(ref) is None and ("/" in ref or ref.endswith(".py"))


def _shipped(ref: str) -> Template:
    template = _named(ref)
    if template is None:
        known = [each.name for each in SHIPPED]
        said = f"no template is called {ref}; there are {', '.join(known)}, or a path to a .py file"
        raise SpawnRefused(said + did_you_mean(ref, known))
    return template


def _named(ref: str) -> Template | None:
    return next((each for each in SHIPPED if each.name == ref), None)


def _module_of(name: str) -> str:
    """What a file's module is called: no two that are being run are called the same."""
    return f"_daruma_template_{name}"
