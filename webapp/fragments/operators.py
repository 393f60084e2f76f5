"""Operators: who does the work."""

from domain.identity.actor import Actor
from domain.identity.permissions import Action, allows
from services.container import Services
from services.tools.operators import ROLES
from webapp.fragments.common import Fragment, Query, item_id


async def operators(services: Services, actor: Actor, _item: str, _query: Query) -> Fragment:
    """Operators of the workspace, and the form for a new one."""
    return "operators.html", {
        "operators": await services.operators.list(actor),
        "roles": tuple(ROLES),
        "specs": (await services.tool_registry.of(services.store, actor.in_workspace)).specs,
        "may_write": allows(actor, Action.OPERATOR_WRITE),
    }


async def operator(services: Services, actor: Actor, item: str, _query: Query) -> Fragment:
    """One operator: goal, limits, tools."""
    return "operator.html", {
        "operator": await services.operators.get(actor, item_id(item)),
        "specs": (await services.tool_registry.of(services.store, actor.in_workspace)).specs,
        "may_write": allows(actor, Action.OPERATOR_WRITE),
    }
