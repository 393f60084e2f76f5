"""Telegram Login in a browser, against a provider over real HTTP: the way in, and every way that is none."""

import base64
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import timedelta
from http.cookies import SimpleCookie
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import sqlalchemy as sa

from domain.clock import utc_now
from storage import tables
from tests.api.conftest import init_data
from tests.api.harness import Harness, Reply, open_house
from tests.api.issuer import CLIENT, SECRET, Issuer, open_issuer
from tests.databases import fresh_url

TOKEN = "7000000001:" + "A" * 35
LEAVE = "/api/auth/telegram/browser"


@pytest.fixture
async def issuer() -> AsyncIterator[Issuer]:
    async with open_issuer() as opened:
        yield opened


@pytest.fixture
async def harness(url: str, tmp_path: Path, issuer: Issuer) -> AsyncIterator[Harness]:
    async with open_house(
        url,
        tmp_path,
        work=False,
        telegram_login_client_id=CLIENT,
        telegram_login_client_secret=SECRET,
        telegram_login_issuer=issuer.url,
        telegram_bot_token=TOKEN,
    ) as opened:
        yield opened


@dataclass
class Attempt:
    """What a browser has after it was at the provider."""

    cookie: str
    back: dict[str, str]


async def leave(harness: Harness) -> Attempt:
    left = await harness.ask("POST", LEAVE, {})
    assert left.status == 200, left
    cookie = SimpleCookie(left.headers["Set-Cookie"])["pilot_login"]
    assert (cookie["httponly"], cookie["samesite"], cookie["path"]) == (True, "Strict", LEAVE)
    assert "pilot_login" not in left.data["url"]
    assert cookie.value not in left.data["url"]
    async with harness.session.get(left.data["url"], allow_redirects=False) as answer:
        assert answer.status == 302
        address = urlsplit(answer.headers["Location"])
    assert address.path == "/app/"
    return Attempt(cookie.value, {name: values[0] for name, values in parse_qs(address.query).items()})


async def come_back(harness: Harness, attempt: Attempt, **changed: Any) -> Reply:
    body = {"code": attempt.back["code"], "state": attempt.back["state"], **changed}
    return await harness.ask("POST", f"{LEAVE}/return", body, headers={"Cookie": f"pilot_login={attempt.cookie}"})


async def log_in(harness: Harness) -> Reply:
    return await come_back(harness, await leave(harness))


@pytest.mark.parametrize("key", ["rsa", "ec", "ed"])
async def test_the_way_in(harness: Harness, issuer: Issuer, key: str) -> None:
    issuer.key = key
    entered = await log_in(harness)
    assert entered.status == 200, entered
    assert entered.data["user"]["name"] == "Ada Lovelace"
    set_cookies = {c.split("=", 1)[0]: c for c in entered.headers.getall("Set-Cookie")}
    assert "HttpOnly" in set_cookies["helm_session"]
    assert "Max-Age=0" in set_cookies["pilot_login"]
    cookie = set_cookies["helm_session"].split(";", 1)[0]
    assert (await harness.ask("GET", "/api/me", headers={"Cookie": cookie})).status == 200
    assert (
        await harness.ask("POST", "/api/workspaces", {"name": "x"}, headers={"Cookie": cookie})
    ).code == "csrf_invalid"
    own = {"Authorization": f"Bearer {entered.data['token']}", "X-Workspace-Id": entered.data["workspace"]["id"]}
    lines = (await harness.ask("GET", "/api/audit?action=auth:oidc_verified", headers=own)).data
    assert len(lines) == 1


async def test_it_is_the_person_of_the_mini_app(harness: Harness) -> None:
    raw = init_data(TOKEN, {"id": 4711, "first_name": "Ada"})
    inside = await harness.ask("POST", "/api/auth/telegram", {"initData": raw})
    outside = await log_in(harness)
    again = await log_in(harness)
    assert inside.status == outside.status == 200
    assert inside.data["user"]["id"] == outside.data["user"]["id"] == again.data["user"]["id"]
    assert inside.data["workspace"]["id"] == outside.data["workspace"]["id"]


async def test_without_the_account_the_subject_is_the_person(harness: Harness, issuer: Issuer) -> None:
    issuer.claims = {"id": None, "name": None, "preferred_username": None, "picture": "javascript:alert(1)"}
    first, second = await log_in(harness), await log_in(harness)
    assert first.data["user"]["id"] == second.data["user"]["id"]
    issuer.claims = {"id": None, "sub": "4712", "name": "Ada Lovelace"}
    other = await log_in(harness)
    # the same name is not the same person
    assert other.data["user"]["id"] != first.data["user"]["id"]
    issuer.claims = {"sub": "4711"}
    named = await log_in(harness)
    assert named.data["user"]["id"] == first.data["user"]["id"]


async def test_an_attempt_ends_once_in_the_browser_it_began_in(harness: Harness, issuer: Issuer) -> None:
    attempt = await leave(harness)
    assert (await come_back(harness, attempt)).status == 200
    assert (await come_back(harness, attempt)).code == "oidc_state"
    assert (await come_back(harness, await leave(harness), state="unknown")).code == "oidc_state"
    mine, theirs = await leave(harness), await leave(harness)
    crossed = await come_back(harness, Attempt(mine.cookie, theirs.back))
    assert (crossed.status, crossed.code) == (401, "oidc_browser")
    # a code of somebody else does not fit our verifier, and the attempt is over
    swapped = await come_back(harness, mine, code=(await leave(harness)).back["code"])
    assert (swapped.status, swapped.code) == (401, "oidc_refused")
    assert (await come_back(harness, mine)).code == "oidc_state"
    no_cookie = await leave(harness)
    reply = await harness.ask("POST", f"{LEAVE}/return", no_cookie.back)
    assert reply.code == "oidc_browser"
    late = await leave(harness)
    await harness.services.store.write(
        lambda tx: tx.execute(sa.update(tables.seen_proofs).values(expires_at=utc_now() - timedelta(seconds=1)))
    )
    assert (await come_back(harness, late)).code == "oidc_state"
    assert issuer.asked.count("/token") == 2


