"""Sends queued mail: login codes, kept sealed until the moment they leave."""

from domain.backoff import Backoff
from domain.clock import Now
from domain.outbox.message import Message
from domain.outbox.notifications import LoginCodeNotice, notice_of
from domain.outside import ExternalError
from domain.ports import Mail, Mailer
from services.identity.email_login import MAIL_TOPIC, EmailLogin
from services.outbox.delivery import Delivery
from services.platform.bus import Bus
from storage.database import Store
from storage.outbox import outbox_rows
from storage.transaction import Tx

BACKOFF = Backoff(first=2.0, longest=120.0, tries=8)


def mail_queue(store: Store, bus: Bus, mailer: Mailer, login: EmailLogin, now: Now, *, host: str) -> Delivery:
    """The outbox channel `email`; `host` is the domain of message ids. A code that comes twice does no harm."""

    async def send(message: Message) -> None:
        notice = notice_of(message.payload)
        if not isinstance(notice, LoginCodeNotice):
            # nobody is owed a mail by what is none
            return
        subject, text, html = login.mail_text(notice)
        await mailer.send(
            Mail(to=message.recipient, subject=subject, text=text, html=html, message_id=f"<{message.id}@{host}>")
        )

    def forget(tx: Tx, message: Message) -> None:
        outbox_rows.blank(tx, message.id)

    def give_up(tx: Tx, message: Message, _error: ExternalError) -> None:
        forget(tx, message)

    return Delivery(
        store=store,
        bus=bus,
        now=now,
        channel="email",
        topic=MAIL_TOPIC,
        send=send,
        sent=forget,
        given_up=give_up,
        backoff=BACKOFF,
    )
