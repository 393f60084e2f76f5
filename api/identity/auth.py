"""Routes for getting in and out: mail codes, Telegram, API keys, sessions, invites."""

from typing import Any, cast

from api.credentials import COOKIE, credentials_of
from api.http import Access, ApiResponse, Endpoints, RequestContext
from api.middlewares import CSRF_COOKIE, session_cookies
from api.schemas.base import Serialized, text_ok
from api.schemas.identity import (
    AcceptInvite,
    ApiKeyOut,
    BrowserReturn,
    CodeSent,
    DepartureOut,
    EmailRequest,
    EmailVerify,
    InviteCodeSent,
    Joined,
    LinkLogin,
    LoggedOut,
    LoginOut,
    LoginUser,
    Named,
    NewKey,
    NewKeyOut,
    Revoked,
    SessionOut,
    TelegramLogin,
)
from domain.errors import Conflict, Forbidden, Gone, Invalid, NotFound, RateLimited, Unauthorized, Unavailable
from domain.identity.permissions import Action
from services.identity.browser_login import BrowserLogin
from services.identity.sessions import Login, check_csrf

auth = Endpoints("auth")

AUTH_BODY = 100_000
# keeps a login that left for the provider in the browser it began in
ATTEMPT_COOKIE = "pilot_login"
ATTEMPT_PATH = "/api/auth/telegram/browser"


# the membership, with a session or without; or that a code was sent
Accepted = Serialized[Joined] | ApiResponse[Serialized[Joined]] | ApiResponse[Serialized[InviteCodeSent]]


def _login(one: Login, *, telegram: bool) -> Serialized[LoginOut]:
    who = {"telegram_id": str(one.user.telegram_id)} if telegram else {"email": one.user.email}
    return LoginOut.of(
        one,
        user=LoginUser.answer(id=one.user.id, name=one.user.name, **who),
        workspace=Named.answer(id=one.workspace.id, name=one.workspace.name),
    )


def _browser_login(call: RequestContext) -> BrowserLogin:
    found = call.services.browser_login
    if found is None:
        raise Unavailable("Telegram Login is not configured", code="telegram_login_not_configured")
    return found


def _logged_in(call: RequestContext, one: Login, *, telegram: bool) -> ApiResponse[Serialized[LoginOut]]:
    return ApiResponse(body=_login(one, telegram=telegram), cookies=session_cookies(one.token, call.config))


def _shown(call: RequestContext, code: str | None) -> dict[str, Any]:
    """A code is part of the answer in development, where no mail leaves."""
    return {"code": code} if call.config.show_codes else {}


@auth.route(
    "POST",
    "/api/auth/email/request",
    needs=Access.PUBLIC,
    rate="auth",
    max_body=AUTH_BODY,
    keeps_answers=False,
    errors=(Invalid, RateLimited),
)
async def request_code(call: RequestContext, body: EmailRequest) -> Serialized[CodeSent]:
    """Send a login code by mail. The answer is the same whoever the address belongs to.

    An address that is nobody's here and could not sign up is sent none.
    """
    requested = await call.services.email_login.request(body.email)
    return CodeSent.answer(sent=True, email=requested.email, **_shown(call, requested.code))


@auth.route(
    "POST",
    "/api/auth/email/verify",
    needs=Access.PUBLIC,
    rate="auth",
    max_body=AUTH_BODY,
    keeps_answers=False,
    errors=(Invalid, Unauthorized, Forbidden),
)
async def verify_code(call: RequestContext, body: EmailVerify) -> ApiResponse[Serialized[LoginOut]]:
    """Log in with a code from a mail."""
    one = await call.services.email_login.verify(body.email, body.code, ip=call.ip, agent=call.agent)
    return _logged_in(call, one, telegram=False)


@auth.route(
    "POST",
    "/api/auth/email/link",
    needs=Access.PUBLIC,
    rate="auth",
    max_body=AUTH_BODY,
    keeps_answers=False,
    errors=(Invalid, Unauthorized, Forbidden),
)
async def redeem_link(call: RequestContext, body: LinkLogin) -> ApiResponse[Serialized[LoginOut]]:
    """Log in with the one-time token of the mailed link; somebody new with the `invite` in it, where it has one."""
    one = await call.services.email_login.redeem_link(body.token, ip=call.ip, agent=call.agent, invite=body.invite)
    return _logged_in(call, one, telegram=False)


