"""The guarded way out to the web: the only place that opens sockets to addresses a task may name.

A URL in a task is chosen by somebody who may not be trusted, so a host is resolved once, every address of
it is checked, and the connection goes to the very address that was checked (a name that resolves
differently a moment later changes nothing). Redirects walk through the same gate. Each request has its own
connection: nothing of one call can leak into another.
"""

import asyncio
import contextlib
import ipaddress
import re
import socket
import ssl
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import httpx

from domain.outside import ExternalError
from domain.ports import HttpAnswer

MAX_REDIRECTS = 5
MAX_URL = 4000
CONNECT_SECONDS = 8.0
USER_AGENT = "Pilot/0.1"

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
# Kept when a redirect leads to another origin; anything else a caller set may be a credential.
_HARMLESS_HEADERS = frozenset({"accept", "accept-language", "user-agent"})
_OWN_HEADERS = frozenset(
    {"host", "content-length", "transfer-encoding", "connection", "keep-alive", "te", "trailer", "upgrade"}
    | {"proxy-authorization", "proxy-connection", "expect", "accept-encoding"}
)
_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,100}\Z")
_HEADER_VALUE = re.compile(r"[\t\x20-\x7e\x80-\xff]{0,8000}\Z")
_HOST = re.compile(r"[A-Za-z0-9._-]+\Z|[0-9A-Fa-f:.]+\Z")
# Own threads: a name server that never answers must not hold up whatever else runs in threads.
_resolvers = ThreadPoolExecutor(max_workers=8, thread_name_prefix="resolve")
_METHOD = re.compile(r"(GET|HEAD|POST|PUT|PATCH|DELETE|OPTIONS)\Z")
_REDIRECTS = frozenset({301, 302, 303, 307, 308})


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

    def at(self, address: str) -> httpx.URL:
        """The URL with the host replaced by an address that was checked."""
        return self.url.copy_with(host=address, fragment=None)


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
            raise _refused("bad_url", "the URL is too long")
        try:
            url = httpx.URL(text)
            host, port = url.raw_host.decode("ascii"), url.port
        except (httpx.InvalidURL, UnicodeError, ValueError, TypeError) as error:
            raise _refused("bad_url", "this is not a URL that can be called") from error
        if url.scheme not in ("http", "https"):
            raise _refused("bad_url", "only http and https URLs can be called")
        if url.userinfo:
            raise _refused("bad_url", "a user name or password in the URL is not accepted")
        if port == 0 or not _HOST.match(host):
            raise _refused("bad_url", "the URL names no host that can be called")
        return url

    async def check(self, url: httpx.URL) -> Target:
        """Resolve the host once and refuse unless every address it has may be reached."""
        host = url.raw_host.decode("ascii").lower()
        port = url.port or (443 if url.scheme == "https" else 80)
        named = (host, port) in self._hosts
        if port in _CLOSED_PORTS and not named:
            raise _refused("blocked_address", f"port {port} is not one for web requests")
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
            raise _refused("blocked_address", f"{host} is not a public address")
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


def _refused(code: str, message: str) -> ExternalError:
    return ExternalError(message, code=code, sent=False)


@dataclass(slots=True)
class _Progress:
    """What is known of the call so far. `sent` turns true when the first byte of a request may have left."""

    sent: bool = False

    async def trace(self, event: str, info: Mapping[str, Any]) -> None:
        del info
        if event.endswith("send_request_headers.started"):
            self.sent = True


