"""The simulator over HTTP: the Bot API as clients call it, a control API for tests, and a chat page."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
from aiohttp import web

from simulator.launch import TEST_PUBLIC_KEY, THEMES
from simulator.rules import ApiError
from simulator.telegram import BotState, Fault, Telegram

STATIC = Path(__file__).parent / "static"
TELEGRAM = web.AppKey("telegram", Telegram)
PAGE_CSP = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "frame-src http: https:; base-uri 'none'; form-action 'none'"
)


def create_simulator(telegram: Telegram) -> web.Application:
    """The application around one Telegram."""
    app = web.Application(client_max_size=60_000_000, middlewares=[_errors])
    app[TELEGRAM] = telegram
    app.router.add_route("*", "/bot{token}/{method}", _bot_api)
    app.router.add_get("/file/bot{token}/{folder}/{file_id}", _file)
    for method, path, handler in (
        ("GET", "/sim/state", _state),
        ("GET", "/sim/events", _events),
        ("GET", "/sim/calls", _calls),
        ("POST", "/sim/people", _add_person),
        ("POST", "/sim/groups", _add_group),
        ("POST", "/sim/say", _say),
        ("POST", "/sim/press", _press),
        ("POST", "/sim/open", _open),
        ("POST", "/sim/block", _block),
        ("POST", "/sim/fault", _fault),
        ("POST", "/sim/update", _update),
        ("GET", "/", _page),
        ("GET", "/static/{name}", _static),
    ):
        app.router.add_route(method, path, handler)
    app.cleanup_ctx.append(_deliveries)
    return app


@web.middleware
async def _errors(request: web.Request, handler: Any) -> web.StreamResponse:
    try:
        response: web.StreamResponse = await handler(request)
    except ApiError as error:
        body: dict[str, Any] = {"ok": False, "error_code": error.code, "description": error.description}
        if error.parameters:
            body["parameters"] = error.parameters
        return web.json_response(body, status=error.code)
    except (KeyError, ValueError, TypeError) as error:
        if request.path.startswith("/sim/"):
            return web.json_response({"ok": False, "description": f"{type(error).__name__}: {error}"}, status=400)
        raise
    return response


async def _deliveries(app: web.Application) -> AsyncIterator[None]:
    """One courier a bot for webhooks."""
    telegram = app[TELEGRAM]
    couriers: dict[str, asyncio.Task[None]] = {}

    async def watch(session: aiohttp.ClientSession) -> None:
        while True:
            for bot in list(telegram.bots.values()):
                if bot.token not in couriers:
                    couriers[bot.token] = asyncio.ensure_future(telegram.deliver(bot, session))
            await asyncio.sleep(0.1)

    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=10)) as session:
        watcher = asyncio.ensure_future(watch(session))
        yield
        for task in (watcher, *couriers.values()):
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task


# --- the Bot API ----------------------------------------------------------------------------------


async def _params(request: web.Request) -> dict[str, Any]:
    params: dict[str, Any] = dict(request.query)
    if request.content_type == "application/json":
        params |= await request.json()
    elif request.content_type == "multipart/form-data":
        async for part in await request.multipart():
            assert isinstance(part, aiohttp.BodyPartReader)
            name = part.name or ""
            if part.filename:
                params[name] = (part.filename, bytes(await part.read(decode=True)))
            else:
                params[name] = await part.text()
        for name, value in list(params.items()):
            if isinstance(value, str) and value.startswith("attach://"):
                params[name] = params[value.removeprefix("attach://")]
    elif request.can_read_body:
        params |= dict(await request.post())
    return params


async def _bot_api(request: web.Request) -> web.StreamResponse:
    telegram = request.app[TELEGRAM]
    token, method = request.match_info["token"], request.match_info["method"]
    params = await _params(request)
    plain = {k: v if not isinstance(v, tuple) else f"<{len(v[1])} bytes>" for k, v in params.items()}
    entry: dict[str, Any] = {"method": method, "params": plain, "ok": None}
    if method.lower() != "getupdates":
        telegram.calls.append(entry)
        del telegram.calls[:-2000]
    fault = telegram.fault_for(method)
    if fault is not None:
        await _suffer(request, telegram, fault, before=True)
    try:
        if method.lower() == "getupdates":
            result = await telegram.get_updates(token, params)
        else:
            result = telegram.call(token, method, params)
    except ApiError as error:
        entry["ok"], entry["error"] = False, error.description
        raise
    entry["ok"] = True
    if fault is not None:
        await _suffer(request, telegram, fault, before=False)
    return web.json_response({"ok": True, "result": result})


async def _suffer(request: web.Request, telegram: Telegram, fault: Fault, *, before: bool) -> None:
    del telegram
    if before and fault.kind == "429":
        raise ApiError(
            429, f"Too Many Requests: retry after {int(fault.seconds)}", retry_after=max(1, int(fault.seconds))
        )
    if before and fault.kind == "5xx":
        raise ApiError(502, "Bad Gateway")
    if before and fault.kind == "delay":
        await asyncio.sleep(fault.seconds)
    if fault.kind == ("drop_before" if before else "drop_after"):
        if request.transport is not None:
            request.transport.abort()
        raise ConnectionResetError


async def _file(request: web.Request) -> web.Response:
    found = request.app[TELEGRAM].files.get(request.match_info["file_id"])
    if found is None:
        raise ApiError(404, "Not Found")
    return web.Response(body=found[1], content_type="application/octet-stream")


# --- the control API ------------------------------------------------------------------------------


def _view(telegram: Telegram) -> dict[str, Any]:
    return {
        "version": telegram.version,
        "people": list(telegram.people.values()),
        "bots": [_bot_view(bot) for bot in telegram.bots.values()],
        "chats": [
            {
                **chat.public(),
                "title": chat.title or telegram.people.get(chat.id, {}).get("first_name", ""),
                "members": sorted(chat.members),
                "messages": [m | {"edits": chat.edits.get(i, [])} for i, m in sorted(chat.messages.items())][-200:],
                "action": chat.action,
                "draft": chat.draft,
                "started": bool(chat.started),
            }
            for chat in telegram.chats.values()
        ],
        "answers": telegram.answers[-20:],
        "faults": [vars(fault) for fault in telegram.faults],
        "testPublicKey": TEST_PUBLIC_KEY,
    }


def _bot_view(bot: BotState) -> dict[str, Any]:
    return {
        **bot.user,
        "commands": bot.commands.get("", []),
        "menuButton": bot.menu_button,
        "webhook": bool(bot.webhook),
        "pending": len(bot.updates),
    }


async def _state(request: web.Request) -> web.Response:
    return web.json_response(_view(request.app[TELEGRAM]))


async def _calls(request: web.Request) -> web.Response:
    return web.json_response(request.app[TELEGRAM].calls[-200:])


async def _events(request: web.Request) -> web.StreamResponse:
    telegram = request.app[TELEGRAM]
    response = web.StreamResponse(headers={"Content-Type": "text/event-stream", "Cache-Control": "no-store"})
    await response.prepare(request)
    watcher, leave = telegram.watch()
    try:
        while True:
            watcher.clear()
            await response.write(b"data: " + json.dumps(_view(telegram)).encode() + b"\n\n")
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(15):
                    await watcher.wait()
    except (ConnectionResetError, asyncio.CancelledError):
        return response
    finally:
        leave()


async def _add_person(request: web.Request) -> web.Response:
    given = await request.json()
    person = request.app[TELEGRAM].add_person(int(given.pop("id")), str(given.pop("first_name")), **given)
    return web.json_response(person)


async def _add_group(request: web.Request) -> web.Response:
    given = await request.json()
    chat = request.app[TELEGRAM].add_group(str(given["title"]), [int(m) for m in given["members"]])
    return web.json_response(chat.public())


async def _say(request: web.Request) -> web.Response:
    given = await request.json()
    message = request.app[TELEGRAM].say(
        int(given["user"]),
        str(given["text"])[:4096],
        chat_id=given.get("chat"),
        reply_to=given.get("replyTo"),
        copies=int(given.get("copies", 1)),
    )
    return web.json_response(message)


async def _press(request: web.Request) -> web.Response:
    given = await request.json()
    telegram = request.app[TELEGRAM]
    query = telegram.press(int(given["user"]), int(given["message"]), str(given["data"]), chat_id=given.get("chat"))
    return web.json_response({"id": query["id"]})


async def _open(request: web.Request) -> web.Response:
    given = await request.json()
    theme = given.get("theme", "light")
    opened = request.app[TELEGRAM].open_app(
        int(given["user"]),
        url=str(given.get("url", "")),
        theme=theme if theme in THEMES else "light",
        start_param=str(given.get("startParam", "")),
    )
    return web.json_response({**opened, "theme": THEMES[theme if theme in THEMES else "light"]})


async def _block(request: web.Request) -> web.Response:
    telegram = request.app[TELEGRAM]
    telegram.block(int((await request.json())["user"]), telegram.only_bot().token)
    return web.json_response({"ok": True})


async def _fault(request: web.Request) -> web.Response:
    given = await request.json()
    if given["kind"] not in ("429", "5xx", "drop_before", "drop_after", "delay"):
        raise ValueError("kind must be 429, 5xx, drop_before, drop_after or delay")
    telegram = request.app[TELEGRAM]
    telegram.faults.append(
        Fault(str(given.get("method", "*")), given["kind"], int(given.get("count", 1)), float(given.get("seconds", 1)))
    )
    telegram.changed()
    return web.json_response({"ok": True})


async def _update(request: web.Request) -> web.Response:
    telegram = request.app[TELEGRAM]
    return web.json_response(telegram.push(telegram.only_bot(), await request.json()))


# --- the page -------------------------------------------------------------------------------------


async def _page(_request: web.Request) -> web.Response:
    return web.Response(
        body=(STATIC / "chat.html").read_bytes(),
        content_type="text/html",
        charset="utf-8",
        headers={"Content-Security-Policy": PAGE_CSP, "Referrer-Policy": "no-referrer"},
    )


async def _static(request: web.Request) -> web.Response:
    kinds = {"chat.js": "text/javascript", "chat.css": "text/css"}
    name = request.match_info["name"]
    if name not in kinds:
        raise web.HTTPNotFound
    return web.Response(body=(STATIC / name).read_bytes(), content_type=kinds[name], charset="utf-8")
