"""Login codes sent by mail, one live one an address. Codes are kept as hashes only."""

from datetime import datetime
from typing import Any

import sqlalchemy as sa

from domain.identity.credentials import EmailCode
from storage.tables import email_codes
from storage.transaction import Tx
from storage.values import columns_of, to_columns, to_value

COLUMNS = columns_of(email_codes, EmailCode)


def put(tx: Tx, code: EmailCode) -> None:
    """Make this the one live code of its address."""
    tx.execute(sa.delete(email_codes).where(email_codes.c.email == code.email))
    tx.execute(sa.insert(email_codes).values(to_columns(COLUMNS, code)))


def of_address(tx: Tx, email: str) -> EmailCode | None:
    """The live code of an address."""
    row = tx.one(tx.lock(sa.select(*COLUMNS).where(email_codes.c.email == email)))
    return None if row is None else to_value(EmailCode, row)


def by_link(tx: Tx, link_hash: str) -> EmailCode | None:
    """The code whose link this is."""
    row = tx.one(tx.lock(sa.select(*COLUMNS).where(email_codes.c.link_hash == link_hash)))
    return None if row is None else to_value(EmailCode, row)


def change(tx: Tx, code_id: str, **values: Any) -> None:
    """Set columns of a code."""
    tx.execute(sa.update(email_codes).where(email_codes.c.id == code_id).values(**values))


def purge(tx: Tx, *, now: datetime) -> int:
    """Forget codes that can never be used again; how many."""
    return tx.execute(sa.delete(email_codes).where(email_codes.c.expires_at < now)).rowcount
