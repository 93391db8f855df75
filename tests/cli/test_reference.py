"""The reference pages say what the tables say."""

from pathlib import Path

import pytest

from darumad.cli.group import COMMANDS, daruma
from darumad.control.metrics_table import BUCKETS, METRICS
from darumad.control.operations import OPERATIONS
from darumad.control.routes import BATCH_LIMIT, BODY_LIMIT, UPLOAD_LIMIT
from darumad.errors import CODES
from tests.cli import reference

REFERENCE = Path(__file__).parents[2] / "docs" / "reference"


def _page(name: str) -> str:
    return (REFERENCE / name).read_text(encoding="utf-8")


def test_the_page_of_commands_is_what_their_help_says() -> None:
    assert _page("commands.md") == reference.page(), "print it anew: python -m tests.cli.reference"


@pytest.mark.parametrize("name", [*OPERATIONS, *reference.names()])
def test_every_operation_and_every_command_has_its_heading(name: str) -> None:
    assert f"\n## {name}\n" in _page("commands.md")


@pytest.mark.parametrize("name", METRICS)
def test_every_metric_has_its_heading_its_labels_and_its_bounds(name: str) -> None:
    shape, page = METRICS[name], _page("metrics.md")
    section = page.partition(f"\n## {shape.full}\n")[2].partition("\n## ")[0]
    assert shape.kind.capitalize() in section
    assert shape.says in section
    assert all(f"`{label}`" in section for label in shape.labels)
    assert all(f"{bound:g}" in section for bound in BUCKETS.get(name, ()))


def test_no_metric_on_the_page_has_gone() -> None:
    assert _page("metrics.md").count("\n## ") == len(METRICS)


@pytest.mark.parametrize("code", CODES.values(), ids=list(CODES))
def test_every_error_code_has_its_heading_its_numbers_and_the_next_step(code: object) -> None:
    entry = CODES[code.code]  # type: ignore[attr-defined]
    section = _page("errors.md").partition(f"\n## {entry.code}\n")[2].partition("\n## ")[0]
    assert f"HTTP {entry.status}, exit code {entry.exit}." in section
    assert entry.next_step in section


def test_the_limits_on_the_page_are_the_limits() -> None:
    assert (BODY_LIMIT, BATCH_LIMIT, UPLOAD_LIMIT) == (1 << 20, 16 << 20, 1 << 30)
    assert "1 MiB, 16 MiB for a batch, 1 GiB for an upload" in _page("errors.md")


def test_every_command_has_its_line_in_the_help_and_says_the_same_itself() -> None:
    for name, entry in COMMANDS.items():
        command = daruma.get_command(None, name)  # type: ignore[arg-type]
        assert command is not None
        first = (command.help or "").partition(".")[0]
        assert entry.says.split(",")[0].rstrip(".").split()[0] in first
