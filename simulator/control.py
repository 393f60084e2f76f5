"""The control side over HTTP, `/sim/...`: what people do, what is seen, what goes wrong. JSON in and out."""

import asyncio
import base64
import json
from typing import Any

from aiohttp import web

from simulator.botapi import TELEGRAM
from simulator.errors import ApiError, WrongRequest
from simulator.launch import TEST_PUBLIC_KEY, THEMES
from simulator.state import Bot, Chat, Fault, RawBody
from simulator.telegram import Telegram

SHOWN = 200
QUIET = 0.03


def add_routes(app: web.Application) -> None:
    """The routes of tests and of the page."""
    for method, path, handler in (
        ("GET", "/sim/state", _state),
        ("GET", "/sim/events", _events),
        ("POST", "/sim/reset", _reset),
        ("GET", "/sim/users", _users),
        ("POST", "/sim/users", _add_user),
        ("GET", "/sim/bots", _bots),
        ("POST", "/sim/bots", _add_bot),
        ("GET", "/sim/groups", _groups),
        ("POST", "/sim/groups", _add_group),
        ("POST", "/sim/members", _members),
        ("POST", "/sim/say", _say),
        ("POST", "/sim/edit", _edit),
        ("POST", "/sim/delete", _delete),
        ("POST", "/sim/topics", _add_topic),
        ("POST", "/sim/upgrade", _upgrade),
        ("POST", "/sim/deactivate", _deactivate),
        ("POST", "/sim/press", _press),
        ("POST", "/sim/react", _react),
        ("POST", "/sim/document", _document),
        ("POST", "/sim/open", _open),
        ("POST", "/sim/web-app-data", _web_app_data),
        ("POST", "/sim/block", _block),
        ("POST", "/sim/updates", _update),
        ("POST", "/sim/raw-updates", _raw_updates),
        ("POST", "/sim/raw-answer", _raw_answer),
        ("GET", "/sim/messages", _messages),
        ("GET", "/sim/file/{file_id}", _file),
        ("GET", "/sim/answers", _answers),
        ("GET", "/sim/calls", _calls),
        ("GET", "/sim/faults", _faults),
        ("POST", "/sim/faults", _add_fault),
        ("DELETE", "/sim/faults", _clear_faults),
    ):
        app.router.add_route(method, path, handler)


@web.middleware
async def control_errors(request: web.Request, handler: Any) -> web.StreamResponse:
    """Refusals as JSON; posts must be JSON, which no foreign page can send without asking first."""
    if not request.path.startswith("/sim/"):
        response: web.StreamResponse = await handler(request)
        return response
    if request.method == "POST" and request.content_type != "application/json":
        return web.json_response({"ok": False, "description": "send application/json"}, status=415)
    try:
        response = await handler(request)
    except (ApiError, WrongRequest) as error:
        return web.json_response({"ok": False, "description": str(error)}, status=400)
    except (KeyError, ValueError, TypeError) as error:
        return web.json_response({"ok": False, "description": f"{type(error).__name__}: {error}"}, status=400)
    return response


async def _given(request: web.Request) -> dict[str, Any]:
    given = await request.json()
    if not isinstance(given, dict):
        raise WrongRequest("send a JSON object")
    return given


def _number(value: Any) -> int | None:
    return None if value in (None, "") else int(value)


# --- what is seen ---------------------------------------------------------------------------------


def message_view(chat: Chat, message: dict[str, Any]) -> dict[str, Any]:
    """A message with what it said before and the reactions on it."""
    number = message["message_id"]
    reactions = [one["emoji"] for given in chat.reactions.get(number, {}).values() for one in given]
    return message | {"edits": chat.edits.get(number, []), "reactions": reactions}


def chat_view(telegram: Telegram, chat: Chat) -> dict[str, Any]:
    """A chat with its newest messages and what shows at the moment."""
    bot = telegram.bot_by_id(chat.bot_id) if chat.private else None
    draft = chat.draft()
    return {
        **telegram.chat_view(chat),
        "key": f"{chat.bot_id}:{chat.id}" if chat.private else str(chat.id),
        "title": bot.user["first_name"] if bot else chat.title,
        "bot": bot.username if bot else "",
        "members": {str(user_id): status for user_id, status in chat.members.items()},
        "topics": [{"message_thread_id": thread, **topic} for thread, topic in chat.topics.items()],
        "migratedTo": chat.migrated_to,
        "messages": [message_view(chat, m) for _, m in sorted(chat.messages.items())[-SHOWN:]],
        "pinned": chat.pinned,
        "action": chat.now_doing(),
        "draft": {k: v for k, v in draft.items() if k != "until"} if draft else None,
        "keyboard": chat.keyboard,
        "started": chat.started,
        "blocked": chat.blocked,
    }


