"""A process whose handler dies, or hangs, over one update: `python -m tests.bot.dying URL HOW MINUTES`.

Ends with 0 once every update is at its end. MINUTES is how far its clock is ahead, so that the leases of a process
that died before it are over.
"""

import asyncio
import os
import sys
import time
from datetime import datetime, timedelta

from bot.worker import Worker
from domain.chat.updates import Received
from domain.clock import utc_now
from services.chat.inbox import InboxService
from services.platform.bus import Bus
from storage.chat import inbox_rows
from storage.database import Store

KILLER = 50


async def main(url: str, how: str, minutes: int) -> None:
    store, bus = Store(url), Bus()

    def now() -> datetime:
        return utc_now() + timedelta(minutes=minutes)

    service = InboxService(store, bus, now)
    await service.release_after_crash()

    async def handle(received: Received) -> None:
        if received.update_id == KILLER:
            sys.stdout.write("begun\n")
            sys.stdout.flush()
            if how == "dies":
                os._exit(9)
            # the whole loop with it, as a parser does that does not come back
            time.sleep(3600)
        await asyncio.sleep(0.01)

    async def give_up(received: Received, error: Exception) -> str | None:
        return f"{received.update_id}: {error}"

    stop = asyncio.Event()
    worker = Worker(service, bus, handle=handle, give_up=give_up)
    async with asyncio.TaskGroup() as group:
        group.create_task(worker.run(stop))
        while await store.read(inbox_rows.waits):
            await asyncio.sleep(0.05)
        stop.set()
    await store.close()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], int(sys.argv[3])))