@auth.route(
    "POST",
    "/api/auth/telegram",
    needs=Access.PUBLIC,
    rate="auth",
    max_body=AUTH_BODY,
    keeps_answers=False,
    errors=(Invalid, Unauthorized, Forbidden, Unavailable),
)
async def login_telegram(call: RequestContext, body: TelegramLogin) -> ApiResponse[Serialized[LoginOut]]:
    """Log in with the launch data of the Mini App, in the body or as `Authorization: tma <initData>`.

    Somebody new comes with an invite: as `invite`, or as the start parameter `inv_<token>` of the launch data.
    """
    raw = body.init_data if body.init_data is not None else credentials_of(call.request).init_data
    if not isinstance(raw, str) or not raw:
        raise Invalid(
            "initData required", details={"formErrors": [], "fieldErrors": {"initData": ["initData required"]}}
        )
    one = await call.services.telegram_login.login(raw, ip=call.ip, agent=call.agent, invite=body.invite)
    return _logged_in(call, one, telegram=True)


@auth.route(
    "POST",
    ATTEMPT_PATH,
    needs=Access.PUBLIC,
    rate="auth",
    keeps_answers=False,
    errors=(Unavailable,),
)
async def leave_for_telegram(call: RequestContext) -> ApiResponse[Serialized[DepartureOut]]:
    """Begin Telegram Login in a browser: send it to `url`; it comes back to `/app/` with `code` and `state`."""
    left = await _browser_login(call).start()
    kept = {
        "path": ATTEMPT_PATH,
        "samesite": "Strict",
        "max_age": 600,
        "secure": call.config.production,
        "httponly": True,
    }
    return ApiResponse(body=DepartureOut.answer(url=left.url), cookies=((ATTEMPT_COOKIE, left.binding, kept),))


@auth.route(
    "POST",
    f"{ATTEMPT_PATH}/return",
    needs=Access.PUBLIC,
    rate="auth",
    max_body=AUTH_BODY,
    keeps_answers=False,
    errors=(Invalid, Unauthorized, Forbidden, Unavailable),
)
async def return_from_telegram(call: RequestContext, body: BrowserReturn) -> ApiResponse[Serialized[LoginOut]]:
    """Log in with what Telegram Login sent back, in the browser that left; somebody new with an `invite`."""
    one = await _browser_login(call).finish(
        code=body.code,
        state=body.state,
        binding=call.request.cookies.get(ATTEMPT_COOKIE),
        ip=call.ip,
        agent=call.agent,
        invite=body.invite,
    )
    answer = _logged_in(call, one, telegram=True)
    gone: dict[str, Any] = {"path": ATTEMPT_PATH, "max_age": 0}
    return ApiResponse(body=answer.body, cookies=(*answer.cookies, (ATTEMPT_COOKIE, "", gone)))


@auth.route(
    "POST",
    "/api/auth/apikey",
    status=201,
    keeps_answers=False,
    rate="auth",
    max_body=AUTH_BODY,
    errors=(Invalid, Forbidden),
    action=Action.APIKEY_CREATE,
)
async def create_key(call: RequestContext, body: NewKey) -> Serialized[NewKeyOut]:
    """Create an API key for this workspace. The key is shown this once."""
    key, token, evidence = await call.services.api_keys.create(
        call.actor, name=text_ok(body.name), role=body.role, scopes=body.scopes, days=body.expires_in_days
    )
    return NewKeyOut.of(key, key=token, evidence_item_id=evidence)


@auth.route("GET", "/api/auth/apikeys", errors=(Forbidden,), action=Action.APIKEY_LIST)
async def list_keys(call: RequestContext) -> list[Serialized[ApiKeyOut]]:
    """API keys of the workspace, without their secrets."""
    return [ApiKeyOut.of(k) for k in await call.services.api_keys.of_workspace(call.actor)]


