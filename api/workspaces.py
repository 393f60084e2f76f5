"""Routes about workspaces, their members and settings, and about the person."""

from typing import Annotated, Any

from pydantic import AfterValidator, Field, StringConstraints, field_validator

from api import wire
from api.http import Answer, Body, Call, Endpoints, LooseBody, Needs, json_body, said, text_ok
from api.models import (
    ClosedOut,
    ErasedOut,
    InviteOut,
    MeOut,
    ModeOut,
    MyWorkspaceOut,
    NewInviteOut,
    SettingsOut,
    WorkspaceOut,
    WorkspaceWithMembers,
)
from domain.actor import Role
from domain.clock import iso
from domain.errors import Conflict, Forbidden, Invalid, NotFound
from domain.permissions import Action
from domain.tasks import Mode
from services.workspaces import SettingsView

workspaces = Endpoints("workspaces")
route = workspaces.route
Name = Annotated[str, StringConstraints(min_length=1, max_length=200), AfterValidator(said)]
PATH = "workspace_id"


class NamedBody(Body):
    name: Name

    @field_validator("name")
    @classmethod
    def _clean(cls, value: str) -> str:
        return text_ok(value)


class NewInvite(LooseBody):
    role: str = "member"
    email: str | None = None


class ModeBody(LooseBody):
    mode: Any = None


class RoleBody(Body):
    role: Role


class OwnerBody(Body):
    userId: Annotated[str, StringConstraints(min_length=36, max_length=36)]  # noqa: N815


class DeleteQuery(Body):
    graceDays: Annotated[int, Field(ge=0, le=365)] = 30  # noqa: N815


def settings_wire(view: SettingsView) -> dict[str, Any]:
    """Settings as the wire has them."""
    return {
        "workspaceId": view.workspace_id,
        **view.settings.as_json(),
        "version": view.version,
        "integrity": wire.integrity(view.differs),
    }


@route("GET", "/api/me", needs=Needs.PERSON, response=MeOut)
async def me(call: Call) -> Any:
    """The person, and the workspaces they are in."""
    user, places = await call.services.workspaces.me(call.actor)
    return {
        "user": wire.user(user),
        "workspaces": [{"id": w.id, "name": w.name, "role": role, "currentMode": w.current_mode} for w, role in places],
    }


@route("DELETE", "/api/users/me", needs=Needs.PERSON, errors=(Conflict, Forbidden), response=ErasedOut)
async def erase_me(call: Call) -> Any:
    """Erase the person: their data is blanked, their logs stay verifiable."""
    return await call.services.workspaces.erase_me(call.actor)


@route("GET", "/api/workspaces", needs=Needs.PERSON, response=list[MyWorkspaceOut])
async def list_mine(call: Call) -> Any:
    """The workspaces of the person."""
    return [{**wire.workspace(w), "role": role} for w, role in await call.services.workspaces.mine(call.actor)]


@route("POST", "/api/workspaces", needs=Needs.PERSON, status=201, errors=(Invalid,), response=WorkspaceOut)
async def create_workspace(call: Call, body: NamedBody) -> Any:
    """Create one more workspace."""
    return wire.workspace(await call.services.workspaces.create(call.actor, body.name))


@route(
    "GET",
    "/api/workspace/{workspace_id}",
    workspace_in_path=PATH,
    errors=(NotFound,),
    action=Action.WORKSPACE_READ,
    response=WorkspaceWithMembers,
)
async def get_workspace(call: Call, workspace_id: str) -> Any:
    """A workspace with its members."""
    del workspace_id
    workspace, members = await call.services.workspaces.get(call.actor)
    return {**wire.workspace(workspace), "members": [wire.member(m) for m in members]}


@route(
    "PUT",
    "/api/workspace/{workspace_id}",
    workspace_in_path=PATH,
    errors=(NotFound, Forbidden, Invalid),
    action=Action.WORKSPACE_RENAME,
    response=WorkspaceOut,
)
async def rename_workspace(call: Call, workspace_id: str, body: NamedBody) -> Any:
    """Rename a workspace."""
    del workspace_id
    return wire.workspace(await call.services.workspaces.rename(call.actor, body.name))


@route(
    "DELETE",
    "/api/workspace/{workspace_id}",
    workspace_in_path=PATH,
    errors=(NotFound, Forbidden),
    action=Action.WORKSPACE_DELETE,
    response=ClosedOut,
)
async def delete_workspace(call: Call, workspace_id: str, query: DeleteQuery) -> Any:
    """Close a workspace; it can be restored until its grace is over."""
    del workspace_id
    gone = await call.services.workspaces.delete(call.actor, grace_days=query.graceDays)
    return {"id": gone.id, "deletedAt": iso(gone.deleted_at), "purgeAt": iso(gone.purge_at)}


@route("POST", "/api/workspace/{workspace_id}/restore", needs=Needs.PERSON, errors=(NotFound,), response=WorkspaceOut)
async def restore_workspace(call: Call, workspace_id: str) -> Any:
    """Open a closed workspace again; its owner only."""
    return wire.workspace(await call.services.workspaces.restore(call.actor, workspace_id))


