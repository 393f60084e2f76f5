"""Routes about approvals: those of Pilot's own runs, and those that other agents ask for; and temporary permissions."""

from datetime import timedelta

from api.credentials import credentials_of
from api.http import ApiResponse, Endpoints, RequestContext, page
from api.schemas.approvals import (
    DECISIONS,
    ApprovalOut,
    ApprovalsQuery,
    AskBody,
    BatchBody,
    BatchOut,
    EditBody,
    GrantOut,
    ResolveBody,
    WaitQuery,
)
from api.schemas.base import Serialized
from domain.approvals.approval import ApprovalStatus, Via
from domain.cursors import cursor_of, read_cursor
from domain.errors import Conflict, Forbidden, Gone, Invalid, NotFound, PilotError
from domain.identity.permissions import Action
from services.approvals.external import Callback
from services.approvals.grants import GrantRequest
from services.approvals.service import ApprovalDecision, Resolution
from services.lifecycle.requests import Question

approvals = Endpoints("governance")
route = approvals.route


def via_of(call: RequestContext) -> Via:
    """Where the decision is made: the Mini App says so itself, everything else is the API."""
    if call.request.headers.get("X-Pilot-Surface") == "mini_app" and not credentials_of(call.request).api_key:
        return Via.MINI_APP
    return Via.API


@route("GET", "/api/audit/approvals", action=Action.APPROVAL_READ, errors=(Invalid,))
async def list_approvals(call: RequestContext, query: ApprovalsQuery) -> ApiResponse[list[Serialized[ApprovalOut]]]:
    """Approvals of the workspace, newest first."""
    if query.status is not None and query.status not in list(ApprovalStatus):
        raise Invalid.field("status", f"must be one of {', '.join(ApprovalStatus)}")
    found = await call.services.approvals.list(
        call.actor,
        status=query.status,
        limit=query.limit,
        task_id=query.task_id,
        before=read_cursor(query.cursor),
    )
    last = cursor_of(found[-1].requested_at, found[-1].id) if found else None
    by = await call.services.approvals.approved_by(call.actor, found)
    rows = [ApprovalOut.of(a, approved_by=by.get(a.id, ())) for a in found]
    return page(call, rows, limit=query.limit, cursor=last)


@route("GET", "/api/audit/approvals/{approval_id}", action=Action.APPROVAL_READ, errors=(NotFound,))
async def get_approval(call: RequestContext, approval_id: str) -> Serialized[ApprovalOut]:
    """One approval."""
    found = await call.services.approvals.get(call.actor, approval_id)
    by = await call.services.approvals.approved_by(call.actor, [found])
    return ApprovalOut.of(found, approved_by=by.get(found.id, ()))


@route(
    "PUT",
    "/api/audit/approvals/{approval_id}",
    action=Action.APPROVAL_RESOLVE,
    errors=(NotFound, Invalid, Forbidden, Conflict, Gone),
)
async def resolve_approval(call: RequestContext, approval_id: str, body: ResolveBody) -> Serialized[ApprovalOut]:
    """Decide: approved, rejected or changes_requested. The first decision stands; a later one hears who made it."""
    if body.status not in DECISIONS:
        raise Invalid(
            "status must be approved or rejected",
            code="invalid_status",
            details={"formErrors": [], "fieldErrors": {"status": ["must be approved, rejected or changes_requested"]}},
        )
    grant = None
    if body.grant is not None:
        grant = GrantRequest(
            minutes=body.grant.minutes, max_uses=body.grant.max_uses, this_task_only=body.grant.this_task_only
        )
    resolution = await call.services.approvals.resolve(
        call.actor,
        approval_id,
        ApprovalDecision(
            status=ApprovalStatus(body.status),
            via=via_of(call),
            note=body.note,
            version=body.version,
            digest=body.digest,
            grant=grant,
        ),
    )
    return ApprovalOut.of(resolution.approval, approved_by=resolution.approved_by)


