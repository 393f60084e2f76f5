"""The one door: whatever a caller presents becomes an Actor here, or nobody."""

from dataclasses import dataclass, replace

from domain.errors import Unauthorized
from services.identity.api_keys import ApiKeys
from services.identity.credentials import Credentials, Identity
from services.identity.sessions import Sessions, check_csrf
from services.identity.telegram_login import TelegramLogin


@dataclass(frozen=True, slots=True, kw_only=True)
class Authentication:
    """Asks whoever knows the kind of credentials that came."""

    sessions: Sessions
    telegram_login: TelegramLogin
    api_keys: ApiKeys

    async def identify(self, credentials: Credentials, *, unsafe_method: bool) -> Identity:
        """Who presents these. Unauthorized for nobody, Forbidden when a cookie comes without its CSRF token."""
        if credentials.bearer:
            identity = await self.sessions.identify(credentials.bearer)
            if identity is not None:
                return identity
        if credentials.init_data:
            return await self.telegram_login.identify(credentials.init_data)
        if credentials.api_key:
            identity = await self.api_keys.identify(credentials.api_key)
            if identity is not None:
                return identity
        if credentials.cookie:
            identity = await self.sessions.identify(credentials.cookie)
            if identity is not None:
                if unsafe_method:
                    check_csrf(credentials.cookie, credentials.csrf)
                return replace(identity, by_cookie=True)
        raise Unauthorized("Unauthorized")
