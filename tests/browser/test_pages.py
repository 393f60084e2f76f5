"""Every page of the Mini App on a phone: it has a title, fits, names its controls, and nothing is refused by the CSP."""

import asyncio
import os
from typing import Any

import pytest
from playwright.async_api import Page, expect

from tests.browser.conftest import Server, phone
from tests.browser.webview import events, open_app

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]

PICTURES = os.environ.get("PILOT_PICTURES")
PAGES = {
    "home": None,
    "tasks": "Tasks",
    "new-task": "New task",
    "approvals": "Approvals",
    "receipts": "Receipts",
    "audit": "Audit log",
    "violations": "Denied by the policy",
    "more": "More",
    "policy": "Policy",
    "budgets": "Budgets",
    "usage": "Usage",
    "model": "AI model",
    "members": "Members",
    "keys": "API keys",
    "sessions": "Logins",
    "grants": "Temporary permissions",
    "workspace": "Workspace",
    "language": "Language",
    "operators": "Operators",
    "knowledge": "Knowledge",
    "new-note": "New note",
    "person": "Your data",
    "tool-servers": "Tool servers",
}

# what a person with a screen reader or a thumb would stumble over
FAULTS = """() => {
  const faults = [];
  if (document.documentElement.scrollWidth > innerWidth) faults.push("wider than the screen: " + document.documentElement.scrollWidth);
  for (const el of document.querySelectorAll("main button, main a[href], main input, main select, main textarea, main summary, nav a, header button")) {
    if (!el.checkVisibility({visibilityProperty: true}) || el.closest("svg")) continue;
    const label = (el.getAttribute("aria-label") || "") + (el.labels && el.labels.length ? [...el.labels].map((l) => l.textContent).join("") : el.textContent);
    if (!label.trim()) faults.push("no name: " + el.outerHTML.slice(0, 120));
    const box = el.closest("label") && el.type === "checkbox" ? el.closest("label").getBoundingClientRect() : el.getBoundingClientRect();
    const inText = el.matches("a") && el.closest("dd, p:not(.links)") && !el.matches(".button");
    if (!inText && box.height < 43.5) faults.push("hard to hit (" + box.height + "): " + el.outerHTML.slice(0, 120));
  }
  for (const svg of document.querySelectorAll("main svg")) if (!svg.getAttribute("aria-label") && svg.getAttribute("aria-hidden") !== "true") faults.push("picture without a name");
  const ids = [...document.querySelectorAll("[id]")].map((el) => el.id);
  if (new Set(ids).size !== ids.length) faults.push("an id twice");
  return faults;
}"""


async def picture(page: Page, name: str) -> None:
    if PICTURES:
        await page.wait_for_timeout(150)
        await page.screenshot(path=f"{PICTURES}/app-{name}.png", full_page=name.startswith("full"))


async def visit(page: Page, route: str, title: str | None) -> list[str]:
    """Go there; what is wrong with it."""
    await page.evaluate("route => { location.hash = '#/' + route }", route)
    await expect(page.locator("main .mark")).to_have_attribute("data-title", title or "Ada's Workspace", timeout=30_000)
    await expect(page.locator("main[aria-busy]")).to_have_count(0)
    await page.evaluate("document.fonts.ready")
    return [f"{route}: {fault}" for fault in await page.evaluate(FAULTS)]


@pytest.fixture(scope="module")
def world(server: Server) -> dict[str, Any]:
    """Something to see on every page."""
    done = server.task("Write the launch notes")
    first = server.pending(done)
    wish = {"status": "approved", "version": first["version"], "digest": first["actionHash"], "grant": {"minutes": 60}}
    server.send("PUT", f"/api/audit/approvals/{first['id']}", wish)
    server.ended(done)
    server.send(
        "POST",
        "/api/operators",
        {"name": "Nora", "role": "growth", "goal": "Tell the world", "tools": ["email.send"]},
        expect=201,
    )
    path = f"/api/workspace/{server.workspace}"
    server.send("PUT", f"{path}/settings", {"policyConfig": {"contentBans": ["secret plan"]}}, expect=201)
    refused = server.task("Leak", 'email.send to=a@example.com subject="secret plan" body="x"')
    server.ended(refused)
    server.send("POST", f"{path}/invite", {"role": "partner", "email": "grace@example.com"}, expect=201)
    server.send("POST", "/api/auth/apikey", {"name": "CI"}, expect=201)
    waits = server.task()
    approval = server.pending(waits)
    decision = server.send("GET", "/api/governance/receipts?kind=decision")["receipts"][0]["id"]
    operator = server.send("GET", "/api/operators")[0]["id"]
    note = server.send("GET", "/api/knowledge/search?q=launch+plan")[0]["id"]
    server.send("PUT", f"/api/tasks/{done}", {"schedule": {"cron": "0 9 * * 1-5", "timezone": "Europe/Berlin"}})
    return {
        "done": done,
        "note": note,
        "waits": waits,
        "approval": approval,
        "decided": first["id"],
        "receipt": decision,
        "operator": operator,
    }


