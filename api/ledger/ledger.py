"""Routes about what is recorded: the audit log, receipts, their log with its proofs, and archives."""

import csv
import io
from datetime import datetime
from typing import Any, cast

import orjson
from aiohttp import web

from api.http import ApiResponse, Endpoints, RequestContext, page
from api.lists import remembered
from api.schemas.base import Serialized, in_utc, integrity
from api.schemas.ledger import (
    ArchiveQuery,
    AuditOut,
    AuditQuery,
    CheckpointOut,
    ConsistencyProof,
    ConsistencyQuery,
    ExportQuery,
    InclusionOut,
    InclusionProof,
    ProofGraph,
    ProofQuery,
    ReceiptOut,
    ReceiptsOut,
    ReceiptsQuery,
    hexes,
)
from domain.cursors import cursor_of, read_cursor
from domain.errors import Conflict, Invalid, NotFound
from domain.identity.permissions import Action
from domain.integrity import ALTERED

ledger = Endpoints("governance")
route = ledger.route


@route("GET", "/api/audit", action=Action.AUDIT_READ, errors=(Invalid,))
async def list_audit(call: RequestContext, query: AuditQuery) -> ApiResponse[list[Serialized[AuditOut]]]:
    """Lines of the audit log, newest first."""
    return await remembered(call, "list_audit", lambda: _audit_page(call, query), outside=True)


async def _audit_page(call: RequestContext, query: AuditQuery) -> ApiResponse[list[Serialized[AuditOut]]]:
    """Lines of the audit log, newest first."""
    found = await call.services.audit.list(
        call.actor, query.which(), limit=query.limit, before=read_cursor(query.cursor)
    )
    last = cursor_of(found[-1].created_at, found[-1].id) if found else None
    return page(call, [AuditOut.of(e) for e in found], limit=query.limit, cursor=last)


@route(
    "GET",
    "/api/audit/export",
    action=Action.AUDIT_EXPORT,
    errors=(Invalid,),
    media="application/x-ndjson",
    other_media=("text/csv",),
)
async def export_audit(call: RequestContext, query: ExportQuery) -> web.StreamResponse:
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
        row = AuditOut.of(first)
        await response.write(_csv(row) if query.format == "csv" else orjson.dumps(row) + b"\n")
        first = await anext(lines, None)
    await response.write_eof()
    return response


_COLUMNS = ("id", "createdAt", "actor", "action", "target", "verdict", "reason", "metadata")


def _marked(row: dict[str, Any]) -> dict[str, Any]:
    """Mark a line that is not what was signed, in its own cells: the columns of the table stay as they are."""
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


@route("GET", "/api/governance/receipts", action=Action.RECEIPT_READ, errors=(Invalid,))
async def list_receipts(call: RequestContext, query: ReceiptsQuery) -> Serialized[ReceiptsOut]:
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
    return ReceiptsOut.answer(
        receipts=[ReceiptOut.of(r) for r in rows],
        # the place in the log, not its time: several receipts are written in one millisecond
        next_cursor=str(rows[-1].idx) if len(rows) == query.limit else None,
        integrity={
            "ok": not altered,
            "code": ALTERED if altered else None,
            "missing": list(found.missing),
            "problem": found.problem,
        },
    )


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


@route("GET", "/api/governance/receipts/{name}", action=Action.RECEIPT_READ, errors=(NotFound, Conflict))
async def get_receipt(call: RequestContext, name: str) -> Serialized[InclusionOut]:
    """A receipt by its own id or its decision's, with its signed bytes and the proof that the log holds it."""
    row = await call.services.receipts.find(call.actor, name)
    return InclusionOut.of(await call.services.proofs.inclusion(call.actor, row.id))


@route("GET", "/api/governance/proofgraph/{task_id}", action=Action.RECEIPT_READ, errors=(NotFound,))
async def proof_graph(call: RequestContext, task_id: str) -> Serialized[ProofGraph]:
    """What led to what in a task: request, decisions, approvals, effects, outcome."""
    graph = await call.services.receipts.proof_graph(call.actor, task_id)
    nodes = [
        {
            **{name: value for name, value in node.items() if name != "differs"},
            "integrity": integrity(node["differs"]),
        }
        for node in graph["nodes"]
    ]
    return cast("Serialized[ProofGraph]", {**graph, "nodes": nodes})


@route("GET", "/api/governance/log/checkpoint", action=Action.RECEIPT_READ)
async def get_checkpoint(call: RequestContext) -> Serialized[CheckpointOut] | web.Response:
    """The signed checkpoint of the workspace's log; with `Accept: text/plain` the bare note, as log clients read it."""
    checkpoint = await call.services.proofs.checkpoint(call.actor)
    if call.request.headers.get("Accept", "").split(";")[0].strip() == "text/plain":
        return web.Response(text=checkpoint.note, content_type="text/plain")
    return CheckpointOut.of(checkpoint)


@route(
    "GET",
    "/api/governance/log/tile/{tile}",
    pattern="/api/governance/log/tile/{tile:.+}",
    action=Action.RECEIPT_READ,
    errors=(NotFound,),
    media="application/octet-stream",
)
async def get_tile(call: RequestContext, tile: str) -> web.StreamResponse:
    """A tile of the log by its C2SP path.

    `0/x001/067.p/5` are five hashes of level 0, `entries/000` the first 256 receipts themselves. The log's prefix is
    `/api/governance/log`; a client that cannot send headers names the workspace as `?workspaceId=`.
    """
    body = await call.services.proofs.tile(call.actor, f"tile/{tile}")
    return web.Response(body=body, content_type="application/octet-stream")


@route(
    "GET",
    "/api/governance/log/proof/inclusion",
    action=Action.RECEIPT_READ,
    errors=(NotFound, Invalid),
)
async def inclusion_proof(call: RequestContext, query: ProofQuery) -> Serialized[InclusionProof]:
    """The audit path of one receipt in the tree of `size` receipts."""
    row, path, size = await call.services.proofs.proof_at(call.actor, query.index, query.size)
    return InclusionProof.of(row, tree_size=size, audit_path=hexes(path))


@route(
    "GET",
    "/api/governance/log/proof/consistency",
    action=Action.RECEIPT_READ,
    errors=(NotFound, Invalid),
)
async def consistency_proof(call: RequestContext, query: ConsistencyQuery) -> Serialized[ConsistencyProof]:
    """The proof that the log of `new` receipts extends the one of `old`."""
    path, old_root, new_root, size = await call.services.proofs.consistency(call.actor, query.old, query.new)
    return ConsistencyProof.answer(
        old_size=query.old,
        new_size=size,
        old_root=old_root.hex(),
        new_root=new_root.hex(),
        consistency_path=hexes(path),
    )


@route(
    "GET",
    "/api/governance/archive",
    action=Action.RECEIPT_EXPORT,
    errors=(NotFound, Invalid, Conflict),
    media="application/gzip",
)
async def get_archive(call: RequestContext, query: ArchiveQuery) -> web.StreamResponse:
    """All receipts as an archive that anybody can verify offline, or one task's (`taskId`), or a range.

    `start` and `end` are places in the log, `since` and `until` times; the ends do not belong to the range.
    """
    file = await call.services.archives.export(call.actor, query.part())
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
