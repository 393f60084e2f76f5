"""Knowledge, schedules, rules, handing over and leaving, as a person does them in the Mini App."""

import asyncio
from contextlib import suppress
from typing import Any

import pytest
from playwright.async_api import Error, Page, Route, expect

from tests.browser.conftest import Server, logged_in, phone, saved
from tests.browser.webview import open_app

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]

TIMEOUT = 30_000


def number(request: pytest.FixtureRequest, salt: str = "") -> int:
    return abs(hash(request.node.name + salt)) % 10**9


@pytest.fixture
def mine(server: Server, request: pytest.FixtureRequest) -> Server:
    """A workspace of the test's own."""
    return logged_in(server.base, number(request), "Ada")


async def into(page: Page, server: Server, user: int, route: str) -> None:
    await open_app(page, server.base, user_id=user, route=f"/{route}")
    await expect(page.locator("main .mark")).to_have_count(1, timeout=30_000)


async def looked(looks: list[str]) -> None:
    """Until the page has begun to look again by itself."""
    async with asyncio.timeout(TIMEOUT / 1000):
        while not looks:
            await asyncio.sleep(0.02)


def policy(server: Server) -> dict[str, Any]:
    return dict(server.send("GET", f"/api/workspace/{server.workspace}/settings")["policyConfig"])


async def test_a_note_is_written_found_changed_and_removed(mine: Server, request: pytest.FixtureRequest) -> None:
    async with phone() as page:
        await into(page, mine, number(request), "knowledge")
        await expect(page.get_by_text("No notes yet")).to_be_visible()
        await page.get_by_role("link", name="New note").click()
        await page.get_by_label("Title").fill("Prices")
        await page.get_by_label("Text").fill("Plan B costs 40 euros")
        await page.get_by_label("Tags").fill("sales\n2026")
        await page.get_by_role("button", name="Save").click()
        await expect(page.get_by_role("heading", name="Prices")).to_be_visible(timeout=TIMEOUT)
        await page.get_by_text("Change", exact=True).click()
        await page.get_by_label("Text").fill("Plan B costs 50 euros")
        await page.get_by_role("button", name="Save").click()
        await expect(page.locator("main .summary")).to_have_text("Plan B costs 50 euros", timeout=TIMEOUT)
        await page.evaluate("location.hash = '#/knowledge'")
        await page.get_by_label("Search").fill("sales 50")
        await page.get_by_label("Search").press("Enter")
        # the page with what was found is there, not still the one with everything
        await expect(page.locator("h1")).to_be_focused()
        await expect(page.locator("#rows li")).to_have_count(1, timeout=TIMEOUT)
        await page.get_by_label("Search").fill("nowhere")
        await page.get_by_label("Search").press("Enter")
        await expect(page.get_by_text("No results for these filters.")).to_be_visible(timeout=TIMEOUT)
        await page.get_by_role("link", name="Show all").click()
        await page.get_by_role("link", name="Prices").click()
        await page.get_by_role("button", name="Delete this note").click()
        await expect(page.get_by_text("No notes yet")).to_be_visible(timeout=TIMEOUT)
    assert mine.send("GET", "/api/knowledge/search") == []


