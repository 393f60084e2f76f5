"""Routes about approvals, the audit log, receipts and the policy."""

import csv
import io
from datetime import datetime, timedelta
from typing import Annotated, Any, Literal

import orjson
from aiohttp import web
from pydantic import AfterValidator, Field, StringConstraints

from api import wire
from api.http import (
    Body,
    Call,
    Endpoints,
    GivenTime,
    LooseBody,
    Needs,
    cursor_of,
    in_utc,
    json_body,
    page,
    read_cursor,
    said,
    text_ok,
)
from api.lists import remembered
from api.middlewares import credentials_of
from api.models import (
    ApprovalOut,
    AuditOut,
    BatchOut,
    CheckpointOut,
    ConsistencyProof,
    GovernanceStatus,
    GrantOut,
    InclusionOut,
    InclusionProof,
    PolicyTrialOut,
    ProofGraph,
    ReceiptsOut,
    RehearsedOut,
    ReplayOut,
    ViolationOut,
)
from domain.approvals import ApprovalStatus, Via
from domain.audit import AuditAction
from domain.errors import Conflict, Forbidden, Gone, Invalid, NotFound
from domain.ids import parse_id
from domain.integrity import ALTERED
from domain.permissions import Action
from domain.tasks import Mode
from services.approval_gateway import LONGEST_WAIT, Callback
from services.approval_requests import Question
from services.approvals import GrantWish, Resolution, Wish
from services.audit import AuditFilter
from services.receipts import Part

governance = Endpoints("governance")
route = governance.route


class Paged(LooseBody):
    limit: Annotated[int, Field(ge=1, le=200)] = 50
    cursor: str | None = None


def _known_action(value: str) -> str:
    if value not in list(AuditAction):
        raise ValueError("is no action of the audit log")
    return value


class AuditQuery(Paged):
    actor: str | None = None
    action: Annotated[str, AfterValidator(_known_action)] | None = None
    target: str | None = None
    verdict: Literal["allow", "deny", "escalate", "error"] | None = None
    since: GivenTime | None = None
    until: GivenTime | None = None

    def which(self) -> AuditFilter:
        return AuditFilter(
            actor=self.actor,
            action=self.action,
            target=self.target,
            verdict=self.verdict,
            since=self.since,
            until=self.until,
        )


class ExportQuery(AuditQuery):
    format: str = "jsonl"


class ApprovalsQuery(Paged):
    status: str | None = None
    taskId: str | None = None  # noqa: N815


class ViolationsQuery(Paged):
    severity: Literal["info", "warning", "critical"] | None = None


class GrantBody(Body):
    minutes: Annotated[int, Field(ge=1, le=43_200, strict=True)]
    maxUses: Annotated[int, Field(ge=1, le=10_000, strict=True)] | None = None  # noqa: N815
    thisTaskOnly: bool = True  # noqa: N815


class ResolveBody(LooseBody):
    status: Any = None
    note: Annotated[str, StringConstraints(max_length=2000)] | None = None
    version: Annotated[int, Field(strict=True)] | None = None
    digest: Annotated[str, StringConstraints(min_length=12, max_length=64)] | None = None
    grant: GrantBody | None = None


class EditBody(Body):
    input: dict[str, Any]
    version: Annotated[int, Field(strict=True)]


class AskBody(Body):
    action: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._:/-]{0,119}$")]
    reason: Annotated[str, StringConstraints(min_length=1, max_length=2000), AfterValidator(said)]
    input: Annotated[dict[str, Any], Field(default_factory=dict)]
    title: Annotated[str, StringConstraints(max_length=200), AfterValidator(text_ok)] = ""
    effectLevel: Literal["E0", "E1", "E2", "E3"] = "E3"  # noqa: N815
    expiresInSeconds: Annotated[int, Field(ge=60, le=604_800, strict=True)] | None = None  # noqa: N815
    callbackUrl: Annotated[str, StringConstraints(min_length=1, max_length=2000)] | None = None  # noqa: N815
    callbackSecret: Annotated[str, StringConstraints(min_length=16, max_length=256), AfterValidator(text_ok)] | None = (  # noqa: N815
        None
    )


class WaitQuery(LooseBody):
    wait: Annotated[float, Field(ge=0, le=LONGEST_WAIT)] = 0.0


class BatchItem(Body):
    id: str
    version: Annotated[int, Field(strict=True)]
    digest: Annotated[str, StringConstraints(min_length=12, max_length=64)]
    status: str