async def test_an_attempt_outlives_the_process_it_began_in(url: str, tmp_path: Path, issuer: Issuer) -> None:
    """27: what a login needed when it came back lay in the memory of one process."""
    settings = {
        "telegram_login_client_id": CLIENT,
        "telegram_login_client_secret": SECRET,
        "telegram_login_issuer": issuer.url,
        "app_url": "http://pilot.example",
    }
    async with open_house(url, tmp_path, work=False, **settings) as harness:
        attempt = await leave(harness)
    async with open_house(url, tmp_path, work=False, **settings) as harness:
        assert (await come_back(harness, attempt)).status == 200


def packed(*parts: str) -> str:
    """A token of these parts, signed by nobody."""
    found = [base64.urlsafe_b64encode(part.encode()).rstrip(b"=").decode() for part in parts]
    return ".".join([*found, "e30", "c2ln"][:3])


@pytest.mark.parametrize(
    ("wrong", "code"),
    [
        ({"forged": True}, "oidc_signature"),
        ({"key": "ec", "header": {"kid": "rsa"}}, "oidc_signature"),
        ({"header": {"kid": "unheard"}}, "oidc_key"),
        ({"claims": {"aud": "somebody"}}, "oidc_audience"),
        ({"claims": {"aud": [CLIENT, "somebody"]}}, "oidc_audience"),
        ({"claims": {"iss": "https://oauth.telegram.org.example"}}, "oidc_issuer"),
        ({"claims": {"exp": 1_600_000_000}}, "oidc_expired"),
        ({"claims": {"nonce": "another"}}, "oidc_nonce"),
        ({"claims": {"nonce": None}}, "oidc_nonce"),
        ({"claims": {"sub": None}}, "oidc_signature"),
        ({"claims": {"exp": None}}, "oidc_signature"),
        ({"raw_token": "a.b.c"}, "oidc_signature"),
        ({"raw_token": "unsigned"}, "oidc_signature"),
        ({"raw_token": packed('{"alg":"RS256","kid":"rsa","x":' + "[" * 4000 + "]" * 4000 + "}")}, "oidc_signature"),
        ({"raw_token": packed('{"alg":"RS256","kid":"rsa","kid":"ec"}')}, "oidc_signature"),
        ({"raw_token": packed('{"alg":"RS256"}', "[" * 5000)}, "oidc_signature"),
        ({"raw_token": packed('{"alg":"RS256"}', '{"iat":' + "1" * 5000 + "}")}, "oidc_signature"),
    ],
    ids=lambda value: str(value)[:60],
)
async def test_a_token_that_does_not_hold_lets_nobody_in(
    harness: Harness, issuer: Issuer, wrong: dict[str, Any], code: str
) -> None:
    for name, value in wrong.items():
        setattr(issuer, name, issuer.unsigned() if value == "unsigned" else value)
    refused = await log_in(harness)
    assert (refused.status, refused.code) == (401, code)
    count = await harness.services.store.read(
        lambda tx: tx.scalar(sa.select(sa.func.count()).select_from(tables.users))
    )
    assert count == 0


async def test_a_token_without_an_end_is_no_token(harness: Harness, issuer: Issuer) -> None:
    issuer.raw_token = packed('{"alg":"RS256","kid":"rsa"}', "x" * 20_000)
    assert (await log_in(harness)).code == "oidc_unavailable"
    issuer.raw_token = None
    issuer.listed = ("rsa",) * 90
    assert (await log_in(harness)).status == 200


async def test_keys_that_came_later_are_asked_for_once(harness: Harness, issuer: Issuer) -> None:
    issuer.listed, issuer.key = ("rsa",), "ec"
    for _ in range(3):
        assert (await log_in(harness)).code == "oidc_key"
    assert issuer.asked.count("/jwks.json") == 1
    issuer.key = "rsa"
    assert (await log_in(harness)).status == 200


async def test_a_provider_that_is_down_or_points_elsewhere(harness: Harness, issuer: Issuer) -> None:
    issuer.down = True
    assert (await harness.ask("POST", LEAVE, {})).code == "oidc_unavailable"
    issuer.down = False
    nested: Any = 0
    for _ in range(500):
        nested = [nested]
    for about in (
        {"token_endpoint": "http://127.0.0.1:1/token"},
        {"issuer": "http://other.example"},
        {"jwks_uri": 7},
        {"jwks_uri": "http://" + "\u0315\u0300" * 9000},
        {"x": nested},
        {"x": [0] * 9000},
    ):
        issuer.about = about
        reply = await harness.ask("POST", LEAVE, {})
        assert (reply.status, reply.code) == (503, "oidc_unavailable")
    issuer.about = {}
    attempt = await leave(harness)
    issuer.down = True
    assert (await come_back(harness, attempt)).code == "oidc_unavailable"


async def test_where_it_is_not_set_up_it_says_so(tmp_path: Path) -> None:
    async with open_house(fresh_url("sqlite", tmp_path), tmp_path, work=False) as harness:
        for path, body in ((LEAVE, {}), (f"{LEAVE}/return", {"code": "c", "state": "s"})):
            reply = await harness.ask("POST", path, body)
            assert (reply.status, reply.code) == (503, "telegram_login_not_configured")
        bad = await harness.ask("POST", f"{LEAVE}/return", {"code": "", "state": 1})
        assert bad.status == 400
        assert set(bad.data["details"]["fieldErrors"]) == {"code", "state"}
