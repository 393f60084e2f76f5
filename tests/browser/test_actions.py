"""What people do in the Mini App really happens, inside Telegram and in a plain browser."""

import asyncio
import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from typing import Any

import pytest
from playwright.async_api import Page, Route, expect

from tests.browser.conftest import PLAYBOOK, Server, logged_in, phone, saved
from tests.browser.test_pages import FAULTS
from tests.browser.webview import events, open_app, press
from tests.processes import until

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]

TIMEOUT = 30_000


@pytest.fixture
def mine(server: Server, request: pytest.FixtureRequest) -> Server:
    """A workspace of the test's own."""
    return logged_in(server.base, abs(hash(request.node.name)) % 10**9, "Ada")


async def into(page: Page, server: Server, request: Any, route: str = "", **given: Any) -> None:
    user = abs(hash(request.node.name)) % 10**9
    await open_app(page, server.base, user_id=user, route=f"/{route}" if route else "", **given)
    await expect(page.locator("main .mark")).to_have_count(1, timeout=30_000)


def approval(server: Server, found: dict[str, Any]) -> dict[str, Any]:
    return dict(server.send("GET", f"/api/audit/approvals/{found['id']}"))


async def test_telegrams_own_buttons_decide_and_the_page_follows_the_run(
    mine: Server, request: pytest.FixtureRequest
) -> None:
    task = mine.task()
    found = mine.pending(task)
    async with phone() as page:
        await into(page, mine, request, start_param=f"apr_{found['id']}")
        await expect(page.get_by_text("Pilot launched today.").first).to_be_visible()
        # inside Telegram its buttons stand in for those of the page
        await expect(page.get_by_role("button", name="Approve", exact=True)).to_have_count(0)
        assert (await events(page, "web_app_setup_main_button"))[-1]["text"] == "Approve"
        assert (await events(page, "web_app_setup_back_button"))[-1] == {"is_visible": True}
        await press(page, "main_button_pressed")
        await expect(page.locator(".outcome").get_by_role("heading", name="approved")).to_be_visible(timeout=TIMEOUT)
        assert (await events(page, "web_app_setup_main_button"))[-1]["is_visible"] is False
        assert {"type": "notification", "notification_type": "success"} in await events(
            page, "web_app_trigger_haptic_feedback"
        )
        await press(page, "back_button_pressed")
        await expect(page.locator("main .mark")).to_have_attribute("data-title", "Approvals")
    decided = approval(mine, found)
    assert (decided["status"], decided["resolvedVia"]) == ("approved", "mini_app")
    assert mine.ended(task)["status"] == "completed"


async def test_a_task_typed_here_runs_live(mine: Server, request: pytest.FixtureRequest) -> None:
    async with phone() as page:
        await into(page, mine, request)
        await page.get_by_label("What should be done?").fill("Typed here")
        await page.get_by_label("Details or steps").fill(PLAYBOOK)
        # while something is typed Telegram asks before it closes the app
        assert (await events(page, "web_app_setup_closing_behavior"))[-1] == {"need_confirmation": True}
        await page.get_by_role("button", name="Create task").click()
        await expect(page.get_by_role("heading", name="3. email.send")).to_be_visible(timeout=TIMEOUT)
        assert (await events(page, "web_app_setup_closing_behavior"))[-1] == {"need_confirmation": False}
        await expect(page.locator("#live")).to_have_text("live")
        # somebody else approves: the page hears of it
        [found] = until(lambda: mine.send("GET", "/api/audit/approvals?status=pending"), what="an approval")
        mine.send("PUT", f"/api/audit/approvals/{found['id']}", {"status": "approved"})
        await expect(page.get_by_role("heading", name="Run 1 completed")).to_be_visible(timeout=TIMEOUT)
        await expect(page.get_by_text("The team has a mail.", exact=True)).to_be_visible()
        await page.get_by_role("button", name="Run again").click()
        await expect(page.get_by_role("heading", name="Run 2")).to_be_visible(timeout=TIMEOUT)
        await page.get_by_role("button", name="Cancel this run").click(timeout=TIMEOUT)
        await expect(page.get_by_role("heading", name="Run 2 cancelled")).to_be_visible(timeout=TIMEOUT)


