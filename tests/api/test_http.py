"""What every request goes through: errors, headers, limits, bodies, repeats, the document."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from openapi_pydantic import OpenAPI

from tests.api.conftest import Installation, open_installation
from tests.databases import fresh_url


async def test_the_plain_routes(lite: Installation) -> None:
    nobody = lite.nobody()
    status, root = await nobody.send("GET", "/")
    assert (status, set(root)) == (200, {"name", "version", "description"})
    status, health = await nobody.send("GET", "/health")
    assert (status, health["status"], health["checks"]["db"], health["checks"]["pgboss"]) == (200, "ok", True, True)
    assert (await nobody.send("GET", "/metrics"))[0] == 200
    status, keys = await nobody.send("GET", "/.well-known/pilot-keys.json")
    assert len(keys["keys"]) == 1
    assert (await nobody.send("GET", "/api/docs"))[0] == 200
    assert (await nobody.send("GET", "/api/nothing"))[0] == 401
    ada = await lite.by_mail("ada@example.com")
    status, missing = await ada.send("GET", "/api/nothing")
    assert (status, missing["code"]) == (404, "not_found")
    assert (await ada.send("PATCH", "/api/tasks"))[0] == 405


BAD_BODIES: list[Any] = [
    b"null",
    b"[]",
    b"{",
    b"\xff\xfe",
    b'{"title": NaN}',
    b'"x"',
    b'{"title": 5}',
    b'{"title": ""}',
    b'{"title": "   "}',
    b'{"title": "a\\u0000b"}',
    b'{"title": "\\ud800"}',
    b'{"title": "x", "iterationBudget": 1e400}',
    b'{"title": "x", "iterationBudget": 99999999999999999999999}',
    b'{"title": "x", "operatorId": "nonsense"}',
    b'{"title": "x", "mode": "party"}',
    b'{"title": "x", "schedule": {"cron": "bad"}}',
    b'{"title": "x", "workspaceId": 5}',
]


@pytest.mark.parametrize("body", BAD_BODIES)
async def test_bad_bodies_are_named_and_never_a_500(lite: Installation, body: bytes) -> None:
    """47: limits, ids and nulls were unguarded."""
    ada = await lite.by_mail("ada@example.com")
    status, refused = await ada.send("POST", "/api/tasks", body)
    assert status == 400, refused
    assert refused["code"]
    assert refused["requestId"]
    for route in ("/api/auth/telegram", "/api/auth/email/request", "/api/auth/email/verify"):
        status, refused = await lite.nobody().send("POST", route, body)
        assert status in (400, 401), refused


@pytest.mark.parametrize(
    "query", ["limit=abc", "limit=-1", "limit=0", "limit=99999", "cursor=x", "limit=NaN", "limit=1e9"]
)
@pytest.mark.parametrize("path", ["/api/tasks", "/api/audit", "/api/audit/approvals", "/api/audit/violations"])
async def test_bad_pages_are_refused(lite: Installation, path: str, query: str) -> None:
    ada = await lite.by_mail("ada@example.com")
    assert (await ada.send("GET", f"{path}?{query}"))[0] == 400


async def test_pages_follow_each_other_without_gaps(lite: Installation) -> None:
    ada = await lite.by_mail("ada@example.com")
    made = [(await ada.send("POST", "/api/tasks", {"title": f"T{n}"}))[1]["id"] for n in range(7)]
    seen: list[str] = []
    path: str | None = "/api/tasks?limit=3"
    while path:
        page = await ada.get(path)
        seen += [t["id"] for t in page]
        link = ada.last.headers.get("Link")
        path = None if link is None else link.split(">")[0].lstrip("<")
    assert seen == made[::-1]


async def test_a_kept_list_is_never_stale(lite: Installation) -> None:
    ada = await lite.by_mail("ada@example.com")
    assert await ada.get("/api/tasks") == []
    for n in range(1, 4):
        _, task = await ada.send("POST", "/api/tasks", {"title": f"T{n}"})
        assert len(await ada.get("/api/tasks")) == n
        await ada.send("PUT", f"/api/tasks/{task['id']}/status", {"status": "cancelled"})
        assert (await ada.get("/api/tasks"))[0]["status"] == "cancelled"
    before = len(await ada.get("/api/audit?limit=200"))
    await ada.send("POST", "/api/tasks", {"title": "one more"})
    assert len(await ada.get("/api/audit?limit=200")) > before


async def test_request_ids_are_checked(lite: Installation) -> None:
    nobody = lite.nobody()
    await nobody.send("GET", "/health", X_Request_Id="abc-1")
    assert nobody.last.headers["X-Request-Id"] == "abc-1"
    await nobody.send("GET", "/health", X_Request_Id='evil"<script>')
    assert "script" not in nobody.last.headers["X-Request-Id"]
    for header in ("X-Content-Type-Options", "Content-Security-Policy", "Referrer-Policy"):
        assert header in nobody.last.headers
    assert "X-Frame-Options" not in nobody.last.headers


async def test_bodies_are_limited_even_in_chunks(lite: Installation) -> None:
    ada = await lite.by_mail("ada@example.com")
    big = b'{"title": "' + b"x" * 1_100_000 + b'"}'
    status, refused = await ada.send("POST", "/api/tasks", big)
    assert (status, refused["code"], refused["maxBytes"]) == (413, "body_too_large", 1_000_000)

    async def chunks() -> Any:
        for _ in range(20):
            yield b" " * 60_000

    headers = {**ada.headers, "Content-Type": "application/json"}
    async with lite.http.post(f"{lite.base}/api/tasks", data=chunks(), headers=headers) as answer:
        assert answer.status == 413
    status, refused = await lite.nobody().send("POST", "/api/auth/telegram", b" " * 150_000)
    assert (status, refused["maxBytes"]) == (413, 100_000)


async def test_rates_count_people_not_headers(limited: Installation) -> None:
    """20: the limiter ran before identity and trusted the first X-Forwarded-For."""
    nobody = limited.nobody()
    statuses = []
    for n in range(8):
        status, answer = await nobody.send(
            "POST", "/api/auth/email/verify", {"email": "a@example.com", "code": "1"}, X_Forwarded_For=f"10.0.0.{n}"
        )
        statuses.append(status)
    assert statuses == [401] * 5 + [429] * 3
    assert answer["routeClass"] == "auth"
    assert int(nobody.last.headers["Retry-After"]) == answer["retryAfterSec"] > 0
    assert nobody.last.headers["X-RateLimit-Class"] == "auth"


async def test_pages_of_the_mini_app_are_counted_too(tmp_path: Path) -> None:
    url = await asyncio.to_thread(fresh_url, "sqlite", tmp_path)
    async for limited in open_installation(tmp_path, url, rate_limits_enabled=True, rate_limit_page=6):
        ada, nobody = await limited.by_mail("ada@example.com"), limited.nobody()
        paths = ["/app/me", "/app/parts/home", "/app/parts/tasks"] * 3
        assert [(await ada.send("GET", path))[0] for path in paths] == [200] * 6 + [429] * 3
        assert ada.last.headers["X-RateLimit-Class"] == "page"
        assert [(await nobody.send("GET", path))[0] for path in paths] == [401] * 6 + [429] * 3


async def test_a_workspace_has_its_own_limit(tmp_path: Path) -> None:
    url = await asyncio.to_thread(fresh_url, "sqlite", tmp_path)
    async for limited in open_installation(tmp_path, url, rate_limits_enabled=True, rate_limit_workspace=4):
        ada = await limited.by_mail("ada@example.com")
        statuses = [(await ada.send("GET", "/api/tasks"))[0] for _ in range(6)]
        assert statuses == [200] * 4 + [429] * 2
        assert ada.last.headers["X-RateLimit-Class"] == "workspace"


async def test_the_same_key_is_carried_out_once(lite: Installation) -> None:
    ada = await lite.by_mail("ada@example.com")
    body = {"title": "once"}
    answers = await asyncio.gather(*(ada.send("POST", "/api/tasks", body, Idempotency_Key="k1") for _ in range(6)))
    assert {status for status, _ in answers} == {201}
    assert len({answer["id"] for _, answer in answers}) == 1
    assert len(await ada.get("/api/tasks")) == 1
    status, refused = await ada.send("POST", "/api/tasks", {"title": "other"}, Idempotency_Key="k1")
    assert (status, refused["code"]) == (409, "idempotency_conflict")
    status, _ = await ada.send("POST", "/api/auth/apikey", {"name": "x"}, Idempotency_Key="k2")
    assert status == 400


async def test_a_broken_playbook_is_refused_with_its_line(lite: Installation) -> None:
    ada = await lite.by_mail("ada@example.com")
    status, refused = await ada.send(
        "POST", "/api/tasks", {"title": "x", "description": 'note.create title="a"\nhttp.post json={'}
    )
    assert status == 400
    assert "2" in refused["error"]


async def test_the_document_is_valid(lite: Installation) -> None:
    document = await lite.nobody().get("/api/openapi.json")
    OpenAPI.model_validate(document)
    assert len(document["paths"]) > 45


async def test_cors_only_for_named_origins(lite: Installation) -> None:
    nobody = lite.nobody()
    await nobody.send("GET", "/api/docs", Origin="https://evil.example")
    assert "Access-Control-Allow-Origin" not in nobody.last.headers
