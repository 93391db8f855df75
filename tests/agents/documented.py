"""Runs the real agents over a package, the reader's process included, and reads the page they made."""

import re
from dataclasses import dataclass
from pathlib import Path

from darumad.names import Role, Stage
from darumad.values import changed
from darumad.work.codec import review_from_json
from darumad.work.gates import Review
from darumad.work.item import WorkItem
from darumad.work.ports import Context
from darumad.work.result import WorkResult
from tests.agents.fakes import agent, context, item

HEAD = re.compile(r'^(?:#{2,6}|-) <a id="([^"]+)"></a>')


def installed(package: str) -> WorkItem:
    return item(f"Document the package {package}", input={"package": package, "installed": True})


@dataclass(frozen=True)
class Documented:
    """A package's page on disk, and how it was made."""

    item: WorkItem
    context: Context
    result: WorkResult

    @property
    def path(self) -> Path:
        return self.context.workspace / "reference.md"

    @property
    def page(self) -> str:
        return self.path.read_text("utf-8")

    def sections(self) -> dict[str, str]:
        """The text of each entry by its anchor."""
        found: dict[str, list[str]] = {}
        lines: list[str] = []
        for line in self.page.splitlines():
            head = HEAD.match(line)
            if head:
                assert head[1] not in found, f"{head[1]} has two entries"
                lines = found.setdefault(head[1], [])
            lines.append(line)
        return {anchor: "\n".join(each) for anchor, each in found.items()}

    def names(self) -> set[str]:
        """Every path that has its entry; a module's anchor says that it is one."""
        return {anchor.removeprefix("module-") for anchor in self.sections()}

    def without(self, name: str) -> None:
        """Remove one entry from the page on disk, head and all."""
        kept, skipping = [], False
        for line in self.page.splitlines():
            head = HEAD.match(line)
            skipping = head[1] == name if head else skipping
            if not skipping:
                kept.append(line)
        self.path.write_text("\n".join(kept) + "\n", "utf-8")

    async def review(self) -> Review:
        """What the real reviewer says of the page as it is on disk now."""
        seen = changed(self.context, stage=Stage.REVIEWING, work=self.result)
        reviewed = await agent(Role.REVIEWER, "documentation").execute_work(self.item, seen)
        assert reviewed.success, reviewed.error
        return review_from_json(reviewed.data)


async def document(work: WorkItem, workspace: Path, **more: object) -> Documented:
    """Have the real executor document what `work` names."""
    seen = context(workspace, **more)  # type: ignore[arg-type]
    result = await agent(Role.EXECUTOR, "documentation").execute_work(work, seen)
    return Documented(work, seen, result)