class GuardedHttp:
    """`domain.ports.Http` over httpx: public addresses only, size-capped, timed out, no environment proxies.

    Raises ExternalError with one of these codes: `bad_url`, `bad_header`, `blocked_address`, `dns_failed`,
    `connect_failed`, `timeout`, `too_many_redirects`, `protocol_error`.
    """

    def __init__(
        self, *, allow: Iterable[str] = (), resolve: Resolve | None = None, ssl_context: ssl.SSLContext | None = None
    ) -> None:
        self._guard = Guard(allow, resolve=resolve)
        self._ssl = ssl_context

    async def request(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        content: bytes | None = None,
        max_bytes: int = 1_000_000,
        timeout: float = 20.0,
        follow: bool = True,
    ) -> HttpAnswer:
        """Call `url`. `timeout` (seconds) is for the whole of it, redirects and body included.

        At most `max_bytes` of the decoded body are kept. GET and HEAD follow up to 5 redirects; a POST is sent
        again (307, 308) to the same origin only, otherwise the redirect itself is the answer, as it always is
        without `follow`.
        """
        progress = _Progress()
        sending = _headers(headers)
        if not _METHOD.match(method):
            raise _refused("bad_url", "this method is not supported")
        try:
            async with asyncio.timeout(timeout):
                return await self._follow(
                    method,
                    self._guard.parse(url),
                    headers=sending,
                    content=content,
                    max_bytes=max_bytes,
                    progress=progress,
                    follow=follow,
                )
        except TimeoutError as error:
            raise ExternalError(
                f"no answer within {timeout:g} seconds", code="timeout", sent=progress.sent, retryable=True
            ) from error

    async def _follow(
        self,
        method: str,
        url: httpx.URL,
        *,
        headers: dict[str, str],
        content: bytes | None,
        max_bytes: int,
        progress: _Progress,
        follow: bool,
    ) -> HttpAnswer:
        for _ in range(MAX_REDIRECTS + 1):
            try:
                target = await self._guard.check(url)
            except ExternalError as error:
                # After a hop something did reach the other side, whatever stops the next one.
                error.sent = progress.sent
                raise
            async with self._send(method, target, headers, content, progress) as response:
                step = self._redirect(method, url, response, progress) if follow else None
                if step is None:
                    return await _answer(method, url, response, max_bytes)
            new_method, new_url = step
            if not _same_origin(url, new_url):
                headers = {k: v for k, v in headers.items() if k in _HARMLESS_HEADERS}
            if new_method != method:
                content = None
                headers = {k: v for k, v in headers.items() if not k.startswith("content-")}
            method, url = new_method, new_url
        raise ExternalError(f"more than {MAX_REDIRECTS} redirects", code="too_many_redirects", sent=progress.sent)

    def _redirect(
        self, method: str, url: httpx.URL, response: httpx.Response, progress: _Progress
    ) -> tuple[str, httpx.URL] | None:
        """The next hop, None when this answer is the last one."""
        location = response.headers.get("location", "")
        if response.status_code not in _REDIRECTS or not location:
            return None
        if len(location) > MAX_URL:
            raise ExternalError("redirected to a bad URL", code="bad_url", sent=progress.sent)
        try:
            new = self._guard.parse(str(url.join(location.strip())))
        except (ExternalError, httpx.InvalidURL, ValueError) as error:
            raise ExternalError("redirected to a bad URL", code="bad_url", sent=progress.sent) from error
        if method in ("GET", "HEAD"):
            return method, new
        if response.status_code in (307, 308):
            # What was approved for one place is not sent to another.
            return (method, new) if _same_origin(url, new) else None
        return "GET", new

    @contextlib.asynccontextmanager
    async def _send(
        self, method: str, target: Target, headers: Mapping[str, str], content: bytes | None, progress: _Progress
    ) -> AsyncIterator[httpx.Response]:
        if self._ssl is None:
            self._ssl = await asyncio.to_thread(ssl.create_default_context)
        transport = httpx.AsyncHTTPTransport(
            verify=self._ssl, trust_env=False, http2=False, retries=0, limits=httpx.Limits(max_keepalive_connections=0)
        )
        async with transport:
            response = await self._connect(
                transport, method, target, headers=headers, content=content, progress=progress
            )
            try:
                yield response
            except httpx.TransportError as error:
                raise _as_outside(error, progress) from error
            finally:
                await response.aclose()

    async def _connect(
        self,
        transport: httpx.AsyncHTTPTransport,
        method: str,
        target: Target,
        *,
        headers: Mapping[str, str],
        content: bytes | None,
        progress: _Progress,
    ) -> httpx.Response:
        """Try the checked addresses in turn: a failed connect has sent nothing."""
        last: ExternalError | None = None
        already = progress.sent
        for address in target.addresses[:3]:
            request = httpx.Request(
                method,
                target.at(address),
                headers={
                    "user-agent": USER_AGENT,
                    "accept": "*/*",
                    **headers,
                    "accept-encoding": "gzip, deflate",
                    "connection": "close",
                    "host": target.host_header,
                },
                content=content,
                extensions={
                    "sni_hostname": target.host.rstrip("."),
                    "trace": progress.trace,
                    "timeout": {"connect": CONNECT_SECONDS, "read": None, "write": None, "pool": None},
                },
            )
            try:
                return await transport.handle_async_request(request)
            except httpx.TransportError as error:
                last = _as_outside(error, progress)
                if progress.sent and not already:
                    raise last from error
                if last.code not in ("connect_failed", "timeout"):
                    raise last from error
        assert last is not None
        raise last


