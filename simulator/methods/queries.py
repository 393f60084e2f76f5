"""Methods that answer queries: presses of buttons, and Mini Apps."""

import time
from typing import Any

from simulator.errors import bad
from simulator.messages import post
from simulator.methods.content import with_entities
from simulator.methods.table import Methods
from simulator.params import Params
from simulator.state import Bot
from simulator.telegram import Telegram
from simulator.text import message_text, units

ANSWER_LIMIT = 200

METHODS = Methods()


@METHODS.named("answerCallbackQuery")
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


@METHODS.named("answerWebAppQuery")
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
    shown = with_entities("text", text, entities) | {"via_bot": bot.user}
    post(telegram, telegram.private_chat(bot, user_id), telegram.people[user_id], shown)
    return {}
