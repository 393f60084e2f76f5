"""All SQL about people and how they prove who they are: sessions, proofs, codes by mail, API keys, invites.

Tokens are kept as hashes only.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from domain.identity.credentials import ApiKey, EmailCode, Session
from domain.identity.invite import Invite
from domain.identity.user import User
from storage.prepared import Prepared
from storage.tables import api_keys, email_codes, invites, seen_proofs, sessions, users
from storage.transaction import Tx
from storage.values import columns_of, to_value

USER_COLUMNS = columns_of(users, User)
SESSION_COLUMNS = columns_of(sessions, Session)
KEY_COLUMNS = columns_of(api_keys, ApiKey)
INVITE_COLUMNS = columns_of(invites, Invite)
CODE_COLUMNS = columns_of(email_codes, EmailCode)

_insert_session = Prepared(sa.insert(sessions).values({c.name: sa.bindparam(c.name) for c in SESSION_COLUMNS}))


_proof = Prepared(sa.select(seen_proofs.c.session_family).where(seen_proofs.c.digest == sa.bindparam("digest")))
_family = Prepared(
    sa.select(sessions.c.id).where(
        sessions.c.family_id == sa.bindparam("family"),
        sessions.c.revoked_at.is_(None),
        sessions.c.expires_at > sa.bindparam("now", type_=sessions.c.expires_at.type),
    )
)


def _values(columns: Sequence[Any], value: Any) -> dict[str, Any]:
    return {c.name: getattr(value, c.name) for c in columns}


def _split(row: Any, kind: Any, columns: Sequence[Any]) -> tuple[Any, Any]:
    """A value and the one column selected after its own."""
    return kind(**{c.name: row[n] for n, c in enumerate(columns)}), row[len(columns)]


# --- people ---------------------------------------------------------------------------------------


def _users_where(condition: Any) -> Prepared:
    return Prepared(sa.select(*USER_COLUMNS).where(condition, users.c.erased_at.is_(None)))


_by_id = _users_where(users.c.id == sa.bindparam("key"))
_by_email = _users_where(users.c.email == sa.bindparam("key"))
_by_telegram = _users_where(users.c.telegram_id == sa.bindparam("key"))
_by_subject = _users_where(users.c.oidc_subject == sa.bindparam("key"))


def _user(tx: Tx, query: Prepared, key: Any) -> User | None:
    rows = query.rows(tx, key=key)
    return to_value(User, rows[0]) if rows else None


def get_user(tx: Tx, user_id: str) -> User | None:
    """The person with this id, unless erased."""
    return _user(tx, _by_id, user_id)


def user_by_email(tx: Tx, email: str) -> User | None:
    """The person with this (normalised) address."""
    return _user(tx, _by_email, email)


def user_by_telegram(tx: Tx, telegram_id: int) -> User | None:
    """The person with this Telegram account."""
    return _user(tx, _by_telegram, telegram_id)


def user_by_subject(tx: Tx, subject: str) -> User | None:
    """The person an identity provider knows by this name."""
    return _user(tx, _by_subject, subject)


def add_user_of_subject(tx: Tx, user: User, subject: str, *, now: datetime) -> bool:
    """Insert unless somebody has this subject; whether it was inserted."""
    values = {**_values(USER_COLUMNS, user), "oidc_subject": subject, "updated_at": now}
    return tx.insert_if_absent(users, values, key=("oidc_subject",))


def add_user_once(tx: Tx, user: User, *, now: datetime) -> bool:
    """Insert unless the address or account is taken; whether it was inserted."""
    key = ("telegram_id",) if user.telegram_id is not None else ("email",)
    return tx.insert_if_absent(users, {**_values(USER_COLUMNS, user), "updated_at": now}, key=key)


def change_user(tx: Tx, user_id: str, *, now: datetime, **values: Any) -> None:
    """Set columns of one person."""
    tx.execute(sa.update(users).where(users.c.id == user_id).values(**values, updated_at=now))


def erase_user(tx: Tx, user_id: str, *, now: datetime) -> None:
    """Take everything personal away; the row stays as a nameless marker that receipts may point to."""
    tx.execute(sa.delete(email_codes).where(email_codes.c.email == _address(user_id)))
    change_user(
        tx,
        user_id,
        now=now,
        email=None,
        telegram_id=None,
        oidc_subject=None,
        name="erased",
        username=None,
        language=None,
        photo_url=None,
        chat_open=False,
        preferences={},
        erased_at=now,
    )


def _address(user_id: str) -> Any:
    return sa.select(users.c.email).where(users.c.id == user_id).scalar_subquery()


# --- sessions -------------------------------------------------------------------------------------


def add_session(tx: Tx, session: Session) -> None:
    """Insert a new session."""
    _insert_session(tx, **_values(SESSION_COLUMNS, session))


def session_by_token(tx: Tx, token_hash: str, *, lock: bool = False) -> tuple[Session, str] | None:
    """The session with this token and the person's name; None for erased people too."""
    query = (
        sa.select(*SESSION_COLUMNS, users.c.name)
        .join(users, users.c.id == sessions.c.user_id)
        .where(sessions.c.token_hash == token_hash, users.c.erased_at.is_(None))
    )
    row = tx.one(query.with_for_update(of=sessions) if lock and tx.postgres else query)
    return None if row is None else _split(row, Session, SESSION_COLUMNS)


