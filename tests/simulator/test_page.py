"""The chat page in a real browser: type, press, see the edit; alerts, groups, Mini App, faults; light and dark."""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from aiogram import Bot, Dispatcher, F
from aiogram.filters import CommandStart
from aiogram.methods import SendMessageDraft
from aiogram.types import (
    BotCommand,
    CallbackQuery,
    InlineKeyboardButton,
    InlineKeyboardMarkup,
    KeyboardButton,
    MenuButtonWebApp,
    Message,
    ReplyKeyboardMarkup,
    WebAppInfo,
)
from aiohttp import web
from playwright.async_api import Page, expect

from simulator.faults import clear_faults
from simulator.messages import post
from simulator.simulated import SimulatedTelegram
from simulator.topics import open_topic
from tests.browser.browser import open_browser, watched
from tests.simulator.conftest import ADA, GRACE


@pytest.fixture(autouse=True)
def local_apps(sim: SimulatedTelegram) -> None:
    """The Mini Apps of these tests are at http addresses."""
    sim.telegram.http_apps = True


pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]

PICTURES = os.environ.get("SIMULATOR_PICTURES")

CARD = (
    "<b>Approval needed: http.post</b>\n"
    "Call the launch hook of <i>Example</i>.\n\n"
    "<blockquote>Cost: none. Reversible: no. Ends in 15 min.</blockquote>\n"
    '<pre><code class="language-json">{"event": "launch"}</code></pre>\n'
    "Digest <code>3f9a 11c0 77de</code> · /help · <tg-spoiler>secret</tg-spoiler>"
)

APP_PAGE = """<!doctype html><meta charset=utf-8><title>app</title><body>
<h1 id=h>waiting</h1><p id=log></p><button id=popup>Ask</button><button id=bye>Bye</button>
<script src="/app.js"></script>"""
APP_SCRIPT = """
const post = (eventType, eventData) => parent.postMessage(JSON.stringify({eventType, eventData}), "*");
const log = (text) => { document.getElementById("log").textContent += text + " "; };
const data = new URLSearchParams(location.hash.slice(1));
const init = new URLSearchParams(data.get("tgWebAppData"));
document.getElementById("h").textContent = "Hello " + JSON.parse(init.get("user")).first_name;
addEventListener("message", (event) => {
  const m = JSON.parse(event.data);
  if (m.eventType === "theme_changed") document.body.style.background = m.eventData.theme_params.bg_color;
  log(m.eventType + (m.eventData && m.eventData.button_id ? "=" + m.eventData.button_id : ""));
  if (m.eventType === "main_button_pressed") post("web_app_close");
});
document.getElementById("popup").onclick = () => post("web_app_open_popup",
  {title: "Sure?", message: "Really sure?", buttons: [{id: "yes", type: "destructive", text: "Delete"}, {id: "no", type: "cancel"}]});
document.getElementById("bye").onclick = () => post("web_app_setup_closing_behavior", {need_confirmation: true});
post("web_app_ready"); post("web_app_request_theme"); post("web_app_request_viewport"); post("web_app_request_safe_area");
post("web_app_setup_back_button", {is_visible: true});
post("web_app_setup_main_button", {is_visible: true, is_active: true, text: "Finish", color: "#2a8540", text_color: "#ffffff"});
post("web_app_setup_secondary_button", {is_visible: true, text: "Deny", color: "#c43c3c", text_color: "#ffffff", position: "left"});
"""


async def picture(page: Page, name: str) -> None:
    """Keep a screenshot where one was asked for."""
    if PICTURES:
        await page.wait_for_timeout(350)
        await page.screenshot(path=str(Path(PICTURES) / f"sim-{name}.png"))


def buttons(app: str) -> InlineKeyboardMarkup:
    return InlineKeyboardMarkup(
        inline_keyboard=[
            [
                InlineKeyboardButton(text="Approve", callback_data="yes", style="success"),
                InlineKeyboardButton(text="Deny", callback_data="no", style="danger"),
            ],
            [
                InlineKeyboardButton(text="Details", web_app=WebAppInfo(url=app)),
                InlineKeyboardButton(text="Ask why", callback_data="why"),
            ],
        ]
    )


