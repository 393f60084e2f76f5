"""Settings of the workspace, its people and keys, and the person's own sessions."""

from domain.actor import Actor
from domain.permissions import Action, allows
from services.container import Services
from webapp.parts.common import Part, Query


async def settings(services: Services, actor: Actor, _item: str, _query: Query) -> Part:
    """Everything that can be changed, as far as the person may."""
    view = await services.workspaces.settings(actor)
    workspace, members = await services.workspaces.get(actor)
    owner = allows(actor, Action.SETTINGS_WRITE)
    return "settings.html", {
        "workspace": workspace,
        "members": members,
        "policy": view.settings.policy,
        "budget": view.settings.budget,
        "model": view.settings.model,
        "owner": owner,
        "places": await services.workspaces.mine(actor),
        "invites": await services.workspaces.invites(actor) if allows(actor, Action.INVITE_LIST) else [],
        "keys": await services.workspaces.keys(actor) if allows(actor, Action.APIKEY_LIST) else [],
        "grants": await services.approvals.grants(actor) if allows(actor, Action.GRANT_LIST) else [],
        "may_revoke": allows(actor, Action.GRANT_REVOKE),
        "sessions": await services.workspaces.sessions(actor),
    }