def rotate_session(tx: Tx, session_id: str, *, now: datetime, successor_sealed: str, grace_until: datetime) -> bool:
    """Mark a session as replaced; only the first caller does it."""
    result = tx.execute(
        sa.update(sessions)
        .where(sessions.c.id == session_id, sessions.c.rotated_at.is_(None))
        .values(rotated_at=now, successor_sealed=successor_sealed, grace_until=grace_until)
    )
    return result.rowcount == 1


def live_sessions(tx: Tx, user_id: str, *, now: datetime) -> Sequence[Session]:
    """The sessions a person is logged in with, newest first."""
    query = (
        sa.select(*SESSION_COLUMNS)
        .where(
            sessions.c.user_id == user_id,
            sessions.c.revoked_at.is_(None),
            sessions.c.rotated_at.is_(None),
            sessions.c.expires_at > now,
        )
        .order_by(sessions.c.created_at.desc())
    )
    return [to_value(Session, row) for row in tx.all(query)]


def revoke_sessions(tx: Tx, *, now: datetime, family_id: str | None = None, user_id: str | None = None) -> int:
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
    """Forget what can never be used again; how many sessions."""
    gone = tx.execute(sa.delete(sessions).where(sessions.c.expires_at < now)).rowcount
    tx.execute(sa.delete(seen_proofs).where(seen_proofs.c.expires_at < now))
    tx.execute(sa.delete(email_codes).where(email_codes.c.expires_at < now))
    return gone


# --- proofs ---------------------------------------------------------------------------------------


def proof_family(tx: Tx, digest: str) -> str | None:
    """The login family a proof was used for, None when it is new."""
    rows = _proof(tx, digest=digest).fetchall()
    return None if not rows or rows[0][0] is None else str(rows[0][0])


def remember_proof(tx: Tx, *, digest: str, kind: str, family_id: str, now: datetime, expires_at: datetime) -> bool:
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


# --- codes by mail --------------------------------------------------------------------------------


def put_code(tx: Tx, code: EmailCode) -> None:
    """Make this the one live code of its address."""
    tx.execute(sa.delete(email_codes).where(email_codes.c.email == code.email))
    tx.execute(sa.insert(email_codes).values(_values(CODE_COLUMNS, code)))


def code_of(tx: Tx, email: str) -> EmailCode | None:
    """The live code of an address."""
    row = tx.one(tx.lock(sa.select(*CODE_COLUMNS).where(email_codes.c.email == email)))
    return None if row is None else to_value(EmailCode, row)


def code_by_link(tx: Tx, link_hash: str) -> EmailCode | None:
    """The code whose link this is."""
    row = tx.one(tx.lock(sa.select(*CODE_COLUMNS).where(email_codes.c.link_hash == link_hash)))
    return None if row is None else to_value(EmailCode, row)


def change_code(tx: Tx, code_id: str, **values: Any) -> None:
    """Set columns of a code."""
    tx.execute(sa.update(email_codes).where(email_codes.c.id == code_id).values(**values))


# --- API keys -------------------------------------------------------------------------------------


