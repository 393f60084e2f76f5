"""Routes for whoever runs the installation: its workspaces. The administrator's key is the only way in."""

from typing import Annotated, Any

from pydantic import AfterValidator, Field, StringConstraints

from api import wire
from api.http import Body, Call, Endpoints, Needs, said, text_ok
from api.models import CleanedOut, ClosedOut, TenantClosedOut, TenantOut, WorkspaceOut
from domain.clock import iso
from domain.errors import Forbidden, NotFound, Unauthorized, Unavailable
from storage.workspaces import Workspace

admin = Endpoints("admin")
REFUSALS = (Unauthorized, Forbidden, Unavailable)
Uuid = Annotated[str, StringConstraints(min_length=36, max_length=36)]
Name = Annotated[str, StringConstraints(min_length=1, max_length=200), AfterValidator(said), AfterValidator(text_ok)]
Reason = Annotated[str, StringConstraints(max_length=500), AfterValidator(text_ok)]


class NewTenant(Body):
    name: Name
    ownerUserId: Uuid  # noqa: N815 - a name of the wire


class Closing(Body):
    reason: Reason | None = None
    graceDays: Annotated[int, Field(strict=True, ge=0, le=365)] = 30  # noqa: N815


class PageQuery(Body):
    limit: Annotated[int, Field(ge=1, le=500)] = 50
    after: Uuid | None = None


class CleanQuery(Body):
    limit: Annotated[int, Field(ge=1, le=500)] = 50


@admin.route("GET", "/api/admin/tenants", needs=Needs.ADMIN, errors=REFUSALS, response=list[WorkspaceOut])
async def list_tenants(call: Call, query: PageQuery) -> Any:
    """The open workspaces of the installation by id; `after` is the last id of the page before."""
    return [wire.workspace(w) for w in await call.services.tenants.list(limit=query.limit, after=query.after)]


@admin.route(
    "POST", "/api/admin/tenants", needs=Needs.ADMIN, status=201, errors=(*REFUSALS, NotFound), response=TenantOut
)
async def create_tenant(call: Call, body: NewTenant) -> Any:
    """A workspace for a person who is known here."""
    made, evidence = await call.services.tenants.create(name=body.name, owner_id=body.ownerUserId)
    return {"workspace": wire.workspace(made), "evidenceItemId": evidence}


@admin.route("GET", "/api/admin/tenants/deletions", needs=Needs.ADMIN, errors=REFUSALS, response=list[ClosedOut])
async def list_deletions(call: Call, query: PageQuery) -> Any:
    """Closed workspaces that are not removed yet."""
    found = await call.services.tenants.list(limit=query.limit, after=query.after, closed=True)
    return [_closed(w) for w in found]


@admin.route("POST", "/api/admin/tenants/cleanup", needs=Needs.ADMIN, errors=REFUSALS, response=CleanedOut)
async def clean_up_tenants(call: Call, query: CleanQuery) -> Any:
    """Remove workspaces whose grace is over; their logs stay verifiable."""
    return {"removed": await call.services.tenants.clean_up(limit=query.limit)}


@admin.route(
    "DELETE", "/api/admin/tenants/{workspace_id}", needs=Needs.ADMIN, errors=REFUSALS, response=TenantClosedOut
)
async def delete_tenant(call: Call, workspace_id: str, body: Closing) -> Any:
    """Close a workspace: nobody gets in and work stops at once; after the grace it is removed."""
    gone, evidence = await call.services.tenants.delete(workspace_id, grace_days=body.graceDays, reason=body.reason)
    return {**_closed(gone), "evidenceItemId": evidence}


@admin.route(
    "POST", "/api/admin/tenants/{workspace_id}/restore", needs=Needs.ADMIN, errors=REFUSALS, response=TenantOut
)
async def restore_tenant(call: Call, workspace_id: str) -> Any:
    """Open a closed workspace again."""
    opened, evidence = await call.services.tenants.restore(workspace_id)
    return {"workspace": wire.workspace(opened), "evidenceItemId": evidence}


def _closed(workspace: Workspace) -> dict[str, Any]:
    return {
        "id": workspace.id,
        "deletedAt": iso(workspace.deleted_at),
        "purgeAt": iso(workspace.purge_at),
    }
