"""Who may sign up, as people in a plain browser see it: with an invite they come in, without one they are told how."""

from pathlib import Path

import pytest
from playwright.async_api import expect

from tests.api.issuer import CLIENT, SECRET, open_issuer
from tests.browser.conftest import phone
from tests.processes import Program, call, free_ports, ready

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]
TIMEOUT = 30_000


async def test_an_invite_survives_the_way_to_telegram_and_back(tmp_path: Path) -> None:
    port = free_ports(1)
    base = f"http://127.0.0.1:{port}"
    async with open_issuer() as issuer:
        program = Program(
            tmp_path,
            "serve",
            PILOT_DATA_DIR=str(tmp_path / "data"),
            PORT=str(port),
            RATE_LIMITS_ENABLED="false",
            PILOT_SIGNUP="invite",
            TELEGRAM_LOGIN_CLIENT_ID=CLIENT,
            TELEGRAM_LOGIN_CLIENT_SECRET=SECRET,
            TELEGRAM_LOGIN_ISSUER=issuer.url,
        )
        try:
            ready(base)
            _, asked = call("POST", f"{base}/api/auth/email/request", {"email": "ada@example.com"})
            code = {"email": "ada@example.com", "code": asked["code"]}
            _, ada = call("POST", f"{base}/api/auth/email/verify", code)
            place, headers = ada["workspace"]["id"], {"Authorization": f"Bearer {ada['token']}"}
            _, invite = call("POST", f"{base}/api/workspace/{place}/invite", {"role": "partner"}, headers)
            # the refusal is what is looked for
            async with phone(allow=("403",)) as page:
                await page.goto(f"{base}/app/")
                await page.get_by_role("button", name="Log in with Telegram").click()
                await expect(page.get_by_text("Sign-up is closed here")).to_be_visible(timeout=TIMEOUT)
                await page.get_by_label("Email address").fill("eve@example.com")
                await page.get_by_role("button", name="Email me a code").click()
                await expect(page.get_by_label("Code from the email")).to_be_visible(timeout=TIMEOUT)
            async with phone() as page:
                await page.goto(invite["inviteUrl"])
                await page.get_by_role("button", name="Log in with Telegram").click()
                await expect(page.get_by_role("heading", name="New task")).to_be_visible(timeout=TIMEOUT)
                assert invite["inviteToken"] not in page.url
                assert await page.evaluate("sessionStorage.getItem('invite')") is None
            _, found = call("GET", f"{base}/api/workspace/{place}", headers=headers)
            assert sorted(member["role"] for member in found["members"]) == ["owner", "partner"]
        finally:
            assert program.stop() == 0
        assert invite["inviteToken"] not in program.log.read_text()