def echo(app: str) -> Dispatcher:
    """A small bot: a greeting, a card with buttons, an echo."""
    dispatcher = Dispatcher()

    @dispatcher.message(CommandStart())
    async def start(message: Message) -> None:
        await message.answer("Hello! Send me anything, or /card.")

    @dispatcher.message(F.text == "/card")
    async def card(message: Message) -> None:
        await message.answer(CARD, parse_mode="HTML", reply_markup=buttons(app))

    @dispatcher.message(F.text)
    async def say(message: Message) -> None:
        await message.reply(f"You said: {message.text}")

    @dispatcher.callback_query(F.data == "why")
    async def why(query: CallbackQuery) -> None:
        await query.answer("Because it reaches outside.", show_alert=True)

    @dispatcher.callback_query()
    async def decide(query: CallbackQuery) -> None:
        assert isinstance(query.message, Message)
        await query.message.edit_text(
            f"<b>Approved by {query.from_user.first_name}</b>\n<s>Call the launch hook</s>", parse_mode="HTML"
        )
        await query.answer("Approved")

    return dispatcher


@asynccontextmanager
async def served_app() -> AsyncIterator[str]:
    """A Mini App on an origin of its own."""

    async def page(request: web.Request) -> web.Response:
        script = request.path.endswith(".js")
        text = APP_SCRIPT if script else APP_PAGE
        return web.Response(text=text, content_type="text/javascript" if script else "text/html")

    app = web.Application()
    app.router.add_get("/", page)
    app.router.add_get("/app.js", page)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}/"
    finally:
        await runner.cleanup()


@asynccontextmanager
async def polling(dispatcher: Dispatcher, bot: Bot) -> AsyncIterator[None]:
    async with asyncio.TaskGroup() as group:
        task = group.create_task(dispatcher.start_polling(bot, handle_signals=False, polling_timeout=2))
        yield
        await dispatcher.stop_polling()
        await task


@asynccontextmanager
async def opened(address: str, *, theme: str, width: int = 390, height: int = 844) -> AsyncIterator[Page]:
    """A page without a single complaint on its console."""
    async with open_browser() as browser:
        context = await browser.new_context(viewport={"width": width, "height": height}, color_scheme=theme)
        page = await context.new_page()
        problems = watched(page)
        await page.goto(address)
        yield page
        await context.close()
    assert problems == []


@pytest.mark.parametrize("theme", ["light", "dark"])
async def test_type_press_and_see_the_edit(sim: SimulatedTelegram, bot: Bot, theme: str) -> None:
    async with (
        served_app() as app,
        polling(echo(app), bot),
        opened(f"{sim.url}/?user={ADA}", theme=theme) as page,
    ):
        await bot.set_my_commands([BotCommand(command="card", description="Show a card")])
        await bot.set_chat_menu_button(menu_button=MenuButtonWebApp(text="Open", web_app=WebAppInfo(url=app)))
        await bot.set_my_description("I am a test bot. Press START.")
        await expect(page.get_by_text("local simulator", exact=True)).to_be_visible()
        await expect(page.get_by_text("I am a test bot.")).to_be_visible()
        await picture(page, f"start-{theme}")
        await page.get_by_role("button", name="START").click()
        await expect(page.get_by_text("Hello! Send me anything")).to_be_visible()
        # everything by keyboard: the composer has the focus
        await page.keyboard.type("Is the <b>launch</b> ready? 😀")
        await page.keyboard.press("Enter")
        await expect(page.get_by_text("You said: Is the <b>launch</b> ready? 😀")).to_be_visible()
        await page.keyboard.type("/c")
        await expect(page.get_by_text("Show a card")).to_be_visible()
        await picture(page, f"commands-{theme}")
        await page.keyboard.press("ArrowDown")
        await page.keyboard.press("Enter")
        approve = page.get_by_role("button", name="Approve")
        await expect(approve).to_be_visible()
        await expect(page.locator(".body b", has_text="Approval needed: http.post")).to_be_visible()
        await expect(page.locator(".body pre")).to_have_text('{"event": "launch"}')
        await picture(page, f"card-{theme}")
        await page.get_by_role("button", name="Ask why").click()
        await expect(page.get_by_role("dialog")).to_contain_text("Because it reaches outside.")
        await picture(page, f"alert-{theme}")
        await page.keyboard.press("Enter")
        await approve.focus()
        await page.keyboard.press("Enter")
        await expect(page.get_by_text("Approved by Ada")).to_be_visible()
        await expect(page.get_by_role("status")).to_have_text("Approved")
        await expect(approve).to_have_count(0)
        await picture(page, f"edited-{theme}")
        await page.get_by_role("button", name="edited").click()
        await expect(page.get_by_role("dialog")).to_contain_text("Approval needed: http.post")
        await page.keyboard.press("Escape")
        # nothing on the page is wider than the phone
        assert await page.evaluate("document.documentElement.scrollWidth") <= 390


