"""Daruma's judge: what counts against an agent.

Supervision knows no kinds of errors; the table it asks stands in `work.kinds`.
"""

from collections.abc import Callable, Mapping
from typing import Literal

from darumad.supervision import FatalError, default_judge
from darumad.work.kinds import verdict
from darumad.work.result import Failure


class AgentError(Exception):
    """A stage that ended with an error of a known kind, as it is reported to the window of the instance that ran it."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(f"{failure.kind}: {failure.message}")
        self.kind = failure.kind
        self.circuit_open = failure.circuit_open


class TaskAbandoned(FatalError):  # noqa: N818 - it reads as what happened
    """The agent's task ignored its cancel past the grace: this life ends, so that its slot is free for another."""


def judge_of(moved: Mapping[str, str]) -> Callable[[BaseException], Literal["count", "ignore", "crash"]]:
    """The judge under the settings' `supervision.count`, which moves a kind from one verdict to another."""

    def judge(error: BaseException) -> Literal["count", "ignore", "crash"]:
        if isinstance(error, AgentError):
            return verdict(error.kind, circuit_open=error.circuit_open, moved=moved)
        if isinstance(error, FatalError) or not isinstance(error, Exception):
            return default_judge(error)
        return "crash"  # our own handler raised: start over at once

    return judge
