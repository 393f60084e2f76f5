"""How the parts are: what /health says and /metrics counts."""

import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from domain.clock import Now, utc_now
from domain.policy.sidecar import SidecarSnapshot
from services.chat.intake import OK, TELEGRAM
from storage.chat import inbox_rows, intake_rows
from storage.database import Store
from storage.installation import spend_rows
from storage.outbox import outbox_rows
from storage.policy import sidecar_rows
from storage.runs import run_rows
from storage.runs.engine import JobEngine

# {"ok", "latencyMs", "version"?, "error"?, "failClosed"}
Probe = Callable[[], Awaitable[dict[str, Any]]]

NOT_CONFIGURED = "not_configured"
STARTING = "starting"
# a poll that finds nothing takes 25 seconds, a look at the webhook comes once a minute
SILENT_AFTER = timedelta(seconds=150)


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
    now: Now = utc_now
    began: datetime = field(default_factory=utc_now)

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
        if db and self.parts.get(TELEGRAM, NOT_CONFIGURED) != NOT_CONFIGURED:
            checks |= await self.telegram()
        if self.helm is not None:
            answer = await self.helm()
            checks |= {"helm": "ok" if answer["ok"] else "unreachable", "helmLatencyMs": answer.get("latencyMs")}
            if answer.get("version"):
                checks["helmVersion"] = answer["version"]
            if not answer["ok"] and answer.get("failClosed"):
                return False, checks
        return db, checks

    async def telegram(self) -> dict[str, Any]:
        """How the bot is, from the store: whichever process fetches updates has noted how that goes.

        `telegram` is True while updates come in, else a word: starting, silent, conflict (somebody else polls),
        webhook_elsewhere, away, refused (the token), slowed, failing.
        """
        heard = await self.store.read(lambda tx: intake_rows.get(tx, TELEGRAM))
        backlog = await self.store.read(inbox_rows.backlog)
        now = self.now()
        well_at = None if heard is None else heard.well_at
        state: bool | str
        if (heard is None or heard.updated_at < self.began) and now - self.began < SILENT_AFTER:
            # what was noted before this process began is no news
            state = STARTING
        elif heard is None:
            state = "silent"
        elif heard.word != OK:
            state = heard.word
        else:
            state = "silent" if well_at is None or now - well_at > SILENT_AFTER else True
        return {
            TELEGRAM: state,
            "telegramLastContactSeconds": None if well_at is None else _seconds(now - well_at),
            "telegramWaiting": backlog.waiting,
            "telegramOldestWaitingSeconds": None if backlog.oldest is None else _seconds(now - backlog.oldest),
            "telegramSetAside": backlog.set_aside,
        }

    async def newest_snapshot(self) -> SidecarSnapshot | None:
        """How the sidecar was when it was last written down; None where it never was."""
        return await self.store.read(sidecar_rows.newest)

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
        for state, count in (await self.store.read(run_rows.state_counts)).items():
            found[f'pilot_runs{{state="{state}"}}'] = count
        for state, count in (await self.store.read(outbox_rows.depth)).items():
            found[f'pilot_outbox{{state="{state}"}}'] = count
        for state, count in (await self.store.read(inbox_rows.depth)).items():
            found[f'pilot_inbox{{state="{state}"}}'] = count
        day = utc_now().date()
        today, month, _ = await self.store.read(
            lambda tx: spend_rows.used(tx, day=day.isoformat(), month=day.replace(day=1).isoformat())
        )
        for span, micros in (("day", today), ("month", month)):
            found[f'pilot_installation_spend_usd{{span="{span}"}}'] = micros / 1e6
        return found


def _seconds(span: timedelta) -> int:
    return max(0, int(span.total_seconds()))
