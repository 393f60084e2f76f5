"""The control side over HTTP, as the page and tests of other programs use it."""

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
from aiogram import Bot
from aiogram.types import InlineKeyboardButton, InlineKeyboardMarkup, MenuButtonWebApp, WebAppInfo

from simulator.bots import bot_of_token
from simulator.launch import TEST_PUBLIC_KEY
from simulator.server import DEMO_USERS, create_simulator
from simulator.simulated import SimulatedTelegram
from simulator.telegram import Telegram
from tests.simulator.conftest import ADA, GRACE, TOKEN, polled


class Control:
    def __init__(self, sim: SimulatedTelegram, session: aiohttp.ClientSession) -> None:
        self._url = sim.url
        self._session = session

    async def get(self, path: str) -> Any:
        async with self._session.get(f"{self._url}/sim/{path}") as answer:
            assert answer.status == 200
            return await answer.json()

    async def post(self, path: str, *, status: int = 200, **given: Any) -> Any:
        async with self._session.post(f"{self._url}/sim/{path}", json=given) as answer:
            assert answer.status == status, await answer.text()
            return await answer.json()


@pytest.fixture
async def control(sim: SimulatedTelegram) -> AsyncIterator[Control]:
    async with aiohttp.ClientSession() as session:
        yield Control(sim, session)


async def test_a_conversation_over_http(sim: SimulatedTelegram, bot: Bot, control: Control) -> None:
    await control.post("say", user=ADA, text="/start")
    markup = InlineKeyboardMarkup(inline_keyboard=[[InlineKeyboardButton(text="Go", callback_data="go")]])
    card = await bot.send_message(ADA, "ready?", reply_markup=markup)
    pressed = await control.post("press", user=ADA, button="Go")
    await bot.edit_message_text("steady", chat_id=ADA, message_id=card.message_id)
    await bot.answer_callback_query(pressed["id"], text="ok")
    chat = await control.get(f"messages?user={ADA}")
    assert [m["text"] for m in chat["messages"]] == ["/start", "steady"]
    [edit] = chat["messages"][1]["edits"]
    assert (edit["text"], edit["reply_markup"]["inline_keyboard"][0][0]["text"]) == ("ready?", "Go")
    assert [a["text"] for a in await control.get("answers")] == ["ok"]
    assert [c["method"] for c in await control.get("calls")] == [
        "sendMessage",
        "editMessageText",
        "answerCallbackQuery",
    ]
    [last] = await control.get("calls?method=answerCallbackQuery")
    assert last["params"]["text"] == "ok"
    assert await control.get(f"calls?after={last['number']}") == []
    refused = await control.post("press", status=400, user=ADA, button="Go")
    assert "no button" in refused["description"]


async def test_people_bots_and_groups_can_be_added(sim: SimulatedTelegram, control: Control) -> None:
    person = await control.post("users", first_name="Linus", language_code="fi")
    assert person["id"] > ADA
    await control.post("bots", token="7000000003:third-bot-token", username="third_bot", privacy=False)
    group = await control.post("groups", title="Team", members=[ADA, person["id"]], bots=["third_bot"])
    assert group["members"] == {str(ADA): "creator", str(person["id"]): "member", "7000000003": "member"}
    await control.post("members", chat=group["id"], user="pilot_bot", action="promote", by=ADA)
    await control.post("members", chat=group["id"], user=person["id"], action="leave")
    [seen] = await control.get("groups")
    assert seen["members"]["7000000001"] == "administrator"
    assert seen["members"][str(person["id"])] == "left"
    assert [b["username"] for b in await control.get("bots")] == ["pilot_bot", "third_bot"]
    assert (await control.post("groups", status=400, title="x", members=[4040]))["ok"] is False


async def test_a_file_an_edit_a_reaction_and_a_block(sim: SimulatedTelegram, bot: Bot, control: Control) -> None:
    typed = await control.post("say", user=ADA, text="hello")
    await control.post("edit", user=ADA, message=typed["message_id"], text="hello!")
    sent = await control.post("document", user=ADA, name="a.txt", base64=base64.b64encode(b"abc").decode())
    await bot.get_updates(allowed_updates=["message", "message_reaction", "my_chat_member"])
    await control.post("react", user=ADA, message=typed["message_id"], emoji="👍")
    await control.post("block", user=ADA)
    kinds = [sorted(u.model_dump(exclude_none=True).keys() - {"update_id"}) for u in await bot.get_updates()]
    assert kinds == [["message"], ["edited_message"], ["message"], ["message_reaction"], ["my_chat_member"]]
    chat = await control.get(f"messages?user={ADA}&bot=pilot_bot")
    assert (chat["messages"][0]["text"], chat["messages"][0]["reactions"], chat["blocked"]) == ("hello!", ["👍"], True)
    async with (
        aiohttp.ClientSession() as session,
        session.get(f"{sim.url}/sim/file/{sent['document']['file_id']}") as answer,
    ):
        assert await answer.read() == b"abc"
        assert answer.headers["Content-Disposition"] == 'attachment; filename="a.txt"'


