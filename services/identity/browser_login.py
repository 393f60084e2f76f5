"""Telegram Login for a browser outside Telegram: out to the provider with PKCE, and back once, in the same browser."""

import base64
import hashlib
import hmac
import json
import secrets
from dataclasses import dataclass
from datetime import timedelta

from domain.clock import Now
from domain.errors import Unauthorized, Unavailable
from domain.journal.people import BrowserLoginRefused
from domain.outside import ExternalError
from domain.ports import LoginProvider, ProvenPerson
from services.identity.sessions import Login
from services.identity.telegram_login import TelegramLogin
from services.ledger.recorder import Recorder
from storage.database import Store
from storage.identity import proof_rows
from storage.workspaces.vault import hash_token, open_under, seal_under

ATTEMPT_LIFE = timedelta(minutes=10)


@dataclass(frozen=True, slots=True, kw_only=True)
class Departure:
    """A login that begins: `url` for the browser, `binding` to be kept by it (a cookie) until it comes back."""

    url: str
    binding: str


@dataclass(frozen=True, slots=True, kw_only=True)
class BrowserLogin:
    """Nonce and verifier lie sealed under the state, which only the browser has; the row alone reveals nothing."""

    store: Store
    telegram_login: TelegramLogin
    recorder: Recorder
    provider: LoginProvider
    now: Now
    redirect_uri: str

    async def start(self) -> Departure:
        """Begin a login. Unavailable (`oidc_unavailable`) while the provider cannot be asked."""
        state, nonce, verifier, binding = (secrets.token_urlsafe(32) for _ in range(4))
        challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
        try:
            url = await self.provider.authorize_url(
                state=state, nonce=nonce, challenge=challenge, redirect_uri=self.redirect_uri
            )
        except ExternalError as error:
            raise _unavailable() from error
        kept = json.dumps({"nonce": nonce, "verifier": verifier, "binding": hash_token(binding)})
        now = self.now()
        await self.store.write(
            lambda tx: proof_rows.put_attempt(
                tx,
                digest=hash_token(state),
                data={"sealed": seal_under(state, kept)},
                now=now,
                expires_at=now + ATTEMPT_LIFE,
            )
        )
        return Departure(url=url, binding=binding)

    async def finish(
        self, *, code: str, state: str, binding: str | None, ip: str, agent: str, invite: str | None = None
    ) -> Login:
        """Log in with what the provider sent back. Each attempt ends here, whatever comes of it.

        `invite` is the token somebody new comes with; Forbidden when they may not sign up, with it or without.

        Unauthorized: `oidc_state` (unknown, used or too old), `oidc_browser` (begun in another browser), `oidc_refused`
        and others of the provider's; Unavailable `oidc_unavailable`.
        """
        try:
            person = await self._finish(code=code, state=state, binding=binding)
            return await self.telegram_login.login_proven(person, ip=ip, agent=agent, invite=invite)
        except ExternalError as error:
            raise _unavailable() from error
        except Unauthorized as error:
            why = error.code

            await self.store.write(lambda tx: self.recorder.record(tx, BrowserLoginRefused(why=why)))
            raise

    async def _finish(self, *, code: str, state: str, binding: str | None) -> ProvenPerson:
        now = self.now()
        kept = await self.store.write(lambda tx: proof_rows.take_attempt(tx, hash_token(state), now=now))
        if kept is None:
            raise Unauthorized("This login was used, or is too old: begin again", code="oidc_state")
        attempt = json.loads(open_under(state, kept["sealed"]))
        if not hmac.compare_digest(hash_token(binding or ""), attempt["binding"]):
            # somebody else's login must not become ours, nor ours theirs
            raise Unauthorized("This login was begun in another browser", code="oidc_browser")
        return await self.provider.redeem(
            code, verifier=attempt["verifier"], nonce=attempt["nonce"], redirect_uri=self.redirect_uri
        )


def _unavailable() -> Unavailable:
    return Unavailable("Telegram Login cannot be reached", code="oidc_unavailable")
