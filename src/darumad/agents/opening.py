"""What a model will be asked first of an item that has not been handed in: what an estimate of its cost stands on."""

from darumad.agents.roles.brief import Earlier, build_brief
from darumad.agents.template import Sight, Template
from darumad.names import Role, Stage
from darumad.values import changed
from darumad.work.codec import item_to_json
from darumad.work.item import WorkItem
from darumad.work.model import Message, ModelRequest


def first_request(item: WorkItem, turns: tuple[Message, ...], template: Template | None) -> ModelRequest:
    """The request; where the template does not say, or another role is asked, one with the item's own words.

    `turns` are the earlier ones of its conversation.
    """
    if template is None or template.opening is None or item.role is not Role.EXECUTOR:
        words = item_to_json(changed(item, messages=(*turns, *item.messages)))
        return ModelRequest(messages=(Message(role="user", text=str(words)),))
    brief = build_brief(item, Earlier(turns=turns)) if Stage.OPTIMIZING in item.stages else None
    uploads = tuple(each.name for each in item.inputs if each.upload)
    return template.opening(item, Sight(brief=brief, turns=turns, uploads=uploads))
