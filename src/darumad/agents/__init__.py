"""Agents: the minds, async and strangers to threads. They see the ports of `darumad.work`, and no room beside them.

`template.py` says what a template is, `templates/` has those that ship, `roles/` the agents behind the actors. A
vendor's client is touched in `providers/` only, Python sources are read in `templates/documentation/` only.
"""

from darumad.agents.definition import AgentDefinition
from darumad.agents.first_call import first_request
from darumad.agents.loading import Templates, load_template
from darumad.agents.raised import fitted, line_of, said_of, words_of
from darumad.agents.roles.brief import Earlier, build_brief
from darumad.agents.roles.conduct import ended
from darumad.agents.roles.making import make_agent
from darumad.agents.template import ALL_STAGES, Sight, Template, ToolFailed, UnfitResult
from darumad.agents.template_file import SpawnRefused
from darumad.agents.templates import SHIPPED

__all__ = [
    "ALL_STAGES",
    "SHIPPED",
    "AgentDefinition",
    "Earlier",
    "Sight",
    "SpawnRefused",
    "Template",
    "Templates",
    "ToolFailed",
    "UnfitResult",
    "build_brief",
    "ended",
    "first_request",
    "fitted",
    "line_of",
    "load_template",
    "make_agent",
    "said_of",
    "words_of",
]
