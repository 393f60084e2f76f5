"""Between processes on one Postgres: who changed a workspace tells the others, coalesced; lost words are caught up."""

import asyncio
import logging
from functools import partial

import psycopg

from services.container import Services
from storage.installation.postgres_hold import CHANNEL, NAME
from storage.ledger import event_rows

log = logging.getLogger(__name__)

COALESCE_SECONDS = 0.03
CATCH_UP_SECONDS = 5.0


class Notifier:
    """Tells other processes which workspaces changed here, and wakes listeners here for what changed there.

    The words carry no data: readers look into the store. NOTIFY takes a lock at commit, so it is
    never part of a transaction that writes.
    """

    def __init__(self, url: str, services: Services) -> None:
        self._url = url.replace("postgresql+psycopg://", "postgresql://")
        self._services = services
        self._changed: set[str] = set()
        self._some = asyncio.Event()
        services.bus.mirror(self._noted)

    def _noted(self, topic: str) -> None:
        self._changed.add(topic)
        self._some.set()

    async def run(self) -> None:
        """Listen and tell until cancelled; ends with an error when the connection does, to be started again."""
        async with (
            # under a name: by the lack of one a process of an older version is known, see postgres_hold
            await psycopg.AsyncConnection.connect(
                self._url, autocommit=True, application_name=f"{NAME}: events"
            ) as listening,
            await psycopg.AsyncConnection.connect(
                self._url, autocommit=True, application_name=f"{NAME}: events"
            ) as telling,
            asyncio.TaskGroup() as group,
        ):
            await listening.execute(f"LISTEN {CHANNEL}")
            # whatever happened while nobody listened
            self._services.bus.wake_all()
            group.create_task(self._tell(telling))
            group.create_task(self._catch_up())
            async for word in listening.notifies():
                for topic in word.payload.split(","):
                    self._services.bus.woke(topic, mirror=False)

    async def _tell(self, connection: psycopg.AsyncConnection[object]) -> None:
        while True:
            await self._some.wait()
            await asyncio.sleep(COALESCE_SECONDS)
            self._some.clear()
            topics, self._changed = sorted(self._changed), set()
            # a word may hold 8000 bytes
            for start in range(0, len(topics), 150):
                await connection.execute("SELECT pg_notify(%s, %s)", (CHANNEL, ",".join(topics[start : start + 150])))

    async def _catch_up(self) -> None:
        seen: dict[str, int] = {}
        while True:
            await asyncio.sleep(CATCH_UP_SECONDS)
            topics = self._services.bus.topics
            if not topics:
                continue
            found = await self._services.store.read(partial(event_rows.heads, workspace_ids=topics))
            for topic, number in found.items():
                if seen.get(topic, number) != number:
                    self._services.bus.woke(topic, mirror=False)
            seen = found
