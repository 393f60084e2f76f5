"""The methods of the Bot API, each on the Telegram in memory; getUpdates alone waits and stands in `botapi`."""

import re
import struct
import time
from collections.abc import Callable
from typing import Any

from simulator.errors import ApiError, bad
from simulator.markup import checked_markup, checked_menu_button
from simulator.params import Params, Upload
from simulator.rich import sent_rich
from simulator.state import ACTION_SECONDS, DRAFT_SECONDS, Bot, Chat, Message
from simulator.telegram import DOWNLOAD_LIMIT, FILE_LIMIT, Telegram
from simulator.text import TEXT_LIMIT, Entity, caption_text, formatted, has_link, message_text, units

Handler = Callable[[Telegram, Bot, Params], Any]
METHODS: dict[str, Handler] = {}

ANSWER_LIMIT = 200
TOPIC_NAME = 128
ICON_COLOURS = (7322096, 16766590, 13338331, 9367192, 16749490, 16478047)
_TEXT_KEYS = ("text", "entities", "link_preview_options", "rich_message", "reply_markup")
NOT_MODIFIED = (
    "message is not modified: specified new message content and reply markup are exactly the same as a current "
    "content and reply markup of the message"
)
ACTIONS = frozenset(
    {
        "typing",
        "upload_photo",
        "record_video",
        "upload_video",
        "record_voice",
        "upload_voice",
        "upload_document",
        "choose_sticker",
        "find_location",
        "record_video_note",
        "upload_video_note",
    }
)
_EMOJI = """
👍 👎 ❤ 🔥 🥰 👏 😁 🤔 🤯 😱 🤬 😢 🎉 🤩 🤮 💩 🙏 👌 🕊 🤡
🥱 🥴 😍 🐳 ❤‍🔥 🌚 🌭 💯 🤣 ⚡ 🍌 🏆 💔 🤨 😐 🍓 🍾 💋 🖕 😈
😴 😭 🤓 👻 👨‍💻 👀 🎃 🙈 😇 😨 🤝 ✍ 🤗 🫡 🎅 🎄 ☃ 💅 🤪 🗿
🆒 💘 🙉 🦄 😘 💊 🙊 😎 👾 🤷‍♂ 🤷 🤷‍♀ 😡
"""
REACTIONS = frozenset(_EMOJI.split())
_COMMAND = re.compile(r"[a-z0-9_]{1,32}")
_SECRET = re.compile(r"[A-Za-z0-9_-]*")
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


def method(name: str) -> Callable[[Handler], Handler]:
    """Register a method; Telegram does not mind the case of its name."""

    def keep(handler: Handler) -> Handler:
        METHODS[name.lower()] = handler
        return handler

    return keep


def call(telegram: Telegram, bot: Bot, name: str, params: Params) -> Any:
    """Carry out one method. Raises ApiError."""
    handler = METHODS.get(name.lower())
    if handler is None:
        raise ApiError(404, "Not Found")
    result = handler(telegram, bot, params)
    telegram.changed()
    return result


# --- who and where --------------------------------------------------------------------------------


@method("getMe")
def _get_me(_telegram: Telegram, bot: Bot, _params: Params) -> Any:
    return bot.user


@method("getChat")
def _get_chat(telegram: Telegram, bot: Bot, params: Params) -> Any:
    chat = telegram.target(bot, params.text("chat_id"), write=False)
    gifts = ("unlimited_gifts", "limited_gifts", "unique_gifts", "premium_subscription", "gifts_from_channels")
    return {
        **telegram.chat_view(chat),
        "accent_color_id": abs(chat.id) % 7,
        "max_reaction_count": 11,
        "accepted_gift_types": dict.fromkeys(gifts, False),
        **({} if chat.private else {"permissions": {"can_send_messages": True}}),
    }


