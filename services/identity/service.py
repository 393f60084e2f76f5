"""The one door: whatever a caller presents becomes an Actor here, or nobody.

A small cache keeps what tokens and memberships meant a moment ago; everything in this process
that changes them empties it at once, and with several processes it is trusted for two seconds.
"""

import hmac
import logging
import secrets
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from domain.clock import Now
from domain.errors import Conflict, Forbidden, Gone, NotFound, Unauthorized, Unavailable
from domain.identity.actor import Actor, Channel, Role
from domain.identity.credentials import Session
from domain.identity.initdata import BadInitData, InitData, verify
from domain.identity.sign_up import SignUpClosed
from domain.identity.user import User
from domain.ids import new_id
from domain.journal.people import (
    LaunchDataRefused,
    LoggedInByMail,
    LoggedInByProvider,
    LoggedInByTelegram,
    LoggedOut,
    WorkspaceCreated,
)
from domain.ports import ProvenPerson
from domain.runs.task import Mode
from domain.workspaces.workspace import Workspace
from services.identity.invites import Invites
from services.identity.sign_up import EVERYBODY, Newcomer, SignUp
from services.ledger.recorder import Recorder
from storage.database import Store
from storage.identity import api_key_rows, email_code_rows, proof_rows, session_rows, user_rows
from storage.transaction import Tx
from storage.workspaces import workspace_rows
from storage.workspaces.vault import hash_token, open_under, seal_under

log = logging.getLogger(__name__)

SESSION_LIFE = timedelta(days=30)
ROTATE_AFTER = timedelta(hours=24)
GRACE = timedelta(seconds=60)
KEY_PREFIX = "hp_"
CACHE_SIZE = 20_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Credentials:
    """What came with a request. `init_data` is the raw string of `Authorization: tma ...`."""

    bearer: str | None = None
    api_key: str | None = None
    cookie: str | None = None
    csrf: str | None = None
    init_data: str | None = None
    ip: str = ""
    user_agent: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """Who it is. `new_token` is to be handed out as X-New-Token (and in cookies, when `by_cookie`)."""

    actor: Actor
    new_token: str | None = None
    by_cookie: bool = False


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


@dataclass(slots=True)
class _Cache:
    ttl: float
    entries: dict[Any, tuple[float, Any]] = field(default_factory=dict)
    # counts the emptyings: what was read before one must not be put in after it
    generation: int = 0

    def get(self, key: Any) -> Any:
        found = self.entries.get(key)
        if found is None or found[0] < time.monotonic():
            return None
        return found[1]

    def put(self, key: Any, value: Any, *, read_in: int) -> None:
        if read_in != self.generation:
            return
        if len(self.entries) >= CACHE_SIZE:
            self.entries.clear()
        self.entries[key] = (time.monotonic() + self.ttl, value)

    def clear(self) -> None:
        self.generation += 1
        self.entries.clear()


