"""The inbox: an update is stored before it is handled, and handled once."""

import logging
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from domain.chat.updates import Arrived, Backlog, InboxState, Received, arrived, as_text
from domain.clock import Now
from services.platform.bus import Bus
from storage.chat import inbox_rows
from storage.database import Store

log = logging.getLogger(__name__)

INBOX_TOPIC = "inbox"
LEASE = timedelta(seconds=20)


@dataclass(frozen=True, slots=True)
class InboxService:
    """Stores updates and hands them out to a worker."""

    store: Store
    bus: Bus
    now: Now

    async def take(self, updates: Sequence[Arrived]) -> Sequence[Arrived]:
        """Store updates as they came; those that are new. Durable when this returns.

        What cannot be read is set aside, and what Pilot does not handle is dropped, here and now.
        """

        def work(tx: Any) -> Sequence[Arrived]:
            now = self.now()
            fresh = [one for one in updates if _put(tx, one, now)]
            tx.on_commit(lambda: self.bus.woke(INBOX_TOPIC))
            return fresh

        fresh = await self.store.write(work) if updates else ()
        for one in fresh:
            if one.reason is not None:
                _say_set_aside(one.number, one.reason)
        return fresh

    async def claim(self, *, limit: int, in_hand: Mapping[int, str]) -> Sequence[Received]:
        """The oldest updates nobody is handling; each stays the caller's for `LEASE`, and longer by `renew`."""
        if not await self.store.read(inbox_rows.waits):
            return ()
        return await self.store.write(
            lambda tx: inbox_rows.claim(
                tx,
                now=self.now(),
                lease=LEASE,
                limit=limit,
                in_hand=in_hand,
                key_of=lambda body: arrived(body).chat_key,
            )
        )

    async def renew(self, update_ids: Collection[int]) -> None:
        """Keep what is still in hand."""
        if update_ids:
            await self.store.write(lambda tx: inbox_rows.renew(tx, update_ids, until=self.now() + LEASE))

    async def release(self, update_ids: Collection[int] | None = None) -> int:
        """Give updates back; all claimed ones when None, which only a lone process may do."""
        return await self.store.write(lambda tx: inbox_rows.release(tx, update_ids))

    async def release_after_crash(self) -> int:
        """At start. On SQLite there is one process, so what is claimed was its predecessor's; elsewhere leases end."""
        return 0 if self.store.sqlite is None else await self.release()

    async def begin(self, update_id: int) -> int:
        """Count a try durably before it is made; how many were begun since one last came back, with this one."""
        return await self.store.write(lambda tx: inbox_rows.begin(tx, update_id))

    async def came_back(self, update_id: int, error: str) -> None:
        """A try failed in a way that may pass, and the process lives on."""
        await self.store.write(lambda tx: inbox_rows.came_back(tx, update_id, error=error))

    async def finish(self, update_id: int, *, error: str | None = None) -> None:
        """Handled, or failed for good with a reason that is kept."""
        state = InboxState.DONE if error is None else InboxState.FAILED
        await self.store.write(lambda tx: inbox_rows.end(tx, update_id, state, now=self.now(), error=error))

    async def drop(self, update_id: int) -> None:
        """Nothing in it is for Pilot."""
        await self.store.write(lambda tx: inbox_rows.end(tx, update_id, InboxState.DROPPED, now=self.now()))

    async def set_aside(self, update_id: int, reason: str) -> None:
        """It cannot be read, or whoever tries does not come back: it is kept, said once, and not tried again."""
        await self.store.write(
            lambda tx: inbox_rows.end(tx, update_id, InboxState.SET_ASIDE, now=self.now(), error=reason)
        )
        _say_set_aside(update_id, reason)

    async def newest_numbers(self) -> Sequence[int]:
        """The numbers of the updates that came last."""
        return await self.store.read(inbox_rows.newest_numbers)

    async def depth(self) -> dict[str, int]:
        """How many updates wait, are in hand, failed, or were set aside."""
        return await self.store.read(inbox_rows.depth)

    async def backlog(self) -> Backlog:
        """What waits, since when, and what was set aside."""
        return await self.store.read(inbox_rows.backlog)

    async def purge(self, *, keep: timedelta = timedelta(days=7), keep_troubled: timedelta = timedelta(days=30)) -> int:
        """Drop updates at their end for long; how many. What failed or was set aside is kept for longer."""
        moment: datetime = self.now()
        return await self.store.write(
            lambda tx: inbox_rows.purge(tx, now=moment, keep=keep, keep_troubled=max(keep, keep_troubled))
        )


def _put(tx: Any, one: Arrived, now: datetime) -> bool:
    state = InboxState.NEW if one.used else InboxState.DROPPED
    return inbox_rows.put(
        tx,
        update_id=one.number,
        raw=as_text(one.body),
        now=now,
        chat_key=one.chat_key,
        state=state if one.reason is None else InboxState.SET_ASIDE,
        error=one.reason,
    )


def _say_set_aside(number: int, reason: str) -> None:
    log.warning("update_set_aside", extra={"update": number, "reason": reason})
