"""What an agent leaves behind goes, however deep it lies and whatever modes it has; and nothing else does."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from darumad.directories import make, remove
from tests.kit.deep import dug

_AS_NOBODY = """
import os
from pathlib import Path
from darumad.directories import remove
os.setuid(65534)
try:
    remove(Path("mine"))
except OSError as error:
    print(error.strerror)
"""


def removed_by_nobody(beside: Path) -> str:
    """What a user without rights says who removes `mine`; the directory it lies in is theirs."""
    os.chown(beside, 65534, 65534)
    command = [sys.executable, "-c", _AS_NOBODY]
    done = subprocess.run(command, cwd=beside, capture_output=True, text=True, check=True, timeout=60)
    return done.stdout.strip()


def test_what_lies_deeper_than_a_path_is_long_goes(tmp_path: Path) -> None:
    with dug(tmp_path / "mine") as place:
        remove(place)
        assert not place.exists()


def test_a_directory_is_made_as_deep_as_a_path_may_be_long(tmp_path: Path) -> None:
    place = tmp_path / "mine" / ("d/" * 1_800)
    for _ in range(2):
        make(place)
    assert place.is_dir()
    remove(tmp_path / "mine")


def test_what_is_in_the_way_of_a_directory_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for place, error in ((tmp_path / "file", FileExistsError), (tmp_path / "file" / "inner", NotADirectoryError)):
        with pytest.raises(error):
            make(place)


def test_links_go_and_what_they_lead_to_stays(tmp_path: Path) -> None:
    kept, mine = tmp_path / "kept", tmp_path / "mine"
    kept.mkdir()
    (kept / "file").touch()
    (mine / "inner").mkdir(parents=True)
    for place in mine, mine / "inner":
        (place / "directory").symlink_to(kept)
        (place / "file").symlink_to(kept / "file")
        (place / "hard").hardlink_to(kept / "file")
        (place / "circle").symlink_to(place)
    remove(mine)
    assert ([each.name for each in kept.iterdir()], mine.exists()) == (["file"], False)


@pytest.mark.parametrize("kind", ["a file", "a link"])
def test_what_is_no_directory_is_not_removed(tmp_path: Path, kind: str) -> None:
    make(tmp_path / "kept" / "inner")
    place = tmp_path / "mine"
    if kind == "a link":
        place.symlink_to(tmp_path / "kept")
    else:
        place.touch()
    with pytest.raises(NotADirectoryError):
        remove(place)
    assert ((tmp_path / "kept" / "inner").is_dir(), place.exists()) == (True, True)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_directories_that_their_owner_closed_go_too(tmp_path: Path) -> None:
    mine = tmp_path / "mine"
    inmost = mine / "1" / "2" / "3"
    inmost.mkdir(parents=True)
    (inmost / "file").touch(mode=0)
    for each in inmost / "file", inmost, mine / "1" / "2", mine / "1", mine:
        os.chown(each, 65534, 65534)
        each.chmod(0)
    assert removed_by_nobody(tmp_path) == ""
    assert not mine.exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_what_is_somebody_elses_is_told_and_keeps_nothing_else_from_going(tmp_path: Path) -> None:
    mine = tmp_path / "mine"
    foreign = mine / "inner" / "foreign"
    foreign.mkdir(parents=True)
    (foreign / "file").touch()
    foreign.chmod(0o700)
    for name in "ab":
        (mine / "inner" / name).mkdir()
        (mine / name).touch()
    for each in mine, mine / "inner", mine / "inner" / "a", mine / "inner" / "b":
        os.chown(each, 65534, 65534)
    assert removed_by_nobody(tmp_path) == "Permission denied"
    assert sorted(each.relative_to(mine).as_posix() for each in mine.rglob("*")) == [
        "inner", "inner/foreign", "inner/foreign/file",
    ]  # fmt: skip