@route(
    "GET",
    "/api/workspace/{workspace_id}/settings",
    workspace_in_path=PATH,
    errors=(NotFound,),
    action=Action.SETTINGS_READ,
    response=SettingsOut,
)
async def get_settings(call: Call, workspace_id: str) -> Any:
    """Policy, budgets and model of a workspace, defaults filled in."""
    del workspace_id
    return settings_wire(await call.services.workspaces.settings(call.actor))


@route(
    "PUT",
    "/api/workspace/{workspace_id}/settings",
    workspace_in_path=PATH,
    errors=(NotFound, Forbidden, Invalid),
    action=Action.SETTINGS_WRITE,
    response=SettingsOut,
    also={201: SettingsOut},
)
async def put_settings(call: Call, workspace_id: str, body: LooseBody) -> Any:
    """Change settings: what is given is merged into what is stored, unknown names are refused."""
    del workspace_id, body
    view = await call.services.workspaces.change_settings(call.actor, await json_body(call.request))
    return Answer(body={**settings_wire(view), "evidenceItemId": view.evidence_id}, status=201 if view.created else 200)


@route(
    "PUT",
    "/api/workspace/{workspace_id}/mode",
    workspace_in_path=PATH,
    errors=(NotFound, Forbidden, Invalid),
    action=Action.MODE_WRITE,
    response=ModeOut,
)
async def put_mode(call: Call, workspace_id: str, body: ModeBody) -> Any:
    """Switch the mode of a workspace."""
    del workspace_id
    if body.mode not in list(Mode):
        words = ", ".join(Mode)
        raise Invalid(
            f"Invalid mode. Must be one of: {words}",
            code="invalid_mode",
            details={"formErrors": [], "fieldErrors": {"mode": [f"must be one of {words}"]}},
        )
    changed = await call.services.workspaces.set_mode(call.actor, Mode(body.mode))
    return {"id": changed.id, "currentMode": changed.current_mode}


@route(
    "POST",
    "/api/workspace/{workspace_id}/invite",
    workspace_in_path=PATH,
    status=201,
    keeps_answers=False,
    errors=(NotFound, Forbidden, Invalid),
    action=Action.MEMBER_INVITE,
    response=NewInviteOut,
)
async def create_invite(call: Call, workspace_id: str, body: NewInvite) -> Any:
    """Create a single-use invite, bound to an address if one is given.

    `inviteUrl` is for a browser; in Telegram the same token makes `t.me/<bot>?start=inv_<inviteToken>`.
    """
    del workspace_id
    if body.role not in (Role.MEMBER, Role.PARTNER):
        raise Invalid.field("role", "must be partner or member")
    invite, token, evidence = await call.services.workspaces.invite(call.actor, role=Role(body.role), email=body.email)
    return {
        "id": invite.id,
        "inviteUrl": call.services.workspaces.invite_url(token),
        "inviteToken": token,
        "role": invite.role,
        "expiresIn": "7 days",
        "expiresAt": iso(invite.expires_at),
        "evidenceItemId": evidence,
    }


@route(
    "GET",
    "/api/workspace/{workspace_id}/invites",
    workspace_in_path=PATH,
    errors=(NotFound, Forbidden),
    action=Action.INVITE_LIST,
    response=list[InviteOut],
)
async def list_invites(call: Call, workspace_id: str) -> Any:
    """Invites of a workspace."""
    del workspace_id
    return [wire.invite(i) for i in await call.services.workspaces.invites(call.actor)]


@route(
    "DELETE",
    "/api/workspace/{workspace_id}/invites/{invite_id}",
    workspace_in_path=PATH,
    status=204,
    errors=(NotFound, Forbidden),
    action=Action.INVITE_REVOKE,
)
async def revoke_invite(call: Call, workspace_id: str, invite_id: str) -> None:
    """Revoke an invite."""
    del workspace_id
    await call.services.workspaces.revoke_invite(call.actor, invite_id)


@route(
    "PUT",
    "/api/workspace/{workspace_id}/members/{user_id}",
    workspace_in_path=PATH,
    status=204,
    errors=(NotFound, Forbidden, Conflict),
    action=Action.MEMBER_ROLE,
)
async def set_role(call: Call, workspace_id: str, user_id: str, body: RoleBody) -> None:
    """Change a member's role."""
    del workspace_id
    await call.services.workspaces.set_role(call.actor, user_id, body.role)


@route(
    "DELETE",
    "/api/workspace/{workspace_id}/members/{user_id}",
    workspace_in_path=PATH,
    status=204,
    errors=(NotFound, Forbidden, Conflict),
)
async def remove_member(call: Call, workspace_id: str, user_id: str) -> None:
    """Take a member out, or leave (one's own id)."""
    del workspace_id
    if user_id == call.actor.user_id:
        await call.services.workspaces.leave(call.actor)
    else:
        await call.services.workspaces.remove(call.actor, user_id)


@route(
    "POST",
    "/api/workspace/{workspace_id}/transfer",
    workspace_in_path=PATH,
    status=204,
    errors=(NotFound, Forbidden),
    action=Action.WORKSPACE_TRANSFER,
)
async def transfer(call: Call, workspace_id: str, body: OwnerBody) -> None:
    """Hand the workspace over to another member."""
    del workspace_id
    await call.services.workspaces.transfer(call.actor, body.userId)
