"""Sends queued mail: login codes, kept sealed until the moment they leave."""

import asyncio
import logging
from dataclasses import dataclass
from datetime import timedelta
from functools import partial

from domain.clock import Now
from domain.outside import OutsideError
from domain.ports import Mail, Mailer
from services.bus import Bus
from services.email_login import MAIL_TOPIC, EmailLogin
from storage import outbox
from storage.database import Store, Tx
from storage.outbox import Message

log = logging.getLogger(__name__)

LEASE = timedelta(seconds=60)
TRIES = 8
POLL_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class MailQueue:
    """Works off the outbox channel `email`. A mail whose fate is unknown is sent again: a code twice does no harm."""

    store: Store
    bus: Bus
    mailer: Mailer
    login: EmailLogin
    now: Now
    # the domain of message ids
    host: str

    async def run(self) -> None:
        """Send what is due, for ever."""
        with self.bus.listen(MAIL_TOPIC) as woken:
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
            lambda tx: outbox.claim(tx, channels=("email",), now=self.now(), lease=LEASE, limit=10)
        )
        for message in batch:
            await self._send(message)
        return len(batch)

    async def _send(self, message: Message) -> None:
        subject, text, html = self.login.mail_text(message.payload)
        mail = Mail(
            to=message.recipient, subject=subject, text=text, html=html, message_id=f"<{message.id}@{self.host}>"
        )
        try:
            await self.mailer.send(mail)
        except OutsideError as error:
            log.warning("mail_not_sent", extra={"mail": message.id, "why": error.code})
            await self.store.write(partial(self._failed, message=message, error=error))
            return
        await self.store.write(lambda tx: self._sent(tx, message))

    def _sent(self, tx: Tx, message: Message) -> None:
        outbox.blank(tx, message.id)
        outbox.sent(tx, message.id, now=self.now())

    def _failed(self, tx: Tx, message: Message, error: OutsideError) -> None:
        now = self.now()
        if not error.retryable or message.attempts + 1 >= TRIES:
            outbox.blank(tx, message.id)
            outbox.failed(tx, message.id, now=now, error=error.code)
        else:
            pause = timedelta(seconds=min(120.0, 2.0 ** (message.attempts + 1)))
            outbox.later(tx, message.id, not_before=now + pause, error=error.code)
