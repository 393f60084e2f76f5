"""Idempotency-Key: the same request with the same key is carried out once, and answered the same."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from functools import partial

from domain.clock import Now
from domain.errors import Conflict
from domain.ids import new_id
from storage.database import Store
from storage.installation import idempotency_rows

KEEP = timedelta(hours=24)
# a first request that never finished (a crash) frees its key after this long; none takes longer
UNDER_WAY = timedelta(seconds=120)
WAIT_SECONDS = 5.0
LOOK_SECONDS = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """The right, and the duty, to carry a request out."""

    principal: str
    key: str
    id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptAnswer:
    """The answer the first request with the key got."""

    status: int
    body: str


@dataclass(frozen=True, slots=True)
class IdempotencyService:
    """Remembers answers by (principal, key) for a day."""

    store: Store
    now: Now

    async def begin(self, *, principal: str, key: str, request_hash: str) -> Claim | KeptAnswer:
        """A claim: carry it out, then `finish` or `drop`. Otherwise the first answer.

        Conflict for the key of another request. While the first is under way, waits up to 5 s for it.
        """
        claim = Claim(principal=principal, key=key, id=new_id())
        for _ in range(int(WAIT_SECONDS / LOOK_SECONDS)):
            now = self.now()
            kept = await self.store.write(
                partial(
                    idempotency_rows.begin,
                    principal=principal,
                    key=key,
                    request_hash=request_hash,
                    claim=claim.id,
                    now=now,
                    expires_at=now + UNDER_WAY,
                )
            )
            if kept.request_hash != request_hash:
                raise Conflict("this Idempotency-Key belongs to another request", code="idempotency_conflict")
            if kept.status is not None:
                return KeptAnswer(status=kept.status, body=kept.body or "")
            if kept.body == claim.id:
                return claim
            await asyncio.sleep(LOOK_SECONDS)
        if kept.expires_at > self.now() + UNDER_WAY:
            raise Conflict(
                "the request with this Idempotency-Key was carried out, its answer was lost: look at what it made",
                code="idempotency_unanswered",
            )
        raise Conflict("the first request with this Idempotency-Key is still under way", code="idempotency_busy")

    @contextmanager
    def carrying_out(self, claim: Claim) -> Iterator[None]:
        """Whatever the request writes commits together with the word that it was carried out."""
        ends = self.now() + KEEP
        mark = partial(
            idempotency_rows.carried_out, principal=claim.principal, key=claim.key, claim=claim.id, expires_at=ends
        )
        with self.store.with_participant(mark):
            yield

    async def finish(self, claim: Claim, *, status: int, body: str) -> None:
        """Keep the answer for a day."""
        ends = self.now() + KEEP
        await self.store.write(
            partial(
                idempotency_rows.finish,
                principal=claim.principal,
                key=claim.key,
                claim=claim.id,
                status=status,
                body=body,
                expires_at=ends,
            )
        )

    async def drop(self, claim: Claim) -> None:
        """Free the key: the request failed in a way that a repeat may mend."""
        await self.store.write(partial(idempotency_rows.drop, principal=claim.principal, key=claim.key, claim=claim.id))

    async def purge(self) -> int:
        """Forget old answers."""
        return await self.store.write(lambda tx: idempotency_rows.purge(tx, now=self.now()))
