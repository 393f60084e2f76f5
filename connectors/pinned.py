"""The one transport behind everything that leaves for an address somebody else may have chosen.

A request goes to an address of its host that was checked, under the name of the host: a name that resolves
differently a moment later changes nothing.
"""

import contextlib
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import httpx2

from connectors.guard import Guard, Target

CONNECT_SECONDS = 8.0
TRIED = 3
NOT_CONNECTED = (httpx2.ConnectError, httpx2.ConnectTimeout)


@dataclass(slots=True)
class Progress:
    """What is known of a call so far. `sent` turns true when the first byte of a request may have left."""

    sent: bool = False

    async def trace(self, event: str, info: Mapping[str, Any]) -> None:
        """The request extension `trace` of a request that acts."""
        del info
        if event.endswith("send_request_headers.started"):
            self.sent = True


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
        return await self.send(request, await self._guard.check(self._guard.parse(str(request.url))))

    async def send(self, request: httpx2.Request, target: Target) -> httpx2.Response:
        """Try the checked addresses in turn: a failed connect has sent nothing."""
        request.headers["host"] = target.host_header
        request.extensions = {**request.extensions, "sni_hostname": target.host.rstrip(".")}
        *others, last = target.addresses[:TRIED]
        for address in others:
            request.url = target.at(address)
            with contextlib.suppress(*NOT_CONNECTED):
                return await self._inner.handle_async_request(request)
        request.url = target.at(last)
        return await self._inner.handle_async_request(request)

    async def aclose(self) -> None:
        """Close the connections."""
        await self._inner.aclose()
