"""The identity services of one installation, built once."""

from dataclasses import dataclass
from datetime import timedelta

from domain.clock import Now
from services.identity.admission import Admission
from services.identity.api_keys import ApiKeys
from services.identity.authenticate import Authentication
from services.identity.cache import IdentityCache
from services.identity.invites import Invites
from services.identity.memberships import Memberships
from services.identity.people import People
from services.identity.sessions import Sessions
from services.identity.sign_up import EVERYBODY, SignUp
from services.identity.telegram_login import TelegramLogin
from services.ledger.recorder import Recorder
from storage.database import Store


@dataclass(frozen=True, slots=True, kw_only=True)
class IdentityServices:
    """Everything that knows people, but for the ways in by mail and by browser, which not every installation has."""

    cache: IdentityCache
    memberships: Memberships
    admission: Admission
    people: People
    sessions: Sessions
    telegram_login: TelegramLogin
    api_keys: ApiKeys
    authentication: Authentication


def make_identity(
    *,
    store: Store,
    recorder: Recorder,
    now: Now,
    bot_key: bytes | None,
    init_data_max_age: timedelta = timedelta(hours=24),
    cache_seconds: float = 30.0,
    sign_up: SignUp = EVERYBODY,
) -> IdentityServices:
    """Each on top of the ones it asks; all forget together."""
    cache = IdentityCache(cache_seconds)
    admission = Admission(
        store=store, recorder=recorder, cache=cache, invites=Invites(recorder, now), sign_up=sign_up, now=now
    )
    people = People(admission=admission, now=now)
    sessions = Sessions(store=store, recorder=recorder, cache=cache, now=now)
    telegram_login = TelegramLogin(
        store=store,
        recorder=recorder,
        cache=cache,
        admission=admission,
        people=people,
        sessions=sessions,
        now=now,
        bot_key=bot_key,
        init_data_max_age=init_data_max_age,
    )
    api_keys = ApiKeys(store=store, recorder=recorder, cache=cache, now=now)
    return IdentityServices(
        cache=cache,
        memberships=Memberships(store=store, cache=cache, now=now),
        admission=admission,
        people=people,
        sessions=sessions,
        telegram_login=telegram_login,
        api_keys=api_keys,
        authentication=Authentication(sessions=sessions, telegram_login=telegram_login, api_keys=api_keys),
    )
