"""Sessions: opened at a login, rotated each day, ended at a logout or by the person from elsewhere."""

import hmac
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from domain.clock import Now
from domain.errors import Forbidden
from domain.identity.actor import Actor, Channel
from domain.identity.credentials import Session
from domain.identity.user import User
from domain.ids import new_id
from domain.journal.people import (
    LoggedInByMail,
    LoggedInByProvider,
    LoggedInByTelegram,
    LoggedOut,
    SessionsRevoked,
)
from domain.workspaces.workspace import Workspace
from services.identity.cache import IdentityCache
from services.identity.credentials import Identity
from services.identity.memberships import home_of
from services.ledger.recorder import Recorder
from storage.database import Store
from storage.identity import email_code_rows, proof_rows, session_rows
from storage.transaction import Tx
from storage.workspaces.vault import hash_token, open_under, seal_under

SESSION_LIFE = timedelta(days=30)
ROTATE_AFTER = timedelta(hours=24)
GRACE = timedelta(seconds=60)


@dataclass(frozen=True, slots=True, kw_only=True)
class Login:
    """A fresh login. `token` and `csrf` are shown once and kept only as hashes."""

    token: str
    csrf: str
    user: User
    workspace: Workspace
    role: str
    expires_at: datetime
    evidence_id: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Sessions:
    """Sessions of everybody. A login is a family of sessions: each rotation adds one, and they end together."""

    store: Store
    recorder: Recorder
    cache: IdentityCache
    now: Now

    async def identify(self, token: str) -> Identity | None:
        """Whose session token this is, None for one that means nothing any more."""
        if not 16 <= len(token) <= 200 or not token.isascii():
            return None
        digest = hash_token(token)
        now = self.now()
        found: tuple[Session, str] | None = self.cache.presented.get(digest)
        if found is None:
            generation = self.cache.presented.generation
            found = await self.store.read(lambda tx: session_rows.by_token(tx, digest))
            if found is None:
                return None
            self.cache.presented.put(digest, found, read_in=generation)
        session, name = found
        if session.revoked_at is not None or session.expires_at <= now:
            return None
        new_token: str | None = None
        if session.rotated_at is not None:
            if session.grace_until is None or session.grace_until <= now or session.successor_sealed is None:
                return None
            # everybody who still comes with the old token is told the same new one
            new_token = open_under(token, session.successor_sealed)
        elif now - session.created_at >= ROTATE_AFTER:
            new_token = await self._rotate(token, digest)
        return Identity(
            actor=Actor(
                user_id=session.user_id,
                name=name,
                channel=Channel(session.channel),
                session_id=session.family_id,
                fresh_at=session.authenticated_at,
            ),
            new_token=new_token,
        )

    async def _rotate(self, token: str, digest: str) -> str | None:
        def work(tx: Tx) -> str | None:
            found = session_rows.by_token(tx, digest, lock=True)
            if found is None or found[0].revoked_at is not None:
                return None
            session = found[0]
            if session.rotated_at is not None:
                return None if session.successor_sealed is None else open_under(token, session.successor_sealed)
            now = self.now()
            fresh = secrets.token_hex(32)
            session_rows.rotate(
                tx, session.id, now=now, successor_sealed=seal_under(token, fresh), grace_until=now + GRACE
            )
            session_rows.add(
                tx,
                replace(
                    session,
                    id=new_id(),
                    token_hash=hash_token(fresh),
                    created_at=now,
                    expires_at=now + SESSION_LIFE,
                    rotated_at=None,
                    successor_sealed=None,
                    grace_until=None,
                ),
            )
            self.cache.forget_after(tx)
            return fresh

        return await self.store.write(work)

    def open(
        self,
        tx: Tx,
        user: User,
        workspace: Workspace,
        role: str,
        *,
        channel: Channel,
        entry: type[LoggedInByMail | LoggedInByTelegram | LoggedInByProvider],
        ip: str,
        agent: str,
        family_id: str | None = None,
        new_workspace: bool = False,
        proven_at: datetime | None = None,
    ) -> Login:
        """A session with its audit line and receipt. `proven_at` is when the proof was made, now when None."""
        now = self.now()
        token = secrets.token_hex(32)
        session_id = new_id()
        expires = now + SESSION_LIFE
        session_rows.add(
            tx,
            Session(
                id=session_id,
                family_id=family_id or session_id,
                token_hash=hash_token(token),
                user_id=user.id,
                channel=channel.value,
                csrf_hash=None,
                user_agent=agent[:200] or None,
                ip=ip[:64] or None,
                created_at=now,
                authenticated_at=min(now, proven_at or now),
                expires_at=expires,
                rotated_at=None,
                successor_sealed=None,
                grace_until=None,
                revoked_at=None,
            ),
        )
        evidence = self.recorder.record(
            tx, entry(workspace_id=workspace.id, user_id=user.id, channel=channel, first=new_workspace)
        )
        return Login(
            token=token,
            csrf=csrf_of(token),
            user=user,
            workspace=workspace,
            role=role,
            expires_at=expires,
            evidence_id=evidence,
        )

    async def logout(self, token: str) -> str | None:
        """End the login this token belongs to, with all its rotations; the evidence id, None for an unknown token."""
        digest = hash_token(token)

        def work(tx: Tx) -> str | None:
            found = session_rows.by_token(tx, digest, lock=True)
            if found is None:
                return None
            session = found[0]
            session_rows.revoke(tx, family_id=session.family_id, now=self.now())
            self.cache.forget_after(tx)
            place = home_of(tx, session.user_id)
            home = None if place is None else place[0].id
            return self.recorder.record(tx, LoggedOut(workspace_id=home, user_id=session.user_id))

        return await self.store.write(work)

    async def of_person(self, actor: Actor) -> Sequence[Session]:
        """Where the person is logged in."""
        return await self.store.read(lambda tx: session_rows.live(tx, actor.user_id, now=self.now()))

    async def revoke(self, actor: Actor, family_id: str | None) -> int:
        """End one login of the person, or all of them (None); how many rows ended."""

        def work(tx: Tx) -> int:
            now = self.now()
            ended = (
                session_rows.revoke(tx, user_id=actor.user_id, now=now)
                if family_id is None
                else session_rows.revoke(tx, family_id=family_id, user_id=actor.user_id, now=now)
            )
            if ended:
                self.recorder.record(tx, SessionsRevoked(actor=actor.principal, family_id=family_id, count=ended))
                self.cache.forget_after(tx)
            return ended

        return await self.store.write(work)

    async def purge(self) -> int:
        """Forget expired sessions, proofs and codes."""
        now = self.now()

        def work(tx: Tx) -> int:
            proof_rows.purge(tx, now=now)
            email_code_rows.purge(tx, now=now)
            return session_rows.purge(tx, now=now)

        return await self.store.write(work)


def csrf_of(token: str) -> str:
    """The CSRF token that goes with a session token."""
    return hmac.new(token.encode(), b"pilot:csrf", "sha256").hexdigest()


def check_csrf(token: str, given: str | None) -> None:
    """Forbidden unless the CSRF token fits the cookie's session token."""
    # derived, not stored: it cannot differ between two browsers' tabs, and dies with the token
    if given is None or not hmac.compare_digest(csrf_of(token).encode(), given.encode("utf-8", "replace")):
        raise Forbidden("CSRF token invalid", code="csrf_invalid")
