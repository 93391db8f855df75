"""The first call of an item that was not handed in yet: what a model would be asked. Estimates of its cost need it."""

from darumad.agents.raised import said_of
from darumad.agents.roles import optimizer, planner, reviewer
from darumad.agents.roles.brief import Earlier, build_brief
from darumad.agents.template import Opening, Sight, Template
from darumad.errors import Problem, Refused, pointer
from darumad.names import Role, Stage
from darumad.values import changed
from darumad.work.codec import item_to_json
from darumad.work.item import WorkItem
from darumad.work.model import Message, ModelRequest
from darumad.work.plan import check_list


def first_request(item: WorkItem, turns: tuple[Message, ...], template: Template | None) -> ModelRequest | None:
    """The request: as its role makes it, an executor's as its template says, or without that the item's own words.

    None where no model is asked: for a goal that is a plan already, a context that fits. `turns` are the earlier ones
    of its conversation. A template may take its time to say: on no loop.

    Raises:
        Refused: the template says no such thing.
    """
    match item.role:
        case Role.ORCHESTRATOR:
            return None if check_list(item.description) else planner.opening(item, turns)
        case Role.OPTIMIZER:
            return optimizer.opening(item, turns)
        case Role.REVIEWER:
            return reviewer.opening(item, turns)
        case Role.EXECUTOR:
            return _executor_s(item, turns, template)


def _executor_s(item: WorkItem, turns: tuple[Message, ...], template: Template | None) -> ModelRequest:
    if template is None or template.opening is None:
        words = item_to_json(changed(item, messages=(*turns, *item.messages)))
        return ModelRequest(messages=(Message(role="user", text=str(words)),))
    brief = build_brief(item, Earlier(turns=turns)) if Stage.OPTIMIZING in item.stages else None
    uploads = tuple(each.name for each in item.inputs if each.upload)
    return _said_by(template.opening, item, Sight(brief=brief, turns=turns, uploads=uploads))


def _said_by(opening: Opening, item: WorkItem, sight: Sight) -> ModelRequest:
    try:
        request: object = opening(item, sight)
    except (Exception, SystemExit) as error:
        raise _unsaid(item, f"raised {said_of(error, '')}") from error
    if not isinstance(request, ModelRequest):
        raise _unsaid(item, f"returned {type(request).__name__}, and must return a ModelRequest")
    return request


def _unsaid(item: WorkItem, what: str) -> Refused:
    problem = Problem(pointer("agent"), f"its template's `opening` {what}")
    return Refused(f"the template of {item.agent} cannot say what it asks a model first", problems=[problem])