@pytest.mark.parametrize("theme", ["light", "dark"])
async def test_every_page(server: Server, world: dict[str, Any], theme: str) -> None:
    async with phone(theme=theme) as page:
        await open_app(page, server.base, theme=theme)
        await expect(page.get_by_role("heading", name="email.send")).to_be_visible(timeout=30_000)
        faults: list[str] = []
        for route, title in PAGES.items():
            faults += await visit(page, route, title)
            await picture(page, f"{route}-{theme}")
        for name, route, title in (
            ("task", f"tasks/{world['done']}", "Task"),
            ("approval", f"approvals/{world['approval']['id']}", "Approval"),
            ("approval-decided", f"approvals/{world['decided']}", "Approval"),
            ("operator", f"operators/{world['operator']}", "Operator"),
            ("note", f"knowledge/{world['note']}", "Note"),
            ("receipt", f"receipts/{world['receipt']}", "Receipt"),
        ):
            faults += await visit(page, route, title)
            if name == "receipt":
                await expect(page.get_by_text("Checked in this browser")).to_be_visible(timeout=30_000)
            await picture(page, f"{name}-{theme}")
            await picture(page, f"full-{name}-{theme}")
        assert faults == [], "\n".join(faults)
        assert (await events(page, "web_app_ready"))[0] is not None
        color = await page.evaluate(
            "getComputedStyle(document.documentElement).getPropertyValue('--tg-theme-bg-color')"
        )
        assert color == ("#17212b" if theme == "dark" else "#ffffff")


async def test_nothing_moves_while_a_page_loads(server: Server, world: dict[str, Any]) -> None:
    """Layout shifts the browser counts, skeleton to page, on a slow line."""
    seen = asyncio.Event()
    async with phone() as page:
        await open_app(page, server.base)
        await expect(page.get_by_role("heading", name="email.send")).to_be_visible(timeout=30_000)

        async def slowly(route: Any) -> None:
            await seen.wait()
            await route.continue_()

        await page.route("**/app/parts/**", slowly)
        await page.evaluate(
            "window.__shift = 0; new PerformanceObserver((list) => { for (const e of list.getEntries()) window.__shift += e.value; })"
            ".observe({type: 'layout-shift', buffered: false})"
        )
        for route in ("tasks", "receipts", f"tasks/{world['done']}", "policy"):
            seen.clear()
            await page.evaluate("route => { location.hash = '#/' + route }", route)
            await expect(page.locator("main .skeleton")).to_be_visible()
            seen.set()
            await expect(page.locator("main .mark")).to_have_count(1, timeout=30_000)
            await page.wait_for_timeout(100)
        assert await page.evaluate("window.__shift") < 0.05


async def test_long_titles_leave_room_for_the_rest(server: Server) -> None:
    """A title of 500 characters took two screens of every list, and long names of pages lost their end."""
    waits = server.task("W" * 500)
    server.pending(waits)
    async with phone() as page:
        await open_app(page, server.base)
        heading = page.locator("article.approval").filter(has_text="WWW")
        await expect(heading).to_be_visible(timeout=15_000)
        assert (await heading.locator("p.hint").first.bounding_box() or {})["height"] < 160
        for route, title in (("tasks", "Tasks"), ("approvals", "Approvals")):
            assert await visit(page, route, title) == []
            row = page.locator("#rows li").filter(has_text="WWW")
            assert (await row.bounding_box() or {})["height"] < 160
        await visit(page, "grants", "Temporary permissions")
        cut = "() => { const h = document.querySelector('#title'); return [h.scrollWidth > h.clientWidth, h.scrollHeight > h.clientHeight + 2]; }"
        assert await page.evaluate(cut) == [False, False]
    server.send("POST", f"/api/tasks/{waits}/cancel")
