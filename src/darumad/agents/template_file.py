"""A template's file: read, run as a module of its own, and what it exposes held against what it must be."""

import hashlib
import importlib.util
import sys
from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import CodeType, ModuleType

from darumad.agents.declaration import wrong_with
from darumad.agents.raised import said_of
from darumad.agents.template import Template
from darumad.clock import SystemClock
from darumad.logs import logger
from darumad.values import Value, changed

log = logger(__name__)

_DIGITS = 12
"""So many of a file's digest tell one state of it from another."""
SLOW = 1.0
"""Seconds: a file that takes longer is named in the log, for its agents and the daemon's start wait for it."""


class SpawnRefused(Exception):  # noqa: N818 - it reads as what happened
    """An agent cannot be made now; the message says which file and why. Its role is degraded and its items wait."""


class TemplateFile(Value):
    """A file as it was read. Two that are equal are the same file in the same state."""

    path: Path
    source: bytes

    def run(self, name: str) -> Template:
        """The template that the file exposes. Its code runs here, in this process, as the module `name`.

        Raises:
            SpawnRefused: it raises, or exposes no `TEMPLATE` that is what it must be.
        """
        began = SystemClock.monotonic()
        try:
            module = _module(name, _AsItWasRead(name, self))
        except SystemExit as error:
            raise SpawnRefused(f"{self.path}: it asked the process to exit ({error.code})") from error
        except BaseException as error:  # whatever a file raises, KeyboardInterrupt too, is that file's fault
            raise SpawnRefused(f"{self.path}: {said_of(error, str(self.path))}{self._beside(error)}") from error
        if (took := SystemClock.monotonic() - began) > SLOW:
            log.warning("template_loaded_slowly", file=str(self.path), seconds=round(took, 1))
        return self._exposed(module)

    def _exposed(self, module: ModuleType) -> Template:
        template = getattr(module, "TEMPLATE", None)
        if not isinstance(template, Template):
            raise SpawnRefused(f"{self.path}: it exposes no TEMPLATE made of darumad.agents.Template")
        if wrong := tuple(wrong_with(template)):
            raise SpawnRefused(f"{self.path}: {'; '.join(wrong)}")
        return changed(template, resources_version=hashlib.sha256(self.source).hexdigest()[:_DIGITS])

    def _beside(self, error: BaseException) -> str:
        """What to append where a file wanted another that lies beside it."""
        if not isinstance(error, ModuleNotFoundError) or error.name is None:
            return ""
        wanted = self.path.parent / error.name.partition(".")[0]
        if not wanted.is_dir() and not wanted.with_suffix(".py").is_file():
            return ""
        return "; what lies beside a template is not looked at: it is one file, and imports what is installed"


def read(path: Path) -> TemplateFile:
    """The file at `path` as it is now.

    Raises:
        SpawnRefused: there is none, or it cannot be read.
    """
    try:
        if path.is_file():
            return TemplateFile(path, path.read_bytes())
    except OSError as error:
        raise SpawnRefused(f"{path}: it cannot be read: {error.strerror}") from error
    raise SpawnRefused(f"{path}: there is no such file")


class _AsItWasRead(SourceFileLoader):
    """Compiles what was read: bytecode of an edit ago looks fresh when the edit took less than a second."""

    def __init__(self, name: str, file: TemplateFile) -> None:
        super().__init__(name, str(file.path))
        self._source = file.source

    def get_code(self, fullname: str) -> CodeType:
        return self.source_to_code(self._source, self.get_filename(fullname))


def _module(name: str, loader: _AsItWasRead) -> ModuleType:
    spec = importlib.util.spec_from_loader(name, loader)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    before = sys.modules.get(name)
    sys.modules[name] = module  # dataclasses look their own module up while it is being run
    try:
        loader.exec_module(module)
    except BaseException:
        if sys.modules.get(name) is module:  # else another run of the file has begun since
            sys.modules.pop(name)
            if before is not None:
                sys.modules[name] = before
        raise
    return module
