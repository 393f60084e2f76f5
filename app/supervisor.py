"""The one place where background work is started: each piece is watched, restarted, and stopped in order."""

import asyncio
import logging
from collections.abc import Awaitable, Callable

from domain.backoff import Backoff

log = logging.getLogger(__name__)

BACKOFF = Backoff(first=0.5, longest=30.0)


class Supervisor:
    """Keeps named pieces of work running until `stop`. A piece that fails is started again after a pause."""

    def __init__(self) -> None:
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._stopping = False

    def keep(self, name: str, work: Callable[[], Awaitable[None]]) -> None:
        """Run `work` now and again whenever it fails; a plain return ends it."""
        self._tasks[name] = asyncio.create_task(self._keep(name, work), name=name)  # noqa: TID251 - here it is watched

    async def _keep(self, name: str, work: Callable[[], Awaitable[None]]) -> None:
        failure = 0
        while not self._stopping:
            try:
                await work()
            except Exception:
                failure += 1
                pause = BACKOFF.pause(failure)
                log.exception("work_failed", extra={"work": name, "again_in": pause})
            else:
                return
            await asyncio.sleep(pause)

    @property
    def running(self) -> dict[str, bool]:
        """Which pieces are under way."""
        return {name: not task.done() for name, task in self._tasks.items()}

    async def stop(self, *, grace: float = 5.0) -> None:
        """Cancel everything and wait for it."""
        self._stopping = True
        for task in self._tasks.values():
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks.values(), timeout=grace)
