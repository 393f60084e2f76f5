"""Answers kept by Idempotency-Key, so that a repeated request gets the first one's answer."""

from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from storage.tables import idempotency_keys
from storage.transaction import Tx


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """What a key stands for. While `status` is None the request is under way, and `body` names who carries it out."""

    request_hash: str
    status: int | None
    body: str | None
    expires_at: datetime


def begin(
    tx: Tx, *, principal: str, key: str, request_hash: str, claim: str, now: datetime, expires_at: datetime
) -> Kept:
    """What stands under the key now: with `claim` in it for the first comer, who must `finish` or `drop`."""
    c = idempotency_keys.c
    tx.execute(sa.delete(idempotency_keys).where(c.principal == principal, c.key == key, c.expires_at < now))
    row = {
        "principal": principal,
        "key": key,
        "request_hash": request_hash,
        "status": None,
        "body": claim,
        "created_at": now,
        "expires_at": expires_at,
    }
    tx.insert_if_absent(idempotency_keys, row, key=("principal", "key"))
    found = tx.one(
        sa.select(c.request_hash, c.status, c.body, c.expires_at).where(c.principal == principal, c.key == key)
    )
    assert found is not None  # just written, or seen in the way of writing it
    return Kept(request_hash=found[0], status=found[1], body=found[2], expires_at=found[3])


def finish(tx: Tx, *, principal: str, key: str, claim: str, status: int, body: str, expires_at: datetime) -> None:
    """Keep the answer, unless the key was given to somebody else meanwhile."""
    tx.execute(
        sa.update(idempotency_keys)
        .where(*_held(principal, key, claim))
        .values(status=status, body=body, expires_at=expires_at)
    )


def carried_out(tx: Tx, *, principal: str, key: str, claim: str, expires_at: datetime) -> None:
    """Hold the key longer, in the transaction that does what was asked: no crash after it can free the key."""
    tx.execute(sa.update(idempotency_keys).where(*_held(principal, key, claim)).values(expires_at=expires_at))


def drop(tx: Tx, *, principal: str, key: str, claim: str) -> None:
    """The request failed in a way that a repeat may mend."""
    tx.execute(sa.delete(idempotency_keys).where(*_held(principal, key, claim)))


def _held(principal: str, key: str, claim: str) -> tuple[sa.ColumnElement[bool], ...]:
    c = idempotency_keys.c
    return (c.principal == principal, c.key == key, c.status.is_(None), c.body == claim)


def purge(tx: Tx, *, now: datetime) -> int:
    """Forget old answers; how many."""
    return tx.execute(sa.delete(idempotency_keys).where(idempotency_keys.c.expires_at < now)).rowcount