@dataclass(slots=True)
class IdentityService:
    """Logging in, knowing who it is, logging out. `bot_key` is the HMAC key of the bot's token, None without a bot.

    `sign_up` says who may come that belongs nowhere yet; the composition root sets it from the settings.
    """

    store: Store
    recorder: Recorder
    now: Now
    bot_key: bytes | None
    init_data_max_age: timedelta = timedelta(hours=24)
    cache_seconds: float = 30.0
    sign_up: SignUp = EVERYBODY
    invites: Invites = field(init=False)
    _sessions: _Cache = field(init=False)
    _roles: _Cache = field(init=False)

    def __post_init__(self) -> None:
        self.invites = Invites(self.recorder, self.now)
        self._sessions = _Cache(self.cache_seconds)
        self._roles = _Cache(self.cache_seconds)

    def forget(self) -> None:
        """Trust nothing remembered: a membership, a key or a session has changed."""
        self._sessions.clear()
        self._roles.clear()

    def forget_after(self, tx: Tx) -> None:
        """`forget` once this transaction is committed."""
        tx.on_commit(self.forget)

    # --- the door ---------------------------------------------------------------------------------

    async def identify(self, credentials: Credentials, *, unsafe_method: bool) -> Identity:
        """Who presents these. Unauthorized for nobody, Forbidden when a cookie comes without its CSRF token."""
        if credentials.bearer:
            identity = await self._of_session(credentials.bearer)
            if identity is not None:
                return identity
        if credentials.init_data:
            return await self._of_init_data(credentials)
        if credentials.api_key:
            identity = await self._of_key(credentials.api_key)
            if identity is not None:
                return identity
        if credentials.cookie:
            identity = await self._of_session(credentials.cookie)
            if identity is not None:
                if unsafe_method and not self._csrf_fits(credentials.cookie, credentials.csrf):
                    raise Forbidden("CSRF token invalid", code="csrf_invalid")
                return replace(identity, by_cookie=True)
        raise Unauthorized("Unauthorized")

    async def _of_init_data(self, credentials: Credentials) -> Identity:
        """Launch data with each request instead of a session: verified each time, the person looked up once."""
        data = self._verified(credentials.init_data or "")
        cached: Identity | None = self._sessions.get(data.digest)
        if cached is not None:
            return cached
        generation = self._sessions.generation

        def work(tx: Tx) -> User:
            self._check_live(tx, data)
            user = user_rows.by_telegram(tx, data.user.id)
            if user is None:
                raise Unauthorized("log in first: POST /api/auth/telegram", code="unknown_person")
            return user

        user = await self.store.read(work)
        fresh_at = datetime.fromtimestamp(data.auth_date, tz=UTC)
        identity = Identity(actor=_actor(user.id, user.name, Channel.TELEGRAM, fresh_at=fresh_at))
        self._sessions.put(data.digest, identity, read_in=generation)
        return identity

    def _csrf_fits(self, token: str, given: str | None) -> bool:
        # derived, not stored: it cannot differ between two browsers' tabs, and dies with the token
        return given is not None and hmac.compare_digest(csrf_of(token).encode(), given.encode("utf-8", "replace"))

    async def _of_session(self, token: str) -> Identity | None:
        if not 16 <= len(token) <= 200 or not token.isascii():
            return None
        digest = hash_token(token)
        now = self.now()
        found: tuple[Session, str] | None = self._sessions.get(digest)
        if found is None:
            generation = self._sessions.generation
            found = await self.store.read(lambda tx: session_rows.by_token(tx, digest))
            if found is None:
                return None
            self._sessions.put(digest, found, read_in=generation)
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
            actor=_actor(
                session.user_id,
                name,
                Channel(session.channel),
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
            self.forget_after(tx)
            return fresh

        return await self.store.write(work)

    async def _of_key(self, key: str) -> Identity | None:
        if not key.startswith(KEY_PREFIX) or len(key) > 100 or not key.isascii():
            return None
        digest = hash_token(key)
        cached: Identity | None = self._sessions.get(digest)
        if cached is None:
            now = self.now()

            def work(tx: Tx) -> Identity | None:
                found = api_key_rows.by_hash(tx, digest)
                if found is None or found[0].revoked_at is not None or found[0].expires_at <= now:
                    return None
                held, name = found
                role = workspace_rows.role_of(tx, held.workspace_id, held.user_id)
                if role is None:
                    return None
                # a key never outlives a demotion of the person it acts for
                weaker = min(Role(held.role), Role(role), key=lambda r: r.rank)
                actor = Actor(
                    user_id=held.user_id,
                    name=name,
                    channel=Channel.API_KEY,
                    workspace_id=held.workspace_id,
                    role=weaker,
                    api_key_id=held.id,
                    scopes=None if held.scopes is None else frozenset(held.scopes),
                )
                return Identity(actor=actor)

            generation = self._sessions.generation
            cached = await self.store.read(work)
            if cached is None:
                return None
            self._sessions.put(digest, cached, read_in=generation)
            key_id = cached.actor.api_key_id
            if key_id is not None:
                await self.store.write(lambda tx: api_key_rows.used(tx, key_id, now=now))
        return cached

    # --- workspaces -------------------------------------------------------------------------------

    async def in_workspace(self, actor: Actor, workspace_id: str) -> Actor:
        """The person in a workspace; NotFound when they are no member, which says nothing about whether it exists."""
        if actor.api_key_id is not None:
            if actor.workspace_id != workspace_id:
                raise NotFound("Workspace not found")
            return actor
        key = (actor.user_id, workspace_id)
        role: str | None = self._roles.get(key)
        if role is None:
            generation = self._roles.generation
            role = await self.store.read(lambda tx: workspace_rows.role_of(tx, workspace_id, actor.user_id))
            if role is None:
                raise NotFound("Workspace not found")
            self._roles.put(key, role, read_in=generation)
        return replace(actor, workspace_id=workspace_id, role=Role(role))

    async def home(self, actor: Actor) -> Actor:
        """The person in the workspace they chose, or the first they joined."""
        place = await self.store.read(lambda tx: self._home(tx, actor.user_id))
        if place is None:
            raise NotFound("Workspace not found")
        return replace(actor, workspace_id=place[0].id, role=Role(place[1]))

    @staticmethod
    def _home(tx: Tx, user_id: str, user: User | None = None) -> tuple[Workspace, str] | None:
        places = workspace_rows.of_user(tx, user_id)
        if len(places) < 2:
            return places[0] if places else None
        user = user or user_rows.get(tx, user_id)
        chosen = None if user is None else user.preferences.get("workspaceId")
        return next((p for p in places if p[0].id == chosen), places[0] if places else None)

    async def workspaces(self, actor: Actor) -> Sequence[tuple[str, str]]:
        """(id, name) of every workspace the person is in."""
        return [(w.id, w.name) for w, _ in await self.store.read(lambda tx: workspace_rows.of_user(tx, actor.user_id))]

    async def switch_workspace(self, actor: Actor, workspace_id: str) -> Actor:
        """Make another workspace the person's home in chat."""
        moved = await self.in_workspace(actor, workspace_id)

        def work(tx: Tx) -> None:
            user = user_rows.get(tx, actor.user_id)
            kept = {} if user is None else user.preferences
            user_rows.change(tx, actor.user_id, now=self.now(), preferences={**kept, "workspaceId": workspace_id})

        await self.store.write(work)
        return moved

    # --- Telegram ---------------------------------------------------------------------------------

    async def of_telegram(self, telegram_user_id: int) -> Actor | None:
        """The person behind a chat update, at home; None for strangers. Decided from the person, never the chat."""

        def work(tx: Tx) -> Actor | None:
            user = user_rows.by_telegram(tx, telegram_user_id)
            place = None if user is None else self._home(tx, user.id)
            if user is None or place is None:
                return None
            return Actor(
                user_id=user.id,
                name=user.name,
                channel=Channel.TELEGRAM,
                workspace_id=place[0].id,
                role=Role(place[1]),
            )

        return await self.store.read(work)

    async def ensure_telegram_user(
        self,
        *,
        telegram_user_id: int,
        name: str,
        username: str | None,
        language: str | None,
        invite: str | None = None,
    ) -> Actor:
        """The person who pressed /start: created or refreshed, with a workspace, and a chat that may be written to.

        `invite` is the token they came with; Forbidden when they may not sign up, with it or without.
        """

        def work(tx: Tx) -> Actor:
            user = self._telegram_user(
                tx,
                telegram_id=telegram_user_id,
                name=name,
                username=username,
                language=language,
                photo_url=None,
                invite=invite,
            )
            user_rows.change(tx, user.id, now=self.now(), chat_open=True)
            workspace, role, _ = self.settle_in(tx, user, invite=invite)
            return Actor(
                user_id=user.id,
                name=user.name,
                channel=Channel.TELEGRAM,
                workspace_id=workspace.id,
                role=Role(role),
            )

        return await self.store.write(work)

    async def login_telegram(self, raw: str, *, ip: str, agent: str, invite: str | None = None) -> Login:
        """Log in with launch data. The very same string logs in again only while its first login has not ended.

        `invite` is the token somebody new comes with, beside the one the launch data may start with.
        """
        try:
            data = self._verified(raw)
            token = invite or _invite_of(data)
            return await self.store.write(lambda tx: self._login_telegram(tx, data, ip=ip, agent=agent, invite=token))
        except BadInitData as error:
            why = error.reason
            await self.store.write(lambda tx: self.recorder.record(tx, LaunchDataRefused(why=why)))
            raise

    async def join_telegram(self, raw: str, *, invite: str) -> Actor:
        """The person of launch data, who may sign up by this invite. Nothing is logged in."""
        data = self._verified(raw)

        def work(tx: Tx) -> Actor:
            self._check_live(tx, data)
            user = user_rows.by_telegram(tx, data.user.id)
            if user is None or self._home(tx, user.id, user) is None:
                user = self._person_of(tx, data, invite=invite)
                self.settle_in(tx, user, invite=invite)
            fresh_at = datetime.fromtimestamp(data.auth_date, tz=UTC)
            return _actor(user.id, user.name, Channel.TELEGRAM, fresh_at=fresh_at)

        return await self.store.write(work)

    def _verified(self, raw: str) -> InitData:
        if self.bot_key is None:
            raise Unavailable("Telegram not configured", code="telegram_not_configured")
        return verify(raw, key=self.bot_key, now=self.now(), max_age=self.init_data_max_age)

    def _check_live(self, tx: Tx, data: InitData) -> str | None:
        """The login these launch data began, None when they are new; BadInitData when it has ended."""
        family = proof_rows.family_of(tx, data.digest)
        if family is not None and not session_rows.family_is_live(tx, family, now=self.now()):
            raise BadInitData("used")
        return family

    def _person_of(self, tx: Tx, data: InitData, *, invite: str | None) -> User:
        person = data.user
        return self._telegram_user(
            tx,
            telegram_id=person.id,
            name=person.name,
            username=person.username,
            language=person.language_code,
            photo_url=person.photo_url,
            invite=invite,
        )

    def _login_telegram(self, tx: Tx, data: InitData, *, ip: str, agent: str, invite: str | None) -> Login:
        now = self.now()
        family = self._check_live(tx, data)
        user = self._person_of(tx, data, invite=invite)
        workspace, role, fresh = self.settle_in(tx, user, invite=invite)
        family_id = family or new_id()
        if family is None:
            expires = datetime.fromtimestamp(data.auth_date, tz=now.tzinfo) + self.init_data_max_age + GRACE
            if not proof_rows.remember(
                tx, digest=data.digest, kind="initdata", family_id=family_id, now=now, expires_at=max(expires, now)
            ):
                # somebody came first with the same string, a moment ago: one logout must end both
                family_id = proof_rows.family_of(tx, data.digest) or family_id
                if not session_rows.family_is_live(tx, family_id, now=now):
                    raise BadInitData("used")
        return self.open_session(
            tx,
            user,
            workspace,
            role,
            channel=Channel.TELEGRAM,
            entry=LoggedInByTelegram,
            family_id=family_id,
            ip=ip,
            agent=agent,
            new_workspace=fresh,
            # launch data may be presented long after Telegram signed it
            proven_at=datetime.fromtimestamp(data.auth_date, tz=UTC),
        )

    async def login_proven(self, person: ProvenPerson, *, ip: str, agent: str, invite: str | None = None) -> Login:
        """Log in whom an identity provider vouches for. The Telegram account decides who that is, where it is named."""

        def work(tx: Tx) -> Login:
            user = self._proven_user(tx, person, invite=invite)
            workspace, role, fresh = self.settle_in(tx, user, invite=invite)
            return self.open_session(
                tx,
                user,
                workspace,
                role,
                channel=Channel.OIDC,
                entry=LoggedInByProvider,
                ip=ip,
                agent=agent,
                new_workspace=fresh,
            )

        return await self.store.write(work)

    def _proven_user(self, tx: Tx, person: ProvenPerson, *, invite: str | None) -> User:
        now = self.now()
        known = user_rows.by_subject(tx, person.subject)
        if person.telegram_id is not None:
            if known is not None and user_rows.by_telegram(tx, person.telegram_id) is None:
                user_rows.change(tx, known.id, now=now, telegram_id=person.telegram_id)
            user = self._telegram_user(
                tx,
                telegram_id=person.telegram_id,
                name=person.name,
                username=person.username,
                language=None,
                photo_url=person.photo_url,
                invite=invite,
            )
            if known is None:
                user_rows.change(tx, user.id, now=now, oidc_subject=person.subject)
            return user
        if known is not None:
            return known
        self.check_may_enter(tx, None, invite=invite)
        fresh = User(
            id=new_id(),
            email=None,
            telegram_id=None,
            name=person.name,
            username=person.username,
            language=None,
            photo_url=person.photo_url,
            chat_open=False,
            preferences={},
            created_at=now,
        )
        if user_rows.add_of_subject(tx, fresh, person.subject, now=now):
            return fresh
        came_first = user_rows.by_subject(tx, person.subject)
        assert came_first is not None
        return came_first

    def _telegram_user(
        self,
        tx: Tx,
        *,
        telegram_id: int,
        name: str,
        username: str | None,
        language: str | None,
        photo_url: str | None,
        invite: str | None,
    ) -> User:
        now = self.now()
        user = user_rows.by_telegram(tx, telegram_id)
        if user is None:
            self.check_may_enter(tx, None, telegram_id=telegram_id, invite=invite)
            fresh = User(
                id=new_id(),
                email=None,
                telegram_id=telegram_id,
                name=name,
                username=username,
                language=language,
                photo_url=photo_url,
                chat_open=False,
                preferences={},
                created_at=now,
            )
            if user_rows.add_once(tx, fresh, now=now):
                return fresh
            user = user_rows.by_telegram(tx, telegram_id)
            assert user is not None
        seen: dict[str, Any] = {"name": name, "username": username, "photo_url": photo_url or user.photo_url}
        # a language chosen in the app outlives what Telegram says
        if user.preferences.get("language") is None and language is not None:
            seen["language"] = language
        changed = {key: value for key, value in seen.items() if getattr(user, key) != value}
        if changed:
            user_rows.change(tx, user.id, now=now, **changed)
            user = replace(user, **changed)
        return user

    # --- logging in and out -----------------------------------------------------------------------

    async def may_enter(
        self, *, email: str | None = None, telegram_id: int | None = None, invite: str | None = None
    ) -> bool:
        """Whether somebody who proves this address or account would get in: at home here, or allowed to sign up."""

        def work(tx: Tx) -> bool:
            user = user_rows.by_email(tx, email) if email is not None else None
            user = user_rows.by_telegram(tx, telegram_id) if telegram_id is not None else user
            try:
                self.check_may_enter(tx, user, email=email, telegram_id=telegram_id, invite=invite)
            except Forbidden:
                return False
            return True

        return self.sign_up.open or await self.store.read(work)

    def check_may_enter(
        self,
        tx: Tx,
        user: User | None,
        *,
        email: str | None = None,
        telegram_id: int | None = None,
        invite: str | None = None,
    ) -> None:
        """Forbidden for somebody who belongs to no open workspace and may not sign up. Every way in passes here.

        `user` is None for whom nothing is known; then `email` or `telegram_id` says what they proved. Codes:
        `sign_up_closed`, and where they came with an invite `invite_unusable` or `invite_bound`.
        """
        if self.sign_up.open or (user is not None and workspace_rows.of_user(tx, user.id)):
            return
        who = Newcomer.of(user, email=email, telegram_id=telegram_id)
        if self.sign_up.may_own(tx, who):
            return
        # not louder, and not of whom: a log of strangers is one that strangers write
        log.debug("sign_up_refused", extra={"invited": invite is not None})
        if invite is None or not self.sign_up.by_invite:
            raise SignUpClosed
        try:
            self.invites.open_for(tx, invite, email=who.email)
        except (NotFound, Conflict, Gone) as error:
            raise Forbidden(
                "this invite cannot be used: it is unknown, used or expired", code="invite_unusable"
            ) from error

    def settle_in(self, tx: Tx, user: User, *, invite: str | None = None) -> tuple[Workspace, str, bool]:
        """The person's home workspace and role; the third value is True when they had none before.

        Who has none gets a workspace of their own where that is allowed, and comes into the workspace of the invite
        otherwise; Forbidden for everybody else.
        """
        place = self._home(tx, user.id, user)
        if place is not None:
            return *place, False
        if not self.sign_up.may_own(tx, Newcomer.of(user)):
            self.check_may_enter(tx, user, invite=invite)
            assert invite is not None
            joined = self.invites.accept(tx, user, invite)
            self.forget_after(tx)
            return workspace_rows.get(tx, joined.workspace_id), joined.role, True
        now = self.now()
        workspace, _ = self.create_workspace(tx, user, f"{user.name}'s Workspace"[:200], now=now)
        return workspace, Role.OWNER.value, True

    def create_workspace(
        self, tx: Tx, user: User, name: str, *, now: datetime, by: str | None = None
    ) -> tuple[Workspace, str | None]:
        """A new workspace owned by this person, and its first receipt; made by them unless `by` names a principal.

        Conflict when they own as many as one may, unless somebody else makes it.
        """
        if by is None:
            self.sign_up.check_room(tx, user.id)
        workspace = Workspace(
            id=new_id(),
            name=name,
            owner_id=user.id,
            current_mode=Mode.BUILD.value,
            compliance_frameworks=[],
            created_at=now,
            updated_at=now,
            deleted_at=None,
            purge_at=None,
        )
        workspace_rows.add(tx, workspace)
        workspace_rows.join(
            tx, member_id=new_id(), workspace_id=workspace.id, user_id=user.id, role=Role.OWNER.value, now=now
        )
        evidence = self.recorder.record(
            tx,
            WorkspaceCreated(
                workspace_id=workspace.id,
                actor=by or f"user:{user.id}",
                name=name,
                mode=workspace.current_mode,
            ),
        )
        return workspace, evidence

    def open_session(
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
            self.forget_after(tx)
            place = self._home(tx, session.user_id)
            home = None if place is None else place[0].id
            return self.recorder.record(tx, LoggedOut(workspace_id=home, user_id=session.user_id))

        return await self.store.write(work)

    async def csrf_for_logout(self, token: str, given: str | None) -> None:
        """Forbidden unless the CSRF token fits the cookie's session token."""
        if not self._csrf_fits(token, given):
            raise Forbidden("CSRF token invalid", code="csrf_invalid")

    async def purge(self) -> int:
        """Forget expired sessions, proofs and codes."""
        now = self.now()

        def work(tx: Tx) -> int:
            proof_rows.purge(tx, now=now)
            email_code_rows.purge(tx, now=now)
            return session_rows.purge(tx, now=now)

        return await self.store.write(work)


def _invite_of(data: InitData) -> str | None:
    """The token of the invite that launch data starts with."""
    kind, _, token = (data.start_param or "").partition("_")
    return token if kind == "inv" and token else None


def csrf_of(token: str) -> str:
    """The CSRF token that goes with a session token."""
    return hmac.new(token.encode(), b"pilot:csrf", "sha256").hexdigest()


def _actor(
    user_id: str, name: str, channel: Channel, *, session_id: str | None = None, fresh_at: datetime | None = None
) -> Actor:
    return Actor(user_id=user_id, name=name, channel=channel, session_id=session_id, fresh_at=fresh_at)
