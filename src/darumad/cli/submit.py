"""`daruma submit`: one item, from words, a file, standard input or JSON."""

import contextlib
import json
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any

import click

from darumad.cli import speaking
from darumad.cli.durations import DURATION
from darumad.cli.naming import WORD, labels_of, moment_in, named
from darumad.cli.online import Line, online
from darumad.cli.packing import media_type_of, packed
from darumad.cli.paths import PathType
from darumad.cli.reading import is_given, parsed, refused, text_of
from darumad.cli.speaking import Json, amount_words
from darumad.cli.waiting import Patience, patient, settled, tell_end, tell_questions
from darumad.plural import counted

_PLACE = PathType(exists=True)
_FILE = PathType(exists=True, dir_okay=False, allow_dash=True)


@click.command()
@click.argument("text", nargs=-1)
@click.option("-f", "--file", type=_FILE, metavar="FILE", help="Take the description from a file; - is standard input.")
@click.option("--item", type=_FILE, metavar="FILE", help="Take the whole item from a JSON file; - is standard input.")
@click.option(
    "--input", "inputs", multiple=True, type=_PLACE, metavar="PATH", help="Upload a file or directory for it."
)
@click.option(
    "--daemon-path",
    "paths",
    multiple=True,
    metavar="PATH",
    help="Have the daemon itself read a file or directory where it runs, below one of its `item.input_roots`.",
)
@click.option(
    "--messages", type=_FILE, metavar="FILE", help="A JSON list of {role, text}: the dialogue that it goes on."
)
@click.option("--parent", metavar="ID", help="The item whose sub-work it is: it is cancelled with that one.")
@click.option("--conversation", metavar="ID", help="The conversation it belongs to: it is shown what was said there.")
@click.option("--agent", type=WORD, metavar="NAME", help="Which agent does it.")
@click.option("--requires", multiple=True, metavar="WORD", help="What its agent must offer, such as gpu.")
@click.option(
    "--role",
    type=WORD,
    metavar="ROLE",
    help="Ask the orchestrator for a plan, or the optimizer or the reviewer itself.",
)
@click.option("--id", "name", metavar="ID", help="Its id; handing it in again under the same id changes nothing.")
@click.option("--after", multiple=True, metavar="ID", help="Only once this item has succeeded.")
@click.option("--label", multiple=True, metavar="KEY=VALUE", help="A label to find it by.")
@click.option("--requirement", multiple=True, metavar="TEXT", help="Something the result must satisfy.")
@click.option("--success", metavar="TEXT", help="How you will know that it is done.")
@click.option("--phase", metavar="WORD", help="What kind of work it is, such as documentation.")
@click.option(
    "--lane",
    metavar="NAME",
    help="The lane it queues in: lanes take turns, and the settings may give one a weight or a limit.",
)
@click.option("--priority", type=int, metavar="0-10", help="Higher is more urgent; 5 unless said.")
@click.option("--max-attempts", type=int, metavar="N", help="How often it is tried.")
@click.option("--max-reviews", type=int, metavar="N", help="How often a review may send it back.")
@click.option("--backoff", type=DURATION, metavar="DURATION", help="The first wait before a retry.")
@click.option("--at", "run_at", metavar="TIME", help="Not before this; ISO 8601 with its zone.")
@click.option(
    "--in",
    "run_in",
    type=DURATION,
    metavar="DURATION",
    help="Not before so much later; with an --id that is sent again say --at.",
)
@click.option("--expires-at", metavar="TIME", help="Not after this; ISO 8601 with its zone.")
@click.option(
    "--expires-in",
    type=DURATION,
    metavar="DURATION",
    help="Not so much later; with an --id that is sent again say --expires-at.",
)
@click.option(
    "--timeout", type=DURATION, metavar="DURATION", help="How long one stage may run, model calls not counted."
)
@click.option("--no-challenge", is_flag=True, help="Run it even if it is vague.")
@click.option("--estimate", is_flag=True, help="Only say what it may cost; files of --input are not counted.")
@click.option("--wait", is_flag=True, help="Wait until it is finished, and end as it does.")
@click.option("--within", type=DURATION, metavar="DURATION", help="Wait no longer than this.")
@online
def submit(  # noqa: PLR0913 - one parameter an option
    line: Line,
    *,
    inputs: Sequence[Path],
    paths: Sequence[str],
    estimate: bool,
    wait: bool,
    within: float | None,
    **said: Any,
) -> None:
    """Hand in one item of work: daruma submit "Document this package" --input src/package.

    Ends with 0 once the item is kept for good, also when it is too vague to begin with: it is parked then, and its
    questions stand on stderr. With --wait it ends as the item does: 0 succeeded, 1 dead or cancelled, 5 parked, 7 when
    time is up.
    """
    asked = _asked(**said)
    if estimate:
        _tell_estimate(line, asked)
        return
    hand_in = partial(_handed_in, line, asked, inputs, paths)
    if wait or within is not None:
        patience = patient(line, within)
        patience.insist(hand_in)
        _wait(line, str(asked["id"]), patience)
    else:
        _tell_accepted(line, hand_in())


