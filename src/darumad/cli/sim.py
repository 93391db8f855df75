"""`daruma sim`: a model server for tests and first tries, which speaks the vendors' protocols."""

from collections.abc import Sequence

import click


@click.command(context_settings={"ignore_unknown_options": True, "help_option_names": []})
@click.argument("args", nargs=-1, type=click.UNPROCESSED)
def sim(args: Sequence[str]) -> None:
    """Run a simulated model server; `daruma sim --help` says how."""
    from darumad.sim import main  # noqa: PLC0415 - needed by this command only

    click.get_current_context().exit(main(list(args)))
