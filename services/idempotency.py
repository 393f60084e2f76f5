"""Idempotency-Key: the same request with the same key is carried out once, and answered the same."""

import asyncio
from dataclasses import dataclass
from datetime import timedelta
from functools import partial

from domain.clock import Now
from domain.errors import Conflict
from storage import idempotency
from storage.database import Store

KEEP = timedelta(hours=24)
# a first request that never finished (a crash) frees its key after this long
UNDER_WAY = timedelta(seconds=60)
WAITS = 100


@dataclass(frozen=True, slots=True)
class IdempotencyService:
    """Remembers answers by (principal, key)."""

    store: Store
    now: Now

    async def begin(self, *, principal: str, key: str, request_hash: str) -> tuple[int, str] | None:
        """None: carry it out, then `finish` or `drop`. Otherwise the first answer (status, body).

        Conflict for the key of another request. While the first is under way, waits up to 5 s for it.
        """
        for _ in range(WAITS):
            now = self.now()
            kept = await self.store.write(
                partial(
                    idempotency.begin,
                    principal=principal,
                    key=key,
                    request_hash=request_hash,
                    now=now,
                    expires_at=now + UNDER_WAY,
                )
            )
            if kept is None:
                return None
            if kept.request_hash != request_hash:
                raise Conflict("this Idempotency-Key belongs to another request", code="idempotency_conflict")
            if kept.status is not None:
                return kept.status, kept.body or ""
            await asyncio.sleep(0.05)
        raise Conflict("the first request with this Idempotency-Key is still under way", code="idempotency_busy")

    async def finish(self, *, principal: str, key: str, status: int, body: str) -> None:
        """Keep the answer for a day."""
        ends = self.now() + KEEP
        await self.store.write(
            lambda tx: idempotency.finish(tx, principal=principal, key=key, status=status, body=body, expires_at=ends)
        )

    async def drop(self, *, principal: str, key: str) -> None:
        """Free the key: the request failed in a way that a repeat may mend."""
        await self.store.write(lambda tx: idempotency.drop(tx, principal=principal, key=key))

    async def purge(self) -> int:
        """Forget old answers."""
        return await self.store.write(lambda tx: idempotency.purge(tx, now=self.now()))
