"""The executor's agent: does the work its template describes."""

import asyncio
from collections.abc import Sequence

from darumad.agents.roles.conduct import Conduct, ended
from darumad.agents.schemas import problems_of, violations
from darumad.agents.template import Template, no_problems
from darumad.errors import Problem
from darumad.names import Stage
from darumad.values import changed
from darumad.work.item import WorkItem
from darumad.work.ports import Context
from darumad.work.result import WorkResult
from darumad.work.validation import Findings, validate


class ExecutorAgent:
    """One instance of one template. See `work.ports.Agent`."""

    def __init__(self, template: Template) -> None:
        self._template = template
        self._conduct = Conduct(template.name)

    @property
    def resources_version(self) -> str:
        """See `work.ports.Agent`."""
        return self._template.resources_version

    async def execute_work(self, item: WorkItem, context: Context) -> WorkResult:
        """Do `item` as the template does it. Known failures come back as results; what else it raises is a crash."""
        return await self._conduct.run(item, context, find=self._find, work=self._work)

    async def _find(self, item: WorkItem, _: Context) -> Findings:
        found = validate(item)
        own = (*await self._its_own_problems(item), *problems_of(item.output_schema))
        return changed(found, errors=(*found.errors, *own)) if own else found

    async def _its_own_problems(self, item: WorkItem) -> Sequence[Problem]:
        """What the template finds wrong: it may look long, or for ever, and so never does on the loop."""
        template = self._template
        return () if template.problems is no_problems else await asyncio.to_thread(template.problems_with, item)

    async def _work(self, item: WorkItem, context: Context) -> WorkResult:
        result = self._template.handed_back(await self._template.execute(item, context), WorkResult, "execute")
        template, model = self._template, result.model or context.complete.model or "offline"
        made = changed(result, template=template.ref, resources_version=template.resources_version, model=model)
        return made if Stage.REVIEWING in item.stages else _against_schema(made, item)


def _against_schema(result: WorkResult, item: WorkItem) -> WorkResult:
    """A result that nobody reviews, held against the item's schema. A reviewer would have it repaired instead."""
    broken = violations(item.output_schema, result.data) if item.output_schema is not None and result.success else ()
    if not broken:
        return result
    unfit = ended("schema_violation", f"the result breaks its output_schema: {'; '.join(broken)}")
    return changed(result, stop_reason=unfit.stop_reason, error=unfit.error)
