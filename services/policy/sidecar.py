"""The health of the HELM sidecar: asked at most every few seconds, written down once a minute."""

import asyncio
import time
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from domain.clock import Now
from domain.ids import new_id
from domain.policy.sidecar import SidecarSnapshot
from domain.ports import Sidecar, SidecarHealth
from storage.database import Store
from storage.policy import sidecar_rows
from storage.transaction import Tx

FRESH_SECONDS = 5.0
KEEP = timedelta(days=7)


@dataclass(slots=True)
class SidecarWatch:
    """Looks at the sidecar. /health is public and asked often: it must not become requests to the kernel."""

    store: Store
    sidecar: Sidecar
    now: Now
    fail_closed: bool = True
    _last: tuple[float, SidecarHealth] | None = None
    _lock: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def look(self) -> dict[str, Any]:
        """As `services.installation.health.Probe` has it; a look of a moment ago serves again."""
        seen = await self._look()
        return {
            "ok": seen.ok,
            "latencyMs": seen.latency_ms,
            **({} if seen.version is None else {"version": seen.version}),
            **({} if seen.error is None else {"error": seen.error}),
            "failClosed": self.fail_closed,
        }

    async def _look(self) -> SidecarHealth:
        async with self._lock:
            if self._last is None or time.monotonic() - self._last[0] >= FRESH_SECONDS:
                seen = await self.sidecar.probe()
                self._last = (time.monotonic(), seen)
            return self._last[1]

    async def keep_snapshot(self) -> None:
        """Write down how it is now, and forget what is older than a week."""
        seen = await self._look()
        now = self.now()
        snapshot = SidecarSnapshot(
            id=new_id(),
            gateway_ok=seen.ok,
            version=seen.version,
            latency_ms=seen.latency_ms,
            error=seen.error,
            checked_at=now,
        )

        def work(tx: Tx) -> None:
            sidecar_rows.add(tx, snapshot)
            sidecar_rows.purge(tx, before=now - KEEP)

        await self.store.write(work)
