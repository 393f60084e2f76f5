"""The clock: APScheduler fires ticks that call services. It stores nothing; a missed tick loses nothing."""

import logging
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from domain.clock import Now
from storage.database import Store
from storage.runs import tick_rows

if TYPE_CHECKING:
    from apscheduler.schedulers.asyncio import AsyncIOScheduler

log = logging.getLogger(__name__)

Tick = Callable[[], Awaitable[object]]


class Clock:
    """Fires named ticks. `shared` ticks are done by one process a slot: `job:slot` is inserted once."""

    def __init__(self, store: Store, now: Now) -> None:
        self._store = store
        self._now = now
        self._scheduler: AsyncIOScheduler | None = None
        self._ticks: list[tuple[str, float, Tick, bool]] = []

    def every(self, name: str, seconds: float, tick: Tick, *, shared: bool = True) -> None:
        """Call `tick` every so many seconds. Sweeps that lock the rows they take need not be shared."""
        self._ticks.append((name, seconds, tick, shared))

    def start(self) -> None:
        """Begin to tick, on the running loop."""
        from apscheduler.schedulers.asyncio import AsyncIOScheduler

        scheduler = AsyncIOScheduler(timezone="UTC")
        for name, seconds, tick, shared in self._ticks:
            scheduler.add_job(
                self._fire,
                "interval",
                seconds=seconds,
                args=(name, seconds, tick, shared),
                id=name,
                coalesce=True,
                max_instances=1,
                misfire_grace_time=None,
            )
        scheduler.start()
        self._scheduler = scheduler

    async def _fire(self, name: str, seconds: float, tick: Tick, shared: bool) -> None:
        try:
            if shared and not await self._first(name, seconds):
                return
            await tick()
        except Exception:
            log.exception("tick_failed", extra={"tick": name})

    async def _first(self, name: str, seconds: float) -> bool:
        now = self._now()
        slot = int(now.timestamp() // seconds)
        return await self._store.write(lambda tx: tick_rows.take(tx, f"{name}:{slot}", now=now))

    @property
    def running(self) -> bool:
        return self._scheduler is not None and self._scheduler.running

    def stop(self) -> None:
        """Fire no more; ticks under way finish."""
        if self._scheduler is not None and self._scheduler.running:
            self._scheduler.shutdown(wait=False)
