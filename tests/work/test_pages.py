"""The pages say what the code says."""

import re
from enum import Enum
from typing import Any

import orjson
import pytest

from darumad.values import FieldInfo, fields
from darumad.work import KINDS, ParkReason, ScheduleReason, StopReason, WorkItem, WorkRecord, WorkResult, WorkState
from darumad.work.codec import limits_to_json
from darumad.work.item import Limits
from tests.work.pages import PAGE, TABLES, written

TEXT = PAGE.read_text()
REQUIRED: dict[str, Any] = {each.name: None for each in fields(WorkItem) if each.required}
BARE = WorkItem(**REQUIRED)
STORY = PAGE.parents[1] / "explanation" / "life-of-an-item.md"


def section(title: str) -> str:
    return TEXT.split(f"\n## {title}\n")[1].split("\n## ")[0]


def first_cells(title: str) -> list[str]:
    rows = [line.split(" | ")[0] for line in section(title).splitlines() if line.startswith("| `")]
    return [name for row in rows for name in re.findall(r"`(\w+)`", row)]


def default_of(field: FieldInfo) -> str:
    if field.required:
        return "required"
    value = getattr(BARE, field.name)
    return "`{}`" if value == Limits() else f"`{orjson.dumps(value).decode().replace(',', ', ')}`"


def test_every_field_of_an_item_is_there_in_order_with_its_default() -> None:
    rows = [line.split(" | ") for line in section("The item").splitlines() if line.startswith("| `")]
    assert [(row[0].strip("| `"), row[1]) for row in rows] == [(f.name, default_of(f)) for f in fields(WorkItem)]


def test_every_currency_of_a_budget_is_named() -> None:
    assert all(f"`{name}`" in section("The item") for name in limits_to_json(Limits()))


def test_every_field_of_a_record_is_there() -> None:
    assert set(first_cells("The record")) == set(WorkRecord.__struct_fields__)


def test_every_field_of_a_result_is_there() -> None:
    told_beside = {"usage"}  # by whoever reads a result, of the attempt that it came of
    assert set(first_cells("The result")) == {*WorkResult.__struct_fields__, *told_beside}


@pytest.mark.parametrize(("title", "words"), [("States", WorkState), ("Stop reasons", StopReason)])
def test_every_word_has_its_row_and_no_other_word_has_one(title: str, words: type[Enum]) -> None:
    assert set(first_cells(title)) == {each.value for each in words}


@pytest.mark.parametrize("reason", [*ParkReason, *ScheduleReason])
def test_every_reason_to_wait_is_named(reason: Enum) -> None:
    assert f"`{reason.value}`" in section("States")


@pytest.mark.parametrize("kind", list(KINDS))
def test_every_kind_has_its_row_and_its_advice(kind: str) -> None:
    assert section("Kinds of failure").count(f"\n| `{kind}` |") == 2


def test_the_tables_are_as_the_code_has_them() -> None:
    assert written(TEXT) == TEXT, "run: python -m tests.work.pages"


@pytest.mark.parametrize("name", list(TABLES))
def test_every_table_has_its_place(name: str) -> None:
    assert TABLES[name]() in TEXT


def test_the_story_and_the_reference_know_each_other() -> None:
    assert "(../reference/work-item.md)" in STORY.read_text()
    assert "(../explanation/life-of-an-item.md)" in TEXT