class BatchBody(Body):
    items: Annotated[list[BatchItem], Field(min_length=1, max_length=50)]


class ReceiptsQuery(LooseBody):
    limit: Annotated[int, Field(ge=1, le=100)] = 25
    before: str | None = None
    kind: str | None = None
    verdict: str | None = None


class ProofQuery(LooseBody):
    index: Annotated[int, Field(ge=0)]
    size: Annotated[int, Field(ge=1)] | None = None


class ConsistencyQuery(LooseBody):
    old: Annotated[int, Field(ge=1)]
    new: Annotated[int, Field(ge=1)] | None = None


class ArchiveQuery(LooseBody):
    taskId: Annotated[str, StringConstraints(pattern=r"^[0-9a-f-]{36}$")] | None = None  # noqa: N815
    start: Annotated[int, Field(ge=0, le=2**53)] | None = None
    end: Annotated[int, Field(ge=1, le=2**53)] | None = None
    since: GivenTime | None = None
    until: GivenTime | None = None

    def part(self) -> Part | None:
        """The part of the log that is meant, None for all of it."""
        given = self.model_dump(exclude_none=True).keys()
        if not given:
            return None
        if self.taskId is not None:
            if len(given) > 1:
                raise Invalid.field("taskId", "goes without a range")
            return Part(task_id=self.taskId)
        if self.end is not None and self.end <= (self.start or 0):
            raise Invalid.field("end", "must be more than start")
        return Part(start=self.start or 0, end=self.end, since=self.since, until=self.until)


def via_of(call: Call) -> Via:
    """Where the decision is made: the Mini App says so itself, everything else is the API."""
    if call.request.headers.get("X-Pilot-Surface") == "mini_app" and not credentials_of(call.request).api_key:
        return Via.MINI_APP
    return Via.API


# --- approvals ------------------------------------------------------------------------------------


@route("GET", "/api/audit/approvals", action=Action.APPROVAL_READ, errors=(Invalid,), response=list[ApprovalOut])
async def list_approvals(call: Call, query: ApprovalsQuery) -> Any:
    """Approvals of the workspace, newest first."""
    if query.status is not None and query.status not in list(ApprovalStatus):
        raise Invalid.field("status", f"must be one of {', '.join(ApprovalStatus)}")
    found = await call.services.approvals.list(
        call.actor,
        status=query.status,
        limit=query.limit,
        task_id=query.taskId,
        before=read_cursor(query.cursor),
    )
    last = cursor_of(found[-1].requested_at, found[-1].id) if found else None
    by = await call.services.approvals.approved_by(call.actor, found)
    rows = [wire.approval(a, approved_by=by.get(a.id, ())) for a in found]
    return page(call, rows, limit=query.limit, cursor=last)


@route(
    "GET", "/api/audit/approvals/{approval_id}", action=Action.APPROVAL_READ, errors=(NotFound,), response=ApprovalOut
)
async def get_approval(call: Call, approval_id: str) -> Any:
    """One approval."""
    found = await call.services.approvals.get(call.actor, approval_id)
    by = await call.services.approvals.approved_by(call.actor, [found])
    return wire.approval(found, approved_by=by.get(found.id, ()))


@route(
    "PUT",
    "/api/audit/approvals/{approval_id}",
    action=Action.APPROVAL_RESOLVE,
    errors=(NotFound, Invalid, Forbidden, Conflict, Gone),
    response=ApprovalOut,
)
async def resolve_approval(call: Call, approval_id: str, body: ResolveBody) -> Any:
    """Decide: approved, rejected or changes_requested. The first decision stands; a later one hears who made it."""
    allowed = (ApprovalStatus.APPROVED, ApprovalStatus.REJECTED, ApprovalStatus.CHANGES_REQUESTED)
    if body.status not in allowed:
        raise Invalid(
            "status must be approved or rejected",
            code="invalid_status",
            details={"formErrors": [], "fieldErrors": {"status": ["must be approved, rejected or changes_requested"]}},
        )
    grant = None
    if body.grant is not None:
        grant = GrantWish(
            minutes=body.grant.minutes, max_uses=body.grant.maxUses, this_task_only=body.grant.thisTaskOnly
        )
    resolution = await call.services.approvals.resolve(
        call.actor,
        approval_id,
        Wish(
            status=ApprovalStatus(body.status),
            via=via_of(call),
            note=body.note,
            version=body.version,
            digest=body.digest,
            grant=grant,
        ),
    )
    return wire.approval(resolution.approval, approved_by=resolution.approved_by)


