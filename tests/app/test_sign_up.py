"""What sign-up is set to, where it is not set; what is refused; what doctor and start say; and an upgrade in place."""

import base64
import logging
import os
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from alembic import command

from app.settings import BadSettings, Settings, load_settings
from app.sign_up import SignUpState, words
from app.wings import installation_budget
from domain.clock import utc_now
from domain.identity.sign_up import SignUpMode
from storage.database import Store
from storage.identity import sign_up_rows
from storage.migrate import migration_config
from tests.api.conftest import open_installation
from tests.app.test_cli import told
from tests.app.test_doctor import findings
from tests.databases import fresh_url

TOKEN = "7000000001:" + "A" * 35


def given(**more: Any) -> Settings:
    return load_settings(_env_file=None, pilot_data_dir=Path("/nonexistent"), **SECRETS | more)


SECRETS = {
    name: base64.b64encode(os.urandom(32)).decode()
    for name in ("session_secret", "encryption_key", "evidence_signing_key", "telegram_webhook_secret")
}
PRODUCTION = {
    "pilot_env": "production",
    "app_url": "https://pilot.example.com",
    "email_provider": "smtp",
}


@pytest.mark.parametrize(
    ("settings", "mode"),
    [
        (PRODUCTION, "invite"),
        (PRODUCTION | {"pilot_signup": "open"}, "open"),
        (PRODUCTION | {"pilot_signup": "first"}, "first"),
        ({}, "open"),
        ({"host": "localhost"}, "open"),
        ({"host": "::1"}, "open"),
        ({"host": "127.0.0.1", "app_url": "http://localhost:3100"}, "open"),
        ({"telegram_bot_token": TOKEN, "telegram_api_url": "http://127.0.0.1:3101"}, "open"),
        # whatever makes it reachable closes it
        ({"host": "0.0.0.0"}, "invite"),
        ({"host": "::"}, "invite"),
        ({"host": "192.168.1.5"}, "invite"),
        ({"host": "pilot.example.com"}, "invite"),
        ({"host": "127.0.0.1.example.com"}, "invite"),
        ({"app_url": "https://pilot.example.com"}, "invite"),
        ({"app_url": "http://localhost.example.com"}, "invite"),
        ({"pilot_trusted_proxies": "10.0.0.0/8"}, "invite"),
        ({"telegram_bot_token": TOKEN}, "invite"),
        ({"telegram_bot_token": TOKEN, "telegram_api_url": "https://bots.example.com"}, "invite"),
        ({"host": "0.0.0.0", "pilot_signup": "open"}, "open"),
        ({"pilot_signup": "invite"}, "invite"),
    ],
)
def test_where_it_is_not_set(settings: dict[str, Any], mode: str) -> None:
    assert given(**settings).sign_up.mode.value == mode


