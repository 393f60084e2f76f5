"""The person: logins, keys, language, erasure."""

import locales
from domain.identity.actor import Actor, Role
from domain.identity.permissions import SCOPES, Action, allows
from services.container import Services
from webapp.fragments.common import Fragment, Query


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


async def person(services: Services, actor: Actor, _item: str, _query: Query) -> Fragment:
    """The person: what is kept about them, and how to have it erased."""
    user, places = await services.workspaces.me(actor)
    return "person.html", {"user": user, "owned": [w for w, _ in places if w.owner_id == user.id]}


async def language(services: Services, actor: Actor, _item: str, _query: Query) -> Fragment:
    """The language of the person."""
    user, _ = await services.workspaces.me(actor)
    return "language.html", {"languages": locales.languages(), "chosen": user.preferences.get("language")}