@method("getChatMember")
def _get_chat_member(telegram: Telegram, bot: Bot, params: Params) -> Any:
    chat = telegram.target(bot, params.text("chat_id"), write=False)
    user_id = params.integer("user_id")
    if telegram.anybody(user_id) is None:
        raise bad("user not found")
    return telegram.member_view(chat, user_id)


@method("getChatAdministrators")
def _get_chat_administrators(telegram: Telegram, bot: Bot, params: Params) -> Any:
    chat = telegram.target(bot, params.text("chat_id"), write=False)
    if chat.private:
        raise bad("there are no administrators in the private chat")
    people = [user_id for user_id in chat.members if user_id in telegram.people]
    return [telegram.member_view(chat, user_id) for user_id in people if chat.is_admin(user_id)]


@method("getChatMemberCount")
def _get_chat_member_count(telegram: Telegram, bot: Bot, params: Params) -> Any:
    chat = telegram.target(bot, params.text("chat_id"), write=False)
    return sum(chat.has(user_id) for user_id in chat.members)


@method("leaveChat")
def _leave_chat(telegram: Telegram, bot: Bot, params: Params) -> Any:
    chat = telegram.target(bot, params.text("chat_id"))
    if chat.private:
        raise bad("chat member status can't be changed in private chats")
    telegram.leave(chat.id, bot.id)
    return True


@method("getUserProfilePhotos")
def _get_user_profile_photos(telegram: Telegram, _bot: Bot, params: Params) -> Any:
    if params.integer("user_id") not in telegram.people:
        raise bad("user not found")
    return {"total_count": 0, "photos": []}


@method("logOut")
@method("close")
def _close(_telegram: Telegram, _bot: Bot, _params: Params) -> Any:
    return True


# --- messages -------------------------------------------------------------------------------------


def _formatting(params: Params, what: str = "entities") -> dict[str, Any]:
    return {"parse_mode": params.text("parse_mode"), "entities": params.objects(what, "entities")}


def _with_entities(name: str, text: str, entities: list[Entity], *, key: str = "entities") -> dict[str, Any]:
    content: dict[str, Any] = {name: text} if text else {}
    if entities:
        content[key] = entities
    return content


def _previews(params: Params, entities: list[Entity]) -> dict[str, Any]:
    """What a message says of its link preview: what the bot asked for, and that this Telegram has none to show."""
    name = "link_preview_options"
    options = params.json(name, "link preview options")
    if options is not None and not isinstance(options, dict):
        raise bad("object expected as link preview options")
    kept: dict[str, Any] = {}
    for key in ("is_disabled", "url", "prefer_small_media", "prefer_large_media", "show_above_text"):
        value, of = (options or {}).get(key), str if key == "url" else bool
        if value is not None and not isinstance(value, of):
            raise bad(f'field "{key}" must be of type {"String" if of is str else "Boolean"}')
        if value:
            kept[key] = value
    if has_link(entities) or (options is None and params.flag("disable_web_page_preview")):
        kept["is_disabled"] = True
    return {name: kept} if kept else {}


def _send(telegram: Telegram, bot: Bot, chat: Chat, params: Params, content: dict[str, Any]) -> Message:
    """Keyboard, topic, reply, flood limit; then the message stands."""
    markup = checked_markup(
        params.json("reply_markup", "reply keyboard markup"), private=chat.private, http_apps=telegram.http_apps
    )
    thread = telegram.thread(chat, params.integer("message_thread_id"))
    replied_to = None
    reply = params.object("reply_parameters", "reply parameters")
    replied = Params(reply).integer("message_id") or params.integer("reply_to_message_id")
    lenient = reply.get("allow_sending_without_reply") or params.flag("allow_sending_without_reply")
    if replied:
        original = chat.messages.get(replied)
        if original is not None:
            content["reply_to_message"] = telegram.quoted(original)
            replied_to = original
        elif not lenient:
            raise bad("message to be replied not found")
    telegram.in_thread(chat, content, thread=thread, replied=replied_to)
    telegram.pace(bot, chat)
    if markup and "inline_keyboard" in markup:
        content["reply_markup"] = markup
    elif markup and "keyboard" in markup:
        chat.keyboard = markup
    elif markup and markup.get("remove_keyboard"):
        chat.keyboard = None
    return telegram.post(chat, bot.user, content)


