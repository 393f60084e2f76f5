"""Conversation state of aiogram in our own tables."""

from collections.abc import Mapping
from typing import Any

from aiogram.fsm.state import State
from aiogram.fsm.storage.base import BaseStorage, DefaultKeyBuilder, StateType, StorageKey

from services.chat.conversations import Conversations


class ChatStorage(BaseStorage):
    """One row a conversation; every change is one upsert, durable when it returns."""

    def __init__(self, conversations: Conversations) -> None:
        self._conversations = conversations
        self._keys = DefaultKeyBuilder(with_bot_id=True, with_business_connection_id=True, with_destiny=True)

    def _key(self, key: StorageKey) -> str:
        return self._keys.build(key)[:200]

    async def set_state(self, key: StorageKey, state: StateType = None) -> None:
        """Set the state, None to clear it."""
        await self._conversations.set_state(self._key(key), state=state.state if isinstance(state, State) else state)

    async def get_state(self, key: StorageKey) -> str | None:
        """The state, None when there is none."""
        return (await self._conversations.get_state(self._key(key)))[0]

    async def set_data(self, key: StorageKey, data: Mapping[str, Any]) -> None:
        """Replace the data."""
        await self._conversations.set_state(self._key(key), data=dict(data))

    async def get_data(self, key: StorageKey) -> dict[str, Any]:
        """The data, empty when there is none."""
        return dict((await self._conversations.get_state(self._key(key)))[1])

    async def close(self) -> None:
        """Nothing is held open."""
