"""Methods on topics. The words of refusals are from memory, but for the thread that is not found."""

from typing import Any

from simulator.access import target
from simulator.errors import bad
from simulator.messages import forget
from simulator.methods.table import Methods
from simulator.params import Params
from simulator.state import Bot, Chat
from simulator.telegram import Telegram
from simulator.text import units
from simulator.topics import open_topic

TOPIC_NAME = 128
ICON_COLOURS = (7322096, 16766590, 13338331, 9367192, 16749490, 16478047)

METHODS = Methods()


def _forum(telegram: Telegram, bot: Bot, params: Params) -> Chat:
    chat = target(telegram, bot, params.text("chat_id"))
    if not chat.forum:
        raise bad("the chat is not a forum")
    if not chat.private and not chat.is_admin(bot.id):
        raise bad("not enough rights to create a topic")
    return chat


def _topic(chat: Chat, params: Params) -> dict[str, Any]:
    topic = chat.topics.get(params.integer("message_thread_id"))
    if topic is None:
        raise bad("message thread not found")
    return topic


@METHODS.named("createForumTopic")
def _create_forum_topic(telegram: Telegram, bot: Bot, params: Params) -> Any:
    chat = _forum(telegram, bot, params)
    name, colour = params.text("name"), params.integer("icon_color", ICON_COLOURS[0])
    if not 1 <= units(name) <= TOPIC_NAME:
        raise bad("TOPIC_TITLE_EMPTY" if not name else "TOPIC_TITLE_INVALID")
    if colour not in ICON_COLOURS:
        raise bad("TOPIC_ICON_COLOR_INVALID")
    return open_topic(telegram, chat, name, bot.user, icon_color=colour)


@METHODS.named("editForumTopic")
def _edit_forum_topic(telegram: Telegram, bot: Bot, params: Params) -> Any:
    topic = _topic(_forum(telegram, bot, params), params)
    name = params.text("name")
    if units(name) > TOPIC_NAME:
        raise bad("TOPIC_TITLE_INVALID")
    topic["name"] = name or topic["name"]
    return True


@METHODS.named("closeForumTopic")
def _close_forum_topic(telegram: Telegram, bot: Bot, params: Params) -> Any:
    topic = _topic(_forum(telegram, bot, params), params)
    if topic.get("closed"):
        raise bad("TOPIC_NOT_MODIFIED")
    topic["closed"] = True
    return True


@METHODS.named("reopenForumTopic")
def _reopen_forum_topic(telegram: Telegram, bot: Bot, params: Params) -> Any:
    topic = _topic(_forum(telegram, bot, params), params)
    if not topic.pop("closed", False):
        raise bad("TOPIC_NOT_MODIFIED")
    return True


@METHODS.named("deleteForumTopic")
def _delete_forum_topic(telegram: Telegram, bot: Bot, params: Params) -> Any:
    chat = _forum(telegram, bot, params)
    _topic(chat, params)
    thread = params.integer("message_thread_id")
    del chat.topics[thread]
    for number in [n for n, m in chat.messages.items() if m.get("message_thread_id") == thread]:
        forget(chat, number)
    return True