@method("sendMessage")
def _send_message(telegram: Telegram, bot: Bot, params: Params) -> Any:
    chat = telegram.target(bot, params.text("chat_id"))
    text, entities = message_text(params.text("text"), **_formatting(params))
    content = _with_entities("text", text, entities) | _previews(params, entities)
    return _send(telegram, bot, chat, params, content)


@method("sendRichMessage")
def _send_rich_message(telegram: Telegram, bot: Bot, params: Params) -> Any:
    chat = telegram.target(bot, params.text("chat_id"))
    rich = sent_rich(params.json("rich_message", "rich message"), private=chat.private, http_apps=telegram.http_apps)
    return _send(telegram, bot, chat, params, {"rich_message": rich})


@method("copyMessage")
def _copy_message(telegram: Telegram, bot: Bot, params: Params) -> Any:
    chat = telegram.target(bot, params.text("chat_id"))
    source = telegram.target(bot, params.text("from_chat_id"))
    original = source.messages.get(params.integer("message_id"))
    if original is None:
        raise bad("message to copy not found")
    kept = (
        "text",
        "entities",
        "link_preview_options",
        "rich_message",
        "caption",
        "caption_entities",
        "document",
        "photo",
    )
    copied = _send(telegram, bot, chat, params, {k: original[k] for k in kept if k in original})
    return {"message_id": copied["message_id"]}


def _own(telegram: Telegram, bot: Bot, params: Params) -> tuple[Chat, Message]:
    if params.text("inline_message_id"):
        raise bad("MESSAGE_ID_INVALID")
    chat = telegram.target(bot, params.text("chat_id"))
    message = chat.messages.get(params.integer("message_id"))
    if message is None:
        raise bad("message to edit not found")
    if message["from"]["id"] != bot.id:
        raise bad("message can't be edited")
    return chat, message


def _edited(telegram: Telegram, chat: Chat, message: Message, new: dict[str, Any], keys: tuple[str, ...]) -> Message:
    if all(message.get(key) == new.get(key) for key in keys):
        raise bad(NOT_MODIFIED)
    telegram.remember_edit(chat, message)
    for key in keys:
        message.pop(key, None)
        if new.get(key):
            message[key] = new[key]
    message["edit_date"] = int(time.time())
    return message


def _inline_markup(telegram: Telegram, chat: Chat, params: Params) -> dict[str, Any]:
    markup = params.json("reply_markup", "reply keyboard markup")
    checked = checked_markup(markup, private=chat.private, only_inline=True, http_apps=telegram.http_apps)
    return {"reply_markup": checked} if checked else {}


@method("editMessageText")
def _edit_message_text(telegram: Telegram, bot: Bot, params: Params) -> Any:
    chat, message = _own(telegram, bot, params)
    new: dict[str, Any]
    if "rich_message" in params:
        given = params.json("rich_message", "rich message")
        new = {"rich_message": sent_rich(given, private=chat.private, http_apps=telegram.http_apps)}
    else:
        text, entities = message_text(params.text("text"), **_formatting(params))
        new = _with_entities("text", text, entities) | _previews(params, entities)
    if "text" not in message and "rich_message" not in message:
        raise bad("there is no text in the message to edit")
    return _edited(telegram, chat, message, new | _inline_markup(telegram, chat, params), _TEXT_KEYS)


@method("editMessageCaption")
def _edit_message_caption(telegram: Telegram, bot: Bot, params: Params) -> Any:
    chat, message = _own(telegram, bot, params)
    if "document" not in message and "photo" not in message:
        raise bad("there is no caption in the message to edit")
    caption, entities = caption_text(params.text("caption"), **_formatting(params, "caption_entities"))
    new = _with_entities("caption", caption, entities, key="caption_entities")
    new |= _inline_markup(telegram, chat, params)
    return _edited(telegram, chat, message, new, ("caption", "caption_entities", "reply_markup"))


