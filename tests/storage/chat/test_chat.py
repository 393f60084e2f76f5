"""What is remembered of chats does not grow for ever."""

from datetime import timedelta

from domain.clock import utc_now
from storage.chat import conversation_rows
from storage.database import Store


async def test_conversations_left_alone_are_dropped(store: Store) -> None:
    now = utc_now()
    await store.write(
        lambda tx: conversation_rows.set_state(tx, "old", now=now - timedelta(days=31), state="s", data={"n": 1})
    )
    await store.write(
        lambda tx: conversation_rows.set_state(tx, "new", now=now - timedelta(days=29), state="s", data={"n": 2})
    )
    assert await store.write(lambda tx: conversation_rows.purge_states(tx, now=now, keep=timedelta(days=30))) == 1
    assert await store.read(lambda tx: conversation_rows.get_state(tx, "old")) == (None, {})
    assert await store.read(lambda tx: conversation_rows.get_state(tx, "new")) == ("s", {"n": 2})
