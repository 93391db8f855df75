"""`daruma config`: the settings, checked and shown without a daemon."""

import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from darumad.cli.paths import PathType
from darumad.errors import Problem, Refused
from darumad.plural import counted
from darumad.values import changed

if TYPE_CHECKING:
    from darumad.settings import Examined, Settings

_NOT_HERE = "the settings can be read, but not all that they name can be used here"
_FILE = click.option("--config", "file", type=PathType(), metavar="FILE", help="The settings file.")


@click.group()
def config() -> None:
    """Check and show the settings."""


@config.command()
@_FILE
def check(file: Path | None) -> None:
    """Name everything that is wrong with the settings at once.

    Ends with 78 when something is. Every agent's template is loaded as the daemon would load it, so a file of your own
    is run.
    """
    from darumad.settings import examine  # noqa: PLC0415 - needed offline only

    examined = examine(file, os.environ)
    unusable, unmade = _news(examined, _unusable(examined.settings)), _news(examined, _unmade(examined))
    if examined.problems:
        raise examined.refused([*unusable, *unmade])
    if unusable or unmade:
        said = _NOT_HERE if unusable else _many(unmade)
        raise Refused(said, code="bad_settings", problems=[*unusable, *unmade])
    click.echo("the settings are right, and every agent can be made")


@config.command()
@_FILE
@click.option("--origin", is_flag=True, help="Say where each value comes from.")
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
def show(file: Path | None, *, origin: bool, as_json: bool) -> None:
    """Every setting as it holds now. Secrets are not among them: a setting only names where one is."""
    from darumad.settings import as_written, flat, load, origins  # noqa: PLC0415 - needed offline only

    settings = load(file, os.environ)
    values, sources = flat(as_written(settings)), origins(settings)
    if as_json:
        shown = {key: {"value": value, "origin": sources[key]} if origin else value for key, value in values.items()}
        click.echo(json.dumps(shown, indent=2, default=str))
        return
    for key, value in values.items():
        click.echo(f"{key}: {_word(value)}" + (f"  # {sources[key]}" if origin else ""))


def _unusable(settings: "Settings") -> Sequence[Problem]:
    """A log that cannot be written, with which no daemon starts; keys and clients without which items would wait."""
    from darumad.logs import check_file  # noqa: PLC0415 - needed offline only

    problems: list[Problem] = []
    if settings.log.file:
        with _noting(problems):
            check_file(settings.log.file)
    return [*problems, *_unusable_providers(settings)]


def _unusable_providers(settings: "Settings") -> Sequence[Problem]:
    """Keys in files, which the settings name, and of all else what somebody would be asked with: keys, and clients."""
    from darumad.agents.providers import clients_missing, first_of, load_credentials  # noqa: PLC0415 - needed offline only
    from darumad.daemon.configured import provider_config  # noqa: PLC0415 - needed offline only

    config = provider_config(settings)
    keyring = load_credentials(config, dict(os.environ))
    chosen = first_of(config, "anthropic")[0] if config.use == "auto" else config.use
    used = config.using(chosen, None).used
    keys = [
        problem
        for name, problem in keyring.refused.items()
        if name in used or ((spec := config.spec(name)) and spec.key.file)
    ]
    missing = clients_missing(config, used)
    return [*keys, *(Problem(f"providers.{name}.kind", said) for name, said in missing.items())]


@contextmanager
def _noting(problems: list[Problem]) -> Iterator[None]:
    """A refusal within is added to `problems`."""
    try:
        yield
    except Refused as refused:
        problems += refused.problems


def _unmade(examined: "Examined") -> Sequence[Problem]:
    """The agents that cannot be made. No file is run that the settings do not yet say may run in this process."""
    from darumad.daemon.configured import unmade  # noqa: PLC0415 - needed offline only
    from darumad.settings import is_path  # noqa: PLC0415 - needed offline only

    amiss = {each.pointer for each in examined.problems}
    agents = {
        name: each
        for name, each in examined.settings.agents.items()
        if not (is_path(each.template) and f"agents.{name}.isolation" in amiss)
    }
    return [
        Problem(f"agents.{name}.template", f"cannot be used: {why}")
        for name, why in unmade(changed(examined.settings, agents=agents)).items()
    ]


def _news(examined: "Examined", problems: Sequence[Problem]) -> Sequence[Problem]:
    """Those of `problems` whose key was not told of before, each with where it is written."""
    told = {each.pointer for each in examined.problems}
    return [examined.told(each) for each in problems if each.pointer not in told]


def _many(problems: Sequence[Problem]) -> str:
    agents = counted(len(problems), "agent")
    return f"the settings can be read, but {agents} cannot be made; the daemon would start, and their items wait"


def _word(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, default=str)
