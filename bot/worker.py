"""Handles stored updates: in order within a chat, several chats at once, each update to its end.

A try is counted before it is made. An update that ends or hangs the process whenever it is tried is so set aside at
a later start; those that were in hand when a process died are tried one at a time, so that none is
counted for another's fault.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack, suppress

from domain.backoff import Backoff
from domain.chat.updates import AT_ONCE, Received, Unreadable, Unused
from domain.errors import RateLimited, Unavailable
from services.chat.inbox import INBOX_TOPIC, LEASE, InboxService
from services.platform.bus import Bus

log = logging.getLogger(__name__)

CHATS_AT_ONCE = 8
IN_HAND = 64
BACKOFF = Backoff(first=0.5, longest=8.0, tries=7)
# tries that never came back; after so many the update is set aside
MAX_STARTS = 5
POLL_SECONDS = 2.0
# no handler takes nearly as long: what does has hung
HANDLE_SECONDS = 60.0

Handle = Callable[[Received], Awaitable[None]]
GiveUp = Callable[[Received, Exception], Awaitable[str | None]]


class TookTooLong(Exception):
    """A handler was given up."""


class _Stopped(Exception):
    """The process stops while an update waits for its next try: the next process takes it up."""


class Worker:
    """`handle` is given one update; what it raises goes to `give_up`, which tells the person;
    what it returns is kept with the update as its failure, None when it was an ordinary refusal.

    Errors that pass by themselves (a part still starting, the store busy) are tried again first.
    An update that `handle` calls Unreadable is set aside, an Unused one dropped.
    """

    def __init__(self, inbox: InboxService, bus: Bus, *, handle: Handle, give_up: GiveUp) -> None:
        self._inbox = inbox
        self._bus = bus
        self._handle = handle
        self._give_up = give_up
        self._queues: dict[str, deque[Received]] = {}
        self._in_hand: dict[int, str] = {}
        # updates that were begun and never came back are tried one at a time
        self._suspects = asyncio.Lock()
        self._running = asyncio.Semaphore(CHATS_AT_ONCE)
        self._stop = asyncio.Event()

    async def run(self, stop: asyncio.Event) -> None:
        """Work until `stop` is set; updates in hand are finished, those only fetched are given back."""
        self._stop = stop
        finished = asyncio.Event()
        async with asyncio.TaskGroup() as group:
            renewing = group.create_task(self._renew(finished))
            async with asyncio.TaskGroup() as chats:
                with self._bus.listen(INBOX_TOPIC) as woken:
                    while not stop.is_set():
                        woken.clear()
                        if not await self._fetch(chats):
                            await self._wait(woken)
            finished.set()
            renewing.cancel()
        left = [r.update_id for queue in self._queues.values() for r in queue]
        self._queues.clear()
        self._in_hand.clear()
        if left:
            await self._inbox.release(left)

    async def _wait(self, woken: asyncio.Event) -> None:
        waiting = [asyncio.ensure_future(woken.wait()), asyncio.ensure_future(self._stop.wait())]
        await asyncio.wait(waiting, timeout=POLL_SECONDS, return_when=asyncio.FIRST_COMPLETED)
        for one in waiting:
            one.cancel()

    async def _fetch(self, chats: asyncio.TaskGroup) -> bool:
        room = IN_HAND - len(self._in_hand)
        if room <= 0:
            return False
        try:
            found = await self._inbox.claim(limit=room, in_hand=dict(self._in_hand))
        except Exception:
            log.exception("inbox_claim_failed")
            return False
        for received in found:
            key = received.chat_key or str(received.update_id)
            self._in_hand[received.update_id] = key
            queue = self._queues.get(key)
            if queue is None:
                self._queues[key] = deque([received])
                chats.create_task(self._chat(key))
            else:
                queue.append(received)
        return bool(found)

    async def _chat(self, key: str) -> None:
        queue = self._queues[key]
        while queue and not self._stop.is_set():
            async with AsyncExitStack() as turn:
                if queue[0].starts:
                    await turn.enter_async_context(self._suspects)
                await turn.enter_async_context(self._running)
                if self._stop.is_set():
                    return
                received = queue.popleft()
                try:
                    await self._one(received)
                finally:
                    self._in_hand.pop(received.update_id, None)
            if len(queue) == AT_ONCE // 2:
                # there may be more of this chat than one process takes at once
                self._bus.woke(INBOX_TOPIC)
        if not queue:
            del self._queues[key]
            self._bus.woke(INBOX_TOPIC)

    async def _one(self, received: Received) -> None:
        update_id = received.update_id
        try:
            error = await self._attempts(received)
            await self._inbox.finish(update_id, error=error)
        except Unused:
            await self._inbox.drop(update_id)
        except Unreadable as error:
            await self._inbox.set_aside(update_id, str(error))
        except _Stopped:
            await self._inbox.release([update_id])
        except asyncio.CancelledError:
            raise
        except Exception:
            # the store refused the bookkeeping: the lease ends, and the update comes back
            log.exception("inbox_finish_failed", extra={"update": update_id})

    async def _attempts(self, received: Received) -> str | None:
        tries = received.attempts
        while True:
            tries += 1
            if await self._inbox.begin(received.update_id) > MAX_STARTS:
                raise Unreadable(f"begun {MAX_STARTS} times, and the process never came back from it")
            try:
                await self._handle_in_time(received)
            except (Unreadable, Unused):
                raise
            except (Unavailable, RateLimited, OSError) as error:
                await self._inbox.came_back(received.update_id, f"{type(error).__name__}: {error}")
                if self._stop.is_set():
                    raise _Stopped from error
                if BACKOFF.is_last(tries):
                    return await self._give_up(received, error)
                with suppress(TimeoutError):
                    async with asyncio.timeout(BACKOFF.pause(tries)):
                        await self._stop.wait()
            except Exception as error:  # noqa: BLE001 - told to the person, logged, and kept with the update
                return await self._give_up(received, error)
            else:
                return None

    async def _handle_in_time(self, received: Received) -> None:
        try:
            async with asyncio.timeout(HANDLE_SECONDS) as limit:
                await self._handle(received)
        except TimeoutError as error:
            if limit.expired():
                raise TookTooLong(f"not handled within {HANDLE_SECONDS:g} s") from error
            raise

    async def _renew(self, finished: asyncio.Event) -> None:
        while not finished.is_set():
            await asyncio.sleep(LEASE.total_seconds() / 3)
            try:
                await self._inbox.renew(frozenset(self._in_hand))
            except Exception:
                log.exception("inbox_renew_failed")
