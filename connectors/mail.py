"""Mail out: over SMTP, or into a folder of `.eml` files on a development machine."""

import asyncio
import hashlib
import re
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from email import policy
from email.headerregistry import Address
from email.message import EmailMessage
from email.utils import format_datetime, make_msgid, parseaddr
from pathlib import Path
from typing import Literal

import aiosmtplib

from domain.outside import ExternalError
from domain.ports import Mail

TlsMode = Literal["starttls", "tls", "none"]
SECONDS = 30.0

_LOCAL = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*\Z")
_LABEL = re.compile(r"[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?\Z")
_MESSAGE_ID = re.compile(r"<[A-Za-z0-9._+=-]{1,180}@[A-Za-z0-9.-]{1,60}>\Z")


def parse_address(text: str) -> str:
    """The bare mail address in its canonical form: local part as given, domain lower-case and in ASCII.

    ValueError, with a sentence for the person, when it is not one address (`name@domain.tld`) that can be
    written to. Display names, quoted local parts, address literals and lists are refused.
    """
    text = text.strip()
    local, at, domain = text.rpartition("@")
    if not at or len(text) > 254 or len(local) > 64 or not _LOCAL.match(local):
        raise ValueError("this is not a mail address")
    try:
        ascii_domain = domain.encode("idna").decode("ascii").lower()
    except UnicodeError as error:
        raise ValueError("the domain of the mail address is not valid") from error
    labels = ascii_domain.split(".")
    if len(labels) < 2 or not all(_LABEL.match(label) for label in labels) or labels[-1].isdecimal():
        raise ValueError("the domain of the mail address is not valid")
    return f"{local}@{ascii_domain}"


def compose(mail: Mail, *, sender: str, now: datetime) -> EmailMessage:
    """The message as it goes out. `sender` is `name@domain` or `Name <name@domain>`.

    ExternalError (`bad_message`, nothing sent) when an address or header cannot be written; a line break can
    never start a new header.
    """
    message = EmailMessage(policy=policy.SMTP)
    try:
        message["From"] = _sender(sender)
        message["To"] = Address(addr_spec=parse_address(mail.to))
        message["Subject"] = mail.subject  # the policy refuses line breaks
        message["Date"] = format_datetime(now)
        message["Message-ID"] = _message_id(mail.message_id) or make_msgid(domain=_domain(sender))
        message["Auto-Submitted"] = "auto-generated"
        message.set_content(_whole(mail.text))
        if mail.html:
            message.add_alternative(_whole(mail.html), subtype="html")
    except (ValueError, IndexError) as error:
        raise ExternalError(f"the message cannot be sent: {error}", code="bad_message", sent=False) from error
    return message


def _sender(text: str) -> Address:
    name, address = parseaddr(text)
    local, _, domain = address.rpartition("@")
    if not local or not domain:
        raise ValueError("the sender is not a mail address")
    return Address(display_name=name, username=local, domain=domain)


def _message_id(text: str) -> str:
    if text and not _MESSAGE_ID.match(text):
        raise ValueError("the message id has a bad form")
    return text


def _domain(sender: str) -> str:
    return parseaddr(sender)[1].rpartition("@")[2] or "localhost"


def _whole(text: str) -> str:
    """Lone surrogates have no bytes."""
    return text.encode("utf-8", "replace").decode("utf-8")


