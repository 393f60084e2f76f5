"""Login by a code in a mail: one live code an address, five tries an account, the same answer for everybody."""

import hashlib
import hmac
import re
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from domain.actor import Channel
from domain.clock import Now
from domain.errors import Invalid, RateLimited, Unauthorized
from domain.ids import new_id
from domain.journal.people import CodeRefused, CodeRequested, LoggedInByMail
from domain.notices import LoginCodeNotice, as_json
from services.bus import Bus
from services.identity import IdentityService, Login
from services.recorder import Recorder
from storage import accounts, outbox
from storage.accounts import EmailCode, User
from storage.database import Store, Tx
from storage.vault import Vault, hash_token

LIFE = timedelta(minutes=15)
TRIES = 5
PAUSE = timedelta(seconds=30)
TRIES_COUNT = timedelta(hours=1)
MAIL_TOPIC = "mail"
# mail is no tenant's: what waits in the outbox is sealed under the installation's own name
NOBODY = "installation"
_ADDRESS = re.compile(r"[^@\s\x00-\x1f,;<>()\[\]\\\"]{1,64}@[A-Za-z0-9](?:[A-Za-z0-9.-]{0,250}[A-Za-z0-9])?")


def normal_address(value: Any) -> str:
    """The address as it is compared: trimmed, lower case; Invalid for what is none."""
    text = value.strip().lower() if isinstance(value, str) else ""
    if not _ADDRESS.fullmatch(text) or len(text) > 254 or ".." in text:
        raise Invalid("Valid email required", code="invalid_email", details=_field("email", "Valid email required"))
    return text


def _tries_count(code: EmailCode, now: datetime) -> bool:
    """Whether the wrong tries made so far still count: for an hour, whatever became of the code, or until a login."""
    return code.used_at is None and code.first_attempt_at is not None and now - code.first_attempt_at < TRIES_COUNT


def _field(name: str, problem: str) -> dict[str, Any]:
    return {"formErrors": [], "fieldErrors": {name: [problem]}}


def principal_of_address(email: str) -> str:
    """How audit lines name an address that is nobody yet."""
    return f"email_hash:{hashlib.sha256(email.encode()).hexdigest()}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Requested:
    """What a request for a code did. `code` is for development only; the mail carries it otherwise."""

    email: str
    code: str


