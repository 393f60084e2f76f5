"""The guarded way out, over real sockets."""

import asyncio
import contextlib
import datetime as dt
import gzip
import ipaddress
import ssl
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from connectors.guard import Guard, is_public
from connectors.http import GuardedHttp
from domain.outside import ExternalError

Handler = Callable[[bytes, asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
LOOPBACK = ["127.0.0.0/8"]


@contextlib.asynccontextmanager
async def serve(handler: Handler, *, tls: ssl.SSLContext | None = None) -> AsyncIterator[tuple[int, list[bytes]]]:
    """A raw HTTP server: hands the head of each request (and its body) to the handler."""
    seen: list[bytes] = []

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            head = await reader.readuntil(b"\r\n\r\n")
            for line in head.split(b"\r\n"):
                if line.lower().startswith(b"content-length:"):
                    head += await reader.readexactly(int(line.split(b":")[1]))
            seen.append(head)
            await handler(head, reader, writer)
        with contextlib.suppress(ConnectionError):
            writer.close()

    server = await asyncio.start_server(talk, "127.0.0.1", 0, ssl=tls)
    async with server:
        yield server.sockets[0].getsockname()[1], seen


def answer(status: str = "200 OK", body: bytes = b"", **headers: str) -> Handler:
    async def handle(head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}"]
        lines += [f"{k.replace('_', '-')}: {v}" for k, v in headers.items()]
        writer.write("\r\n".join([*lines, "", ""]).encode() + body)
        await writer.drain()

    return handle


async def failure(http: GuardedHttp, method: str, url: str, **more: object) -> ExternalError:
    with pytest.raises(ExternalError) as caught:
        await http.request(method, url, **more)  # type: ignore[arg-type]
    return caught.value


# --- addresses ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "address",
    """0.0.0.0 10.1.2.3 100.64.0.1 100.100.100.200 127.0.0.1 127.255.0.1 168.63.129.16 169.254.169.254 172.16.0.1
    172.31.255.255 192.0.0.192 192.0.2.1 192.88.99.1 192.168.1.1 198.18.0.1 198.51.100.1 203.0.113.9 224.0.0.1
    239.255.255.250 240.0.0.1 255.255.255.255 :: ::1 ::7f00:1 ::ffff:127.0.0.1 ::ffff:8.8.8.8 64:ff9b::7f00:1
    64:ff9b:1::1 100::1 2001::1 2001:db8::1 2002:7f00:1:: 3fff::1 5f00::1 fc00::1 fd00:ec2::254 fe80::1 fec0::1
    ff02::1""".split(),  # noqa: SIM905
)
def test_special_addresses_are_not_public(address: str) -> None:
    assert not is_public(ipaddress.ip_address(address))


@pytest.mark.parametrize("address", ["8.8.8.8", "172.32.0.1", "100.128.0.1", "2606:4700::1111", "2a00:1450:4001::1"])
def test_ordinary_addresses_are_public(address: str) -> None:
    assert is_public(ipaddress.ip_address(address))


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1/",
        "http://127.1/",
        "http://2130706433/",
        "http://0x7f.0.0.1/",
        "http://0177.0.0.1/",
        "http://localhost/",
        "http://localhost./",
        "http://[::1]/",
        "http://[::ffff:127.0.0.1]/",
        "http://[::ffff:7f00:1]/",
        "http://[64:ff9b::7f00:1]/",
        "http://[fe80::1%25lo]/",
        "http://0/",
        "http://①②⑦.0.0.1/",
        "http://169.254.169.254/latest/meta-data/",
        "http://8.8.8.8:25/",
    ],
)
async def test_inner_addresses_are_refused_in_every_spelling(url: str) -> None:
    error = await failure(GuardedHttp(), "GET", url)
    assert error.code in ("blocked_address", "bad_url", "dns_failed")
    assert error.sent is False


async def test_the_refusal_tells_no_address() -> None:
    async def resolve(host: str, port: int) -> list[str]:
        return ["10.9.8.7"]

    error = await failure(GuardedHttp(resolve=resolve), "GET", "http://inner.example/")
    assert error.code == "blocked_address"
    assert "10.9.8.7" not in str(error)


async def test_one_inner_address_among_public_ones_is_enough_to_refuse() -> None:
    async def resolve(host: str, port: int) -> list[str]:
        return ["8.8.8.8", "192.168.0.5"]

    assert (await failure(GuardedHttp(resolve=resolve), "GET", "http://mixed.example/")).code == "blocked_address"