@route(
    "POST",
    "/api/approvals",
    action=Action.APPROVAL_REQUEST,
    status=201,
    errors=(Invalid, Forbidden, Conflict),
    response=ApprovalOut,
)
async def ask_approval(call: Call, body: AskBody) -> Any:
    """Ask the people of the workspace, as an agent that is not ours; any of them may answer in chat.

    `input` is exactly what would be done, `actionHash` in the answer names it. With `callbackUrl` the outcome is
    also sent there, signed with `callbackSecret` by Standard Webhooks: `webhook-id`, `webhook-timestamp`,
    `webhook-signature`. Nobody's answer in time means no.
    """
    if (body.callbackUrl is None) != (body.callbackSecret is None):
        missing = "callbackSecret" if body.callbackSecret is None else "callbackUrl"
        raise Invalid.field(missing, "callbackUrl and callbackSecret go together")
    callback = None
    if body.callbackUrl is not None and body.callbackSecret is not None:
        callback = Callback(url=body.callbackUrl, secret=body.callbackSecret)
    asked = await call.services.gateway.ask(
        call.actor,
        Question(
            action=body.action,
            args=body.input,
            reason=body.reason,
            title=body.title,
            effect=int(body.effectLevel[1]),
        ),
        lasts=None if body.expiresInSeconds is None else timedelta(seconds=body.expiresInSeconds),
        callback=callback,
    )
    return wire.approval(asked)


@route(
    "GET",
    "/api/approvals/{approval_id}",
    action=Action.APPROVAL_REQUEST,
    errors=(NotFound, Invalid, Conflict),
    response=ApprovalOut,
)
async def await_approval(call: Call, approval_id: str, query: WaitQuery) -> Any:
    """An approval; with `?wait=` up to 60 seconds the answer comes as soon as somebody decided.

    A key that may only ask sees what it asked itself.
    """
    return wire.approval(await call.services.gateway.answer(call.actor, approval_id, wait=query.wait))


@route(
    "DELETE",
    "/api/approvals/{approval_id}",
    action=Action.APPROVAL_REQUEST,
    errors=(NotFound, Conflict),
    response=ApprovalOut,
)
async def withdraw_approval(call: Call, approval_id: str) -> Any:
    """Take one's own question back: nobody needs to answer it any more."""
    return wire.approval(await call.services.gateway.withdraw(call.actor, approval_id))


@route("POST", "/api/approvals/batch", action=Action.APPROVAL_RESOLVE, errors=(Invalid,), response=list[BatchOut])
async def resolve_batch(call: Call, body: BatchBody) -> Any:
    """Decide exactly the named approvals, each with the version and digest that was shown."""
    items = []
    for item in body.items:
        if item.status not in (ApprovalStatus.APPROVED, ApprovalStatus.REJECTED):
            raise Invalid.field("items.status", "must be approved or rejected")
        wish = Wish(status=ApprovalStatus(item.status), via=via_of(call), version=item.version, digest=item.digest)
        items.append((item.id, wish))
    answers = await call.services.approvals.resolve_many(call.actor, items)
    return [
        {"id": name, "ok": True, "approval": wire.approval(got.approval, approved_by=got.approved_by)}
        if isinstance(got, Resolution)
        else {"id": name, "ok": False, "error": str(got), "code": got.code, **got.details}
        for name, got in answers
    ]


@route(
    "PUT",
    "/api/audit/approvals/{approval_id}/input",
    action=Action.APPROVAL_RESOLVE,
    errors=(NotFound, Invalid, Conflict, Gone),
    response=ApprovalOut,
)
async def edit_approval(call: Call, approval_id: str, body: EditBody) -> Any:
    """Change what would run: a new version with a new digest, still to be approved."""
    edited = await call.services.approvals.edit(call.actor, approval_id, args=body.input, version=body.version)
    return wire.approval(edited)


@route(
    "POST",
    "/api/audit/approvals/{approval_id}/undo",
    action=Action.APPROVAL_RESOLVE,
    errors=(NotFound, Conflict),
    response=ApprovalOut,
)
async def undo_approval(call: Call, approval_id: str) -> Any:
    """Take an approval back while its undo window is open."""
    return wire.approval(await call.services.approvals.undo(call.actor, approval_id, via=via_of(call)))


