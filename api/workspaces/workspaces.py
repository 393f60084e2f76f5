"""Routes about workspaces, their members and settings, and about the person."""

from typing import cast

from api.http import Access, ApiResponse, Endpoints, RequestContext, json_body
from api.schemas.base import Serialized
from api.schemas.workspaces import (
    ClosedOut,
    DeleteQuery,
    ErasedOut,
    InviteOut,
    MemberOut,
    MeOut,
    ModeBody,
    ModeOut,
    MyWorkspaceOut,
    NamedBody,
    NewInvite,
    NewInviteOut,
    OwnerBody,
    PlaceOut,
    RoleBody,
    SettingsBody,
    SettingsOut,
    UserOut,
    WorkspaceOut,
    WorkspaceWithMembers,
)
from domain.errors import Conflict, Forbidden, Invalid, NotFound
from domain.identity.actor import Role
from domain.identity.permissions import Action
from domain.runs.task import Mode

workspaces = Endpoints("workspaces")
route = workspaces.route
PATH = "workspace_id"


@route("GET", "/api/me", needs=Access.PERSON)
async def me(call: RequestContext) -> Serialized[MeOut]:
    """The person, and the workspaces they are in."""
    user, places = await call.services.workspaces.me(call.actor)
    return MeOut.answer(user=UserOut.of(user), workspaces=[PlaceOut.of(w, role=role) for w, role in places])


@route("DELETE", "/api/users/me", needs=Access.PERSON, errors=(Conflict, Forbidden))
async def erase_me(call: RequestContext) -> Serialized[ErasedOut]:
    """Erase the person: their data is blanked, their logs stay verifiable."""
    return cast("Serialized[ErasedOut]", await call.services.erasure.erase_person(call.actor))


@route("GET", "/api/workspaces", needs=Access.PERSON)
async def list_mine(call: RequestContext) -> list[Serialized[MyWorkspaceOut]]:
    """The workspaces of the person."""
    return [MyWorkspaceOut.of(w, role=role) for w, role in await call.services.workspaces.mine(call.actor)]


@route("POST", "/api/workspaces", needs=Access.PERSON, status=201, errors=(Invalid, Forbidden, Conflict))
async def create_workspace(call: RequestContext, body: NamedBody) -> Serialized[WorkspaceOut]:
    """Create one more workspace: whoever owns one, where not everybody may sign up."""
    return WorkspaceOut.of(await call.services.workspaces.create(call.actor, body.name))


@route(
    "GET",
    "/api/workspace/{workspace_id}",
    workspace_in_path=PATH,
    errors=(NotFound,),
    action=Action.WORKSPACE_READ,
)
async def get_workspace(call: RequestContext, workspace_id: str) -> Serialized[WorkspaceWithMembers]:
    """A workspace with its members."""
    del workspace_id
    workspace, members = await call.services.workspaces.get(call.actor)
    return WorkspaceWithMembers.of(workspace, members=[MemberOut.of(m) for m in members])


@route(
    "PUT",
    "/api/workspace/{workspace_id}",
    workspace_in_path=PATH,
    errors=(NotFound, Forbidden, Invalid),
    action=Action.WORKSPACE_RENAME,
)
async def rename_workspace(call: RequestContext, workspace_id: str, body: NamedBody) -> Serialized[WorkspaceOut]:
    """Rename a workspace."""
    del workspace_id
    return WorkspaceOut.of(await call.services.workspaces.rename(call.actor, body.name))


@route(
    "DELETE",
    "/api/workspace/{workspace_id}",
    workspace_in_path=PATH,
    errors=(NotFound, Forbidden),
    action=Action.WORKSPACE_DELETE,
)
async def delete_workspace(call: RequestContext, workspace_id: str, query: DeleteQuery) -> Serialized[ClosedOut]:
    """Close a workspace; it can be restored until its grace is over."""
    del workspace_id
    gone = await call.services.workspaces.delete(call.actor, grace_days=query.grace_days)
    return ClosedOut.of(gone)


@route("POST", "/api/workspace/{workspace_id}/restore", needs=Access.PERSON, errors=(NotFound,))
async def restore_workspace(call: RequestContext, workspace_id: str) -> Serialized[WorkspaceOut]:
    """Open a closed workspace again; its owner only, and not where the administrator closed it."""
    return WorkspaceOut.of(await call.services.workspaces.restore(call.actor, workspace_id))


@route(
    "GET",
    "/api/workspace/{workspace_id}/settings",
    workspace_in_path=PATH,
    errors=(NotFound,),
    action=Action.SETTINGS_READ,
)
async def get_settings(call: RequestContext, workspace_id: str) -> Serialized[SettingsOut]:
    """Policy, budgets and model of a workspace, defaults filled in."""
    del workspace_id
    return SettingsOut.of(await call.services.settings.get(call.actor))


