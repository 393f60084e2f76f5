"""The inbox: an update is stored before it is handled, and handled once."""

import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from domain.clock import Now
from services.bus import Bus
from storage import inbox
from storage.database import Store
from storage.inbox import Received

INBOX_TOPIC = "inbox"
LEASE = timedelta(seconds=20)


def order_key(raw: str) -> str:
    """What updates must stay in order with each other: those of one chat, or else of one person."""
    try:
        update = json.loads(raw)
    except ValueError:
        return "?"
    for name, body in update.items() if isinstance(update, dict) else ():
        if name == "update_id" or not isinstance(body, dict):
            continue
        holders = (body.get("chat"), (body.get("message") or {}).get("chat"), body.get("from"), body.get("user"))
        for holder in holders:
            if isinstance(holder, dict) and "id" in holder:
                return str(holder["id"])
    return "?"


@dataclass(frozen=True, slots=True)
class InboxService:
    """Stores updates and hands them out to a worker."""

    store: Store
    bus: Bus
    now: Now

    async def take(self, updates: Sequence[tuple[int, str]]) -> int:
        """Store updates as (id, raw JSON); how many of them were new. Durable when this returns."""

        def work(tx: Any) -> int:
            now = self.now()
            fresh = sum(inbox.put(tx, update_id=update_id, raw=raw, now=now) for update_id, raw in updates)
            tx.on_commit(lambda: self.bus.woke(INBOX_TOPIC))
            return fresh

        return await self.store.write(work) if updates else 0

    async def claim(self, *, limit: int, in_hand: Collection[int]) -> Sequence[Received]:
        """The oldest updates nobody is handling; each stays the caller's for `LEASE`, and longer by `renew`."""
        if not await self.store.read(lambda tx: inbox.depth(tx).keys() & {"new", "claimed"}):
            return ()
        return await self.store.write(
            lambda tx: inbox.claim(tx, now=self.now(), lease=LEASE, limit=limit, in_hand=in_hand, key_of=order_key)
        )

    async def renew(self, update_ids: Collection[int]) -> None:
        """Keep what is still in hand."""
        if update_ids:
            await self.store.write(lambda tx: inbox.renew(tx, update_ids, until=self.now() + LEASE))

    async def release(self, update_ids: Collection[int] | None = None) -> int:
        """Give updates back; all claimed ones when None, which only a lone process may do."""
        return await self.store.write(lambda tx: inbox.release(tx, update_ids))

    async def release_after_crash(self) -> int:
        """At start. On SQLite there is one process, so what is claimed was its predecessor's; elsewhere leases end."""
        return await self.release() if self.store.sqlite else 0

    async def tried(self, update_id: int, error: str) -> None:
        """An attempt failed in a way that may pass; the next one begins."""
        await self.store.write(lambda tx: inbox.tried(tx, update_id, error=error))

    async def finish(self, update_id: int, *, error: str | None = None) -> None:
        """Handled, or failed for good with a reason that is kept."""
        await self.store.write(lambda tx: inbox.finish(tx, update_id, now=self.now(), error=error))

    async def depth(self) -> dict[str, int]:
        """How many updates wait, are in hand, or failed."""
        return await self.store.read(inbox.depth)

    async def purge(self, *, keep: timedelta = timedelta(days=7)) -> int:
        """Drop updates handled long ago; how many."""
        moment: datetime = self.now()
        return await self.store.write(lambda tx: inbox.purge(tx, now=moment, keep=keep))
