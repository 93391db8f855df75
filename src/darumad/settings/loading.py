"""Reading the settings, once: defaults, then the file, then the environment; the last to speak wins."""

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from darumad.errors import Problem, Refused
from darumad.settings.model import Control, Settings
from darumad.settings.places import Places, places
from darumad.settings.reading import Reading
from darumad.settings.rules import contradictions, is_path
from darumad.settings.sources import Branch, empty, from_environment, from_yaml, overlaid
from darumad.values import changed


def load(path: Path | None, environ: Mapping[str, str]) -> Settings:
    """The settings in the file `path`, with what `environ` says over it, checked.

    Without a path the file that `$DARUMA_CONFIG` names is read, or the one at its usual place if there is one.

    Raises:
        Refused: `bad_settings`, with every wrong key at once, its line and what was perhaps meant.
    """
    known = places(environ)
    file = path or _file_of(environ, known)
    tree, problems = _read(file)
    for where, leaf in from_environment(environ):
        tree = overlaid(tree, where, leaf)
    reading = Reading(file.absolute().parent if file else Path.cwd())
    settings = reading.section(Settings, tree, "", _defaults(known))
    settings = _at_home(settings, reading.here)
    problems = [*problems, *reading.problems]
    already = {each.pointer for each in problems}
    problems += [_with_origin(each, reading) for each in contradictions(settings) if each.pointer not in already]
    if problems:
        raise _refused(file, problems)
    return _with_credentials(changed(settings, said=_said(environ, reading.origins)), known)


def _file_of(environ: Mapping[str, str], known: Places) -> Path | None:
    named = environ.get("DARUMA_CONFIG")
    if named:
        return Path(named)
    return known.settings_file if known.settings_file.is_file() else None


def _read(file: Path | None) -> tuple[Branch, list[Problem]]:
    if file is None:
        return empty(), []
    try:
        return from_yaml(file.read_text(encoding="utf-8"), file.name)
    except OSError as error:
        return empty(), [Problem(str(file), f"cannot be read: {error.strerror}")]
    except UnicodeDecodeError as error:
        return empty(), [Problem(str(file), f"is no UTF-8 text: byte {error.start} is wrong")]


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


def _with_credentials(settings: Settings, known: Places) -> Settings:
    """A provider without a key file of its own takes the systemd credential `NAME-api-key`, if there is one."""
    if known.credentials is None:
        return settings
    found = {
        name: known.credentials / f"{name}-api-key"
        for name, each in settings.providers.items()
        if each.key_file is None and (known.credentials / f"{name}-api-key").is_file()
    }
    providers = {
        name: changed(each, key_file=found.get(name, each.key_file)) for name, each in settings.providers.items()
    }
    said = {**settings.said, **{f"providers.{name}.key_file": "$CREDENTIALS_DIRECTORY" for name in found}}
    return changed(settings, providers=MappingProxyType(providers), said=MappingProxyType(said))


def _with_origin(problem: Problem, reading: Reading) -> Problem:
    origin = reading.origin_of(problem.pointer)
    return Problem(problem.pointer, f"{problem.detail} ({origin})") if origin else problem


def _refused(file: Path | None, problems: list[Problem]) -> Refused:
    where = f"{file}" if file else "the environment"
    many = "1 setting is" if len(problems) == 1 else f"{len(problems)} settings are"
    return Refused(f"{many} wrong in {where}", code="bad_settings", problems=problems)
