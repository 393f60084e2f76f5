"""Delivery of updates to webhooks: several at once, in order where Telegram keeps one, each until it was taken."""

import asyncio
import json
import time
from typing import Any

import aiohttp

from simulator.errors import ApiError, WrongRequest
from simulator.methods.call import call
from simulator.params import Params
from simulator.state import Bot, Queued
from simulator.telegram import Telegram

SECRET_HEADER = "X-Telegram-Bot-Api-Secret-Token"  # noqa: S105 - a name  # pragma: allowlist secret
FIRST_PAUSE = 0.2
LONGEST_PAUSE = 5.0
PATIENCE = aiohttp.ClientTimeout(total=30)
# methods that are of no use in the answer of a webhook
_NOT_IN_REPLY = frozenset({"setwebhook", "deletewebhook", "close", "logout"})


async def deliver_all(telegram: Telegram) -> None:
    """One courier a bot, for ever; bots that come later get theirs."""
    couriers: dict[str, asyncio.Task[None]] = {}
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(timeout=PATIENCE, connector=connector) as session, asyncio.TaskGroup() as group:
        while True:
            for bot in list(telegram.bots.values()):
                known = couriers.get(bot.token)
                if known is None or known.done():
                    couriers[bot.token] = group.create_task(_deliver(telegram, bot, session, group))
            await telegram.bell.wait(3600)


async def _deliver(telegram: Telegram, bot: Bot, session: aiohttp.ClientSession, group: asyncio.TaskGroup) -> None:
    """Updates of one bot, `max_connections` at once, until it was forgotten by a reset."""
    while telegram.bots.get(bot.token) is bot:
        wait = 3600.0
        if bot.webhook.url:
            ready, wait = _ready(bot)
            for queued in ready:
                queued.under_way = True
                group.create_task(_one(telegram, bot, queued, session))
        await bot.bell.wait(wait)


def _ready(bot: Bot) -> tuple[list[Queued], float]:
    """The updates to deliver now, and for how long there will be no others of those that are queued."""
    now, wait = time.monotonic(), 3600.0
    lanes = {queued.lane for queued in bot.queue if queued.under_way and queued.lane}
    room = bot.webhook.max_connections - sum(queued.under_way for queued in bot.queue)
    ready: list[Queued] = []
    for queued in bot.queue:
        if queued.under_way or queued.lane in lanes:
            continue
        # who comes after it in its lane waits as well
        lanes |= {queued.lane} - {""}
        if queued.rests_until > now:
            wait = min(wait, queued.rests_until - now)
        elif len(ready) < room:
            ready.append(queued)
    return ready, wait


async def _one(telegram: Telegram, bot: Bot, queued: Queued, session: aiohttp.ClientSession) -> None:
    generation = bot.webhook.generation
    problem, reply = await _post(bot, queued, session)
    queued.under_way = False
    if bot.webhook.generation == generation:
        if problem:
            bot.webhook.last_error, bot.webhook.last_error_at = problem, int(time.time())
            queued.rests_until = time.monotonic() + min(LONGEST_PAUSE, FIRST_PAUSE * 2**queued.failures)
            queued.failures += 1
        else:
            _taken(bot, queued)
            _carry_out(telegram, bot, reply)
        telegram.changed()
    bot.bell.ring()


def _taken(bot: Bot, queued: Queued) -> None:
    if queued not in bot.queue:
        return
    bot.queue.remove(queued)
    if queued.again > 0:
        bot.queue.append(queued.once_more())


async def _post(bot: Bot, queued: Queued, session: aiohttp.ClientSession) -> tuple[str, Any]:
    """One attempt: what went wrong (empty = taken), and the JSON of the answer."""
    headers = {"Content-Type": "application/json"}
    if bot.webhook.secret:
        headers[SECRET_HEADER] = bot.webhook.secret
    try:
        async with session.post(bot.webhook.url, data=queued.raw, headers=headers, allow_redirects=False) as answer:
            text = (await answer.read()).decode(errors="replace")
            if not 200 <= answer.status < 300:
                return f"Wrong response from the webhook: {answer.status} {answer.reason}", None
    except TimeoutError:
        return "Read timeout expired", None
    except aiohttp.ClientConnectorError:
        return "Connection refused", None
    except (aiohttp.ClientError, ValueError) as error:
        return f"Connection failed: {type(error).__name__}", None
    try:
        return "", json.loads(text) if text.lstrip().startswith("{") else None
    except ValueError:
        return "", None


def _carry_out(telegram: Telegram, bot: Bot, reply: Any) -> None:
    """A webhook may answer with a method to call; nobody learns how it went, as with Telegram."""
    if not isinstance(reply, dict) or not isinstance(reply.get("method"), str):
        return
    name = reply.pop("method")
    if name.lower() in _NOT_IN_REPLY or name.lower().startswith("get"):
        return
    telegram.calls_made += 1
    entry = {
        "number": telegram.calls_made,
        "at": time.time(),
        "bot": str(bot.id),
        "method": name,
        "params": reply,
        "ok": True,
        "inReply": True,
    }
    try:
        call(telegram, bot, name, Params(reply))
    except (ApiError, WrongRequest) as error:
        entry |= {"ok": False, "error": str(error)}
    telegram.calls.append(entry)
