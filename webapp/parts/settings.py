"""Settings of the workspace, its people and keys, and what belongs to the person: logins and language."""

import locales
from domain.actor import Actor, Role
from domain.clock import utc_now
from domain.permissions import SCOPES, Action, allows
from services.container import Services
from webapp.parts.common import Part, Query, names

PROVIDERS = ("openrouter", "openai", "anthropic", "ollama", "custom")


async def more(services: Services, actor: Actor, _item: str, _query: Query) -> Part:
    """Where everything else is."""
    view = await services.workspaces.settings(actor)
    workspace, members = await services.workspaces.get(actor)
    user, places = await services.workspaces.me(actor)
    return "more.html", {
        "workspace": workspace,
        "members": members,
        "user": user,
        "places": places,
        "frozen": view.settings.policy.killSwitch,
        "model": view.settings.model,
        "languages": locales.languages(),
        "may": {action.value: allows(actor, action) for action in Action},
    }


async def policy(services: Services, actor: Actor, _item: str, _query: Query) -> Part:
    """What operators may do."""
    view = await services.workspaces.settings(actor)
    _, members = await services.workspaces.get(actor)
    return "policy.html", {
        "workspace_id": actor.in_workspace,
        "policy": view.settings.policy,
        "version": view.version,
        "members": members,
        "specs": services.toolbox.specs,
        "may_write": allows(actor, Action.SETTINGS_WRITE),
    }


async def budgets(services: Services, actor: Actor, _item: str, _query: Query) -> Part:
    """What work may cost."""
    view = await services.workspaces.settings(actor)
    return "budgets.html", {
        "workspace_id": actor.in_workspace,
        "budget": view.settings.budget,
        "may_write": allows(actor, Action.SETTINGS_WRITE),
    }


async def model(services: Services, actor: Actor, _item: str, _query: Query) -> Part:
    """Which model plans."""
    view = await services.workspaces.settings(actor)
    return "model.html", {
        "workspace_id": actor.in_workspace,
        "model": view.settings.model,
        "providers": sorted({*PROVIDERS, view.settings.model.provider}),
        "may_write": allows(actor, Action.SETTINGS_WRITE),
    }


async def members(services: Services, actor: Actor, _item: str, _query: Query) -> Part:
    """Who belongs to the workspace, and who is invited."""
    _, found = await services.workspaces.get(actor)
    now = utc_now()
    invites = await services.workspaces.invites(actor) if allows(actor, Action.INVITE_LIST) else []
    return "members.html", {
        "workspace_id": actor.in_workspace,
        "members": found,
        "invites": [i for i in invites if i.accepted_at is None and i.revoked_at is None and i.expires_at > now],
        "roles": (Role.MEMBER, Role.PARTNER),
        "may_invite": allows(actor, Action.MEMBER_INVITE),
        "may_role": allows(actor, Action.MEMBER_ROLE),
        "may_remove": allows(actor, Action.MEMBER_REMOVE),
        "may_leave": actor.role is not Role.OWNER,
    }


async def keys(services: Services, actor: Actor, _item: str, _query: Query) -> Part:
    """API keys of the workspace."""
    return "keys.html", {
        "keys": [k for k in await services.workspaces.keys(actor) if k.revoked_at is None],
        "roles": tuple(Role),
        "scopes": SCOPES,
        "may_create": allows(actor, Action.APIKEY_CREATE),
        "may_revoke": allows(actor, Action.APIKEY_REVOKE),
    }


async def sessions(services: Services, actor: Actor, _item: str, _query: Query) -> Part:
    """Where the person is logged in."""
    return "sessions.html", {"sessions": await services.workspaces.sessions(actor)}


async def grants(services: Services, actor: Actor, _item: str, _query: Query) -> Part:
    """Standing permissions that are live."""
    return "grants.html", {
        "grants": await services.approvals.grants(actor),
        "names": await names(services, actor),
        "may_revoke": allows(actor, Action.GRANT_REVOKE),
    }


async def workspace(services: Services, actor: Actor, _item: str, _query: Query) -> Part:
    """The workspace itself, and the others the person is in."""
    found, _ = await services.workspaces.get(actor)
    return "workspace.html", {
        "workspace": found,
        "places": await services.workspaces.mine(actor),
        "may_rename": allows(actor, Action.WORKSPACE_RENAME),
    }


async def language(services: Services, actor: Actor, _item: str, _query: Query) -> Part:
    """The language of the person."""
    user, _ = await services.workspaces.me(actor)
    return "language.html", {"languages": locales.languages(), "chosen": user.preferences.get("language")}