async def test_edit_makes_a_new_version_and_the_old_buttons_are_dead(
    mine: Server, request: pytest.FixtureRequest
) -> None:
    task = mine.task()
    found = mine.pending(task)
    async with phone(allow=("409",)) as page:
        await into(page, mine, request, f"approvals/{found['id']}")
        await page.get_by_text("Edit what would run").click()
        box = page.get_by_label("Arguments (JSON)")
        await box.fill("{broken")
        await page.get_by_role("button", name="Save as a new version").click()
        await expect(page.get_by_role("alert").filter(has_text="aren't valid JSON")).to_be_visible()
        await expect(box).to_have_attribute("aria-invalid", "true")
        # another channel changes it meanwhile: what stands here is no longer what would run
        changed = {"to": "other@example.com", "subject": "Hello", "body": "x"}
        mine.send("PUT", f"/api/audit/approvals/{found['id']}/input", {"input": changed, "version": 1})
        await press(page, "main_button_pressed")
        await expect(page.locator("#alert")).to_contain_text("has changed since you saw it", timeout=TIMEOUT)
        await expect(page.get_by_text("version 2")).to_be_visible()
        assert approval(mine, found)["status"] == "pending"
        # what was open stays open, with what would run now
        assert json.loads(await page.get_by_label("Arguments (JSON)").input_value()) == changed
        await page.get_by_label("Arguments (JSON)").fill(json.dumps({**changed, "subject": "Edited here"}))
        await page.get_by_role("button", name="Save as a new version").click()
        await expect(page.get_by_text("version 3")).to_be_visible(timeout=TIMEOUT)
        await press(page, "main_button_pressed")
        await expect(page.locator(".outcome")).to_be_visible(timeout=TIMEOUT)
    assert approval(mine, found)["actionInput"]["subject"] == "Edited here"
    assert mine.ended(task)["status"] == "completed"


@pytest.mark.parametrize(
    ("summary", "field", "button", "status"),
    [
        ("Deny with a reason", "Reason", "Deny", "rejected"),
        ("Ask for changes", "What should change?", "Ask for changes", "changes_requested"),
    ],
)
async def test_answers_in_words(
    mine: Server, request: pytest.FixtureRequest, *, summary: str, field: str, button: str, status: str
) -> None:
    found = mine.pending(mine.task())
    async with phone() as page:
        await into(page, mine, request, f"approvals/{found['id']}")
        await page.locator("summary", has_text=summary).click()
        await page.get_by_label(field, exact=True).fill("Not on a Friday <b>please</b>")
        await page.locator("details[open]").get_by_role("button", name=button).click()
        await expect(page.locator(".outcome blockquote")).to_have_text("Not on a Friday <b>please</b>", timeout=TIMEOUT)
    assert (approval(mine, found)["status"], approval(mine, found)["resolutionNote"]) == (
        status,
        "Not on a Friday <b>please</b>",
    )


async def test_allow_for_a_while_then_revoke(mine: Server, request: pytest.FixtureRequest) -> None:
    found = mine.pending(mine.task())
    async with phone() as page:
        await into(page, mine, request, f"approvals/{found['id']}")
        await page.locator("summary", has_text="Approve and allow for a while").click()
        await page.get_by_label("For how long").select_option("480")
        await page.get_by_label("Maximum number of calls").fill("3")
        await page.get_by_label("Only in this task").uncheck()
        await page.get_by_role("button", name="Approve and allow").click()
        await expect(page.locator(".outcome")).to_be_visible(timeout=TIMEOUT)
        [grant] = mine.send("GET", "/api/grants")
        assert (grant["tool"], grant["maxUses"], grant["taskId"]) == ("email.send", 3, None)
        await page.evaluate("location.hash = '#/grants'")
        await page.get_by_role("button", name="Revoke").click()
        await expect(page.get_by_text("No temporary permissions.")).to_be_visible(timeout=TIMEOUT)
    assert mine.send("GET", "/api/grants") == []


