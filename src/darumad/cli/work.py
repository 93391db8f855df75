"""`daruma work`: the items, one by one and in lists."""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any

import click

from darumad.cli.durations import DURATION
from darumad.cli.ending import say_error
from darumad.cli.naming import labels_of
from darumad.cli.online import Line, online
from darumad.cli.speaking import Json, amount_words, moment, note, pairs, span, table
from darumad.cli.waiting import Patience, open_questions, patient, settled, tell_end, worst
from darumad.errors import Refused
from darumad.plural import counted

_DIGITS = 8
_STATES = ("waiting", "ready", "scheduled", "running", "parked", "succeeded", "dead", "cancelled")

CLEARED: Mapping[str, Any] = {
    **dict.fromkeys(("requirements", "constraints"), ()),
    "labels": {},
    "budget": {},
    **dict.fromkeys(("success_criteria", "input", "expires_at", "timeout", "idle_timeout", "backoff")),
}
"""What an item may do without, and how an edit says so."""


@click.group()
def work() -> None:
    """Look at items, wait for them, cancel, retry and answer them."""


@work.command("list")
@click.option("--state", type=click.Choice(_STATES), help="Only items in this state.")
@click.option("--agent", metavar="NAME", help="Only items of this agent.")
@click.option("--label", metavar="KEY=VALUE", help="Only items with this label.")
@click.option("--conversation", metavar="ID", help="Only items of this conversation.")
@click.option("--parent", metavar="ID", help="Only the sub-work of this item.")
@click.option("--after", metavar="ID", help="The page behind this item.")
@click.option("--limit", type=click.IntRange(1, 1000), default=100, help="How many.")
@online
def list_(line: Line, **only: Any) -> None:
    """Items, a page at a time."""
    reply = line.client.call("work list", **only)
    line.show(reply, _list_lines)
    if reply["next"] and line.form == "table":
        note(f"daruma: there are more: --after {reply['next']}")


@work.command()
@click.argument("name", metavar="ID")
@click.option("--attempts", is_flag=True, help="With every attempt and how it ended.")
@click.option(
    "--steps", is_flag=True, help="With every step, what a model was asked in it, and what tools did outside."
)
@online
def show(line: Line, name: str, *, attempts: bool, steps: bool) -> None:
    """One item and everything that has become of it."""
    reply = line.client.call("work show", id=name, attempts=attempts or None, steps=steps or None)
    line.show(reply, _show_lines)


@work.command()
@click.argument("names", metavar="[ID]...", nargs=-1)
@click.option("--label", metavar="KEY=VALUE", help="Every item with this label.")
@click.option("--within", type=DURATION, metavar="DURATION", help="Wait no longer than this for all of them.")
@online
def wait(line: Line, names: Sequence[str], label: str | None, within: float | None) -> None:
    """Wait until items are finished, and end as they do.

    Ends with 0 when all succeeded, 1 when one is dead or cancelled, 4 when no item has the label, 5 when one is parked,
    7 when time is up. It goes on waiting when the daemon is restarted meanwhile.
    """
    if not names and label is None:
        raise click.UsageError("say which: daruma work wait ID, or --label KEY=VALUE")
    patience = patient(line, within)
    ended = []
    labelled = () if label is None else _labelled(line, label, patience)
    if label is not None and not labelled:
        raise Refused(f"nothing was waited for: no item has the label {label}", code="not_found")
    for name in (*names, *labelled):
        view = settled(line, name, patience)
        line.show(view, lambda reply: [f"{reply['id']}  {reply['state']}"])
        ended.append(tell_end(view))
    click.get_current_context().exit(worst(ended))


def _those(command: Callable[..., None]) -> Callable[..., None]:
    """The options that mean many items at once, for a command that takes ids too."""
    command = click.option("--agent", metavar="NAME", help="Every item of this agent that can be.")(command)
    command = click.option("--state", type=click.Choice(_STATES), help="Every item in this state that can be.")(command)
    command = click.option("--label", metavar="KEY=VALUE", help="Every item with this label that can be.")(command)
    return click.argument("names", metavar="[ID]...", nargs=-1)(command)