@route("GET", "/api/grants", action=Action.GRANT_LIST, response=list[GrantOut])
async def list_grants(call: Call) -> Any:
    """Standing permissions that are live."""
    return [wire.grant(g) for g in await call.services.approvals.grants(call.actor)]


@route("DELETE", "/api/grants/{grant_id}", action=Action.GRANT_REVOKE, errors=(NotFound,), response=GrantOut)
async def revoke_grant(call: Call, grant_id: str) -> Any:
    """End a standing permission."""
    return wire.grant(await call.services.approvals.revoke_grant(call.actor, grant_id))


# --- audit ----------------------------------------------------------------------------------------


@route("GET", "/api/audit", action=Action.AUDIT_READ, errors=(Invalid,), response=list[AuditOut])
async def list_audit(call: Call, query: AuditQuery) -> Any:
    """Lines of the audit log, newest first."""
    return await remembered(call, "list_audit", lambda: _audit_page(call, query), outside=True)


async def _audit_page(call: Call, query: AuditQuery) -> Any:
    """Lines of the audit log, newest first."""
    found = await call.services.audit.list(
        call.actor, query.which(), limit=query.limit, before=read_cursor(query.cursor)
    )
    last = cursor_of(found[-1].created_at, found[-1].id) if found else None
    return page(call, [wire.audit_entry(e) for e in found], limit=query.limit, cursor=last)


@route("GET", "/api/audit/export", action=Action.AUDIT_EXPORT, errors=(Invalid,), media="application/x-ndjson")
async def export_audit(call: Call, query: ExportQuery) -> Any:
    """The audit log as a stream of JSON lines or CSV."""
    if query.format not in ("jsonl", "csv"):
        raise Invalid.field("format", "must be jsonl or csv")
    kind = "text/csv; charset=utf-8" if query.format == "csv" else "application/x-ndjson"
    response = web.StreamResponse(headers={"Content-Type": kind, "X-Content-Type-Options": "nosniff"})
    lines = call.services.audit.export(call.actor, query.which())
    first = await anext(lines, None)
    await response.prepare(call.request)
    if query.format == "csv":
        await response.write((",".join(_COLUMNS) + "\r\n").encode())
    while first is not None:
        row = wire.audit_entry(first)
        await response.write(_csv(row) if query.format == "csv" else orjson.dumps(row) + b"\n")
        first = await anext(lines, None)
    await response.write_eof()
    return response


_COLUMNS = ("id", "createdAt", "actor", "action", "target", "verdict", "reason", "metadata")


def _marked(row: dict[str, Any]) -> dict[str, Any]:
    """A line as a table shows it. The columns are as ever: one that is not what was signed says so in its cells."""
    found = row["integrity"]
    if found["ok"]:
        return dict(row)
    reason = f"ALTERED ({', '.join(found['differs'])}) {row['reason'] or ''}".rstrip()
    return {**row, "reason": reason, "metadata": {**row["metadata"], "integrity": found}}


def _csv(row: dict[str, Any]) -> bytes:
    buffer = io.StringIO()
    shown = _marked(row)
    shown["metadata"] = orjson.dumps(shown["metadata"]).decode()
    cells = [shown[c] or "" for c in _COLUMNS]
    # a cell that a spreadsheet would take for a formula is shown as text
    csv.writer(buffer).writerow([f"'{c}" if c[:1] in ("=", "+", "-", "@") else c for c in cells])
    return buffer.getvalue().encode()


@route("GET", "/api/audit/violations", action=Action.VIOLATION_READ, errors=(Invalid,), response=list[ViolationOut])
async def list_violations(call: Call, query: ViolationsQuery) -> Any:
    """What the policy refused, newest first."""
    found = await call.services.audit.violations(
        call.actor, limit=query.limit, severity=query.severity, before=read_cursor(query.cursor)
    )
    last = cursor_of(found[-1].created_at, found[-1].id) if found else None
    return page(call, [wire.violation(v) for v in found], limit=query.limit, cursor=last)


# --- receipts -------------------------------------------------------------------------------------


@route("GET", "/api/governance/status", needs=Needs.PERSON, response=GovernanceStatus)
async def governance_status(call: Call) -> Any:
    """Whether a HELM sidecar is configured, and how it was at the last look."""
    health = call.services.health
    live = None if health.helm is None else await health.helm()
    return {
        "helmConfigured": live is not None,
        "live": None if live is None else {k: v for k, v in live.items() if k != "failClosed"},
        "latestSnapshot": wire.sidecar_snapshot(await health.newest_snapshot()),
    }


