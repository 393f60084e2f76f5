"""Updates on their way into a bot's queue: made here, or given as bytes."""

import asyncio
import json
from collections.abc import Sequence

from simulator.faults import take_fault
from simulator.raw import lane_of, numbered, parsed, update_number
from simulator.state import Bot, Queued, RawBody, Update
from simulator.telegram import Telegram

MOVES_COUNTER = 1_000_000


def push(telegram: Telegram, bot: Bot, update: Update, *, copies: int = 1) -> Update | None:
    """Queue an update under the bot's next number; None if the bot did not ask for this kind.

    `copies` > 1 delivers it again with the same number, also after it was confirmed, as happens with Telegram
    when it restarts. Faults `duplicate` and `late` are met here.
    """
    kind = next((k for k in update if k != "update_id"), "")
    if not bot.wants(kind):
        return None
    late = take_fault(telegram, kind, only=("late",))
    twice = take_fault(telegram, kind, only=("duplicate",))
    again = copies - 1 + (1 if twice else 0)
    if late is not None:
        _later(telegram, late.seconds, bot, update, again)
        return update
    return _queue(bot, update, again)


def _queue(bot: Bot, update: Update, again: int) -> Update:
    number = update.get("update_id", bot.next_update)
    bot.next_update = max(bot.next_update, number + 1)
    full = {"update_id": number} | {k: v for k, v in update.items() if k != "update_id"}
    # written down now: an update keeps what was true when it was made
    bot.queue.append(Queued(json.dumps(full).encode(), number, again, lane=lane_of(full)))
    bot.bell.ring()
    return full


def _later(telegram: Telegram, seconds: float, bot: Bot, update: Update, again: int) -> None:
    handle: asyncio.TimerHandle

    def arrive() -> None:
        telegram.late.discard(handle)
        _queue(bot, update, again)
        telegram.changed()

    handle = asyncio.get_running_loop().call_later(seconds, arrive)
    telegram.late.add(handle)


def push_raw(
    telegram: Telegram, bot: Bot, updates: Sequence[bytes], *, fresh: bool = False, copies: int = 1
) -> list[int]:
    """Queue bytes as updates, all at once, whatever they are; their places in the queue.

    They go to getUpdates or the webhook as given: no kind is held back and no fault is met. `fresh`: each gets the
    bot's next number (only an object can); otherwise each keeps its own, and one below what the bot has confirmed
    is handed out once all the same. Bytes without a number take the next place, which the numbers after it confirm.
    """
    places = []
    for raw in updates:
        own = None if fresh else update_number(raw)
        number = bot.next_update if own is None else own
        # a number far beyond the others moves no counter: the numbers after it would be wrong for ever
        if own is None or 0 <= own - bot.next_update < MOVES_COUNTER:
            bot.next_update = number + 1
        full = numbered(raw, number) if fresh else raw
        lane = lane_of(parsed(full))
        bot.queue.append(Queued(full, number, copies - 1, repeated=number < bot.confirmed, lane=lane))
        places.append(number)
    bot.bell.ring()
    telegram.changed()
    return places


def answer_raw(telegram: Telegram, bot: Bot, body: RawBody) -> None:
    """Let the next getUpdates of a bot, also one that waits, answer with this and nothing else."""
    bot.bodies.append(body)
    bot.bell.ring()
    telegram.changed()
