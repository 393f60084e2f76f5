"""The workspace: where everything is, its people, and the others a person is in."""

import locales
from domain.clock import utc_now
from domain.identity.actor import Actor, Role
from domain.identity.permissions import Action, allows
from services.container import Services
from services.workspaces.service import GRACE_DAYS
from webapp.fragments.common import Fragment, Query


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
