"""A call of any method of the Bot API, but for getUpdates, which waits and stands in `polling`."""

from typing import Any

from simulator.errors import ApiError
from simulator.methods import changing, chats, files, profile, queries, sending, topics, webhooks
from simulator.methods.table import Methods
from simulator.params import Params
from simulator.state import Bot
from simulator.telegram import Telegram

METHODS = Methods(
    profile.METHODS
    | chats.METHODS
    | sending.METHODS
    | changing.METHODS
    | topics.METHODS
    | files.METHODS
    | queries.METHODS
    | webhooks.METHODS
)


def call(telegram: Telegram, bot: Bot, name: str, params: Params) -> Any:
    """Carry out one method. Raises ApiError."""
    handler = METHODS.get(name.lower())
    if handler is None:
        raise ApiError(404, "Not Found")
    result = handler(telegram, bot, params)
    telegram.changed()
    return result
