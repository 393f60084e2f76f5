"""Who asks: the credentials of a request, the person behind them, and the workspace they mean."""

import hmac

from aiohttp import web

from api.http import ACTOR, BY_COOKIE, CLIENT_IP, NEW_TOKEN, Endpoint, agent_of, json_body
from api.problems import PREFIX
from domain.errors import Forbidden, Invalid, PilotError, Unauthorized, Unavailable
from domain.identity.actor import Actor
from domain.ids import parse_id
from services.container import Services
from services.identity.api_keys import KEY_PREFIX
from services.identity.credentials import Credentials, Identity

COOKIE = "helm_session"
SAFE = frozenset({"GET", "HEAD", "OPTIONS"})


def bearer_of(request: web.Request) -> str | None:
    """The token of `Authorization: Bearer ...`."""
    scheme, _, value = request.headers.get("Authorization", "").partition(" ")
    return value.strip() if scheme.lower() == "bearer" else None


def credentials_of(request: web.Request) -> Credentials:
    """What came with the request, nothing judged yet."""
    scheme, _, value = request.headers.get("Authorization", "").partition(" ")
    bearer = value.strip() if scheme.lower() == "bearer" else None
    key = request.headers.get("X-API-Key")
    if bearer is not None and bearer.startswith(KEY_PREFIX):
        # many clients can send a bearer only; no session looks like a key
        bearer, key = None, key or bearer
    return Credentials(
        bearer=bearer,
        init_data=value.strip() if scheme.lower() == "tma" else None,
        api_key=key,
        cookie=request.cookies.get(COOKIE) if "Cookie" in request.headers else None,
        csrf=request.headers.get("X-CSRF-Token"),
        ip=request[CLIENT_IP],
        user_agent=agent_of(request),
    )


async def identify(request: web.Request, services: Services) -> Identity:
    """Who asks; remembers a rotated token for the answer."""
    identity = await services.authentication.identify(credentials_of(request), unsafe_method=request.method not in SAFE)
    request[ACTOR] = identity.actor
    if identity.new_token is not None:
        request[NEW_TOKEN] = identity.new_token
        request[BY_COOKIE] = identity.by_cookie
    return identity


async def enter_workspace(request: web.Request, services: Services, actor: Actor, endpoint: Endpoint | None) -> Actor:
    """The actor in the workspace that path, header, query or body name; they must agree."""
    wanted: dict[str, str] = {}
    if endpoint is not None and endpoint.workspace_in_path is not None:
        wanted["path"] = request.match_info[endpoint.workspace_in_path]
    if (header := request.headers.get("X-Workspace-Id")) is not None:
        wanted["header"] = header
    if request.path.startswith(PREFIX) and (tenant := request.headers.get("X-Helm-Tenant-ID")) is not None:
        wanted["tenant"] = tenant
    if (query := request.query.get("workspaceId")) is not None:
        wanted["query"] = query
    if endpoint is not None and endpoint.body is not None and request.can_read_body:
        given = (await json_body(request)).get("workspaceId")
        if given is not None:
            if not isinstance(given, str):
                raise Invalid.field("workspaceId", "must be a string")
            wanted["body"] = given
    ids = {parse_id(value, what="workspace") for value in wanted.values()}
    if len(ids) > 1:
        # only somebody who is in the first learns that the second differs
        for one in ids:
            await services.memberships.in_workspace(actor, one)
        raise Forbidden("workspaceId does not match authenticated workspace", code="workspace_conflict")
    if not ids:
        if actor.workspace_id is not None:
            return actor
        raise Invalid("workspaceId required", code="workspace_required")
    return await services.memberships.in_workspace(actor, ids.pop())


async def note_refusal(request: web.Request, services: Services, actor: Actor | None, error: PilotError) -> None:
    """Whoever showed something at the door and was not let in is in the installation's log, in no workspace's."""
    shown = credentials_of(request)
    if actor is None and not (shown.bearer or shown.init_data or shown.api_key or shown.cookie):
        return
    resource = request.match_info.route.resource
    await services.audit.refused(
        workspace_id=None,
        actor="anonymous" if actor is None else actor.principal,
        route=f"{request.method} {'' if resource is None else resource.canonical}",
        code=error.code,
    )


def check_admin(request: web.Request, expected: str | None) -> None:
    """Unavailable when no administrator's key is set, Unauthorized without a bearer, Forbidden with a wrong one."""
    if expected is None:
        raise Unavailable("PILOT_ADMIN_API_KEY is not set", code="admin_not_configured")
    given = bearer_of(request)
    if not given:
        raise Unauthorized("the administrator's key is needed")
    if not same_secret(given, expected):
        raise Forbidden("not the administrator's key", code="admin_key_wrong")


def same_secret(given: str, expected: str) -> bool:
    """Constant-time comparison of what a caller sent with a secret."""
    return hmac.compare_digest(given.encode("utf-8", "replace"), expected.encode())
