"""The one transport behind the web, tool servers and models: the checked address, under the name of the host."""

import httpx2
import pytest

from connectors.guard import Guard
from connectors.pinned import PinnedTransport, Progress
from domain.outside import ExternalError
from tests.connectors.test_http import answer, serve

# nothing listens there
CLOSED = "127.0.0.9"


def guard(*addresses: str, port: int) -> Guard:
    async def resolve(_host: str, _port: int) -> list[str]:
        return list(addresses)

    return Guard([f"inner.test:{port}"], resolve=resolve)


@pytest.mark.parametrize("addresses", [["127.0.0.1"], [CLOSED, "127.0.0.1"], [CLOSED, CLOSED, "127.0.0.1"]])
async def test_the_first_address_that_takes_a_connection_is_asked_by_the_name_of_the_host(addresses: list[str]) -> None:
    async with serve(answer(body=b"yes")) as (port, seen):
        progress = Progress()
        async with httpx2.AsyncClient(transport=PinnedTransport(guard(*addresses, port=port))) as client:
            got = await client.post(
                f"http://inner.test:{port}/a?b=c", content=b"deed", extensions={"trace": progress.trace}
            )
        assert got.content == b"yes"
        assert progress.sent
        assert len(seen) == 1
        head = seen[0].decode().lower()
        assert head.startswith("post /a?b=c http/1.1")
        assert f"host: inner.test:{port}\r\n" in head
        assert head.endswith("deed")


async def test_where_nothing_connects_nothing_was_sent() -> None:
    progress = Progress()
    async with httpx2.AsyncClient(transport=PinnedTransport(guard(CLOSED, CLOSED, port=9001))) as client:
        with pytest.raises(httpx2.ConnectError):
            await client.post("http://inner.test:9001/", content=b"x", extensions={"trace": progress.trace})
    assert not progress.sent


@pytest.mark.parametrize(
    ("url", "code"),
    [
        ("http://169.254.169.254/latest", "blocked_address"),
        ("http://127.0.0.1/", "blocked_address"),
        ("http://user@example.org/", "bad_url"),
        ("ftp://example.org/", "bad_url"),
    ],
)
@pytest.mark.parametrize("keep", [False, True])
async def test_what_the_guard_refuses_is_not_connected_to(url: str, code: str, keep: bool) -> None:
    progress = Progress()
    transport = PinnedTransport(Guard(), keep=keep)
    with pytest.raises(ExternalError) as caught:
        await transport.handle_async_request(httpx2.Request("GET", url, extensions={"trace": progress.trace}))
    assert (caught.value.code, caught.value.sent, progress.sent) == (code, False, False)
    await transport.aclose()


async def test_redirects_are_left_to_whoever_asked() -> None:
    async with serve(answer("302 Found", location="http://169.254.169.254/")) as (port, seen):
        async with httpx2.AsyncClient(transport=PinnedTransport(guard("127.0.0.1", port=port))) as client:
            got = await client.get(f"http://inner.test:{port}/")
        assert (got.status_code, len(seen)) == (302, 1)


async def test_proxies_of_the_environment_are_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    async with serve(answer(body=b"straight")) as (port, _):
        transport = PinnedTransport(guard("127.0.0.1", port=port))
        got = await transport.handle_async_request(httpx2.Request("GET", f"http://inner.test:{port}/"))
        assert await got.aread() == b"straight"
        await transport.aclose()