async def test_a_task_gets_a_schedule(mine: Server, request: pytest.FixtureRequest) -> None:
    made = mine.send("POST", "/api/tasks", {"title": "Weekly report", "description": "finish summary=ok"}, expect=201)
    path = f"/api/tasks/{made['id']}"
    async with phone(allow=("400",)) as page:
        await into(page, mine, number(request), f"tasks/{made['id']}")
        await page.get_by_text("Change the schedule").click()
        await page.locator("[name=every]").select_option("weekdays")
        await expect(page.locator("[name=cron]")).to_be_hidden()
        await page.locator("[name=time]").fill("08:30")
        await page.locator("[name=timezone]").fill("Europe/Berlin")
        await page.locator("#plan").get_by_role("button", name="Save").click()
        await expect(page.locator(".times li")).to_have_count(5, timeout=TIMEOUT)
        assert mine.send("GET", path)["schedule"] == {"cron": "30 8 * * 1-5", "timezone": "Europe/Berlin"}
        await page.locator("#plan").get_by_role("button", name="Pause").click()
        await expect(page.locator("#plan .badge")).to_have_text("paused", timeout=TIMEOUT)
        assert mine.send("GET", path)["paused"] is True
        # a wrong line is named at its field, and what was typed stays
        await page.locator("[name=every]").select_option("cron")
        await page.locator("[name=cron]").fill("61 * * * *")
        await page.locator("#plan").get_by_role("button", name="Save").click()
        await expect(page.locator("[name=cron]")).to_have_attribute("aria-invalid", "true", timeout=TIMEOUT)
        await expect(page.get_by_text("minute: expected 0 to 59")).to_be_visible()
        await expect(page.locator("[name=cron]")).to_have_value("61 * * * *")
        await page.locator("[name=every]").select_option("at")
        await page.locator("#plan").get_by_role("button", name="Save").click()
        await expect(page.locator("[name=at]")).to_have_attribute("aria-invalid", "true")
        await page.locator("[name=at]").fill("2031-05-01T10:00")
        await page.locator("#plan").get_by_role("button", name="Save").click()
        await expect(page.get_by_text("once", exact=True)).to_be_visible(timeout=TIMEOUT)
        assert mine.send("GET", path)["schedule"]["at"].startswith("2031-0")
        await page.locator("[name=every]").select_option("never")
        await page.locator("#plan").get_by_role("button", name="Save").click()
        await expect(page.get_by_text("It runs when someone starts it.")).to_be_visible(timeout=TIMEOUT)
        # title and steps
        await page.get_by_text("Change title or steps").click()
        await page.get_by_label("What should be done?").fill("Monthly report")
        await page.locator("#change").get_by_role("button", name="Save").click()
        await expect(page.get_by_role("heading", name="Monthly report")).to_be_visible(timeout=TIMEOUT)
        await page.get_by_role("button", name="Delete this task").click()
        await expect(page.locator("main .mark")).to_have_attribute("data-title", "Tasks", timeout=TIMEOUT)
    mine.send("GET", path, expect=404)


async def test_what_is_being_deleted_is_not_asked_for_again(mine: Server, request: pytest.FixtureRequest) -> None:
    """The event of the change came before its answer, and the page asked for what was gone: an error in the console."""
    one, two = (mine.send("POST", "/api/tasks", {"title": title}, expect=201)["id"] for title in ("First", "Second"))
    looks: list[str] = []

    async def late_answer(route: Route) -> None:
        answer = await route.fetch()
        await asyncio.sleep(0.8)
        await route.fulfill(response=answer)

    async def late_look(route: Route) -> None:
        looks.append(route.request.url)
        await asyncio.sleep(1)
        with suppress(Error):
            # the page may have given it up
            await route.continue_()

    async with phone() as page:
        await into(page, mine, number(request), f"tasks/{one}")
        await expect(page.locator("#live")).to_have_text("live", timeout=TIMEOUT)
        await page.route("**/api/tasks/*", late_answer)
        await page.get_by_role("button", name="Delete this task").click()
        await expect(page.locator("main .mark")).to_have_attribute("data-title", "Tasks", timeout=TIMEOUT)
        await page.unroute("**/api/tasks/*")
        # a look that was already on its way when the button was pressed
        await page.evaluate("id => { location.hash = '#/tasks/' + id }", two)
        await expect(page.get_by_role("heading", name="Second")).to_be_visible(timeout=TIMEOUT)
        await page.route("**/app/parts/task/*", late_look)
        mine.send("PUT", f"/api/tasks/{two}", {"title": "Second, changed"})
        await looked(looks)
        await page.get_by_role("button", name="Delete this task").click()
        await expect(page.locator("main .mark")).to_have_attribute("data-title", "Tasks", timeout=TIMEOUT)
        await asyncio.sleep(1.2)
    assert len(looks) == 1