async def test_undo_while_the_window_is_open(mine: Server, request: pytest.FixtureRequest) -> None:
    mine.send("PUT", f"/api/workspace/{mine.workspace}/settings", {"policyConfig": {"undoSeconds": 300}}, expect=201)
    found = mine.pending(mine.task())
    async with phone() as page:
        await into(page, mine, request, f"approvals/{found['id']}")
        await press(page, "main_button_pressed")
        left = page.locator("[data-countdown]")
        await expect(left).to_have_text(re.compile(r"^\d+ s$"), timeout=TIMEOUT)
        first = int((await left.inner_text()).removesuffix(" s"))
        assert 200 < first <= 300
        await expect(left).not_to_have_text(f"{first} s", timeout=TIMEOUT)
        assert int((await left.inner_text()).removesuffix(" s")) < first
        await page.get_by_role("button", name="Undo").click()
        await expect(page.get_by_role("heading", name="denied")).to_be_visible(timeout=TIMEOUT)
    assert approval(mine, found)["status"] == "rejected"


async def test_kill_switch_and_mode(mine: Server, request: pytest.FixtureRequest) -> None:
    async with phone() as page:
        await into(page, mine, request)
        await page.evaluate("window.__popup = 'no'")
        await page.get_by_role("button", name="Stop everything").click()
        await expect(page.get_by_role("heading", name="Everything is stopped")).to_have_count(0)
        await page.evaluate("window.__popup = 'yes'")
        await page.get_by_role("button", name="Stop everything").click()
        await expect(page.get_by_role("heading", name="Everything is stopped")).to_be_visible(timeout=TIMEOUT)
        settings = mine.send("GET", f"/api/workspace/{mine.workspace}/settings")
        assert settings["policyConfig"]["killSwitch"] is True
        await page.get_by_role("button", name="Resume work").click()
        await expect(page.get_by_role("heading", name="Everything is stopped")).to_have_count(0, timeout=TIMEOUT)
        await page.get_by_role("button", name="Launch", exact=True).click()
        await expect(page.get_by_role("button", name="Launch", exact=True)).to_have_attribute(
            "aria-pressed", "true", timeout=TIMEOUT
        )
    assert mine.send("GET", f"/api/workspace/{mine.workspace}")["currentMode"] == "launch"


async def test_settings_name_the_field_that_is_wrong(mine: Server, request: pytest.FixtureRequest) -> None:
    async with phone(allow=("400",)) as page:
        await into(page, mine, request, "policy")
        save = page.locator("#rules-for-tools").get_by_role("button", name="Save")
        await page.get_by_label("Tools that never run").fill("http.post\nno such name!")
        await save.click()
        await expect(page.get_by_label("Tools that never run")).to_have_attribute(
            "aria-invalid", "true", timeout=TIMEOUT
        )
        await page.get_by_label("Tools that never run").fill("http.post")
        rule = [{"id": "r1", "when": "input.nonsense(", "verdict": "DENY"}]
        await saved(save)
        rules = page.locator("#custom-rules")
        await rules.get_by_label("Rules (JSON)").fill(json.dumps(rule))
        await rules.get_by_role("button", name="Save").click()
        await expect(rules.get_by_label("Rules (JSON)")).to_have_attribute("aria-invalid", "true", timeout=TIMEOUT)
        await rules.get_by_label("Rules (JSON)").fill("[]")
        await saved(rules.get_by_role("button", name="Save"))
        await turn_to(page, "budgets")
        await page.get_by_label("Per task").fill("900")
        await page.get_by_role("button", name="Save").click()
        await expect(page.get_by_label("Per task")).to_have_attribute("aria-invalid", "true", timeout=TIMEOUT)
        await page.get_by_label("Per task").fill("7.5")
        await page.get_by_label("AI models per month").fill("40")
        await saved(page.get_by_role("button", name="Save"))
    settings = mine.send("GET", f"/api/workspace/{mine.workspace}/settings")
    assert settings["policyConfig"]["toolBlocklist"] == ["http.post"]
    assert (settings["budgetConfig"]["perTaskMax"], settings["budgetConfig"]["monthlyLlmBudget"]) == (7.5, 40)


async def turn_to(page: Page, route: str) -> None:
    """Another page, once it is there: the one before may have fields of the same name."""
    before = await page.locator("h1").inner_text()
    await page.evaluate("route => { location.hash = '#/' + route }", route)
    await expect(page.locator("h1")).not_to_have_text(before, timeout=TIMEOUT)