@dataclass(frozen=True, slots=True, kw_only=True)
class SmtpMailer:
    """Sends through one SMTP server.

    `tls`: `starttls` (required, never skipped when the server does not offer it), `tls` from the first byte,
    or `none`. Error codes: `bad_message`, `connect_failed`, `auth_failed`, `refused` (the server said no),
    `timeout`, `protocol_error`. `sent` is true only when the message was under way and no answer came.
    """

    host: str
    port: int
    sender: str
    user: str = ""
    password: str = ""
    tls: TlsMode = "starttls"
    timeout: float = SECONDS
    tls_context: ssl.SSLContext | None = None
    now: Callable[[], datetime] = lambda: datetime.now(UTC)

    async def send(self, mail: Mail) -> None:
        """Send one message to one person."""
        message = compose(mail, sender=self.sender, now=self.now())
        client = aiosmtplib.SMTP(
            hostname=self.host,
            port=self.port,
            use_tls=self.tls == "tls",
            start_tls=self.tls == "starttls",
            tls_context=self.tls_context,
            local_hostname=_domain(self.sender),
            timeout=self.timeout,
        )
        under_way = _UnderWay()
        try:
            async with asyncio.timeout(self.timeout * 2):
                await self._deliver(client, message, parse_address(mail.to), under_way)
        except (aiosmtplib.SMTPException, OSError, TimeoutError) as error:
            raise _as_outside(error, under_way) from error
        finally:
            client.close()

    async def _deliver(self, client: aiosmtplib.SMTP, message: EmailMessage, to: str, under_way: "_UnderWay") -> None:
        await client.connect()
        if self.user:
            await client.login(self.user, self.password)
        under_way.connected = True
        await client.mail(parseaddr(self.sender)[1])
        await client.rcpt(to)
        under_way.data = True
        await client.data(message.as_bytes())
        under_way.data = False
        try:
            await client.quit()
        except (aiosmtplib.SMTPException, OSError, TimeoutError):
            return  # The server has taken the message; how it says goodbye changes nothing.


@dataclass(slots=True)
class _UnderWay:
    connected: bool = False
    data: bool = False


def _as_outside(error: Exception, under_way: _UnderWay) -> ExternalError:
    if isinstance(error, aiosmtplib.SMTPAuthenticationError):
        return ExternalError("the mail server did not accept the user or password", code="auth_failed", sent=False)
    if isinstance(error, aiosmtplib.SMTPResponseException):
        again = 400 <= error.code < 500
        return ExternalError(
            f"the mail server refused: {error.code} {error.message[:200]}", code="refused", sent=False, retryable=again
        )
    if isinstance(error, aiosmtplib.SMTPNotSupported):
        return ExternalError(
            f"the mail server does not offer what the settings ask for: {error.message[:200]}",
            code="protocol_error",
            sent=False,
        )
    if isinstance(error, TimeoutError):
        return ExternalError(
            "the mail server did not answer in time", code="timeout", sent=under_way.data, retryable=True
        )
    if not under_way.connected:
        return ExternalError("the mail server cannot be reached", code="connect_failed", sent=False, retryable=True)
    return ExternalError(
        "the connection to the mail server broke off", code="protocol_error", sent=under_way.data, retryable=True
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class FileMailer:
    """Writes each message as an `.eml` file into a folder. For development: nothing leaves the machine.

    A message with the same id is the same file, so a repeat is one message. `keep` writes a file that is there whole or
    not at all, for its owner alone: login codes are in it.
    """

    folder: Path
    sender: str
    keep: Callable[[Path, bytes], None]
    now: Callable[[], datetime] = lambda: datetime.now(UTC)

    async def send(self, mail: Mail) -> None:
        """Write one message. ExternalError (`connect_failed`) when the folder cannot be written."""
        now = self.now()
        message = compose(mail, sender=self.sender, now=now)
        try:
            await asyncio.to_thread(self._write, str(message["Message-ID"]), now, message.as_bytes())
        except OSError as error:
            raise ExternalError("the mail folder cannot be written", code="connect_failed", sent=False) from error

    def _write(self, message_id: str, now: datetime, data: bytes) -> None:
        digest = hashlib.sha256(message_id.encode()).hexdigest()[:16]
        if any(self.folder.glob(f"*-{digest}.eml")):
            return
        self.keep(self.folder / f"{now.astimezone(UTC):%Y%m%dT%H%M%S%f}-{digest}.eml", data)


class NoMailer:
    """Mail is switched off: every message fails, so that nobody believes it was sent."""

    async def send(self, mail: Mail) -> None:
        """Always ExternalError (`mail_off`)."""
        del mail
        raise ExternalError("mail is switched off in this installation", code="mail_off", sent=False)