async def test_a_mini_app_is_opened(bot: Bot, control: Control) -> None:
    await bot.set_chat_menu_button(
        menu_button=MenuButtonWebApp(text="Open", web_app=WebAppInfo(url="https://x.example/"))
    )
    opened = await control.post("open", user=GRACE, theme="dark")
    assert opened["url"].startswith("https://x.example/#tgWebAppData=")
    assert opened["themes"]["dark"]["bg_color"] == "#17212b"
    state = await control.get(f"state?user={GRACE}")
    assert (state["me"], state["testPublicKey"]) == (GRACE, TEST_PUBLIC_KEY)
    assert state["bots"][0]["menuButton"]["text"] == "Open"


async def test_faults_and_raw_updates(bot: Bot, control: Control, sim: SimulatedTelegram) -> None:
    fault = await control.post("faults", method="sendMessage", kind="429", count=3, seconds=1)
    assert await control.get("faults") == [fault]
    async with aiohttp.ClientSession() as session, session.delete(f"{sim.url}/sim/faults") as answer:
        assert answer.status == 200
    assert await control.get("faults") == []
    pushed = await control.post(
        "updates", update={"message": {"message_id": 1, "date": 1, "chat": {"id": 5, "type": "private"}}}
    )
    [update] = await bot.get_updates()
    assert (update.update_id, update.message is not None) == (pushed["update_id"], True)
    for wrong in ({"kind": "none"}, {"kind": "429", "count": 0}, {}):
        assert (await control.post("faults", status=400, **wrong))["ok"] is False


async def test_events_stream_the_view_of_one_person(sim: SimulatedTelegram, started: Bot) -> None:
    async with aiohttp.ClientSession() as session, session.get(f"{sim.url}/sim/events?user={GRACE}") as stream:

        async def event() -> Any:
            while True:
                line = await asyncio.wait_for(stream.content.readline(), 60)
                if line.startswith(b"data: "):
                    return json.loads(line[6:])

        first = await event()
        assert first["chats"][0]["messages"] == []
        await sim.send_text(GRACE, "/start")
        seen = await event()
        # Grace does not see what Ada wrote
        assert [m["text"] for m in seen["chats"][0]["messages"]] == ["/start"]
        assert seen["version"] > first["version"]


async def test_reset_forgets_all_but_the_bots(sim: SimulatedTelegram, started: Bot, control: Control) -> None:
    waiting = asyncio.ensure_future(started.get_updates(timeout=30, request_timeout=60))
    await polled(sim)
    await control.post("reset")
    with pytest.raises(Exception, match="Conflict"):
        await waiting
    state = await control.get("state")
    assert (state["people"], state["chats"], len(state["bots"])) == ([], [], 1)
    await control.post("users", id=ADA, first_name="Ada")
    await control.post("say", user=ADA, text="again")
    [update] = await started.get_updates()
    assert update.message is not None
    assert update.message.text == "again"


async def test_posts_must_be_json(sim: SimulatedTelegram) -> None:
    async with (
        aiohttp.ClientSession() as session,
        session.post(f"{sim.url}/sim/reset", data="{}", headers={"Content-Type": "text/plain"}) as answer,
    ):
        assert answer.status == 415
    assert sim.telegram.people


async def test_the_page_and_its_parts_come_with_a_strict_policy(sim: SimulatedTelegram) -> None:
    async with aiohttp.ClientSession() as session:
        async with session.get(f"{sim.url}/") as answer:
            page = await answer.text()
            assert "script-src 'self'" in answer.headers["Content-Security-Policy"]
        assert "local simulator" in page
        assert "http" not in page.replace("<!doctype html>", "")
        for name in ("chat.js", "app.js", "side.js", "text.js", "blocks.js", "chat.css"):
            async with session.get(f"{sim.url}/static/{name}") as answer:
                assert answer.status == 200
        for name in ("chat.html", "none.js", "..%2fserver.py"):
            async with session.get(f"{sim.url}/static/{name}") as answer:
                assert answer.status == 404


def test_the_application_can_be_seeded() -> None:
    telegram = Telegram()
    create_simulator(telegram, seed_users=DEMO_USERS)
    assert [p["first_name"] for p in telegram.people.values()] == ["Ada", "Grace"]
    assert bot_of_token(telegram, TOKEN).username == "pilot_demo_bot"
