"""What a template is: the doing of one kind of work, and the deterministic check of what it did.

A template of your own is a module with a `TEMPLATE`; of the house it imports `darumad.agents` and `darumad.work`.
"""

from collections.abc import Awaitable, Callable, Iterable
from typing import Any, TypeVar, cast

from darumad import __version__
from darumad.errors import Problem, did_you_mean
from darumad.names import Stage
from darumad.values import StructMeta, ValidationError, Value, convert, fields, to_builtins
from darumad.work.gates import Gate, Review
from darumad.work.item import WorkItem
from darumad.work.model import Message, ModelRequest
from darumad.work.ports import Check, Context
from darumad.work.result import WorkResult

ALL_STAGES: tuple[Stage, ...] = (Stage.OPTIMIZING, Stage.EXECUTING, Stage.REVIEWING)
"""The walk of an item unless its template or its caller says otherwise."""

Execute = Callable[[WorkItem, Context], Awaitable[WorkResult]]
"""One item's work: on the loop, never blocking it for more than a few milliseconds."""


SHIPPED_WITH = f"darumad {__version__}"
"""The `resources_version` of whatever comes with the daemon."""


class Sight(Value, kw_only=True):
    """What a model is shown beside the item before anything has come of it: as in `Context`; of `uploads` the names."""

    brief: Any = None
    turns: tuple[Message, ...] = ()
    uploads: tuple[str, ...] = ()


Opening = Callable[[WorkItem, Sight], ModelRequest]
"""The first request to a model about an item: pure, for it is also asked before the item is handed in."""

_Wanted = TypeVar("_Wanted")


class ToolFailed(Exception):  # noqa: N818 - it reads as what happened
    """A tool could not do its part; the item's attempt ends `tool_error`. The message holds no credential."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class UnfitResult(Exception):  # noqa: N818 - it reads as what it is
    """A result that cannot be taken; the message says what is wrong with it."""


def no_problems(_: WorkItem) -> tuple[Problem, ...]:
    """A template that takes every valid item."""
    return ()


class _AllAtOnce(StructMeta):
    """Tells everything about how a value was called that cannot be; by itself it tells the first thing only."""

    def __call__(cls, *given: Any, **said: Any) -> Any:  # noqa: N805 - what is called is a class
        known = {each.name: each for each in fields(cast("type[Template]", cls))}
        wrong = [f"it takes no `{name}`{did_you_mean(name, known)}" for name in said if name not in known]
        wrong += [f"`{name}` must be given" for name, each in known.items() if each.required and name not in said]
        if wrong:
            raise TypeError(f"{cls.__name__}: {'; '.join(wrong)}")
        return super().__call__(*given, **said)


class Template(Value, kw_only=True, metaclass=_AllAtOnce):
    """How one kind of work is done and judged.

    `execute` may raise `ToolFailed`, `NothingDone` and `ModelFailed`; whatever else it raises is a crash of the agent.
    `problems` names what is wrong with an item before anything is spent on it; with any it ends `invalid_item`.
    `check` judges what can be judged without a model; a gate of `required_gates` that it leaves out is unknown.
    `opening` is what `execute` asks a model first, so that an estimate counts what the call will.
    `complete_by_form`: a valid item is never too vague to do. `needs_model`: nothing is done without one.
    `resources_version` is set by whoever loads it, and tells one state of its file from another.
    """

    name: str
    version: str
    says: str
    execute: Execute
    check: Check | None = None
    required_gates: frozenset[Gate]
    problems: Callable[[WorkItem], tuple[Problem, ...]] = no_problems
    opening: Opening | None = None
    stages: tuple[Stage, ...] = ALL_STAGES
    complete_by_form: bool = False
    needs_model: bool = False
    resources_version: str = SHIPPED_WITH

    @property
    def ref(self) -> str:
        """What a result says it was made by: `name@version`."""
        return f"{self.name}@{self.version}"

    def handed_back(self, value: object, wanted: type[_Wanted], by: str) -> _Wanted:
        """`value`, which the function `by` of this template returned.

        Raises:
            UnfitResult: it is something else; most often a path that ends without a `return`.
        """
        if isinstance(value, wanted):
            return value
        raise self._unfit(by, value, f"a {wanted.__name__}")

    def review_handed_back(self, value: object) -> Review:
        """`value`, which `check` returned, in the types that a review declares.

        Raises:
            UnfitResult: it is no review, or something in it is not what it must be.
        """
        review = self.handed_back(value, Review, "check")
        try:
            return convert(to_builtins(review), Review)
        except (ValidationError, TypeError) as error:
            raise UnfitResult(f"`check` of {self.ref} returned a Review that is none: {error}") from error

    def problems_with(self, item: WorkItem) -> tuple[Problem, ...]:
        """What `problems` says of `item`.

        Raises:
            UnfitResult: it says something else than problems.
        """
        found: object = self.problems(item)
        if not isinstance(found, Iterable):
            raise self._unfit("problems", found, "a tuple of Problem")
        told = tuple(found)
        for each in told:
            if not isinstance(each, Problem):
                raise self._unfit("problems", each, "a tuple of Problem", within=True)
        return told

    def _unfit(self, by: str, value: object, wanted: str, *, within: bool = False) -> UnfitResult:
        found = "None" if value is None else f"a {type(value).__name__}"
        where = " among others" if within else ""
        return UnfitResult(f"`{by}` of {self.ref} returned {found}{where}; let each of its paths return {wanted}")


TemplateOf = Callable[[str], Template]
"""The template of the agent definition so named."""