def _many(line: Line, operation: str, those: dict[str, str | None], done: str, **more: str) -> None:
    """Does it to every item that fits, in one transaction."""
    body = {name: value for name, value in those.items() if value is not None}

    def lines(reply: Json) -> Iterable[str]:
        yield from (f"{each}  {done}" for each in reply["items"])
        yield from _died_lines(reply)

    reply = line.client.call(operation, {**body, **more})
    line.show(reply, lines)
    if not reply["items"]:
        note(f"daruma: no item was {done}: none fits")


def _each(names: Sequence[str], act: Callable[[str], None]) -> None:
    """Does it to every one of them, also behind one that is refused; ends as the first refusal says."""
    refusals = []
    for name in names:
        try:
            act(name)
        except Refused as refused:
            say_error(refused)
            refusals.append(refused)
    if refusals:
        click.get_current_context().exit(refusals[0].entry.exit)


def _check_said(names: Sequence[str], those: dict[str, str | None]) -> None:
    if bool(names) == any(those.values()):
        raise click.UsageError("say which: ids, or --label, --state, --agent for all that fit")


@work.command()
@_those
@click.option("--reason", default="", metavar="TEXT", help="Why, for the record.")
@click.option("--no-wait", is_flag=True, help="Do not wait for what runs to stop.")
@online
def cancel(line: Line, names: Sequence[str], *, reason: str, no_wait: bool, **those: str | None) -> None:
    """Cancel items, and stop what runs for them."""
    _check_said(names, those)
    if not names:
        _many(line, "cancel many", those, "cancelled", reason=reason)
    body = {"reason": reason, "wait": not no_wait}
    _each(names, lambda name: line.show(line.client.call("work cancel", body, id=name), _cancel_lines))


@work.command()
@_those
@online
def retry(line: Line, names: Sequence[str], **those: str | None) -> None:
    """Put parked, scheduled or dead items on their way again.

    It is also your word that its agent's provider is well, whatever it refused (a key, an account, a model), failed, or
    asked to be left alone for: it is called again at once, and a ready item that waits for it goes on. One that is
    cancelled or succeeded stays so: hand it in anew, under another id. Other ready ones and those that run are on their
    way as it is.
    """
    _check_said(names, those)
    if not names:
        _many(line, "retry many", those, "released")
    _each(names, lambda name: line.show(line.client.call("work retry", {}, id=name), _release_lines))


@work.command()
@click.argument("name", metavar="ID")
@click.argument("answers", metavar="ANSWER...", nargs=-1, required=True)
@online
def answer(line: Line, name: str, answers: Sequence[str]) -> None:
    """Answer what a parked item asked, and put it on its way."""
    line.show(line.client.call("work answer", {"answers": list(answers)}, id=name), _release_lines)


def _labelled(line: Line, label: str, patience: Patience) -> Sequence[str]:
    """The ids of all items with this label, in the order of their acceptance."""
    found: list[str] = []
    after = None
    while True:
        page = patience.insist(partial(line.client.call, "work list", label=label, after=after, limit=1000))
        found += [each["id"] for each in page["items"]]
        after = page["next"]
        if not after:
            return found


