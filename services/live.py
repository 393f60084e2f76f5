"""Watching a workspace live: events by number, resumed after the last one a client saw."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from functools import partial

from domain.actor import Actor
from domain.permissions import Action, require
from services.bus import Bus
from storage import events
from storage.database import Store, Tx
from storage.events import Event


@dataclass(frozen=True, slots=True)
class LiveService:
    """Streams of events for the Mini App and API clients."""

    store: Store
    bus: Bus

    async def head(self, actor: Actor) -> int:
        """The number of the newest event."""
        require(actor, Action.EVENTS_READ)
        return await self.store.read(lambda tx: events.head(tx, actor.in_workspace))

    async def follow(
        self, actor: Actor, *, after: int | None, idle_seconds: float = 25.0
    ) -> AsyncIterator[Event | None]:
        """Events from number `after` on (from now, when None); None whenever nothing happened for a while."""
        require(actor, Action.EVENTS_READ)
        workspace_id = actor.in_workspace
        with self.bus.listen(workspace_id) as woken:
            seen = await self.head(actor) if after is None else after
            while True:
                woken.clear()
                found = await self.store.read(partial(_after, workspace_id=workspace_id, seq=seen))
                for event in found:
                    seen = event.seq
                    yield event
                if found:
                    continue
                try:
                    async with asyncio.timeout(idle_seconds):
                        await woken.wait()
                except TimeoutError:
                    yield None


def _after(tx: Tx, *, workspace_id: str, seq: int) -> Sequence[Event]:
    return events.after(tx, workspace_id, seq)
