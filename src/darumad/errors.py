"""Errors of the daemon itself, in three families sorted by what the catcher does.

Agents' failures are no errors: they are results.

One table gives each code its HTTP status, its exit code and what to do next; docs/reference/errors.md prints it.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from copy import copy
from pathlib import PurePath
from typing import ClassVar, Self

from darumad.plural import listed
from darumad.values import Value

_TOLD = 8
"""So many of the names that there are fit in a line."""


class Problem(Value):
    """One thing that is wrong with a request: where (a JSON pointer, a header or a settings key) and what."""

    pointer: str
    detail: str


def pointer(*where: str | int) -> str:
    """The JSON pointer (RFC 6901) of a place in a request."""
    return "".join("/" + str(part).replace("~", "~0").replace("/", "~1") for part in where)


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """A suggestion to append to what is said of an unknown word, or nothing when no known one is near."""
    import difflib  # noqa: PLC0415 - only for a word that nobody knows

    near = difflib.get_close_matches(word, list(known), n=1)
    return f"; did you mean `{near[0]}`?" if near else ""


def which_there_are(word: str, known: Collection[str], also: Iterable[str] = ()) -> str:
    """What to append to what is said of an unknown word: what was perhaps meant, or else the first of `known`.

    `also` may be meant, and is too much to be told of.
    """
    return did_you_mean(word, {*known, *also}) or _there_are(sorted(known))


def _there_are(known: Sequence[str]) -> str:
    if not known:
        return ""
    return f"; there {'is only' if len(known) == 1 else 'are'} {listed(known, _TOLD)}"


class ErrorCode(Value):
    """How one code is told at each door.

    HTTP status, exit code of the command line, and the sentence that says what to do next.
    """

    code: str
    status: int
    exit: int
    next_step: str


CODES: Mapping[str, ErrorCode] = {
    each.code: each
    for each in (
        ErrorCode("invalid", 422, 2, "Correct the fields named and send it again."),
        ErrorCode("malformed", 400, 2, "Send a JSON object as the operation's reference page shows it."),
        ErrorCode(
            "too_large",
            413,
            2,
            "Send less at once: long text as a file of `--input`, a batch or a large file in several parts.",
        ),
        ErrorCode("no_http", 400, 2, "Speak HTTP/1.1 there, as `daruma` does."),
        ErrorCode("head_too_long", 431, 2, "Send less in the address and the headers; a body may be longer."),
        ErrorCode("unknown_operation", 404, 2, "See `daruma --help` for what there is."),
        ErrorCode("not_found", 404, 4, "Check the id; `daruma work list` shows what the journal holds."),
        ErrorCode("unknown_agent", 404, 4, "Check the name; `daruma agents list` shows which there are."),
        ErrorCode(
            "not_an_agent",
            422,
            2,
            "Name an agent or one of its instances; `daruma agents list --instances` shows them.",
        ),
        ErrorCode("unknown_provider", 404, 4, "Check the name; `daruma providers list` shows which there are."),
        ErrorCode("unknown_secret", 404, 4, "Check the name; `daruma secrets list` shows which there are."),
        ErrorCode("no_file", 404, 4, "Check the place; what was asked for is not there."),
        ErrorCode(
            "conflict",
            409,
            5,
            "Look at it with `daruma work show`; what is asked is not possible in its present state.",
        ),
        ErrorCode("file_exists", 409, 5, "Name another file; nothing that is there is written over."),
        ErrorCode(
            "file_changed",
            409,
            5,
            "Hand the work in again; what is there now lies below `workspaces` of the daemon's state directory.",
        ),
        ErrorCode("cycle", 409, 5, "Remove one of the dependencies named."),
        ErrorCode("denied", 403, 6, "Run the command as the daemon's user or as root."),
        ErrorCode(
            "bad_settings",
            400,
            78,
            "Correct the settings named; `daruma config show --config /dev/null` shows every key at its default.",
        ),
        ErrorCode("bad_vault", 409, 78, "Follow what the message says; no secret was changed, nor what seals them."),
        ErrorCode(
            "already_running", 409, 78, "Stop the other daemon first, or give this one a state directory of its own."
        ),
        ErrorCode(
            "socket_taken", 409, 78, "Stop the other daemon first, or give this one another socket: `control.socket`."
        ),
        ErrorCode("left_behind", 409, 78, "`fuser FILE` names the process that has the file; end that one."),
        ErrorCode(
            "bad_place",
            500,
            78,
            "Run it as the daemon's user, give that user what is there (as root: `chown -R USER: DIRECTORY`), or set "
            "`state_dir`.",
        ),
        ErrorCode(
            "read_only",
            500,
            74,
            "Remount it read-write (`mount -o remount,rw`); where the kernel made it read-only, `dmesg` says why.",
        ),
        ErrorCode(
            "no_threads",
            503,
            75,
            "Let the process have more (`TasksMax=` of its unit, a container's limit on processes, `ulimit -u`), or "
            "lower `executors.count`: each instance of an agent is a thread.",
        ),
        ErrorCode("bad_journal", 500, 78, "Follow what the message says of the file; nothing in it was changed."),
        ErrorCode(
            "unreachable",
            503,
            3,
            "Start the daemon, with `daruma serve` or as a service (`journalctl -u darumad` says why that ended), or "
            "name its socket with `--socket`.",
        ),
        ErrorCode(
            "hung_up",
            503,
            3,
            "Ask again; what was asked may or may not have happened, so hand work in again under the same `--id`.",
        ),
        ErrorCode("no_socket", 503, 3, "Name the daemon's control socket; `daruma config show` says where it is."),
        ErrorCode("queue_full", 503, 75, "Wait until items have finished, or raise `queue.max_items`."),
        ErrorCode(
            "disk_full",
            507,
            75,
            "Make room on the disk of the daemon's state directory; a daemon that runs goes on by itself.",
        ),
        ErrorCode(
            "draining",
            503,
            75,
            "Nothing new was accepted: send it again once the daemon is back, or end the drain with `daruma resume`.",
        ),
        ErrorCode(
            "door_full",
            503,
            75,
            "Try again in a moment; `daruma_connections_refused_total` counts who was turned away.",
        ),
        ErrorCode(
            "too_slow",
            408,
            75,
            "Send it again without a pause, or raise `control.head_timeout` or `control.body_timeout`.",
        ),
        ErrorCode("unavailable", 503, 75, "Try again in a moment."),
        ErrorCode("wait_expired", 504, 7, "The work goes on; ask again with `daruma work wait`."),
        ErrorCode("broken", 500, 70, "This is a defect of Daruma: the log has the details."),
        ErrorCode(
            "io_error",
            500,
            74,
            "Check the disk; what was asked may or may not have happened, so send it again with the same id.",
        ),
        ErrorCode(
            "cannot_write",
            500,
            74,
            "Make room there, or name another place; what the daemon was asked for is done, only not told.",
        ),
        ErrorCode(
            "no_such_place",
            500,
            74,
            "Name a place that you may write to; what the daemon was asked for is done, only not told.",
        ),
        ErrorCode("no_directory", 400, 2, "Go to a directory that is there (`cd`), and call it again."),
    )
}


class DarumaError(Exception):
    """What the three families share: a code, a message that names the thing, and the problems in detail."""

    default: ClassVar[str] = "broken"

    def __init__(self, message: str, *, code: str | None = None, problems: Sequence[Problem] = ()) -> None:
        super().__init__(message)
        self.message = message
        self.entry = CODES[code or self.default]
        self.problems = tuple(problems)

    @property
    def code(self) -> str:
        """The stable word for this error; a key of `CODES`."""
        return self.entry.code

    def adding(self, said: str) -> Self:
        """The same error with more to say; nothing else of it is another, nor lost."""
        more = copy(self)
        more.message = f"{self.message}; {said}"
        more.args = (more.message,)
        return more


class Refused(DarumaError):  # noqa: N818 - the family is named by what the catcher does
    """The request is wrong and stays wrong: fix it."""

    default: ClassVar[str] = "invalid"


class Unavailable(DarumaError):  # noqa: N818 - the family is named by what the catcher does
    """The request is right, the moment is not: try it again, after `retry_after` seconds if that is given."""

    default: ClassVar[str] = "unavailable"

    def __init__(self, message: str, *, code: str | None = None, retry_after: float | None = None) -> None:
        super().__init__(message, code=code)
        self.retry_after = retry_after


class Broken(DarumaError):  # noqa: N818 - the family is named by what the catcher does
    """Our own invariant failed: let it crash."""

    default: ClassVar[str] = "broken"


def read_only(place: PurePath) -> Refused:
    """The refusal of a place that nothing can be written to until somebody remounts its file system."""
    return Refused(f"{place} lies on a file system that is mounted read-only", code="read_only")


def unknown_item(item: str) -> Refused:
    """The refusal of an item that the journal does not hold."""
    return Refused(f"no item is called {item}", code="not_found")


def no_agent(name: str, known: Collection[str], also: Iterable[str] = ()) -> str:
    """What is said of the name of an agent that there is not, beside those `known`."""
    return f"no agent is called {name or repr(name)}{which_there_are(name, known, also)}"


def unknown_agent(name: str, known: Collection[str], also: Iterable[str] = ()) -> Refused:
    """The refusal of an agent that there is not, with those of `known` that there are."""
    return Refused(no_agent(name, known, also), code="unknown_agent")


def unknown_provider(name: str, known: Collection[str]) -> Refused:
    """The refusal of a provider that there is not, with those of `known` that there are."""
    return Refused(f"no provider is called {name}{which_there_are(name, known)}", code="unknown_provider")
