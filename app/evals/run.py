"""Carries out evaluations and records what they found, so that capabilities rest on evidence."""

import asyncio
import tempfile
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

from app.container import open_services
from app.evals import governance, others, surfaces, work
from app.evals.checks import Checks, NotRunError
from app.evals.place import Ground
from app.logging import configure_logging
from app.settings import Settings
from app.version import VERSION
from domain.clock import utc_now
from services.installation.capabilities import REGISTRY, CapabilityService
from storage.installation.throwaway import throwaway_database

Evaluation = Callable[[Checks, Ground], Awaitable[None]]
# all together give up after so many seconds, each after half of them
PATIENCE = 85.0
EVALUATIONS: Mapping[str, Evaluation] = MappingProxyType(
    {
        "tenancy": surfaces.tenancy,
        "receipts": governance.receipts,
        "policy": governance.policy,
        "approvals": governance.approvals,
        "chaos": work.chaos,
        "playbooks": work.playbooks,
        "delegation": others.delegation,
        "tool_servers": others.tool_servers,
        "chat": surfaces.chat,
        "mini_app": surfaces.mini_app,
        "sidecar": surfaces.sidecar,
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """One evaluation. `passed` is None when it was not carried out: `not_run` says why."""

    name: str
    passed: bool | None
    details: dict[str, Any]
    seconds: float
    not_run: str = ""

    def as_json(self) -> dict[str, Any]:
        """As `--json` prints it."""
        word = "not run" if self.passed is None else "passed" if self.passed else "failed"
        said = {"notRun": self.not_run} if self.not_run else self.details
        return {"name": self.name, "outcome": word, "seconds": self.seconds, **said}

    def lines(self) -> list[str]:
        """For people: one line, and what does not hold."""
        if self.passed is None:
            return [f"-    {self.name}: not run: {self.not_run}"]
        checks = self.details["checks"]
        head = f"{'ok  ' if self.passed else 'FAIL'} {self.name}: {len(checks)} checks in {self.seconds:.1f} s"
        return [head, *(f"     {c['name']}: {c.get('said', '')}" for c in checks if not c["ok"])]


def described() -> list[dict[str, Any]]:
    """Every evaluation with what it looks at and the capabilities that rest on it."""
    return [
        {
            "name": name,
            "looksAt": (evaluation.__doc__ or "").strip(),
            "capabilities": [c.key for c in REGISTRY if c.evaluation == name],
        }
        for name, evaluation in EVALUATIONS.items()
    ]


def run_evaluations(
    settings: Settings, names: Sequence[str], *, tell: Callable[[Outcome], None], seconds: float = PATIENCE
) -> list[Outcome]:
    """Carry out the evaluations and record each outcome in the installation; those not run are not recorded."""
    # what goes wrong inside is said by the checks
    configure_logging(level="CRITICAL", form="console")
    return asyncio.run(_run(settings, names, tell, seconds))


async def _run(
    settings: Settings, names: Sequence[str], tell: Callable[[Outcome], None], seconds: float
) -> list[Outcome]:
    ends = time.monotonic() + seconds
    outcomes: list[Outcome] = []
    for name in names:
        left = min(seconds / 2, ends - time.monotonic())
        outcome = await evaluate(EVALUATIONS[name], name, settings, seconds=left)
        outcomes.append(outcome)
        tell(outcome)
    await record(settings, outcomes)
    return outcomes


async def evaluate(evaluation: Evaluation, name: str, settings: Settings, *, seconds: float) -> Outcome:
    """One evaluation on ground of its own. Whatever goes wrong inside is a check that does not hold."""
    checks = Checks()
    began = time.monotonic()
    not_run = ""
    store = "sqlite" if settings.store_url.startswith("sqlite:") else "postgres"
    with tempfile.TemporaryDirectory(prefix="pilot-evaluation-", ignore_cleanup_errors=True) as folder:
        try:
            with throwaway_database(settings.store_url, Path(folder)) as url:
                async with asyncio.timeout(seconds):
                    await evaluation(checks, Ground(folder=Path(folder), database_url=url, installed=settings))
        except (NotRunError, PermissionError) as why:
            not_run = str(why)
        except TimeoutError as error:
            checks.that("it ends in time", holds=False, said=error or f"not within {seconds:.0f} s")
        except Exception as error:  # noqa: BLE001 - a check that breaks has not held
            checks.that("it can be carried out", holds=False, said=f"{type(error).__name__}: {error}")
    took = round(time.monotonic() - began, 1)
    return Outcome(
        name=name,
        passed=None if not_run else checks.passed,
        details={**checks.details(), "seconds": took, "store": store},
        seconds=took,
        not_run=not_run,
    )


async def record(settings: Settings, outcomes: Sequence[Outcome]) -> None:
    """Keep the outcomes in the installation; those not run leave what was recorded before."""
    async with open_services(settings) as parts:
        services = parts.services
        service = CapabilityService(services.store, services.health, utc_now)
        for outcome in outcomes:
            if outcome.passed is not None:
                await service.record(
                    services.recorder,
                    name=outcome.name,
                    passed=outcome.passed,
                    details=outcome.details,
                    version=VERSION,
                )