async def test_people_keys_operators_and_workspaces(mine: Server, request: pytest.FixtureRequest) -> None:
    async with phone() as page:
        await into(page, mine, request, "members")
        await page.get_by_label("Role").select_option("partner")
        await page.get_by_role("button", name="Create invite").click()
        await expect(page.locator("output")).to_contain_text("#invite=", timeout=TIMEOUT)
        link = await page.locator("output").inner_text()
        await turn_to(page, "keys")
        await page.get_by_label("Name").fill("CI")
        await page.get_by_text("Scopes").first.click()
        await page.get_by_label("tasks:write").check()
        await page.get_by_role("button", name="Create key").click()
        await expect(page.locator("output")).to_contain_text("hp_", timeout=TIMEOUT)
        await turn_to(page, "operators")
        await page.get_by_label("Name").fill("Nora")
        await page.get_by_label("Goal").fill("Tell the world")
        await page.get_by_label("email.send").check()
        await page.get_by_role("button", name="Create").click()
        await expect(page.get_by_role("heading", name="Nora")).to_be_visible(timeout=TIMEOUT)
        await page.get_by_role("button", name="Pause").click()
        await expect(page.get_by_role("button", name="Resume")).to_be_visible(timeout=TIMEOUT)
        await turn_to(page, "workspace")
        await page.locator("form", has_text="Create").get_by_label("Name").fill("Second place")
        await page.get_by_role("button", name="Create").click()
        await expect(page.locator("h1")).to_have_text("Second place", timeout=TIMEOUT)
    [key] = mine.send("GET", "/api/auth/apikeys")
    assert (key["name"], key["scopes"]) == ("CI", ["tasks:write"])
    [operator] = mine.send("GET", "/api/operators")
    assert (operator["name"], operator["tools"], operator["isActive"]) == ("Nora", ["email.send"], False)
    # the invite lets somebody else in, and nobody twice
    guest = logged_in(mine.base, 4711, "Grace")
    guest.send("POST", "/api/auth/invite/" + link.partition("#invite=")[2], {})
    assert [m["role"] for m in mine.send("GET", f"/api/workspace/{mine.workspace}")["members"]] == ["owner", "partner"]


async def test_a_founder_brings_a_model_key(mine: Server, request: pytest.FixtureRequest) -> None:
    """The page said that a model needs a key, and had no place to put one."""
    async with phone() as page:
        await into(page, mine, request, "model")
        key = page.locator("#key-openrouter")
        await expect(key.locator(".badge")).to_have_text("none")
        await key.locator("summary").click()
        await key.get_by_label("Key").fill("sk-or-of-the-founder")
        await key.get_by_role("button", name="Save").click()
        await expect(key.locator(".badge")).to_have_text("saved", timeout=TIMEOUT)
        [kept] = mine.send("GET", "/api/workspace/secrets")["secrets"]
        assert kept["kind"] == "openrouter"
        assert "sk-or-of-the-founder" not in await page.content()
        await key.locator("summary").click()
        assert await page.evaluate(FAULTS) == []
        await page.evaluate("window.__popup = 'yes'")
        await key.get_by_role("button", name="Delete this key").click()
        await expect(key.locator(".badge")).to_have_text("none", timeout=TIMEOUT)
    assert mine.send("GET", "/api/workspace/secrets")["secrets"] == []


async def test_every_language(server: Server) -> None:
    async with phone() as page:
        await open_app(page, server.base, user_id=70_001, language="ru")
        await expect(page.get_by_role("link", name="Задачи")).to_be_visible()
        assert await page.evaluate("document.documentElement.lang") == "ru"
        await page.evaluate("location.hash = '#/language'")
        await page.get_by_role("button", name="Español").click()
        await expect(page.locator("h1")).to_have_text("Idioma", timeout=TIMEOUT)
        await expect(page.get_by_role("link", name="Tareas")).to_be_visible()


async def test_hostile_texts_are_only_texts(mine: Server, request: pytest.FixtureRequest) -> None:
    hostile = '<img src=x onerror="window.__pwned=1"><script>window.__pwned=1</script>"\'><svg onload=window.__pwned=1>'
    task = mine.task(
        hostile,
        f"1. note.create title={json.dumps(hostile)} body={json.dumps(hostile)}\nfinish summary={json.dumps(hostile)}",
    )
    mine.ended(task)
    async with phone() as page:
        await into(page, mine, request)
        for route in ("home", "tasks", f"tasks/{task}", "receipts", "audit"):
            await page.evaluate("route => { location.hash = '#/' + route }", route)
            await expect(page.locator("main[aria-busy]")).to_have_count(0, timeout=TIMEOUT)
            await page.wait_for_timeout(150)
            assert await page.evaluate("window.__pwned") is None
            assert await page.locator("main img, main script").count() == 0
        await page.evaluate(f"location.hash = '#/tasks/{task}'")
        await expect(page.get_by_role("heading", name=hostile)).to_be_visible(timeout=TIMEOUT)


