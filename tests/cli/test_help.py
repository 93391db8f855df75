"""The help shows how a command is used, and what it shows is right; a shell completes what a person began."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import click
import pytest

from darumad.cli import main
from darumad.cli.group import COMMANDS, daruma
from darumad.errors import CODES

EXAMPLES = [each for entry in COMMANDS.values() for each in entry.examples]
ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("example", EXAMPLES)
def test_an_example_is_understood_as_it_stands(example: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    command: click.Command = daruma
    words = shlex.split(example.split(" | ", maxsplit=1)[0].split(" < ", maxsplit=1)[0])
    context = None
    while isinstance(command, click.Group):
        context = command.make_context(words[0], words[1:], parent=context)
        name, found, rest = command.resolve_command(context, [*context._protected_args, *context.args])
        assert found is not None
        assert name is not None
        command, words = found, [name, *rest]
    if not command.context_settings.get("ignore_unknown_options"):
        command.make_context(words[0], words[1:], parent=context)


@pytest.mark.parametrize("name", [name for name, entry in COMMANDS.items() if entry.examples])
def test_the_help_of_a_command_ends_with_its_examples(name: str) -> None:
    command = daruma.get_command(click.Context(daruma), name)
    assert command is not None
    said = command.get_help(click.Context(command, info_name=f"daruma {name}", terminal_width=200))
    assert said.rstrip().endswith(COMMANDS[name].examples[-1])


@pytest.mark.parametrize(
    ("typed", "offered"), [("daruma sub", "submit"), ("daruma work wa", "wait"), ("daruma submit --wa", "--wait")]
)
def test_a_shell_completes_commands_and_options(typed: str, offered: str) -> None:
    environ = {
        "PATH": os.environ["PATH"],
        "_DARUMA_COMPLETE": "bash_complete",
        "COMP_WORDS": typed,
        "COMP_CWORD": str(len(typed.split()) - 1),
    }
    program = Path(sys.executable).with_name("daruma")
    done = subprocess.run([program], env=environ, capture_output=True, text=True, timeout=30, check=False)
    assert f"plain,{offered}" in done.stdout.splitlines()


@pytest.mark.parametrize(
    ("typed", "meant"),
    [("statsu", "status"), ("--verison", "--version"), ("work lsit", "list"), ("tree --jsn", "--json")],
)
def test_what_is_mistyped_is_answered_with_what_was_perhaps_meant(
    capsys: pytest.CaptureFixture[str], typed: str, meant: str
) -> None:
    assert main(typed.split()) == 2
    assert f"Did you mean '{meant}'?" in capsys.readouterr().err


@pytest.mark.parametrize("text", ["- [ ] Mend the gate", "--- a title", "-3 degrees"])
def test_a_text_taken_for_an_option_is_told_where_it_goes(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["submit", text]) == 2
    assert "begins with a dash goes behind `--`, as in: daruma submit -- '- [ ]" in capsys.readouterr().err


def test_the_help_names_every_exit_code_that_an_error_may_have() -> None:
    named = {int(code) for code in re.findall(r" (\d+)  ", daruma.epilog or "")}
    assert named >= {each.exit for each in CODES.values()}