def add_key(tx: Tx, key: ApiKey) -> None:
    """Insert a new key."""
    tx.execute(sa.insert(api_keys).values(_values(KEY_COLUMNS, key)))


def key_by_hash(tx: Tx, key_hash: str) -> tuple[ApiKey, str] | None:
    """The key with this hash and its person's name."""
    row = tx.one(
        sa.select(*KEY_COLUMNS, users.c.name)
        .join(users, users.c.id == api_keys.c.user_id)
        .where(api_keys.c.key_hash == key_hash, users.c.erased_at.is_(None))
    )
    return None if row is None else _split(row, ApiKey, KEY_COLUMNS)


def keys_of(tx: Tx, workspace_id: str) -> Sequence[ApiKey]:
    """Keys of a workspace, newest first."""
    query = (
        sa.select(*KEY_COLUMNS).where(api_keys.c.workspace_id == workspace_id).order_by(api_keys.c.created_at.desc())
    )
    return [to_value(ApiKey, row) for row in tx.all(query)]


def revoke_key(tx: Tx, workspace_id: str, key_id: str, *, now: datetime) -> bool:
    """End a key; False when there is no live one."""
    result = tx.execute(
        sa.update(api_keys)
        .where(api_keys.c.workspace_id == workspace_id, api_keys.c.id == key_id, api_keys.c.revoked_at.is_(None))
        .values(revoked_at=now)
    )
    return result.rowcount == 1


def revoke_keys_of_member(tx: Tx, workspace_id: str, user_id: str, *, now: datetime) -> None:
    """End the keys a person made for a workspace."""
    tx.execute(
        sa.update(api_keys)
        .where(api_keys.c.workspace_id == workspace_id, api_keys.c.user_id == user_id, api_keys.c.revoked_at.is_(None))
        .values(revoked_at=now)
    )


def key_used(tx: Tx, key_id: str, *, now: datetime) -> None:
    """Note the last use of a key."""
    tx.execute(sa.update(api_keys).where(api_keys.c.id == key_id).values(last_used_at=now))


# --- invites --------------------------------------------------------------------------------------


def add_invite(tx: Tx, invite: Invite) -> None:
    """Insert a new invite."""
    tx.execute(sa.insert(invites).values(_values(INVITE_COLUMNS, invite)))


def invite_by_hash(tx: Tx, token_hash: str) -> Invite | None:
    """The invite with this token."""
    row = tx.one(tx.lock(sa.select(*INVITE_COLUMNS).where(invites.c.token_hash == token_hash)))
    return None if row is None else to_value(Invite, row)


def invites_of(tx: Tx, workspace_id: str) -> Sequence[Invite]:
    """Invites of a workspace, newest first."""
    query = (
        sa.select(*INVITE_COLUMNS).where(invites.c.workspace_id == workspace_id).order_by(invites.c.created_at.desc())
    )
    return [to_value(Invite, row) for row in tx.all(query)]


def accept_invite(tx: Tx, invite_id: str, *, user_id: str, now: datetime) -> bool:
    """Use an invite up; only the first caller does it."""
    result = tx.execute(
        sa.update(invites)
        .where(invites.c.id == invite_id, invites.c.accepted_at.is_(None), invites.c.revoked_at.is_(None))
        .values(accepted_at=now, accepted_by=user_id)
    )
    return result.rowcount == 1


def revoke_invite(tx: Tx, workspace_id: str, invite_id: str, *, now: datetime) -> bool:
    """End an invite; False when there is no open one."""
    result = tx.execute(
        sa.update(invites)
        .where(
            invites.c.workspace_id == workspace_id,
            invites.c.id == invite_id,
            invites.c.accepted_at.is_(None),
            invites.c.revoked_at.is_(None),
        )
        .values(revoked_at=now)
    )
    return result.rowcount == 1


def revoke_invites_of_member(tx: Tx, workspace_id: str, user_id: str, *, now: datetime) -> None:
    """End the open invites a person made for a workspace."""
    tx.execute(
        sa.update(invites)
        .where(
            invites.c.workspace_id == workspace_id,
            invites.c.created_by == user_id,
            invites.c.accepted_at.is_(None),
            invites.c.revoked_at.is_(None),
        )
        .values(revoked_at=now)
    )