async def test_a_changed_receipt_is_seen_and_who_checked_is_said(mine: Server, request: pytest.FixtureRequest) -> None:
    mine.ended(mine.task("Plan", 'note.create title="x"\nfinish summary="y"'))
    receipt = mine.send("GET", "/api/governance/receipts?kind=decision")["receipts"][0]["id"]
    async with phone() as page:
        await into(page, mine, request, f"receipts/{receipt}")
        await expect(page.get_by_text("Checked in this browser")).to_be_visible(timeout=TIMEOUT)
        await expect(page.locator("#checks li.good")).to_have_count(5)

        async def forge(route: Route) -> None:
            answer = await route.fetch()
            body = await answer.json()
            body["signedBlob"]["verdict"] = "DENY" if body["signedBlob"]["verdict"] == "ALLOW" else "ALLOW"
            await route.fulfill(response=answer, json=body)

        await page.route("**/api/governance/receipts/*", forge)
        await page.evaluate("location.hash = '#/home'")
        await page.evaluate(f"location.hash = '#/receipts/{receipt}'")
        await expect(page.get_by_text("This receipt is NOT valid")).to_be_visible(timeout=TIMEOUT)
        # signature, hash and place in the log: each of them notices
        await expect(page.locator("#checks li.bad")).to_have_count(4)
        await page.unroute("**/api/governance/receipts/*")
        # a browser without Ed25519: the server checks, and the page says so
        await page.evaluate(
            "() => { crypto.subtle.importKey = () => Promise.reject(new DOMException('no', 'NotSupportedError')); }"
        )
        await page.evaluate("location.hash = '#/home'")
        await page.evaluate(f"location.hash = '#/receipts/{receipt}'")
        await expect(page.get_by_text("Checked by the server, not by this browser")).to_be_visible(timeout=TIMEOUT)
        await expect(page.get_by_text("Checked in this browser")).to_have_count(0)