def _asked(  # noqa: PLR0913 - one parameter an option
    text: Sequence[str],
    file: Path | None,
    item: Path | None,
    *,
    name: str | None,
    messages: Path | None,
    requires: Sequence[str],
    after: Sequence[str],
    label: Sequence[str],
    requirement: Sequence[str],
    success: str | None,
    run_at: str | None,
    run_in: float | None,
    expires_at: str | None,
    expires_in: float | None,
    no_challenge: bool,
    **plain: Any,
) -> Json:
    """The item that the options describe, with an id; its files are still to be named."""
    asked = dict(_item_of(text, file, item))
    said = {
        **plain,
        "success_criteria": success,
        "run_at": _moment(run_at, run_in, "--at or --in"),
        "expires_at": _moment(expires_at, expires_in, "--expires-at or --expires-in"),
        "messages": None if messages is None else parsed(text_of(messages), messages),
        "challenge": False if no_challenge else None,
    }
    asked |= {field: value for field, value in said.items() if value is not None}
    _extend(asked, "requires", requires)
    _extend(asked, "depends_on", after)
    _extend(asked, "requirements", requirement)
    if label:
        asked["labels"] = _joined(asked.get("labels", {}), labels_of(label))
    return named(asked if name is None else {**asked, "id": name})


def _handed_in(line: Line, asked: Json, inputs: Sequence[Path], paths: Sequence[str]) -> Json:
    """Upload what the item names and submit it; the daemon's reply. Safe to repeat: the item has its id by now."""
    whole = dict(asked)
    _extend(whole, "inputs", [_uploaded(line, each) for each in inputs])
    _extend(whole, "inputs", [_named(each) for each in paths])
    reply = line.client.submit(whole)
    _tell_warnings(reply)
    return reply


def _tell_accepted(line: Line, reply: Json) -> None:
    line.show(reply, _accepted)
    if reply["questions"]:
        speaking.note(f"daruma: {reply['id']} waits for answers before it begins")
    tell_questions(reply)


def _tell_estimate(line: Line, asked: Json) -> None:
    reply = line.client.call("estimate", asked)
    line.show(reply, _estimated)
    _tell_warnings(reply)


def _tell_warnings(reply: Json) -> None:
    for warning in reply["warnings"]:
        speaking.note(f"daruma: {warning}")


def _moment(at: str | None, seconds: float | None, either: str) -> str | int | None:
    """The time that was given, or the moment this many seconds from now.

    Raises:
        UsageError: both were given; `either` names the two options.
    """
    if at is not None and seconds is not None:
        raise click.UsageError(f"say {either}, not both")
    return moment_in(seconds) if at is None else at


def _estimated(reply: Json) -> Iterable[str]:
    model = f"{reply['provider']}:{reply['model']}" if reply["model"] else "none: what needs one will be parked"
    earlier = counted(reply["items"], "earlier item")
    of = f"of {earlier}" if reply["items"] else "unknown: this agent has finished none yet"
    return speaking.pairs(
        (
            ("agent", reply["agent"]),
            ("model", model),
            ("a call may cost", _of_a_call(reply["a_call"])),
            ("usual", f"{_priced(reply['median'])}, the median {of}" if reply["median"] else of),
            ("nine of ten", reply["most"] and f"at most {_priced(reply['most'])}"),
            ("limits allow", amount_words(reply["allowed"]) or "any amount"),
        )
    )


def _of_a_call(amount: Json | None) -> str | None:
    return _priced(amount) if amount is None or amount["calls"] else "nothing: no model is asked"


def _priced(amount: Json | None) -> str | None:
    """What was used, or may be. Where nobody knows the price, that is said in its place."""
    priced = amount is None or amount["nano_usd"] is not None
    return amount_words(amount) if priced else f"{amount_words(amount)}, at an unknown price"


