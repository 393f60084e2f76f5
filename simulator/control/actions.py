"""What people do in chats: write, edit, delete, press, react, send files, open Mini Apps."""

import base64
from typing import Any

from aiohttp import web

from simulator.apps import open_app, send_app_data
from simulator.botapi import TELEGRAM
from simulator.control.request import given_object, number, where
from simulator.errors import WrongRequest
from simulator.launch import THEMES
from simulator.messages import delete
from simulator.people import edit_own, forward_rich, react, say, upload
from simulator.presses import forge_press, press
from simulator.telegram import Telegram


async def _say(request: web.Request) -> web.Response:
    """`{user, text, replyTo?, topic?, copies?, chat?, bot?}`, or `{user, rich, chat?, bot?}` for a rich message."""
    given = await given_object(request)
    telegram = request.app[TELEGRAM]
    if "rich" in given:
        return web.json_response(forward_rich(telegram, int(given["user"]), given["rich"], **where(given)))
    message = say(
        telegram,
        int(given["user"]),
        str(given["text"]),
        reply_to=number(given.get("replyTo")),
        topic=number(given.get("topic")),
        copies=int(given.get("copies", 1)),
        **where(given),
    )
    return web.json_response(message)


async def _edit(request: web.Request) -> web.Response:
    given = await given_object(request)
    message = edit_own(
        request.app[TELEGRAM], int(given["user"]), int(given["message"]), str(given["text"]), **where(given)
    )
    return web.json_response(message)


async def _delete(request: web.Request) -> web.Response:
    """`{user, message, chat?, bot?}`: a message is deleted, whoever wrote it; no bot is told."""
    given = await given_object(request)
    telegram = request.app[TELEGRAM]
    chat = telegram.chat_for(int(given["user"]), **where(given))
    delete(telegram, chat, int(given["message"]))
    return web.json_response({"ok": True})


async def _press(request: web.Request) -> web.Response:
    """`{user, button, message?, chat?, bot?}`: `button` is the callback data or the label.

    A deleted message that is named can still be pressed, as on a client that shows it; its content is not told then.
    `forged`: the named message has no such button, as with a client of one's own, or one that has not heard of an edit.
    """
    given = await given_object(request)
    if given.get("forged"):
        return web.json_response(_forged(request.app[TELEGRAM], given))
    query = press(
        request.app[TELEGRAM],
        int(given["user"]),
        str(given["button"]),
        message_id=number(given.get("message")),
        **where(given),
    )
    return web.json_response({"id": query["id"], "data": query["data"]})


def _forged(telegram: Telegram, given: dict[str, Any]) -> dict[str, Any]:
    chat = telegram.chat_for(int(given["user"]), **where(given))
    if int(given["message"]) not in chat.messages:
        raise WrongRequest(f"there is no message {given['message']}")
    message = chat.messages[int(given["message"])]
    query = forge_press(telegram, int(given["user"]), message, str(given["button"]), bot=message["from"]["id"])
    return {"id": query["id"], "data": query["data"]}


async def _react(request: web.Request) -> web.Response:
    given = await given_object(request)
    react(request.app[TELEGRAM], int(given["user"]), int(given["message"]), str(given.get("emoji", "")), **where(given))
    return web.json_response({"ok": True})


async def _document(request: web.Request) -> web.Response:
    """`{user, name, base64, caption?}`."""
    given = await given_object(request)
    message = upload(
        request.app[TELEGRAM],
        int(given["user"]),
        str(given["name"]),
        base64.b64decode(str(given["base64"]), validate=True),
        caption=str(given.get("caption", "")),
        **where(given),
    )
    return web.json_response(message)


async def _open(request: web.Request) -> web.Response:
    """`{user, bot?, url?, startParam?, how?, theme?, chat?, authDate?}` -> `{url, initData, themes}`."""
    given = await given_object(request)
    theme = str(given.get("theme", "light"))
    opened = open_app(
        request.app[TELEGRAM],
        int(given["user"]),
        url=str(given.get("url", "")),
        start_param=str(given.get("startParam", "")),
        how=str(given.get("how", "")),
        theme=theme,
        auth_date=number(given.get("authDate")),
        **where(given),
    )
    return web.json_response({**opened, "themes": THEMES})


async def _web_app_data(request: web.Request) -> web.Response:
    given = await given_object(request)
    message = send_app_data(
        request.app[TELEGRAM],
        int(given["user"]),
        str(given["data"]),
        str(given.get("buttonText", "")),
        bot=given.get("bot"),
    )
    return web.json_response(message)


ROUTES = (
    ("POST", "/sim/say", _say),
    ("POST", "/sim/edit", _edit),
    ("POST", "/sim/delete", _delete),
    ("POST", "/sim/press", _press),
    ("POST", "/sim/react", _react),
    ("POST", "/sim/document", _document),
    ("POST", "/sim/open", _open),
    ("POST", "/sim/web-app-data", _web_app_data),
)