@pytest.mark.parametrize("theme", ["light", "dark"])
async def test_the_mini_app_opens_beside_the_chat(sim: SimulatedTelegram, started: Bot, theme: str) -> None:
    async with served_app() as app, opened(f"{sim.url}/?user={ADA}", theme=theme, width=1280, height=800) as page:
        await started.set_chat_menu_button(menu_button=MenuButtonWebApp(text="Open", web_app=WebAppInfo(url=app)))
        await started.send_message(ADA, CARD, parse_mode="HTML", reply_markup=buttons(app))
        await page.locator(".composer .menu").click()
        inside = page.frame_locator("#frame")
        await expect(inside.get_by_role("heading", name="Hello Ada")).to_be_visible()
        for event in ("theme_changed", "viewport_changed", "safe_area_changed"):
            await expect(inside.locator("#log")).to_contain_text(event)
        await picture(page, f"app-{theme}")
        await page.get_by_role("button", name="Back").click()
        await page.get_by_role("button", name="Deny").last.click()
        await expect(inside.locator("#log")).to_contain_text("back_button_pressed secondary_button_pressed")
        await inside.get_by_role("button", name="Ask").click()
        await page.get_by_role("dialog").get_by_role("button", name="Delete").click()
        await expect(inside.locator("#log")).to_contain_text("popup_closed=yes")
        # an app that asks for it is not closed without a question
        await inside.get_by_role("button", name="Bye").click()
        await expect(inside.locator("#log")).to_contain_text("popup_closed")
        await page.get_by_role("button", name="Close the Mini App").click()
        await page.get_by_role("dialog").get_by_role("button", name="Cancel").click()
        await expect(page.locator("#app")).to_be_visible()
        # the main button makes this app close itself
        await page.locator("#main-button").click()
        await expect(page.locator("#app")).to_be_hidden()
        # by a link with a start parameter, and from the card
        await started.send_message(ADA, "https://t.me/pilot_bot?startapp=apr_1")
        sim.telegram.which_bot().app_url = app
        await page.get_by_role("link", name="https://t.me/pilot_bot?startapp=apr_1").click()
        await expect(inside.get_by_role("heading", name="Hello Ada")).to_be_visible()
        assert "tgWebAppStartParam=apr_1" in (await page.locator("#frame").get_attribute("src") or "")
        await page.get_by_role("button", name="Close the Mini App").click()
        await page.get_by_role("button", name="Details").click()
        await expect(inside.get_by_role("heading", name="Hello Ada")).to_be_visible()


async def test_typing_drafts_keyboards_and_deep_links_show(sim: SimulatedTelegram, started: Bot) -> None:
    async with served_app() as app, opened(f"{sim.url}/?user={ADA}", theme="dark") as page:
        await started.send_chat_action(ADA, "typing")
        await expect(page.get_by_text("typing…")).to_be_visible()
        await started(
            SendMessageDraft(chat_id=ADA, draft_id=1, text="I am <b>thinking</b> about it", parse_mode="HTML")
        )
        await expect(page.locator(".m.draft b")).to_have_text("thinking")
        await picture(page, "draft-dark")
        form = KeyboardButton(text="Form", web_app=WebAppInfo(url=app))
        await started.send_message(
            ADA,
            "Fill the form, or https://t.me/pilot_bot?start=invite_7",
            reply_markup=ReplyKeyboardMarkup(keyboard=[[form, KeyboardButton(text="Later")]]),
        )
        await expect(page.locator(".m.draft")).to_have_count(0)
        await expect(page.get_by_text("typing…")).to_have_count(0)
        await page.get_by_role("link", name="https://t.me/pilot_bot?start=invite_7").click()
        await expect(page.locator(".m.me").last).to_contain_text("/start invite_7")
        await page.get_by_role("button", name="Later").click()
        await expect(page.locator(".m.me").last).to_contain_text("Later")
        await page.get_by_role("button", name="Attach a file").focus()
        await page.locator("#file").set_input_files({"name": "plan.txt", "mimeType": "text/plain", "buffer": b"launch"})
        await expect(page.get_by_role("link", name="plan.txt")).to_be_visible()
        taken = [u.message for u in await started.get_updates() if u.message]
        assert [m.text or (m.document and m.document.file_name) for m in taken] == [
            "/start invite_7",
            "Later",
            "plan.txt",
        ]
        # on a phone the chats are one tap away, and the bot can be blocked there
        await page.get_by_role("button", name="Chats and settings").click()
        await page.get_by_role("button", name="Block this bot").click()
        await page.get_by_role("button", name="Pilot").click()
        await page.get_by_role("button", name="UNBLOCK").click()
        await expect(page.get_by_label("Message", exact=True)).to_be_visible()


