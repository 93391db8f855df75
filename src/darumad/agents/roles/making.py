"""Which agent sits behind which role."""

from darumad.agents.definition import AgentDefinition
from darumad.agents.roles.executor import ExecutorAgent
from darumad.agents.roles.optimizer import OptimizerAgent
from darumad.agents.roles.planner import PlannerAgent
from darumad.agents.roles.reviewer import ReviewerAgent
from darumad.agents.template import TemplateOf
from darumad.names import Role
from darumad.work.ports import Agent


def make_agent(role: Role, definition: AgentDefinition, template_of: TemplateOf) -> Agent:
    """A new agent for one instance of `definition`, in `role`.

    `template_of` gives the template of the definition so named (`Templates`); an item's reviewer asks for its agent's.

    Raises:
        SpawnRefused: it cannot be made now; the message says why.
    """
    match role:
        case Role.OPTIMIZER:
            return OptimizerAgent()
        case Role.EXECUTOR:
            return ExecutorAgent(template_of(definition.name))
        case Role.REVIEWER:
            return ReviewerAgent(template_of)
        case Role.ORCHESTRATOR:
            return PlannerAgent(template_of)