@route(
    "PUT",
    "/api/workspace/{workspace_id}/settings",
    workspace_in_path=PATH,
    errors=(NotFound, Forbidden, Invalid),
    action=Action.SETTINGS_WRITE,
    also={201: SettingsOut},
)
async def put_settings(
    call: RequestContext, workspace_id: str, body: SettingsBody
) -> ApiResponse[Serialized[SettingsOut]]:
    """Change settings: what is given is merged into what is stored, unknown names are refused."""
    del workspace_id, body
    view = await call.services.settings.change(call.actor, await json_body(call.request))
    return ApiResponse(
        body=SettingsOut.of(view, evidence_item_id=view.evidence_id), status=201 if view.created else 200
    )


@route(
    "PUT",
    "/api/workspace/{workspace_id}/mode",
    workspace_in_path=PATH,
    errors=(NotFound, Forbidden, Invalid),
    action=Action.MODE_WRITE,
)
async def put_mode(call: RequestContext, workspace_id: str, body: ModeBody) -> Serialized[ModeOut]:
    """Switch the mode of a workspace."""
    del workspace_id
    if body.mode not in list(Mode):
        words = ", ".join(Mode)
        raise Invalid(
            f"Invalid mode. Must be one of: {words}",
            code="invalid_mode",
            details={"formErrors": [], "fieldErrors": {"mode": [f"must be one of {words}"]}},
        )
    changed = await call.services.settings.set_mode(call.actor, Mode(body.mode))
    return ModeOut.of(changed)


@route(
    "POST",
    "/api/workspace/{workspace_id}/invite",
    workspace_in_path=PATH,
    status=201,
    keeps_answers=False,
    errors=(NotFound, Forbidden, Invalid),
    action=Action.MEMBER_INVITE,
)
async def create_invite(call: RequestContext, workspace_id: str, body: NewInvite) -> Serialized[NewInviteOut]:
    """Create a single-use invite, bound to an address if one is given.

    `inviteUrl` is for a browser; in Telegram the same token makes `t.me/<bot>?start=inv_<inviteToken>`.
    """
    del workspace_id
    if body.role not in (Role.MEMBER, Role.PARTNER):
        raise Invalid.field("role", "must be partner or member")
    invite, token, evidence = await call.services.invites.create(call.actor, role=Role(body.role), email=body.email)
    return NewInviteOut.of(
        invite,
        invite_url=call.services.invites.url(token),
        invite_token=token,
        expires_in="7 days",
        evidence_item_id=evidence,
    )


@route(
    "GET",
    "/api/workspace/{workspace_id}/invites",
    workspace_in_path=PATH,
    errors=(NotFound, Forbidden),
    action=Action.INVITE_LIST,
)
async def list_invites(call: RequestContext, workspace_id: str) -> list[Serialized[InviteOut]]:
    """Invites of a workspace."""
    del workspace_id
    return [InviteOut.of(i) for i in await call.services.invites.of_workspace(call.actor)]


@route(
    "DELETE",
    "/api/workspace/{workspace_id}/invites/{invite_id}",
    workspace_in_path=PATH,
    status=204,
    errors=(NotFound, Forbidden),
    action=Action.INVITE_REVOKE,
)
async def revoke_invite(call: RequestContext, workspace_id: str, invite_id: str) -> None:
    """Revoke an invite."""
    del workspace_id
    await call.services.invites.revoke(call.actor, invite_id)


@route(
    "PUT",
    "/api/workspace/{workspace_id}/members/{user_id}",
    workspace_in_path=PATH,
    status=204,
    errors=(NotFound, Forbidden, Conflict),
    action=Action.MEMBER_ROLE,
)
async def set_role(call: RequestContext, workspace_id: str, user_id: str, body: RoleBody) -> None:
    """Change a member's role."""
    del workspace_id
    await call.services.members.set_role(call.actor, user_id, body.role)


@route(
    "DELETE",
    "/api/workspace/{workspace_id}/members/{user_id}",
    workspace_in_path=PATH,
    status=204,
    errors=(NotFound, Forbidden, Conflict),
)
async def remove_member(call: RequestContext, workspace_id: str, user_id: str) -> None:
    """Take a member out, or leave (one's own id)."""
    del workspace_id
    if user_id == call.actor.user_id:
        await call.services.members.leave(call.actor)
    else:
        await call.services.members.remove(call.actor, user_id)


@route(
    "POST",
    "/api/workspace/{workspace_id}/transfer",
    workspace_in_path=PATH,
    status=204,
    errors=(NotFound, Forbidden),
    action=Action.WORKSPACE_TRANSFER,
)
async def transfer(call: RequestContext, workspace_id: str, body: OwnerBody) -> None:
    """Hand the workspace over to another member."""
    del workspace_id
    await call.services.members.transfer(call.actor, body.user_id)
