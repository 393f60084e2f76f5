"""What a model has written so far, told to whoever watches its run while it goes on writing."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Self

from domain.untrusted import clean

log = logging.getLogger(__name__)

# seconds between two tellings: as often as a chat may edit one message
TELL_EVERY = 2.0
# the end of what was written: the beginning has been read
TAIL = 400


def tail(text: str) -> str:
    """The last words of a text, cleaned; a cut one begins with an ellipsis."""
    end = clean(text[-3 * TAIL :]).strip()
    return end if len(end) <= TAIL else "…" + end[1 - TAIL :]


class PartialAnswers:
    """Calls `tell` with the newest text, one call at a time, `every` seconds apart; the last one may be left out.

    `heard` is for the planner. Leaving the context waits for a call that is under way. Nothing that goes wrong in
    `tell` reaches the one who plans: a run does not fail because nobody could be told how it goes.
    """

    def __init__(self, tell: Callable[[str], Awaitable[None]], *, every: float = TELL_EVERY) -> None:
        self._tell = tell
        self._every = every
        self._newest = ""
        self._grown = asyncio.Event()
        self._over = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def heard(self, text: str) -> None:
        """What there is so far. A chain of models begins anew with each model."""
        self._newest = text
        self._grown.set()
        if self._task is None:
            # a task group would wrap what the planner raises; this task ends where the context is left
            self._task = asyncio.create_task(self._go_on(), name="partial-answers")  # noqa: TID251

    async def _go_on(self) -> None:
        told = ""
        while not self._over.is_set():
            self._grown.clear()
            if (text := tail(self._newest)) != told:
                await self._tell(text)
                told = text
                await self._pause(self._every)
            await self._grown.wait()

    async def _pause(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._over.wait()
        except TimeoutError:
            return

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        self._grown.set()
        if self._task is None:
            return
        try:
            await self._task
        except Exception:
            log.exception("partial_answer_not_told")
