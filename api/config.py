"""What the web side needs of the settings, and how an endpoint reaches it."""

import ipaddress
from dataclasses import dataclass

from aiohttp import web

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpConfig:
    """What the web side needs of the settings."""

    version: str
    app_url: str
    production: bool = False
    allowed_origins: tuple[str, ...] = ()
    trusted_proxies: tuple[str, ...] = ()
    metrics_token: str | None = None
    metrics_public: bool = False
    admin_key: str | None = None
    show_codes: bool = False
    # who may sign up: first, invite or open
    sign_up: str = "open"
    # tests only: an answer that is not what its route documents becomes a 500
    check_answers: bool = False

    @property
    def proxies(self) -> tuple[Network, ...]:
        return tuple(ipaddress.ip_network(p, strict=False) for p in self.trusted_proxies)


CONFIG = web.AppKey("config", HttpConfig)
