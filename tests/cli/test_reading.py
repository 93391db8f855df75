"""What is handed in as a file, on standard input and as words: read as it is meant, or refused by its place."""

import io
import json
import os
import socket
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Any

import pytest

from darumad.cli.packing import packed
from darumad.errors import Refused
from tests.cli.conftest import Run
from tests.control.room import CLEAR, Served
from tests.kit.deep import dug

TEXT = "Write a report of all the specific files because the goal must be met using only the tools"
DEEP = '{"context": ' + "[" * 20_000 + "]" * 20_000 + "}"


def _daruma(served: Served, *argv: str | bytes, **more: Any) -> "subprocess.CompletedProcess[bytes]":
    """Runs `daruma` with words and input that may be no text."""
    command = [sys.executable, "-m", "darumad", *argv, "--socket", str(served.path)]
    return subprocess.run(command, capture_output=True, timeout=60, check=False, **more)


@pytest.mark.parametrize("how", [("submit", "-f"), ("submit", "--item"), ("batch",)], ids=" ".join)
@pytest.mark.parametrize("given", ["bin", "-"])
def test_what_is_no_text_is_refused_by_its_place(
    served: Served, tmp_path: Path, how: tuple[str, ...], given: str
) -> None:
    (tmp_path / "bin").write_bytes(b"\xff\xfe")
    done = _daruma(served, *how, given, cwd=tmp_path, input=b"\xff\xfe")
    place = "bin" if given == "bin" else "standard input"
    first, second, _ = done.stderr.decode().splitlines()
    assert (done.returncode, first) == (2, f"daruma: {place} is no text in UTF-8")
    assert second.startswith(f"  {place}: ")
    assert second.endswith(" at byte 0")


@pytest.mark.parametrize("how", [("submit", "-f"), ("submit", "--item"), ("batch",)], ids=" ".join)
def test_what_never_ends_is_not_read_for_ever(served: Served, how: tuple[str, ...]) -> None:
    done = _daruma(served, *how, "/dev/zero")
    assert done.returncode == 2
    assert done.stderr.decode().splitlines()[0] == "daruma: /dev/zero is longer than a request may be"


@pytest.mark.parametrize("kind", ["a pipe that nobody writes to", "a device that never ends"])
def test_only_a_file_or_a_directory_is_uploaded_and_nothing_else_is_waited_for(
    served: Served, tmp_path: Path, kind: str
) -> None:
    place = "/dev/zero"
    if kind == "a pipe that nobody writes to":
        place = str(tmp_path / "pipe")
        os.mkfifo(place)
    done = _daruma(served, "submit", TEXT, "--input", place)
    assert done.returncode == 2
    assert done.stderr.decode().splitlines()[:2] == [
        f"daruma: {place} is neither a file nor a directory",
        "  --input: must be a file or a directory; write what comes from it into a file first",
    ]


@pytest.mark.parametrize(
    ("how", "text", "first", "second"),
    [
        ("submit --item", b"[1, 2]", "holds no item", "an item is one JSON object; `daruma batch` takes many"),
        ("batch", b'{"id": "a"}\n\n3', "holds what is no item", "line 3 must be a JSON object"),
        ("batch", b"[]", "holds no items", "give one JSON object a line, or one array of them"),
        ("batch", b"\n", "holds no items", "give one JSON object a line, or one array of them"),
        ("batch", b'[{"id": "a"}, 3]', "holds what is no item", "/1 must be a JSON object"),
    ],
)
def test_json_that_is_no_item_is_refused_by_its_place_and_with_what_is_one(
    served: Served, how: str, text: bytes, first: str, second: str
) -> None:
    done = _daruma(served, *how.split(), "-", input=text)
    assert done.stderr.decode().splitlines()[:2] == [f"daruma: standard input {first}", f"  standard input: {second}"]
    assert done.returncode == 2


