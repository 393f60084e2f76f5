"""Routes for whoever runs the installation: its workspaces. The administrator's key is the only way in."""

from api.http import Access, Endpoints, RequestContext
from api.schemas.base import Serialized
from api.schemas.workspaces import (
    CleanedOut,
    CleanQuery,
    ClosedOut,
    Closing,
    NewTenant,
    PageQuery,
    TenantClosedOut,
    TenantOut,
    WorkspaceOut,
)
from domain.errors import Forbidden, NotFound, Unauthorized, Unavailable

admin = Endpoints("admin")
REFUSALS = (Unauthorized, Forbidden, Unavailable)


@admin.route("GET", "/api/admin/tenants", needs=Access.ADMIN, errors=REFUSALS)
async def list_tenants(call: RequestContext, query: PageQuery) -> list[Serialized[WorkspaceOut]]:
    """The open workspaces of the installation by id; `after` is the last id of the page before."""
    return [WorkspaceOut.of(w) for w in await call.services.tenants.list(limit=query.limit, after=query.after)]


@admin.route("POST", "/api/admin/tenants", needs=Access.ADMIN, status=201, errors=(*REFUSALS, NotFound))
async def create_tenant(call: RequestContext, body: NewTenant) -> Serialized[TenantOut]:
    """A workspace for a person who is known here."""
    made, evidence = await call.services.tenants.create(name=body.name, owner_id=body.owner_user_id)
    return TenantOut.answer(workspace=WorkspaceOut.of(made), evidence_item_id=evidence)


@admin.route("GET", "/api/admin/tenants/deletions", needs=Access.ADMIN, errors=REFUSALS)
async def list_deletions(call: RequestContext, query: PageQuery) -> list[Serialized[ClosedOut]]:
    """Closed workspaces that are not removed yet."""
    found = await call.services.tenants.list(limit=query.limit, after=query.after, closed=True)
    return [ClosedOut.of(w) for w in found]


@admin.route("POST", "/api/admin/tenants/cleanup", needs=Access.ADMIN, errors=REFUSALS)
async def clean_up_tenants(call: RequestContext, query: CleanQuery) -> Serialized[CleanedOut]:
    """Remove workspaces whose grace is over; their logs stay verifiable."""
    return CleanedOut.answer(removed=await call.services.tenants.clean_up(limit=query.limit))


@admin.route("DELETE", "/api/admin/tenants/{workspace_id}", needs=Access.ADMIN, errors=REFUSALS)
async def delete_tenant(call: RequestContext, workspace_id: str, body: Closing) -> Serialized[TenantClosedOut]:
    """Close a workspace: nobody gets in and work stops at once; after the grace it is removed."""
    gone, evidence = await call.services.tenants.delete(workspace_id, grace_days=body.grace_days, reason=body.reason)
    return TenantClosedOut.of(gone, evidence_item_id=evidence)


@admin.route("POST", "/api/admin/tenants/{workspace_id}/restore", needs=Access.ADMIN, errors=REFUSALS)
async def restore_tenant(call: RequestContext, workspace_id: str) -> Serialized[TenantOut]:
    """Open a closed workspace again."""
    opened, evidence = await call.services.tenants.restore(workspace_id)
    return TenantOut.answer(workspace=WorkspaceOut.of(opened), evidence_item_id=evidence)
