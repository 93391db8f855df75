"""Each item's files lie in a directory of its own, whatever it is called and whatever was uploaded for it."""

from pathlib import Path

import pytest

from darumad.bridge import Workspaces


@pytest.fixture
def workspaces(tmp_path: Path) -> Workspaces:
    return Workspaces(tmp_path / "workspaces", tmp_path / "uploads")


# --- where they lie ---------------------------------------------------------------------------------------------------

IDS = ["a", "a:b", "a_b", "a.b", "A", ".", "..", "...", ".a", "::", "__", "i" * 256, "i" * 255 + ":", "i" * 255 + "_"]


def test_no_two_ids_share_a_directory_and_each_is_right_below_the_root(workspaces: Workspaces, tmp_path: Path) -> None:
    homes = [workspaces.home_of(each) for each in IDS]
    for home in homes:
        home.mkdir(parents=True)
    assert {home.resolve().parent for home in homes} == {tmp_path / "workspaces"}
    assert len({home.resolve() for home in homes}) == len(IDS)


def test_removing_one_items_files_leaves_everything_else(workspaces: Workspaces, tmp_path: Path) -> None:
    for each in IDS:
        workspaces.place(each, 0).mkdir(parents=True)
    workspaces.remove(workspaces.home_of(".."))
    assert len(workspaces.homes()) == len(IDS) - 1


@pytest.mark.parametrize("elsewhere", [".", "..", "a/0", "../uploads"])
def test_what_is_no_items_directory_is_not_removed(workspaces: Workspaces, tmp_path: Path, elsewhere: str) -> None:
    place = tmp_path / "workspaces" / elsewhere
    workspaces.place("a", 0).mkdir(parents=True)
    (tmp_path / "uploads").mkdir()
    with pytest.raises(ValueError, match="no item's directory"):
        workspaces.remove(place)
    assert place.is_dir()
