"""The disk that is cut off: what was synced stays, what was not may go, and nothing else happens."""

import random
from collections.abc import Iterable
from pathlib import Path

from tests.crash.disk import SECTOR, Change, Disk, Kind

CUTS = 80


def change(kind: Kind, path: str, *, offset: int = 0, data: bytes = b"") -> Change:
    return Change(0, kind, path, offset, data)


def left(place: Path, changes: Iterable[Change], name: str = "file") -> set[bytes | None]:
    """Every content that a file was found with, after many cuts; None where it was gone."""
    place.mkdir(exist_ok=True)
    disk = Disk()
    for each in changes:
        disk.play(each)
    rng, found = random.Random(1), set()
    for number in range(CUTS):
        disk.cut(place / str(number), rng)
        file = place / str(number) / name
        found.add(file.read_bytes() if file.exists() else None)
    return found


MADE = (change("C", "/file"), change("W", "/file", data=b"old"))
KEPT = (*MADE, change("S", "/file"), change("S", ""))


def test_what_was_synced_with_its_folder_is_there(tmp_path: Path) -> None:
    assert left(tmp_path, KEPT) == {b"old"}


def test_a_file_in_a_folder_that_was_not_synced_may_be_gone_with_all_it_had(tmp_path: Path) -> None:
    assert left(tmp_path, (*MADE, change("S", "/file"))) == {b"old", None}


def test_what_was_written_after_the_sync_is_there_or_not(tmp_path: Path) -> None:
    assert left(tmp_path, (*KEPT, change("W", "/file", data=b"new"))) == {b"old", b"new"}


def test_of_two_writes_the_later_may_be_there_without_the_earlier(tmp_path: Path) -> None:
    written = (change("W", "/file", data=b"n"), change("W", "/file", offset=1, data=b"ew"))
    assert left(tmp_path, (*KEPT, *written)) == {b"old", b"nld", b"oew", b"new"}


def test_a_write_of_several_sectors_may_be_torn_between_them(tmp_path: Path) -> None:
    found = left(tmp_path, (*KEPT, change("W", "/file", data=b"x" * 2 * SECTOR)))
    assert {len(each) for each in found if each is not None} == {3, SECTOR, 2 * SECTOR}


def test_a_cut_of_a_file_is_undone_until_it_is_synced(tmp_path: Path) -> None:
    shortened = change("T", "/file", offset=1)
    assert left(tmp_path / "a", (*KEPT, shortened)) == {b"old", b"o"}
    assert left(tmp_path / "b", (*KEPT, shortened, change("S", "/file"))) == {b"o"}


def test_a_rename_is_the_old_or_the_new_and_never_neither(tmp_path: Path) -> None:
    replaced = (*KEPT, change("C", "/new"), change("W", "/new", data=b"new"), change("S", "/new"))
    assert left(tmp_path, (*replaced, change("R", "/new", data=b"/file"))) == {b"old", b"new"}


def test_a_folder_whose_name_was_not_synced_takes_its_files_with_it(tmp_path: Path) -> None:
    below = (change("M", "/f"), change("C", "/f/file"), change("S", "/f/file"), change("S", "/f"))
    assert left(tmp_path / "a", below, "f/file") == {b"", None}
    assert left(tmp_path / "b", (*below, change("S", "")), "f/file") == {b""}