class Line:
    """What lies between a browser and the server: it can be cut, and mended again."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._open: set[asyncio.StreamWriter] = set()
        self._whole = True

    async def carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if not self._whole:
            writer.transport.abort()
            return
        there, back = await asyncio.open_connection("127.0.0.1", self._port)
        self._open |= {writer, back}

        async def one_way(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
            with suppress(OSError):
                while data := await source.read(65_536):
                    target.write(data)
                    await target.drain()
            target.close()

        await asyncio.gather(one_way(reader, back), one_way(there, writer))
        self._open -= {writer, back}

    def cut(self) -> None:
        self._whole = False
        for end in self._open:
            end.transport.abort()

    def mend(self) -> None:
        self._whole = True


@asynccontextmanager
async def over_a_line(server: Server) -> AsyncIterator[tuple[Line, Server]]:
    """A line to the server, and the server as it is reached over it."""
    line = Line(int(server.base.rpartition(":")[2]))
    async with await asyncio.start_server(line.carry, "127.0.0.1", 0) as between:
        yield line, replace(server, base=f"http://127.0.0.1:{between.sockets[0].getsockname()[1]}")


async def test_a_broken_line_is_shown_and_resumed(mine: Server, request: pytest.FixtureRequest) -> None:
    async with over_a_line(mine) as (line, away), phone(allow=("net::ERR_",)) as page:
        await into(page, away, request, "tasks")
        await expect(page.locator("#live")).to_have_text("live", timeout=TIMEOUT)
        asked: list[str | None] = []
        page.on(
            "request", lambda r: asked.append(r.headers.get("last-event-id")) if r.url.endswith("/api/events") else None
        )
        mine.task("First", 'note.create title="a"\nfinish summary="b"')
        await expect(page.get_by_role("link", name="First")).to_be_visible(timeout=TIMEOUT)
        # the stream ends, as a proxy or a phone would end it; what happens meanwhile is caught up with
        line.cut()
        await expect(page.locator("#live")).to_have_text("offline", timeout=TIMEOUT)
        mine.task("Second", 'note.create title="a"\nfinish summary="b"')
        line.mend()
        await expect(page.get_by_role("link", name="Second")).to_be_visible(timeout=TIMEOUT)
        await expect(page.locator("#live")).to_have_text("live", timeout=TIMEOUT)
        assert asked
        assert all(last and last.isdigit() for last in asked)
        await page.goto("about:blank")


async def test_what_is_shown_once_stays_when_the_line_comes_back(mine: Server, request: pytest.FixtureRequest) -> None:
    """The page looked again after every break of its line, and took the new key away before anybody could copy it."""
    async with over_a_line(mine) as (line, away), phone(allow=("net::ERR_",)) as page:
        await into(page, away, request, "keys")
        await expect(page.locator("#live")).to_have_text("live", timeout=TIMEOUT)
        await page.get_by_label("Name").fill("CI")
        await page.get_by_role("button", name="Create key").click()
        await expect(page.locator("output")).to_contain_text("hp_", timeout=TIMEOUT)
        line.cut()
        await expect(page.locator("#live")).to_have_text("offline", timeout=TIMEOUT)
        line.mend()
        await expect(page.locator("#live")).to_have_text("live", timeout=TIMEOUT)
        await asyncio.sleep(1)
        await expect(page.locator("output")).to_be_visible()
        await expect(page.locator("output")).to_contain_text("hp_")
        await page.goto("about:blank")


async def test_a_look_that_fails_is_taken_again(mine: Server, request: pytest.FixtureRequest) -> None:
    """The line of events held while another request broke: the page said "live" and showed what had been."""
    broken: list[str] = []

    async def breaks(route: Route) -> None:
        if broken:
            await route.continue_()
        else:
            broken.append(route.request.url)
            await route.abort("internetdisconnected")

    async with phone(allow=("ERR_INTERNET_DISCONNECTED",)) as page:
        await into(page, mine, request, "tasks")
        await expect(page.locator("#live")).to_have_text("live", timeout=TIMEOUT)
        await page.route("**/app/parts/tasks", breaks)
        mine.send("POST", "/api/tasks", {"title": "Meanwhile"}, expect=201)
        await expect(page.get_by_role("link", name="Meanwhile")).to_be_visible(timeout=TIMEOUT)
    assert len(broken) == 1


async def test_what_is_sent_over_a_broken_line_says_so_in_the_language_of_the_page(
    mine: Server, request: pytest.FixtureRequest
) -> None:
    """It showed the browser's own "Failed to fetch"."""
    async with phone(allow=("ERR_FAILED",)) as page:
        await into(page, mine, request)
        await page.get_by_label("What should be done?").fill("Typed while the line is broken")
        await page.route("**/api/tasks", lambda route: route.abort())
        await page.get_by_role("button", name="Create task").click()
        await expect(page.locator("main .problem")).to_have_text("Pilot can't be reached right now.", timeout=TIMEOUT)
        # nothing typed is lost
        await page.unroute("**/api/tasks")
        await page.get_by_role("button", name="Create task").click()
        await expect(page.get_by_role("heading", name="Typed while the line is broken")).to_be_visible(timeout=TIMEOUT)


async def test_a_plain_browser_logs_in_by_mail_and_stays(server: Server, request: pytest.FixtureRequest) -> None:
    async with phone() as page:
        await page.goto(f"{server.base}/app/")
        await page.get_by_label("Email address").fill("ada.browser@example.com")
        await page.get_by_role("button", name="Email me a code").click()
        hint = await page.get_by_text("Development mode: your code is").inner_text(timeout=TIMEOUT)
        await page.get_by_label("Code from the email").fill(hint[-6:])
        await page.get_by_role("button", name="Log in").click()
        await expect(page.get_by_role("heading", name="New task")).to_be_visible(timeout=TIMEOUT)
        # nothing that scripts can read holds the session; a reload keeps it
        assert (
            await page.evaluate("JSON.stringify([Object.values(localStorage), Object.keys(sessionStorage)])")
            == '[[],["workspace"]]'
        )
        assert "helm_session" not in await page.evaluate("document.cookie")
        await page.reload()
        await page.get_by_label("What should be done?").fill("From a browser")
        await page.get_by_label("Details or steps").fill(PLAYBOOK)
        await page.get_by_role("button", name="Create task").click()
        await page.get_by_role("link", name="Decide", exact=True).click(timeout=TIMEOUT)
        # outside Telegram the page has the buttons itself
        await page.get_by_role("button", name="Approve", exact=True).click()
        await expect(page.locator(".outcome")).to_be_visible(timeout=TIMEOUT)
        await page.get_by_role("link", name="More").click()
        await page.get_by_role("button", name="Log out").click()
        await page.get_by_role("dialog").get_by_role("button", name="Continue").click()
        await expect(page.get_by_label("Email address")).to_be_visible(timeout=TIMEOUT)
        await page.reload()
        await expect(page.get_by_label("Email address")).to_be_visible(timeout=TIMEOUT)


