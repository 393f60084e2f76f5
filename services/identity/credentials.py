"""What a caller presents, and who that turns out to be."""

from dataclasses import dataclass

from domain.identity.actor import Actor


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