def test_a_file_larger_than_an_upload_is_named_with_both_sizes_and_not_sent(served: Served, tmp_path: Path) -> None:
    large = tmp_path / "large.bin"
    with large.open("wb") as file:
        file.truncate((1 << 30) + 1)
    done = _daruma(served, "submit", TEXT, "--input", str(large))
    assert done.returncode == 2
    first, second = done.stderr.decode().splitlines()
    assert first.startswith(f"daruma: {large} has 1,073,741,825 bytes, and an upload has at most 1,073,741,824:")
    assert "a large file in several" in second
    assert not list(served.room.directory.rglob(".incoming-*"))


@pytest.mark.parametrize(
    ("argv", "places"),
    [
        (("submit", b"say \xff"), ["/description: holds \\udcff"]),
        (("submit", TEXT, "--label", b"a=\xff", "--label", b"\xfe=b", "--requirement", "one", "--requirement", b"\xfd"),
         ["/requirements/1: holds \\udcfd", "/labels/a: holds \\udcff", "/labels/\\udcfe: holds \\udcfe"]),
        (("work", "show", b"\xff"), ["/id: holds \\udcff"]),
        (("work", "list", "--agent", b"\xff"), ["/agent: holds \\udcff"]),
    ],
)  # fmt: skip
def test_words_of_the_command_line_that_are_no_text_are_refused_by_their_place(
    served: Served, argv: tuple[str | bytes, ...], places: list[str]
) -> None:
    done = _daruma(served, *argv)
    assert done.returncode == 2
    first, *told, _ = done.stderr.decode().splitlines()
    assert first == "daruma: what was said is no text in UTF-8"
    assert [each.strip() for each in told] == places


@pytest.mark.parametrize(
    ("how", "text", "said"),
    [
        ("submit --item", DEEP, "items is nested too deep to be read"),
        ("submit --item", '{\n "id": one}', ": line 2 column 8"),
        ("batch", '{"description": "a"}\n{oops}\n', ": line 2 column 2"),
        ("batch", '\n\n{"n": 1' + "0" * 5000 + "}", "more digits than can be read; send it as a text: line 3"),
        ("batch", '[{"description": "a"},\n {"description"}]', ": line 2 column 16"),
    ],
    ids=["nested", "an item", "a line", "a number", "an array"],
)
def test_what_is_no_json_is_refused_with_the_line_that_the_file_has_it_at(
    run: Run, tmp_path: Path, how: str, text: str, said: str
) -> None:
    (tmp_path / "items").write_text(text)
    done = run(*how.split(), "items", cwd=tmp_path)
    assert done.returncode == 2
    assert said in done.stderr


def test_a_line_of_a_batch_ends_at_its_line_feed_alone(served: Served, run: Run, tmp_path: Path) -> None:
    items = [{**CLEAR, "id": name, "description": "a report\u2028of all\u0085the files"} for name in ("a", "b")]
    (tmp_path / "items").write_text("\r\n".join(json.dumps(each, ensure_ascii=False) for each in items), newline="")
    assert run("batch", str(tmp_path / "items")).returncode == 0
    assert served.client.call("work show", id="b")["asked"]["description"] == items[1]["description"]


@pytest.mark.parametrize(
    ("argv", "named"),
    [
        (["-f", "task", "some", "words"], ("--file task", "TEXT (some words)")),
        (["--item", "item.json", "-f", "task"], ("--file task", "--item item.json")),
        (["some words", "--agent", ""], ("'--agent'", "it is empty")),
    ],
)
def test_what_is_said_twice_or_left_empty_is_refused_and_nothing_is_dropped(
    served: Served, run: Run, tmp_path: Path, argv: list[str], named: tuple[str, str]
) -> None:
    (tmp_path / "task").write_text(TEXT)
    (tmp_path / "item.json").write_text(json.dumps(CLEAR))
    done = run("submit", *argv, cwd=tmp_path, input="")
    assert done.returncode == 2
    assert all(each in done.stderr for each in named)
    assert not served.client.call("work list")["items"]


def test_a_standard_input_that_is_closed_holds_nothing(served: Served) -> None:
    for argv, said in (("submit", "say what is to be done"), ("batch -", "standard input cannot be read")):
        line = f"{sys.executable} -m darumad {argv} --socket {served.path} <&-"
        done = subprocess.run(["/bin/sh", "-c", line], capture_output=True, text=True, timeout=60, check=False)
        assert (done.returncode, said in done.stderr) == (2, True)


