"""A critical approval in the app: opened long ago it is refused and says what to do, and doing that works."""

import re
import sqlite3
from pathlib import Path

import pytest
from playwright.async_api import expect

from tests.browser.conftest import Server, logged_in, phone
from tests.browser.webview import open_app, press
from tests.processes import call

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]

TIMEOUT = 30_000
USER = 7_440_001
ADDRESS = "critical@example.com"


def critical(server: Server) -> Server:
    policy = {"policyConfig": {"toolEffects": {"email.send": "E4"}}}
    call("PUT", f"{server.base}/api/workspace/{server.workspace}/settings", policy, server.headers)
    return server


async def test_inside_telegram_the_app_is_opened_again(server: Server) -> None:
    mine = critical(logged_in(server.base, USER, "Ada"))
    task = mine.task()
    found = mine.pending(task)
    for ago in (600, 0):
        async with phone(allow=("403",)) as page:
            await open_app(page, server.base, user_id=USER, start_param=f"apr_{found['id']}", ago=ago)
            await expect(page.get_by_text("within five minutes of opening the app")).to_be_visible(timeout=30_000)
            await expect(page.get_by_text("Approve and allow for a while")).to_have_count(0)
            await press(page, "main_button_pressed")
            if ago:
                await expect(page.locator("#alert")).to_contain_text("open it again from the chat", timeout=TIMEOUT)
                assert mine.send("GET", f"/api/audit/approvals/{found['id']}")["status"] == "pending"
            else:
                await expect(page.locator(".outcome")).to_be_visible(timeout=TIMEOUT)
    assert mine.ended(task)["status"] == "completed"


async def test_in_a_browser_one_logs_in_again_and_is_back_at_the_question(server: Server, server_folder: Path) -> None:
    def by_mail() -> Server:
        code = call("POST", f"{server.base}/api/auth/email/request", {"email": ADDRESS})[1]["code"]
        login = call("POST", f"{server.base}/api/auth/email/verify", {"email": ADDRESS, "code": code})[1]
        place = login["workspace"]["id"]
        return Server(server.base, {"Authorization": f"Bearer {login['token']}", "X-Workspace-Id": place}, place)

    mine = critical(by_mail())
    found = mine.pending(mine.task())

    async with phone(allow=("403",)) as page:

        async def log_in() -> None:
            await page.get_by_label("Email address").fill(ADDRESS)
            await page.get_by_role("button", name="Email me a code").click()
            hint = page.locator("[data-hint]")
            await expect(hint).to_have_text(re.compile(r"\d{6}"), timeout=TIMEOUT)
            code = re.search(r"\d{6}", await hint.inner_text())
            assert code is not None
            await page.get_by_label("Code from the email").fill(code[0])
            await page.get_by_role("button", name="Log in", exact=True).click()

        await page.goto(f"{server.base}/app/#/approvals/{found['id']}")
        await log_in()
        approve = page.get_by_role("button", name="Approve", exact=True)
        await expect(approve).to_be_visible(timeout=TIMEOUT)
        with sqlite3.connect(next(server_folder.glob("data/*.db")), timeout=60) as store:
            store.execute("UPDATE sessions SET authenticated_at = '2020-01-01 00:00:00.000000'")
        store.close()
        # a revoked key empties what the process remembers of logins
        key = mine.send("POST", "/api/auth/apikey", {"name": "k"}, expect=201)
        mine.send("DELETE", f"/api/auth/apikeys/{key['id']}", expect=204)
        await approve.click()
        await expect(page.locator("#alert")).to_contain_text("log in again", timeout=TIMEOUT)
        await log_in()
        await expect(approve).to_be_visible(timeout=TIMEOUT)
        await approve.click()
        await expect(page.locator(".outcome")).to_be_visible(timeout=TIMEOUT)
    assert mine.send("GET", f"/api/audit/approvals/{found['id']}")["resolvedVia"] == "mini_app"
