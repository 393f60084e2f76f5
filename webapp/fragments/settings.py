"""Settings of the workspace, its people and keys, and what belongs to the person: logins and language."""

from typing import Any

import locales
from domain.clock import utc_now
from domain.identity.actor import Actor, Role
from domain.identity.permissions import SCOPES, Action, allows
from domain.policy.decide import tool_verdict
from domain.policy.effective import EffectivePolicy, effective
from domain.policy.governance import Verdict
from domain.policy.packs import pack
from domain.policy.settings_schema import PACKS
from domain.tools.effect import Effect
from domain.tools.tool import ToolSpec
from services.container import Services
from services.workspaces.secrets import KINDS
from services.workspaces.service import GRACE_DAYS
from webapp.fragments.common import Fragment, Query, names

# how the page names what the policy does with a tool
FATES = {Verdict.ALLOW: "runs", Verdict.ESCALATE: "asks", Verdict.DENY: "blocked"}
PROVIDERS = ("openrouter", "openai", "anthropic", "ollama", "custom")


async def more(services: Services, actor: Actor, _item: str, _query: Query) -> Fragment:
    """Where everything else is."""
    view = await services.settings.get(actor)
    workspace, members = await services.workspaces.get(actor)
    user, places = await services.workspaces.me(actor)
    return "more.html", {
        "workspace": workspace,
        "members": members,
        "user": user,
        "places": places,
        "frozen": view.settings.policy.kill_switch,
        "model": view.settings.model,
        "languages": locales.languages(),
        "may": {action.value: allows(actor, action) for action in Action},
    }


async def policy(services: Services, actor: Actor, _item: str, _query: Query) -> Fragment:
    """What operators may do."""
    view = await services.settings.get(actor)
    _, members = await services.workspaces.get(actor)
    in_force = effective(view.settings)
    specs = (await services.tool_registry.of(services.store, actor.in_workspace)).specs
    return "policy.html", {
        "workspace_id": actor.in_workspace,
        "policy": view.settings.policy,
        "version": view.version,
        "differs": view.differs,
        "members": members,
        "tools": [_tool(spec, in_force) for spec in specs],
        "elsewhere": sorted(set(view.settings.policy.tool_effects) - {spec.name for spec in specs}),
        "levels": tuple(f"E{level.value}" for level in Effect),
        "packs": [pack(name) for name in PACKS],
        "may_write": allows(actor, Action.SETTINGS_WRITE),
    }


async def budgets(services: Services, actor: Actor, _item: str, _query: Query) -> Fragment:
    """What work may cost."""
    view = await services.settings.get(actor)
    return "budgets.html", {
        "workspace_id": actor.in_workspace,
        "budget": view.settings.budget,
        "may_write": allows(actor, Action.SETTINGS_WRITE),
    }


async def model(services: Services, actor: Actor, _item: str, _query: Query) -> Fragment:
    """Which model plans, and with which keys of the workspace's own."""
    view = await services.settings.get(actor)
    kept = {s.kind: s for s in await services.secrets.list(actor)} if allows(actor, Action.SECRET_READ) else {}
    return "model.html", {
        "keys": [(kind, kept.get(kind)) for kind in KINDS],
        "may_keep": allows(actor, Action.SECRET_WRITE),
        "workspace_id": actor.in_workspace,
        "model": view.settings.model,
        "providers": sorted({*PROVIDERS, view.settings.model.provider}),
        "may_write": allows(actor, Action.SETTINGS_WRITE),
    }


async def members(services: Services, actor: Actor, _item: str, _query: Query) -> Fragment:
    """Who belongs to the workspace, and who is invited."""
    _, found = await services.workspaces.get(actor)
    now = utc_now()
    invites = await services.invites.of_workspace(actor) if allows(actor, Action.INVITE_LIST) else []
    return "members.html", {
        "workspace_id": actor.in_workspace,
        "members": found,
        "invites": [i for i in invites if i.accepted_at is None and i.revoked_at is None and i.expires_at > now],
        "roles": (Role.MEMBER, Role.PARTNER),
        "may_invite": allows(actor, Action.MEMBER_INVITE),
        "invites_make_accounts": services.admission.sign_up.by_invite,
        "may_role": allows(actor, Action.MEMBER_ROLE),
        "may_remove": allows(actor, Action.MEMBER_REMOVE),
        "may_leave": actor.role is not Role.OWNER,
    }


async def keys(services: Services, actor: Actor, _item: str, _query: Query) -> Fragment:
    """API keys of the workspace."""
    return "keys.html", {
        "keys": [k for k in await services.api_keys.of_workspace(actor) if k.revoked_at is None],
        "roles": tuple(Role),
        "scopes": SCOPES,
        "may_create": allows(actor, Action.APIKEY_CREATE),
        "may_revoke": allows(actor, Action.APIKEY_REVOKE),
    }


async def sessions(services: Services, actor: Actor, _item: str, _query: Query) -> Fragment:
    """Where the person is logged in."""
    return "sessions.html", {"sessions": await services.sessions.of_person(actor)}


async def grants(services: Services, actor: Actor, _item: str, _query: Query) -> Fragment:
    """Temporary permissions that are live."""
    return "grants.html", {
        "grants": await services.approvals.grants.list(actor),
        "names": await names(services, actor),
        "may_revoke": allows(actor, Action.GRANT_REVOKE),
    }


def _tool(spec: ToolSpec, policy: EffectivePolicy) -> dict[str, Any]:
    fate = FATES[tool_verdict(policy, tool=spec.name, effect=int(spec.effect))]
    return {"name": spec.name, "declared": int(spec.effect), "fate": fate}


async def person(services: Services, actor: Actor, _item: str, _query: Query) -> Fragment:
    """The person: what is kept about them, and how to have it erased."""
    user, places = await services.workspaces.me(actor)
    return "person.html", {"user": user, "owned": [w for w, _ in places if w.owner_id == user.id]}


async def workspace(services: Services, actor: Actor, _item: str, _query: Query) -> Fragment:
    """The workspace itself, and the others the person is in."""
    found, members = await services.workspaces.get(actor)
    return "workspace.html", {
        "closed": await services.workspaces.closed(actor),
        "others": [m for m in members if m.user_id != found.owner_id],
        "grace": GRACE_DAYS,
        "may_transfer": allows(actor, Action.WORKSPACE_TRANSFER),
        "may_delete": allows(actor, Action.WORKSPACE_DELETE),
        "may_leave": actor.role is not Role.OWNER and actor.api_key_id is None,
        "workspace": found,
        "places": await services.workspaces.mine(actor),
        "may_create": await services.workspaces.may_create(actor),
        "may_rename": allows(actor, Action.WORKSPACE_RENAME),
    }


async def language(services: Services, actor: Actor, _item: str, _query: Query) -> Fragment:
    """The language of the person."""
    user, _ = await services.workspaces.me(actor)
    return "language.html", {"languages": locales.languages(), "chosen": user.preferences.get("language")}
