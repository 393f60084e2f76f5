"""Long polling: getUpdates, what it confirms, and what ends it."""

import time
from collections import deque
from collections.abc import Callable

from simulator.errors import ApiError
from simulator.state import Bot, Queued, RawBody

LONGEST_POLL = 50.0


async def get_updates(
    bot: Bot,
    *,
    offset: int,
    limit: int,
    seconds: float,
    allowed: list[str] | None,
    gone: Callable[[], bool] = lambda: False,
) -> RawBody:
    """Long polling: confirms what lies below `offset`, waits up to `seconds` for something new.

    Gives the whole body of the answer. Who asked and is `gone` is given nothing. A second request ends the first
    one with 409; a webhook refuses both.
    """
    if bot.webhook.url:
        raise ApiError(
            409,
            "Conflict: can't use getUpdates method while webhook is active; "
            "use deleteWebhook to delete the webhook first",
        )
    if allowed is not None:
        bot.allowed = allowed
    stop_polling(bot, "getUpdates request; make sure that only one bot instance is running", other=True)
    me = bot.poller = object()
    _confirm(bot, offset)
    ends = time.monotonic() + min(LONGEST_POLL, max(0.0, seconds))
    try:
        while True:
            if bot.bodies and not gone():
                return bot.bodies.popleft()
            found = [q for q in bot.queue if q.repeated or q.number >= offset][:limit]
            left = ends - time.monotonic()
            if gone():
                return RawBody(b"")
            if found or left <= 0:
                for queued in found:
                    queued.handed = True
                return RawBody(b'{"ok": true, "result": [' + b", ".join(q.raw for q in found) + b"]}")
            await bot.bell.wait(left)
            if bot.poller is not me:
                raise ApiError(409, bot.poller_gone)
    finally:
        bot.polled_at = time.monotonic()
        if bot.poller is me:
            bot.poller = None


def _confirm(bot: Bot, offset: int) -> None:
    if offset < 0:
        while len(bot.queue) > -offset:
            bot.queue.popleft()
        return
    bot.confirmed = max(bot.confirmed, offset)
    kept: deque[Queued] = deque()
    for queued in bot.queue:
        taken = queued.handed if queued.repeated else queued.number < offset
        if not taken:
            kept.append(queued)
        elif queued.again > 0:
            kept.append(queued.once_more())
    bot.queue = kept


def stop_polling(bot: Bot, why: str, *, other: bool = False) -> None:
    """End the request that waits, as Telegram does: `terminated by ...`."""
    if bot.poller is not None:
        bot.poller = None
        bot.poller_gone = f"Conflict: terminated by {'other ' if other else ''}{why}"
        bot.bell.ring()
