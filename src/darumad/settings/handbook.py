"""The settings in print: `config/daruma.yaml` and docs/reference/settings.md, made from the values themselves. Pure.

`python -m darumad.settings.handbook yaml` prints the file, `... markdown` the reference page.
"""

import sys
import textwrap
from collections.abc import Iterator, Mapping
from typing import Any, get_args, get_origin

import yaml

from darumad.settings.fields import Bounds
from darumad.settings.model import Settings
from darumad.settings.providers import BY_KIND, ProviderSettings
from darumad.settings.reading import about, settable
from darumad.settings.showing import as_written
from darumad.values import FieldInfo, Value

_WIDTH = 110
_EXAMPLES: Mapping[str, str] = {
    "supervision.count": "{rate_limited: count}",
    "agents": "  my-agent:\n    template: templates/my_agent.py\n    isolation: none\n    count: 4",
    "budget.agents": "{documentation: {daily: 2.00 USD, daily_calls: 500}}",
    "budget.providers": "{anthropic: {total: 100.00 USD}}",
    "lanes": "{checkout: {max_running: 1}, bulk: {weight: 0.5}}",
    "prices": "{my-model: {input: 0.30 USD, output: 1.20 USD}}",
}
_UNITS = """\
Durations carry their unit (`250ms`, `90s`, `5m`, `1h30m`), sizes too (`512KiB`, `64MiB`), money its currency
(`2.50 USD`); lists stand in brackets (`[gpu, git]`). Null means the default, except where a null is described; a limit
that is null by default limits nothing. Every setting can also be given in the environment, as `DARUMA_SECTION__KEY`, a
list with commas between its entries; the environment wins over the file."""

_READING = """\
A wrong file changes nothing and starts nothing: every wrong key and value is told at once, with its line; of what
stands twice, either, and that it does. Beside a file that cannot be read at all, what is wrong in the environment is
told. `daruma config show` says what holds and where it came from.

Read is the file that `--config` or `$DARUMA_CONFIG` names, else `/etc/daruma/daruma.yaml` for root and
`$XDG_CONFIG_HOME/daruma/daruma.yaml` for others, if there is one. Under systemd `STATE_DIRECTORY`,
`RUNTIME_DIRECTORY`, `CONFIGURATION_DIRECTORY` and
`CREDENTIALS_DIRECTORY` move the default places."""


def as_yaml(settings: Settings) -> str:
    """A settings file that says everything `settings` says, with a comment on each."""
    intro = "Every setting of Daruma at its default. Delete what you do not change: what is not here has its default."
    return "\n".join((*_comment(intro), "#", *_comment(_UNITS.replace("\n", " ")), *_section(settings, "", ""), ""))


def _section(section: Any, indent: str, path: str) -> Iterator[str]:
    for each in settable(type(section)):
        value, dotted = getattr(section, each.name), f"{path}{each.name}"
        if isinstance(value, Value):
            yield ""
            yield from _comment((type(value).__doc__ or "").strip(), indent)
            yield f"{indent}{each.name}:"
            yield from _section(value, indent + "  ", f"{dotted}.")
        elif get_origin(each.type) is Mapping:
            yield from _mapping(each, value, indent, dotted)
        else:
            yield from _entry(each, value, as_written(section)[each.name], indent)


def _entry(known: FieldInfo, value: Any, written: Any, indent: str) -> Iterator[str]:
    of = about(known)
    if not indent:
        yield ""
    yield from _comment(of.says + (f" Default: {of.shown}." if of.shown else ""), indent)
    yield f"{indent}{known.name}: {'null' if of.shown and value == of.default() else _scalar(written)}"