def bot_view(bot: Bot, user_id: int, language: str) -> dict[str, Any]:
    """A bot as one person sees it, and how its updates get to it."""
    return {
        **bot.user,
        "commands": bot.commands_for(user_id, user_id, language),
        "groupCommands": bot.commands_for(user_id, -1, language),
        "menuButton": bot.menu_button(user_id),
        "app": bot.mini_app(user_id),
        "about": bot.texts.get(("description", language[:2])) or bot.texts.get(("description", "")) or "",
        "webhook": bot.webhook.url,
        "listens": bot.listens(),
        "pending": len(bot.queue),
        "lastError": bot.webhook.last_error,
    }


def view(telegram: Telegram, user_id: int | None) -> dict[str, Any]:
    """Everything one person sees (the first one without a name)."""
    person = telegram.people.get(user_id or 0) or next(iter(telegram.people.values()), None)
    me = person["id"] if person else 0
    language = str((person or {}).get("language_code", ""))
    return {
        "version": telegram.version,
        "me": me,
        "people": list(telegram.people.values()),
        "bots": [bot_view(bot, me, language) for bot in telegram.bots.values()],
        "chats": [chat_view(telegram, chat) for chat in telegram.chats_of(me)] if person else [],
        "answers": [answer for answer in telegram.answers if answer["user"] == me][-20:],
        "faults": [vars(fault) for fault in telegram.faults],
        "flood": telegram.flood,
        "testPublicKey": TEST_PUBLIC_KEY,
    }


async def _state(request: web.Request) -> web.Response:
    return web.json_response(view(request.app[TELEGRAM], _number(request.query.get("user"))))


async def _events(request: web.Request) -> web.StreamResponse:
    """The view again after every change; changes of one moment come as one."""
    telegram = request.app[TELEGRAM]
    user_id = _number(request.query.get("user"))
    response = web.StreamResponse(headers={"Content-Type": "text/event-stream", "Cache-Control": "no-store"})
    await response.prepare(request)
    seen = -1
    try:
        while request.transport is not None and not request.transport.is_closing():
            if seen == telegram.version:
                await telegram.bell.wait(1.0)
                telegram.expire()
                if seen == telegram.version:
                    await response.write(b": alive\n\n")
                    continue
            await asyncio.sleep(QUIET)
            seen = telegram.version
            await response.write(b"data: " + json.dumps(view(telegram, user_id)).encode() + b"\n\n")
    except ConnectionResetError:
        pass
    return response


async def _users(request: web.Request) -> web.Response:
    return web.json_response(list(request.app[TELEGRAM].people.values()))


async def _bots(request: web.Request) -> web.Response:
    return web.json_response([bot_view(bot, 0, "") for bot in request.app[TELEGRAM].bots.values()])


async def _groups(request: web.Request) -> web.Response:
    telegram = request.app[TELEGRAM]
    return web.json_response([chat_view(telegram, chat) for chat in telegram.groups.values()])


async def _messages(request: web.Request) -> web.Response:
    """`?user=` for a private chat (with `&bot=`), `?chat=` for a group."""
    telegram = request.app[TELEGRAM]
    chat_id, user_id = _number(request.query.get("chat")), _number(request.query.get("user"))
    if chat_id in telegram.groups and chat_id is not None:
        return web.json_response(chat_view(telegram, telegram.groups[chat_id]))
    chat = telegram.chat_for(user_id or chat_id or 0, None, request.query.get("bot"))
    return web.json_response(chat_view(telegram, chat))


async def _file(request: web.Request) -> web.Response:
    """A file as the page shows it: images inside, anything else only as a download."""
    stored = request.app[TELEGRAM].files.get(request.match_info["file_id"])
    if stored is None:
        raise web.HTTPNotFound
    headers = {"X-Content-Type-Options": "nosniff", "Content-Security-Policy": "sandbox; default-src 'none'"}
    if stored.kind == "photos":
        kind = "image/png" if stored.data.startswith(b"\x89PNG") else "image/jpeg"
        return web.Response(body=stored.data, content_type=kind, headers=headers)
    name = "".join(c for c in stored.name if c.isascii() and (c.isalnum() or c in "._- ")) or "file"
    headers["Content-Disposition"] = f'attachment; filename="{name}"'
    return web.Response(body=stored.data, content_type="application/octet-stream", headers=headers)


