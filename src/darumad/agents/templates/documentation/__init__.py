"""Documents a Python package: one Markdown page with every public name, from source that is read, never imported.

Real work without a model. With one, it also describes what the package's authors left undescribed. griffe is touched in
`tree`, `reading` and `docstrings` only, and those run only in the reader's process (`__main__`).
"""

import asyncio
from collections.abc import Mapping
from typing import Any

from darumad.agents import artifacts
from darumad.agents.subprocesses import ask_module
from darumad.agents.template import Template
from darumad.agents.templates.documentation.describing import MOST, describe
from darumad.agents.templates.documentation.finding import NAME
from darumad.archives import TAR
from darumad.errors import Problem
from darumad.plural import counted
from darumad.work.gates import Finding, Gate, Review, Verdict
from darumad.work.item import Input, WorkItem
from darumad.work.ports import Context
from darumad.work.result import Artifact, Failure, StopReason, WorkResult

PAGE = "reference.md"
"""The artifact."""
UPLOAD = "package"
"""The name of the input that holds the package, where there are several."""
_SAY_WHICH = (
    "holds no package: hand one in with `--input DIR`; "
    'one that is installed beside the daemon is {"package": NAME, "installed": true} in /input'
)
_SAY_WHICH_OF_THEM = f"holds several uploads and none called {UPLOAD}: hand in one `--input DIR`"
_NAME_IT = 'rename it, or say {"package": NAME} as the `input` of an `--item`'
_READER = "darumad.agents.templates.documentation"
_MOST_ISSUES = 50
_REQUIRED = frozenset({Gate.DOCUMENTATION_COMPLETE, Gate.COMPLETENESS, Gate.NO_ANTIPATTERNS})


def problems(item: WorkItem) -> tuple[Problem, ...]:
    """What keeps `item` from saying which package it means."""
    given = item.input
    if given is not None and not (isinstance(given, Mapping) and isinstance(given.get("package"), str)):
        return (Problem("/input", 'must be {"package": NAME}, or nothing where one upload is the package'),)
    said, upload = _said(item), _upload(item)
    if said is None and upload is None:
        several = any(each.upload for each in item.inputs)
        return (Problem("/inputs", _SAY_WHICH_OF_THEM if several else _SAY_WHICH),)
    if said is not None and not NAME.fullmatch(said):
        return (Problem("/input/package", f"{said!r} is no dotted Python name"),)
    if said is None and upload is not None and upload.media_type != TAR and not NAME.fullmatch(_called(upload)):
        return (Problem("/inputs", f"{upload.name!r} is no name that Python imports: {_NAME_IT}"),)
    if upload is None and not (given is not None and given.get("installed") is True):
        return (Problem("/inputs", 'must have the package (`--input DIR`), unless /input says {"installed": true}'),)
    return ()


def _upload(item: WorkItem) -> Input | None:
    """The input that holds the package: the one called `package`, or the only one there is."""
    uploads = [each for each in item.inputs if each.upload]
    named = [each for each in uploads if each.name == UPLOAD]
    return (named or uploads)[0] if len(named) == 1 or len(uploads) == 1 else None


def _said(item: WorkItem) -> str | None:
    """The package's name, where the item says it; else its upload shows it."""
    return str(item.input["package"]) if item.input is not None else None


def _called(upload: Input) -> str:
    return upload.name.removesuffix(".py")


async def execute(item: WorkItem, context: Context) -> WorkResult:
    """Read the package, have what lacks a description described if there is a model, and write the page.

    An item that was sent back is made anew from its source: that repairs whatever became of the page meanwhile.
    """
    described = context.complete.model is not None
    key = _key(item)

    async def read() -> Any:
        return await _read(item, context, {"most": MOST if described else 0})

    summary = await context.steps.once("read", key | {"described": described}, read)
    context.progress()
    if "refused" in summary:
        return _refused(summary["refused"])
    texts = await describe(summary["package"], summary["to_describe"], context) if described else {}

    async def write() -> Any:
        if texts or not await _is_there(context, summary["page"]):
            return await _read(item, context, {"descriptions": texts, "author": context.complete.model})
        return summary

    written = await context.steps.last("write", {"page": summary["page"], "descriptions": texts}, write)
    return _refused(written["refused"]) if "refused" in written else _result(written, texts)


