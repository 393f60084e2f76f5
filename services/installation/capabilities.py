"""What this installation can do, computed: from checks that run now and from evaluations that were recorded.

Nothing here is a claim. A capability is `blocked` while a part it needs is not up, `implemented`
when its parts are up, and `production_ready` only with a passed evaluation of this very version.
What the reference names and Pilot does not have says so, as a `stub`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from domain.clock import Now
from domain.errors import NotFound
from domain.ids import new_id
from domain.installation.self_check import SelfCheckRun
from domain.journal.workspace import EvaluationRecorded
from services.installation.health import Health
from services.ledger.recorder import Recorder
from storage.database import Store
from storage.installation import self_check_rows

STATES = ("implemented", "prototype", "scaffolded", "stub", "blocked", "production_ready")


@dataclass(frozen=True, slots=True, kw_only=True)
class Capability:
    """One thing Pilot can do. `needs` names checks of /health, `evaluation` what has to be recorded as passed."""

    key: str
    name: str
    summary: str
    owner: str
    evaluation: str = ""
    needs: Sequence[str] = ()
    absent: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class CapabilityState:
    """A capability as it is right now."""

    capability: Capability
    state: str
    blockers: Sequence[str]
    evidence: Sequence[str]
    updated_at: datetime


_DB, _JOBS, _LEDGER = "db", "jobs", "ledger"
REGISTRY: tuple[Capability, ...] = (
    Capability(
        key="workspace_rbac",
        name="Workspaces and roles",
        summary="One table of permissions decides for API, chat and Mini App; other workspaces do not exist for you.",
        owner="identity",
        evaluation="tenancy",
        needs=(_DB,),
    ),
    Capability(
        key="helm_receipts",
        name="Receipts",
        summary="Every decision leaves a signed receipt, compatible with HELM receipts, in a log with proofs.",
        owner="governance",
        evaluation="receipts",
        needs=(_DB, _LEDGER),
    ),
    Capability(
        key="evidence_ledger",
        name="Evidence ledger",
        summary="An append-only log per workspace with checkpoints, verified offline by a stand-alone program.",
        owner="governance",
        evaluation="receipts",
        needs=(_DB, _LEDGER),
    ),
    Capability(
        key="policy_enforcement",
        name="Policy before every call",
        summary="Kill switch, blocklists, budgets, bans and rules are asked before each call; an error denies.",
        owner="governance",
        evaluation="policy",
        needs=(_DB, _LEDGER),
    ),
    Capability(
        key="approval_resume",
        name="Approvals that resume work",
        summary="A decision, its receipt and the next segment of the run are one transaction; the first one wins.",
        owner="governance",
        evaluation="approvals",
        needs=(_DB, _JOBS, _LEDGER),
    ),
    Capability(
        key="mission_runtime",
        name="Runs that survive",
        summary="A run is a chain of short segments in the store; it goes on after a crash and never repeats silently.",
        owner="runtime",
        evaluation="chaos",
        needs=(_DB, _JOBS),
    ),
    Capability(
        key="operator_scoping",
        name="Operators with bounds",
        summary="An operator has its own tools, budget and iterations, and belongs to one workspace.",
        owner="runtime",
        evaluation="policy",
        needs=(_DB,),
    ),
    Capability(
        key="subagent_lineage",
        name="Sub-operators",
        summary="An operator hands work on with narrower bounds and a slice of its budget; receipts name the lineage.",
        owner="runtime",
        evaluation="delegation",
        needs=(_DB, _JOBS, _LEDGER),
    ),
    Capability(
        key="tool_servers",
        name="Tool servers",
        summary="Tools of MCP servers a workspace adds run under its policy, with effect levels its owner sets.",
        owner="runtime",
        evaluation="tool_servers",
        needs=(_DB, _JOBS, _LEDGER),
    ),
    Capability(
        key="playbooks",
        name="Playbooks",
        summary="Steps written in a task are carried out one by one under the same governance, without a model.",
        owner="runtime",
        evaluation="playbooks",
        needs=(_DB, _JOBS),
    ),
    Capability(
        key="telegram_chat",
        name="Work and approvals in chat",
        summary="Tasks, cards with buttons and answers in Telegram; nothing lost, nothing handled twice.",
        owner="chat",
        evaluation="chat",
        needs=(_DB, "telegram"),
    ),
    Capability(
        key="command_center",
        name="Mini App",
        summary="The same workspace as pages inside Telegram or in a browser.",
        owner="chat",
        evaluation="mini_app",
        needs=(_DB,),
    ),
    Capability(
        key="helm_sidecar",
        name="Second opinion of a HELM sidecar",
        summary="Each call is also put to a configured HELM sidecar, which fails closed.",
        owner="governance",
        evaluation="sidecar",
        needs=("helm",),
    ),
    *(
        Capability(key=key, name=name, summary="Named by the reference.", owner="none", absent=f"Pilot has no {what}")
        for key, name, what in (
            ("decision_court", "Decision court", "decision court"),
            ("skill_registry_runtime", "Skill registry", "skill registry; playbooks and tools do that work"),
            ("opportunity_scoring", "Opportunity scoring", "opportunities"),
            ("browser_metadata_connector", "Browser metadata connector", "browser connector"),
            ("browser_execution", "Browser execution", "browser of its own"),
            ("computer_use", "Computer use", "computer use"),
            ("a2a_durable_state", "A2A state", "A2A endpoint"),
            ("startup_lifecycle", "Start-up lifecycle", "start-up lifecycle templates"),
            ("founder_off_grid", "Founder off grid", "evaluation of that name"),
        )
    ),
)


@dataclass(frozen=True, slots=True)
class CapabilityService:
    """Computes the registry. Stateless: made where it is asked."""

    store: Store
    health: Health
    now: Now

    async def all(self, *, version: str) -> Sequence[CapabilityState]:
        """Every capability as it is now, for this version of the program."""
        _, checks = await self.health.checks()
        proved = await self.store.read(self_check_rows.newest)
        now = self.now()
        return [_state(c, checks, proved.get(c.evaluation), version=version, now=now) for c in REGISTRY]

    async def get(self, key: str, *, version: str) -> CapabilityState:
        """One of them; NotFound for a key that is not in the registry."""
        if all(c.key != key for c in REGISTRY):
            raise NotFound("Unknown capability", code="unknown_capability")
        return next(s for s in await self.all(version=version) if s.capability.key == key)

    async def record(
        self, recorder: Recorder, *, name: str, passed: bool, details: dict[str, Any], version: str
    ) -> SelfCheckRun:
        """Keep the outcome of an evaluation, with its line in the audit log."""
        run = SelfCheckRun(
            id=new_id(), name=name, passed=passed, details=details, version=version, created_at=self.now()
        )

        def work(tx: Any) -> None:
            self_check_rows.add(tx, run)
            recorder.record(tx, EvaluationRecorded(run_id=run.id, name=name, passed=passed, version=version))

        await self.store.write(work)
        return run


def _state(
    c: Capability, checks: Mapping[str, Any], proof: SelfCheckRun | None, *, version: str, now: datetime
) -> CapabilityState:
    if c.absent:
        return CapabilityState(capability=c, state="stub", blockers=(c.absent,), evidence=(), updated_at=now)
    down = [f"{need} is {_word(checks.get(need))}" for need in c.needs if not _up(checks.get(need))]
    evidence = [f"{need} answered at {now:%Y-%m-%dT%H:%M:%SZ}" for need in c.needs if _up(checks.get(need))]
    unproved = _unproved(c, proof, version)
    if proof is not None and unproved is None:
        evidence.append(f"evaluation {proof.name} passed with version {version} (run {proof.id})")
    if down:
        return CapabilityState(capability=c, state="blocked", blockers=down, evidence=evidence, updated_at=now)
    if unproved is not None:
        return CapabilityState(
            capability=c, state="implemented", blockers=(unproved,), evidence=evidence, updated_at=now
        )
    assert proof is not None
    return CapabilityState(
        capability=c, state="production_ready", blockers=(), evidence=evidence, updated_at=proof.created_at
    )


def _unproved(c: Capability, proof: SelfCheckRun | None, version: str) -> str | None:
    if proof is None:
        return f"evaluation {c.evaluation} was never recorded here"
    if not proof.passed:
        return f"evaluation {c.evaluation} failed"
    if proof.version != version:
        return f"evaluation {c.evaluation} passed with version {proof.version}, not {version}"
    return None


def _up(check: Any) -> bool:
    return check is True or check == "ok"


def _word(check: Any) -> str:
    return "absent" if check is None else "down" if check is False else str(check)
