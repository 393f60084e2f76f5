"""How the parts are: what /health says and /metrics counts."""

import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from storage import outbox, runs, sidecar
from storage.database import Store
from storage.engine import JobEngine
from storage.sidecar import SidecarSnapshot

# {"ok", "latencyMs", "version"?, "error"?, "failClosed"}
Probe = Callable[[], Awaitable[dict[str, Any]]]


@dataclass(slots=True)
class Health:
    """Readiness part by part. Parts that are still starting say so; only the store decides up or down."""

    store: Store
    engine: JobEngine
    started: float = field(default_factory=time.monotonic)
    # parts that report themselves: telegram, scheduler, webapp; True, False or a word
    parts: dict[str, Any] = field(default_factory=dict)
    damaged_logs: Mapping[str, str] = field(default_factory=dict)
    # by workspace, what is not as it was signed
    altered: Mapping[str, Mapping[str, tuple[str, ...]]] = field(default_factory=dict)
    helm: Probe | None = None

    async def checks(self) -> tuple[bool, dict[str, Any]]:
        """Whether the installation is up, and the state of each part."""
        db = await self._db()
        checks: dict[str, Any] = {
            "db": db,
            "jobs": self.engine.ready,
            # the name the contract's clients know
            "pgboss": self.engine.ready,
            "eventBus": True,
            "ledger": "ok" if not self.damaged_logs else f"{len(self.damaged_logs)} damaged",
            "integrity": "ok"
            if not self.altered
            else f"{sum(len(one) for one in list(self.altered.values()))} altered",
            "helm": "not_configured",
            **self.parts,
        }
        if self.helm is not None:
            answer = await self.helm()
            checks |= {"helm": "ok" if answer["ok"] else "unreachable", "helmLatencyMs": answer.get("latencyMs")}
            if answer.get("version"):
                checks["helmVersion"] = answer["version"]
            if not answer["ok"] and answer.get("failClosed"):
                return False, checks
        return db, checks

    async def newest_snapshot(self) -> SidecarSnapshot | None:
        """How the sidecar was when it was last written down; None where it never was."""
        return await self.store.read(sidecar.newest)

    async def _db(self) -> bool:
        try:
            await self.store.read(lambda tx: tx.connection.exec_driver_sql("SELECT 1").scalar())
        except Exception:  # noqa: BLE001 - whatever keeps the store from answering is "down"
            return False
        return True

    @property
    def sound(self) -> bool:
        """Whether every log and every row that was read holds; work goes on where it does not, and people must look."""
        return not self.damaged_logs and not self.altered

    @property
    def uptime(self) -> int:
        """Seconds since the process began."""
        return int(time.monotonic() - self.started)

    async def numbers(self) -> dict[str, float]:
        """Gauges for /metrics."""
        found: dict[str, float] = {}
        for state, count in (await self.store.read(runs.state_counts)).items():
            found[f'pilot_runs{{state="{state}"}}'] = count
        for state, count in (await self.store.read(outbox.depth)).items():
            found[f'pilot_outbox{{state="{state}"}}'] = count
        return found
