"""What belongs to the installation as a whole, not to one workspace."""

from sqlalchemy import BigInteger, Boolean, Column, Integer, String, Table, Text

from storage.tables.base import created, identifier, metadata
from storage.types import Json, UtcDateTime

# what the installation's own keys paid for all workspaces together; it does not go with any of them
installation_spend = Table(
    "installation_spend",
    metadata,
    Column("day", String(10), primary_key=True),
    Column("cost_micros", BigInteger, nullable=False),
)

idempotency_keys = Table(
    "idempotency_keys",
    metadata,
    Column("principal", String(80), primary_key=True),
    Column("key", String(200), primary_key=True),
    Column("request_hash", String(64), nullable=False),
    Column("status", Integer),
    Column("body", Text),
    created(),
    Column("expires_at", UtcDateTime, nullable=False, index=True),
)

eval_runs = Table(
    "eval_runs",
    metadata,
    identifier(),
    Column("name", String(120), nullable=False, index=True),
    Column("passed", Boolean, nullable=False),
    Column("details", Json, nullable=False),
    Column("version", String(40), nullable=False),
    created(),
)