def test_an_empty_value_is_not_set(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("PILOT_SIGNUP", "PILOT_ALLOW_EMAILS", "PILOT_ALLOW_TELEGRAM_IDS", "PILOT_BUDGET_DAY_USD"):
        monkeypatch.setenv(name, "")
    found = given()
    assert (found.sign_up.mode, bool(found.sign_up.allowed)) == (SignUpMode.OPEN, False)
    assert installation_budget(found).limits == []


def test_lists_are_read_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PILOT_ALLOW_EMAILS", " Ada@Example.com , @Bücher.example,")
    monkeypatch.setenv("PILOT_ALLOW_TELEGRAM_IDS", "4711, 4712")
    monkeypatch.setenv("PILOT_BUDGET_DAY_USD", "0.05")
    monkeypatch.setenv("PILOT_BUDGET_MONTH_USD", "1")
    found = given()
    allowed = found.sign_up.allowed
    assert (allowed.emails, allowed.domains) == ({"ada@example.com"}, {"xn--bcher-kva.example"})
    assert allowed.telegram_ids == {4711, 4712}
    assert installation_budget(found).limits == [("day budget", 50_000), ("month budget", 1_000_000)]


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ({"pilot_signup": "closed"}, "PILOT_SIGNUP"),
        ({"pilot_signup": "Invite"}, "PILOT_SIGNUP"),
        ({"pilot_allow_emails": "ada@example.com,example.org"}, "PILOT_ALLOW_EMAILS: 'example.org'"),
        ({"pilot_allow_emails": "@exa mple.com"}, "PILOT_ALLOW_EMAILS: '@exa mple.com'"),
        ({"pilot_allow_telegram_ids": "4711,@ada"}, "PILOT_ALLOW_TELEGRAM_IDS: '@ada'"),
        ({"pilot_allow_telegram_ids": "-100123"}, "PILOT_ALLOW_TELEGRAM_IDS: '-100123'"),
        ({"pilot_workspaces_per_person": "0"}, "PILOT_WORKSPACES_PER_PERSON"),
        ({"pilot_budget_day_usd": "-1"}, "PILOT_BUDGET_DAY_USD"),
        ({"pilot_budget_day_usd": "much"}, "PILOT_BUDGET_DAY_USD"),
        ({"pilot_budget_day_usd": "nan"}, "PILOT_BUDGET_DAY_USD"),
        ({"pilot_budget_month_usd": "inf"}, "PILOT_BUDGET_MONTH_USD"),
    ],
)
def test_what_is_wrong_is_named(wrong: dict[str, Any], named: str) -> None:
    with pytest.raises(BadSettings) as refused:
        given(**wrong)
    [problem] = refused.value.problems
    assert problem.startswith(named)


NOBODY, EMPTY, SOME = (
    SignUpState(people=0, ever=False),
    SignUpState(people=0, ever=True),
    SignUpState(people=3, ever=True),
)


@pytest.mark.parametrize(
    ("settings", "standing", "well", "said"),
    [
        (PRODUCTION, NOBODY, False, "nobody owns this installation yet: the first person who signs in will"),
        (PRODUCTION | {"pilot_allow_emails": "ada@example.com"}, NOBODY, True, "the first of those on the allow-lists"),
        (PRODUCTION, SOME, True, "as PILOT_SIGNUP is not set"),
        (PRODUCTION, SOME, True, "3 with an account log in as before"),
        (PRODUCTION | {"pilot_signup": "first"}, SOME, True, "first (PILOT_SIGNUP)"),
        (PRODUCTION, EMPTY, False, "nobody has an account any more"),
        (PRODUCTION | {"pilot_signup": "open"}, SOME, False, "anybody who finds the bot or the page"),
        (PRODUCTION | {"pilot_signup": "open", "pilot_allow_emails": "@a.example"}, SOME, False, "change nothing"),
        ({}, NOBODY, True, "only this machine reaches it"),
        ({"host": "0.0.0.0", "pilot_signup": "open"}, SOME, False, "anybody who finds the bot or the page"),
        ({"host": "0.0.0.0"}, SOME, True, "invite (as PILOT_SIGNUP is not set)"),
        (PRODUCTION, None, True, "invite"),
    ],
)
def test_what_is_said_of_it(settings: dict[str, Any], standing: SignUpState | None, well: bool, said: str) -> None:
    found = words(given(**settings), standing)
    assert found.well is well
    assert said in found.text