async def _answers(request: web.Request) -> web.Response:
    return web.json_response(request.app[TELEGRAM].answers)


async def _calls(request: web.Request) -> web.Response:
    """The newest calls: `?method=`, `?after=<number>`, `?limit=`; getUpdates only when named."""
    wanted = request.query.get("method", "").lower()
    after = int(request.query.get("after", 0))
    found = [
        entry
        for entry in request.app[TELEGRAM].calls
        if entry["number"] > after
        and (entry["method"].lower() == wanted if wanted else entry["method"].lower() != "getupdates")
    ]
    return web.json_response(found[-int(request.query.get("limit", 200)) :])


# --- who is there ---------------------------------------------------------------------------------


async def _reset(request: web.Request) -> web.Response:
    request.app[TELEGRAM].reset()
    return web.json_response({"ok": True})


async def _add_user(request: web.Request) -> web.Response:
    given = await _given(request)
    telegram = request.app[TELEGRAM]
    user_id = int(given.pop("id", 0)) or max([1000, *telegram.people]) + 1
    return web.json_response(telegram.add_person(user_id, str(given.pop("first_name", "")), **given))


async def _add_bot(request: web.Request) -> web.Response:
    given = await _given(request)
    bot = request.app[TELEGRAM].register_bot(
        str(given["token"]),
        username=str(given.get("username", "")),
        first_name=str(given.get("first_name", "")),
        privacy=bool(given.get("privacy", True)),
        app_url=str(given.get("app", "")),
        topics=bool(given.get("topics", False)),
    )
    return web.json_response(bot.user)


async def _add_group(request: web.Request) -> web.Response:
    """`{title, members, bots?, owner?, forum?, basic?}`: a supergroup, with topics, or a group of the old kind."""
    given = await _given(request)
    telegram = request.app[TELEGRAM]
    chat = telegram.add_group(
        str(given["title"]),
        [int(m) for m in given["members"]],
        bots=given.get("bots"),
        owner=given.get("owner"),
        forum=bool(given.get("forum", False)),
        basic=bool(given.get("basic", False)),
    )
    return web.json_response(chat_view(telegram, chat))


async def _add_topic(request: web.Request) -> web.Response:
    """`{user, name, chat?, bot?}`: a person opens a topic; `{message_thread_id, name, icon_color}`."""
    given = await _given(request)
    telegram = request.app[TELEGRAM]
    user_id = int(given["user"])
    chat = telegram.chat_for(user_id, _number(given.get("chat")), given.get("bot"))
    return web.json_response(telegram.open_topic(chat, str(given["name"]), telegram.person(user_id)))


async def _upgrade(request: web.Request) -> web.Response:
    """`{chat}`: a group becomes a supergroup; the new chat."""
    given = await _given(request)
    telegram = request.app[TELEGRAM]
    return web.json_response(chat_view(telegram, telegram.upgrade(int(given["chat"]))))


async def _deactivate(request: web.Request) -> web.Response:
    """`{user}`: a person deletes the account."""
    given = await _given(request)
    request.app[TELEGRAM].deactivate(int(given["user"]))
    return web.json_response({"ok": True})


async def _members(request: web.Request) -> web.Response:
    """`{chat, user, action}`: join, leave, kick, promote or demote; `by` names who does it. `user` may be a bot."""
    given = await _given(request)
    telegram = request.app[TELEGRAM]
    chat_id, who, by = int(given["chat"]), given["user"], _number(given.get("by"))
    user_id = int(who) if str(who).isdigit() else telegram.which_bot(who).id
    action = given["action"]
    if action in ("join", "promote", "demote"):
        telegram.join(chat_id, user_id, status="administrator" if action == "promote" else "member", by=by)
    elif action in ("leave", "kick"):
        telegram.leave(chat_id, user_id, kicked=action == "kick", by=by)
    else:
        raise WrongRequest("action must be join, leave, kick, promote or demote")
    return web.json_response(chat_view(telegram, telegram.groups[chat_id]))


