"""Nothing is lost and nothing happens twice: faults of Telegram, redelivery, death at bad moments."""

import asyncio
import json

from aiohttp import ClientSession, web

from bot.intake import PATH, SECRET_HEADER, webhook_routes
from bot.throttle import Throttle
from domain.chat.updates import Arrived, InboxState, arrived
from domain.outbox.notifications import TextNotice
from domain.ports import ToolCall
from storage.chat import inbox_rows
from storage.outbox import outbox_rows
from tests.bot.kit import SECRET, BotKit
from tests.bot.people import person
from tests.kit import Script


def came(update: dict) -> list[Arrived]:
    return [arrived(json.dumps(update).encode())]


async def take(bot: BotKit, update: dict) -> None:
    bot.telegram.withdraw(update)
    await bot.deps.inbox.take(came(update))


async def test_faults_of_telegram_lose_nothing(bot: BotKit):
    tg = bot.telegram
    bot.kit.scripts["Do it"] = Script([ToolCall(tool="note.create", args={"title": "n"}, call_id="1")])
    async with bot.running():
        tg.fault("error", code=500, description="Internal Server Error: restart")
        for kind in ("drop_before", "429", "5xx", "drop_before"):
            tg.fault(kind, seconds=1)
        tg.say("Do it")
        await tg.message("all done")
        await tg.message("Completed: Do it")
        assert tg.faults == []
        await tg.until_async(_drained(bot))
    assert len([m for m in bot.said if "all done" in m]) == 1


def _drained(bot: BotKit):
    async def check() -> bool:
        return await bot.kit.store.read(outbox_rows.depth) == {}

    return check


async def test_a_chat_that_blocked_us_is_closed_and_disturbs_nobody(bot: BotKit):
    tg = bot.telegram
    tg.say("/help")
    tg.block(7)
    async with bot.running():
        await tg.until_async(lambda: _closed(bot))
        tg.say("/start", by=8, name="Bob")
        await tg.message("Hi Bob", chat=8)
    assert await bot.kit.store.read(outbox_rows.depth) == {"failed": 1}


async def _closed(bot: BotKit) -> bool:
    found = await bot.deps.chat.people.at(7)
    return found is not None and not found.chat_open


async def test_an_update_delivered_twice_is_handled_once(bot: BotKit):
    tg = bot.telegram
    bot.kit.scripts["Do it"] = Script([])
    update = tg.say("Do it")
    await take(bot, update)
    assert await bot.deps.inbox.take(came(update)) == []
    async with bot.running():
        await tg.message("all done")
        await bot.deps.inbox.take(came(update))
        await asyncio.sleep(0.3)
    assert len(await bot.kit.tasks.list(bot.kit.owner)) == 1


async def test_death_between_the_effect_and_the_mark_repeats_nothing(bot: BotKit):
    """Every update of a story is handled again, as after a kill before it was marked."""
    tg = bot.telegram
    bot.kit.scripts["Do it"] = Script([ToolCall(tool="http.post", args={"what": "x"}, call_id="1")])
    async with bot.running():
        said = [tg.say("/start"), tg.say("Do it")]
        card = await tg.message("Approval needed")
        said.append(tg.tap(card, "Deny with reason"))
        prompt = await tg.message("Why not?")
        said.append(tg.say("no money", reply_to=prompt["message_id"]))
        said.append(tg.say("/tasks"))
        await tg.message("Latest tasks")
        await tg.message("all done")
    before = len(bot.said)

    def forget_marks(tx):
        for update in said:
            inbox_rows.end(tx, update["update_id"], InboxState.DONE, now=bot.deps.now())
        tx.connection.exec_driver_sql("UPDATE inbox SET state = 'new', done_at = NULL")

    await bot.kit.store.write(forget_marks)
    async with bot.running():
        await tg.until_async(lambda: _inbox_empty(bot))
        await tg.until_async(_drained(bot))
    assert len(await bot.kit.tasks.list(bot.kit.owner)) == 1
    assert (await bot.kit.approvals.list(bot.kit.owner))[0].status == "rejected"
    # only the second answer to the reason is new, and it tells the truth
    assert [t for t in bot.said[before:] if "Already denied by Ada" not in t] == []
    assert bot.deed.done == []


async def _inbox_empty(bot: BotKit) -> bool:
    return await bot.deps.inbox.depth() == {}


