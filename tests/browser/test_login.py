"""Telegram Login as a person in a plain browser sees it: out to the provider, back, and in."""

from pathlib import Path

import pytest
from playwright.async_api import expect

from tests.api.issuer import CLIENT, SECRET, open_issuer
from tests.browser.conftest import phone
from tests.processes import Program, free_ports, ready

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]
TIMEOUT = 30_000


async def test_a_browser_goes_to_telegram_and_comes_back(tmp_path: Path) -> None:
    port = free_ports(1)
    async with open_issuer() as issuer:
        program = Program(
            tmp_path,
            "serve",
            PILOT_DATA_DIR=str(tmp_path / "data"),
            PORT=str(port),
            RATE_LIMITS_ENABLED="false",
            TELEGRAM_LOGIN_CLIENT_ID=CLIENT,
            TELEGRAM_LOGIN_CLIENT_SECRET=SECRET,
            TELEGRAM_LOGIN_ISSUER=issuer.url,
        )
        base = f"http://127.0.0.1:{port}"
        try:
            ready(base)
            async with phone() as page:
                issuer.denies = True
                await page.goto(f"{base}/app/")
                button = page.get_by_role("button", name="Log in with Telegram")
                await button.click()
                await expect(page.get_by_text("Telegram didn't log you in")).to_be_visible(timeout=TIMEOUT)
                assert page.url == f"{base}/app/"
                issuer.denies = False
                await button.click()
                await expect(page.get_by_role("heading", name="New task")).to_be_visible(timeout=TIMEOUT)
                # neither the code nor the state stays in the address
                assert page.url.split("#")[0] == f"{base}/app/"
                assert "helm_session" not in await page.evaluate("document.cookie")
                await page.reload()
                await expect(page.get_by_role("heading", name="New task")).to_be_visible(timeout=TIMEOUT)
        finally:
            assert program.stop() == 0
        log = program.log.read_text()
        assert issuer.asked.count("/token") == 1
        assert "code=" not in log
        assert SECRET not in log
