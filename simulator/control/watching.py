"""What is seen over HTTP: the state and its changes, chats and files, answers to presses, calls."""

import asyncio
import json

from aiohttp import web

from simulator.botapi import TELEGRAM
from simulator.control.request import number
from simulator.control.views import bot_view, chat_view, view

QUIET = 0.03


async def _state(request: web.Request) -> web.Response:
    return web.json_response(view(request.app[TELEGRAM], number(request.query.get("user"))))


async def _events(request: web.Request) -> web.StreamResponse:
    """The view again after every change; changes of one moment come as one."""
    telegram = request.app[TELEGRAM]
    user_id = number(request.query.get("user"))
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
    chat_id, user_id = number(request.query.get("chat")), number(request.query.get("user"))
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


ROUTES = (
    ("GET", "/sim/state", _state),
    ("GET", "/sim/events", _events),
    ("GET", "/sim/users", _users),
    ("GET", "/sim/bots", _bots),
    ("GET", "/sim/groups", _groups),
    ("GET", "/sim/messages", _messages),
    ("GET", "/sim/file/{file_id}", _file),
    ("GET", "/sim/answers", _answers),
    ("GET", "/sim/calls", _calls),
)
