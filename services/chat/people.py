"""The people behind private chats: whose chat it is, whether it may be written to, and in which language."""

from dataclasses import dataclass

from domain.chat.person import Person
from domain.clock import Now
from domain.identity.actor import Actor
from storage.chat import person_rows
from storage.database import Store


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatPeople:
    """People as chats know them."""

    store: Store
    now: Now

    async def at(self, chat_id: int) -> Person | None:
        """Whose private chat this is."""
        return await self.store.read(lambda tx: person_rows.at_chat(tx, chat_id))

    async def set_chat_open(self, telegram_id: int, *, is_open: bool) -> None:
        """Open or close the private chat of a person."""
        await self.store.write(lambda tx: person_rows.set_chat_open(tx, telegram_id, is_open=is_open, now=self.now()))

    async def set_language(self, actor: Actor, language: str) -> None:
        """The language a person chose."""
        await self.store.write(
            lambda tx: person_rows.set_preference(tx, actor.user_id, "language", language, now=self.now())
        )