@work.command()
@click.argument("name", metavar="ID")
@click.option("--description", metavar="TEXT", help="What is to be done.")
@click.option("--priority", type=int, metavar="0-10", help="Higher is more urgent.")
@click.option("--success", "success_criteria", metavar="TEXT", help="How you will know that it is done.")
@click.option("--requirement", "requirements", multiple=True, metavar="TEXT", help="In place of those it has.")
@click.option("--label", "labels", multiple=True, metavar="KEY=VALUE", help="In place of those it has.")
@click.option("--expires-at", metavar="TIME", help="Not after this; ISO 8601 with its zone.")
@click.option(
    "--timeout", type=DURATION, metavar="DURATION", help="How long one stage may run, model calls not counted."
)
@click.option("--max-attempts", type=int, metavar="N", help="How often it is tried.")
@click.option("--max-reviews", type=int, metavar="N", help="How often a review may send it back.")
@click.option("--clear", multiple=True, type=click.Choice(tuple(CLEARED)), help="Take all of this off.")
@online
def edit(
    line: Line, name: str, *, requirements: Sequence[str], labels: Sequence[str], clear: Sequence[str], **said: Any
) -> None:
    """Change what was asked for, while nobody works on it.

    That is while it waits, or before a retry of a dead item.
    """
    body = {field: value for field, value in said.items() if value is not None}
    if requirements:
        body["requirements"] = list(requirements)
    if labels:
        body["labels"] = labels_of(labels)
    if twice := sorted(body.keys() & set(clear)):
        raise click.UsageError(f"{', '.join(twice)}: say what it is to be, or --clear, not both")
    body |= {field: CLEARED[field] for field in clear}
    if not body:
        raise click.UsageError("say what is to be different")
    line.show(line.client.call("work edit", body, id=name), lambda reply: [f"{reply['id']}  {_state(reply)}  edited"])


@work.command()
@click.argument("names", metavar="ID...", nargs=-1, required=True)
@online
def purge(line: Line, names: Sequence[str]) -> None:
    """Let go of finished items now, and of a secret in their text.

    What was asked, done and made goes, and what their events say. The id stays taken.
    """
    _each(names, lambda name: line.show(line.client.call("work purge", {}, id=name), _purge_lines))


def _purge_lines(reply: Json) -> Iterable[str]:
    yield f"{reply['id']}  purged"
    yield from (f"  kept: upload {each}, which other items name too" for each in reply["uploads_kept"])
    if reply["log_file"]:
        yield f"  look yourself: {reply['log_file']} and its rotated parts"
    yield "  look yourself: what later items of its conversation were shown of it, and what others made of its result"
    yield "  look yourself: backups made before; one that is being made keeps it in the journal's log until it is done"


def _list_lines(reply: Json) -> Iterable[str]:
    headers = ("ID", "STATE", "STAGE", "AGENT", "TRY", "DESCRIPTION")
    return table(headers, map(_list_line, reply["items"]))


def _list_line(each: Json) -> Sequence[Any]:
    described = each.get("unreadable") or each["description"]
    return each["id"], _state(each), each["stage"], each["agent"], each["attempt"], described


def _spent(reply: Json) -> list[str]:
    """Where its time went, as the daemon has it: `executing 3.2s`. An older daemon has not."""
    return [f"{where} {span(millis / 1000)}" for where, millis in (reply.get("spent") or {}).items()]


def _used(reply: Json) -> str | None:
    """What was booked for it; nothing for what asked no model, or where an older daemon does not say."""
    used = reply.get("used")
    return amount_words(used) if used and used["calls"] else None


def _show_lines(reply: Json) -> Iterable[str]:
    yield from _fields(reply)
    yield from _remarks(reply)
    yield from _history(reply)


def _fields(reply: Json) -> Iterable[str]:
    asked, error = reply["asked"], reply["error"] or {}
    return pairs(
        (
            ("id", reply["id"]),
            ("state", _state(reply)),
            ("unreadable", reply.get("unreadable")),
            ("waits for", reply["waits_for"]),
            ("stage", reply["stage"]),
            ("agent", asked["agent"]),
            ("requires", asked["requires"]),
            ("attempt", reply["attempt"]),
            ("failures", reply["failures"] or None),
            ("reviews", reply["reviews"] or None),
            ("held by", reply["holder"]),
            ("parent", asked["parent"]),
            ("depends on", asked["depends_on"]),
            ("phase", asked["phase"]),
            ("priority", asked["priority"]),
            ("labels", [f"{key}={value}" for key, value in (asked["labels"] or {}).items()]),
            ("conversation", asked["conversation"]),
            ("goes on from", _messages(asked)),
            ("inputs", [each["name"] for each in asked["inputs"] or ()]),
            ("created", moment(reply["created_at"])),
            ("due", moment(reply["scheduled_for"])),
            ("started", moment(reply["started_at"])),
            ("finished", moment(reply["finished_at"])),
            ("spent", _spent(reply)),
            ("used", _used(reply)),
            ("by", reply["submitted_by"]),
            ("correlation", reply.get("correlation_id")),
            ("cancelled by", _cancelled(reply)),
            ("error", error.get("message")),
            ("kind", error.get("kind") or None),
            ("description", asked["description"]),
            ("done when", asked["success_criteria"]),
        )
    )