@auth.route(
    "DELETE", "/api/auth/apikeys/{key_id}", status=204, errors=(Forbidden, NotFound), action=Action.APIKEY_REVOKE
)
async def revoke_key(call: RequestContext, key_id: str) -> None:
    """Revoke an API key; it stops working at once."""
    await call.services.api_keys.revoke(call.actor, key_id)


@auth.route("DELETE", "/api/auth/session", needs=Access.PUBLIC, errors=(Invalid, Forbidden))
async def logout(call: RequestContext) -> ApiResponse[Serialized[LoggedOut]]:
    """End the current session with all its rotations."""
    given = credentials_of(call.request)
    token = given.bearer or given.cookie
    if not token:
        raise Invalid("No session", code="no_session")
    if given.bearer is None:
        check_csrf(token, given.csrf)
    evidence = await call.services.sessions.logout(token)
    gone: dict[str, Any] = {"path": "/", "max_age": 0}
    return ApiResponse(
        body=LoggedOut.answer(ok=True, **({"evidence_item_id": evidence} if evidence else {})),
        cookies=((COOKIE, "", gone), (CSRF_COOKIE, "", gone)),
    )


@auth.route("GET", "/api/auth/sessions", needs=Access.PERSON)
async def list_sessions(call: RequestContext) -> list[Serialized[SessionOut]]:
    """Where the person is logged in."""
    found = await call.services.sessions.of_person(call.actor)
    return [SessionOut.of(s, current=s.family_id == call.actor.session_id) for s in found]


@auth.route("DELETE", "/api/auth/sessions/{session_id}", needs=Access.PERSON, status=204, errors=(NotFound,))
async def revoke_session(call: RequestContext, session_id: str) -> None:
    """End one of the person's logins."""
    if not await call.services.sessions.revoke(call.actor, session_id):
        raise NotFound("Session not found")


@auth.route("DELETE", "/api/auth/sessions", needs=Access.PERSON)
async def revoke_sessions(call: RequestContext) -> Serialized[Revoked]:
    """End every login of the person, this one too."""
    return Revoked.answer(revoked=await call.services.sessions.revoke(call.actor, None))


@auth.route(
    "POST",
    "/api/auth/invite/{token}",
    needs=Access.PUBLIC,
    rate="auth",
    max_body=AUTH_BODY,
    keeps_answers=False,
    errors=(Invalid, Unauthorized, Forbidden, NotFound, Conflict, Gone, RateLimited, Unavailable),
    response=Joined,
    also={202: InviteCodeSent},
)
async def accept_invite(call: RequestContext, token: str, body: AcceptInvite) -> Accepted:
    """Accept an invite: as the person already logged in, or with `email` and, once it came by mail, its `code`.

    Somebody new gets an account by it, and comes into this workspace alone. Launch data
    (`Authorization: tma <initData>`) is enough of a login.
    """
    services = call.services
    given = credentials_of(call.request)
    if given.init_data and not given.bearer:
        person = await services.telegram_login.join(given.init_data, invite=token)
        actor = await services.invites.accept(person, token)
        return Joined.answer(workspace_id=actor.workspace_id, role=None if actor.role is None else actor.role.value)
    if given.bearer or given.cookie:
        identity = await services.authentication.identify(given, unsafe_method=True)
        actor = await services.invites.accept(identity.actor, token)
        return Joined.answer(workspace_id=actor.workspace_id, role=None if actor.role is None else actor.role.value)
    if body.email is None:
        raise Invalid("email required", details={"formErrors": [], "fieldErrors": {"email": ["email required"]}})
    await services.invites.check(token)
    if body.code is None:
        requested = await services.email_login.request(body.email, purpose="invite", invite=token)
        sent = InviteCodeSent.answer(code_sent=True, email=requested.email, **_shown(call, requested.code))
        return ApiResponse(body=sent, status=202)
    one = await services.email_login.verify(body.email, body.code, ip=call.ip, agent=call.agent, invite=token)
    invite = await services.invites.accept_by_login(one, token)
    joined = Joined.answer(workspace_id=invite.workspace_id, role=invite.role)
    return ApiResponse(
        body=cast("Serialized[Joined]", {**_login(one, telegram=False), **joined}),
        cookies=session_cookies(one.token, call.config),
    )
