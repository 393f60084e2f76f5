"""A small Bot API over HTTP: what the bot calls, Telegram's rules about it, and faults on demand."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

TOKEN = "42:TEST"
ADA = 7


def person(user_id: int, name: str = "Ada", language: str = "en", **more: str) -> dict[str, Any]:
    return {"id": user_id, "is_bot": False, "first_name": name, "language_code": language, **more}


def units(text: str) -> int:
    return len(text.encode("utf-16-le")) // 2


@dataclass
class Telegram:
    url: str = ""
    messages: dict[tuple[int, int], dict[str, Any]] = field(default_factory=dict)
    calls: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    answers: list[dict[str, Any]] = field(default_factory=list)
    updates: list[dict[str, Any]] = field(default_factory=list)
    faults: list[Any] = field(default_factory=list)
    blocked: set[int] = field(default_factory=set)
    arrived: asyncio.Event = field(default_factory=asyncio.Event)
    polls_refused: int = 0
    _message_id: int = 100
    _update_id: int = 1000

    # --- people

    def push(self, update: dict[str, Any]) -> dict[str, Any]:
        self._update_id += 1
        update = {"update_id": self._update_id, **update}
        self.updates.append(update)
        self.arrived.set()
        return update

    def say(
        self, text: str, *, by: int = ADA, chat: int | None = None, reply_to: int | None = None, **user: Any
    ) -> dict[str, Any]:
        self._message_id += 1
        chat = by if chat is None else chat
        message: dict[str, Any] = {
            "message_id": self._message_id,
            "date": 1_795_000_000,
            "chat": {"id": chat, "type": "private" if chat > 0 else "supergroup", "title": "G"},
            "from": person(by, **user),
            "text": text,
        }
        if text.startswith("/"):
            message["entities"] = [{"type": "bot_command", "offset": 0, "length": len(text.split(maxsplit=1)[0])}]
        if reply_to is not None:
            message["reply_to_message"] = self.messages[chat, reply_to]
        return self.push({"message": message})

    def tap(self, message: dict[str, Any], button: str, *, by: int = ADA) -> dict[str, Any]:
        data = next(
            b["callback_data"]
            for row in message["reply_markup"]["inline_keyboard"]
            for b in row
            if b["text"].startswith(button)
        )
        return self.press(message, data, by=by)

    def press(self, message: dict[str, Any], data: str, *, by: int = ADA) -> dict[str, Any]:
        """A tap with this data, whether the message has such a button or not."""
        return self.push(
            {
                "callback_query": {
                    "id": f"cb{self._update_id}",
                    "from": person(by),
                    "message": message,
                    "chat_instance": "1",
                    "data": data,
                }
            }
        )

    def in_chat(self, chat: int = ADA) -> list[dict[str, Any]]:
        return [m for (c, _), m in sorted(self.messages.items()) if c == chat]

    async def until(self, found: Any, seconds: float = 30.0) -> Any:
        async with asyncio.timeout(seconds):
            while True:
                result = found()
                if result:
                    return result
                await asyncio.sleep(0.02)

    async def until_async(self, found: Any, seconds: float = 30.0) -> Any:
        async with asyncio.timeout(seconds):
            while True:
                result = await found()
                if result:
                    return result
                await asyncio.sleep(0.02)

    async def message(self, text: str, *, chat: int = ADA, seconds: float = 30.0) -> dict[str, Any]:
        try:
            return await self.until(
                lambda: next((m for m in reversed(self.in_chat(chat)) if text in m["text"]), None), seconds
            )
        except TimeoutError:
            raise AssertionError(f"no {text!r} in {[m['text'] for m in self.in_chat(chat)]}") from None

    # --- the API

    async def handle(self, request: web.Request) -> web.StreamResponse:
        method = request.match_info["method"]
        form = await request.post()
        params = {k: _parsed(v) for k, v in form.items() if isinstance(v, str)}
        if method not in ("getUpdates", "getMe"):
            fault = self.faults.pop(0) if self.faults else None
            if fault == "drop":
                assert request.transport is not None
                request.transport.close()
                return web.Response()
            if fault == "drop-after":
                await self.dispatch(method, params)
                assert request.transport is not None
                request.transport.close()
                return web.Response()
            if isinstance(fault, tuple):
                status, extra = fault
                return web.json_response(
                    {"ok": False, "error_code": status, "description": f"fault {status}", **extra}, status=status
                )
        self.calls.append((method, params))
        status, result = await self.dispatch(method, params)
        if status != 200:
            return web.json_response({"ok": False, "error_code": status, "description": result}, status=status)
        return web.json_response({"ok": True, "result": result})

    async def dispatch(self, method: str, p: dict[str, Any]) -> tuple[int, Any]:
        if method == "getMe":
            return 200, {"id": 42, "is_bot": True, "first_name": "Pilot", "username": "pilot_bot"}
        if method == "getUpdates":
            return await self.get_updates(p)
        if method == "sendMessage":
            if int(p["chat_id"]) in self.blocked:
                return 403, "Forbidden: bot was blocked by the user"
            problem = _problem(p)
            if problem:
                return 400, problem
            self._message_id += 1
            self.messages[int(p["chat_id"]), self._message_id] = _message(self._message_id, p)
            return 200, _message(self._message_id, p)
        if method == "editMessageText":
            key = int(p["chat_id"]), int(p["message_id"])
            if key not in self.messages:
                return 400, "Bad Request: message to edit not found"
            problem = _problem(p)
            if problem:
                return 400, problem
            new, old = _message(key[1], p), self.messages[key]
            if all(new.get(k) == old.get(k) for k in ("text", "entities", "reply_markup")):
                return 400, "Bad Request: message is not modified"
            self.messages[key] = new
            return 200, new
        if method == "answerCallbackQuery":
            if units(str(p.get("text", ""))) > 200:
                return 400, "Bad Request: MESSAGE_TOO_LONG"
            self.answers.append(p)
            return 200, True
        return 200, True

    async def get_updates(self, p: dict[str, Any]) -> tuple[int, Any]:
        if self.polls_refused:
            self.polls_refused -= 1
            return 409, "Conflict: terminated by other getUpdates request"
        offset = int(p.get("offset", 0) or 0)
        self.updates = [u for u in self.updates if u["update_id"] >= offset]
        if not self.updates:
            self.arrived.clear()
            try:
                async with asyncio.timeout(min(float(p.get("timeout", 0)), 2.0)):
                    await self.arrived.wait()
            except TimeoutError:
                pass
        return 200, list(self.updates)


def _parsed(value: str) -> Any:
    if value[:1] in "[{":
        return json.loads(value)
    return value


def _problem(p: dict[str, Any]) -> str | None:
    text = str(p.get("text", ""))
    if not text.strip():
        return "Bad Request: message text is empty"
    if units(text) > 4096:
        return "Bad Request: message is too long"
    for entity in p.get("entities", []):
        if entity["length"] <= 0 or entity["offset"] + entity["length"] > units(text):
            return "Bad Request: can't parse entities"
    for row in (p.get("reply_markup") or {}).get("inline_keyboard", []):
        for button in row:
            if len(button.get("callback_data", "x").encode()) > 64:
                return "Bad Request: BUTTON_DATA_INVALID"
            if not set(button) - {"text", "style"}:
                return "Bad Request: BUTTON_TYPE_INVALID"
    return None


def _message(message_id: int, p: dict[str, Any]) -> dict[str, Any]:
    message = {
        "message_id": message_id,
        "date": 1_795_000_000,
        "chat": {"id": int(p["chat_id"]), "type": "private" if int(p["chat_id"]) > 0 else "supergroup"},
        "from": {"id": 42, "is_bot": True, "first_name": "Pilot"},
        "text": p["text"],
    }
    if p.get("entities"):
        message["entities"] = p["entities"]
    if (p.get("reply_markup") or {}).get("inline_keyboard"):
        message["reply_markup"] = p["reply_markup"]
    for extra in ("disable_notification", "reply_parameters"):
        if extra in p:
            message[extra] = p[extra]
    return message


@asynccontextmanager
async def serve() -> AsyncIterator[Telegram]:
    telegram = Telegram()
    app = web.Application()
    app.router.add_post("/bot{token}/{method}", telegram.handle)
    runner = web.AppRunner(app, shutdown_timeout=0.2)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    telegram.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield telegram
    finally:
        telegram.arrived.set()
        await runner.cleanup()