def _remarks(reply: Json) -> Iterable[str]:
    """What is to be kept to, what was asked and answered, and what others made of it, each on a line of its own."""
    asked, error = reply["asked"], reply["error"] or {}
    yield from (f"  hint: {each}" for each in error.get("hints") or ())
    yield from (f"  to do: {each}" for each in error.get("recovery") or ())
    yield from (f"  requirement: {each}" for each in asked["requirements"] or ())
    yield from (f"  keeps to: {each}" for each in asked["constraints"] or ())
    yield from (f"  ? {question}" for question in open_questions(reply))
    yield from (f"  ! {answer_}" for answer_ in reply["answers"])
    yield from (f"  child: {each['id']}  {_state(each)}" for each in reply["children"] or ())
    for each in reply["feedback"]:
        yield from (f"  review: {issue}" for issue in each.get("issues") or ())


def _history(reply: Json) -> Iterable[str]:
    """What was done for it, as far as that was asked for."""
    for each in reply["attempts"] or ():
        yield f"attempt {each.get('attempt')}: {each.get('outcome') or 'open'}  {moment(each.get('started_at')) or ''}"
        yield from _failed(each.get("error") or {})
        yield from (f"  template at {version}" for version in [each.get("resources_version")] if version)
        yield from (f"  {_life(life)}" for life in each.get("lives") or ())
    for each in reply["steps"] or ():
        yield f"step {json.dumps(each, ensure_ascii=False)}"
    for each in reply["effects"] or ():
        yield f"effect {json.dumps(each, ensure_ascii=False)}"


def _failed(error: Json) -> Iterable[str]:
    """What an attempt failed of, on one line; none where it did not."""
    said = [str(error[each]) for each in ("kind", "message") if error.get(each)]
    return [f"  {': '.join(said)}"] if said else []


def _life(life: Json) -> str:
    """A life of the daemon that an attempt was held in; of its digests as many digits as tell one from another."""
    digests = (f"{what} {life[what].partition(':')[2][:_DIGITS]}" for what in ("settings", "definition") if life[what])
    return ", ".join((f"boot {life['boot']} of {life['version']}", *digests))


def _messages(asked: Json) -> str | None:
    """The dialogue by its length: it is long, and was written elsewhere. `--output json` has it."""
    return counted(len(asked["messages"]), "message") if asked["messages"] else None


def _cancelled(view: Json) -> str | None:
    said = view["cancelled"]
    return None if said is None else f"{said['by']}: {said['reason']}"


def _state(view: Json) -> str:
    return f"{view['state']} ({view['reason']})" if view["reason"] else str(view["state"])


def _cancel_lines(reply: Json) -> Iterable[str]:
    yield f"{reply['id']}  cancelled"
    yield from (f"  cancelled with it: {each}" for each in reply["cancelled"] if each != reply["id"])
    yield from _died_lines(reply)
    yield from (f"  stopped: {each}" for each in reply["stopped"])
    yield from (f"  did not stop: {each}" for each in reply["not_stopped"])


def _died_lines(reply: Json) -> Iterable[str]:
    """The items that came after one that was cancelled, and theirs: they will never be done now."""
    yield from (f"  died of it: {each}" for each in reply["died"])


def _release_lines(reply: Json) -> Iterable[str]:
    return [f"{each}  released" for each in reply["released"]]
