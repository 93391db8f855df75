"""Reading the settings, once: defaults, then the file, then the environment; the last to speak wins."""

import os
from collections.abc import Mapping, Sequence
from itertools import chain
from pathlib import Path
from types import MappingProxyType

from darumad import rights
from darumad.errors import Problem, Refused
from darumad.plural import counted
from darumad.settings.model import Control, Settings
from darumad.settings.places import Places, places
from darumad.settings.providers import secret_of
from darumad.settings.reading import Reading
from darumad.settings.rules import contradictions, is_path, untenable
from darumad.settings.sources import Written, empty, from_environment, from_yaml, illegible, overlaid
from darumad.values import Value, changed

_CREDENTIALS = "$CREDENTIALS_DIRECTORY"


class Examined(Value):
    """Settings as far as they can be read: what is wrong stands at its default, and in `problems`."""

    settings: Settings
    file: Path | None
    reading: Reading
    problems: Sequence[Problem]

    def told(self, problem: Problem) -> Problem:
        """`problem` with where its key was written, or the section that lacks it."""
        origin = self.reading.origin_of(problem.pointer)
        return Problem(problem.pointer, f"{problem.detail} ({origin})") if origin else problem

    def refused(self, more: Sequence[Problem] = ()) -> Refused:
        """The refusal of them, for their own problems and `more`."""
        problems = [*self.problems, *more]
        where = f"{self.file}" if self.file else "the environment"
        many = counted(len(problems), "setting is", "settings are")
        return Refused(f"{many} wrong in {where}", code="bad_settings", problems=problems)


def load(path: Path | None, environ: Mapping[str, str]) -> Settings:
    """The settings in the file `path`, with what `environ` says over it, checked.

    Without a path the file that `$DARUMA_CONFIG` names is read, or the one at its usual place if there is one.

    Raises:
        Refused: `bad_settings`, with every wrong key at once, its line and what was perhaps meant.
    """
    examined = examine(path, environ)
    if examined.problems:
        raise examined.refused()
    return examined.settings


def examine(path: Path | None, environ: Mapping[str, str]) -> Examined:
    """The same, with whatever is wrong, for who looks on.

    Of what stands twice in the file the last is what `settings` has; what is wrong with those before it is told, too.
    """
    file = path or _file_of(environ, places(environ))
    looks = [_judged(written, file, environ) for written in _read(file)]
    problems = dict.fromkeys(problem for look in looks for problem in look.problems)
    return changed(looks[-1], problems=list(problems))


def _judged(written: Written, file: Path | None, environ: Mapping[str, str]) -> Examined:
    known, tree = places(environ), written.tree
    for where, leaf in from_environment(environ):
        tree = overlaid(tree, where, leaf)
    reading = Reading(file.absolute().parent if file else Path.cwd(), written.legible)
    settings = reading.section(Settings, tree, "", _defaults(known))
    told = changed(settings, said=_said(environ, reading.origins), read_from=file and file.absolute())
    settings = _at_home(told, reading.here)
    unread = [*written.problems, *reading.problems]
    closed = _closed(known.credentials)
    read = Examined(
        settings=settings if closed else _with_credentials(settings, known),
        file=file,
        reading=reading,
        problems=[*written.twice, *unread, *closed],
    )
    already = {each.pointer for each in unread}
    amiss = chain(untenable(settings), contradictions(settings) if written.legible else ())
    return changed(read, problems=[*read.problems, *(read.told(each) for each in amiss if each.pointer not in already)])


def _file_of(environ: Mapping[str, str], known: Places) -> Path | None:
    named = environ.get("DARUMA_CONFIG")
    if named:
        return Path(named)
    return known.settings_file if _is_there(known.settings_file) else None


def _is_there(file: Path) -> bool:
    """Whether there is one; where nobody may look there is, and whoever reads it is told that they may not."""
    try:
        return file.is_file()
    except OSError:
        return True


def _read(file: Path | None) -> Sequence[Written]:
    if file is None:
        return [Written(empty())]
    try:
        return from_yaml(file.read_text(encoding="utf-8"), file.name)
    except OSError as error:
        return [illegible(str(file), f"cannot be read: {error.strerror}")]
    except UnicodeDecodeError as error:
        return [illegible(str(file), f"is no UTF-8 text: byte {error.start} is wrong")]


def _defaults(known: Places) -> Settings:
    return Settings(state_dir=known.state, control=Control(socket=known.socket))


def _said(environ: Mapping[str, str], origins: Mapping[str, str]) -> Mapping[str, str]:
    placed = {
        key: f"${name}"
        for key, name in (("state_dir", "STATE_DIRECTORY"), ("control.socket", "RUNTIME_DIRECTORY"))
        if environ.get(name)
    }
    return MappingProxyType({**placed, **origins})


def _at_home(settings: Settings, here: Path) -> Settings:
    """A template's path is meant from the settings file's directory."""
    agents = {
        name: changed(each, template=str(here / Path(each.template).expanduser())) if is_path(each.template) else each
        for name, each in settings.agents.items()
    }
    return changed(settings, agents=MappingProxyType(agents))


def _closed(credentials: Path | None) -> Sequence[Problem]:
    """That nobody here may look for a key where systemd laid them, if it is so."""
    try:
        found = None if credentials is None else credentials.stat()
    except FileNotFoundError:
        return ()
    except OSError as error:
        return (Problem(_CREDENTIALS, f"{credentials} cannot be looked at: {error.strerror}"),)
    if credentials is None or found is None or os.access(credentials, os.X_OK, effective_ids=True):
        return ()
    return (Problem(_CREDENTIALS, rights.told(credentials, found)),)


def _with_credentials(settings: Settings, known: Places) -> Settings:
    """A provider without a key file of its own takes its systemd credential, if there is one."""
    if known.credentials is None:
        return settings
    meant = {name: known.credentials / secret_of(name, each) for name, each in settings.providers.items()}
    found = {
        name: file for name, file in meant.items() if settings.providers[name].key_file is None and _is_there(file)
    }
    providers = {
        name: changed(each, key_file=found.get(name, each.key_file)) for name, each in settings.providers.items()
    }
    said = {**settings.said, **{f"providers.{name}.key_file": _CREDENTIALS for name in found}}
    return changed(settings, providers=MappingProxyType(providers), said=MappingProxyType(said))
