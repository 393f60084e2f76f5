"""How everything leaves that goes to an address somebody else may have chosen.

A request goes to an address of its host that was checked, under the name of the host: a name that resolves
differently a moment later changes nothing. Web requests of tasks go over httpx; what the SDKs of models and tool
servers are handed is a transport of httpx2. Both are pinned by the same function.
"""

import contextlib
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import httpx
import httpx2

from connectors.guard import Guard, Target

CONNECT_SECONDS = 8.0
TRIED = 3
NOT_CONNECTED = (httpx.ConnectError, httpx.ConnectTimeout, httpx2.ConnectError, httpx2.ConnectTimeout)


@dataclass(slots=True)
class Progress:
    """What is known of a call so far. `sent` turns true when the first byte of a request may have left."""

    sent: bool = False

    async def trace(self, event: str, info: Mapping[str, Any]) -> None:
        """The request extension `trace` of a request that acts."""
        del info
        if event.endswith("send_request_headers.started"):
            self.sent = True


async def send_pinned(inner: Any, request: Any, target: Target) -> Any:
    """Send over a transport of either library, to one checked address after the other: a failed one got nothing."""
    url = type(request.url)
    request.headers["host"] = target.host_header
    request.extensions = {**request.extensions, "sni_hostname": target.host.rstrip(".")}
    *others, last = target.addresses[:TRIED]
    for address in others:
        request.url = url(target.at(address))
        with contextlib.suppress(*NOT_CONNECTED):
            return await inner.handle_async_request(request)
    request.url = url(target.at(last))
    return await inner.handle_async_request(request)


class PinnedTransport(httpx2.AsyncBaseTransport):
    """Connects to checked addresses only, without proxies of the environment.

    `keep` connections for the next request to the same address. Redirects are not followed here.
    """

    def __init__(self, guard: Guard, *, tls: ssl.SSLContext | None = None, keep: bool = False) -> None:
        self._guard = guard
        self._inner = httpx2.AsyncHTTPTransport(
            verify=True if tls is None else tls,
            trust_env=False,
            http2=False,
            retries=0,
            limits=httpx2.Limits(max_keepalive_connections=20 if keep else 0),
        )

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """The answer of the host in the URL. ExternalError where the guard refuses it."""
        target = await self._guard.check(self._guard.parse(str(request.url)))
        response: httpx2.Response = await send_pinned(self._inner, request, target)
        return response

    async def aclose(self) -> None:
        """Close the connections."""
        await self._inner.aclose()
