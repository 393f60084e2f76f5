"""Mini Apps: what a client opens, and what an app sends to its bot."""

import secrets
import time

from simulator.errors import WrongRequest
from simulator.launch import THEMES, launch_url, signed, user_field
from simulator.people import say
from simulator.state import Message
from simulator.telegram import Telegram

START_PARAM = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-")


def open_app(
    telegram: Telegram,
    user_id: int,
    *,
    bot: str | int | None = None,
    url: str = "",
    start_param: str = "",
    how: str = "",
    theme: str = "light",
    chat_id: int | None = None,
    auth_date: int | None = None,
) -> dict[str, str]:
    """What a client opens when a person opens a Mini App: `url` to open and its `initData`.

    `how`: `menu` or `inline` (a query_id comes along), `link` (chat_instance, chat_type and start_param),
    `keyboard` (no user at all); without it a start parameter means a link. The address defaults to the bot's.
    """
    one = telegram.which_bot(bot)
    chat = telegram.chat_for(user_id, chat_id, one.id)
    target = url or one.mini_app(user_id)
    how = how or ("link" if start_param else "menu")
    if not target:
        raise WrongRequest("the bot has no Mini App yet")
    if theme not in THEMES or how not in ("menu", "inline", "link", "keyboard"):
        raise WrongRequest("theme is light or dark; how is menu, inline, link or keyboard")
    if len(start_param) > 512 or not START_PARAM.issuperset(start_param):
        raise WrongRequest("a start parameter is up to 512 of A-Z a-z 0-9 _ -")
    fields: dict[str, str] = {}
    if how != "keyboard":
        fields["user"] = user_field(telegram.person(user_id))
    if how in ("menu", "inline"):
        fields["query_id"] = f"AAH{secrets.token_urlsafe(15)}"
        one.web_app_queries[fields["query_id"]] = user_id
    if how == "link":
        fields |= {
            "chat_instance": chat.instance,
            "chat_type": "sender" if chat.private else chat.type,
        }
        if start_param:
            fields["start_param"] = start_param
    fields["auth_date"] = str(int(time.time()) if auth_date is None else auth_date)
    data = signed(one.token, fields)
    return {"url": launch_url(target, data, theme=theme, start_param=start_param), "initData": data}


def send_app_data(
    telegram: Telegram, user_id: int, data: str, button_text: str, *, bot: str | int | None = None
) -> Message:
    """A Mini App opened from a reply keyboard sends its data to the bot."""
    if not 1 <= len(data.encode()) <= 4096:
        raise WrongRequest("data of a Mini App is 1 to 4096 bytes")
    return say(telegram, user_id, "", bot=bot, more={"web_app_data": {"data": data, "button_text": button_text}})
