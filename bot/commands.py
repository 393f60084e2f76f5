"""The one table of commands: Telegram's menu, /help and the handlers all come from it."""

import logging
from dataclasses import dataclass

from aiogram import Bot
from aiogram.exceptions import AiogramError
from aiogram.types import (
    BotCommand,
    BotCommandScopeAllGroupChats,
    BotCommandScopeAllPrivateChats,
    BotCommandScopeDefault,
    MenuButtonDefault,
    MenuButtonWebApp,
    WebAppInfo,
)

from bot.links import Links
from locales import Texts, Translator

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """`groups`: it makes sense in a group as well."""

    name: str
    groups: bool = False

    def text(self, t: Texts) -> str:
        """What it does, in one line."""
        return t(f"cmd-{self.name}")


COMMANDS: tuple[Command, ...] = (
    Command(name="start"),
    Command(name="help", groups=True),
    Command(name="task", groups=True),
    Command(name="tasks", groups=True),
    Command(name="run", groups=True),
    Command(name="cancel", groups=True),
    Command(name="approvals"),
    Command(name="grants"),
    Command(name="status", groups=True),
    Command(name="operators", groups=True),
    Command(name="usage"),
    Command(name="mode"),
    Command(name="policy"),
    Command(name="kill"),
    Command(name="unkill"),
    Command(name="receipt", groups=True),
    Command(name="verify", groups=True),
    Command(name="away"),
    Command(name="settings"),
    Command(name="language"),
    Command(name="workspace"),
    Command(name="whoami", groups=True),
    Command(name="stop"),
)
PRIVATE_ONLY = frozenset(c.name for c in COMMANDS if not c.groups)


def menu(t: Texts, *, groups: bool) -> list[BotCommand]:
    """The commands as Telegram's menu shows them."""
    return [BotCommand(command=c.name, description=c.text(t)) for c in COMMANDS if c.groups or not groups]


async def announce(bot: Bot, translator: Translator, links: Links) -> None:
    """Tell Telegram the commands, descriptions and menu button in every language. Best effort: work goes on without."""
    for code in translator.languages:
        t = translator.of(code)
        # no language code means: everybody whose language we do not speak
        language = None if code == "en" else code.partition("-")[0]
        try:
            await bot.set_my_commands(menu(t, groups=False), scope=BotCommandScopeDefault(), language_code=language)
            await bot.set_my_commands(
                menu(t, groups=False), scope=BotCommandScopeAllPrivateChats(), language_code=language
            )
            await bot.set_my_commands(
                menu(t, groups=True), scope=BotCommandScopeAllGroupChats(), language_code=language
            )
            await bot.set_my_short_description(short_description=t("bot-about")[:120], language_code=language)
            await bot.set_my_description(description=t("bot-description")[:512], language_code=language)
        except AiogramError as error:
            log.warning("commands_not_announced", extra={"language": code, "error": str(error)[:200]})
    try:
        button: MenuButtonWebApp | MenuButtonDefault = MenuButtonDefault()
        if links.in_chat:
            text = translator.of("en")("menu-button")
            button = MenuButtonWebApp(text=text, web_app=WebAppInfo(url=links.mini_app))
        await bot.set_chat_menu_button(menu_button=button)
    except AiogramError as error:
        log.warning("menu_button_not_set", extra={"error": str(error)[:200]})