@method("editMessageReplyMarkup")
def _edit_message_reply_markup(telegram: Telegram, bot: Bot, params: Params) -> Any:
    chat, message = _own(telegram, bot, params)
    return _edited(telegram, chat, message, _inline_markup(telegram, chat, params), ("reply_markup",))


@method("deleteMessage")
def _delete_message(telegram: Telegram, bot: Bot, params: Params) -> Any:
    chat = telegram.target(bot, params.text("chat_id"))
    _delete(bot, chat, params.integer("message_id"))
    return True


@method("deleteMessages")
def _delete_messages(telegram: Telegram, bot: Bot, params: Params) -> Any:
    chat = telegram.target(bot, params.text("chat_id"))
    numbers = params.json("message_ids", "message identifiers")
    for number in numbers if isinstance(numbers, list) else []:
        if isinstance(number, int) and number in chat.messages:
            _delete(bot, chat, number)
    return True


def _delete(bot: Bot, chat: Chat, number: int) -> None:
    message = chat.messages.get(number)
    if message is None:
        raise bad("message to delete not found")
    foreign = message["from"]["id"] != bot.id and not chat.private and not chat.is_admin(bot.id)
    if foreign or time.time() - message["date"] > 48 * 3600:
        raise bad("message can't be deleted")
    Telegram.forget(chat, number)


@method("pinChatMessage")
def _pin_chat_message(telegram: Telegram, bot: Bot, params: Params) -> Any:
    chat = telegram.target(bot, params.text("chat_id"))
    number = params.integer("message_id")
    if number not in chat.messages:
        raise bad("message to pin not found")
    if not chat.private and not chat.is_admin(bot.id):
        raise bad("not enough rights to manage pinned messages in the chat")
    chat.pinned = [n for n in chat.pinned if n != number] + [number]
    return True


@method("unpinChatMessage")
def _unpin_chat_message(telegram: Telegram, bot: Bot, params: Params) -> Any:
    chat = telegram.target(bot, params.text("chat_id"))
    number = params.integer("message_id") or (chat.pinned[-1] if chat.pinned else 0)
    if number not in chat.pinned:
        raise bad("message to unpin not found")
    chat.pinned.remove(number)
    return True


@method("setMessageReaction")
def _set_message_reaction(telegram: Telegram, bot: Bot, params: Params) -> Any:
    chat = telegram.target(bot, params.text("chat_id"))
    number = params.integer("message_id")
    if number not in chat.messages:
        raise bad("message to react not found")
    wanted = params.objects("reaction", "reaction types")
    if any(one.get("type") != "emoji" or str(one.get("emoji")) not in REACTIONS for one in wanted):
        raise bad("REACTION_INVALID")
    if len(wanted) > 1:
        raise bad("REACTIONS_TOO_MANY")
    chat.reactions.setdefault(number, {})[bot.id] = wanted
    return True


@method("sendChatAction")
def _send_chat_action(telegram: Telegram, bot: Bot, params: Params) -> Any:
    chat = telegram.target(bot, params.text("chat_id"))
    action = params.text("action")
    if action not in ACTIONS:
        raise bad("wrong parameter action in request")
    telegram.thread(chat, params.integer("message_thread_id"))
    chat.action, chat.action_until = action, time.monotonic() + ACTION_SECONDS
    return True


