"""All SQL about sessions: logins with their rotations. Tokens are kept as hashes only."""

from collections.abc import Sequence
from datetime import datetime

import sqlalchemy as sa

from domain.identity.credentials import Session
from storage.prepared import Prepared
from storage.tables import sessions, users
from storage.transaction import Tx
from storage.values import columns_of, to_columns, to_value, to_value_and_last

COLUMNS = columns_of(sessions, Session)
_insert_session = Prepared(sa.insert(sessions).values({c.name: sa.bindparam(c.name) for c in COLUMNS}))
_family = Prepared(
    sa.select(sessions.c.id).where(
        sessions.c.family_id == sa.bindparam("family"),
        sessions.c.revoked_at.is_(None),
        sessions.c.expires_at > sa.bindparam("now", type_=sessions.c.expires_at.type),
    )
)


def add(tx: Tx, session: Session) -> None:
    """Insert a new session."""
    _insert_session(tx, **to_columns(COLUMNS, session))


def by_token(tx: Tx, token_hash: str, *, lock: bool = False) -> tuple[Session, str] | None:
    """The session with this token and the person's name; None for erased people too."""
    query = (
        sa.select(*COLUMNS, users.c.name)
        .join(users, users.c.id == sessions.c.user_id)
        .where(sessions.c.token_hash == token_hash, users.c.erased_at.is_(None))
    )
    row = tx.one(query.with_for_update(of=sessions) if lock and tx.postgres else query)
    return None if row is None else to_value_and_last(Session, row)


def rotate(tx: Tx, session_id: str, *, now: datetime, successor_sealed: str, grace_until: datetime) -> bool:
    """Mark a session as replaced; only the first caller does it."""
    result = tx.execute(
        sa.update(sessions)
        .where(sessions.c.id == session_id, sessions.c.rotated_at.is_(None))
        .values(rotated_at=now, successor_sealed=successor_sealed, grace_until=grace_until)
    )
    return result.rowcount == 1


def live(tx: Tx, user_id: str, *, now: datetime) -> Sequence[Session]:
    """The sessions a person is logged in with, newest first."""
    query = (
        sa.select(*COLUMNS)
        .where(
            sessions.c.user_id == user_id,
            sessions.c.revoked_at.is_(None),
            sessions.c.rotated_at.is_(None),
            sessions.c.expires_at > now,
        )
        .order_by(sessions.c.created_at.desc())
    )
    return [to_value(Session, row) for row in tx.all(query)]


def revoke(tx: Tx, *, now: datetime, family_id: str | None = None, user_id: str | None = None) -> int:
    """End a login with all its rotations, or every login of a person; how many rows."""
    query = sa.update(sessions).where(sessions.c.revoked_at.is_(None))
    if family_id is not None:
        query = query.where(sessions.c.family_id == family_id)
    if user_id is not None:
        query = query.where(sessions.c.user_id == user_id)
    return tx.execute(query.values(revoked_at=now)).rowcount


def family_is_live(tx: Tx, family_id: str, *, now: datetime) -> bool:
    """Whether a login has neither ended nor expired."""
    return bool(_family(tx, family=family_id, now=now).fetchall())


def purge(tx: Tx, *, now: datetime) -> int:
    """Forget sessions that can never be used again; how many."""
    return tx.execute(sa.delete(sessions).where(sessions.c.expires_at < now)).rowcount
