"""What was said in a chat with the bot."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatMessage:
    """One message of ours that shows an approval or a run. `shown` is a digest of what it shows now."""

    id: str
    workspace_id: str | None
    kind: str
    ref: str
    chat_id: int
    message_id: int
    user_id: str | None
    shown: str