def _wait(line: Line, name: str, patience: Patience) -> None:
    try:
        view = settled(line, name, patience)
    except KeyboardInterrupt:
        speaking.note(f"daruma: {name} goes on; `daruma work wait {name}` waits for it")
        raise
    code = tell_end(view)
    if code == 0:
        show_result(line, patience.insist(partial(line.client.call, "result", id=name)))
    elif line.form != "table":
        line.show(view, _accepted)
    click.get_current_context().exit(code)


def show_result(line: Line, reply: Json) -> None:
    """Print a result. Where it made files, stderr says how they are fetched."""
    line.show(reply, _result_lines)
    if reply.get("artifacts") and line.form == "table":
        speaking.note(f"  -> daruma result {reply['item_id']} --save DIR")


def _result_lines(reply: Json) -> Iterable[str]:
    """A result for people: its text, else its data; then the files it made."""
    data = reply.get("data")
    yield reply.get("text") or (json.dumps(data, indent=2, ensure_ascii=False) if data is not None else "done")
    yield from (f"{each['name']}  {counted(each['size'], 'byte')}" for each in reply.get("artifacts") or ())


def _accepted(reply: Json) -> Iterable[str]:
    yield f"{reply['id']}  {reply['state']}" + (f" ({reply['reason']})" if reply.get("reason") else "")


def _item_of(text: Sequence[str], file: Path | None, item: Path | None) -> Json:
    """The item as the words, the file or standard input have it: exactly one of them says what is to be done."""
    words = " ".join(text)
    _check_is_no_file(words)
    _check_is_said_once(words, file, item)
    if item is not None:
        given = _object(item)
        return {**given, "description": words} if words else given
    if file is not None or words == "-" or (not words and is_given()):
        words = text_of(file or Path("-")).strip()
    if not words:
        raise click.UsageError("say what is to be done: daruma submit TEXT, --file FILE, --item FILE, or < FILE")
    return {"description": words}


def _check_is_no_file(words: str) -> None:
    """Refuse a description that is the name of a file: what stands in the file was meant, not a task of one word."""
    with contextlib.suppress(OSError):  # too long for a name, for one
        if words and not any(each.isspace() for each in words) and Path(words).is_file():
            raise click.UsageError(
                f"{words} is a file: say --item {words} for an item as JSON, --file {words} for a text; "
                f"for a task of this one word: echo {words} | daruma submit"
            )


def _check_is_said_once(words: str, file: Path | None, item: Path | None) -> None:
    """Refuse two descriptions. Only the words of the call may replace the description of an `--item`."""
    if file is not None and (words or item is not None):
        other = f"TEXT ({words})" if words else f"--item {item}"
        raise click.UsageError(f"--file {file} and {other} both say what is to be done: leave one out")


def _object(path: Path) -> dict[str, Any]:
    given = parsed(text_of(path), path)
    if not isinstance(given, dict):
        raise refused(path, "holds no item", "an item is one JSON object; `daruma batch` takes many")
    return given


def _extend(asked: dict[str, Any], field: str, more: Sequence[Any]) -> None:
    """Add `more` to the list in `field`. Anything but a list is left: the daemon refuses it, naming the field."""
    there = asked.get(field, [])
    if more and isinstance(there, list):
        asked[field] = [*there, *more]


def _joined(there: Any, more: Mapping[str, str]) -> Any:
    """The object `there` with `more`. Anything but an object is left as it is, as in `_extend`."""
    return {**there, **more} if isinstance(there, dict) else there


def _named(path: str) -> Json:
    """The input for a path that the daemon itself reads. Whether it is a directory, the daemon finds out."""
    name = PurePosixPath(path).name
    return {"name": name, "media_type": media_type_of(name), "path": path}


def _uploaded(line: Line, path: Path) -> Json:
    """Stream `path` to the daemon, and tell which parts of it were left out; the input that names the upload."""
    with packed(path) as ready:
        if ready.left_out:
            why = "links that lead out of it, nowhere or round, and what is no file"
            whole, without = speaking.in_a_line([str(path)]), speaking.in_a_line(ready.left_out)
            speaking.note(f"daruma: not uploaded of {whole}: {without} ({why})")
        line.client.upload(ready.sha256, ready.content, ready.size)
        return {"name": ready.name, "media_type": ready.media_type, "upload": ready.sha256}
