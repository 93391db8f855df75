"""`daruma result`: what an item made, on the screen or in a directory."""

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path

import click

from darumad.cli.online import Line, online
from darumad.cli.speaking import Json
from darumad.cli.submit import show_result
from darumad.errors import Broken, Problem, Refused

_CHUNK = 1 << 20


@click.command()
@click.argument("name", metavar="ID")
@click.option("--save", type=click.Path(file_okay=False, path_type=Path), metavar="DIR", help="Save its files there.")
@online
def result(line: Line, name: str, save: Path | None) -> None:
    """What an item made; with --save its files, and the result itself as result.json."""
    reply = line.client.call("result", id=name)
    if save is None:
        show_result(line, reply)
        return
    saved = []
    for each in reply.get("artifacts") or ():
        _save(line, name, each, save)
        saved.append(str(save / each["name"]))
    (save / "result.json").write_text(json.dumps(reply, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    line.show({"id": name, "saved": [*saved, str(save / "result.json")]}, _saved_lines)


def _save(line: Line, item: str, artifact: Json, directory: Path) -> None:
    """Fetches one file, checks it, and puts it in its place in one move."""
    target = _place(directory, str(artifact["name"]))
    target.parent.mkdir(parents=True, exist_ok=True)
    incoming = target.with_name(f".{target.name}.incoming")
    digest = hashlib.sha256()
    with line.client.download(item, str(artifact["name"])) as source, incoming.open("wb") as file:
        while chunk := source.stream.read(_CHUNK):
            digest.update(chunk)
            file.write(chunk)
    if digest.hexdigest() != artifact["sha256"]:
        incoming.unlink()
        raise Broken(f"{artifact['name']} is not what the result says it is: its digest differs")
    incoming.replace(target)


def _place(directory: Path, name: str) -> Path:
    """Where a file called `name` goes; never outside of `directory`."""
    directory.mkdir(parents=True, exist_ok=True)
    target = (directory / name).resolve()
    if not target.is_relative_to(directory.resolve()):
        raise Refused("the result names a file outside of the directory", problems=[Problem("/artifacts", name)])
    return target


def _saved_lines(reply: Json) -> Iterable[str]:
    return list(reply["saved"])
