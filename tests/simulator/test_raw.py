"""Updates as bytes: what a program gets when Telegram sends what nobody expected."""

import base64
import json
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
from aiogram import Bot

from simulator.raw import numbered, update_number
from simulator.simulated import SimulatedTelegram
from tests.simulator.conftest import ADA, TOKEN
from tests.simulator.kit import receiver

DEEP = '{"update_id":7,"message":' + '{"a":' * 5000 + "1" + "}" * 5001


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session


async def get_updates(sim: SimulatedTelegram, http: aiohttp.ClientSession, **params: Any) -> bytes:
    async with http.get(f"{sim.url}/bot{TOKEN}/getUpdates", params=params) as answer:
        assert answer.status == 200
        return await answer.read()


async def post(sim: SimulatedTelegram, http: aiohttp.ClientSession, path: str, given: Any, status: int = 200) -> Any:
    async with http.post(f"{sim.url}/sim/{path}", json=given) as answer:
        assert answer.status == status, await answer.text()
        return await answer.json()


@pytest.mark.parametrize(
    ("raw", "number"),
    [
        (b'{"update_id":5}', 5),
        (b' {"a":{"update_id":6},"update_id" : 7 , "b":1}', 7),
        (b'{"a":"\\"update_id\\":9","update_id":8}', 8),
        (b'{"update_id":"5"}', None),
        (b'{"update_id":5.0}', None),
        (b'{"update_id":1e3}', None),
        (b'{"update_id":null}', None),
        (b'{"message":{"update_id":5}}', None),
        (b'[{"update_id":5}]', None),
        (b'"update_id"', None),
        (b'{"update_id', None),
        (b"", None),
        (b"\xff\xfe", None),
        (DEEP.encode(), 7),
    ],
)
def test_the_number_of_an_update_is_read_without_a_parser(raw: bytes, number: int | None) -> None:
    assert update_number(raw) == number


@pytest.mark.parametrize(
    ("raw", "changed"),
    [
        (b'{"update_id":5,"x":1}', b'{"update_id":42,"x":1}'),
        (b'{ "x":{"update_id":1} , "update_id": 5 }', b'{ "x":{"update_id":1} , "update_id": 42 }'),
        (b'{"x":1}', b'{"update_id":42,"x":1}'),
        (b"\n{ }", b'\n{"update_id":42 }'),
        (b"null", b"null"),
        (b"[1]", b"[1]"),
        (b"", b""),
    ],
)
def test_a_fresh_number_changes_nothing_else(raw: bytes, changed: bytes) -> None:
    assert numbered(raw, 42) == changed


async def test_bytes_are_polled_as_given_and_in_one_batch(
    sim: SimulatedTelegram, bot: Bot, http: aiohttp.ClientSession
) -> None:
    await bot.get_me()
    odd = '{ "update_id" : 300,  "future_kind":{"message":"\\u0074hanks", "message":1.0e0}}'
    given = [{"text": odd}, {"base64": base64.b64encode(b'{"update_id":301,"x":"\xff"}').decode()}, {"text": "nul"}]
    told = await post(sim, http, "raw-updates", {"updates": given})
    assert told == {"numbers": [300, 301, 302]}
    body = await get_updates(sim, http)
    assert body == b'{"ok": true, "result": [' + odd.encode() + b', {"update_id":301,"x":"\xff"}, nul]}'
    # confirmed by their places, and numbers go on from there
    assert json.loads(await get_updates(sim, http, offset=303))["result"] == []
    await sim.send_text(ADA, "after")
    [after] = await bot.get_updates(offset=303)
    assert after.update_id == 303


async def test_fresh_numbers_follow_the_bots_own(
    sim: SimulatedTelegram, started: Bot, http: aiohttp.ClientSession
) -> None:
    told = await post(
        sim,
        http,
        "raw-updates",
        {"ids": "fresh", "updates": [{"text": '{"update_id":1,"poll_of_tomorrow":{}}'}, {"json": {"x": "é"}}]},
    )
    first, second = told["numbers"]
    assert second == first + 1
    body = await get_updates(sim, http)
    assert b'{"update_id":%d,"poll_of_tomorrow":{}}, {"update_id":%d,"x": "\\u00e9"}' % (first, second) in body


async def test_a_number_below_the_offset_is_handed_out_once(
    sim: SimulatedTelegram, started: Bot, http: aiohttp.ClientSession
) -> None:
    offset = sim.telegram.which_bot().confirmed
    assert offset > 1
    low = b'{"update_id":1,"x":1}'
    await sim.push_raw(low)
    await sim.push_raw(b'{"update_id":0}', copies=2)
    assert json.loads(await get_updates(sim, http, offset=offset))["result"] == [
        {"update_id": 1, "x": 1},
        {"update_id": 0},
    ]
    assert json.loads(await get_updates(sim, http, offset=offset))["result"] == [{"update_id": 0}]
    assert json.loads(await get_updates(sim, http, offset=offset))["result"] == []


async def test_a_far_number_does_not_carry_the_counter_away(
    sim: SimulatedTelegram, started: Bot, http: aiohttp.ClientSession
) -> None:
    await sim.push_raw(b'{"update_id":9223372036854775807}')
    await sim.send_text(ADA, "near")
    far, near = json.loads(await get_updates(sim, http))["result"]
    assert far["update_id"] == 2**63 - 1
    assert near["update_id"] == 2


async def test_a_webhook_gets_the_same_bytes(sim: SimulatedTelegram, bot: Bot) -> None:
    async with receiver() as hook:
        await bot.set_webhook(hook.url)
        given = [b'{ "update_id":1e2}', DEEP.encode(), b"\xff\x00", b"[]"]
        await sim.push_raw(*given)
        await sim.until(lambda: len(hook.raw) == 4)
        # nothing says what belongs together: they come in any order
        assert sorted(hook.raw) == sorted(given)


async def test_a_whole_answer_can_be_given(sim: SimulatedTelegram, started: Bot, http: aiohttp.ClientSession) -> None:
    await sim.send_text(ADA, "stays in the queue")
    await post(sim, http, "raw-answer", {"text": '{"ok":true,"result":[{]}'})
    await post(sim, http, "raw-answer", {"json": {"ok": False}, "status": 502, "contentType": "text/html"})
    assert await get_updates(sim, http) == b'{"ok":true,"result":[{]}'
    async with http.get(f"{sim.url}/bot{TOKEN}/getUpdates") as answer:
        assert (answer.status, answer.content_type, await answer.read()) == (502, "text/html", b'{"ok": false}')
    [update] = await started.get_updates()
    assert update.message is not None
    assert update.message.text == "stays in the queue"


@pytest.mark.parametrize(
    ("path", "given"),
    [
        ("raw-updates", {}),
        ("raw-updates", {"updates": []}),
        ("raw-updates", {"updates": ["text"]}),
        ("raw-updates", {"updates": [{"text": "", "json": 1}]}),
        ("raw-updates", {"updates": [{"base64": "*"}]}),
        ("raw-updates", {"updates": [{"text": "1"}], "ids": "new"}),
        ("raw-answer", {}),
        ("raw-answer", {"text": "x", "status": "many"}),
    ],
)
async def test_what_cannot_be_given_is_refused(
    sim: SimulatedTelegram, bot: Bot, http: aiohttp.ClientSession, path: str, given: Any
) -> None:
    await bot.get_me()
    assert (await post(sim, http, path, given, status=400))["ok"] is False