async def test_a_tap_is_not_lost_when_the_page_changes_under_it(mine: Server, request: pytest.FixtureRequest) -> None:
    """A page that was drawn anew between the finger's coming down and its going up did nothing."""
    one, two = (mine.send("POST", "/api/tasks", {"title": title}, expect=201)["id"] for title in ("First", "Second"))
    looks: list[str] = []

    async def late_look(route: Route) -> None:
        looks.append(route.request.url)
        answer = await route.fetch()
        await asyncio.sleep(0.5)
        with suppress(Error):
            await route.fulfill(response=answer)

    async def finger_on(page: Page, name: str) -> None:
        button = page.get_by_role("button", name=name)
        # clear of the bar at the bottom
        await button.evaluate("button => button.scrollIntoView({block: 'center'})")
        box = await button.bounding_box()
        assert box is not None
        await page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
        await page.mouse.down()

    async with phone() as page:
        await into(page, mine, number(request), f"tasks/{one}")
        await expect(page.locator("#live")).to_have_text("live", timeout=TIMEOUT)
        await finger_on(page, "Delete this task")
        mine.send("PUT", f"/api/tasks/{one}", {"title": "First, changed"})
        await asyncio.sleep(1)
        await page.mouse.up()
        await expect(page.locator("main .mark")).to_have_attribute("data-title", "Tasks", timeout=TIMEOUT)
        # the look was on its way already
        await page.evaluate("id => { location.hash = '#/tasks/' + id }", two)
        await expect(page.get_by_role("heading", name="Second")).to_be_visible(timeout=TIMEOUT)
        await page.route("**/app/parts/task/*", late_look)
        mine.send("PUT", f"/api/tasks/{two}", {"title": "Second, changed"})
        await looked(looks)
        await finger_on(page, "Delete this task")
        await asyncio.sleep(1)
        await page.mouse.up()
        await expect(page.locator("main .mark")).to_have_attribute("data-title", "Tasks", timeout=TIMEOUT)


async def test_a_search_begins_when_all_of_it_is_typed(mine: Server, request: pytest.FixtureRequest) -> None:
    """A look that was on its way took the field away from somebody who typed, and searched for half a word."""
    looks: list[str] = []

    async def late_look(route: Route) -> None:
        answer = await route.fetch()
        looks.append(route.request.url)
        await asyncio.sleep(0.5)
        await route.fulfill(response=answer)

    async with phone() as page:
        await into(page, mine, number(request), "tasks")
        await expect(page.locator("#live")).to_have_text("live", timeout=TIMEOUT)
        await page.route("**/app/parts/tasks", late_look)
        mine.send("POST", "/api/tasks", {"title": "Needle"}, expect=201)
        await looked(looks)
        await page.get_by_label("Search").fill("Need")
        await asyncio.sleep(1)
        await expect(page.get_by_label("Search")).to_have_value("Need")
        await expect(page.get_by_label("Search")).to_be_focused()
        assert await page.evaluate("location.hash") == "#/tasks"
        # once the field is left the page shows what there is
        await page.get_by_label("Search").fill("")
        await page.get_by_label("Search").blur()
        await expect(page.get_by_role("link", name="Needle")).to_be_visible(timeout=TIMEOUT)


async def test_what_somebody_else_deletes_is_shown_as_gone(mine: Server, request: pytest.FixtureRequest) -> None:
    made = mine.send("POST", "/api/tasks", {"title": "Soon gone"}, expect=201)
    async with phone(allow=("404",)) as page:
        await into(page, mine, number(request), f"tasks/{made['id']}")
        await expect(page.locator("#live")).to_have_text("live", timeout=TIMEOUT)
        mine.send("DELETE", f"/api/tasks/{made['id']}", expect=204)
        await expect(page.locator(".trouble")).to_be_visible(timeout=TIMEOUT)
        await expect(page.get_by_role("button", name="Delete this task")).to_have_count(0)


