"""Files that the daemon reads where it runs: below roots alone, and kept as they were when they were read."""

import os
import socket
import tarfile
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import pytest

from darumad.archives import TAR
from darumad.cli.packing import packed
from darumad.control import Client, on_submit, uploads
from darumad.control.roots import Roots, take_in
from darumad.control.routes import UPLOAD_LIMIT
from darumad.errors import Refused, Unavailable
from darumad.names import ItemId
from darumad.work.item import Input
from tests.control.room import CLEAR, Room, Served, serving
from tests.kit.house import busy
from tests.work.build import item

SECRET = b"nobody's business"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A root with a file and a directory in it; a secret lies beside it."""
    root = tmp_path / "root"
    (root / "package" / "sub").mkdir(parents=True)
    (root / "note.txt").write_bytes(b"as it was")
    (root / "package" / "b.py").write_bytes(b"b")
    (root / "package" / "sub" / "a.py").write_bytes(b"a")
    (tmp_path / "secret").write_bytes(SECRET)
    return root


@pytest.fixture
def rooted(room: Room, root: Path) -> Iterator[Served]:
    room.input_roots = (root,)
    with serving(room) as served:
        yield served


def handed(path: Path | str, name: str = "it", **more: Any) -> dict[str, Any]:
    return {**CLEAR, "id": "one", "inputs": [{"name": name, "path": str(path), **more}]}


def refusal(served: Served, sent: dict[str, Any]) -> dict[str, str]:
    with pytest.raises(Refused) as refused:
        served.client.submit(sent)
    assert served.room.journal.reader().record(ItemId("one")) is None
    assert not list(served.room.directory.glob("uploads/.incoming-*"))
    return {each.pointer: each.detail for each in refused.value.problems}


def taken(served: Served) -> Input:
    record = served.room.journal.reader().record(ItemId("one"))
    assert record is not None
    return record.item.inputs[0]


def content(served: Served) -> bytes:
    upload = taken(served).upload
    assert upload is not None
    return (served.room.directory / "uploads" / upload).read_bytes()


# --- what is taken in -------------------------------------------------------------------------------------------------


def test_an_item_keeps_a_file_as_it_was_when_it_was_handed_in(rooted: Served, root: Path) -> None:
    assert rooted.client.submit(handed(root / "note.txt", media_type="text/markdown"))["state"] == "ready"
    (root / "note.txt").write_bytes(b"changed")
    assert content(rooted) == b"as it was"
    asked = rooted.client.call("work show", id="one")["asked"]["inputs"][0]
    assert (asked["path"], asked["media_type"], asked["text"]) == (str(root / "note.txt"), "text/markdown", None)


def test_a_directory_is_the_same_tar_that_a_caller_would_upload(rooted: Served, root: Path) -> None:
    (root / "package" / "sub" / "a.py").chmod(0o755)
    rooted.client.submit(handed(root / "package"))
    with packed(root / "package") as uploaded:
        assert (taken(rooted).upload, taken(rooted).media_type) == (uploaded.sha256, TAR)


def test_of_a_directory_regular_files_are_taken_and_what_is_left_out_is_named_no_link_is_followed(
    rooted: Served, root: Path
) -> None:
    package = root / "package"
    (package / "link.py").symlink_to(root / "note.txt")
    (package / "away").symlink_to(root.parent)
    (package / "self").symlink_to(package)
    (package / "sub" / os.fsdecode(b"\xff")).symlink_to(package)
    os.mkfifo(package / "pipe")
    with socket.socket(socket.AF_UNIX) as listener, pytest.MonkeyPatch.context() as here:
        here.chdir(package)
        listener.bind("socket")
    said = rooted.client.submit(handed(package))["warnings"]
    named = f"not taken of {package}: away, link.py, pipe, self, socket and 1 more (links, and what is no file)"
    assert f"{named}; upload it instead (`--input`) for the links in it" in said
    (package / "self").unlink()
    assert "socket, sub/\\xff (links" in rooted.client.submit({**handed(package), "id": "two"})["warnings"][-1]
    upload = rooted.room.directory / "uploads" / str(taken(rooted).upload)
    with tarfile.open(upload) as archive:
        assert archive.getnames() == ["b.py", "sub/a.py"]


@pytest.mark.parametrize("link", ["inside", "outside"])
def test_a_link_is_followed_to_what_lies_below_a_root(rooted: Served, root: Path, tmp_path: Path, link: str) -> None:
    place = root / "link" if link == "inside" else tmp_path / "link"
    place.symlink_to(root / "note.txt")
    rooted.client.submit(handed(place))
    assert content(rooted) == b"as it was"


def test_a_root_may_be_a_link_itself(room: Room, root: Path, tmp_path: Path) -> None:
    (tmp_path / "alias").symlink_to(root)
    room.input_roots = (tmp_path / "nowhere", tmp_path / "alias")
    with serving(room) as served:
        served.client.submit(handed(tmp_path / "alias" / "note.txt"))
        assert content(served) == b"as it was"


def test_an_item_that_is_handed_in_again_is_the_same_whatever_became_of_its_file(rooted: Served, root: Path) -> None:
    assert rooted.client.submit(handed(root / "note.txt"))["created"]
    (root / "note.txt").unlink()
    assert not rooted.client.submit(handed(root / "note.txt"))["created"]
    assert content(rooted) == b"as it was"


# --- what is refused --------------------------------------------------------------------------------------------------


def _secret(root: Path) -> Path:
    return root.parent / "secret"


def _nothing_outside(root: Path) -> Path:
    return root.parent / "nothing"


def _traversal(root: Path) -> str:
    return f"{root}/package/../../secret"


def _link_out(root: Path) -> Path:
    (root / "link").symlink_to(root.parent / "secret")
    return root / "link"


def _link_to_nothing_outside(root: Path) -> Path:
    (root / "link").symlink_to(root.parent / "nothing")
    return root / "link"


def _through_a_directory_link(root: Path) -> Path:
    (root / "out").symlink_to(root.parent)
    return root / "out" / "secret"


def _sibling_of_the_same_beginning(root: Path) -> Path:
    place = root.with_name("rooted")
    place.write_bytes(SECRET)
    return place


def _through_proc(_: Path) -> str:
    return "/proc/self/cwd/pyproject.toml"


@pytest.mark.parametrize(
    "path",
    [
        _secret,
        _nothing_outside,
        _traversal,
        _link_out,
        _link_to_nothing_outside,
        _through_a_directory_link,
        _sibling_of_the_same_beginning,
        _through_proc,
    ],
)
def test_what_lies_below_no_root_is_refused_in_the_same_words_whether_it_is_there_or_not(
    rooted: Served, root: Path, path: Callable[[Path], Path | str]
) -> None:
    assert refusal(rooted, handed(path(root))) == {
        "/inputs/0/path": f"lies below none of the directories that may be named: {root} (`item.input_roots`); "
        "upload it instead (`--input`)"
    }


def _missing(root: Path) -> Path:
    return root / "missing"


def _below_a_file(root: Path) -> Path:
    return root / "note.txt" / "below"


def _loop(root: Path) -> Path:
    (root / "loop").symlink_to(root / "loop")
    return root / "loop"


def _pipe(root: Path) -> Path:
    os.mkfifo(root / "pipe")
    return root / "pipe"


def _too_large(root: Path) -> Path:
    os.truncate(root / "note.txt", UPLOAD_LIMIT + 1)
    return root / "note.txt"


def _too_large_within(root: Path) -> Path:
    os.truncate(root / "package" / "b.py", UPLOAD_LIMIT + 1)
    return root / "package"


def _too_deep(root: Path) -> Path:
    place = root / "deep"
    place.joinpath(*["d"] * 101).mkdir(parents=True)
    return place


@pytest.mark.parametrize(
    ("path", "says"),
    [
        (_missing, "No such file or directory; correct it, or upload it"),
        (_below_a_file, "Not a directory"),
        (_loop, "Too many levels of symbolic links"),
        (lambda root: root / ("x" * 300), "File name too long"),
        (_pipe, "neither a regular file nor a directory; name one"),
        (_too_large, f"larger than the {UPLOAD_LIMIT} bytes of an upload; hand in less of it"),
        (_too_large_within, f"larger than the {UPLOAD_LIMIT} bytes of an upload"),
        (_too_deep, "holds directories in more than 100 others"),
        (lambda _: "note.txt", "must be an absolute path"),
        (lambda _: "../note.txt", "must be an absolute path"),
        (lambda root: f"{root}/note.txt\0", "without a NUL"),
        (lambda _: "", "must not be empty"),
    ],
)
def test_what_cannot_be_handed_in_is_refused_by_its_pointer(
    rooted: Served, root: Path, path: Callable[[Path], Path | str], says: str
) -> None:
    told = refusal(rooted, handed(path(root)))
    assert list(told) == ["/inputs/0/path"]
    assert says in told["/inputs/0/path"]


def test_without_roots_no_path_is_read(served: Served, root: Path) -> None:
    told = refusal(served, handed(root / "note.txt"))
    assert told == {
        "/inputs/0/path": "cannot be read: `item.input_roots` of the settings names no directory; "
        "upload it instead (`--input`)"
    }


@pytest.mark.parametrize("other", [{"text": "words"}, {"upload": "0" * 64}])
def test_an_input_has_one_source(rooted: Served, root: Path, other: dict[str, str]) -> None:
    assert "must have one of text, upload and path" in refusal(rooted, handed(root / "note.txt", **other))["/inputs/0"]


def test_of_a_batch_every_path_is_named_by_its_place_and_nothing_is_accepted(rooted: Served, root: Path) -> None:
    bad = {**CLEAR, "inputs": [{"name": "a", "path": str(root / "note.txt")}, {"name": "b", "path": "/etc/passwd"}]}
    with pytest.raises(Refused) as refused:
        rooted.client.batch([handed(root / "note.txt"), bad, CLEAR, handed(root / "gone", "c") | {"id": "two"}])
    assert [each.pointer for each in refused.value.problems] == ["/items/1/inputs/1/path", "/items/3/inputs/0/path"]
    assert not any(rooted.room.journal.reader().counts().values())


# --- while it is read -------------------------------------------------------------------------------------------------


def roots_of(root: Path, **more: Any) -> Roots:
    return Roots(**{"directories": (root,), "upload_dir": root.parent / "uploads", "spare": 0, **more})


def test_a_link_that_is_swapped_meanwhile_leads_to_nothing_outside(root: Path) -> None:
    link, spare = root / "link", root / "spare"
    link.symlink_to(root / "note.txt")

    def swap() -> None:
        for target in (root.parent / "secret", root / "note.txt"):
            spare.symlink_to(target)
            spare.rename(link)

    asked = item(inputs=(Input(name="it", path=str(link)),))
    had = 0
    with busy(swap):
        for _ in range(500):
            with suppress(Refused):
                take_in(asked, roots_of(root), "")
                had += 1
    assert 0 < had < 500, "it was met both ways"
    assert [each.read_bytes() for each in (root.parent / "uploads").iterdir()] == [b"as it was"]


def test_a_directory_that_is_swapped_for_a_link_while_it_is_read_leads_to_nothing_outside(root: Path) -> None:
    sub, away, link = (root / "package" / name for name in ("sub", "away", "link"))
    outside = root.parent / "outside"
    outside.mkdir()
    (outside / "secret.py").write_bytes(SECRET)
    link.symlink_to(outside)

    def swap() -> None:
        sub.rename(away)
        link.rename(sub)
        sub.rename(link)
        away.rename(sub)

    asked = item(inputs=(Input(name="it", path=str(root / "package")),))
    with busy(swap):
        for _ in range(500):
            take_in(asked, roots_of(root), "")
    kept = [each.read_bytes() for each in (root.parent / "uploads").iterdir()]
    assert len(kept) > 1, "it was met both ways"
    assert not [each for each in kept if SECRET in each]


def test_a_disk_without_room_is_to_be_waited_for_and_nothing_is_left(root: Path) -> None:
    asked = item(inputs=(Input(name="it", path=str(root / "package")),))
    with pytest.raises(Unavailable) as full:
        take_in(asked, roots_of(root, spare=1 << 62), "")
    assert full.value.code == "disk_full"
    assert list((root.parent / "uploads").iterdir()) == []


def test_what_grows_beyond_an_upload_while_it_is_read_is_not_kept(tmp_path: Path) -> None:
    with pytest.raises(uploads.TooLarge):
        uploads.keep_written(lambda into: into.writelines([b"12345"] * 3), tmp_path, spare=0, limit=14)
    assert list(tmp_path.iterdir()) == []


def test_nobody_waits_for_files_that_take_long(rooted: Served, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    begun, go_on = threading.Event(), threading.Event()

    def slowly(*asked: Any) -> Any:
        begun.set()
        assert go_on.wait(10)
        return take_in(*asked)

    monkeypatch.setattr(on_submit, "take_in", slowly)
    with ExitStack() as after:
        sending = threading.Thread(target=lambda: rooted.client.submit(handed(root / "note.txt")))
        sending.start()
        after.callback(sending.join)
        after.callback(go_on.set)
        assert begun.wait(10)
        other = Client(rooted.path)
        after.callback(other.close)
        assert other.submit({**CLEAR, "id": "two"})["state"] == "ready"
    assert content(rooted) == b"as it was"