def test_a_key_that_stands_twice_in_a_file_is_refused_by_its_name(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "item.json"
    file.write_text('{"description": "a", "description": "b"}')
    done = run("submit", "--item", str(file))
    assert done.returncode == 2
    assert "the key 'description' stands twice; keep one" in done.stderr


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """A directory to hand in, beside something that is nobody's business."""
    place = tmp_path / "package"
    (place / "sub").mkdir(parents=True)
    (place / "real.py").write_text("real")
    (place / "sub" / "inner.py").write_text("inner")
    (tmp_path / "secret").mkdir()
    (tmp_path / "secret" / "key.py").write_text("secret")
    return place


def _packed(place: Path) -> tuple[dict[str, str], tuple[str, ...]]:
    """What is uploaded of a directory, each file by its name with its content, and the names of what is not."""
    with packed(place) as ready, tarfile.open(fileobj=io.BytesIO(ready.content.read())) as archive:
        held = {each.name: archive.extractfile(each) for each in archive if each.isfile()}
        assert len(held) == len(archive.getnames())
        return {name: file.read().decode() for name, file in held.items() if file is not None}, ready.left_out


def test_a_link_that_stays_inside_is_uploaded_as_what_it_points_to(package: Path) -> None:
    (package / "alias.py").symlink_to("real.py")
    (package / "again").symlink_to(package / "sub")
    (package / "sub" / "up.py").symlink_to("../alias.py")
    assert _packed(package) == (
        {
            "again/inner.py": "inner", "again/up.py": "real", "alias.py": "real",
            "real.py": "real", "sub/inner.py": "inner", "sub/up.py": "real",
        },
        (),
    )  # fmt: skip


def test_a_directory_that_is_handed_in_by_a_link_is_the_directory(package: Path) -> None:
    (package / "alias.py").symlink_to(package / "real.py")
    (package.parent / "link").symlink_to(package)
    assert _packed(package.parent / "link") == _packed(package)


def test_links_in_a_ring_are_uploaded_once_and_no_further(package: Path) -> None:
    (package / "other").mkdir()
    (package / "other" / "back").symlink_to("../sub")
    (package / "sub" / "there").symlink_to("../other")
    (package / "sub" / "round").symlink_to("..")
    names, left_out = _packed(package)
    assert sorted(names) == ["other/back/inner.py", "real.py", "sub/inner.py"]
    assert left_out == ("other/back/round", "other/back/there", "sub/round", "sub/there/back")


@pytest.mark.parametrize("target", ["../secret/key.py", "../secret", "nowhere", "link", ".", "sub/../..", "/dev/zero"])
def test_a_link_that_leads_elsewhere_is_not_followed_and_named(package: Path, target: str) -> None:
    (package / "link").symlink_to(target)
    assert _packed(package) == ({"real.py": "real", "sub/inner.py": "inner"}, ("link",))


def test_a_directory_that_lies_too_deep_is_refused(tmp_path: Path) -> None:
    with dug(tmp_path / "folder") as folder, pytest.raises(Refused) as refused, packed(folder):
        pass
    assert "cannot be read" in refused.value.message
    assert refused.value.problems[0].pointer == "--input"


def test_what_is_not_uploaded_of_a_directory_is_said_in_one_line(served: Served, package: Path) -> None:
    for number in range(3):
        (package / f"away{number}").symlink_to(package.parent)
    os.mkfifo(package / "pipe")
    os.mkfifo(package / "red\x1b[31m")
    with socket.socket(socket.AF_UNIX) as listener, pytest.MonkeyPatch.context() as here:
        here.chdir(package)
        listener.bind("socket")
    done = _daruma(served, "submit", TEXT, "--agent", "echo", "--input", str(package))
    said = f"daruma: not uploaded of {package}: away0, away1, away2, pipe, red\\x1b[31m and 1 more"
    why = "(links that lead out of it, nowhere or round, and what is no file)"
    assert (done.returncode, done.stderr.decode()) == (0, f"{said} {why}\n")
