"""Conversations: what each of our messages in a chat shows, and what a person is in the midst of saying there."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from domain.chat.message import ChatMessage
from domain.clock import Now
from storage.chat import conversation_rows
from storage.database import Store


@dataclass(frozen=True, slots=True, kw_only=True)
class Conversations:
    """Bookkeeping of what was sent and of what is awaited."""

    store: Store
    now: Now

    async def shown_at(self, chat_id: int, message_id: int) -> ChatMessage | None:
        """What a message of ours shows, None when it shows nothing that is kept track of."""
        return await self.store.read(lambda tx: conversation_rows.at(tx, chat_id=chat_id, message_id=message_id))

    async def messages_of(self, kind: str, ref: str) -> Sequence[ChatMessage]:
        """Every message that shows `ref`."""
        return await self.store.read(lambda tx: conversation_rows.of(tx, kind=kind, ref=ref))

    async def progress_message(self, run_id: str, chat_id: int) -> ChatMessage | None:
        """The one message of a run in a chat."""
        found = await self.store.read(lambda tx: conversation_rows.of(tx, kind="run", ref=run_id))
        return next((m for m in found if m.chat_id == chat_id), None)

    async def forget_shown(self, chat_id: int, message_id: int) -> None:
        """A message of ours is gone, or cannot be edited: what it showed is shown elsewhere from now on."""
        await self.store.write(lambda tx: conversation_rows.forget(tx, chat_id=chat_id, message_id=message_id))

    async def get_state(self, key: str) -> tuple[str | None, dict[str, Any]]:
        """State and data of a conversation."""
        return await self.store.read(lambda tx: conversation_rows.get_state(tx, key))

    async def set_state(self, key: str, **values: Any) -> None:
        """Set state, data or both of a conversation."""
        await self.store.write(lambda tx: conversation_rows.set_state(tx, key, now=self.now(), **values))
