"""Login by a code in a mail: one live code an address, five tries an account, the same answer for everybody.

Who could not sign up is sent no code, and nothing is kept of them; neither an answer nor the time it takes tells so.
"""

import asyncio
import hashlib
import hmac
import secrets
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from domain import addresses
from domain.clock import Now
from domain.errors import Invalid, RateLimited, Unauthorized
from domain.identity.actor import Channel
from domain.identity.credentials import EmailCode
from domain.ids import new_id
from domain.journal.people import CodeRefused, CodeRequested, LoggedInByMail
from domain.outbox.notifications import LoginCodeNotice, as_json
from services.identity.admission import Admission
from services.identity.people import People
from services.identity.sessions import Login, Sessions
from services.ledger.recorder import Recorder
from services.platform.bus import Bus
from services.platform.limits import Limits
from storage.database import Store
from storage.identity import email_code_rows
from storage.outbox import outbox_rows
from storage.transaction import Tx
from storage.workspaces.vault import Vault, hash_token

LIFE = timedelta(minutes=15)
TRIES = 5
PAUSE = timedelta(seconds=30)
TRIES_COUNT = timedelta(hours=1)
MAIL_TOPIC = "mail"
# mail is no tenant's: what waits in the outbox is sealed under the installation's own name
NOBODY = "installation"
# codes that one invite may have sent, and the seconds after which it may send one more
CODES_OF_INVITE = 10
INVITE_REFILL = 360.0
# in an installation that is not open, no answer of this door comes sooner: it takes longer to write than to refuse
CALM_SECONDS = 0.1


def normal_address(value: Any) -> str:
    """The address as it is compared (see `domain.addresses`); Invalid for what is none."""
    found = addresses.normal_address(value) if isinstance(value, str) else None
    if found is None:
        raise Invalid("Valid email required", code="invalid_email", details=_field("email", "Valid email required"))
    return found


def _sent_a_moment_ago(wait: int) -> RateLimited:
    return RateLimited("a code was sent a moment ago", code="code_just_sent", details={"retryAfterSec": wait})


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


