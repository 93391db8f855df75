"""Every command that a page tells to type is one that there is, with the options that it has."""

import re
import shlex
from collections.abc import Iterator, Sequence
from pathlib import Path

import click
import pytest

from darumad.cli.group import daruma

ROOT = Path(__file__).parents[2]
PAGES = sorted(
    [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("config/**/*.y*ml"), *ROOT.glob("systemd/**/*.*")]
)
_BLOCK = re.compile(r"^```(sh|console)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_CODE = re.compile(r"`daruma ([a-z][^`]*)`")
_ENDS = re.compile(r" (?:\||&&|\|\||\d?>>?|<<?|&|#)|;|\)|$")


def _of_blocks(page: str) -> Iterator[Sequence[str]]:
    """The words behind `daruma` of each command in a block; of a session, of each line that is typed."""
    for kind, body in _BLOCK.findall(page):
        lines = body.replace("\\\n", " ").splitlines()
        typed = [re.sub(r"\$\(date.*?\)", "today", line) for line in lines if kind == "sh" or line.startswith("$ ")]
        for call in re.findall(r"(?:^|\W)daruma ([a-z].*)", "\n".join(typed), re.MULTILINE):
            yield shlex.split(call[: _end(call)])


def _end(call: str) -> int:
    """Where the shell has the next word: of what is quoted nothing ends a command."""
    bare = re.sub(r"\"[^\"]*\"|'[^']*'", lambda quoted: "q" * len(quoted[0]), call)
    found = _ENDS.search(bare)
    return found.start() if found else len(call)


def _found(words: Sequence[str]) -> tuple[click.Command, Sequence[str]]:
    """The command that these words name, and the rest of them."""
    command: click.Command = daruma
    for number, word in enumerate(words):
        below = command.get_command(click.Context(command), word) if isinstance(command, click.Group) else None
        if below is None:
            return command, words[number:]
        command = below
    return command, []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_a_command_in_a_block_is_taken_as_it_is_typed(page: Path) -> None:
    for words in _of_blocks(page.read_text()):
        command, rest = _found(words)
        try:
            command.make_context(command.name, list(rest))
        except click.BadParameter as error:
            assert "does not exist" in error.message, words  # noqa: PT017 - the reader's files are not here
        except click.UsageError as error:
            pytest.fail(f"{words}: {error.message}")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_a_command_that_is_spoken_of_is_there_with_its_options(page: Path) -> None:
    for call in _CODE.findall(page.read_text()):
        words = call.replace("\n", " ").split()
        command, rest = _found(words)
        assert command is not daruma, call
        known = {option for each in command.params for option in (*each.opts, *each.secondary_opts)} | {"--help"}
        if command.name != "sim":  # it has a parser of its own, which only runs
            assert {each.partition("=")[0] for each in rest if re.match("--?[a-z]", each)} <= known, call
        if isinstance(command, click.Group):
            assert not rest, call