async def test_the_policy_page_holds_every_rule(mine: Server, request: pytest.FixtureRequest) -> None:
    async with phone(allow=("400",)) as page:
        await into(page, mine, number(request), "policy")
        tools = page.locator("#rules-for-tools")
        await tools.get_by_label("Ask me from this impact level").select_option("E2")
        await tools.get_by_label("Allowed hosts").fill("not a host")
        await tools.get_by_role("button", name="Save").click()
        await expect(tools.get_by_label("Allowed hosts")).to_have_attribute("aria-invalid", "true", timeout=TIMEOUT)
        await expect(tools.get_by_label("Ask me from this impact level")).to_have_value("E2")
        await tools.get_by_label("Allowed hosts").fill("api.example.com\n*.example.org")
        await tools.get_by_role("button", name="Save").click()
        await expect(page.locator("#tools .tool", has_text="note.create").locator(".badge")).to_have_text(
            "asks", timeout=TIMEOUT
        )
        deciding = page.locator("#deciding")
        await deciding.get_by_text("Ada (owner)").click()
        await deciding.get_by_label("From").fill("22:00")
        await deciding.get_by_label("To", exact=True).fill("07:00")
        await deciding.get_by_label("Time zone").fill("Mars/Olympus")
        await deciding.get_by_role("button", name="Save").click()
        await expect(deciding.get_by_label("Time zone")).to_have_attribute("aria-invalid", "true", timeout=TIMEOUT)
        await deciding.get_by_label("Time zone").fill("Europe/Madrid")
        await saved(deciding.get_by_role("button", name="Save"))
        await page.locator("#packs").get_by_text("growth").click()
        # two forms are changed, one is saved: what was typed in the other stays
        await page.locator("[name=contentBans]").fill("half a thought")
        await page.locator("#packs").get_by_role("button", name="Save").click()
        await expect(page.locator("#packs [data-dirty]")).to_have_count(0, timeout=TIMEOUT)
        assert policy(mine)["packs"] == ["growth"]
        await expect(page.locator("[name=contentBans]")).to_have_value("half a thought")
        await page.locator("#tools .tool", has_text="http.get").locator("select").select_option("E4")
        await page.locator("#tools").get_by_role("button", name="Save").click()
        await expect(page.locator("#tools [data-dirty]")).to_have_count(0, timeout=TIMEOUT)
        await tools.get_by_role("button", name="Save").click()
        await expect(page.locator("#tools .tool", has_text="http.get").locator(".badge")).to_have_text(
            "asks", timeout=TIMEOUT
        )
        # a rule with a mistake: which rule, and where in it
        rules = page.locator("#custom-rules")
        await rules.get_by_label("Rules (JSON)").fill(
            '[{"id":"no-gmail","when":"input.args.to.endsWith(","verdict":"DENY"}]'
        )
        await rules.get_by_role("button", name="Save").click()
        problem = rules.locator(".problem")
        await expect(problem).to_contain_text("no-gmail", timeout=TIMEOUT)
        await expect(problem).to_contain_text("line 1")
    kept = policy(mine)
    assert (kept["approvalFrom"], kept["allowedHosts"]) == ("E2", ["*.example.org", "api.example.com"])
    assert kept["contentBans"] == ["half a thought"]
    assert len(kept["approvers"]) == 1
    assert kept["quietHours"] == {"start": "22:00", "end": "07:00", "timezone": "Europe/Madrid"}
    assert (kept["packs"], kept["toolEffects"], kept["rules"]) == (["growth"], {"http.get": "E4"}, [])