async def check(item: WorkItem, context: Context) -> Review:
    """Hold the page that is on disk now against the package: every name, every signature, every link."""
    audit = await ask_module(_READER, _request(item, context, "check"))
    if "refused" in audit:
        return _review({Gate.COMPLETENESS: (f"completeness: {audit['refused']}",)})
    found = audit["answer"]
    return _review(
        {
            Gate.DOCUMENTATION_COMPLETE: (
                *(f"documentation_complete: missing entry: {name}" for name in found["missing"]),
                *(f"documentation_complete: entry without its signature: {name}" for name in found["hollow"]),
            ),
            Gate.COMPLETENESS: (
                *(() if found["names"] else ("completeness: the package has no public name",)),
                *(f"completeness: link leads nowhere: {anchor}" for anchor in found["astray"]),
                *(f"completeness: unread file is not named: {file}" for file in found["unsaid"]),
            ),
            Gate.NO_ANTIPATTERNS: tuple(f"no_antipatterns: unfinished: {PAGE} {mark}" for mark in found["marks"]),
        }
    )


def _review(issues: Mapping[Gate, tuple[str, ...]]) -> Review:
    """Each gate passes when nothing was found; where the check itself could not look, the others stay unknown."""
    gates = {gate: Finding(Verdict.FAIL if found else Verdict.PASS, _at_most(found)) for gate, found in issues.items()}
    return Review(gates=gates, required=_REQUIRED)


def _at_most(issues: tuple[str, ...]) -> tuple[str, ...]:
    rest = len(issues) - _MOST_ISSUES
    return issues if rest <= 0 else (*issues[:_MOST_ISSUES], f"... and {rest} more")


async def _read(item: WorkItem, context: Context, more: Mapping[str, Any]) -> dict[str, Any]:
    """Have the page written, and say what is in it and what the file is then."""
    reply = await ask_module(_READER, {**_request(item, context, "write"), **more})
    if "refused" in reply:
        return {"refused": reply["refused"]}
    made = await asyncio.to_thread(artifacts.artifact, context.workspace, PAGE)
    return {**reply["answer"], "page": {"size": made.size, "sha256": made.sha256}}


async def _is_there(context: Context, page: Mapping[str, Any]) -> bool:
    """Whether the page on disk is the one that was written: a replayed step has written nothing in this life."""
    try:
        made = await asyncio.to_thread(artifacts.artifact, context.workspace, PAGE)
    except OSError:
        return False
    return bool(made.sha256 == page["sha256"])


def _request(item: WorkItem, context: Context, do: str) -> dict[str, Any]:
    given = _upload(item)
    upload = context.uploads.get(given.name) if given is not None else None
    return {
        "do": do,
        "package": _said(item),
        "called": _called(given) if given is not None else None,
        "upload": str(upload.resolve()) if upload is not None else None,
        "page": str((context.workspace / PAGE).resolve()),
    }


def _key(item: WorkItem) -> dict[str, Any]:
    """What the page is made of: the package by its name, and its upload's digest where there is one."""
    given = _upload(item)
    name = _said(item) or (_called(given) if given is not None else None)
    return {"package": name, "upload": given.upload if given is not None else None, "template": TEMPLATE.ref}


def _refused(why: str) -> WorkResult:
    """There is nothing to document, and another try would not change that."""
    return WorkResult(
        stop_reason=StopReason.INVALID_ITEM,
        error=Failure(kind="invalid_item", message=why, hints=("Check the package's name and what was uploaded.",)),
    )


def _result(summary: Mapping[str, Any], texts: Mapping[str, str]) -> WorkResult:
    page = Artifact(name=PAGE, media_type="text/markdown", **summary["page"])
    data = {key: summary[key] for key in ("package", "modules", "names", "unread")}
    return WorkResult(
        stop_reason=StopReason.COMPLETED,
        data=data | {"undescribed": summary["undescribed"] - len(texts), "described": len(texts)},
        text=_told(summary),
        artifacts=(page,),
    )


def _told(summary: Mapping[str, Any]) -> str:
    """What is on the page, and what a reader would miss there."""
    entries = counted(summary["names"], "entry", "entries")
    told = f"{PAGE}: {entries} of {summary['package']} in {counted(summary['modules'], 'module')}"
    if summary["names"] == summary["modules"]:
        told += (
            "; none of them has a public name: what begins with an underscore or stands outside `__all__` is private"
        )
    return told + (f"; {counted(len(summary['unread']), 'file')} could not be read" if summary["unread"] else "")


TEMPLATE = Template(
    name="documentation",
    version="1.0.0",
    says="Documents a Python package from its source, which is read and never imported.",
    execute=execute,
    check=check,
    required_gates=_REQUIRED,
    problems=problems,
    complete_by_form=True,
)