@method("sendMessageDraft")
def _send_message_draft(telegram: Telegram, bot: Bot, params: Params) -> Any:
    chat = telegram.target(bot, params.text("chat_id"))
    if not chat.private:
        raise bad("message drafts can be sent only to private chats")
    telegram.thread(chat, params.integer("message_thread_id"))
    number = params.integer("draft_id")
    if number == 0:
        raise bad("draft_id must be non-zero")
    text, entities = formatted(params.text("text"), **_formatting(params))
    if units(text) > TEXT_LIMIT:
        raise bad("message is too long")
    chat.drafts[number] = {
        "draft_id": number,
        "text": text,
        "entities": entities,
        "until": time.monotonic() + DRAFT_SECONDS,
    }
    return True


# --- topics ---------------------------------------------------------------------------------------
# The words of these refusals are from memory, but for the thread that is not found.


def _forum(telegram: Telegram, bot: Bot, params: Params) -> Chat:
    chat = telegram.target(bot, params.text("chat_id"))
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


@method("createForumTopic")
def _create_forum_topic(telegram: Telegram, bot: Bot, params: Params) -> Any:
    chat = _forum(telegram, bot, params)
    name, colour = params.text("name"), params.integer("icon_color", ICON_COLOURS[0])
    if not 1 <= units(name) <= TOPIC_NAME:
        raise bad("TOPIC_TITLE_EMPTY" if not name else "TOPIC_TITLE_INVALID")
    if colour not in ICON_COLOURS:
        raise bad("TOPIC_ICON_COLOR_INVALID")
    return telegram.open_topic(chat, name, bot.user, icon_color=colour)


@method("editForumTopic")
def _edit_forum_topic(telegram: Telegram, bot: Bot, params: Params) -> Any:
    topic = _topic(_forum(telegram, bot, params), params)
    name = params.text("name")
    if units(name) > TOPIC_NAME:
        raise bad("TOPIC_TITLE_INVALID")
    topic["name"] = name or topic["name"]
    return True


@method("closeForumTopic")
def _close_forum_topic(telegram: Telegram, bot: Bot, params: Params) -> Any:
    topic = _topic(_forum(telegram, bot, params), params)
    if topic.get("closed"):
        raise bad("TOPIC_NOT_MODIFIED")
    topic["closed"] = True
    return True


@method("reopenForumTopic")
def _reopen_forum_topic(telegram: Telegram, bot: Bot, params: Params) -> Any:
    topic = _topic(_forum(telegram, bot, params), params)
    if not topic.pop("closed", False):
        raise bad("TOPIC_NOT_MODIFIED")
    return True


@method("deleteForumTopic")
def _delete_forum_topic(telegram: Telegram, bot: Bot, params: Params) -> Any:
    chat = _forum(telegram, bot, params)
    _topic(chat, params)
    thread = params.integer("message_thread_id")
    del chat.topics[thread]
    for number in [n for n, m in chat.messages.items() if m.get("message_thread_id") == thread]:
        Telegram.forget(chat, number)
    return True


# --- files ----------------------------------------------------------------------------------------


def _given_file(telegram: Telegram, bot: Bot, params: Params, name: str, kind: str) -> tuple[dict[str, Any], bytes]:
    given = params.file(name)
    if given is None:
        raise bad(f"there is no {name} in the request")
    if isinstance(given, str):
        stored = telegram.files.get(given)
        if stored is None or stored.bot_id != bot.id:
            raise bad("wrong file identifier/HTTP URL specified")
        data = stored.data
        known = {"file_id": given, "file_unique_id": f"AQ{given[2:14]}", "file_name": stored.name}
        return {**known, "file_size": len(data)}, data
    _sized(given)
    return telegram.keep_file(bot.id, given.name, given.data, kind=kind), given.data


def _sized(given: Upload) -> None:
    if not given.data:
        raise bad("file must be non-empty")
    if len(given.data) > FILE_LIMIT:
        raise ApiError(413, "Request Entity Too Large")


def _captioned(params: Params) -> dict[str, Any]:
    caption, entities = caption_text(params.text("caption"), **_formatting(params, "caption_entities"))
    return _with_entities("caption", caption, entities, key="caption_entities")


