"""How updates come in: by webhook or by polling. Both store the bytes first, and answer or advance only then."""

import asyncio
import hmac
import logging
from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

from aiogram import Bot
from aiogram.exceptions import (
    AiogramError,
    TelegramConflictError,
    TelegramRetryAfter,
    TelegramUnauthorizedError,
)
from aiohttp import web

from bot.session import AnswerTooLargeError, RawUpdates, UnreadableAnswerError
from domain.backoff import Backoff
from domain.chat.updates import MAX_BYTES, MAX_OFFSET, Arrived, arrived, cut
from domain.clock import utc_now
from services.chat.inbox import InboxService
from services.chat.intake import OK, IntakeService

log = logging.getLogger(__name__)

PATH = "/api/telegram/webhook"
SECRET_HEADER = "X-Telegram-Bot-Api-Secret-Token"  # noqa: S105 - the name of a header
# more than is ever read of an update: what is larger than that is kept and set aside, not refused and sent again
MAX_BODY = 4 * MAX_BYTES
AWAY = Backoff(first=0.5, longest=30.0)
# a server that gives the same updates again and again is asked slowly
REPEATED = Backoff(first=0.5, longest=2.0)
CONFLICT_PAUSE = 3.0
FULL = 100
# bytes that are looked through on the event loop; more are on a thread
SMALL = 65_536
WATCH_SECONDS = 60.0
LATELY = timedelta(minutes=2)


def _error(status: int, code: str, text: str) -> web.Response:
    return web.json_response({"error": text, "code": code}, status=status)


def webhook_handler(inbox: InboxService, *, secret: str) -> Callable[[web.Request], Awaitable[web.Response]]:
    """The handler of the webhook: 403 without the secret, 413, else 200 once the bytes are durable.

    Whoever has the secret is believed to be Telegram: what cannot be read is kept and set aside, since a refusal
    would have it sent again, and hold up what comes after it.
    """
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
        await inbox.take(await _look_through([bytes(body)]))
        return web.json_response({"ok": True})

    return receive


def webhook_routes(inbox: InboxService, *, secret: str) -> list[web.RouteDef]:
    """`POST /api/telegram/webhook`."""
    return [web.post(PATH, webhook_handler(inbox, secret=secret))]


async def _look_through(bodies: Sequence[bytes]) -> list[Arrived]:
    if sum(map(len, bodies)) <= SMALL:
        return [arrived(body) for body in bodies]
    return await asyncio.to_thread(lambda: [arrived(body) for body in bodies])


class Offset:
    """From which number on updates are asked for.

    It follows the newest numbers, also to lower ones: after a week of silence Telegram counts anew from anywhere.
    A number far from all others moves nothing until a neighbour of it comes: asking from it on
    would make Telegram forget all that is numbered as before.
    """

    FAR = 1_000_000

    def __init__(self) -> None:
        self.value: int | None = None
        self._last: int | None = None

    def remember(self, numbers: Collection[int]) -> None:
        """Numbers that came before the process began."""
        newest = self._newest(numbers)
        self._last = newest if newest is not None else self._last

    def advance(self, batch: Sequence[Arrived], fresh: Collection[Arrived]) -> None:
        """A batch is stored. `fresh` are those of it that were not there before.

        What says no number is got past as well: numbers rise, so each that is new and stands at the end
        has one that is at least one higher.
        """
        numbers = [one.number for one in batch if 0 <= one.number <= MAX_OFFSET]
        newest = self._newest(numbers)
        behind = list(batch)
        if newest is not None:
            self._last, self.value = newest, newest + 1
            behind = behind[max(at for at, one in enumerate(batch) if one.number == newest) + 1 :]
        if self.value is not None:
            self.value += sum(1 for one in behind if one.nameless and one in fresh)

    def _newest(self, numbers: Collection[int]) -> int | None:
        last = self._last
        near = [n for n in numbers if last is not None and abs(n - last) <= self.FAR]
        if near:
            return max(near)
        groups: list[list[int]] = []
        for number in sorted(set(numbers)):
            if groups and number - groups[-1][-1] <= self.FAR:
                groups[-1].append(number)
            else:
                groups.append([number])
        # of groups of one size the lowest
        largest = max(groups, key=len, default=[])
        return largest[-1] if len(largest) > 1 or (largest and last is None) else None


@dataclass(frozen=True, slots=True)
class _Fetched:
    updates: Sequence[Arrived]
    # how many to ask for next
    limit: int = FULL


