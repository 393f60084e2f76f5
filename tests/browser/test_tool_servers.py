"""Tool servers in the Mini App: added, looked at, a level set, a changed tool seen, taken away."""

import pytest
from playwright.async_api import expect

from tests.browser.conftest import Server, phone
from tests.browser.test_actions import TIMEOUT, into, mine
from tests.browser.test_pages import FAULTS

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]
__all__ = ["mine"]


async def test_a_server_is_added_its_tool_gets_a_level_and_it_goes_again(
    mine: Server,
    request: pytest.FixtureRequest,
) -> None:
    async with phone(allow=("400",)) as page:
        await into(page, mine, request, "tool-servers")
        await expect(page.get_by_text("No tool servers yet.")).to_be_visible()
        # a wrong wish is said at its field
        wrong = page.locator("#new-server")
        await wrong.get_by_label("Name").fill("inner")
        await wrong.get_by_label("Address").fill("http://127.0.0.1:9/mcp")
        await wrong.get_by_role("button", name="Add").click()
        await expect(wrong.get_by_label("Address")).to_have_attribute("aria-invalid", "true", timeout=TIMEOUT)
        await wrong.get_by_label("Name").fill("")
        await wrong.get_by_label("Address").fill("")
        form = page.locator("#new-program")
        await form.get_by_label("Name").fill("world")
        await form.get_by_role("button", name="Add").click()
        await expect(page.locator("#offered")).to_be_visible(timeout=30_000)
        [server] = mine.send("GET", "/api/mcp-servers")["servers"]
        tool = page.locator("#tool-1")
        await expect(tool.locator(".badge")).to_have_text("not reviewed")
        await tool.locator("summary").click()
        assert await page.evaluate(FAULTS) == []
        await tool.get_by_label("Impact level").select_option("E1")
        await tool.get_by_label("Safe to repeat").check()
        await tool.get_by_role("button", name="Save").click()
        await expect(tool.locator(".badge")).to_have_text("set", timeout=TIMEOUT)
        found = mine.send("GET", f"/api/mcp-servers/{server['id']}")["tools"][0]
        assert (found["name"], found["effectLevel"], found["idempotent"]) == ("read", "E1", True)
        await page.evaluate("window.__popup = 'yes'")
        await page.get_by_role("button", name="Remove").click()
        await expect(page.get_by_text("No tool servers yet.")).to_be_visible(timeout=TIMEOUT)
    assert mine.send("GET", "/api/mcp-servers")["servers"] == []


async def test_a_server_nobody_can_reach_says_so(mine: Server, request: pytest.FixtureRequest) -> None:
    wanted = {"name": "nowhere", "url": "https://nowhere.invalid/mcp"}
    mine.send("POST", "/api/mcp-servers", wanted, expect=201)
    async with phone() as page:
        await into(page, mine, request, "tool-servers")
        server = page.get_by_role("link", name="nowhere")
        await expect(server.locator(".badge")).to_have_text("unreachable")
        await server.click()
        await expect(page.locator(".alarm")).to_be_visible(timeout=TIMEOUT)
