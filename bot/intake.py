"""How updates come in: by webhook or by polling. Both store first and answer or advance only then."""

import asyncio
import hmac
import json
import logging
from collections.abc import Awaitable, Callable
from typing import Any

from aiogram import Bot
from aiogram.exceptions import (
    AiogramError,
    TelegramConflictError,
    TelegramRetryAfter,
)
from aiohttp import web

from services.inbox import InboxService

log = logging.getLogger(__name__)

PATH = "/api/telegram/webhook"
SECRET_HEADER = "X-Telegram-Bot-Api-Secret-Token"  # noqa: S105 - the name of a header
MAX_BODY = 1_048_576
MAX_UPDATE_ID = 2**53
MAX_PAUSE = 30.0


def _error(status: int, code: str, text: str) -> web.Response:
    return web.json_response({"error": text, "code": code}, status=status)


def webhook_handler(inbox: InboxService, *, secret: str) -> Callable[[web.Request], Awaitable[web.Response]]:
    """The handler of the webhook: 403 without the secret, 413, 400, else 200 once the update is durable."""
    expected = secret.encode()

    async def receive(request: web.Request) -> web.Response:
        # Header values may hold any byte: compared as bytes, in constant time.
        given = request.headers.get(SECRET_HEADER, "").encode("utf-8", "surrogateescape")
        if not expected or not hmac.compare_digest(given, expected):
            return _error(403, "forbidden", "wrong or missing secret token")
        if (request.content_length or 0) > MAX_BODY:
            return _error(413, "body_too_large", "Request body is too large")
        body = bytearray()
        async for chunk in request.content.iter_chunked(65_536):
            body += chunk
            if len(body) > MAX_BODY:
                return _error(413, "body_too_large", "Request body is too large")
        found = parse_update(bytes(body))
        if found is None:
            return _error(400, "invalid_request", "not an update")
        await inbox.take([found])
        return web.json_response({"ok": True})

    return receive


def webhook_routes(inbox: InboxService, *, secret: str) -> list[web.RouteDef]:
    """`POST /api/telegram/webhook`."""
    return [web.post(PATH, webhook_handler(inbox, secret=secret))]


def parse_update(body: bytes) -> tuple[int, str] | None:
    """(update id, JSON text) of a body, None when it is no update."""
    try:
        update = json.loads(body)
    except (ValueError, RecursionError):
        return None
    if not isinstance(update, dict):
        return None
    update_id = update.get("update_id")
    if type(update_id) is not int or not 0 <= update_id < MAX_UPDATE_ID:
        return None
    # written again: no lone surrogates, and NUL only as an escape, whatever came
    return update_id, json.dumps(update)


class Polling:
    """Fetches updates in batches; the offset moves only after a batch is stored."""

    def __init__(self, bot: Bot, inbox: InboxService, *, allowed_updates: list[str], timeout: int = 25) -> None:
        self._bot = bot
        self._inbox = inbox
        self._allowed = allowed_updates
        self._timeout = timeout
        self._offset: int | None = None
        self._conflicting = False

    async def run(self, stop: asyncio.Event) -> None:
        """Poll until `stop` is set; a request under way is given up, which loses nothing."""
        pause = 0.0
        webhook_gone = False
        while not stop.is_set():
            try:
                if not webhook_gone:
                    await self._bot.delete_webhook()
                    webhook_gone = True
                fetched = await unless(stop, self._fetch())
                if fetched is None:
                    return
                await self._store(fetched)
                pause = 0.0
                if self._conflicting:
                    log.info("telegram_polling_resumed")
                    self._conflicting = False
            except TelegramConflictError:
                if not self._conflicting:
                    log.warning(
                        "telegram_polling_conflict",
                        extra={"hint": "another process polls with this bot token (409); waiting until it stops"},
                    )
                    self._conflicting = True
                pause = 3.0
            except TelegramRetryAfter as error:
                pause = float(error.retry_after)
            except (AiogramError, OSError) as error:
                pause = min(MAX_PAUSE, max(0.5, pause * 2))
                log.warning("telegram_polling_failed", extra={"error": str(error)[:300], "again_in": pause})
            if pause:
                await _sleep(stop, pause)

    async def _fetch(self) -> list[Any]:
        return await self._bot.get_updates(
            offset=self._offset,
            timeout=self._timeout,
            allowed_updates=self._allowed,
            request_timeout=self._timeout + 10,
        )

    async def _store(self, fetched: list[Any]) -> None:
        if not fetched:
            return
        # the library keeps values of its own in fields Telegram did not send, such as those of link previews
        written = [u.model_dump_json(exclude_none=True, by_alias=True, fallback=lambda _: None) for u in fetched]
        await self._inbox.take([(u.update_id, text) for u, text in zip(fetched, written, strict=True)])
        self._offset = max(u.update_id for u in fetched) + 1


async def _sleep(stop: asyncio.Event, seconds: float) -> None:
    try:
        async with asyncio.timeout(seconds):
            await stop.wait()
    except TimeoutError:
        return


async def unless(stop: asyncio.Event, work: Any) -> Any | None:
    """The result of `work`, None when `stop` was set first."""
    task = asyncio.ensure_future(work)
    stopping = asyncio.ensure_future(stop.wait())
    try:
        await asyncio.wait([task, stopping], return_when=asyncio.FIRST_COMPLETED)
        return task.result() if task.done() else None
    finally:
        stopping.cancel()
        if not task.done():
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