@route("GET", "/api/governance/receipts", action=Action.RECEIPT_READ, errors=(Invalid,), response=ReceiptsOut)
async def list_receipts(call: Call, query: ReceiptsQuery) -> Any:
    """Receipts of the workspace, newest first; `before` takes the `nextCursor` of the page before, or a time."""
    before_idx, before = _place(query.before)
    found = await call.services.receipts.list(
        call.actor,
        limit=query.limit,
        before=before,
        before_idx=before_idx,
        kinds=(query.kind,) if query.kind else (),
        verdict=query.verdict,
    )
    rows = found.receipts
    altered = bool(found.missing or found.problem)
    return {
        "receipts": [wire.receipt(r) for r in rows],
        # the place in the log, not its time: several receipts are written in one millisecond
        "nextCursor": str(rows[-1].idx) if len(rows) == query.limit else None,
        "integrity": {
            "ok": not altered,
            "code": ALTERED if altered else None,
            "missing": list(found.missing),
            "problem": found.problem,
        },
    }


def _place(text: str | None) -> tuple[int | None, datetime | None]:
    """A place in the log, or a time; Invalid for anything else."""
    if text is None:
        return None, None
    if text.isascii() and text.isdecimal() and len(text) <= 15:
        return int(text), None
    try:
        return None, in_utc(datetime.fromisoformat(text))
    except ValueError:
        raise Invalid.field("before", "must be a nextCursor or an RFC 3339 time") from None


@route(
    "GET",
    "/api/governance/receipts/{name}",
    action=Action.RECEIPT_READ,
    errors=(NotFound, Conflict),
    response=InclusionOut,
)
async def get_receipt(call: Call, name: str) -> Any:
    """A receipt by its own id or its decision's, with its signed bytes and the proof that the log holds it."""
    row = await call.services.receipts.find(call.actor, name)
    return wire.inclusion(await call.services.receipts.inclusion(call.actor, row.id))


@route(
    "GET", "/api/governance/proofgraph/{task_id}", action=Action.RECEIPT_READ, errors=(NotFound,), response=ProofGraph
)
async def proof_graph(call: Call, task_id: str) -> Any:
    """What led to what in a task: request, decisions, approvals, effects, outcome."""
    graph = await call.services.receipts.proof_graph(call.actor, task_id)
    nodes = [
        {
            **{name: value for name, value in node.items() if name != "differs"},
            "integrity": wire.integrity(node["differs"]),
        }
        for node in graph["nodes"]
    ]
    return {**graph, "nodes": nodes}


@route("GET", "/api/governance/log/checkpoint", action=Action.RECEIPT_READ, response=CheckpointOut)
async def get_checkpoint(call: Call) -> Any:
    """The signed checkpoint of the workspace's log; with `Accept: text/plain` the bare note, as log clients read it."""
    checkpoint = await call.services.receipts.checkpoint(call.actor)
    if call.request.headers.get("Accept", "").split(";")[0].strip() == "text/plain":
        return web.Response(text=checkpoint.note, content_type="text/plain")
    return wire.checkpoint(checkpoint)


@route(
    "GET",
    "/api/governance/log/tile/{tile}",
    pattern="/api/governance/log/tile/{tile:.+}",
    action=Action.RECEIPT_READ,
    errors=(NotFound,),
    media="application/octet-stream",
)
async def get_tile(call: Call, tile: str) -> Any:
    """A tile of the log by its C2SP path.

    `0/x001/067.p/5` are five hashes of level 0, `entries/000` the first 256 receipts themselves. The log's prefix is
    `/api/governance/log`; a client that cannot send headers names the workspace as `?workspaceId=`.
    """
    body = await call.services.receipts.tile(call.actor, f"tile/{tile}")
    return web.Response(body=body, content_type="application/octet-stream")


@route(
    "GET",
    "/api/governance/log/proof/inclusion",
    action=Action.RECEIPT_READ,
    errors=(NotFound, Invalid),
    response=InclusionProof,
)
async def inclusion_proof(call: Call, query: ProofQuery) -> Any:
    """The audit path of one receipt in the tree of `size` receipts."""
    row, path, size = await call.services.receipts.proof_at(call.actor, query.index, query.size)
    return {
        "logIndex": row.idx,
        "treeSize": size,
        "leafHash": row.leaf_hash.hex(),
        "auditPath": [h.hex() for h in path],
    }


