"""How often one may ask: GCRA buckets per person, workspace or network; shared between processes on Postgres."""

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from storage.database import Store
from storage.identity import rate_rows
from storage.transaction import Tx

MAX_KEYS = 50_000


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitState:
    """The state of one bucket after a hit. Seconds; `remaining` is how many more would pass right now."""

    allowed: bool
    route_class: str
    limit: int
    remaining: int
    reset_seconds: float
    retry_after: int


@dataclass(slots=True)
class Limits:
    """`per_minute` holds the capacity of each class, which is also its refill a minute."""

    store: Store
    per_minute: Mapping[str, int]
    shared: bool = False
    enabled: bool = True
    _arrivals: dict[str, float] = field(default_factory=dict)

    async def hit(self, hits: Sequence[tuple[str, str]]) -> Sequence[LimitState]:
        """Count one request in several buckets, each a (class, subject); in one transaction where they are shared."""
        now = time.time()
        if self.shared:
            return await self.store.write(lambda tx: [self._count(tx, one, subject, now) for one, subject in hits])
        return [self._count(None, one, subject, now) for one, subject in hits]

    async def pace(self, subject: str, *, seconds: float, at_once: int = 1) -> int:
        """Count one of what may happen every so many seconds, `at_once` of them together; the seconds to wait, or 0.

        It holds whether or not requests are limited.
        """
        now = time.time()
        key = f"pace:{subject}"[:200]
        if self.shared:
            arrival, allowed = await self.store.write(
                lambda tx: rate_rows.hit(tx, key=key, now=now, interval=seconds, capacity=at_once)
            )
        else:
            arrival, allowed = self._local(key, now, seconds, at_once)
        return 0 if allowed else max(1, math.ceil(arrival - now - (at_once - 1) * seconds))

    async def purge(self) -> None:
        """Forget buckets that are full again: they say nothing any more."""
        if self.shared:
            now = time.time()
            await self.store.write(lambda tx: rate_rows.purge(tx, now=now))

    def _count(self, tx: Tx | None, route_class: str, subject: str, now: float) -> LimitState:
        capacity = self.per_minute[route_class]
        interval = 60.0 / capacity
        key = f"{route_class}:{subject}"[:200]
        if tx is not None:
            arrival, allowed = rate_rows.hit(tx, key=key, now=now, interval=interval, capacity=capacity)
        else:
            arrival, allowed = self._local(key, now, interval, capacity)
        ahead = max(0.0, arrival - now)
        return LimitState(
            allowed=allowed,
            route_class=route_class,
            limit=capacity,
            remaining=max(0, int((capacity * interval - ahead) / interval + 1e-6)) if allowed else 0,
            reset_seconds=round(ahead, 3),
            retry_after=0 if allowed else max(1, math.ceil(ahead - (capacity - 1) * interval)),
        )

    def _local(self, key: str, now: float, interval: float, capacity: int) -> tuple[float, bool]:
        arrival = max(self._arrivals.get(key, 0.0), now)
        if arrival - now > (capacity - 1) * interval + 1e-9:
            return arrival, False
        if len(self._arrivals) >= MAX_KEYS:
            self._arrivals = {k: v for k, v in self._arrivals.items() if v > now}
        self._arrivals[key] = arrival + interval
        return arrival + interval, True
