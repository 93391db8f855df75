"""The commands there are, each by the file it stands in. Help is printed from this table alone."""

from collections.abc import Mapping
from importlib import import_module
from typing import Any

import click

from darumad import __version__
from darumad.values import Value


class Entry(Value):
    """One command: the module of this room that holds it under its own name, its line in the help, and examples."""

    module: str
    says: str
    examples: tuple[str, ...] = ()


_WORK: Mapping[str, Entry] = {
    "submit": Entry(
        "submit",
        "Hand in one item of work.",
        (
            'daruma submit --agent documentation --input src/darumad/work --wait "Document this package"',
            'daruma submit --id report-2026-11 --after numbers --success "one page" < README.md',
            "daruma submit --item examples/falls-five-times/item.json --wait --within 5m",
        ),
    ),
    "batch": Entry(
        "batch",
        "Hand in many items at once, all or none.",
        (
            "daruma batch examples/three-in-order/items.json",
            "daruma batch - < examples/survives-kill/items.ndjson",
        ),
    ),
    "work": Entry(
        "work",
        "Look at items, wait for them, cancel, retry and answer them.",
        (
            "daruma work list --state parked",
            "daruma work show report --attempts --steps",
            "daruma work wait --label wall=north --within 10m",
            'daruma work cancel report --reason "no longer needed"',
            'daruma work answer report "The page for the board, in English"',
        ),
    ),
    "result": Entry(
        "result",
        "What an item made.",
        (
            "daruma result report",
            "daruma result report --save out/",
        ),
    ),
}
_SIGHT: Mapping[str, Entry] = {
    "status": Entry(
        "status",
        "The daemon on one screen.",
        (
            "daruma status",
            "daruma status --json",
        ),
    ),
    "tree": Entry(
        "tree",
        "The supervision tree.",
        (
            "daruma tree",
            "daruma tree -o ndjson",
        ),
    ),
    "agents": Entry(
        "agents",
        "The agents, and how they are.",
        (
            "daruma agents list",
            "daruma agents list --instances",
            "daruma agents restart documentation",
            "daruma agents restart documentation/2",
        ),
    ),
    "budgets": Entry(
        "budgets",
        "What is spent and what is left, and the limits that hold.",
        (
            "daruma budgets",
            "daruma budgets show agent:documentation",
            "daruma budgets set all --daily 20 --daily-calls 2000",
            "daruma budgets reset all",
        ),
    ),
    "providers": Entry(
        "providers",
        "The model providers, and whether they can be used.",
        (
            "daruma providers list",
            "daruma providers check anthropic",
        ),
    ),
    "events": Entry(
        "events",
        "What happened; with --follow, what happens.",
        (
            "daruma events --since 0 --item report",
            "daruma events --since 10m",
            "daruma events --follow --type work.dead -o ndjson",
            "daruma events --follow --until work.succeeded",
        ),
    ),
    "health": Entry(
        "health",
        "Whether every part of the daemon makes progress.",
        (
            "daruma health",
            "daruma health --within 20s",
        ),
    ),
    "metrics": Entry("metrics", "Metrics, as Prometheus reads them.", ("daruma metrics | grep ^daruma_queue_items",)),
}
_DAEMON: Mapping[str, Entry] = {
    "serve": Entry(
        "serve",
        "Run the daemon in the foreground.",
        (
            "daruma serve",
            "daruma serve --config config/daruma.yaml",
        ),
    ),
    "doctor": Entry(
        "doctor",
        "What is in the way, and how to mend it.",
        (
            "daruma doctor",
            "daruma doctor --config config/daruma.yaml",
        ),
    ),
    "config": Entry(
        "config",
        "Check and show the settings.",
        (
            "daruma config check --config config/daruma.yaml",
            "daruma config show --origin",
        ),
    ),
    "secrets": Entry(
        "secrets",
        "Keep keys, sealed; their values are never shown.",
        (
            "daruma secrets set anthropic-api-key < key.txt",
            "daruma secrets list",
            "daruma secrets rotate",
        ),
    ),
    "drain": Entry("drain", "Take nothing new in and hand nothing out."),
    "pause": Entry("pause", "Claim nothing new, also over a restart."),
    "resume": Entry("resume", "End a drain or a pause."),
    "panic": Entry("panic", "Stop everything that runs, at once."),
    "stop": Entry("stop", "End the daemon in good order."),
    "backup": Entry(
        "backup",
        "Copy the journal, also while the daemon runs.",
        ("daruma backup /var/backups/daruma.db",),
    ),
    "restore": Entry(
        "restore",
        "Put a copy of the journal back in its place.",
        ("daruma restore /var/backups/daruma.db",),
    ),
    "journal": Entry("journal", "Check that the journal is what was written.", ("daruma journal check",)),
    "sim": Entry("sim", "Run a simulated model server.", ("daruma sim --listen ollama=:11434 --model qwen3",)),
    "version": Entry("version", "The version of this program and of the daemon."),
}
SECTIONS: Mapping[str, Mapping[str, Entry]] = {"Work": _WORK, "What goes on": _SIGHT, "The daemon": _DAEMON}
"""Under what the help lists each command."""
COMMANDS: Mapping[str, Entry] = {name: entry for section in SECTIONS.values() for name, entry in section.items()}
_EXIT_CODES = """\b
Exit codes:
  0  done                        6  denied
  1  the work failed             7  time is up
  2  wrong usage, or refused    70  a defect of Daruma
  3  no daemon answers          74  could not be written
  4  not found                  75  try again later
  5  not possible now; parked   78  the settings are wrong"""


class LazyGroup(click.Group):
    """A group that imports a command when it is called, not when it is listed."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """Every command, in the table's order."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - click's signature
        """The command, imported now; None for an unknown name."""
        entry = COMMANDS.get(cmd_name)
        if entry is None:
            return None
        command = getattr(import_module(f"darumad.cli.{entry.module}"), cmd_name)
        assert isinstance(command, click.Command)
        if entry.examples:
            command.epilog = "\n".join(("\b", "Examples:", *(f"  {each}" for each in entry.examples)))
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """As click's, which looks for what was perhaps meant among the commands that are imported: here none is."""
        try:
            return super().resolve_command(ctx, args)
        except click.exceptions.NoSuchCommand as unknown:
            raise click.exceptions.NoSuchCommand(unknown.command_name, possibilities=COMMANDS, ctx=ctx) from None

    def invoke(self, ctx: click.Context) -> Any:
        """As click's, which takes a text that begins with a dash, as a line of a list does, for an option."""
        try:
            return super().invoke(ctx)
        except click.exceptions.NoSuchOption as unknown:
            if unknown.option_name.lstrip("-")[:1].isalpha():
                raise
            said = "a text that begins with a dash goes behind `--`, as in: daruma submit -- '- [ ] Mend the gate'"
            raise click.UsageError(said, ctx=unknown.ctx) from None

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002 - click's signature
        """The table, without importing what it names."""
        widest = max(map(len, COMMANDS))
        for title, entries in SECTIONS.items():
            with formatter.section(title):
                formatter.write_dl([(name.ljust(widest), entry.says) for name, entry in entries.items()])


@click.group(cls=LazyGroup, epilog=_EXIT_CODES, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="daruma")
def daruma() -> None:
    """Keeps LLM agents working unattended.

    Start a daemon with `daruma serve`, then hand it work with `daruma submit`; each COMMAND --help has examples.
    """