async def test_what_a_dead_process_had_in_hand_comes_back_at_once(bot: BotKit):
    tg = bot.telegram
    bot.kit.scripts["Do it"] = Script([])
    await take(bot, tg.say("Do it"))
    claimed = await bot.deps.inbox.claim(limit=10, in_hand={})
    assert len(claimed) == 1
    assert await bot.deps.inbox.claim(limit=10, in_hand={}) == ()
    await bot.deps.chat.messages.say(chat_id=7, notice=TextNotice(text="hello"), dedupe_key=None)
    assert len(await bot.deps.chat.messages.claim(limit=10, busy=())) == 1
    async with bot.running():
        # sooner than what it had in hand would be free by itself
        await tg.message("all done", seconds=15)
        await tg.message("hello", seconds=15)


async def test_updates_of_one_chat_stay_in_order_behind_another_process(bot: BotKit):
    tg = bot.telegram
    first, second, other = tg.say("/tasks"), tg.say("/help"), tg.say("/help", by=8)
    for update in (first, second, other):
        await take(bot, update)
    elsewhere = await bot.deps.inbox.claim(limit=1, in_hand={})
    assert [r.update_id for r in elsewhere] == [first["update_id"]]
    mine = await bot.deps.inbox.claim(limit=10, in_hand={})
    assert [r.update_id for r in mine] == [other["update_id"]]


async def test_a_second_poller_is_waited_out(bot: BotKit, caplog):
    tg = bot.telegram
    refused = {"code": 409, "description": "Conflict: terminated by other getUpdates request"}
    tg.fault("error", method="getUpdates", count=2, **refused)
    async with bot.running():
        tg.say("/help")
        await tg.message("What I can do")
    assert [r.message for r in caplog.records if "conflict" in r.message] == ["telegram_polling_conflict"]


async def test_the_webhook_checks_its_secret_and_stores_before_it_answers(bot: BotKit):
    app = web.Application(client_max_size=2**21)
    app.add_routes(webhook_routes(bot.deps.inbox, secret=SECRET))
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    url = f"http://127.0.0.1:{runner.addresses[0][1]}{PATH}"
    update = {"update_id": 5, "message": {"message_id": 1, "date": 1, "chat": {"id": 7, "type": "private"}}}
    update["message"] |= {"from": person(7), "text": "/help"}
    good = {SECRET_HEADER: SECRET}
    try:
        async with ClientSession() as http:

            async def post(body: bytes, headers: dict) -> int:
                async with http.post(url, data=body, headers=headers) as response:
                    return response.status

            raw = json.dumps(update).encode()
            assert await post(raw, {}) == 403
            assert await post(raw, {SECRET_HEADER: "wrong"}) == 403
            assert await post(raw, {SECRET_HEADER: "sécret"}) == 403
            assert await post(b" " * 4_300_000, good) == 413
            assert await bot.deps.inbox.depth() == {}
            assert await post(raw, good) == 200
            assert await post(raw, good) == 200
            assert await bot.deps.inbox.depth() == {"new": 1}
            # what cannot be read is not refused, which would have it sent again: it is kept, once
            odd = [b"{", b"[1]", b'{"update_id": "5"}', b'{"update_id": true}', b"[" * 100_000, b" " * 1_100_000, b""]
            for body in (*odd, *odd):
                assert await post(body, good) == 200
            assert await bot.deps.inbox.depth() == {"new": 1, "set_aside": len(odd)}
    finally:
        await runner.cleanup()
    async with bot.running():
        await bot.telegram.message("What I can do")


async def test_an_unreadable_update_is_set_aside_and_holds_nobody_up(bot: BotKit):
    await bot.deps.inbox.take(came({"update_id": 1, "message": {"chat": {"id": 7}}}))
    async with bot.running():
        bot.telegram.say("/help")
        await bot.telegram.message("What I can do")
    assert await bot.deps.inbox.depth() == {"set_aside": 1}


def test_the_pace_is_telegrams():
    clock = [0.0]
    pace = Throttle(lambda: clock[0])
    assert [round(pace.reserve(1), 2) for _ in range(5)] == [0, 0, 0, 1, 2]
    clock[0] = 100.0
    assert [round(pace.reserve(-1), 2) for _ in range(5)] == [0, 0, 0, 3, 6]
    clock[0] = 200.0
    waits = [pace.reserve(n) for n in range(100, 150)]
    assert waits[:3] == [0, 0, 0]
    within_a_second = sum(1 for wait in waits if wait <= 1.0)
    assert 25 <= within_a_second <= 30
