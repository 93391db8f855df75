"""The orchestrator's agent: turns a goal into the items that reach it, each with what it depends on."""

from typing import Any

from darumad.agents.answers import ask_for_json
from darumad.agents.dialogue import dialogue_before, words_of
from darumad.agents.prompts import render
from darumad.agents.roles.brief import Earlier, build_brief
from darumad.agents.roles.conduct import Conduct, found_before_spending, invalid_item
from darumad.agents.schemas import closed
from darumad.agents.template import SHIPPED_WITH, Sight, TemplateOf
from darumad.errors import Problem
from darumad.names import AgentName
from darumad.work.codec import plan_to_json, planned_from_json
from darumad.work.item import PHASES, WorkItem
from darumad.work.model import Message, ModelFailed, ModelRequest
from darumad.work.plan import MOST, Plan, PlannedItem, check_list, problems_of
from darumad.work.ports import Context
from darumad.work.result import StopReason, WorkResult

DOES = AgentName("executor")
"""The definition whose agent does what is planned."""


class PlannerAgent:
    """Plans. A goal that is written as a check list is a plan already, and no model is asked."""

    resources_version = None
    """See `work.ports.Agent`."""

    def __init__(self, template_of: TemplateOf) -> None:
        """Made where somebody could do what it plans.

        Raises:
            SpawnRefused: nobody could: the template of `DOES` cannot be loaded.
        """
        template_of(DOES)
        self._template_of = template_of
        self._conduct = Conduct("orchestrator")

    async def execute_work(self, item: WorkItem, context: Context) -> WorkResult:
        """The plan of `item` as `data`, and as an outline for people.

        Raises:
            SpawnRefused: nobody could do what is planned any more. Nothing was spent on it.
        """
        return await self._conduct.run(item, context, find=found_before_spending, work=self._work)

    async def _work(self, item: WorkItem, context: Context) -> WorkResult:
        listed = check_list(item.description)
        if len(listed) > MOST:
            said = f"is a check list with {len(listed)} open lines, and {MOST} are the most; hand in several goals"
            return invalid_item(Problem("/description", said))
        stages = self._template_of(DOES).stages
        planned = listed or await _asked(item, context)
        return WorkResult(
            stop_reason=StopReason.COMPLETED,
            data=plan_to_json(Plan(items=planned, stages=stages)),
            text=_outline(planned),
            model=context.complete.model if context.complete.model and not listed else "offline",
            template="orchestrator",
            resources_version=SHIPPED_WITH,
        )


def opening(item: WorkItem, turns: tuple[Message, ...]) -> ModelRequest:
    """What a model is asked for the plan of `item`; `turns` are the earlier ones of its conversation. Pure."""
    brief = build_brief(item, Earlier(turns=turns))
    return ModelRequest(
        system=render("plan.md", most=MOST, phases=PHASES),
        messages=(*dialogue_before(item, Sight(brief=brief)), Message(role="user", text=words_of(brief))),
        output_schema=_SCHEMA,
    )


async def _asked(item: WorkItem, context: Context) -> tuple[PlannedItem, ...]:
    """The plan that a model makes.

    Raises:
        ModelFailed: there is none (`model_not_found`), or see `ask_for_json`: a plan that is none breaks its form, too.
    """
    if context.complete.model is None:
        said = "planning needs a model, and none is configured; a goal written as a check list, `- [ ] ...`, needs none"
        raise ModelFailed("model_not_found", said)
    request = opening(item, context.turns)
    return planned_from_json(await ask_for_json(context, "plan", request, sound=_problems))


def _problems(answer: Any) -> tuple[str, ...]:
    return problems_of(planned_from_json(answer))


def _outline(planned: tuple[PlannedItem, ...]) -> str:
    """The plan as people read it: a line an item."""
    return "\n".join(
        f"{each.key}. {' '.join(each.description.split())}"
        + (f" (after {', '.join(each.depends_on)})" if each.depends_on else "")
        for each in planned
    )


_TEXTS: dict[str, Any] = {"type": "array", "items": {"type": "string"}}
_SCHEMA = closed(
    items={
        "type": "array",
        "items": closed(
            key={"type": "string"},
            description={"type": "string"},
            phase={"enum": list(PHASES)},
            priority={"type": "integer"},
            depends_on=_TEXTS,
            requirements=_TEXTS,
            success_criteria={"type": "string"},
        ),
    }
)
