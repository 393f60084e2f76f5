"""What every request goes through, over the wire."""

import asyncio
import ipaddress
from datetime import timedelta
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import sqlalchemy as sa
import structlog
from aiohttp import web

from api import middlewares
from api.config import HttpConfig
from api.middlewares import client_ip
from api.server import ServiceHolder, create_app
from domain.clock import utc_now
from domain.ids import new_id
from storage.tables import sessions
from tests.api.harness import Harness, Person, open_house
from tests.databases import fresh_url


async def aged(harness: Harness) -> None:
    """Every session was made 25 hours ago."""
    then = utc_now() - timedelta(hours=25)
    await harness.services.store.write(lambda tx: tx.execute(sa.update(sessions).values(created_at=then)))
    harness.services.identity_cache.forget()


# --- ids, errors, headers -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "kept"),
    [("abc-1.X_9", True), ("x" * 64, True), ("x" * 65, False), ('evil"<script>', False), ("a b", False), ("", False)],
)
async def test_the_request_id_is_kept_only_when_it_is_harmless(harness: Harness, given: str, kept: bool) -> None:
    reply = await harness.ask("GET", "/api/tasks", headers={"X-Request-Id": given})
    assert (reply.headers["X-Request-Id"] == given) is kept
    assert reply.data["requestId"] == reply.headers["X-Request-Id"]


async def test_unknown_paths_are_told_only_to_those_who_are_known(harness: Harness, owner: Person) -> None:
    stranger = await harness.ask("GET", "/api/nope")
    assert (stranger.status, stranger.code) == (401, "unauthorized")
    known = await owner("GET", "/api/nope")
    assert (known.status, known.data["error"], known.code) == (404, "Not found", "not_found")
    assert (await harness.ask("GET", "/nope")).status == 404


async def test_a_wrong_method_is_told_the_right_ones(owner: Person) -> None:
    reply = await owner("PATCH", "/api/tasks")
    assert (reply.status, reply.code, reply.headers["Allow"]) == (405, "method_not_allowed", "GET, POST")


async def test_every_answer_has_the_security_headers(harness: Harness, owner: Person) -> None:
    for reply in (
        await owner("GET", "/api/tasks"),
        await harness.ask("GET", "/api/tasks"),
        await harness.ask("GET", "/"),
    ):
        assert reply.headers["X-Content-Type-Options"] == "nosniff"
        assert reply.headers["Referrer-Policy"] == "no-referrer"
        assert reply.headers["Content-Security-Policy"] == "default-src 'none'; frame-ancestors 'none'"
        assert reply.headers["Cross-Origin-Resource-Policy"] == "same-origin"
        assert "Strict-Transport-Security" not in reply.headers


async def test_only_production_promises_https(tmp_path: Path) -> None:
    async with open_house(fresh_url("sqlite", tmp_path), tmp_path, http={"production": True}) as harness:
        assert "max-age=" in (await harness.ask("GET", "/")).headers["Strict-Transport-Security"]


async def test_a_failure_of_ours_is_logged_and_says_nothing() -> None:
    def mount(app: web.Application) -> None:
        async def broken(_request: web.Request) -> web.Response:
            raise RuntimeError("the password is swordfish")

        app.router.add_get("/broken", broken)

    runner = web.AppRunner(create_app(ServiceHolder(), HttpConfig(version="0", app_url="http://x"), mount=[mount]))
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        with structlog.testing.capture_logs() as lines:
            async with (
                aiohttp.ClientSession() as session,
                session.get(f"http://127.0.0.1:{runner.addresses[0][1]}/broken") as answer,
            ):
                body = await answer.json()
        assert answer.status == 500
        assert body == {
            "error": "Internal server error",
            "code": "internal_error",
            "requestId": answer.headers["X-Request-Id"],
        }
        assert [line["request_id"] for line in lines if line["event"] == "request_failed"] == [body["requestId"]]
    finally:
        await runner.cleanup()


