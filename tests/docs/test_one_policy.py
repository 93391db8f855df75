"""Who waits and tries again: the one policy of the broker, and nobody else anywhere in the daemon."""

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2] / "src" / "darumad"
ALLOWED = {
    "agents/providers/policy.py: tenacity",
    "control/server.py: sleep",  # of 0, until the HTTP server says that it has begun
    "control/streams.py: sleep",  # it gathers what a follower is sent next
}
OUTSIDE = ROOT / "sim"
"""The simulator is no part of the daemon: it is slow where a scenario says so."""


def used(file: Path) -> Iterator[str]:
    """What the code of `file` has of a retry, by any name that it may be imported under."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        match node:
            case ast.Import(names=names) | ast.ImportFrom(module=None, names=names):
                found = {each.name.partition(".")[0] for each in names}
            case ast.ImportFrom(module=str(module), names=names):
                found = {module.partition(".")[0], *(each.name for each in names)}
            case ast.Attribute(attr=name):
                found = {name}
            case _:
                continue
        yield from found & {"tenacity", "sleep"}


def test_nothing_sleeps_or_tries_again_outside_the_brokers_policy() -> None:
    files = [each for each in ROOT.rglob("*.py") if not each.is_relative_to(OUTSIDE)]
    assert {f"{each.relative_to(ROOT)}: {word}" for each in files for word in used(each)} == ALLOWED
