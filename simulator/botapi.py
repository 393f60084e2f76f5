"""The Bot API over HTTP: `/bot<token>/<method>` and `/file/bot<token>/<path>`, with its log and its faults."""

import asyncio
import json
import time
from typing import Any

import aiohttp
from aiohttp import web

from simulator.access import target
from simulator.bots import bot_of_token
from simulator.errors import ApiError, WrongRequest, bad
from simulator.faults import fault_of_call
from simulator.messages import delete
from simulator.methods.call import call
from simulator.methods.webhooks import allowed_updates
from simulator.params import Params, Upload
from simulator.polling import get_updates
from simulator.state import Fault, RawBody
from simulator.telegram import Telegram

TELEGRAM = web.AppKey("telegram", Telegram)


def add_routes(app: web.Application) -> None:
    """The routes a bot calls."""
    app.router.add_route("*", "/bot{token}/{method}", bot_api)
    app.router.add_get("/file/bot{token}/{path:.+}", file)


async def read_params(request: web.Request) -> Params:
    """Parameters of query and body; the body wins."""
    given: dict[str, Any] = dict(request.query)
    if request.content_type == "application/json":
        text = await request.text()
        try:
            body = json.loads(text) if text.strip() else {}
        except (ValueError, RecursionError):
            raise bad("can't parse JSON object") from None
        if not isinstance(body, dict):
            raise bad("can't parse JSON object")
        given |= body
    elif request.content_type == "multipart/form-data":
        async for part in await request.multipart():
            if not isinstance(part, aiohttp.BodyPartReader):
                raise bad("nested multipart is not supported")
            name = part.name or ""
            given[name] = (
                Upload(part.filename, bytes(await part.read(decode=True))) if part.filename else await part.text()
            )
    elif request.can_read_body:
        given |= dict(await request.post())
    return Params(given)


def _failed(error: ApiError) -> web.Response:
    body: dict[str, Any] = {"ok": False, "error_code": error.code, "description": error.description}
    if error.parameters:
        body["parameters"] = error.parameters
    return web.json_response(body, status=error.code)


async def bot_api(request: web.Request) -> web.StreamResponse:
    """One call: log it, let a fault happen, carry it out."""
    telegram = request.app[TELEGRAM]
    token, name = request.match_info["token"], request.match_info["method"]
    started = time.monotonic()
    telegram.calls_made += 1
    entry: dict[str, Any] = {
        "number": telegram.calls_made,
        "at": time.time(),
        "bot": token.partition(":")[0],
        "method": name,
        "params": {},
        "ok": None,
    }
    telegram.calls.append(entry)
    try:
        bot = bot_of_token(telegram, token)
        params = await read_params(request)
        entry["params"] = params.loggable()
        fault = fault_of_call(telegram, name)
        if fault is not None:
            entry["fault"] = fault.kind
            refusal = await _before(request, fault)
            if refusal is not None:
                entry["ok"], entry["error"] = False, f"fault: {fault.kind}"
                return refusal
        if name.lower() == "getupdates":
            result: Any = await get_updates(
                bot,
                offset=params.integer("offset"),
                limit=min(100, max(1, params.integer("limit", 100))),
                seconds=float(params.integer("timeout")),
                allowed=allowed_updates(params),
                gone=lambda: request.transport is None or request.transport.is_closing(),
            )
        else:
            result = call(telegram, bot, name, params)
    except ApiError as error:
        entry["ok"], entry["error"] = False, error.description
        return _failed(error)
    except WrongRequest as error:
        entry["ok"], entry["error"] = False, str(error)
        return _failed(bad(str(error)))
    finally:
        entry["ms"] = round((time.monotonic() - started) * 1000, 1)
        telegram.changed()
    entry["ok"] = True
    if name.lower() != "getupdates":
        entry["result"] = result if isinstance(result, (bool, int)) else _short(result)
    if fault is not None and fault.kind == "deleted" and isinstance(result, dict) and "message_id" in result:
        delete(telegram, target(telegram, bot, params.text("chat_id")), result["message_id"])
    if fault is not None and fault.kind == "drop_after":
        return _dropped(request)
    if isinstance(result, RawBody):
        return web.Response(body=result.body, status=result.status, headers={"Content-Type": result.content_type})
    return web.json_response({"ok": True, "result": result})


def _short(result: Any) -> Any:
    if isinstance(result, dict) and "message_id" in result:
        return {"message_id": result["message_id"]}
    return None if len(json.dumps(result)) > 1000 else result


async def _before(request: web.Request, fault: Fault) -> web.Response | None:
    """What a fault does before the call is carried out; a response ends it there."""
    if fault.kind == "429":
        seconds = max(1, round(fault.seconds))
        return _failed(ApiError(429, f"Too Many Requests: retry after {seconds}", retry_after=seconds))
    if fault.kind == "error":
        return _failed(ApiError(fault.code, fault.description, **fault.parameters))
    if fault.kind == "5xx":
        return _failed(ApiError(502, "Bad Gateway"))
    if fault.kind == "html":
        text = "<html><head><title>502 Bad Gateway</title></head><body>nginx</body></html>"
        return web.Response(status=502, text=text, content_type="text/html")
    if fault.kind == "drop_before":
        return _dropped(request)
    if fault.kind == "delay":
        await asyncio.sleep(fault.seconds)
    return None


def _dropped(request: web.Request) -> web.Response:
    """Cut the connection: the caller sees it close without an answer, this one goes nowhere."""
    if request.transport is not None:
        request.transport.abort()
    return web.Response()


async def file(request: web.Request) -> web.Response:
    """A file by the path getFile told; only for the bot it belongs to."""
    telegram = request.app[TELEGRAM]
    try:
        bot = bot_of_token(telegram, request.match_info["token"])
    except ApiError as error:
        return _failed(error)
    for stored in telegram.files.values():
        if stored.bot_id == bot.id and stored.path == request.match_info["path"]:
            return web.Response(body=stored.data, content_type="application/octet-stream")
    return _failed(ApiError(404, "Not Found"))