def _mapping(known: FieldInfo, value: Mapping[str, Any], indent: str, dotted: str) -> Iterator[str]:
    if not indent:
        yield ""
    yield from _comment(about(known).says, indent)
    if not value:
        example = _EXAMPLES[dotted]
        yield from _comment(f"Such as: {example}" if "\n" not in example else "Such as:", indent)
        yield from (f"{indent}#{line}" for line in example.splitlines() if "\n" in example)
        yield f"{indent}{known.name}: {{}}"
        return
    yield f"{indent}{known.name}:"
    for number, (name, each) in enumerate(value.items()):
        yield f"{indent}  {name}:"
        told = _section(each, indent + "    ", "")
        yield from told if number == 0 else (line for line in told if not line.lstrip().startswith("#"))


def as_markdown(settings: Settings) -> str:
    """The reference page: a heading for every setting, with its description, type and default."""
    parts = [
        "# Settings",
        _UNITS,
        _READING,
        *_headings(settings, ""),
    ]
    return "\n\n".join(parts) + "\n"


def _headings(section: Any, path: str) -> Iterator[str]:
    for each in settable(type(section)):
        value, dotted = getattr(section, each.name), f"{path}{each.name}"
        if isinstance(value, Value):
            yield f"## {dotted}"
            yield (type(value).__doc__ or "").strip()
            yield from _headings(value, f"{dotted}.")
        elif get_origin(each.type) is Mapping:
            yield from _named(each, get_args(each.type)[1], dotted)
        else:
            shown = about(each).shown or f"`{_scalar(as_written(section)[each.name])}`"
            yield f"{'##' if '.' not in dotted else '###'} {dotted}"
            yield f"{about(each).says}\n\n{_bounds(about(each).bounds)}Default: {shown}."


def _named(known: FieldInfo, kind: Any, dotted: str) -> Iterator[str]:
    yield f"{'##' if '.' not in dotted else '###'} {dotted}"
    if kind is ProviderSettings:
        yield f"{about(known).says}\n\nThe kinds as they are:"
        yield "\n".join(_table())
        yield from _described(ProviderSettings, f"{dotted}.NAME.")
    elif isinstance(kind, type) and issubclass(kind, Value):
        example = _EXAMPLES[dotted]
        such = "" if "\n" in example else f" Such as `{example}`."
        yield f"{about(known).says}{such}\n\nDefault: none."
        yield from _described(kind, f"{dotted}.NAME.")
    else:
        yield f"{about(known).says} Such as `{_EXAMPLES[dotted]}`.\n\nDefault: as the table of kinds says."


def _described(kind: type, path: str) -> Iterator[str]:
    for each in settable(kind):
        yield f"### {path}{each.name}"
        yield f"{about(each).says}\n\n{_bounds(about(each).bounds)}".rstrip()


def _table() -> Iterator[str]:
    kinds = {name: as_written(each) for name, each in BY_KIND.items()}
    yield f"| | {' | '.join(kinds)} |"
    yield f"|---|{'---|' * len(kinds)}"
    for each in settable(ProviderSettings):
        yield f"| {each.name} | {' | '.join(f'`{_scalar(kind[each.name])}`' for kind in kinds.values())} |"


def _bounds(bounds: Bounds | None) -> str:
    if bounds is None:
        return ""
    words = [
        word
        for word, bound in (
            (f"at least {bounds.at_least:g}" if bounds.at_least is not None else "", bounds.at_least),
            (f"more than {bounds.above:g}" if bounds.above is not None else "", bounds.above),
            (f"at most {bounds.at_most:g}" if bounds.at_most is not None else "", bounds.at_most),
        )
        if bound is not None
    ]
    sentence = " and ".join(words)
    return f"{sentence[:1].upper()}{sentence[1:]}. "


def _comment(text: str, indent: str = "") -> Iterator[str]:
    yield from (f"{indent}# {line}" for line in textwrap.wrap(text, _WIDTH - len(indent), break_on_hyphens=False))


def _scalar(value: Any) -> str:
    return yaml.safe_dump(value, width=1000, default_flow_style=True).removesuffix("...\n").strip()


if __name__ == "__main__":
    sys.stdout.write((as_markdown if sys.argv[1:] == ["markdown"] else as_yaml)(Settings()))
