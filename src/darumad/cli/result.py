"""`daruma result`: what an item made, on the screen or in a directory."""

import hashlib
import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from darumad import directories
from darumad.cli.ending import unwritten
from darumad.cli.online import Line, online
from darumad.cli.paths import PathType
from darumad.cli.speaking import Json
from darumad.cli.submit import show_result
from darumad.errors import Problem, Refused


@click.command()
@click.argument("name", metavar="ID")
@click.option("--save", type=PathType(file_okay=False), metavar="DIR", help="Save its files there.")
@online
def result(line: Line, name: str, save: Path | None) -> None:
    """What an item made; with --save its files, and the result itself as result.json."""
    reply = line.client.call("result", id=name)
    if save is None:
        show_result(line, reply)
        return
    saved = [_save(line, name, each, save) for each in reply.get("artifacts") or ()]
    with _draft_of(save / "result.json") as draft:
        draft.write_text(json.dumps(reply, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    saved.append(save / "result.json")
    line.show({"id": name, "saved": [str(each) for each in saved]}, _saved_lines)


def _save(line: Line, item: str, artifact: Json, directory: Path) -> Path:
    """Fetches one file, checks it, and puts it in its place; where that is."""
    name = str(artifact["name"])
    digest = hashlib.sha256()
    with _draft_of(_place(directory, name)) as draft:
        with draft.open("wb") as file, line.client.download(item, name) as source:
            for chunk in source.chunks:
                digest.update(chunk)
                file.write(chunk)
        if digest.hexdigest() != artifact["sha256"]:
            told = f"{name} is no longer what it was when {item} ended: its digest differs"
            raise Refused(told, code="file_changed")
    return directory / name


@contextmanager
def _draft_of(target: Path) -> Iterator[Path]:
    """A file to write to, which goes to `target` in one move when all went well, and else goes away.

    Raises:
        Refused: `cannot_write`: the place cannot be written to.
    """
    draft = target.with_name(f".{target.name}.incoming")
    try:
        directories.make(target.parent)
        try:
            yield draft
            draft.replace(target)
        finally:
            draft.unlink(missing_ok=True)
    except OSError as error:
        raise unwritten(target, error) from error


def _place(directory: Path, name: str) -> Path:
    """Where a file called `name` goes; never outside of `directory`."""
    target = (directory / name).resolve()
    if not target.is_relative_to(directory.resolve()):
        raise Refused("the result names a file outside of the directory", problems=[Problem("/artifacts", name)])
    return target


def _saved_lines(reply: Json) -> Iterable[str]:
    return list(reply["saved"])