async def test_the_download_is_an_archive_that_verifies(
    mine: Server, request: pytest.FixtureRequest, tmp_path: Any
) -> None:
    from domain.receipts.verify import verify_archive

    mine.ended(mine.task("Plan", 'note.create title="x"\nfinish summary="y"'))
    async with phone() as page:
        await into(page, mine, request, "receipts")
        async with page.expect_download() as waiting:
            await page.get_by_role("button", name="Download all").click()
        await (await waiting.value).save_as(tmp_path / "all.tar.gz")
    with (tmp_path / "all.tar.gz").open("rb") as file:
        report = verify_archive(file)
    assert report.ok, report.errors
    assert report.receipts > 4


async def test_long_lists_go_on(mine: Server, request: pytest.FixtureRequest) -> None:
    for n in range(35):
        mine.send("POST", "/api/tasks", {"title": f"Task number {n:02}"}, expect=201)
    until(lambda: len(mine.send("GET", "/api/tasks")) == 35, what="the tasks")
    async with phone() as page:
        await into(page, mine, request, "tasks")
        await expect(page.locator("#rows a.cell")).to_have_count(30)
        await page.get_by_role("button", name="Load more").click()
        await expect(page.locator("#rows a.cell")).to_have_count(35, timeout=TIMEOUT)
        titles = await page.locator("#rows b").all_inner_texts()
        assert titles == [f"Task number {n:02}" for n in reversed(range(35))]
        await page.get_by_label("Search").fill("number 07")
        await page.get_by_label("Search").press("Enter")
        await expect(page.locator("#rows a.cell")).to_have_count(1, timeout=TIMEOUT)


async def test_what_happens_while_a_page_is_on_its_way_is_not_missed(
    mine: Server, request: pytest.FixtureRequest
) -> None:
    async with phone() as page:
        await into(page, mine, request, "approvals")
        await expect(page.locator("#live")).to_have_text("live", timeout=TIMEOUT)
        made: list[str] = []

        async def late(route: Route) -> None:
            answer = await route.fetch()
            if not made:
                made.append(str(mine.send("POST", "/api/tasks", {"title": "In between"}, expect=201)["id"]))
                await page.wait_for_timeout(500)
            await route.fulfill(response=answer)

        await page.route("**/app/parts/tasks", late)
        await page.evaluate("location.hash = '#/tasks'")
        await expect(page.get_by_role("link", name="In between")).to_be_visible(timeout=TIMEOUT)


async def test_a_link_from_chat_opens_in_its_own_workspace(mine: Server, request: pytest.FixtureRequest) -> None:
    """Somebody in two workspaces was told that there is no such approval."""
    found = mine.pending(mine.task())
    other = logged_in(mine.base, abs(hash(request.node.name + "guest")) % 10**9, "Grace")
    settings = {"policyConfig": {"approverRole": "partner"}}
    mine.send("PUT", f"/api/workspace/{mine.workspace}/settings", settings, expect=201)
    invite = mine.send("POST", f"/api/workspace/{mine.workspace}/invite", {"role": "partner"}, expect=201)
    other.send("POST", f"/api/auth/invite/{invite['inviteToken']}", {})
    async with phone() as page:
        await open_app(
            page,
            mine.base,
            user_id=abs(hash(request.node.name + "guest")) % 10**9,
            route=f"/approvals/{found['id']}",
            query=f"in={mine.workspace}",
        )
        await expect(page.get_by_text("Pilot launched today.").first).to_be_visible(timeout=TIMEOUT)
        await expect(page.get_by_text("Other people decide this.")).to_be_visible()
