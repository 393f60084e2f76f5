"""Answers kept by Idempotency-Key, so that a repeated request gets the first one's answer."""

from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from storage.database import Tx
from storage.tables import idempotency_keys


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """What a key stands for; `status` None while the first request is still under way."""

    request_hash: str
    status: int | None
    body: str | None
    created_at: datetime


def begin(tx: Tx, *, principal: str, key: str, request_hash: str, now: datetime, expires_at: datetime) -> Kept | None:
    """None for the first comer, who must `finish` or `drop`; what is kept for everybody else."""
    c = idempotency_keys.c
    tx.execute(sa.delete(idempotency_keys).where(c.principal == principal, c.key == key, c.expires_at < now))
    row = {
        "principal": principal,
        "key": key,
        "request_hash": request_hash,
        "status": None,
        "body": None,
        "created_at": now,
        "expires_at": expires_at,
    }
    if tx.insert_if_absent(idempotency_keys, row, key=("principal", "key")):
        return None
    found = tx.one(
        sa.select(c.request_hash, c.status, c.body, c.created_at).where(c.principal == principal, c.key == key)
    )
    if found is None:
        return None
    return Kept(request_hash=found[0], status=found[1], body=found[2], created_at=found[3])


def finish(tx: Tx, *, principal: str, key: str, status: int, body: str, expires_at: datetime) -> None:
    """Keep the answer."""
    c = idempotency_keys.c
    tx.execute(
        sa.update(idempotency_keys)
        .where(c.principal == principal, c.key == key)
        .values(status=status, body=body, expires_at=expires_at)
    )


def drop(tx: Tx, *, principal: str, key: str) -> None:
    """The request failed in a way that a repeat may mend."""
    c = idempotency_keys.c
    tx.execute(sa.delete(idempotency_keys).where(c.principal == principal, c.key == key))


def purge(tx: Tx, *, now: datetime) -> int:
    """Forget old answers; how many."""
    return tx.execute(sa.delete(idempotency_keys).where(idempotency_keys.c.expires_at < now)).rowcount
