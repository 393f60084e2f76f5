"""What a message is made of: text and entities, link preview, keyboard, reply and topic; then it is sent."""

from typing import Any

from simulator.access import pace
from simulator.errors import bad
from simulator.markup import checked_markup
from simulator.messages import post, quoted
from simulator.params import Params
from simulator.state import Bot, Chat, Message
from simulator.telegram import Telegram
from simulator.text import Entity, caption_text, has_link
from simulator.topics import in_thread, known_thread


def formatting(params: Params, what: str = "entities") -> dict[str, Any]:
    """How a text is to be read: the parse mode and the entities of a call; `what` names their parameter."""
    return {"parse_mode": params.text("parse_mode"), "entities": params.objects(what, "entities")}


def with_entities(name: str, text: str, entities: list[Entity], *, key: str = "entities") -> dict[str, Any]:
    """The fields of a text and its entities, each only when there is something in it."""
    content: dict[str, Any] = {name: text} if text else {}
    if entities:
        content[key] = entities
    return content


def captioned(params: Params) -> dict[str, Any]:
    """The caption of a call as fields of a message. Raises ApiError."""
    caption, entities = caption_text(params.text("caption"), **formatting(params, "caption_entities"))
    return with_entities("caption", caption, entities, key="caption_entities")


def previews(params: Params, entities: list[Entity]) -> dict[str, Any]:
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


def inline_markup(telegram: Telegram, chat: Chat, params: Params) -> dict[str, Any]:
    """The inline keyboard of a call as a field of a message. Raises ApiError."""
    markup = params.json("reply_markup", "reply keyboard markup")
    checked = checked_markup(markup, private=chat.private, only_inline=True, http_apps=telegram.http_apps)
    return {"reply_markup": checked} if checked else {}


def send(telegram: Telegram, bot: Bot, chat: Chat, params: Params, content: dict[str, Any]) -> Message:
    """Keyboard, topic, reply, flood limit; then the message stands."""
    markup = checked_markup(
        params.json("reply_markup", "reply keyboard markup"), private=chat.private, http_apps=telegram.http_apps
    )
    thread = known_thread(chat, params.integer("message_thread_id"))
    replied_to = None
    reply = params.object("reply_parameters", "reply parameters")
    replied = Params(reply).integer("message_id") or params.integer("reply_to_message_id")
    lenient = reply.get("allow_sending_without_reply") or params.flag("allow_sending_without_reply")
    if replied:
        original = chat.messages.get(replied)
        if original is not None:
            content["reply_to_message"] = quoted(original)
            replied_to = original
        elif not lenient:
            raise bad("message to be replied not found")
    in_thread(chat, content, thread=thread, replied=replied_to)
    pace(telegram, bot, chat)
    if markup and "inline_keyboard" in markup:
        content["reply_markup"] = markup
    elif markup and "keyboard" in markup:
        chat.keyboard = markup
    elif markup and markup.get("remove_keyboard"):
        chat.keyboard = None
    return post(telegram, chat, bot.user, content)
