"""Where a request may lead: the only judge of addresses a task, a workspace or an agent may name.

A URL in a task is chosen by somebody who may not be trusted, so a host is resolved once and every address of it is
checked. Whoever connects does so to the very address that was checked (`connectors/pinned.py`).
"""

import asyncio
import contextlib
import ipaddress
import re
import socket
from collections.abc import Awaitable, Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import httpx

from domain.outside import ExternalError

MAX_URL = 4000

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Resolve = Callable[[str, int], Awaitable[list[str]]]

_CLOSED_V4 = tuple(
    ipaddress.IPv4Network(n)
    for n in (
        "0.0.0.0/8",
        "10.0.0.0/8",
        "100.64.0.0/10",
        "127.0.0.0/8",
        "168.63.129.16/32",  # a cloud's host agent on a public-looking address
        "169.254.0.0/16",
        "172.16.0.0/12",
        "192.0.0.0/24",
        "192.0.2.0/24",
        "192.88.99.0/24",
        "192.168.0.0/16",
        "198.18.0.0/15",
        "198.51.100.0/24",
        "203.0.113.0/24",
        "224.0.0.0/4",
        "240.0.0.0/4",
    )
)
# Of IPv6 only global unicast is open; mapped, NAT64, ULA, link-local, multicast and the rest lie outside it.
_OPEN_V6 = ipaddress.IPv6Network("2000::/3")
_CLOSED_V6 = tuple(
    ipaddress.IPv6Network(n) for n in ("2001::/23", "2001:db8::/32", "2002::/16", "2620:4f:8000::/48", "3fff::/20")
)
# Ports of mail and shells: a crafted body would be read there as commands.
_CLOSED_PORTS = frozenset(
    {1, 7, 9, 11, 13, 19, 21, 22, 23, 25, 53, 79, 110, 111, 119, 143, 389, 465, 514, 587, 993, 995}
)
_HOST = re.compile(r"[A-Za-z0-9._-]+\Z|[0-9A-Fa-f:.]+\Z")
# Own threads: a name server that never answers must not hold up whatever else runs in threads.
_resolvers = ThreadPoolExecutor(max_workers=8, thread_name_prefix="resolve")


def is_public(address: Address) -> bool:
    """Whether the address is one that anybody on the internet can reach; every special range is not."""
    if isinstance(address, ipaddress.IPv4Address):
        return not any(address in network for network in _CLOSED_V4)
    return address in _OPEN_V6 and not any(address in network for network in _CLOSED_V6)


@dataclass(frozen=True, slots=True)
class Target:
    """One checked hop: where to connect, and what to call it. `addresses` hold only permitted ones."""

    url: httpx.URL
    host: str
    port: int
    addresses: tuple[str, ...]

    @property
    def host_header(self) -> str:
        """The Host header: the name of the URL, never the address."""
        return self.url.netloc.decode("ascii")

    def at(self, address: str) -> str:
        """The URL with the host replaced by an address that was checked."""
        return str(self.url.copy_with(host=address, fragment=None))


class Guard:
    """Says where a URL may lead.

    `allow` opens exceptions for development and tests: `host:port` (the host as written in the URL) or an
    address or network such as `127.0.0.1` or `10.1.0.0/16`. ValueError when an entry is neither.
    """

    def __init__(self, allow: Iterable[str] = (), *, resolve: Resolve | None = None) -> None:
        self._hosts: set[tuple[str, int]] = set()
        self._networks: list[Network] = []
        self._resolve = resolve or _system_resolve
        for entry in allow:
            self._allow(entry.strip())

    def _allow(self, entry: str) -> None:
        with contextlib.suppress(ValueError):
            self._networks.append(ipaddress.ip_network(entry))
            return
        host, _, port = entry.rpartition(":")
        if not host or not port.isdecimal() or not 0 < int(port) < 65536:
            raise ValueError(f"{entry!r} is neither host:port nor an address nor a network")
        self._hosts.add((host.strip("[]").lower(), int(port)))

    def parse(self, text: str) -> httpx.URL:
        """The URL, when its form is one that may be called at all; no look-up happens here."""
        if len(text) > MAX_URL:
            raise refused("bad_url", "the URL is too long")
        try:
            url = httpx.URL(text)
            host, port = url.raw_host.decode("ascii"), url.port
        except (httpx.InvalidURL, UnicodeError, ValueError, TypeError) as error:
            raise refused("bad_url", "this is not a URL that can be called") from error
        if url.scheme not in ("http", "https"):
            raise refused("bad_url", "only http and https URLs can be called")
        if url.userinfo:
            raise refused("bad_url", "a user name or password in the URL is not accepted")
        if port == 0 or not _HOST.match(host):
            raise refused("bad_url", "the URL names no host that can be called")
        return url

    async def check(self, url: httpx.URL) -> Target:
        """Resolve the host once and refuse unless every address it has may be reached."""
        host = url.raw_host.decode("ascii").lower()
        port = url.port or (443 if url.scheme == "https" else 80)
        named = (host, port) in self._hosts
        if port in _CLOSED_PORTS and not named:
            raise refused("blocked_address", f"port {port} is not one for web requests")
        try:
            found = await self._resolve(host, port)
        except (OSError, UnicodeError) as error:
            raise ExternalError(
                f"{host} could not be resolved", code="dns_failed", sent=False, retryable=True
            ) from error
        addresses = tuple(dict.fromkeys(found))
        if not addresses:
            raise ExternalError(f"{host} has no address", code="dns_failed", sent=False, retryable=True)
        if not named and not all(self._permitted(address) for address in addresses):
            # The addresses themselves are not told: the answer must be no map of the inner network.
            raise refused("blocked_address", f"{host} is not a public address")
        return Target(url=url, host=host, port=port, addresses=addresses)

    def _permitted(self, text: str) -> bool:
        try:
            address = ipaddress.ip_address(text.partition("%")[0])
        except ValueError:
            return False
        if any(address in network for network in self._networks):
            return True
        return "%" not in text and is_public(address)


async def _system_resolve(host: str, port: int) -> list[str]:
    found = await asyncio.get_running_loop().run_in_executor(
        _resolvers, lambda: socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    )
    return [str(item[4][0]) for item in found]


def refused(code: str, message: str) -> ExternalError:
    """What is not even tried."""
    return ExternalError(message, code=code, sent=False)