@pytest.mark.parametrize(
    "url",
    ["ftp://example.com/", "file:///etc/passwd", "http://", "http:///x", "http://user:pw@example.com/", "//x", "x",
     "http://example.com:0/", "http://exa mple.com/", "http://[::1/", "javascript:alert(1)", "http://a\x00b/", "http://a/" + "b" * 5000],
)  # fmt: skip
async def test_bad_urls(url: str) -> None:
    error = await failure(GuardedHttp(), "GET", url)
    assert error.code == "bad_url"
    assert error.sent is False


async def test_a_name_without_address() -> None:
    async def resolve(host: str, port: int) -> list[str]:
        raise OSError("no such name")

    error = await failure(GuardedHttp(resolve=resolve), "GET", "http://nowhere.example/")
    assert (error.code, error.sent) == ("dns_failed", False)


def test_the_allow_list_names_its_mistakes() -> None:
    for bad in ("example.com", "host:99999", ":80", "http://x"):
        with pytest.raises(ValueError, match="neither"):
            Guard([bad])


# --- pinning --------------------------------------------------------------------------------------


async def test_the_connection_goes_to_the_address_that_was_checked() -> None:
    """A name that changes after the check (rebinding) cannot move the connection."""
    asked = []

    async with serve(answer(body=b"checked")) as (port, seen):

        async def resolve(host: str, port: int) -> list[str]:
            asked.append(host)
            return ["127.0.0.1"] if len(asked) == 1 else ["127.0.0.99"]

        http = GuardedHttp(allow=LOOPBACK, resolve=resolve)
        got = await http.request("GET", f"http://Rebind.Example:{port}/a?b=c#d")
    assert got.body == b"checked"
    assert asked == ["rebind.example"]
    assert f"host: rebind.example:{port}".encode() in seen[0].lower()
    assert seen[0].startswith(b"GET /a?b=c HTTP/1.1\r\n")


async def test_a_dead_address_is_followed_by_the_next() -> None:
    async with serve(answer(body=b"second")) as (port, _):

        async def resolve(host: str, port: int) -> list[str]:
            return ["127.0.0.2", "127.0.0.1"]

        got = await GuardedHttp(allow=LOOPBACK, resolve=resolve).request(
            "POST", f"http://two.example:{port}/", content=b"x"
        )
    assert got.body == b"second"


