"""Coming in by Telegram: launch data of the Mini App, /start in the chat, and what its identity provider proves."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from domain.clock import Now
from domain.errors import Unauthorized, Unavailable
from domain.identity.actor import Actor, Channel, Role
from domain.identity.initdata import BadInitData, InitData, verify
from domain.identity.user import User
from domain.ids import new_id
from domain.journal.people import LaunchDataRefused, LoggedInByProvider, LoggedInByTelegram
from domain.ports import ProvenPerson
from services.identity.admission import Admission
from services.identity.cache import IdentityCache
from services.identity.credentials import Identity
from services.identity.memberships import home_of
from services.identity.people import People
from services.identity.sessions import GRACE, Login, Sessions
from services.ledger.recorder import Recorder
from storage.database import Store
from storage.identity import proof_rows, session_rows, user_rows
from storage.transaction import Tx


@dataclass(frozen=True, slots=True, kw_only=True)
class TelegramLogin:
    """`bot_key` is the HMAC key of the bot's token, None without a bot; launch data are taken up to an age."""

    store: Store
    recorder: Recorder
    cache: IdentityCache
    admission: Admission
    people: People
    sessions: Sessions
    now: Now
    bot_key: bytes | None
    init_data_max_age: timedelta

    async def identify(self, raw: str) -> Identity:
        """Launch data with each request instead of a session: verified each time, the person looked up once."""
        data = self._verified(raw)
        cached: Identity | None = self.cache.presented.get(data.digest)
        if cached is not None:
            return cached
        generation = self.cache.presented.generation

        def work(tx: Tx) -> User:
            self._check_live(tx, data)
            user = user_rows.by_telegram(tx, data.user.id)
            if user is None:
                raise Unauthorized("log in first: POST /api/auth/telegram", code="unknown_person")
            return user

        user = await self.store.read(work)
        fresh_at = datetime.fromtimestamp(data.auth_date, tz=UTC)
        identity = Identity(actor=Actor(user_id=user.id, name=user.name, channel=Channel.TELEGRAM, fresh_at=fresh_at))
        self.cache.presented.put(data.digest, identity, read_in=generation)
        return identity

    async def ensure_user(
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
            user = self.people.of_telegram(
                tx,
                telegram_id=telegram_user_id,
                name=name,
                username=username,
                language=language,
                photo_url=None,
                invite=invite,
            )
            user_rows.change(tx, user.id, now=self.now(), chat_open=True)
            workspace, role, _ = self.admission.settle_in(tx, user, invite=invite)
            return Actor(
                user_id=user.id,
                name=user.name,
                channel=Channel.TELEGRAM,
                workspace_id=workspace.id,
                role=Role(role),
            )

        return await self.store.write(work)

    async def login(self, raw: str, *, ip: str, agent: str, invite: str | None = None) -> Login:
        """Log in with launch data. The very same string logs in again only while its first login has not ended.

        `invite` is the token somebody new comes with, beside the one the launch data may start with.
        """
        try:
            data = self._verified(raw)
            token = invite or _invite_of(data)
            return await self.store.write(lambda tx: self._login(tx, data, ip=ip, agent=agent, invite=token))
        except BadInitData as error:
            why = error.reason
            await self.store.write(lambda tx: self.recorder.record(tx, LaunchDataRefused(why=why)))
            raise

    async def join(self, raw: str, *, invite: str) -> Actor:
        """The person of launch data, who may sign up by this invite. Nothing is logged in."""
        data = self._verified(raw)

        def work(tx: Tx) -> Actor:
            self._check_live(tx, data)
            user = user_rows.by_telegram(tx, data.user.id)
            if user is None or home_of(tx, user.id, user) is None:
                user = self._person_of(tx, data, invite=invite)
                self.admission.settle_in(tx, user, invite=invite)
            fresh_at = datetime.fromtimestamp(data.auth_date, tz=UTC)
            return Actor(user_id=user.id, name=user.name, channel=Channel.TELEGRAM, fresh_at=fresh_at)

        return await self.store.write(work)

    async def login_proven(self, person: ProvenPerson, *, ip: str, agent: str, invite: str | None = None) -> Login:
        """Log in whom an identity provider vouches for. The Telegram account decides who that is, where it is named."""

        def work(tx: Tx) -> Login:
            user = self.people.of_provider(tx, person, invite=invite)
            workspace, role, fresh = self.admission.settle_in(tx, user, invite=invite)
            return self.sessions.open(
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
        return self.people.of_telegram(
            tx,
            telegram_id=person.id,
            name=person.name,
            username=person.username,
            language=person.language_code,
            photo_url=person.photo_url,
            invite=invite,
        )

    def _login(self, tx: Tx, data: InitData, *, ip: str, agent: str, invite: str | None) -> Login:
        now = self.now()
        family = self._check_live(tx, data)
        user = self._person_of(tx, data, invite=invite)
        workspace, role, fresh = self.admission.settle_in(tx, user, invite=invite)
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
        return self.sessions.open(
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


def _invite_of(data: InitData) -> str | None:
    """The token of the invite that launch data starts with."""
    kind, _, token = (data.start_param or "").partition("_")
    return token if kind == "inv" and token else None
