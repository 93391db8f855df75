"""docs/reference/commands.md, printed from the tables: `python -m tests.cli.reference > docs/reference/commands.md`."""

from collections.abc import Iterator
from typing import get_type_hints

import click

from darumad.cli.group import COMMANDS, daruma
from darumad.control.operations import OPERATIONS, Operation

_INTRO = """# Commands

`daruma COMMAND --help` says the same as this page. Commands that talk to a daemon take `--socket PATH`; without it
they try `$DARUMA_SOCKET`, `$DARUMA_CONTROL__SOCKET`, the `control.socket` of the settings file that `$DARUMA_CONFIG`
names, and then the usual place: `/run/daruma/control.sock` for root, `$XDG_RUNTIME_DIR/daruma/control.sock` for anyone
else. `-o table|json|ndjson` chooses the form of the answer (`--json` is `-o json`): JSON is exactly the reply of the
operation. A terminal is shown the first 80 characters of a table's cell; what is piped or written to a file is whole.
Data goes to stdout, everything else to stderr.
[errors.md](errors.md) has the exit codes.

Each command that talks to a daemon is one operation over HTTP on the control socket, so this does the same as
`daruma status`:

```console
$ curl --unix-socket /run/daruma/control.sock http://localhost/v1/status
```

Completion in the shell: `eval "$(_DARUMA_COMPLETE=bash_source daruma)"` in `~/.bashrc`; `zsh_source` and `fish_source`
do the same for theirs.

What changes something is for root and the daemon's own user; others who can open the socket read.
"""


def page() -> str:
    """The whole page."""
    return "\n".join([_INTRO, *(line for name in names() for line in _section(name))])


def names() -> list[str]:
    """Every command and operation, commands first, in the order of their help."""
    commands = [name for top in COMMANDS for name in _below(top, _command(top))]
    return [*commands, *(name for name in OPERATIONS if name not in commands)]


def _below(name: str, command: click.Command) -> Iterator[str]:
    if isinstance(command, click.Group):
        for each in command.commands:
            yield from _below(f"{name} {each}", command.commands[each])
    else:
        yield name


def _command(name: str) -> click.Command:
    first, *rest = name.split()
    command = daruma.get_command(click.Context(daruma), first)
    for each in rest:
        assert isinstance(command, click.Group)
        command = command.commands[each]
    assert command is not None
    return command


def _section(name: str) -> Iterator[str]:
    operation = OPERATIONS.get(name)
    yield f"## {name}\n"
    if name.split(maxsplit=1)[0] in COMMANDS:
        command = _command(name)
        if name == "sim":
            yield "Runs a simulated model server for tests and first tries; `daruma sim --help` lists its options.\n"
        else:
            yield f"```text\n{_help(name, command)}\n```\n"
    if operation is not None:
        yield _http(operation)


def _help(name: str, command: click.Command) -> str:
    context = click.Context(command, info_name=f"daruma {name}", terminal_width=100, help_option_names=["-h", "--help"])
    return command.get_help(context)


def _http(operation: Operation) -> str:
    route = operation.route
    takes = ", ".join(f"`{each}`" for each in operation.request.model_fields) or "nothing"
    fields = get_type_hints(operation.reply) if operation.reply else {}
    gives = ", ".join(f"`{each}`" for each in fields) or "no JSON"
    says = (operation.run.__doc__ or "").split("\n\n")[0].strip()
    may = "Root and the daemon's user." if route.writes else "Everyone who can open the socket."
    return f"`{route.method} {route.path}`. {says} {may}\n\nTakes: {takes}. Answers: {gives}.\n"


if __name__ == "__main__":
    print(page(), end="")