@method("sendDocument")
def _send_document(telegram: Telegram, bot: Bot, params: Params) -> Any:
    chat = telegram.target(bot, params.text("chat_id"))
    content = _captioned(params)
    document, _ = _given_file(telegram, bot, params, "document", "documents")
    return _send(telegram, bot, chat, params, {"document": document, **content})


@method("sendPhoto")
def _send_photo(telegram: Telegram, bot: Bot, params: Params) -> Any:
    chat = telegram.target(bot, params.text("chat_id"))
    content = _captioned(params)
    photo, data = _given_file(telegram, bot, params, "photo", "photos")
    width, height = image_size(data)
    size = {k: photo[k] for k in ("file_id", "file_unique_id", "file_size")} | {"width": width, "height": height}
    return _send(telegram, bot, chat, params, {"photo": [size], **content})


def image_size(data: bytes) -> tuple[int, int]:
    """Width and height of a PNG or JPEG. Raises ApiError for anything else."""
    if data[:8] == b"\x89PNG\r\n\x1a\n" and len(data) >= 24:
        width, height = struct.unpack(">II", data[16:24])
        return width, height
    at = 2
    while data[:2] == b"\xff\xd8" and at + 9 < len(data) and data[at] == 0xFF:
        if 0xC0 <= data[at + 1] <= 0xCF and data[at + 1] not in (0xC4, 0xC8, 0xCC):
            height, width = struct.unpack(">HH", data[at + 5 : at + 9])
            return width, height
        at += 2 + int.from_bytes(data[at + 2 : at + 4], "big")
    raise bad("IMAGE_PROCESS_FAILED")


@method("getFile")
def _get_file(telegram: Telegram, bot: Bot, params: Params) -> Any:
    file_id = params.text("file_id")
    stored = telegram.files.get(file_id)
    if stored is None or stored.bot_id != bot.id:
        raise bad("invalid file_id")
    if len(stored.data) > DOWNLOAD_LIMIT:
        raise bad("file is too big")
    return {
        "file_id": file_id,
        "file_unique_id": f"AQ{file_id[2:14]}",
        "file_size": len(stored.data),
        "file_path": stored.path,
    }


# --- presses and Mini Apps ------------------------------------------------------------------------


@method("answerCallbackQuery")
def _answer_callback_query(telegram: Telegram, bot: Bot, params: Params) -> Any:
    query_id = params.text("callback_query_id")
    query = bot.queries.get(query_id)
    if query is None or time.monotonic() - query["at"] > telegram.query_seconds:
        raise bad("query is too old and response timeout expired or query ID is invalid")
    text = params.text("text")
    if units(text) > ANSWER_LIMIT:
        raise bad("MESSAGE_TOO_LONG")
    del bot.queries[query_id]
    telegram.answers.append(
        {
            "number": len(telegram.answers) + 1,
            "queryId": query_id,
            "bot": bot.username,
            "user": query["user"],
            "chat": query["chat"],
            "message": query["message"],
            "data": query["data"],
            "text": text,
            "alert": params.flag("show_alert"),
            "url": params.text("url"),
        }
    )
    return True


@method("answerWebAppQuery")
def _answer_web_app_query(telegram: Telegram, bot: Bot, params: Params) -> Any:
    user_id = bot.web_app_queries.pop(params.text("web_app_query_id"), None)
    if user_id is None:
        raise bad("query is too old and response timeout expired or query ID is invalid")
    result = params.object("result", "inline query result")
    content = Params(result).object("input_message_content", "input message content")
    text, entities = message_text(
        str(content.get("message_text", "")),
        parse_mode=str(content.get("parse_mode", "")),
        entities=Params(content).objects("entities", "entities"),
    )
    shown = _with_entities("text", text, entities) | {"via_bot": bot.user}
    telegram.post(telegram.private_chat(bot, user_id), telegram.people[user_id], shown)
    return {}


