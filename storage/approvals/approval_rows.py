"""All SQL about approvals, votes on them, and grants."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from domain.approvals.approval import LAST_REMINDER, Approval, ApprovalStatus, Approver
from domain.approvals.grant import Grant
from domain.errors import NotFound
from domain.identity.actor import Role
from storage.prepared import Prepared, PreparedUpdate
from storage.tables import approval_votes, approvals, grants, workspace_members
from storage.transaction import Tx
from storage.values import columns_of, to_value, without

COLUMNS = columns_of(approvals, Approval)

_insert = Prepared(sa.insert(approvals).values({c.name: sa.bindparam(c.name) for c in COLUMNS}))
_change = PreparedUpdate(approvals, "workspace_id", "id", "status", "version")
_move = PreparedUpdate(approvals, "workspace_id", "id", "status", "version", "action_hash")


GRANT_COLUMNS = columns_of(grants, Grant)


def add(tx: Tx, approval: Approval) -> None:
    """Insert a new approval."""
    _insert(tx, **{c.name: getattr(approval, c.name) for c in COLUMNS})


def get(tx: Tx, workspace_id: str, approval_id: str, *, lock: bool = False) -> Approval:
    """The approval; NotFound when it is not in this workspace."""
    query = sa.select(*COLUMNS).where(approvals.c.workspace_id == workspace_id, approvals.c.id == approval_id)
    row = tx.one(tx.lock(query) if lock else query)
    if row is None:
        raise NotFound("Approval not found")
    return to_value(Approval, row)


def workspace_of(tx: Tx, approval_id: str) -> str | None:
    """The workspace of an approval: a button in chat carries only the approval's id."""
    found = tx.scalar(sa.select(approvals.c.workspace_id).where(approvals.c.id == approval_id))
    return None if found is None else str(found)


def find(
    tx: Tx,
    workspace_id: str,
    *,
    limit: int,
    status: str | None = None,
    task_id: str | None = None,
    before: tuple[datetime, str] | None = None,
    naming: str | None = None,
) -> Sequence[Approval]:
    """Approvals of the workspace, newest first; with `naming` only those that name this user."""
    c = approvals.c
    query = sa.select(*COLUMNS).where(c.workspace_id == workspace_id)
    if status is not None:
        query = query.where(c.status == status)
    if task_id is not None:
        query = query.where(c.task_id == task_id)
    if naming is not None:
        # a short list of ids, kept as JSON text
        query = query.where(sa.type_coerce(c.deciders, sa.Text).contains(f'"{naming}"', autoescape=True))
    if before is not None:
        moment, approval_id = before
        query = query.where(sa.or_(c.requested_at < moment, sa.and_(c.requested_at == moment, c.id < approval_id)))
    query = query.order_by(c.requested_at.desc(), c.id.desc()).limit(limit)
    return [to_value(Approval, row) for row in tx.all(query)]


def ids_among(tx: Tx, workspace_id: str, approval_ids: Sequence[str]) -> set[str]:
    """Those of these approvals that there are."""
    found: set[str] = set()
    for at in range(0, len(approval_ids), 500):
        some = list(approval_ids[at : at + 500])
        query = sa.select(approvals.c.id).where(approvals.c.workspace_id == workspace_id, approvals.c.id.in_(some))
        found |= {row[0] for row in tx.all(query)}
    return found


def count_pending(tx: Tx, workspace_id: str, *, external: bool = False) -> int:
    """How many approvals wait for an answer; with `external` only those that no run of ours waits for."""
    query = (
        sa.select(sa.func.count())
        .select_from(approvals)
        .where(approvals.c.workspace_id == workspace_id, approvals.c.status == ApprovalStatus.PENDING.value)
    )
    return int(tx.scalar(query.where(approvals.c.run_id.is_(None)) if external else query))


def move(tx: Tx, approval: Approval, to: ApprovalStatus, **values: Any) -> bool:
    """The one compare-and-set all deciders race for: on status, version and digest. True for the winner."""
    return _move(tx, *_read(approval), approval.action_hash, **values, status=to) == 1


def change(tx: Tx, approval: Approval, **values: Any) -> bool:
    """Set columns while the approval is still the one that was read (status and version)."""
    return _change(tx, *_read(approval), **without(values, "status")) == 1


