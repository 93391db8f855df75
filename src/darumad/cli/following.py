"""Following: events as they happen, in order and each once, over a restart of the daemon too."""

from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

from darumad.cli import speaking
from darumad.cli.online import Line
from darumad.cli.speaking import Json
from darumad.cli.waiting import Patience
from darumad.control.client import Stream
from darumad.errors import Unavailable
from darumad.values import Value


def followed(line: Line, patience: Patience, since: Mapping[str, Any], **only: Any) -> Iterator[Json]:
    """What happens from `since` on, for ever.

    Raises:
        Unavailable: the daemon did not answer, or stays away for longer than it is waited for.
    """
    stream = line.client.events(follow=True, **since, **only)
    patience.met = True
    while True:
        seen = stream.since
        try:
            for each in stream:
                seen = each.get("seq", seen)
                yield each
        except Unavailable as error:
            away = Away(seen, patience.clock.monotonic())
            patience.bear(error)
            stream = patience.insist(partial(_resumed, line, patience, away, **only))


class Away(Value):
    """A daemon that went away: the position it had told up to, and `since` when, in monotonic seconds."""

    seen: int
    since: float


def _resumed(line: Line, patience: Patience, away: Away, **only: Any) -> Stream:
    """What happened behind what was seen, or, where the journal was put back to before that, since the daemon went.

    A copy that was put back counts on from where it was made: behind what was seen it would be silent until then.
    """
    stream = line.client.events(follow=True, since=str(away.seen), **only)
    if stream.newest >= away.seen:
        return stream
    line.client.close()
    speaking.note(f"daruma: the journal was put back to before event {away.seen}; going on with what happened since")
    return line.client.events(follow=True, within=patience.clock.monotonic() - away.since, **only)
