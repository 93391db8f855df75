"""How a stage waits for the journal: the wait does not count against it, and a full disk is nobody's failure."""

from typing import Protocol

from darumad.errors import Unavailable
from darumad.journal.commits import Commits
from darumad.journal.requests import Answer, Request
from darumad.work.model import ModelFailed


class Clocked(Protocol):
    """Something whose time stands still between the two calls."""

    def open_call(self) -> None: ...  # noqa: D102
    def close_call(self) -> None: ...  # noqa: D102


class StageCommits:
    """`Commits` for one stage. Its watch stands still until COMMIT, for the disk may be full."""

    def __init__(self, commits: Commits, watch: Clocked) -> None:
        self._commits = commits
        self._watch = watch

    async def commit(self, request: Request) -> Answer:
        """See `Commits.commit`.

        Raises:
            ModelFailed: kind `no_room`: the disk has no room for the request, and nothing was done.
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
    """`error`; but a full disk as `no_room`, for which an item waits at no cost to itself or its agent."""
    if isinstance(error, Unavailable) and error.code == "disk_full":
        return ModelFailed("no_room", error.message, retry_after=error.retry_after)
    return error
