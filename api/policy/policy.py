"""Routes about the policy: what it refused, what it would say, and what it said before; and the sidecar beside it."""

from api.http import Access, ApiResponse, Endpoints, RequestContext, json_body, page
from api.schemas.base import Serialized
from api.schemas.policy import (
    EvaluateBody,
    GovernanceStatus,
    HelmSnapshot,
    PolicyTrialOut,
    RehearsedOut,
    ReplayedOut,
    ReplayOut,
    TrialQuery,
    ViolationOut,
    ViolationsQuery,
)
from api.schemas.workspaces import SettingsBody
from domain.cursors import cursor_of, read_cursor
from domain.errors import Invalid, NotFound
from domain.identity.permissions import Action
from domain.ids import parse_id

policy = Endpoints("governance")
route = policy.route


@route("GET", "/api/audit/violations", action=Action.VIOLATION_READ, errors=(Invalid,))
async def list_violations(call: RequestContext, query: ViolationsQuery) -> ApiResponse[list[Serialized[ViolationOut]]]:
    """What the policy refused, newest first."""
    found = await call.services.audit.violations(
        call.actor, limit=query.limit, severity=query.severity, before=read_cursor(query.cursor)
    )
    last = cursor_of(found[-1].created_at, found[-1].id) if found else None
    return page(call, [ViolationOut.of(v) for v in found], limit=query.limit, cursor=last)


@route("GET", "/api/governance/status", needs=Access.PERSON)
async def governance_status(call: RequestContext) -> Serialized[GovernanceStatus]:
    """Whether a HELM sidecar is configured, and how it was at the last look."""
    health = call.services.health
    live = None if health.helm is None else await health.helm()
    newest = await health.newest_snapshot()
    return GovernanceStatus.answer(
        helm_configured=live is not None,
        live=None if live is None else {k: v for k, v in live.items() if k != "failClosed"},
        latest_snapshot=None if newest is None else HelmSnapshot.of(newest),
    )


@route(
    "POST",
    "/api/governance/evaluate",
    action=Action.SETTINGS_READ,
    keeps_answers=False,
    errors=(Invalid, NotFound),
)
async def evaluate(call: RequestContext, body: EvaluateBody) -> Serialized[RehearsedOut]:
    """What the policy would decide about one call of a tool, with everything that speaks against it.

    Only with `dryRun: true`: nothing is written or used up. What really runs is decided when a run calls its tool.
    """
    found = await call.services.rehearsal.call(
        call.actor,
        tool=body.tool,
        args=body.args,
        operator_id=None if body.operator_id is None else parse_id(body.operator_id, what="operator"),
        mode=body.mode,
    )
    return RehearsedOut.of(found)


@route(
    "POST",
    "/api/governance/policy-test",
    action=Action.POLICY_WRITE,
    keeps_answers=False,
    errors=(Invalid,),
)
async def try_policy(call: RequestContext, query: TrialQuery, body: SettingsBody) -> Serialized[PolicyTrialOut]:
    """Which of the newest `limit` decisions would differ under changed settings, before anybody saves them.

    The body is what `PUT .../settings` takes, and is checked as that would.
    """
    del body
    trial = await call.services.rehearsal.policy(
        call.actor,
        await json_body(call.request),
        limit=query.limit,
    )
    return PolicyTrialOut.of(trial)


@route("GET", "/api/governance/replay", action=Action.RECEIPT_READ)
async def replay_all(call: RequestContext) -> Serialized[ReplayOut]:
    """Decide every kept decision again under the policy of then, and say where the verdict differs.

    What is kept is compared with the hashes in the signed receipt first; `problem` says what is not what was signed.
    """
    results = await call.services.replay.decisions(call.actor)
    return ReplayOut.answer(replayed=len(results), different=[ReplayedOut.of(r) for r in results if not r.same])
