"""Delivery of updates to webhooks: in order, each until it was taken."""

import asyncio
import json
import time
from typing import Any

import aiohttp

from simulator.errors import ApiError, WrongRequest
from simulator.methods import call
from simulator.params import Params
from simulator.state import Bot, Queued
from simulator.telegram import Telegram

SECRET_HEADER = "X-Telegram-Bot-Api-Secret-Token"  # noqa: S105 - a name  # pragma: allowlist secret
FIRST_PAUSE = 0.2
LONGEST_PAUSE = 5.0
PATIENCE = aiohttp.ClientTimeout(total=30)


async def deliver_all(telegram: Telegram) -> None:
    """One courier a bot, for ever; bots that come later get theirs."""
    couriers: dict[str, asyncio.Task[None]] = {}
    async with aiohttp.ClientSession(timeout=PATIENCE) as session, asyncio.TaskGroup() as group:
        while True:
            for bot in list(telegram.bots.values()):
                known = couriers.get(bot.token)
                if known is None or known.done():
                    couriers[bot.token] = group.create_task(_deliver(telegram, bot, session))
            await telegram.bell.wait(3600)


async def _deliver(telegram: Telegram, bot: Bot, session: aiohttp.ClientSession) -> None:
    """Updates of one bot, until it was forgotten by a reset."""
    pause = FIRST_PAUSE
    while telegram.bots.get(bot.token) is bot:
        if not bot.webhook.url or not bot.queue:
            pause = FIRST_PAUSE
            await bot.bell.wait(3600)
            continue
        queued, generation = bot.queue[0], bot.webhook.generation
        problem, reply = await _post(bot, queued, session)
        if bot.webhook.generation != generation:
            pause = FIRST_PAUSE
            continue
        if problem:
            bot.webhook.last_error, bot.webhook.last_error_at = problem, int(time.time())
            telegram.changed()
            # a new webhook ends the pause: the bell rings for new updates as well, which is harmless
            await asyncio.sleep(pause)
            pause = min(LONGEST_PAUSE, pause * 2)
            continue
        pause = FIRST_PAUSE
        if bot.queue and bot.queue[0] is queued:
            bot.queue.popleft()
            if queued.again > 0:
                bot.queue.append(Queued(queued.raw, queued.number, queued.again - 1, repeated=True))
        _carry_out(telegram, bot, reply)
        telegram.changed()


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
