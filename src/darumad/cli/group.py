"""The commands there are, each by the file it stands in. Help is printed from this table alone."""

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module

import click

from darumad import __version__


@dataclass(frozen=True, slots=True)
class Entry:
    """One command: the module of this room that holds it under its own name, and its line in the help."""

    module: str
    says: str


COMMANDS: Mapping[str, Entry] = {
    "submit": Entry("submit", "Hand in one item of work."),
    "batch": Entry("batch", "Hand in many items at once, all or none."),
    "work": Entry("work", "Look at items, wait for them, cancel, retry and answer them."),
    "result": Entry("result", "What an item made."),
    "status": Entry("status", "The daemon on one screen."),
    "tree": Entry("tree", "The supervision tree."),
    "agents": Entry("agents", "The agents, and how they are."),
    "events": Entry("events", "What happened, and what happens."),
    "health": Entry("health", "What lives and what does not."),
    "metrics": Entry("metrics", "The Prometheus page."),
    "drain": Entry("drain", "Take nothing new in and hand nothing out."),
    "resume": Entry("resume", "End a drain."),
    "stop": Entry("stop", "End the daemon in good order."),
    "doctor": Entry("doctor", "What is in the way, and how to mend it."),
    "config": Entry("config", "Check and show the settings."),
    "serve": Entry("serve", "Run the daemon in the foreground."),
    "sim": Entry("sim", "Run a simulated model server."),
    "version": Entry("version", "Which version this is, and which answers."),
}


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
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002 - click's signature
        """The table, without importing what it names."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, entry.says) for name, entry in COMMANDS.items()])


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="daruma")
def daruma() -> None:
    """Keeps LLM agents working unattended.

    Start a daemon with `daruma serve`, then hand it work with `daruma submit`.
    """