def _headers(given: Mapping[str, str] | None) -> dict[str, str]:
    headers: dict[str, str] = {}
    for name, value in (given or {}).items():
        if not _HEADER_NAME.match(name) or not _HEADER_VALUE.match(value):
            raise _refused("bad_header", f"the header {name[:50]!r} cannot be sent")
        if name.lower() in _OWN_HEADERS:
            raise _refused("bad_header", f"the header {name} is set by the connection itself")
        headers[name.lower()] = value
    return headers


def _same_origin(a: httpx.URL, b: httpx.URL) -> bool:
    return (a.scheme, a.raw_host.lower(), _port(a)) == (b.scheme, b.raw_host.lower(), _port(b))


def _port(url: httpx.URL) -> int:
    return url.port or (443 if url.scheme == "https" else 80)


def _as_outside(error: httpx.TransportError, progress: _Progress) -> ExternalError:
    if isinstance(error, httpx.ConnectError | httpx.ConnectTimeout):
        timed_out = isinstance(error, httpx.ConnectTimeout)
        why = "no connection in time" if timed_out else _why_not_connected(error)
        return ExternalError(why, code="connect_failed", sent=progress.sent, retryable=True)
    if isinstance(error, httpx.TimeoutException):
        return ExternalError("no answer in time", code="timeout", sent=progress.sent, retryable=True)
    if isinstance(error, httpx.LocalProtocolError):
        return ExternalError("the request cannot be sent as it is", code="protocol_error", sent=progress.sent)
    return ExternalError(
        "the connection broke off before the answer was complete",
        code="protocol_error",
        sent=progress.sent,
        retryable=True,
    )


def _why_not_connected(error: httpx.TransportError) -> str:
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLError):
            return "the TLS certificate or handshake was not accepted"
        cause = cause.__cause__ or cause.__context__
    return "the connection was refused or failed"


async def _answer(method: str, url: httpx.URL, response: httpx.Response, max_bytes: int) -> HttpAnswer:
    headers = {name.lower(): value for name, value in response.headers.items()}
    decoder = _Decoder(headers.get("content-encoding", ""), max_bytes)
    if decoder.decodes:
        headers.pop("content-encoding", None)
        headers.pop("content-length", None)
    truncated = False
    try:
        async for chunk in response.aiter_raw():
            if not decoder.feed(chunk):
                truncated = True
                break
    except httpx.TransportError:
        # The status of a call that acts is an answer; only a reader needs the whole body.
        if method in ("GET", "HEAD"):
            raise
        truncated = True
    return HttpAnswer(
        status=response.status_code,
        headers=headers,
        body=bytes(decoder.body),
        truncated=truncated,
        url=str(url),
    )


class _Decoder:
    """Decodes gzip and deflate in bounded steps, so that a small body cannot grow without end in memory."""

    def __init__(self, encoding: str, limit: int) -> None:
        self.body = bytearray()
        self._limit = limit
        self._encoding = encoding.strip().lower()
        self.decodes = self._encoding in ("gzip", "x-gzip", "deflate")
        self._inflate: Any = None

    def feed(self, chunk: bytes) -> bool:
        """Take a piece of the body; False when the cap is reached or the encoding is broken."""
        if self.decodes:
            try:
                return self._feed_encoded(chunk)
            except zlib.error:
                return False
        return self._keep(chunk)

    def _feed_encoded(self, chunk: bytes) -> bool:
        if self._inflate is None:
            # "deflate" is zlib by the standard and raw by some servers; the first byte tells.
            raw = self._encoding == "deflate" and chunk[:1] and (chunk[0] & 0x0F) != 8
            self._inflate = zlib.decompressobj(-15 if raw else 15 if self._encoding == "deflate" else 31)
        room = self._limit + 1 - len(self.body)
        piece = self._inflate.decompress(chunk, max(room, 1))
        return self._keep(piece)

    def _keep(self, piece: bytes) -> bool:
        room = self._limit - len(self.body)
        self.body += piece[:room]
        return len(piece) <= room