class Polling:
    """Fetches updates in batches; the offset moves only after a batch is stored.

    Answers are taken as bytes, and each update is cut out of them as it stands there. What cannot be cut out is asked
    for alone, and set aside if it still cannot.
    """

    def __init__(
        self,
        bot: Bot,
        inbox: InboxService,
        intake: IntakeService,
        *,
        allowed_updates: list[str],
        timeout: int = 25,
    ) -> None:
        self._bot = bot
        self._inbox = inbox
        self._intake = intake
        self._allowed = allowed_updates
        self._timeout = timeout
        self._limit = FULL
        self._pause = 0.0
        self._troubles = 0
        self._webhook_gone = False
        self._trouble = ""
        self.offset = Offset()

    async def run(self, stop: asyncio.Event) -> None:
        """Poll until `stop` is set; a request under way is given up, which loses nothing."""
        self.offset.remember(await self._inbox.newest_numbers())
        while not stop.is_set():
            try:
                if not await self._round(stop):
                    return
                word, said = OK, ""
            except TelegramConflictError as error:
                word = "webhook_elsewhere" if "webhook" in str(error).lower() else "conflict"
                said = "another process polls with this bot token (409), or a webhook was set; waiting until it stops"
                self._pause = CONFLICT_PAUSE
            except TelegramRetryAfter as error:
                word, said, self._pause = "slowed", "too many requests", float(error.retry_after)
            except TelegramUnauthorizedError as error:
                word, said, self._pause = "refused", str(error)[:300], AWAY.longest
            except (AiogramError, OSError) as error:
                word, said = "away", str(error)[:300]
                self._pause = AWAY.pause(self._troubles + 1)
            except Exception:
                # whatever it is, updates go on coming in
                log.exception("telegram_polling_broke")
                word, said = "failing", "see the log"
                self._pause = AWAY.pause(self._troubles + 1)
            if word != OK:
                self._troubles += 1
            await self._say(word, said)
            if self._pause:
                await _sleep(stop, self._pause)

    async def _say(self, word: str, said: str) -> None:
        """Once when something begins to go wrong, and once when it is over."""
        if word not in (OK, self._trouble):
            log.warning("telegram_polling_%s", word, extra={"error": said})
        elif self._trouble and word == OK:
            log.info("telegram_polling_resumed")
        self._trouble = "" if word == OK else word
        try:
            await self._intake.said(word, way="polling", detail=said)
        except Exception:
            log.exception("intake_not_noted")

    async def _round(self, stop: asyncio.Event) -> bool:
        """Fetch and store once; False when stopped meanwhile."""
        if not self._webhook_gone:
            if await unless(stop, self._bot.delete_webhook()) is None:
                return False
            self._webhook_gone = True
        fetched = await unless(stop, self._fetch())
        if fetched is None:
            return False
        fresh = await self._inbox.take(fetched.updates)
        self.offset.advance(fetched.updates, fresh)
        repeated = bool(fetched.updates) and not fresh
        self._troubles = self._troubles + 1 if repeated else 0
        self._pause = REPEATED.pause(self._troubles) if repeated else 0.0
        self._limit = fetched.limit
        return True

    async def _fetch(self) -> _Fetched:
        call = RawUpdates(
            offset=self.offset.value, limit=self._limit, timeout=self._timeout, allowed_updates=self._allowed
        )
        try:
            answer: Any = await self._bot(call, request_timeout=self._timeout + 10)
        except AnswerTooLargeError as error:
            if self._limit > 1:
                return _Fetched([], limit=max(1, self._limit // 10))
            return _Fetched([_alone(error.head, "too large; only its beginning is kept")])
        batch = cut(answer) if len(answer) <= SMALL else await asyncio.to_thread(cut, answer)
        if batch is None:
            # a refusal with the status of a success, or nothing that Telegram says
            self._bot.session.check_response(self._bot, call, 200, answer.decode(errors="replace"))
            raise UnreadableAnswerError("getUpdates: an answer without updates")
        if batch.rest and not batch.updates:
            if self._limit > 1:
                return _Fetched([], limit=1)
            return _Fetched([_alone(batch.rest, "without an end")])
        return _Fetched(await _look_through(batch.updates))


def _alone(body: bytes, reason: str) -> Arrived:
    """An update that was asked for alone and could not be cut out of the answer."""
    one = arrived(body)
    return one if one.reason is None else replace(one, reason=reason)


async def watch_webhook(bot: Bot, intake: IntakeService, *, address: str, stop: asyncio.Event, every: float) -> None:
    """Ask Telegram from time to time where it delivers and whether it can, and say so, until `stop` is set.

    What it could not deliver before this process was there, as during a restart, is no trouble of now.
    """
    trouble, began = "", utc_now()
    while not stop.is_set():
        word, said = OK, ""
        try:
            found = await unless(stop, bot.get_webhook_info())
            if found is None:
                return
            if found.url != address:
                word, said = "webhook_elsewhere", "the webhook of this bot was set by somebody else, or taken away"
            elif (failed := found.last_error_date) is not None and failed > began and utc_now() - failed < LATELY:
                word, said = "failing", "Telegram cannot deliver: " + (found.last_error_message or "")[:200]
        except (AiogramError, OSError) as error:
            word, said = "away", str(error)[:300]
        if word not in (OK, trouble):
            log.warning("telegram_webhook_%s", word, extra={"error": said})
        trouble = "" if word == OK else word
        try:
            await intake.said(word, way="webhook", detail=said)
        except Exception:
            log.exception("intake_not_noted")
        await _sleep(stop, every)


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