@route(
    "GET",
    "/api/governance/log/proof/consistency",
    action=Action.RECEIPT_READ,
    errors=(NotFound, Invalid),
    response=ConsistencyProof,
)
async def consistency_proof(call: Call, query: ConsistencyQuery) -> Any:
    """The proof that the log of `new` receipts extends the one of `old`."""
    path, old_root, new_root, size = await call.services.receipts.consistency(call.actor, query.old, query.new)
    return {
        "oldSize": query.old,
        "newSize": size,
        "oldRoot": old_root.hex(),
        "newRoot": new_root.hex(),
        "consistencyPath": [h.hex() for h in path],
    }


@route(
    "GET",
    "/api/governance/archive",
    action=Action.RECEIPT_EXPORT,
    errors=(NotFound, Invalid, Conflict),
    media="application/gzip",
)
async def get_archive(call: Call, query: ArchiveQuery) -> Any:
    """All receipts as an archive that anybody can verify offline, or one task's (`taskId`), or a range.

    `start` and `end` are places in the log, `since` and `until` times; the ends do not belong to the range.
    """
    file = await call.services.receipts.archive(call.actor, query.part())
    response = web.StreamResponse(
        headers={
            "Content-Type": "application/gzip",
            "Content-Disposition": 'attachment; filename="pilot-receipts.tar.gz"',
        }
    )
    await response.prepare(call.request)
    with file:
        while chunk := file.read(256 * 1024):
            await response.write(chunk)
    await response.write_eof()
    return response


class EvaluateBody(Body):
    tool: Annotated[str, StringConstraints(min_length=1, max_length=200), AfterValidator(text_ok)]
    args: Annotated[dict[str, Any], Field(default_factory=dict)]
    operatorId: Annotated[str, StringConstraints(pattern=r"^[0-9a-fA-F-]{36}$")] | None = None  # noqa: N815
    mode: Mode | None = None
    dryRun: Literal[True]  # noqa: N815


class TrialQuery(LooseBody):
    limit: Annotated[int, Field(ge=1, le=1000)] = 200


@route(
    "POST",
    "/api/governance/evaluate",
    action=Action.SETTINGS_READ,
    keeps_answers=False,
    errors=(Invalid, NotFound),
    response=RehearsedOut,
)
async def evaluate(call: Call, body: EvaluateBody) -> Any:
    """What the policy would decide about one call of a tool, with everything that speaks against it.

    Only with `dryRun: true`: nothing is written or used up. What really runs is decided when a run calls its tool.
    """
    found = await call.services.rehearsal.call(
        call.actor,
        tool=body.tool,
        args=body.args,
        operator_id=None if body.operatorId is None else parse_id(body.operatorId, what="operator"),
        mode=body.mode,
    )
    return {
        **wire.said(found.decision),
        "dryRun": True,
        "policyHash": found.decision.policy_hash,
        "findings": [wire.said(one) for one in found.findings],
    }


@route(
    "POST",
    "/api/governance/policy-test",
    action=Action.POLICY_WRITE,
    keeps_answers=False,
    errors=(Invalid,),
    response=PolicyTrialOut,
)
async def try_policy(call: Call, query: TrialQuery, body: LooseBody) -> Any:
    """Which of the newest `limit` decisions would differ under changed settings, before anybody saves them.

    The body is what `PUT .../settings` takes, and is checked as that would.
    """
    del body
    trial = await call.services.rehearsal.policy(
        call.actor,
        await json_body(call.request),
        limit=query.limit,
    )
    return wire.policy_trial(trial)


@route("GET", "/api/governance/replay", action=Action.RECEIPT_READ, response=ReplayOut)
async def replay_all(call: Call) -> Any:
    """Decide every kept decision again under the policy of then, and say where the verdict differs.

    What is kept is compared with the hashes in the signed receipt first; `problem` says what is not what was signed.
    """
    results = await call.services.receipts.replay(call.actor)
    return {
        "replayed": len(results),
        "different": [
            {
                "receiptId": r.receipt_id,
                "tool": r.tool,
                "recorded": r.recorded,
                "replayed": r.replayed,
                "problem": r.problem,
            }
            for r in results
            if not r.same
        ],
    }