@route(
    "POST",
    "/api/approvals",
    action=Action.APPROVAL_REQUEST,
    status=201,
    errors=(Invalid, Forbidden, Conflict),
)
async def ask_approval(call: RequestContext, body: AskBody) -> Serialized[ApprovalOut]:
    """Ask the people of the workspace, as an agent that is not ours; any of them may answer in chat.

    `input` is exactly what would be done, `actionHash` in the answer names it. With `callbackUrl` the outcome is
    also sent there, signed with `callbackSecret` by Standard Webhooks: `webhook-id`, `webhook-timestamp`,
    `webhook-signature`. Nobody's answer in time means no.
    """
    if (body.callback_url is None) != (body.callback_secret is None):
        missing = "callbackSecret" if body.callback_secret is None else "callbackUrl"
        raise Invalid.field(missing, "callbackUrl and callbackSecret go together")
    callback = None
    if body.callback_url is not None and body.callback_secret is not None:
        callback = Callback(url=body.callback_url, secret=body.callback_secret)
    asked = await call.services.gateway.ask(
        call.actor,
        Question(
            action=body.action,
            args=body.input,
            reason=body.reason,
            title=body.title,
            effect=int(body.effect_level[1]),
        ),
        lasts=None if body.expires_in_seconds is None else timedelta(seconds=body.expires_in_seconds),
        callback=callback,
    )
    return ApprovalOut.of(asked, approved_by=())


@route(
    "GET",
    "/api/approvals/{approval_id}",
    action=Action.APPROVAL_REQUEST,
    errors=(NotFound, Invalid, Conflict),
)
async def await_approval(call: RequestContext, approval_id: str, query: WaitQuery) -> Serialized[ApprovalOut]:
    """An approval; with `?wait=` up to 60 seconds the answer comes as soon as somebody decided.

    A key that may only ask sees what it asked itself.
    """
    found = await call.services.gateway.answer(call.actor, approval_id, wait=query.wait)
    return ApprovalOut.of(found, approved_by=())


@route(
    "DELETE",
    "/api/approvals/{approval_id}",
    action=Action.APPROVAL_REQUEST,
    errors=(NotFound, Conflict),
)
async def withdraw_approval(call: RequestContext, approval_id: str) -> Serialized[ApprovalOut]:
    """Take one's own question back: nobody needs to answer it any more."""
    return ApprovalOut.of(await call.services.gateway.withdraw(call.actor, approval_id), approved_by=())


@route("POST", "/api/approvals/batch", action=Action.APPROVAL_RESOLVE, errors=(Invalid,))
async def resolve_batch(call: RequestContext, body: BatchBody) -> list[Serialized[BatchOut]]:
    """Decide exactly the named approvals, each with the version and digest that was shown."""
    items = []
    for item in body.items:
        if item.status not in (ApprovalStatus.APPROVED, ApprovalStatus.REJECTED):
            raise Invalid.field("items.status", "must be approved or rejected")
        wish = ApprovalDecision(
            status=ApprovalStatus(item.status), via=via_of(call), version=item.version, digest=item.digest
        )
        items.append((item.id, wish))
    answers = await call.services.approvals.resolve_many(call.actor, items)
    return [_became(name, got) for name, got in answers]


def _became(name: str, got: Resolution | PilotError) -> Serialized[BatchOut]:
    if isinstance(got, Resolution):
        approval = ApprovalOut.of(got.approval, approved_by=got.approved_by)
        return BatchOut.answer(id=name, ok=True, approval=approval)
    refused = BatchOut.answer(id=name, ok=False, error=str(got), code=got.code)
    refused.update(got.details)
    return refused


@route(
    "PUT",
    "/api/audit/approvals/{approval_id}/input",
    action=Action.APPROVAL_RESOLVE,
    errors=(NotFound, Invalid, Conflict, Gone),
)
async def edit_approval(call: RequestContext, approval_id: str, body: EditBody) -> Serialized[ApprovalOut]:
    """Change what would run: a new version with a new digest, still to be approved."""
    edited = await call.services.approvals.edit(call.actor, approval_id, args=body.input, version=body.version)
    return ApprovalOut.of(edited, approved_by=())


@route(
    "POST",
    "/api/audit/approvals/{approval_id}/undo",
    action=Action.APPROVAL_RESOLVE,
    errors=(NotFound, Conflict),
)
async def undo_approval(call: RequestContext, approval_id: str) -> Serialized[ApprovalOut]:
    """Take an approval back while its undo window is open."""
    undone = await call.services.approvals.undo(call.actor, approval_id, via=via_of(call))
    return ApprovalOut.of(undone, approved_by=())


@route("GET", "/api/grants", action=Action.GRANT_LIST)
async def list_grants(call: RequestContext) -> list[Serialized[GrantOut]]:
    """Temporary permissions that are live."""
    return [GrantOut.of(g) for g in await call.services.approvals.grants.list(call.actor)]


@route("DELETE", "/api/grants/{grant_id}", action=Action.GRANT_REVOKE, errors=(NotFound,))
async def revoke_grant(call: RequestContext, grant_id: str) -> Serialized[GrantOut]:
    """End a temporary permission."""
    return GrantOut.of(await call.services.approvals.grants.revoke(call.actor, grant_id))
