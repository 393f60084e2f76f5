"""All SQL about notes, the workspace's knowledge."""

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from domain.tools.note import Note
from storage.tables import notes
from storage.transaction import Tx
from storage.values import columns_of, to_value

COLUMNS = columns_of(notes, Note)


def add_once(tx: Tx, note: Note, *, idempotency_key: str) -> Note:
    """Insert the note, or return the one written with this key before."""
    values = {c.name: getattr(note, c.name) for c in COLUMNS}
    if tx.insert_if_absent(notes, {**values, "idempotency_key": idempotency_key}, key=("idempotency_key",)):
        return note
    row = tx.one(
        sa.select(*COLUMNS).where(notes.c.workspace_id == note.workspace_id, notes.c.idempotency_key == idempotency_key)
    )
    return note if row is None else to_value(Note, row)


def search(
    tx: Tx, workspace_id: str, *, query: str, limit: int, kind: str | None = None, offset: int = 0
) -> Sequence[Note]:
    """Notes that hold every word of `query` in title, text or tags, newest first."""
    c = notes.c
    statement = sa.select(*COLUMNS).where(c.workspace_id == workspace_id)
    if kind is not None:
        statement = statement.where(c.type == kind)
    for word in query.split()[:12]:
        statement = statement.where(
            sa.or_(
                c.title.icontains(word, autoescape=True),
                c.body.icontains(word, autoescape=True),
                sa.cast(c.tags, sa.Text).icontains(word, autoescape=True),
            )
        )
    statement = statement.order_by(c.updated_at.desc(), c.id.desc()).limit(limit).offset(offset)
    return [to_value(Note, row) for row in tx.all(statement)]


def get(tx: Tx, workspace_id: str, note_id: str) -> Note | None:
    """One note, None when the workspace has no such one."""
    row = tx.one(sa.select(*COLUMNS).where(notes.c.workspace_id == workspace_id, notes.c.id == note_id))
    return None if row is None else to_value(Note, row)


def change(tx: Tx, workspace_id: str, note_id: str, **values: Any) -> None:
    """Set columns of one note."""
    tx.execute(sa.update(notes).where(notes.c.workspace_id == workspace_id, notes.c.id == note_id).values(**values))


def remove(tx: Tx, workspace_id: str, note_id: str) -> None:
    """Delete one note."""
    tx.execute(sa.delete(notes).where(notes.c.workspace_id == workspace_id, notes.c.id == note_id))