def certificate(folder: Path, name: str) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """A server context for `name`, and a client context that trusts it."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = dt.datetime.now(dt.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = folder / "server.pem"
    pem.write_bytes(
        made.public_bytes(serialization.Encoding.PEM)
        + key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(pem)
    return server, ssl.create_default_context(cadata=made.public_bytes(serialization.Encoding.PEM).decode())


async def test_tls_is_checked_against_the_name_and_not_the_address(tmp_path: Path) -> None:
    server, client = certificate(tmp_path, "secure.example")
    names = []
    server.sni_callback = lambda _sock, name, _context: names.append(name)

    async def resolve(host: str, port: int) -> list[str]:
        return ["127.0.0.1"]

    async with serve(answer(body=b"over tls"), tls=server) as (port, _):
        http = GuardedHttp(allow=LOOPBACK, resolve=resolve, ssl_context=client)
        assert (await http.request("GET", f"https://secure.example:{port}/")).body == b"over tls"
        assert names == ["secure.example"]
        error = await failure(http, "POST", f"https://other.example:{port}/", content=b"secret")
        assert (error.code, error.sent) == ("connect_failed", False)
        assert "TLS" in str(error)


async def test_proxies_of_the_environment_are_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    async with serve(answer(body=b"direct")) as (port, _):
        assert (await GuardedHttp(allow=LOOPBACK).request("GET", f"http://127.0.0.1:{port}/")).body == b"direct"


# --- redirects ------------------------------------------------------------------------------------


async def test_every_redirect_is_checked_again() -> None:
    async with serve(answer("302 Found", location="http://169.254.169.254/latest/")) as (port, _):
        http = GuardedHttp(allow=[f"127.0.0.1:{port}"])
        error = await failure(http, "GET", f"http://127.0.0.1:{port}/")
    assert error.code == "blocked_address"
    assert error.sent is True


@pytest.mark.parametrize("location", ["ftp://x/", "http://u:p@x/", "file:///etc/passwd", "http://["])
async def test_redirects_to_bad_urls(location: str) -> None:
    async with serve(answer("302 Found", location=location)) as (port, _):
        error = await failure(GuardedHttp(allow=LOOPBACK), "GET", f"http://127.0.0.1:{port}/")
    assert error.code == "bad_url"


async def test_redirects_end() -> None:
    async with serve(answer("302 Found", location="/again")) as (port, seen):
        error = await failure(GuardedHttp(allow=LOOPBACK), "GET", f"http://127.0.0.1:{port}/")
    assert error.code == "too_many_redirects"
    assert len(seen) == 6


async def test_credentials_do_not_cross_origins() -> None:
    async with (
        serve(answer(body=b"end")) as (there, seen_there),
        serve(answer("302 Found", location=f"http://127.0.0.1:{there}/x")) as (here, seen_here),
    ):
        got = await GuardedHttp(allow=LOOPBACK).request(
            "GET",
            f"http://127.0.0.1:{here}/",
            headers={"Authorization": "Bearer s3cret", "Cookie": "a=s3cret", "X-Api-Key": "s3cret", "Accept": "text/x"},
        )
    assert got.url == f"http://127.0.0.1:{there}/x"
    assert seen_here[0].count(b"s3cret") == 3
    assert b"s3cret" not in seen_there[0]
    assert b"text/x" in seen_there[0]


async def test_credentials_stay_within_an_origin() -> None:
    async def handle(head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        first = head.startswith(b"GET / ")
        await answer("302 Found" if first else "200 OK", location="/next")(head, reader, writer)

    async with serve(handle) as (port, seen):
        await GuardedHttp(allow=LOOPBACK).request(
            "GET", f"http://127.0.0.1:{port}/", headers={"Authorization": "Bearer s3cret"}
        )
    assert b"s3cret" in seen[1]


async def test_a_post_is_sent_again_to_the_same_origin_only() -> None:
    async with (
        serve(answer(body=b"end")) as (there, seen_there),
        serve(answer("307 Temporary Redirect", location=f"http://127.0.0.1:{there}/x")) as (here, _),
    ):
        got = await GuardedHttp(allow=LOOPBACK).request("POST", f"http://127.0.0.1:{here}/", content=b"payload")
    assert got.status == 307
    assert seen_there == []

    async def handle(head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        first = head.startswith(b"POST / ")
        await answer("308 Permanent Redirect" if first else "200 OK", location="/next")(head, reader, writer)

    async with serve(handle) as (port, seen):
        got = await GuardedHttp(allow=LOOPBACK).request("POST", f"http://127.0.0.1:{port}/", content=b"payload")
    assert got.status == 200
    assert [head.endswith(b"payload") for head in seen] == [True, True]


async def test_after_303_the_body_is_dropped() -> None:
    async def handle(head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        first = head.startswith(b"POST / ")
        await answer("303 See Other" if first else "200 OK", location="/next")(head, reader, writer)

    async with serve(handle) as (port, seen):
        await GuardedHttp(allow=LOOPBACK).request(
            "POST", f"http://127.0.0.1:{port}/", content=b"payload", headers={"content-type": "text/plain"}
        )
    assert seen[1].startswith(b"GET /next ")
    assert b"payload" not in seen[1]
    assert b"content-type" not in seen[1].lower()


# --- sizes ----------------------------------------------------------------------------------------


async def test_the_size_cap() -> None:
    async with serve(answer(body=b"x" * 5000)) as (port, _):
        http = GuardedHttp(allow=LOOPBACK)
        exact = await http.request("GET", f"http://127.0.0.1:{port}/", max_bytes=5000)
        cut = await http.request("GET", f"http://127.0.0.1:{port}/", max_bytes=4999)
    assert (len(exact.body), exact.truncated) == (5000, False)
    assert (len(cut.body), cut.truncated) == (4999, True)


async def test_a_body_without_end_is_cut() -> None:
    async def handle(head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        while True:
            writer.write(b"y" * 65536)
            await writer.drain()

    async with serve(handle) as (port, _):
        got = await GuardedHttp(allow=LOOPBACK).request("GET", f"http://127.0.0.1:{port}/", max_bytes=100_000)
    assert (len(got.body), got.truncated) == (100_000, True)


async def test_compressed_bodies() -> None:
    text = b"hello " * 100
    raw = zlib.compressobj(wbits=-15)
    for encoding, body in (
        ("gzip", gzip.compress(text)),
        ("deflate", zlib.compress(text)),
        ("deflate", raw.compress(text) + raw.flush()),
    ):
        async with serve(answer(body=body, content_encoding=encoding)) as (port, _):
            got = await GuardedHttp(allow=LOOPBACK).request("GET", f"http://127.0.0.1:{port}/")
        assert got.body == text
        assert not got.truncated
        assert "content-encoding" not in got.headers


async def test_a_bomb_stops_at_the_cap() -> None:
    bomb = gzip.compress(b"\0" * 200_000_000)
    assert len(bomb) < 300_000
    async with serve(answer(body=bomb, content_encoding="gzip")) as (port, _):
        got = await GuardedHttp(allow=LOOPBACK).request("GET", f"http://127.0.0.1:{port}/", max_bytes=50_000)
    assert (len(got.body), got.truncated) == (50_000, True)


async def test_a_broken_encoding_is_a_cut_answer() -> None:
    async with serve(answer(body=b"not gzip", content_encoding="gzip")) as (port, _):
        got = await GuardedHttp(allow=LOOPBACK).request("GET", f"http://127.0.0.1:{port}/")
    assert (got.status, got.body, got.truncated) == (200, b"", True)


# --- what reached the other side ------------------------------------------------------------------


async def test_a_refused_connection_has_sent_nothing() -> None:
    async with serve(answer()) as (port, _):
        pass
    error = await failure(GuardedHttp(allow=LOOPBACK), "POST", f"http://127.0.0.1:{port}/", content=b"x")
    assert (error.code, error.sent, error.retryable) == ("connect_failed", False, True)


async def test_a_timeout_after_the_request_may_have_happened() -> None:
    async def handle(head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()

    async with serve(handle) as (port, seen):
        error = await failure(GuardedHttp(allow=LOOPBACK), "POST", f"http://127.0.0.1:{port}/", content=b"x", timeout=3)
    assert (error.code, error.sent) == ("timeout", True)
    assert len(seen) == 1


async def test_a_timeout_before_the_connection_has_sent_nothing() -> None:
    async def resolve(host: str, port: int) -> list[str]:
        await asyncio.sleep(30)
        return []

    error = await failure(GuardedHttp(resolve=resolve), "POST", "http://slow.example/", content=b"x", timeout=0.1)
    assert (error.code, error.sent) == ("timeout", False)


async def test_a_drip_fed_answer_meets_the_total_timeout() -> None:
    async def handle(head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        while True:
            writer.write(b".")
            await writer.drain()
            await asyncio.sleep(0.05)

    async with serve(handle) as (port, _):
        error = await failure(GuardedHttp(allow=LOOPBACK), "GET", f"http://127.0.0.1:{port}/", timeout=0.4)
    assert error.code == "timeout"


@pytest.mark.parametrize("said", [b"", b"HTTP/1.1 20", b"SSH-2.0-OpenSSH\r\n\r\n"])
async def test_a_connection_that_breaks_off(said: bytes) -> None:
    async def handle(head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(said)
        await writer.drain()

    async with serve(handle) as (port, _):
        error = await failure(GuardedHttp(allow=LOOPBACK), "POST", f"http://127.0.0.1:{port}/", content=b"x")
    assert (error.code, error.sent) == ("protocol_error", True)


async def test_a_cut_body_is_an_answer_to_a_post_and_a_failure_of_a_get() -> None:
    async def handle(head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 201 Created\r\nContent-Length: 100\r\n\r\npart")
        await writer.drain()

    async with serve(handle) as (port, _):
        http = GuardedHttp(allow=LOOPBACK)
        got = await http.request("POST", f"http://127.0.0.1:{port}/", content=b"x")
        assert (got.status, got.body, got.truncated) == (201, b"part", True)
        assert (await failure(http, "GET", f"http://127.0.0.1:{port}/")).code == "protocol_error"


@pytest.mark.parametrize(
    "headers", [{"X": "a\r\nY: b"}, {"X\r\n": "a"}, {"Host": "other"}, {"Content-Length": "3"}, {"": "x"}, {"X": "☃"}]
)
async def test_headers_cannot_be_smuggled(headers: dict[str, str]) -> None:
    async with serve(answer()) as (port, seen):
        error = await failure(GuardedHttp(allow=LOOPBACK), "GET", f"http://127.0.0.1:{port}/", headers=headers)
    assert (error.code, error.sent) == ("bad_header", False)
    assert seen == []
