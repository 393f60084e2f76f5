"""Requests to the web as tasks make them: guarded, pinned, size-capped, with redirects through the same gate.

Each request has its own connection: nothing of one call can leak into another.
"""

import asyncio
import contextlib
import re
import ssl
import zlib
from collections.abc import AsyncIterator, Iterable, Mapping
from typing import Any

import httpx

from connectors.guard import MAX_URL, Guard, Resolve, Target, refused
from connectors.pinned import CONNECT_SECONDS, Progress, send_pinned
from domain.outside import ExternalError
from domain.ports import HttpAnswer

MAX_REDIRECTS = 5
USER_AGENT = "Pilot/0.1"
# Kept when a redirect leads to another origin; anything else a caller set may be a credential.
_HARMLESS_HEADERS = frozenset({"accept", "accept-language", "user-agent"})
_OWN_HEADERS = frozenset(
    {"host", "content-length", "transfer-encoding", "connection", "keep-alive", "te", "trailer", "upgrade"}
    | {"proxy-authorization", "proxy-connection", "expect", "accept-encoding"}
)
_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,100}\Z")
_HEADER_VALUE = re.compile(r"[\t\x20-\x7e\x80-\xff]{0,8000}\Z")
_METHOD = re.compile(r"(GET|HEAD|POST|PUT|PATCH|DELETE|OPTIONS)\Z")
_REDIRECTS = frozenset({301, 302, 303, 307, 308})


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
        progress = Progress()
        sending = _headers(headers)
        if not _METHOD.match(method):
            raise refused("bad_url", "this method is not supported")
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
        progress: Progress,
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
        self, method: str, url: httpx.URL, response: httpx.Response, progress: Progress
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
        self, method: str, target: Target, headers: Mapping[str, str], content: bytes | None, progress: Progress
    ) -> AsyncIterator[httpx.Response]:
        if self._ssl is None:
            self._ssl = await asyncio.to_thread(ssl.create_default_context)
        request = httpx.Request(
            method,
            target.url,
            headers={
                "user-agent": USER_AGENT,
                "accept": "*/*",
                **headers,
                "accept-encoding": "gzip, deflate",
                "connection": "close",
            },
            content=content,
            extensions={
                "trace": progress.trace,
                "timeout": {"connect": CONNECT_SECONDS, "read": None, "write": None, "pool": None},
            },
        )
        alone = httpx.Limits(max_keepalive_connections=0)
        async with httpx.AsyncHTTPTransport(verify=self._ssl, trust_env=False, retries=0, limits=alone) as transport:
            try:
                response: httpx.Response = await send_pinned(transport, request, target)
            except httpx.TransportError as error:
                raise _as_outside(error, progress) from error
            try:
                yield response
            except httpx.TransportError as error:
                raise _as_outside(error, progress) from error
            finally:
                await response.aclose()


def _headers(given: Mapping[str, str] | None) -> dict[str, str]:
    headers: dict[str, str] = {}
    for name, value in (given or {}).items():
        if not _HEADER_NAME.match(name) or not _HEADER_VALUE.match(value):
            raise refused("bad_header", f"the header {name[:50]!r} cannot be sent")
        if name.lower() in _OWN_HEADERS:
            raise refused("bad_header", f"the header {name} is set by the connection itself")
        headers[name.lower()] = value
    return headers


def _same_origin(a: httpx.URL, b: httpx.URL) -> bool:
    return (a.scheme, a.raw_host.lower(), _port(a)) == (b.scheme, b.raw_host.lower(), _port(b))


def _port(url: httpx.URL) -> int:
    return url.port or (443 if url.scheme == "https" else 80)


def _as_outside(error: httpx.TransportError, progress: Progress) -> ExternalError:
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