def test_the_doctor_says_what_it_is_set_to_and_what_was_spent(tmp_path: Path) -> None:
    code, found = findings(tmp_path, PILOT_SIGNUP="invite", OPENAI_API_KEY="sk-1")
    assert code == 0
    assert (found["sign-up"]["ok"], found["sign-up"]["bearable"]) == (False, True)
    assert "nobody owns this installation yet" in found["sign-up"]["said"]
    assert (found["budget"]["ok"], found["budget"]["bearable"]) == (False, True)
    assert "no limit: PILOT_BUDGET_DAY_USD is not set" in found["budget"]["said"]
    told(tmp_path, "migrate")
    store = Store(f"sqlite:///{tmp_path / 'data' / 'pilot.db'}")
    try:
        with store.engine.begin() as connection:
            connection.execute(
                sa.text("INSERT INTO installation_spend (day, cost_micros) VALUES (:day, 1230000)"),
                {"day": utc_now().date().isoformat()},
            )
    finally:
        store.abandon()
    _, found = findings(tmp_path, PILOT_SIGNUP="open", HOST="0.0.0.0", PILOT_BUDGET_DAY_USD="5")
    assert (found["sign-up"]["ok"], found["sign-up"]["bearable"]) == (False, True)
    assert found["budget"]["ok"]
    assert "today 1.23 of 5.00 USD, this month 1.23 USD" in found["budget"]["said"]
    _, found = findings(tmp_path, PILOT_BUDGET_DAY_USD="1.23")
    assert not found["budget"]["ok"]


@pytest.mark.parametrize(
    ("mode", "level", "said"),
    [("open", logging.WARNING, "anybody who finds"), ("invite", logging.WARNING, "nobody owns this installation yet")],
)
async def test_the_start_says_it(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, mode: str, level: int, said: str
) -> None:
    caplog.set_level(logging.INFO)
    reachable = {"pilot_signup": mode, "pilot_trusted_proxies": "10.0.0.0/8"}
    async for pilot in open_installation(tmp_path, fresh_url("sqlite", tmp_path), **reachable):
        [line] = [record for record in caplog.records if record.message == "sign_up"]
        assert (line.levelno, line.mode) == (level, mode)  # type: ignore[attr-defined]
        assert said in line.said  # type: ignore[attr-defined]
        status, health = await pilot.nobody().send("GET", "/health")
        assert (status, health["signUp"]) == (200, mode)


@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
async def test_an_installation_of_before_keeps_its_people_and_takes_nobody_new(kind: str, tmp_path: Path) -> None:
    """A store of the version before, brought up to date by the start, under the default of now."""
    url = fresh_url(kind, tmp_path, migrated=False)
    store = Store(url)
    now = utc_now() - timedelta(days=30)
    try:
        with store.engine.begin() as connection:
            command.upgrade(migration_config(connection), "0004")
            old = sa.MetaData()
            old.reflect(connection, only=("users", "workspaces", "workspace_members"))

            def put(table: str, **values: Any) -> None:
                connection.execute(old.tables[table].insert().values(**values))

            for n, (email, account) in enumerate((("ada@example.com", None), (None, 41), ("bob@example.com", 42))):
                user, place = f"u{n}", f"w{n}"
                times = {"created_at": now, "updated_at": now}
                put("users", id=user, name=user, email=email, telegram_id=account, preferences="{}", **times)
                kept = {"current_mode": "build", "compliance_frameworks": "[]"}
                put("workspaces", id=place, name=place, owner_id=user, **kept, **times)
                put("workspace_members", id=f"m{n}", workspace_id=place, user_id=user, role="owner", joined_at=now)
    finally:
        store.abandon()
    # a real bot, which everybody can find, and nothing set
    async for pilot in open_installation(tmp_path, url, telegram_api_url="https://api.telegram.org"):
        assert (await pilot.by_mail("ada@example.com")).workspace == "w0"
        assert (await pilot.by_mail("Bob@Example.com")).workspace == "w2"
        assert (await pilot.by_telegram(41)).workspace == "w1"
        assert (await pilot.by_telegram(42)).workspace == "w2"
        asked = await pilot.nobody().send("POST", "/api/auth/email/request", {"email": "eve@example.com"})
        assert asked[0] == 200
        verify = {"email": "eve@example.com", "code": asked[1]["code"]}
        assert (await pilot.nobody().send("POST", "/api/auth/email/verify", verify))[0] == 401
        services = pilot.process.gate.services
        assert services is not None
        assert await services.store.read(sign_up_rows.people) == 3
        assert installation_budget(pilot.process.settings).limits == []
        assert Decimal(0) == (await services.health.numbers())['pilot_installation_spend_usd{span="day"}']