@dataclass(frozen=True, slots=True)
class EmailLogin:
    """Asking for codes and using them. `secret` is SESSION_SECRET."""

    store: Store
    identity: IdentityService
    recorder: Recorder
    vault: Vault
    bus: Bus
    now: Now
    secret: str
    app_url: str

    def _hash(self, email: str, code: str) -> str:
        return hmac.new(self.secret.encode(), f"pilot-code\0{email}\0{code}".encode(), hashlib.sha256).hexdigest()

    async def request(self, email_given: Any, *, purpose: str = "login") -> Requested:
        """Send a code. Whether anybody has this address makes no difference to answer or work."""
        email = normal_address(email_given)
        code = f"{secrets.randbelow(900_000) + 100_000}"
        link = secrets.token_urlsafe(32)

        def work(tx: Tx) -> Requested:
            now = self.now()
            before = accounts.code_of(tx, email)
            if before is not None and before.used_at is None and now - before.created_at < PAUSE:
                wait = int((before.created_at + PAUSE - now).total_seconds()) + 1
                raise RateLimited(
                    "a code was sent a moment ago", code="code_just_sent", details={"retryAfterSec": wait}
                )
            # tries are the account's, not the code's: asking for a new code does not give new ones
            carried = before if before is not None and _tries_count(before, now) else None
            accounts.put_code(
                tx,
                EmailCode(
                    id=new_id(),
                    email=email,
                    purpose=purpose,
                    code_hash=self._hash(email, code),
                    link_hash=hash_token(link),
                    attempts=0 if carried is None else carried.attempts,
                    first_attempt_at=None if carried is None else carried.first_attempt_at,
                    created_at=now,
                    expires_at=now + LIFE,
                    used_at=None,
                ),
            )
            # no look at who has the address: the same statements run for everybody
            self.recorder.record(tx, CodeRequested(actor=principal_of_address(email)))
            message_id = new_id()
            sealed = self.vault.seal(f"{code}\n{link}", workspace_id=NOBODY, place=f"outbox/code/{message_id}")
            outbox.put(
                tx,
                workspace_id=None,
                channel="email",
                recipient=email,
                payload=as_json(LoginCodeNotice(sealed=sealed, seal_id=message_id)),
                now=now,
            )
            tx.on_commit(lambda: self.bus.woke(MAIL_TOPIC))
            return Requested(email=email, code=code)

        return await self.store.write(work)

    async def verify(self, email_given: Any, code: Any, *, ip: str, agent: str) -> Login:
        """Log in with the code. Every refusal is the same sentence."""
        if not isinstance(email_given, str) or not isinstance(code, str) or not email_given or not code:
            raise Invalid("email and code required", details=_field("code", "email and code required"))
        email = normal_address(email_given)
        outcome = await self.store.write(lambda tx: self._verify(tx, email, code.strip(), ip=ip, agent=agent))
        if outcome is None:
            raise Unauthorized("Invalid or expired code", code="invalid_code")
        return outcome

    def _verify(self, tx: Tx, email: str, code: str, *, ip: str, agent: str) -> Login | None:
        now = self.now()
        live = accounts.code_of(tx, email)
        expected = self._hash(email, code)
        fits = hmac.compare_digest(expected, live.code_hash if live is not None else "0" * 64)
        usable = live is not None and live.used_at is None and live.expires_at > now and live.attempts < TRIES
        if live is None or not usable or not fits:
            if live is not None and usable:
                accounts.change_code(
                    tx, live.id, attempts=live.attempts + 1, first_attempt_at=live.first_attempt_at or now
                )
            self.recorder.record(tx, CodeRefused(actor=principal_of_address(email)))
            return None
        return self._redeem(tx, live, ip=ip, agent=agent)

    async def redeem_link(self, token: str, *, ip: str, agent: str) -> Login:
        """Log in with the one-time token from the fragment of the mailed link."""
        digest = hash_token(token)

        def work(tx: Tx) -> Login | None:
            live = accounts.code_by_link(tx, digest)
            now = self.now()
            if live is None or live.used_at is not None or live.expires_at <= now or live.attempts >= TRIES:
                return None
            return self._redeem(tx, live, ip=ip, agent=agent)

        outcome = await self.store.write(work)
        if outcome is None:
            raise Unauthorized("Invalid or expired code", code="invalid_code")
        return outcome

    def _redeem(self, tx: Tx, live: EmailCode, *, ip: str, agent: str) -> Login:
        now = self.now()
        accounts.change_code(tx, live.id, used_at=now)
        user = self.person(tx, live.email)
        workspace, role, fresh = self.identity.settle_in(tx, user)
        return self.identity.open_session(
            tx,
            user,
            workspace,
            role,
            channel=Channel.EMAIL,
            entry=LoggedInByMail,
            ip=ip,
            agent=agent,
            new_workspace=fresh,
        )

    def person(self, tx: Tx, email: str) -> User:
        """The person with a proven address, created at the first login."""
        user = accounts.user_by_email(tx, email)
        if user is not None:
            return user
        now = self.now()
        fresh = User(
            id=new_id(),
            email=email,
            telegram_id=None,
            name=email.partition("@")[0][:200],
            username=None,
            language=None,
            photo_url=None,
            chat_open=False,
            preferences={},
            created_at=now,
        )
        if accounts.add_user_once(tx, fresh, now=now):
            return fresh
        found = accounts.user_by_email(tx, email)
        assert found is not None
        return found

    def mail_text(self, notice: LoginCodeNotice) -> tuple[str, str, str]:
        """Subject, text and html of a queued code; the code is readable only here, when it is sent."""
        opened = self.vault.open(notice.sealed, workspace_id=NOBODY, place=f"outbox/code/{notice.seal_id}")
        code, _, link = opened.partition("\n")
        url = f"{self.app_url}/app/#login={link}"
        text = (
            f"Your code for Pilot is {code}.\n\nIt is good for 15 minutes and for one login. Or open:\n{url}\n\n"
            "If you did not ask for it, nothing happens: just delete this mail.\n"
        )
        html = (
            f'<p>Your code for Pilot is</p><p style="font-size:28px;letter-spacing:4px"><b>{code}</b></p>'
            f'<p>It is good for 15 minutes and for one login. Or <a href="{url}">log in with one click</a>.</p>'
            "<p>If you did not ask for it, nothing happens: just delete this mail.</p>"
        )
        return "Your code for Pilot", text, html
