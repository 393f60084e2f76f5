"""Routes under /api/v1: what HELM's SDK and adapters ask a kernel, answered by the workspace's policy and people."""

import base64
import binascii
import re
from typing import Any

import orjson

from api.http import ApiResponse, Endpoints, RequestContext
from api.schemas.base import Serialized
from api.schemas.policy import (
    CallBody,
    EvaluateOut,
    ReceiptSessionOut,
    SessionsQuery,
    SignedReceiptsOut,
    SignedReceiptsQuery,
)
from domain.errors import Conflict, Invalid, NotFound
from domain.identity.permissions import Action
from domain.receipts.signing import rfc3339
from services.approvals.decision_point import ExternalCall, Leaf, ReceiptQuery

decision_point = Endpoints("decision point")
route = decision_point.route

_SESSION_CURSOR = re.compile(r"lamport:([0-9]{1,15})")
_CURSOR = re.compile(r"v1\.[A-Za-z0-9_-]{1,400}")


def _one_of(name: str, *given: Any) -> str:
    """The value under its name or its old one; Invalid for none, for two that differ, for what is no text."""
    found: set[str] = set()
    for value in given:
        if value is not None and not isinstance(value, str):
            raise Invalid.field(name, "must be a string")
        if value and value.strip():
            found.add(value.strip())
    if not found:
        raise Invalid.field(name, "is required")
    if len(found) > 1:
        raise Invalid.field(name, "differs from its old name")
    return found.pop()


def _call_of(call: RequestContext, body: CallBody) -> ExternalCall:
    context = body.context or {}
    tool = _one_of("tool", body.tool, body.action)
    session = _one_of("session_id", body.session_id, context.get("session_id"))
    if len(tool) > 120 or not tool.isprintable():
        raise Invalid.field("tool", "must be at most 120 printable characters")
    if len(session) > 200 or re.search(r"[/\\]", session):
        raise Invalid.field("session_id", "must be at most 200 characters without / and \\")
    principal = call.request.headers.get("X-Helm-Principal-ID", "")
    if len(principal) > 120 or not principal.isprintable():
        raise Invalid.field("X-Helm-Principal-ID", "must be at most 120 printable characters")
    return ExternalCall(
        tool=tool,
        effect_level=_one_of("effect_level", body.effect_level, body.resource),
        session=session,
        args=body.args or {},
        context=context,
        principal=principal,
    )


@route(
    "POST",
    "/api/v1/evaluate",
    action=Action.GOVERNANCE_EVALUATE,
    errors=(Invalid, Conflict),
)
async def evaluate_call(call: RequestContext, body: CallBody) -> Serialized[EvaluateOut]:
    """Decide about a call that an agent which is not ours wants to make, as a HELM kernel would.

    `X-Helm-Tenant-ID` is the workspace's id, `X-Helm-Principal-ID` is recorded. ESCALATE hands a card to the people who
    decide; `decision_id` is then the approval's id. The same call asked again by the same key gets their answer: a yes
    is one ALLOW within a day, a no is DENY for an hour. The same means tool, effect level, session, principal and args.
    """
    return EvaluateOut.of(await call.services.decision_point.evaluate(call.actor, _call_of(call, body)))


@route("GET", "/api/v1/receipts", action=Action.RECEIPT_READ, errors=(Invalid,))
async def list_signed_receipts(call: RequestContext, query: SignedReceiptsQuery) -> ApiResponse[SignedReceiptsOut]:
    """The receipts of the workspace as they were signed, oldest first.

    `session_id` is what an agent called its session, or the workspace's id: that is the session all are signed and
    chained in. `since` takes a `next_cursor`; `from` is inclusive, `to` exclusive.
    """
    for name in ("effect", "resource"):
        if name in call.request.query:
            # ignored, it would answer more than was asked for
            raise Invalid.field(name, "is not filtered by here")
    if None not in (query.principal, query.executor) and query.principal != query.executor:
        raise Invalid.field("executor", "differs from principal")
    which = ReceiptQuery(
        after=_after(query.since, in_session=query.session_id is not None),
        limit=query.limit,
        session=query.session_id,
        verdict=query.verdict,
        reason_code=query.reason_code,
        principal=query.principal or query.executor,
        since=query.first,
        until=query.beyond,
    )
    found, more = await call.services.decision_point.receipts(call.actor, which)
    cursor = query.since or ""
    if found:
        last = found[-1]
        cursor = f"lamport:{last.idx + 1}" if query.session_id is not None else _cursor(last)
    rest = orjson.dumps({"count": len(found), "next_cursor": cursor, "has_more": more})
    # the signed bytes themselves, never written anew
    return ApiResponse(body=b'{"receipts":' + _array(found) + b"," + rest[1:])


@route("GET", "/api/v1/receipts/{name}", action=Action.RECEIPT_READ, errors=(NotFound,))
async def get_signed_receipt(call: RequestContext, name: str) -> ApiResponse[dict[str, Any]]:
    """One receipt by its id, exactly as it was signed."""
    return ApiResponse(body=await call.services.decision_point.receipt(call.actor, name))


@route(
    "GET",
    "/api/v1/proofgraph/sessions",
    action=Action.RECEIPT_READ,
    errors=(Invalid,),
)
async def list_receipt_sessions(call: RequestContext, query: SessionsQuery) -> list[Serialized[ReceiptSessionOut]]:
    """The whole log as the session it is signed in, then the sessions that agents named."""
    found = await call.services.decision_point.sessions(call.actor, limit=query.limit, offset=query.offset)
    return [ReceiptSessionOut.of(one) for one in found]


@route("GET", "/api/v1/proofgraph/sessions/{session}/receipts", action=Action.RECEIPT_READ)
async def list_session_receipts(call: RequestContext, session: str) -> ApiResponse[list[dict[str, Any]]]:
    """The newest receipts of a session, at most a thousand, oldest first."""
    return ApiResponse(body=_array(await call.services.decision_point.of_session(call.actor, session)))


@route(
    "GET",
    "/api/v1/proofgraph/receipts/{name}",
    action=Action.RECEIPT_READ,
    errors=(NotFound,),
)
async def get_session_receipt(call: RequestContext, name: str) -> ApiResponse[dict[str, Any]]:
    """One receipt by its id, exactly as it was signed."""
    return ApiResponse(body=await call.services.decision_point.receipt(call.actor, name))


def _array(leaves: Any) -> bytes:
    return b"[" + b",".join(leaf.body for leaf in leaves) + b"]"


def _cursor(last: Leaf) -> str:
    """HELM's cursor over a whole tenant, opaque to clients: clock, time and id of the last receipt."""
    place = orjson.dumps({"l": last.idx + 1, "t": rfc3339(last.created_at), "r": last.receipt_id})
    return "v1." + base64.urlsafe_b64encode(place).decode().rstrip("=")


def _after(cursor: str | None, *, in_session: bool) -> int:
    """The place in the log that a cursor leads to; Invalid for what is none of this list."""
    if not cursor:
        return 0
    match = _SESSION_CURSOR.fullmatch(cursor)
    if in_session and match is not None:
        return int(match[1])
    if not in_session and _CURSOR.fullmatch(cursor):
        try:
            clock = orjson.loads(base64.urlsafe_b64decode(cursor.removeprefix("v1.") + "=="))["l"]
        except (binascii.Error, ValueError, KeyError, TypeError):
            clock = None
        if type(clock) is int and 0 <= clock < 10**15:
            return clock
    raise Invalid.field("since", "is not a cursor of this list")
