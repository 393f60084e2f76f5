"""Methods on how a bot presents itself: its user, commands, menu button, name and descriptions."""

import re
from typing import Any

from simulator.access import target
from simulator.errors import bad
from simulator.markup import checked_menu_button
from simulator.methods.table import Methods
from simulator.params import Params
from simulator.state import Bot
from simulator.telegram import Telegram
from simulator.text import units

_COMMAND = re.compile(r"[a-z0-9_]{1,32}")
_SCOPES = frozenset(
    {
        "default",
        "all_private_chats",
        "all_group_chats",
        "all_chat_administrators",
        "chat",
        "chat_administrators",
        "chat_member",
    }
)

METHODS = Methods()


@METHODS.named("getMe")
def _get_me(_telegram: Telegram, bot: Bot, _params: Params) -> Any:
    return bot.user


@METHODS.named("logOut")
@METHODS.named("close")
def _close(_telegram: Telegram, _bot: Bot, _params: Params) -> Any:
    return True


def _language(params: Params) -> str:
    code = params.text("language_code")
    if code and not re.fullmatch(r"[a-z]{2}", code):
        raise bad("invalid language code specified")
    return code


def _scope(telegram: Telegram, bot: Bot, params: Params) -> str:
    scope = params.object("scope", "BotCommandScope") or {"type": "default"}
    kind = str(scope.get("type"))
    if kind not in _SCOPES:
        raise bad("can't parse BotCommandScope: Unsupported type specified")
    parts = [kind]
    if kind.startswith("chat"):
        parts.append(str(target(telegram, bot, scope.get("chat_id")).id))
    if kind == "chat_member":
        parts.append(str(scope.get("user_id")))
    return ":".join(parts)


@METHODS.named("setMyCommands")
def _set_my_commands(telegram: Telegram, bot: Bot, params: Params) -> Any:
    commands = params.objects("commands", "commands")
    if len(commands) > 100:
        raise bad("BOT_COMMANDS_TOO_MUCH")
    kept = []
    for one in commands:
        name, description = str(one.get("command", "")).removeprefix("/"), str(one.get("description", ""))
        if not _COMMAND.fullmatch(name):
            raise bad("BOT_COMMAND_INVALID")
        if not 1 <= units(description.strip()) <= 256:
            raise bad("BOT_COMMAND_DESCRIPTION_INVALID")
        kept.append({"command": name, "description": description})
    key = (_scope(telegram, bot, params), _language(params))
    if kept:
        bot.commands[key] = kept
    else:
        bot.commands.pop(key, None)
    return True


@METHODS.named("getMyCommands")
def _get_my_commands(telegram: Telegram, bot: Bot, params: Params) -> Any:
    return bot.commands.get((_scope(telegram, bot, params), _language(params)), [])


@METHODS.named("deleteMyCommands")
def _delete_my_commands(telegram: Telegram, bot: Bot, params: Params) -> Any:
    bot.commands.pop((_scope(telegram, bot, params), _language(params)), None)
    return True


@METHODS.named("setChatMenuButton")
def _set_chat_menu_button(telegram: Telegram, bot: Bot, params: Params) -> Any:
    chat_id = target(telegram, bot, params.text("chat_id")).id if "chat_id" in params else 0
    button = params.json("menu_button", "menu button")
    bot.menu_buttons[chat_id] = checked_menu_button(button, http_apps=telegram.http_apps)
    return True


@METHODS.named("getChatMenuButton")
def _get_chat_menu_button(telegram: Telegram, bot: Bot, params: Params) -> Any:
    chat_id = target(telegram, bot, params.text("chat_id")).id if "chat_id" in params else 0
    return bot.menu_button(chat_id)


def _text_setting(name: str, key: str, limit: int) -> None:
    """A pair of methods, setMyX and getMyX, with its parameter and length."""

    def put(_telegram: Telegram, bot: Bot, params: Params) -> Any:
        text = params.text(key)
        if units(text) > limit:
            raise bad(f"{key.replace('_', ' ')} is too long")
        bot.texts[key, _language(params)] = text
        return True

    def get(_telegram: Telegram, bot: Bot, params: Params) -> Any:
        language = _language(params)
        default = bot.user["first_name"] if key == "name" else ""
        return {key: bot.texts.get((key, language)) or bot.texts.get((key, "")) or default}

    METHODS.named(f"setMy{name}")(put)
    METHODS.named(f"getMy{name}")(get)


_text_setting("Name", "name", 64)
_text_setting("Description", "description", 512)
_text_setting("ShortDescription", "short_description", 120)
