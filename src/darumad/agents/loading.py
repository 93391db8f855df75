"""From the name in a definition to the template. What cannot be loaded is told, and never keeps the daemon down."""

import hashlib
import importlib.util
import sys
from collections.abc import Iterable
from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import CodeType, ModuleType

from darumad.agents.declaration import wrong_with
from darumad.agents.definition import AgentDefinition
from darumad.agents.raised import said_of
from darumad.agents.template import Template
from darumad.agents.templates import SHIPPED
from darumad.clock import SystemClock
from darumad.errors import did_you_mean
from darumad.logs import logger
from darumad.names import AgentName
from darumad.values import changed

log = logger(__name__)

_DIGITS = 12
"""So many of a file's digest tell one state of it from another."""
SLOW = 1.0
"""Seconds: a file that takes longer is named in the log, for the daemon's start waits for each."""


class SpawnRefused(Exception):  # noqa: N818 - it reads as what happened
    """An agent cannot be made now; the message says which file and why. Its role is degraded and its items wait."""


def load_template(ref: str) -> Template:
    """The template that `ref` names: one that ships by its name, any other by the path of its file.

    A file's code runs here, in this process: only refs that the operator wrote into the settings may come this way.
    It is read anew each time, so that a corrected file is taken up by the next restart of its agent.

    Raises:
        SpawnRefused: nothing has this name, or the file cannot be read, raises, or exposes no `TEMPLATE` that is what
            it must be.
    """
    for template in SHIPPED:
        if template.name == ref:
            return template
    if "/" in ref or ref.endswith(".py"):
        return _from_file(Path(ref))
    known = [template.name for template in SHIPPED]
    said = f"no template is called {ref}; there are {', '.join(known)}, or a path to a .py file"
    raise SpawnRefused(said + did_you_mean(ref, known))


class Templates:
    """The template of each agent definition by the definition's name, loaded when it is first asked for."""

    def __init__(self, definitions: Iterable[AgentDefinition]) -> None:
        self._refs = {each.name: each.template for each in definitions if each.template}
        self._loaded: dict[str, Template] = {}
        self._last: dict[str, Template] = {}

    def __call__(self, agent: str) -> Template:
        """The template of the definition called `agent`.

        Raises:
            SpawnRefused: no executor is so named, or its template cannot be loaded; asked again, it is tried again.
        """
        template = self._loaded.get(agent)
        return self._load(agent) if template is None else template

    def loaded(self, agent: str) -> Template | None:
        """The template of `agent` as it was loaded last; None when it never was, or cannot be. No file is run."""
        return self._loaded.get(agent)

    def last(self, agent: str) -> Template | None:
        """As `loaded`; of one that cannot be loaded any more, as it was before."""
        return self._last.get(agent)

    def reload(self, agent: str) -> Template:
        """Take up the file of `agent` as it is now, for everybody who asks from here on.

        Raises:
            SpawnRefused: as for a call; what was loaded before is forgotten.
        """
        try:
            return self._load(agent)
        except SpawnRefused:
            self._loaded.pop(agent, None)
            raise

    def _load(self, agent: str) -> Template:
        template = self._loaded[agent] = self._last[agent] = load_template(self._ref(agent))
        return template

    def _ref(self, agent: str) -> str:
        ref = self._refs.get(AgentName(agent))
        if ref is None:
            raise SpawnRefused(f"no agent with a template is called {agent!r}")
        return ref


def _from_file(path: Path) -> Template:
    if not path.is_file():
        raise SpawnRefused(f"{path}: there is no such file")
    began = SystemClock.monotonic()
    try:
        module = _run(path)
    except SystemExit as error:
        raise SpawnRefused(f"{path}: it asked the process to exit ({error.code})") from error
    except BaseException as error:  # whatever a file raises, KeyboardInterrupt too, is that file's fault
        raise SpawnRefused(f"{path}: {said_of(error, str(path))}{_beside(path, error)}") from error
    if (took := SystemClock.monotonic() - began) > SLOW:
        log.warning("template_loaded_slowly", file=str(path), seconds=round(took, 1))
    template = getattr(module, "TEMPLATE", None)
    if not isinstance(template, Template):
        raise SpawnRefused(f"{path}: it exposes no TEMPLATE made of darumad.agents.Template")
    if wrong := tuple(wrong_with(template)):
        raise SpawnRefused(f"{path}: {'; '.join(wrong)}")
    return changed(template, resources_version=_digest_of(module))


def _beside(path: Path, error: BaseException) -> str:
    """What to append where a file wanted another that lies beside it."""
    if not isinstance(error, ModuleNotFoundError) or error.name is None:
        return ""
    wanted = path.parent / error.name.partition(".")[0]
    if not wanted.is_dir() and not wanted.with_suffix(".py").is_file():
        return ""
    return "; what lies beside a template is not looked at: it is one file, and imports what is installed"


def _digest_of(module: ModuleType) -> str:
    """The first digits of the SHA-256 of the file as it was run."""
    assert module.__spec__ is not None
    assert isinstance(module.__spec__.loader, _AsItIsNow)
    return module.__spec__.loader.sha256[:_DIGITS]


class _AsItIsNow(SourceFileLoader):
    """Compiles the file each time: bytecode of an edit ago looks fresh when the edit took less than a second."""

    sha256 = ""

    def get_code(self, fullname: str) -> CodeType:
        path = self.get_filename(fullname)
        source = self.get_data(path)
        self.sha256 = hashlib.sha256(source).hexdigest()
        return self.source_to_code(source, path)


def _run(path: Path) -> ModuleType:
    name = f"_daruma_template_{path.stem}"
    loader = _AsItIsNow(name, str(path))
    spec = importlib.util.spec_from_loader(name, loader)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    before = sys.modules.get(name)
    sys.modules[name] = module  # dataclasses look their own module up while it is being run
    try:
        loader.exec_module(module)
    except BaseException:
        sys.modules.pop(name)
        if before is not None:
            sys.modules[name] = before
        raise
    return module
