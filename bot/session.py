"""The session with the Bot API: what it answers is bounded before a model sees it, and errors never hold the token."""

import json
from typing import Any, cast

from aiogram import Bot
from aiogram.client.session.aiohttp import AiohttpSession
from aiogram.exceptions import AiogramError, TelegramNetworkError
from aiogram.methods import GetUpdates, TelegramMethod
from aiogram.methods.base import Response, TelegramType
from aiogram.types import Message
from aiohttp import ClientError, ClientResponse, ClientTimeout

from domain.chat.updates import MAX_BYTES, Unreadable, load

# a batch of updates; what is larger is asked for in smaller ones
MAX_BATCH_BYTES = 16 * 1024 * 1024
LONGEST_WAIT = 86_400
MAX_DESCRIPTION = 500
HEAD = 4096


class UnreadableAnswerError(AiogramError):
    """The Bot API answered something that is none of its answers. The text holds nothing of it."""


class AnswerTooLargeError(UnreadableAnswerError):
    """An answer that was not read to its end; `head` is how it begins."""

    def __init__(self, head: bytes) -> None:
        super().__init__("an answer that is too large")
        self.head = head


class RawUpdates(GetUpdates):
    """getUpdates whose answer is the bytes that came."""


class BotSession(AiohttpSession):
    """Reads answers within bounds, and of results what Pilot uses: a sent message holds all of what it replies to.

    A Bot API does not redirect; where one seems to, the token in the address must not follow.
    """

    async def make_request(
        self, bot: Bot, method: TelegramMethod[TelegramType], timeout: int | None = None
    ) -> TelegramType:
        """One call. For `RawUpdates` the result is bytes."""
        session = await self.create_session()
        raw = isinstance(method, RawUpdates)
        try:
            async with session.post(
                self.api.api_url(token=bot.token, method=method.__api_method__),
                data=self.build_form_data(bot=bot, method=method),
                timeout=ClientTimeout(total=self.timeout if timeout is None else timeout),
                allow_redirects=False,
            ) as response:
                status = response.status
                content = await _read(response, limit=MAX_BATCH_BYTES if raw and status == 200 else MAX_BYTES)
        except TimeoutError:
            raise TelegramNetworkError(method=method, message="Request timeout error") from None
        except (ClientError, OSError) as error:
            raise TelegramNetworkError(method=method, message=_without(bot.token, error)) from None
        if raw and status == 200:
            return cast("TelegramType", content)
        answer = self.check_response(bot, method, status, content.decode(errors="replace"))
        return cast("TelegramType", answer.result)

    def check_response(
        self, bot: Bot, method: TelegramMethod[TelegramType], status_code: int, content: str
    ) -> Response[TelegramType]:
        """The answer, or the library's exception for what it refuses."""
        answer = _answer(content, status=status_code)
        if answer["ok"]:
            answer = {"ok": True, "result": _reduced(method, answer.get("result"))}
        else:
            status_code = answer["error_code"]
        try:
            return super().check_response(bot, method, status_code, json.dumps(answer))
        except AiogramError as error:
            if answer["ok"]:
                # the library's own error holds the answer
                raise UnreadableAnswerError(f"{method.__api_method__}: an answer of another shape") from None
            raise error from None


async def _read(response: ClientResponse, *, limit: int) -> bytes:
    body = bytearray()
    async for chunk in response.content.iter_chunked(65_536):
        body += chunk
        if len(body) > limit:
            raise AnswerTooLargeError(bytes(body[:HEAD]))
    return bytes(body)


def _without(token: str, error: BaseException) -> str:
    said = f"{type(error).__name__}: {error}"
    for secret in (token, token.partition(":")[2]):
        said = said.replace(secret, "[token]") if secret else said
    return said


def _answer(content: str, *, status: int) -> dict[str, Any]:
    """`{"ok": True, "result"}`, or `{"ok": False, ...}` with a code, a description and parameters, whatever came."""
    try:
        found = load(content.encode())
    except Unreadable as error:
        if status < 400:
            raise UnreadableAnswerError(f"an answer that is {error}") from None
        found = {}
    if not isinstance(found, dict):
        found = {}
    if found.get("ok") is True and status < 400:
        return {"ok": True, "result": found.get("result")}
    said, code, given = found.get("description"), found.get("error_code"), found.get("parameters")
    parameters = given if isinstance(given, dict) else {}
    wait, moved = parameters.get("retry_after"), parameters.get("migrate_to_chat_id")
    return {
        "ok": False,
        "error_code": code if type(code) is int and 400 <= code < 600 else max(status, 400),
        "description": said[:MAX_DESCRIPTION] if isinstance(said, str) else f"status {status}",
        "parameters": {
            "retry_after": min(wait, LONGEST_WAIT) if type(wait) is int and wait > 0 else None,
            "migrate_to_chat_id": moved if type(moved) is int and abs(moved) < 2**53 else None,
        },
    }


def _reduced(method: TelegramMethod[Any], result: Any) -> Any:
    """What Pilot uses of a result.

    A message that was sent is sent, whatever is said of it: its id is 0 where none came.
    """
    returns = method.__returning__
    if returns is bool:
        return True
    if returns is Message or Message in getattr(returns, "__args__", ()):
        number = result.get("message_id") if isinstance(result, dict) else None
        usable = type(number) is int and 0 < number < 2**53
        return {"message_id": number if usable else 0, "date": 0, "chat": {"id": 0, "type": "private"}}
    return result
