"""What stands in a `Template`, which holds whatever it was given, held against what it may be. Nothing is called."""

import inspect
from collections.abc import Iterator
from pathlib import Path
from types import CodeType
from typing import Any

from darumad.names import Role, Stage
from darumad.work.gates import Gate
from darumad.work.validation import ONLY_WALKS, WALKS


def wrong_with(template: Any) -> Iterator[str]:
    """What is wrong with `template`, field by field: each a sentence that names one."""
    for name in ("name", "version", "says"):
        said = getattr(template, name)
        if not isinstance(said, str) or not said.strip():
            yield f"its `{name}` must be a text, and not empty"
    for name, work in (("execute", template.execute), ("check", template.check)):
        if work is not None or name == "execute":
            yield from _wrong_with_work(name, work)
    gates = template.required_gates
    if not isinstance(gates, frozenset) or not all(isinstance(each, Gate) for each in gates):
        yield "its `required_gates` must be a frozenset of Gate"
    yield from _wrong_with_question("problems", template.problems, "(item)")
    if template.opening is not None:
        yield from _wrong_with_question("opening", template.opening, "(item, sight)")
    yield from _wrong_with_stages(template.stages)
    for name in ("complete_by_form", "needs_model"):
        if not isinstance(getattr(template, name), bool):
            yield f"its `{name}` must be True or False"
    if not isinstance(template.resources_version, str):
        yield "its `resources_version` must be a text; leave it out"


def _wrong_with_work(name: str, work: object) -> Iterator[str]:
    if not _is_awaited(work):
        yield f"its `{name}` is not asynchronous; write `async def {name}(item, context)`{_place(work)}"
    elif not _takes(work, 2):
        yield f"its `{name}` must take two arguments; write `async def {name}(item, context)`{_place(work)}"


def _wrong_with_question(name: str, asked: object, arguments: str) -> Iterator[str]:
    if not callable(asked) or _is_awaited(asked) or not _takes(asked, arguments.count(",") + 1):
        yield f"its `{name}` must be a function, not asynchronous; write `def {name}{arguments}`{_place(asked)}"


def _wrong_with_stages(stages: Any) -> Iterator[str]:
    if not isinstance(stages, tuple) or not all(isinstance(each, Stage) for each in stages):
        yield "its `stages` must be a tuple of Stage"
    elif stages not in WALKS[Role.EXECUTOR]:
        yield f"its `stages` {ONLY_WALKS}"


def _is_awaited(work: object) -> bool:
    """Whether calling `work` makes a coroutine: an `async def`, decorated or not, or an object called as one."""
    if not callable(work):
        return False
    inner = inspect.unwrap(work)
    return inspect.iscoroutinefunction(inner) or inspect.iscoroutinefunction(type(inner).__call__)


def _takes(asked: Any, count: int) -> bool:
    """Whether `asked` can be called with so many arguments, as far as it says."""
    try:
        signature = inspect.signature(asked)
    except ValueError:
        return True  # some of what is written in C does not say
    try:
        signature.bind(*range(count))
    except TypeError:
        return False
    return True


def _place(work: object) -> str:
    """Where a function begins; of anything else nothing is known."""
    code = getattr(work, "__code__", None)
    return f" ({Path(code.co_filename).name}:{code.co_firstlineno})" if isinstance(code, CodeType) else ""
