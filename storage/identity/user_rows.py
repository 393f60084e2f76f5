"""All SQL about people."""

from datetime import datetime
from typing import Any

import sqlalchemy as sa

from domain.identity.user import User
from storage.prepared import Prepared
from storage.tables import email_codes, users
from storage.transaction import Tx
from storage.values import columns_of, to_columns, to_value

COLUMNS = columns_of(users, User)


def _users_where(condition: Any) -> Prepared:
    return Prepared(sa.select(*COLUMNS).where(condition, users.c.erased_at.is_(None)))


_by_id = _users_where(users.c.id == sa.bindparam("key"))
_by_email = _users_where(users.c.email == sa.bindparam("key"))
_by_telegram = _users_where(users.c.telegram_id == sa.bindparam("key"))
_by_subject = _users_where(users.c.oidc_subject == sa.bindparam("key"))


def _user(tx: Tx, query: Prepared, key: Any) -> User | None:
    rows = query.rows(tx, key=key)
    return to_value(User, rows[0]) if rows else None


def get(tx: Tx, user_id: str) -> User | None:
    """The person with this id, unless erased."""
    return _user(tx, _by_id, user_id)


def by_email(tx: Tx, email: str) -> User | None:
    """The person with this (normalised) address."""
    return _user(tx, _by_email, email)


def by_telegram(tx: Tx, telegram_id: int) -> User | None:
    """The person with this Telegram account."""
    return _user(tx, _by_telegram, telegram_id)


def by_subject(tx: Tx, subject: str) -> User | None:
    """The person an identity provider knows by this name."""
    return _user(tx, _by_subject, subject)


def add_of_subject(tx: Tx, user: User, subject: str, *, now: datetime) -> bool:
    """Insert unless somebody has this subject; whether it was inserted."""
    values = {**to_columns(COLUMNS, user), "oidc_subject": subject, "updated_at": now}
    return tx.insert_if_absent(users, values, key=("oidc_subject",))


def add_once(tx: Tx, user: User, *, now: datetime) -> bool:
    """Insert unless the address or account is taken; whether it was inserted."""
    key = ("telegram_id",) if user.telegram_id is not None else ("email",)
    return tx.insert_if_absent(users, {**to_columns(COLUMNS, user), "updated_at": now}, key=key)


def change(tx: Tx, user_id: str, *, now: datetime, **values: Any) -> None:
    """Set columns of one person."""
    tx.execute(sa.update(users).where(users.c.id == user_id).values(**values, updated_at=now))


def erase(tx: Tx, user_id: str, *, now: datetime) -> None:
    """Take everything personal away; the row stays as a nameless marker that receipts may point to."""
    tx.execute(sa.delete(email_codes).where(email_codes.c.email == _address(user_id)))
    change(
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