async def test_hand_over_leave_close_and_restore(mine: Server, request: pytest.FixtureRequest) -> None:
    grace = mine.as_person(number(request, "grace"), "Grace")
    invite = mine.send("POST", f"/api/workspace/{mine.workspace}/invite", {"role": "partner"}, expect=201)
    grace.send("POST", f"/api/auth/invite/{invite['inviteToken']}", {})
    async with phone() as page:
        await into(page, mine, number(request), "workspace")
        await page.get_by_text("Hand over the workspace", exact=True).first.click()
        await page.get_by_role("button", name="Hand over the workspace").click()
        await expect(page.get_by_role("button", name="Leave this workspace")).to_be_visible(timeout=TIMEOUT)
        assert {m["name"]: m["role"] for m in mine.send("GET", f"/api/workspace/{mine.workspace}")["members"]} == {
            "Ada": "partner",
            "Grace": "owner",
        }
        # leaving the only workspace leads to a new one of one's own, not to a dead end
        await page.get_by_role("button", name="Leave this workspace").click()
        await expect(page.locator("main .mark")).to_have_attribute("data-title", "Ada's Workspace", timeout=TIMEOUT)
        await page.evaluate("location.hash = '#/workspace'")
        await expect(page.locator("main .mark")).to_have_attribute("data-title", "Workspace")
        await page.get_by_text("Close this workspace", exact=True).first.click()
        await page.get_by_label("To confirm, type").fill("something else")
        await page.get_by_role("button", name="Close this workspace").click()
        await expect(page.get_by_text("That doesn't match")).to_be_visible()
        await page.get_by_label("To confirm, type").fill("Ada's Workspace")
        await page.get_by_role("button", name="Close this workspace").click()
        await expect(page.locator("main .mark")).to_have_attribute("data-live", "approval task run settings workspace")
        await page.evaluate("location.hash = '#/workspace'")
        await page.get_by_role("button", name="Restore").click(timeout=TIMEOUT)
        await expect(page.locator("[data-workspace]")).to_have_count(2, timeout=TIMEOUT)


async def test_a_person_is_erased(mine: Server, request: pytest.FixtureRequest) -> None:
    async with phone() as page:
        await into(page, mine, number(request), "person")
        await expect(page.get_by_text("These workspaces belong only to you")).to_contain_text("Ada's Workspace")
        await page.get_by_label("To confirm, type erase").fill("erase")
        await page.get_by_role("button", name="Erase me").click()
        await expect(page.get_by_role("heading", name="Log in")).to_be_visible(timeout=TIMEOUT)
    mine.send("GET", "/api/me", expect=401)


async def test_a_policy_is_tried_before_it_is_saved(mine: Server, request: pytest.FixtureRequest) -> None:
    steps = 'note.create title="x"\nknowledge.search query="x"\nfinish summary="done"'
    mine.ended(mine.task(text=steps))
    before = policy(mine)
    async with phone(allow=("400",)) as page:
        await into(page, mine, number(request), "policy")
        tools = page.locator("#rules-for-tools")
        await tools.get_by_role("button", name="Try it on the last decisions").click()
        await expect(tools.get_by_role("status")).to_have_text(
            "The last 3 decisions would all come out the same.", timeout=TIMEOUT
        )
        await tools.get_by_label("Tools that never run").fill("note.create")
        await tools.get_by_role("button", name="Try it on the last decisions").click()
        said = tools.get_by_role("status")
        await expect(said).to_contain_text("Of the last 3 decisions, 1 would come out differently", timeout=TIMEOUT)
        row = said.get_by_role("link")
        await expect(row).to_have_count(1)
        await expect(row).to_contain_text("note.create")
        await expect(row).to_contain_text("allowed → denied")
        # it fits the phone, and what is wrong is told at its field
        assert await page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
        rules = page.locator("#custom-rules")
        await rules.get_by_label("Rules (JSON)").fill('[{"id":"r","when":"input.","verdict":"DENY"}]')
        await rules.get_by_role("button", name="Try it on the last decisions").click()
        await expect(rules.get_by_label("Rules (JSON)")).to_have_attribute("aria-invalid", "true", timeout=TIMEOUT)
        assert policy(mine) == before
        # what was typed is still there to be saved
        await saved(tools.get_by_role("button", name="Save"))
    assert policy(mine)["toolBlocklist"] == ["note.create"]