# --- what people do -------------------------------------------------------------------------------


def _where(given: dict[str, Any]) -> dict[str, Any]:
    return {"chat_id": _number(given.get("chat")), "bot": given.get("bot")}


async def _say(request: web.Request) -> web.Response:
    """`{user, text, replyTo?, topic?, copies?, chat?, bot?}`, or `{user, rich, chat?, bot?}` for a rich message."""
    given = await _given(request)
    telegram = request.app[TELEGRAM]
    if "rich" in given:
        return web.json_response(telegram.forward_rich(int(given["user"]), given["rich"], **_where(given)))
    message = telegram.say(
        int(given["user"]),
        str(given["text"]),
        reply_to=_number(given.get("replyTo")),
        topic=_number(given.get("topic")),
        copies=int(given.get("copies", 1)),
        **_where(given),
    )
    return web.json_response(message)


async def _edit(request: web.Request) -> web.Response:
    given = await _given(request)
    message = request.app[TELEGRAM].edit_own(
        int(given["user"]), int(given["message"]), str(given["text"]), **_where(given)
    )
    return web.json_response(message)


async def _delete(request: web.Request) -> web.Response:
    """`{user, message, chat?, bot?}`: a message is deleted, whoever wrote it; no bot is told."""
    given = await _given(request)
    telegram = request.app[TELEGRAM]
    where = _where(given)
    chat = telegram.chat_for(int(given["user"]), where["chat_id"], where["bot"])
    telegram.delete(chat, int(given["message"]))
    return web.json_response({"ok": True})


def _forged(telegram: Telegram, given: dict[str, Any]) -> dict[str, Any]:
    where = _where(given)
    chat = telegram.chat_for(int(given["user"]), where["chat_id"], where["bot"])
    if int(given["message"]) not in chat.messages:
        raise WrongRequest(f"there is no message {given['message']}")
    message = chat.messages[int(given["message"])]
    query = telegram.forge_press(int(given["user"]), message, str(given["button"]), bot=message["from"]["id"])
    return {"id": query["id"], "data": query["data"]}


async def _press(request: web.Request) -> web.Response:
    """`{user, button, message?, chat?, bot?}`: `button` is the callback data or the label.

    A deleted message that is named can still be pressed, as on a client that shows it; its content is not told then.
    `forged`: the named message has no such button, as with a client of one's own, or one that has not heard of an edit.
    """
    given = await _given(request)
    if given.get("forged"):
        return web.json_response(_forged(request.app[TELEGRAM], given))
    query = request.app[TELEGRAM].press(
        int(given["user"]), str(given["button"]), message_id=_number(given.get("message")), **_where(given)
    )
    return web.json_response({"id": query["id"], "data": query["data"]})


async def _react(request: web.Request) -> web.Response:
    given = await _given(request)
    request.app[TELEGRAM].react(int(given["user"]), int(given["message"]), str(given.get("emoji", "")), **_where(given))
    return web.json_response({"ok": True})


async def _document(request: web.Request) -> web.Response:
    """`{user, name, base64, caption?}`."""
    given = await _given(request)
    message = request.app[TELEGRAM].upload(
        int(given["user"]),
        str(given["name"]),
        base64.b64decode(str(given["base64"]), validate=True),
        caption=str(given.get("caption", "")),
        **_where(given),
    )
    return web.json_response(message)


async def _open(request: web.Request) -> web.Response:
    """`{user, bot?, url?, startParam?, how?, theme?, chat?, authDate?}` -> `{url, initData, themes}`."""
    given = await _given(request)
    theme = str(given.get("theme", "light"))
    opened = request.app[TELEGRAM].open_app(
        int(given["user"]),
        url=str(given.get("url", "")),
        start_param=str(given.get("startParam", "")),
        how=str(given.get("how", "")),
        theme=theme,
        auth_date=_number(given.get("authDate")),
        **_where(given),
    )
    return web.json_response({**opened, "themes": THEMES})


async def _web_app_data(request: web.Request) -> web.Response:
    given = await _given(request)
    message = request.app[TELEGRAM].web_app_data(
        int(given["user"]), str(given["data"]), str(given.get("buttonText", "")), bot=given.get("bot")
    )
    return web.json_response(message)


