"""Each item's files lie in a directory of its own, whatever it is called and whatever was uploaded for it."""

import errno
import io
import os
import tarfile
import threading
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest

from darumad import directories
from darumad.agents.artifacts import artifact
from darumad.archives import TAR
from darumad.bridge import Workspaces, unpacking
from darumad.bridge.unpacking import Unfit
from darumad.values import changed
from darumad.work.causes import ENDS, Course
from darumad.work.item import Input, WorkItem
from darumad.work.kinds import verdict
from darumad.work.ports import Context
from darumad.work.result import StopReason, WorkResult
from tests.bridge.room import UNPACK_LIMITS, Room, completed
from tests.work.build import item

Rooms = Callable[..., Room]


@pytest.fixture
def workspaces(tmp_path: Path) -> Workspaces:
    return Workspaces(tmp_path / "workspaces", tmp_path / "uploads", UNPACK_LIMITS)


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


# --- what is laid out in them -----------------------------------------------------------------------------------------


def tarred(*members: tuple[str, bytes], **fields: Any) -> bytes:
    """A plain tar of these files; `fields` are set on each of its headers."""
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w") as archive:
        for name, content in members:
            member = tarfile.TarInfo(name)
            member.size = len(content)
            for field, value in fields.items():
                setattr(member, field, value)
            archive.addfile(member, io.BytesIO(content))
    return made.getvalue()


def uploaded(directory: Path, content: bytes, *names: str, media_type: str = "text/plain") -> tuple[Input, ...]:
    """`content` as the upload behind each of `names`."""
    (directory / "uploads").mkdir(exist_ok=True)
    (directory / "uploads" / ("0" * 64)).write_bytes(content)
    return tuple(Input(name=name, upload="0" * 64, media_type=media_type) for name in names)


def fill(workspaces: Workspaces, inputs: Iterable[Input]) -> dict[str, Path]:
    return dict(workspaces.fill(item(inputs=tuple(inputs)), workspaces.place("a", 0), threading.Event()))


@pytest.mark.parametrize("names", [("a/b/c",), ("x", ".x.partial"), ("n" * 255,), ("a/b", "a/c"), (".partial-0",)])
def test_every_name_that_is_taken_is_laid_out(workspaces: Workspaces, tmp_path: Path, names: tuple[str, ...]) -> None:
    placed = fill(workspaces, uploaded(tmp_path, b"here", *names))
    assert {name: path.read_bytes() for name, path in placed.items()} == dict.fromkeys(names, b"here")
    assert [each.name for each in workspaces.place("a", 0).iterdir()] == ["inputs"]


def test_a_tar_becomes_a_directory(workspaces: Workspaces, tmp_path: Path) -> None:
    placed = fill(workspaces, uploaded(tmp_path, tarred(("deep/m.py", b"pass")), "package", media_type=TAR))
    assert (placed["package"] / "deep" / "m.py").read_bytes() == b"pass"


def test_a_tar_is_laid_out_however_deep_its_directories_lie(workspaces: Workspaces, tmp_path: Path) -> None:
    within = "d/" * 1_800
    try:
        placed = fill(workspaces, uploaded(tmp_path, tarred((f"{within}m.py", b"pass")), "package", media_type=TAR))
        assert (placed["package"] / within / "m.py").read_bytes() == b"pass"
    finally:
        directories.remove(tmp_path / "workspaces")


def test_a_directory_that_tar_packed_itself_is_laid_out_with_what_may_be_run(
    workspaces: Workspaces, tmp_path: Path
) -> None:
    package = tmp_path / "package"
    (package / "empty").mkdir(parents=True)
    for name, mode in (("run", 0o700), ("read", 0o600)):
        (package / name).write_text(name)
        (package / name).chmod(mode)
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w") as archive:
        archive.add(package, ".")
    placed = fill(workspaces, uploaded(tmp_path, made.getvalue(), "package", media_type=TAR))["package"]
    assert sorted(each.name for each in placed.iterdir()) == ["empty", "read", "run"]
    assert [os.access(placed / name, os.X_OK) for name in ("run", "read", "empty")] == [True, False, True]
    assert (placed / "read").read_text() == "read"