def _read(approval: Approval) -> tuple[str, str, str, int]:
    return approval.workspace_id, approval.id, approval.status, approval.version


def to_sweep(tx: Tx, *, now: datetime, limit: int) -> Sequence[Approval]:
    """Pending approvals of all workspaces that have expired or can still be brought up, soonest to expire first."""
    c = approvals.c
    query = sa.select(*COLUMNS).where(
        c.status == ApprovalStatus.PENDING.value, sa.or_(c.expires_at <= now, c.reminded < LAST_REMINDER)
    )
    return [to_value(Approval, row) for row in tx.all(query.order_by(c.expires_at).limit(limit))]


def vote(tx: Tx, approval: Approval, *, user_id: str, choice: str, now: datetime) -> bool:
    """Record one person's vote on this version; False when they had voted."""
    return tx.insert_if_absent(
        approval_votes,
        {
            "approval_id": approval.id,
            "version": approval.version,
            "user_id": user_id,
            "workspace_id": approval.workspace_id,
            "vote": choice,
            "created_at": now,
        },
        key=("approval_id", "version", "user_id"),
    )


def voters(tx: Tx, approval: Approval) -> Sequence[Approver]:
    """Who approved this version so far and may still decide, in order: a vote goes with its voter's place."""
    votes, members = approval_votes.c, workspace_members.c
    query = (
        sa.select(votes.user_id, members.role)
        .join(
            workspace_members,
            sa.and_(members.user_id == votes.user_id, members.workspace_id == votes.workspace_id),
        )
        .where(votes.approval_id == approval.id, votes.version == approval.version, votes.vote == "approved")
        .order_by(votes.created_at)
    )
    return approval.approver_rule.eligible(Approver(row[0], Role(row[1])) for row in tx.all(query))


def people(tx: Tx, workspace_id: str) -> Sequence[Approver]:
    """Everybody in the workspace."""
    members = workspace_members.c
    query = sa.select(members.user_id, members.role).where(members.workspace_id == workspace_id)
    return [Approver(row[0], Role(row[1])) for row in tx.all(query.order_by(members.joined_at))]


# --- grants ---------------------------------------------------------------------------------------


def add_grant(tx: Tx, grant: Grant) -> None:
    """Insert a new grant."""
    tx.execute(sa.insert(grants).values({c.name: getattr(grant, c.name) for c in GRANT_COLUMNS}))


def grants_of(
    tx: Tx, workspace_id: str, *, live_at: datetime | None = None, tool: str | None = None
) -> Sequence[Grant]:
    """Grants of the workspace, newest first; only usable ones when `live_at` is given."""
    c = grants.c
    query = sa.select(*GRANT_COLUMNS).where(c.workspace_id == workspace_id)
    if live_at is not None:
        query = query.where(
            c.revoked_at.is_(None), c.expires_at > live_at, sa.or_(c.max_uses.is_(None), c.uses < c.max_uses)
        )
    if tool is not None:
        query = query.where(c.tool == tool)
    return [to_value(Grant, row) for row in tx.all(query.order_by(c.created_at.desc()))]


def use_grant(tx: Tx, grant_id: str, *, now: datetime) -> int | None:
    """Count one use; how many there were with it, None when it is used up, expired or revoked meanwhile."""
    c = grants.c
    result = tx.execute(
        sa.update(grants)
        .where(
            c.id == grant_id,
            c.revoked_at.is_(None),
            c.expires_at > now,
            sa.or_(c.max_uses.is_(None), c.uses < c.max_uses),
        )
        .values(uses=c.uses + 1)
        .returning(c.uses)
    )
    row = result.first()
    return None if row is None else int(row[0])


def revoke_grant(tx: Tx, workspace_id: str, grant_id: str, *, by: str, now: datetime) -> Grant:
    """End a grant; NotFound when there is none. Revoking twice changes nothing."""
    tx.execute(
        sa.update(grants)
        .where(grants.c.workspace_id == workspace_id, grants.c.id == grant_id, grants.c.revoked_at.is_(None))
        .values(revoked_at=now, revoked_by=by)
    )
    row = tx.one(sa.select(*GRANT_COLUMNS).where(grants.c.workspace_id == workspace_id, grants.c.id == grant_id))
    if row is None:
        raise NotFound("Grant not found")
    return to_value(Grant, row)
