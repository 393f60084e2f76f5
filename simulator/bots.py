"""Bots: a token that is registered, and the bot a token stands for."""

from simulator.errors import ApiError, WrongRequest
from simulator.members import join
from simulator.state import Bot
from simulator.telegram import Telegram


def register_bot(
    telegram: Telegram,
    token: str,
    *,
    username: str = "",
    first_name: str = "",
    privacy: bool = True,
    app_url: str = "",
    topics: bool = False,
) -> Bot:
    """A bot with this token (`<number>:<secret>`); a known one is changed. Groups open to bots take it in.

    `topics`: its private chats have topics.
    """
    number, _, secret = token.partition(":")
    if not number.isdigit() or len(secret) < 4:
        raise WrongRequest("a token is <number>:<secret>")
    user = {
        "id": int(number),
        "is_bot": True,
        "first_name": first_name or "Pilot",
        "username": username or ("pilot_demo_bot" if not telegram.bots else f"demo{number}_bot"),
        "can_join_groups": True,
        "can_read_all_group_messages": not privacy,
        "supports_inline_queries": False,
        "can_connect_to_business": False,
        "has_main_web_app": bool(app_url),
        "has_topics_enabled": topics,
    }
    known = telegram.bots.get(token)
    if known is not None:
        known.user, known.app_url = user, app_url
        telegram.changed()
        return known
    first = telegram.first_number
    bot = telegram.bots[token] = Bot(token, user, app_url=app_url, next_update=first, next_message=first)
    for group in telegram.groups.values():
        if group.takes_all_bots:
            join(telegram, group.id, bot.id)
    telegram.changed()
    return bot


def bot_of_token(telegram: Telegram, token: str) -> Bot:
    """The bot of a call. Raises ApiError 401."""
    found = telegram.bots.get(token)
    if found is not None:
        return found
    if telegram.auto_register:
        try:
            return register_bot(telegram, token)
        except WrongRequest:
            pass
    raise ApiError(401, "Unauthorized")