# --- how a bot presents itself --------------------------------------------------------------------


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
        parts.append(str(telegram.target(bot, scope.get("chat_id")).id))
    if kind == "chat_member":
        parts.append(str(scope.get("user_id")))
    return ":".join(parts)


@method("setMyCommands")
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


@method("getMyCommands")
def _get_my_commands(telegram: Telegram, bot: Bot, params: Params) -> Any:
    return bot.commands.get((_scope(telegram, bot, params), _language(params)), [])


@method("deleteMyCommands")
def _delete_my_commands(telegram: Telegram, bot: Bot, params: Params) -> Any:
    bot.commands.pop((_scope(telegram, bot, params), _language(params)), None)
    return True


@method("setChatMenuButton")
def _set_chat_menu_button(telegram: Telegram, bot: Bot, params: Params) -> Any:
    chat_id = telegram.target(bot, params.text("chat_id")).id if "chat_id" in params else 0
    button = params.json("menu_button", "menu button")
    bot.menu_buttons[chat_id] = checked_menu_button(button, http_apps=telegram.http_apps)
    return True


@method("getChatMenuButton")
def _get_chat_menu_button(telegram: Telegram, bot: Bot, params: Params) -> Any:
    chat_id = telegram.target(bot, params.text("chat_id")).id if "chat_id" in params else 0
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

    method(f"setMy{name}")(put)
    method(f"getMy{name}")(get)


_text_setting("Name", "name", 64)
_text_setting("Description", "description", 512)
_text_setting("ShortDescription", "short_description", 120)


# --- webhooks -------------------------------------------------------------------------------------


def allowed_updates(params: Params) -> list[str] | None:
    """The kinds of updates a bot asks for; None = as before, an empty list = the usual ones."""
    if "allowed_updates" not in params:
        return None
    given = params.json("allowed_updates", "allowed updates")
    if not isinstance(given, list):
        raise bad("expected an Array of String as allowed_updates")
    return [str(kind) for kind in given]


@method("setWebhook")
def _set_webhook(telegram: Telegram, bot: Bot, params: Params) -> Any:
    url = params.text("url")
    if not url:
        return _delete_webhook(telegram, bot, params)
    if not re.match(r"https?://[^/\s]+", url):
        raise bad("bad webhook: An HTTPS URL must be provided for webhook")
    secret = params.text("secret_token")
    if len(secret) > 256:
        raise bad("secret token is too long")
    if not _SECRET.fullmatch(secret):
        raise bad("secret token contains unallowed characters")
    allowed = allowed_updates(params)
    if allowed is not None:
        bot.allowed = allowed
    telegram.stop_polling(bot, "setWebhook request")
    bot.webhook.url, bot.webhook.secret = url, secret
    bot.webhook.max_connections = min(100, max(1, params.integer("max_connections", 40)))
    bot.webhook.generation += 1
    for queued in bot.queue:
        queued.rests_until = 0.0
    _drop(bot, params)
    bot.bell.ring()
    return True


@method("deleteWebhook")
def _delete_webhook(_telegram: Telegram, bot: Bot, params: Params) -> Any:
    bot.webhook.url = bot.webhook.secret = ""
    bot.webhook.generation += 1
    _drop(bot, params)
    bot.bell.ring()
    return True


def _drop(bot: Bot, params: Params) -> None:
    if params.flag("drop_pending_updates"):
        bot.queue.clear()


@method("getWebhookInfo")
def _get_webhook_info(_telegram: Telegram, bot: Bot, _params: Params) -> Any:
    hook = bot.webhook
    info: dict[str, Any] = {
        "url": hook.url,
        "has_custom_certificate": False,
        "pending_update_count": len(bot.queue),
    }
    if hook.url:
        info["max_connections"] = hook.max_connections
        if hook.last_error:
            info |= {"last_error_date": hook.last_error_at, "last_error_message": hook.last_error}
    if bot.allowed:
        info["allowed_updates"] = bot.allowed
    return info