async def test_people_groups_faults_and_the_log(sim: SimulatedTelegram, started: Bot) -> None:
    group = await sim.add_group("Founders", [ADA, GRACE])
    await sim.send_text(GRACE, "Shall we launch?", chat=group.id)
    await started.send_message(group.id, "I have a card for you.")
    await started.send_message(ADA, "Hello Ada")
    async with opened(f"{sim.url}/?user={ADA}", theme="light", width=1280, height=800) as page:
        await expect(page.locator(".body", has_text="Hello Ada")).to_be_visible()
        await page.get_by_role("button", name="Founders").click()
        await expect(page.locator(".sender", has_text="Grace")).to_be_visible()
        await page.get_by_label("Message", exact=True).fill("Yes @pilot_bot")
        await page.get_by_role("button", name="Send").click()
        await expect(page.locator(".m.me")).to_contain_text("Yes @pilot_bot")
        await page.get_by_text("Break something").click()
        await page.get_by_label("calls or updates").select_option("sendMessage")
        await page.get_by_role("button", name="Set fault").click()
        await expect(page.locator("#fault-list")).to_contain_text("next 1 × sendMessage: 429")
        await page.get_by_text("Bot API log").click()
        await expect(page.locator("#calls")).to_contain_text("I have a card for you.")
        await picture(page, "desktop-light")
        await page.get_by_label("Theme").select_option("dark")
        await picture(page, "desktop-dark")
        await page.get_by_label("You are").select_option(str(GRACE))
        await page.get_by_role("button", name="Founders").click()
        await expect(page.locator(".m.me")).to_contain_text("Shall we launch?")
        # a bot's text is text, whatever it holds
        clear_faults(sim.telegram)
        await started.send_message(group.id, '<img src=x onerror="document.title=1"> <script>1</script>')
        await expect(page.locator(".body", has_text="onerror")).to_be_visible()
        assert await page.locator(".body img, .body script").count() == 0


async def test_rich_messages_topics_and_deleted_messages_show(sim: SimulatedTelegram, started: Bot) -> None:
    group = await sim.add_group("Forum", [ADA, GRACE], forum=True)
    topic = open_topic(sim.telegram, group, "Launch", sim.telegram.person(GRACE))
    await sim.send_text(GRACE, "where?", chat=group.id, topic=topic["message_thread_id"])
    inner = {"type": "details", "summary": "Why", "blocks": [{"type": "paragraph", "text": "because <b>"}]}
    cells = [[{"text": "cost", "is_header": True}, {"text": {"type": "bold", "text": "none"}}]]
    items = [{"blocks": [{"type": "paragraph", "text": "first"}], "label": "1."}]
    rich = {
        "blocks": [
            {"type": "heading", "text": "Approval", "size": 1},
            {"type": "table", "cells": cells},
            {"type": "list", "items": items},
            inner,
            {"type": "buttons", "buttons": [{"text": "Approve", "callback_data": "yes"}]},
        ]
    }
    bot = sim.telegram.which_bot()
    chat = sim.telegram.private_chat(bot, ADA)
    post(sim.telegram, chat, bot.user, {"rich_message": rich})
    async with opened(f"{sim.url}/?user={ADA}", theme="light", width=1280, height=800) as page:
        await expect(page.get_by_role("heading", name="Approval")).to_be_visible()
        await expect(page.locator(".blocks td b")).to_have_text("none")
        await expect(page.locator(".blocks li")).to_contain_text("first")
        await page.get_by_text("Why", exact=True).click()
        await expect(page.locator(".blocks details p")).to_have_text("because <b>")
        await expect(page.locator(".blocks details p")).to_be_visible()
        await picture(page, "rich-light")
        await page.get_by_role("button", name="Approve").click()
        [query] = await sim.until(lambda: list(bot.queries.values()))
        assert query["data"] == "yes"
        await page.locator(".bubble", has=page.locator(".blocks")).hover()
        await page.locator(".m", has=page.locator(".blocks")).get_by_role("button", name="Delete").click()
        await expect(page.locator(".blocks")).to_have_count(0)
        await page.get_by_role("button", name="Forum").click()
        await expect(page.get_by_text("Topic “Launch” was opened")).to_be_visible()
        await expect(page.locator(".m", has_text="where?").locator(".topic")).to_have_text("# Launch")
        await page.locator(".m", has_text="where?").locator(".bubble").hover()
        await page.locator(".m", has_text="where?").get_by_role("button", name="Reply").click()
        await page.get_by_label("Message", exact=True).fill("here")
        await page.get_by_role("button", name="Send").click()
        await expect(page.locator(".m.me .topic")).to_have_text("# Launch")
