"""Works off one channel of the outbox: what is due is sent, what failed is tried again later, for ever or so often."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from functools import partial

from domain.backoff import Backoff
from domain.clock import Now
from domain.outbox.message import Message
from domain.outside import ExternalError
from services.platform.bus import Bus
from storage.database import Store
from storage.outbox import outbox_rows
from storage.transaction import Tx

log = logging.getLogger(__name__)

LEASE = timedelta(seconds=60)
POLL_SECONDS = 2.0
BATCH = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """One channel. A message whose fate is unknown is sent again: receivers must be able to bear that.

    `send` raises ExternalError for what did not arrive. `sent` and `given_up` run in the transaction
    that notes the end of a message, so that what they write cannot be lost.
    """

    store: Store
    bus: Bus
    now: Now
    channel: str
    topic: str
    send: Callable[[Message], Awaitable[None]]
    sent: Callable[[Tx, Message], None]
    given_up: Callable[[Tx, Message, ExternalError], None]
    backoff: Backoff

    async def run(self) -> None:
        """Send what is due, for ever."""
        with self.bus.listen(self.topic) as woken:
            while True:
                woken.clear()
                while await self.send_due():
                    pass
                try:
                    async with asyncio.timeout(POLL_SECONDS):
                        await woken.wait()
                except TimeoutError:
                    continue

    async def send_due(self) -> int:
        """Send one batch; how many messages it held."""
        batch = await self.store.write(
            lambda tx: outbox_rows.claim(tx, channels=(self.channel,), now=self.now(), lease=LEASE, limit=BATCH)
        )
        async with asyncio.TaskGroup() as group:
            for message in batch:
                group.create_task(self._send(message))
        return len(batch)

    async def _send(self, message: Message) -> None:
        try:
            await self.send(message)
        except ExternalError as error:
            log.warning("not_delivered", extra={"channel": self.channel, "outbox": message.id, "why": error.code})
            await self.store.write(partial(self._failed, message=message, error=error))
            return
        except Exception:
            # a fault of ours in one message: it is tried as often as any other, and ends none of its neighbours
            log.exception("delivery_broke", extra={"channel": self.channel, "outbox": message.id})
            broke = ExternalError("this message broke its delivery", code="internal", retryable=True)
            await self.store.write(partial(self._failed, message=message, error=broke))
            return
        await self.store.write(partial(self._sent, message=message))

    def _sent(self, tx: Tx, *, message: Message) -> None:
        self.sent(tx, message)
        outbox_rows.sent(tx, message.id, now=self.now())

    def _failed(self, tx: Tx, *, message: Message, error: ExternalError) -> None:
        now, failure = self.now(), message.attempts + 1
        if not error.retryable or self.backoff.is_last(failure):
            self.given_up(tx, message, error)
            outbox_rows.failed(tx, message.id, now=now, error=error.code)
            return
        pause = timedelta(seconds=self.backoff.pause(failure))
        outbox_rows.later(tx, message.id, not_before=now + pause, error=error.code)