async def test_before_the_services_are_open_it_says_so() -> None:
    gate = ServiceHolder()
    runner = web.AppRunner(create_app(gate, HttpConfig(version="0", app_url="http://x")))
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    base = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        async with aiohttp.ClientSession() as session:
            async with session.get(f"{base}/health") as answer:
                assert (answer.status, (await answer.json())["status"]) == (503, "starting")
            for path in ("/api/tasks", "/api/auth/sessions", "/.well-known/pilot-keys.json"):
                async with session.get(base + path) as answer:
                    assert (answer.status, (await answer.json())["code"]) == (503, "starting")
                    assert answer.headers["Retry-After"] == "1"
            async with session.get(f"{base}/") as answer:
                assert (answer.status, (await answer.json())["name"]) == (200, "pilot")
    finally:
        await runner.cleanup()


async def test_the_log_line_has_no_secrets(harness: Harness, owner: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(middlewares, "log", structlog.wrap_logger(None, wrapper_class=structlog.BoundLogger))
    with structlog.testing.capture_logs() as lines:
        await owner("GET", "/api/tasks?q=hidden-words")
        await harness.ask("POST", "/api/auth/invite/very-secret-token", {"email": "x@example.com"})
    text = repr(lines)
    assert owner.login["token"] not in text
    assert "hidden-words" not in text
    assert "very-secret-token" not in text
    first = next(line for line in lines if line.get("route") == "/api/tasks")
    assert (first["method"], first["status"], first["workspace"]) == ("GET", 200, owner.workspace_id)
    assert {"ms", "request_id"} <= first.keys()


async def test_odd_methods_do_not_fill_the_metrics(harness: Harness) -> None:
    for word in ("PROPFIND", "PURGE"):
        assert (await harness.ask(word, "/api/tasks")).status == 401
    text = (await harness.ask("GET", "/metrics")).data
    assert "PROPFIND" not in text
    assert 'method="OTHER"' in text


async def test_metrics_take_their_token(tmp_path: Path) -> None:
    async with open_house(fresh_url("sqlite", tmp_path), tmp_path, http={"metrics_token": "s3cret-s3cret"}) as harness:
        refused = await harness.ask("GET", "/metrics")
        assert (refused.status, refused.code) == (401, "metrics_token")
        assert (await harness.ask("GET", "/metrics", headers={"Authorization": "Bearer wrong"})).status == 401
        for headers in ({"Authorization": "Bearer s3cret-s3cret"}, {"X-Metrics-Token": "s3cret-s3cret"}):
            assert (await harness.ask("GET", "/metrics", headers=headers)).status == 200
    hidden = tmp_path / "hidden"
    hidden.mkdir()
    async with open_house(fresh_url("sqlite", hidden), hidden, http={"production": True}) as harness:
        assert (await harness.ask("GET", "/metrics")).status == 404


async def test_headers_may_hold_any_bytes(harness: Harness) -> None:
    asked = await harness.ask("POST", "/api/auth/email/request", {"email": "bytes@example.com"})
    reader, writer = await asyncio.open_connection("127.0.0.1", int(harness.base.rpartition(":")[2]))
    body = b'{"email":"bytes@example.com","code":"%s"}' % asked.data["code"].encode()
    writer.write(
        b"POST /api/auth/email/verify HTTP/1.1\r\nHost: x\r\nConnection: close\r\nUser-Agent: \xff\xfe\r\n"
        b"Cookie: helm_session=\xff; \xfe\r\nX-Workspace-Id: \xff\r\nContent-Length: %d\r\n\r\n" % len(body) + body
    )
    assert (await reader.readline()).startswith(b"HTTP/1.1 200")
    writer.close()


# --- CORS -----------------------------------------------------------------------------------------


async def test_cors_is_an_allow_list(tmp_path: Path) -> None:
    http = {"allowed_origins": ("https://app.example",)}
    async with open_house(fresh_url("sqlite", tmp_path), tmp_path, http=http) as harness:
        good = await harness.ask("GET", "/api/tasks", headers={"Origin": "https://app.example"})
        assert good.headers["Access-Control-Allow-Origin"] == "https://app.example"
        for name in ("X-New-Token", "X-Request-Id", "Link", "Retry-After", "X-RateLimit-Remaining"):
            assert name in good.headers["Access-Control-Expose-Headers"]
        bad = await harness.ask("GET", "/api/tasks", headers={"Origin": "https://evil.example"})
        assert "Access-Control-Allow-Origin" not in bad.headers
        assert good.headers["Vary"] == bad.headers["Vary"] == "Origin"
        asked = {"Origin": "https://app.example", "Access-Control-Request-Method": "PUT"}
        preflight = await harness.ask("OPTIONS", "/api/tasks", headers=asked)
        assert preflight.status == 204
        assert "PATCH" in preflight.headers["Access-Control-Allow-Methods"]
        assert "Idempotency-Key" in preflight.headers["Access-Control-Allow-Headers"]


async def test_without_a_list_no_origin_is_let_in(harness: Harness) -> None:
    reply = await harness.ask("GET", "/api/tasks", headers={"Origin": "https://evil.example"})
    assert "Access-Control-Allow-Origin" not in reply.headers


# --- bodies ---------------------------------------------------------------------------------------


async def chunks(size: int) -> Any:
    for _ in range(0, size, 50_000):
        yield b"x" * 50_000


@pytest.mark.parametrize("chunked", [False, True])
@pytest.mark.parametrize(("path", "limit"), [("/api/auth/email/request", 100_000), ("/api/tasks", 1_000_000)])
async def test_a_body_that_is_too_large_is_refused(owner: Person, path: str, limit: int, chunked: bool) -> None:
    data = chunks(limit + 100_000) if chunked else b"x" * (limit + 1)
    reply = await owner.harness.ask("POST", path, data=data, headers=owner.headers)
    assert (reply.status, reply.code, reply.data["maxBytes"]) == (413, "body_too_large", limit)


async def test_a_body_just_within_the_limit_is_read(owner: Person) -> None:
    reply = await owner.harness.ask("POST", "/api/tasks", data=b" " * 999_000 + b'{"title":"x"}', headers=owner.headers)
    assert reply.status == 201


# --- who and where --------------------------------------------------------------------------------


async def test_the_workspace_may_be_named_in_four_places(harness: Harness, owner: Person) -> None:
    place = owner.workspace_id
    bare = Person(harness, {"Authorization": owner.headers["Authorization"]}, owner.login)
    nowhere = await bare("GET", "/api/tasks")
    assert (nowhere.status, nowhere.data["error"], nowhere.code) == (400, "workspaceId required", "workspace_required")
    assert (await bare("GET", "/api/tasks", X_Workspace_Id=place)).status == 200
    assert (await bare("GET", f"/api/tasks?workspaceId={place}")).status == 200
    assert (await bare("POST", "/api/tasks", {"title": "x", "workspaceId": place})).status == 201
    assert (await bare("GET", f"/api/workspace/{place}")).status == 200
    assert (await bare("GET", "/api/tasks", X_Workspace_Id=place.upper())).status == 200


async def test_places_that_disagree_are_refused(harness: Harness, owner: Person) -> None:
    other = (await owner("POST", "/api/workspaces", {"name": "Second"})).data["id"]
    for reply in (
        await owner("GET", f"/api/tasks?workspaceId={other}"),
        await owner("POST", "/api/tasks", {"title": "x", "workspaceId": other}),
        await owner("GET", f"/api/workspace/{other}"),
    ):
        assert (reply.status, reply.code) == (403, "workspace_conflict")
        assert reply.data["error"] == "workspaceId does not match authenticated workspace"
    stranger = await harness.person("stranger@example.com")
    foreign = await owner("GET", f"/api/tasks?workspaceId={stranger.workspace_id}")
    assert (foreign.status, foreign.code) == (404, "not_found")


async def test_foreign_missing_and_malformed_workspaces_look_the_same(harness: Harness, owner: Person) -> None:
    stranger = await harness.person("stranger@example.com")
    bare = Person(harness, {"Authorization": owner.headers["Authorization"]}, owner.login)
    for place in (stranger.workspace_id, new_id(), "nonsense", "%00", ""):
        for reply in (
            await bare("GET", f"/api/tasks?workspaceId={place}"),
            await bare("POST", "/api/tasks", {"title": "x", "workspaceId": place}),
        ):
            assert (reply.status, reply.code) == (404, "not_found"), place
    wrong = await bare("POST", "/api/tasks", {"title": "x", "workspaceId": 7})
    assert (wrong.status, wrong.data["details"]["fieldErrors"]) == (400, {"workspaceId": ["must be a string"]})


async def test_an_api_key_implies_its_workspace(harness: Harness, owner: Person) -> None:
    made = await owner("POST", "/api/auth/apikey", {"name": "k"})
    key = {"X-API-Key": made.data["key"]}
    assert (await harness.ask("GET", "/api/tasks", headers=key)).status == 200
    other = (await owner("POST", "/api/workspaces", {"name": "Second"})).data["id"]
    assert (await harness.ask("GET", "/api/tasks", headers={**key, "X-Workspace-Id": other})).status == 404


async def test_who_may_is_asked_before_what(harness: Harness, owner: Person) -> None:
    member = await harness.member(owner, "member@example.com", "member")
    reply = await member("POST", "/api/tasks", {"title": 7})
    assert (reply.status, reply.code) == (403, "insufficient_role")
    assert reply.data["requiredRole"] == "partner"
    assert reply.data["currentRole"] == "member"


async def test_what_a_member_was_refused_is_in_the_audit_log(harness: Harness, owner: Person) -> None:
    member = await harness.member(owner, "member@example.com", "member")
    await member("POST", "/api/tasks", {"title": "x"}, Idempotency_Key="k")
    await member("GET", "/api/audit")
    stranger = await harness.person("stranger@example.com")
    await stranger("GET", "/api/audit", X_Workspace_Id=owner.workspace_id)
    lines = (await owner("GET", "/api/audit?action=request:refused")).data
    assert [(x["actor"], x["target"], x["verdict"], x["reason"]) for x in lines] == [
        (f"user:{member.user_id}", "GET /api/audit", "deny", "insufficient_role"),
        (f"user:{member.user_id}", "POST /api/tasks", "deny", "insufficient_role"),
    ]


async def test_a_rotated_token_is_handed_out_on_streams_too(harness: Harness, owner: Person) -> None:
    await aged(harness)
    async with harness.session.get(harness.base + "/api/events", headers=owner.headers) as stream:
        token = stream.headers["X-New-Token"]
        assert stream.headers["X-Request-Id"]
    renewed = {**owner.headers, "Authorization": f"Bearer {token}"}
    assert (await harness.ask("GET", "/api/tasks", headers=renewed)).status == 200


async def test_cookies_need_their_csrf_token_and_rotate(harness: Harness, owner: Person) -> None:
    cookie = {"Cookie": f"helm_session={owner.login['token']}", "X-Workspace-Id": owner.workspace_id}
    assert (await harness.ask("GET", "/api/tasks", headers=cookie)).status == 200
    refused = await harness.ask("POST", "/api/tasks", {"title": "x"}, headers=cookie)
    assert (refused.status, refused.code) == (403, "csrf_invalid")
    allowed = {**cookie, "X-CSRF-Token": owner.login["csrfToken"]}
    assert (await harness.ask("POST", "/api/tasks", {"title": "x"}, headers=allowed)).status == 201
    await aged(harness)
    rotated = await harness.ask("GET", "/api/tasks", headers=cookie)
    fresh = rotated.headers["X-New-Token"]
    first, second = rotated.headers.getall("Set-Cookie")
    assert first.startswith(f"helm_session={fresh};")
    assert "HttpOnly" in first
    assert second.startswith("helm_csrf=")
    assert "HttpOnly" not in second


# --- rates ----------------------------------------------------------------------------------------


async def test_limits_follow_the_person_not_the_address(tmp_path: Path) -> None:
    limits = {"rate_limits_enabled": True, "rate_limit_auth": 100, "rate_limit_task": 3, "rate_limit_default": 50}
    http = {"trusted_proxies": ("127.0.0.0/8",)}
    async with open_house(fresh_url("sqlite", tmp_path), tmp_path, http=http, **limits) as harness:
        ada, bob = await harness.person("ada@example.com"), await harness.person("bob@example.com")
        for n in range(3):
            reply = await ada("POST", "/api/tasks", {"title": "x"}, X_Forwarded_For=f"203.0.113.{n}")
            assert reply.status == 201
            assert reply.headers["X-RateLimit-Class"] == "task"
            assert reply.headers["X-RateLimit-Limit"] == "3"
            assert reply.headers["X-RateLimit-Remaining"] == str(2 - n)
        refused = await ada("POST", "/api/tasks", {"title": "x"}, X_Forwarded_For="203.0.113.99")
        assert (refused.status, refused.code, refused.data["routeClass"]) == (429, "rate_limited", "task")
        assert refused.headers["Retry-After"] == str(refused.data["retryAfterSec"])
        assert refused.headers["X-RateLimit-Remaining"] == "0"
        assert (await ada("GET", "/api/tasks")).status == 200
        assert (await bob("POST", "/api/tasks", {"title": "x"})).status == 201


async def test_strangers_are_limited_by_network(tmp_path: Path) -> None:
    limits = {"rate_limits_enabled": True, "rate_limit_auth": 2}
    http = {"trusted_proxies": ("127.0.0.0/8",)}
    async with open_house(fresh_url("sqlite", tmp_path), tmp_path, http=http, **limits) as harness:

        async def ask(address: str) -> int:
            headers = {"X-Forwarded-For": address}
            reply = await harness.ask("POST", "/api/auth/email/request", {"email": "nope"}, headers=headers)
            return reply.status

        assert [await ask("198.51.100.1") for _ in range(3)] == [400, 400, 429]
        # what a client writes in front of what the proxy saw changes nothing
        assert await ask("203.0.113.5, 198.51.100.1") == 429
        assert await ask("198.51.100.2") == 400


async def test_a_workspace_has_a_limit_of_its_own(tmp_path: Path) -> None:
    limits = {
        "rate_limits_enabled": True,
        "rate_limit_auth": 100,
        "rate_limit_default": 1000,
        "rate_limit_workspace": 100_000,
    }
    async with open_house(fresh_url("sqlite", tmp_path), tmp_path, **limits) as harness:
        owner = await harness.person("ada@example.com")
        mate = await harness.member(owner, "bob@example.com", "member")
        harness.services.limits.per_minute = {**harness.services.limits.per_minute, "workspace": 4}
        got = [(await who("GET", "/api/tasks")).status for who in (owner, mate, owner, mate, owner)]
        assert got == [200, 200, 200, 200, 429]


async def test_wrong_credentials_count_against_the_network(tmp_path: Path) -> None:
    async with open_house(
        fresh_url("sqlite", tmp_path), tmp_path, rate_limits_enabled=True, rate_limit_default=3
    ) as harness:
        headers = {"Authorization": "Bearer " + "0" * 64}
        got = [(await harness.ask("GET", "/api/me", headers=headers)).status for _ in range(4)]
        assert got == [401, 401, 401, 429]


NETWORKS = (ipaddress.ip_network("10.0.0.0/8"), ipaddress.ip_network("fd00::/8"))


@pytest.mark.parametrize(
    ("peer", "forwarded", "expected"),
    [
        ("203.0.113.9", "1.1.1.1", "203.0.113.9"),
        ("10.0.0.1", "1.1.1.1", "1.1.1.1"),
        ("10.0.0.1", "6.6.6.6, 1.1.1.1", "1.1.1.1"),
        ("10.0.0.1", "6.6.6.6, 1.1.1.1, 10.0.0.2", "1.1.1.1"),
        ("10.0.0.1", "", "10.0.0.1"),
        ("10.0.0.1", "junk", "10.0.0.1"),
        ("10.0.0.1", "1.1.1.1, junk", "10.0.0.1"),
        ("10.0.0.1", "10.0.0.3", "10.0.0.3"),
        ("fd00::1", "2001:db8::5", "2001:db8::5"),
        (None, "1.1.1.1", "unknown"),
    ],
)
def test_the_client_is_the_last_hop_nobody_vouches_for(peer: str | None, forwarded: str, expected: str) -> None:
    assert client_ip(peer, forwarded, NETWORKS) == expected
