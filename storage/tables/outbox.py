"""Messages that wait to be delivered."""

from sqlalchemy import Column, Index, Integer, String, Table, Text

from storage.tables.base import ID, created, identifier, metadata
from storage.types import Json, UtcDateTime

outbox = Table(
    "outbox",
    metadata,
    identifier(),
    Column("workspace_id", ID),
    # telegram | email | callback
    Column("channel", String(16), nullable=False),
    # messages of one recipient leave in order
    Column("recipient", String(320), nullable=False),
    Column("payload", Json, nullable=False),
    Column("dedupe_key", String(120), unique=True),
    Column("state", String(16), nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("not_before", UtcDateTime, nullable=False),
    Column("error", Text),
    Column("result", Json),
    Column("claimed_until", UtcDateTime),
    created(),
    Column("sent_at", UtcDateTime),
    Index("ix_outbox_due", "state", "not_before"),
)
