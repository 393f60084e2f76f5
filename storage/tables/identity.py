"""People, how they prove who they are, and how often they may ask."""

from sqlalchemy import BigInteger, Boolean, Column, ForeignKey, Integer, String, Table, Text, text

from storage.tables.base import ID, created, identifier, metadata, workspace
from storage.types import Json, UtcDateTime

users = Table(
    "users",
    metadata,
    identifier(),
    Column("email", String(320), unique=True),
    Column("telegram_id", BigInteger, unique=True),
    Column("oidc_subject", String(255), unique=True),
    Column("name", String(200), nullable=False),
    Column("username", String(64)),
    Column("language", String(16)),
    Column("photo_url", Text),
    # the chat may be written to: set by /start, cleared when the bot is blocked
    Column("chat_open", Boolean, nullable=False, server_default=text("false")),
    Column("preferences", Json, nullable=False, server_default="{}"),
    created(),
    Column("updated_at", UtcDateTime, nullable=False),
    Column("erased_at", UtcDateTime),
)

sessions = Table(
    "sessions",
    metadata,
    identifier(),
    # one login and all its rotations; logging out ends the family
    Column("family_id", ID, nullable=False, index=True),
    Column("token_hash", String(64), nullable=False, unique=True),
    Column("user_id", ID, ForeignKey("users.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("channel", String(16), nullable=False),
    Column("csrf_hash", String(64)),
    Column("user_agent", String(200)),
    Column("ip", String(64)),
    created(),
    # start of the family: step-up asks how long ago the person really proved who they are
    Column("authenticated_at", UtcDateTime, nullable=False),
    Column("expires_at", UtcDateTime, nullable=False, index=True),
    Column("last_used_at", UtcDateTime),
    Column("rotated_at", UtcDateTime),
    # the successor's token, sealed with a key derived from the old token: parallel requests in the
    # grace period all get the same new token, and the row alone reveals none
    Column("successor_sealed", Text),
    Column("grace_until", UtcDateTime),
    Column("revoked_at", UtcDateTime),
)

email_codes = Table(
    "email_codes",
    metadata,
    identifier(),
    Column("email", String(320), nullable=False, unique=True),
    Column("purpose", String(16), nullable=False),
    Column("code_hash", String(64), nullable=False),
    Column("link_hash", String(64), nullable=False, unique=True),
    Column("attempts", Integer, nullable=False),
    Column("first_attempt_at", UtcDateTime),
    created(),
    Column("expires_at", UtcDateTime, nullable=False, index=True),
    Column("used_at", UtcDateTime),
)

# what has been presented before: initData digests, OIDC states
seen_proofs = Table(
    "seen_proofs",
    metadata,
    Column("digest", String(64), primary_key=True),
    Column("kind", String(16), nullable=False),
    Column("session_family", ID),
    Column("data", Json),
    created(),
    Column("expires_at", UtcDateTime, nullable=False, index=True),
)

api_keys = Table(
    "api_keys",
    metadata,
    identifier(),
    workspace(index=True),
    Column("user_id", ID, ForeignKey("users.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("name", String(100), nullable=False),
    Column("prefix", String(12), nullable=False),
    Column("key_hash", String(64), nullable=False, unique=True),
    Column("role", String(16), nullable=False),
    Column("scopes", Json),
    created(),
    Column("expires_at", UtcDateTime, nullable=False),
    Column("last_used_at", UtcDateTime),
    Column("revoked_at", UtcDateTime),
)

invites = Table(
    "invites",
    metadata,
    identifier(),
    workspace(index=True),
    Column("token_hash", String(64), nullable=False, unique=True),
    Column("role", String(16), nullable=False),
    Column("email", String(320)),
    Column("created_by", ID, ForeignKey("users.id", ondelete="CASCADE"), nullable=False),
    created(),
    Column("expires_at", UtcDateTime, nullable=False),
    Column("accepted_at", UtcDateTime),
    Column("accepted_by", ID),
    Column("revoked_at", UtcDateTime),
)

rate_buckets = Table(
    "rate_buckets",
    metadata,
    Column("key", String(200), primary_key=True),
    # theoretical arrival time in microseconds since the epoch (GCRA)
    Column("tat_micros", BigInteger, nullable=False),
)