UNFIT = {
    "garbage": b"\x13garbage" * 1000,
    "nothing at all": b"",
    "cut short": tarred(("a", bytes(5000)))[:2048],
    "compressed": b"\x1f\x8b\x08" + bytes(600),
    "outside": tarred(("../../a", b"1")),
    "a device": tarred(("a", b""), type=tarfile.CHRTYPE),
    "a pipe": tarred(("a", b""), type=tarfile.FIFOTYPE),
    "outside by its root": tarred(("/a", b"1")),
    "a link to outside": tarred(("a", b""), type=tarfile.SYMTYPE, linkname="/etc/passwd"),
    "a link within": tarred(("a", b"1"), ("b", b""), type=tarfile.SYMTYPE, linkname="a"),
    "a hard link": tarred(("b", b""), type=tarfile.LNKTYPE, linkname="a"),
    "a file as a directory": tarred(("a", b"1"), ("a/b", b"2")),
    "a name too long": tarred(("n" * 300, b"1")),
    "too large": tarred(("a", bytes(UNPACK_LIMITS.size // 2)), ("b", bytes(UNPACK_LIMITS.size // 2 + 1))),
    "too many files": tarred(*((str(number), b"") for number in range(UNPACK_LIMITS.files + 1))),
}


@pytest.mark.parametrize("content", UNFIT.values(), ids=UNFIT.keys())
def test_a_tar_that_cannot_be_unpacked_is_named_as_the_fault_and_leaves_nothing(
    workspaces: Workspaces, tmp_path: Path, content: bytes
) -> None:
    with pytest.raises(Unfit) as unfit:
        fill(workspaces, uploaded(tmp_path, content, "package", media_type=TAR))
    assert unfit.value.problem.pointer == "/inputs/0"
    assert list(workspaces.place("a", 0).iterdir()) == []


def test_a_tar_that_is_too_much_is_refused_before_anything_of_it_is_laid_out(
    workspaces: Workspaces, tmp_path: Path
) -> None:
    members = [("../first", b""), *((str(number), b"") for number in range(UNPACK_LIMITS.files))]
    with pytest.raises(Unfit, match="unpacks to more than 1,000 files"):
        fill(workspaces, uploaded(tmp_path, tarred(*members), "package", media_type=TAR))


def test_what_nobody_waits_for_is_not_unpacked_to_its_end(workspaces: Workspaces, tmp_path: Path) -> None:
    stopped = threading.Event()
    stopped.set()
    given = item(inputs=uploaded(tmp_path, tarred(("a", b"1")), "package", media_type=TAR))
    with pytest.raises(InterruptedError):
        workspaces.fill(given, workspaces.place("a", 0), stopped)
    assert list(workspaces.place("a", 0).iterdir()) == []


class StoppedAfter(threading.Event):
    """Is set once somebody has looked so many times whether it is."""

    def __init__(self, looks: int) -> None:
        super().__init__()
        self.looks = looks

    def is_set(self) -> bool:
        self.looks -= 1
        return self.looks < 0


@pytest.mark.parametrize("media_type", [TAR, "text/plain"])
def test_one_large_file_that_nobody_waits_for_is_not_laid_out_to_its_end(
    workspaces: Workspaces, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, media_type: str
) -> None:
    monkeypatch.setattr(unpacking, "_BLOCK", 16 << 10)
    content = bytes(UNPACK_LIMITS.size // 2)
    large = tarred(("a", content)) if media_type == TAR else content
    given, stopped = item(inputs=uploaded(tmp_path, large, "package", media_type=media_type)), StoppedAfter(10)
    with pytest.raises(InterruptedError):
        workspaces.fill(given, workspaces.place("a", 0), stopped)
    assert stopped.looks == -1, "and it was not read on"
    assert list(workspaces.place("a", 0).iterdir()) == []


def test_the_journals_room_on_the_disk_is_left_to_it(tmp_path: Path) -> None:
    free = os.statvfs(tmp_path)
    limits = changed(UNPACK_LIMITS, spare=free.f_blocks * free.f_frsize)
    with pytest.raises(OSError, match="too little room") as full:
        fill(Workspaces(tmp_path / "w", tmp_path / "uploads", limits), uploaded(tmp_path, b"here", "a"))
    assert full.value.errno == errno.ENOSPC


def test_a_bad_upload_ends_its_item_as_invalid_and_is_no_crash_of_its_agent(room: Rooms, tmp_path: Path) -> None:
    stage = room()
    stage.begin(stage.work, held=stage.held(inputs=uploaded(tmp_path, b"no tar", "package", media_type=TAR)))
    result = stage.done().result
    assert result.error is not None
    assert (result.stop_reason, result.error.kind) == (StopReason.INVALID_ITEM, "invalid_item")
    assert result.error.message.startswith("/inputs/0 ")


def test_what_is_said_of_an_upload_is_never_as_long_as_what_was_sent(room: Rooms, tmp_path: Path) -> None:
    stage, content = room(), tarred(("../" + "a/" * 5000, b""))
    stage.begin(stage.work, held=stage.held(inputs=uploaded(tmp_path, content, "package", media_type=TAR)))
    error = stage.done().result.error
    assert error is not None
    assert error.kind == "invalid_item"
    assert len(error.message) < 1000


def test_a_disk_without_room_is_no_failure_of_the_item_which_waits_for_it(room: Rooms, tmp_path: Path) -> None:
    stage = room(spare=float(1 << 62))
    stage.begin(stage.work, held=stage.held(inputs=uploaded(tmp_path, b"here", "a")))
    error = stage.done().result.error
    assert error is not None
    assert error.kind == "no_room"
    assert verdict("no_room", circuit_open=False, moved={}) == "ignore"
    assert ENDS["no_room"].course is Course.WAIT_OUT


# --- when they are there ----------------------------------------------------------------------------------------------


def test_a_workspace_is_there_for_whoever_asks_for_it_and_is_made_for_nobody_else(room: Rooms, tmp_path: Path) -> None:
    async def writes(item: WorkItem, context: Context) -> WorkResult:
        if item.id == "two":
            (context.workspace / "letter").write_text("Dear board")
        return completed(artifacts=[artifact(context.workspace, "letter")] if item.id == "two" else ())

    stage = room()
    seat = stage.spawned()
    for name in ("one", "two"):
        stage.begin(writes, stage.held(name), seat)
        assert stage.done().result.success
    assert [home.name for home in (tmp_path / "workspaces").iterdir()] == ["two"]
