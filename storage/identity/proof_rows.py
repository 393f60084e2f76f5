"""Proofs that were presented, once each, and logins that are away at a provider."""

from datetime import datetime
from typing import Any

import sqlalchemy as sa

from storage.prepared import Prepared
from storage.tables import seen_proofs
from storage.transaction import Tx

_proof = Prepared(sa.select(seen_proofs.c.session_family).where(seen_proofs.c.digest == sa.bindparam("digest")))


def family_of(tx: Tx, digest: str) -> str | None:
    """The login family a proof was used for, None when it is new."""
    rows = _proof(tx, digest=digest).fetchall()
    return None if not rows or rows[0][0] is None else str(rows[0][0])


def remember(tx: Tx, *, digest: str, kind: str, family_id: str, now: datetime, expires_at: datetime) -> bool:
    """Note that a proof was used; False when it had been."""
    return tx.insert_if_absent(
        seen_proofs,
        {"digest": digest, "kind": kind, "session_family": family_id, "created_at": now, "expires_at": expires_at},
        key=("digest",),
    )


def put_attempt(tx: Tx, *, digest: str, data: dict[str, Any], now: datetime, expires_at: datetime) -> None:
    """Keep what a login that leaves for a provider needs when it comes back."""
    row = {"digest": digest, "kind": "oidc", "data": data, "created_at": now, "expires_at": expires_at}
    tx.execute(sa.insert(seen_proofs).values(row))


def take_attempt(tx: Tx, digest: str, *, now: datetime) -> dict[str, Any] | None:
    """What was kept for this attempt, once; None when there is none or its time is over."""
    c = seen_proofs.c
    row = tx.one(tx.lock(sa.select(c.data).where(c.digest == digest, c.kind == "oidc", c.expires_at > now)))
    taken = tx.execute(sa.delete(seen_proofs).where(c.digest == digest, c.kind == "oidc")).rowcount
    return None if row is None or taken != 1 else dict(row[0])


def purge(tx: Tx, *, now: datetime) -> int:
    """Forget proofs that can never be used again; how many."""
    return tx.execute(sa.delete(seen_proofs).where(seen_proofs.c.expires_at < now)).rowcount
