"""Updates that came in, what is shown in chats, and the state of conversations."""

from sqlalchemy import BigInteger, Column, Index, Integer, String, Table, Text, UniqueConstraint

from storage.tables.base import ID, created, identifier, metadata
from storage.types import Json, UtcDateTime

# where a thing is shown in chat, so that every copy can be edited to the truth
chat_messages = Table(
    "chat_messages",
    metadata,
    identifier(),
    Column("workspace_id", ID),
    # approval | batch | run | uncertain | deny | changes | edit
    Column("kind", String(16), nullable=False),
    Column("ref", ID, nullable=False),
    Column("chat_id", BigInteger, nullable=False),
    Column("message_id", BigInteger, nullable=False),
    Column("user_id", ID),
    Column("shown", Text, nullable=False),
    created(),
    UniqueConstraint("chat_id", "message_id"),
    Index("ix_chat_messages_ref", "kind", "ref"),
)

inbox = Table(
    "inbox",
    metadata,
    Column("update_id", BigInteger, primary_key=True, autoincrement=False),
    Column("raw", Text, nullable=False),
    Column("state", String(16), nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("error", Text),
    Column("claimed_until", UtcDateTime),
    Column("received_at", UtcDateTime, nullable=False),
    Column("done_at", UtcDateTime),
    # what updates stay in order by (the chat); empty in rows of before, filled in when they are claimed
    Column("chat_key", String(40)),
    # tries begun since one last came back: more than one means that a process died over it
    Column("starts", Integer, nullable=False, server_default="0"),
    Index("ix_inbox_state", "state", "update_id"),
)

# how updates come in, said by the process that fetches them, read by every process and by the doctor
intake = Table(
    "intake",
    metadata,
    Column("name", String(20), primary_key=True),
    Column("way", String(16), nullable=False),
    # ok, or a word for what is wrong
    Column("word", String(40), nullable=False),
    Column("detail", Text, nullable=False),
    # when it last went well
    Column("well_at", UtcDateTime),
    Column("updated_at", UtcDateTime, nullable=False),
)

chat_state = Table(
    "chat_state",
    metadata,
    Column("key", String(200), primary_key=True),
    Column("state", String(200)),
    Column("data", Json, nullable=False),
    Column("updated_at", UtcDateTime, nullable=False),
)