@dataclass(frozen=True, slots=True, kw_only=True)
class EmailLogin:
    """Asking for codes and using them. `secret` is SESSION_SECRET."""

    store: Store
    admission: Admission
    people: People
    sessions: Sessions
    recorder: Recorder
    vault: Vault
    bus: Bus
    now: Now
    secret: str
    app_url: str
    limits: Limits

    def _hash(self, email: str, code: str) -> str:
        return hmac.new(self.secret.encode(), f"pilot-code\0{email}\0{code}".encode(), hashlib.sha256).hexdigest()

    async def request(self, email_given: Any, *, purpose: str = "login", invite: str | None = None) -> Requested:
        """Send a code to an address that may log in, or sign up; with `invite`, the token of one, where that lets it.

        Who has the address, and whether anybody has, makes no difference to the answer: a stranger hears the same,
        and hears of the same pause, but no mail leaves and nothing is kept.
        """
        email = normal_address(email_given)
        code = f"{secrets.randbelow(900_000) + 100_000}"
        if invite is not None and (
            wait := await self.limits.pace(
                f"invite:{hash_token(invite)}", seconds=INVITE_REFILL, at_once=CODES_OF_INVITE
            )
        ):
            raise RateLimited("this invite asked for many codes", details={"retryAfterSec": wait})
        async with self._calm():
            if await self.admission.may_enter(email=email, invite=invite):
                await self._send(email, code, purpose=purpose, invite=invite)
            elif wait := await self.limits.pace(
                f"code:{hashlib.sha256(email.encode()).hexdigest()}", seconds=PAUSE.total_seconds()
            ):
                raise _sent_a_moment_ago(wait)
        return Requested(email=email, code=code)

    @asynccontextmanager
    async def _calm(self) -> AsyncIterator[None]:
        """Let the block take as long for a stranger as for a person who is known."""
        begun = time.monotonic()
        try:
            yield
        finally:
            if not self.admission.sign_up.open:
                await asyncio.sleep(max(0.0, begun + CALM_SECONDS - time.monotonic()))

    async def _send(self, email: str, code: str, *, purpose: str, invite: str | None) -> None:
        link = secrets.token_urlsafe(32)

        def work(tx: Tx) -> None:
            now = self.now()
            before = email_code_rows.of_address(tx, email)
            if before is not None and before.used_at is None and now - before.created_at < PAUSE:
                raise _sent_a_moment_ago(int((before.created_at + PAUSE - now).total_seconds()) + 1)
            # tries are the account's, not the code's: asking for a new code does not give new ones
            carried = before if before is not None and _tries_count(before, now) else None
            email_code_rows.put(
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
            self.recorder.record(tx, CodeRequested(actor=principal_of_address(email)))
            message_id = new_id()
            # what follows the address in the mailed link: the one-time token, and the invite if there is one
            kept = "\n".join((code, link, *([] if invite is None else [invite])))
            sealed = self.vault.seal(kept, workspace_id=NOBODY, place=f"outbox/code/{message_id}")
            outbox_rows.put(
                tx,
                workspace_id=None,
                channel="email",
                recipient=email,
                payload=as_json(LoginCodeNotice(sealed=sealed, seal_id=message_id)),
                now=now,
            )
            tx.on_commit(lambda: self.bus.woke(MAIL_TOPIC))

        await self.store.write(work)

    async def verify(self, email_given: Any, code: Any, *, ip: str, agent: str, invite: str | None = None) -> Login:
        """Log in with the code. Every refusal of a code is the same sentence.

        `invite` is the token somebody new comes with; Forbidden when they may not sign up, with it or without.
        """
        if not isinstance(email_given, str) or not isinstance(code, str) or not email_given or not code:
            raise Invalid("email and code required", details=_field("code", "email and code required"))
        email = normal_address(email_given)
        async with self._calm():
            outcome = await self.store.write(
                lambda tx: self._verify(tx, email, code.strip(), ip=ip, agent=agent, invite=invite)
            )
        if outcome is None:
            raise Unauthorized("Invalid or expired code", code="invalid_code")
        return outcome

    def _verify(self, tx: Tx, email: str, code: str, *, ip: str, agent: str, invite: str | None) -> Login | None:
        now = self.now()
        live = email_code_rows.of_address(tx, email)
        expected = self._hash(email, code)
        fits = hmac.compare_digest(expected, live.code_hash if live is not None else "0" * 64)
        usable = live is not None and live.used_at is None and live.expires_at > now and live.attempts < TRIES
        if live is None or not usable or not fits:
            if live is not None and usable:
                email_code_rows.change(
                    tx, live.id, attempts=live.attempts + 1, first_attempt_at=live.first_attempt_at or now
                )
            # a guess where no code was sent may be a stranger's, of whom nothing is kept
            if self.admission.sign_up.open or (live is not None and live.used_at is None):
                self.recorder.record(tx, CodeRefused(actor=principal_of_address(email)))
            return None
        return self._redeem(tx, live, ip=ip, agent=agent, invite=invite)

    async def redeem_link(self, token: str, *, ip: str, agent: str, invite: str | None = None) -> Login:
        """Log in with the one-time token from the fragment of the mailed link; `invite` as in `verify`."""
        digest = hash_token(token)

        def work(tx: Tx) -> Login | None:
            live = email_code_rows.by_link(tx, digest)
            now = self.now()
            if live is None or live.used_at is not None or live.expires_at <= now or live.attempts >= TRIES:
                return None
            return self._redeem(tx, live, ip=ip, agent=agent, invite=invite)

        outcome = await self.store.write(work)
        if outcome is None:
            raise Unauthorized("Invalid or expired code", code="invalid_code")
        return outcome

    def _redeem(self, tx: Tx, live: EmailCode, *, ip: str, agent: str, invite: str | None) -> Login:
        now = self.now()
        email_code_rows.change(tx, live.id, used_at=now)
        user = self.people.of_address(tx, live.email, invite=invite)
        workspace, role, fresh = self.admission.settle_in(tx, user, invite=invite)
        return self.sessions.open(
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

    def mail_text(self, notice: LoginCodeNotice) -> tuple[str, str, str]:
        """Subject, text and html of a queued code; the code is readable only here, when it is sent."""
        opened = self.vault.open(notice.sealed, workspace_id=NOBODY, place=f"outbox/code/{notice.seal_id}")
        code, link, *invite = opened.split("\n")
        url = f"{self.app_url}/app/#login={link}" + "".join(f"&invite={token}" for token in invite)
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
