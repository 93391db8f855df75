"""The journal as a stage waits for it: waiting is not counted against it, and a full disk is nobody's failure."""

from typing import Protocol

from darumad.errors import Unavailable
from darumad.journal.commits import Commits
from darumad.journal.requests import Answer, Request
from darumad.work.model import ModelFailed


class Clocked(Protocol):
    """Whose time stands still between the two."""

    def open_call(self) -> None: ...  # noqa: D102
    def close_call(self) -> None: ...  # noqa: D102


class Kept:
    """`Commits` for one stage, whose `watch` stands still until COMMIT: what is told may wait long for room."""

    def __init__(self, commits: Commits, watch: Clocked) -> None:
        self._commits = commits
        self._watch = watch

    async def commit(self, request: Request) -> Answer:
        """See `Commits.commit`.

        Raises:
            ModelFailed: kind `no_room`: nothing was done, for there was no room to write that it begins.
            DarumaError: whatever else the journal says.
        """
        self._watch.open_call()
        try:
            return await self._commits.commit(request)
        except Unavailable as error:
            raise without_room(error) from error
        finally:
            self._watch.close_call()


def without_room(error: Exception) -> Exception:
    """`error`, or what a full disk is to an item: it waits until there is room, at no cost to it or its agent."""
    if isinstance(error, Unavailable) and error.code == "disk_full":
        return ModelFailed("no_room", error.message, retry_after=error.retry_after)
    return error