async def _block(request: web.Request) -> web.Response:
    """`{user, bot?, blocked?}`."""
    given = await _given(request)
    telegram = request.app[TELEGRAM]
    change = telegram.block if given.get("blocked", True) else telegram.unblock
    change(int(given["user"]), given.get("bot"))
    return web.json_response({"ok": True})


async def _update(request: web.Request) -> web.Response:
    """An update as the simulator makes them: `{update, bot?, copies?}`; a number of its own is kept.

    It is held back when the bot did not ask for its kind; `/sim/raw-updates` delivers anything, byte for byte.
    """
    given = await _given(request)
    telegram = request.app[TELEGRAM]
    if not isinstance(given.get("update"), dict):
        raise WrongRequest("update must be an object")
    pushed = telegram.push(telegram.which_bot(given.get("bot")), given["update"], copies=int(given.get("copies", 1)))
    telegram.changed()
    return web.json_response(pushed)


def _bytes(given: Any) -> bytes:
    """`{text}` (sent as UTF-8), `{base64}` (any bytes) or `{json}` (written by this program)."""
    if not isinstance(given, dict) or len(given.keys() & {"text", "base64", "json"}) != 1:
        raise WrongRequest("give one of text, base64 and json")
    if "json" in given:
        return json.dumps(given["json"]).encode()
    if "base64" in given:
        return base64.b64decode(str(given["base64"]), validate=True)
    return str(given["text"]).encode("utf-8", "surrogatepass")


async def _raw_updates(request: web.Request) -> web.Response:
    """Updates as bytes, whatever they are: `{updates, bot?, ids?, copies?}` -> `{numbers}`.

    Each of `updates` is `{"text": ...}` (the bytes to deliver, as text), `{"base64": ...}` (bytes that are no UTF-8)
    or `{"json": ...}` (a value, written by the simulator). All of them are queued in one go, so that one getUpdates
    hands them out together; a webhook gets them one by one. They are not checked, and not held back by
    `allowed_updates` or faults. `ids`: `keep` (default; the bytes are delivered as they are, also with a number that
    is missing, used before or no number) or `fresh` (each object gets the next `update_id`: in place of the whole
    number it has, otherwise in front; nothing else changes).
    `copies`: deliver each so many times. `numbers`: the places in the queue, which an offset confirms.
    """
    given = await _given(request)
    telegram = request.app[TELEGRAM]
    ids = str(given.get("ids", "keep"))
    if ids not in ("keep", "fresh"):
        raise WrongRequest("ids must be keep or fresh")
    if not isinstance(given.get("updates"), list) or not given["updates"]:
        raise WrongRequest("updates must be an array with at least one update")
    numbers = telegram.push_raw(
        telegram.which_bot(given.get("bot")),
        [_bytes(one) for one in given["updates"]],
        fresh=ids == "fresh",
        copies=int(given.get("copies", 1)),
    )
    return web.json_response({"numbers": numbers})


async def _raw_answer(request: web.Request) -> web.Response:
    """The whole body of the next getUpdates: `{text | base64 | json, bot?, status?, contentType?}`.

    It is given once, to the request that waits or to the next one; updates in the queue stay there. Called several
    times, the bodies are given one after the other.
    """
    given = await _given(request)
    telegram = request.app[TELEGRAM]
    body = {name: given[name] for name in ("text", "base64", "json") if name in given}
    answer = RawBody(_bytes(body), int(given.get("status", 200)), str(given.get("contentType", "application/json")))
    telegram.answer_raw(telegram.which_bot(given.get("bot")), answer)
    return web.json_response({"ok": True})


# --- what goes wrong ------------------------------------------------------------------------------


async def _faults(request: web.Request) -> web.Response:
    return web.json_response([vars(fault) for fault in request.app[TELEGRAM].faults])


async def _add_fault(request: web.Request) -> web.Response:
    """`{method?, kind, count?, seconds?, code?, description?, parameters?}`, see `simulator.state.Fault`."""
    given = await _given(request)
    fault: Fault = request.app[TELEGRAM].add_fault(
        str(given.get("method", "*")),
        str(given["kind"]),
        count=int(given.get("count", 1)),
        seconds=float(given.get("seconds", 1)),
        **{name: given[name] for name in ("code", "description", "parameters") if name in given},
    )
    return web.json_response(vars(fault))


async def _clear_faults(request: web.Request) -> web.Response:
    request.app[TELEGRAM].clear_faults(_number(request.query.get("number")))
    return web.json_response({"ok": True})
