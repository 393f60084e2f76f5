"""Rows held against the log: what receipts say of steps, runs, approvals, permissions and violations."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Protocol, TypeVar

import orjson

from domain.approvals.approval import Approval
from domain.approvals.grant import Grant
from domain.evidence.approvals import approval_differs
from domain.evidence.grants import grant_differs
from domain.evidence.runs import run_differs
from domain.evidence.statement import Statement
from domain.evidence.steps import step_differs
from domain.evidence.violations import violation_differs
from domain.ledger.audit import AuditAction
from domain.ledger.rows import ReceiptRow
from domain.ledger.violation import Violation
from domain.receipts.stored import UNREADABLE, KeptPayload
from domain.runs.run import Run, Step
from services.ledger.append import Ledger
from services.ledger.log_check import LogCheck
from storage.approvals import approval_rows
from storage.ledger import payload_rows, receipt_rows
from storage.runs import run_rows
from storage.transaction import Tx

T = TypeVar("T", bound="_Row")


class _Row(Protocol):
    @property
    def id(self) -> str: ...
    @property
    def differs(self) -> tuple[str, ...]: ...


@dataclass(frozen=True, slots=True)
class Records:
    """What the log says, in one transaction. Everything handed out was held against it; `differs` says what is not."""

    ledger: Ledger
    tx: Tx
    workspace_id: str

    @property
    def log(self) -> LogCheck:
        """The check of the log itself."""
        return LogCheck.of(self.ledger, self.tx, self.workspace_id)

    def statements(self, rows: Sequence[ReceiptRow], *, signatures: bool = False) -> list[Statement]:
        """What receipts say, each checked with its payloads, in the order of the log."""
        unique = list({row.idx: row for row in rows}.values())
        checked = self.log.check(unique, signatures=signatures)
        kept = payload_rows.kept(self.tx, self.workspace_id, [row.id for row in checked])
        found = [self._statement(row, kept[row.id]) for row in checked]
        return sorted(found, key=lambda one: one.idx)

    def _statement(self, row: ReceiptRow, kept: Sequence[KeptPayload] | None) -> Statement:
        if UNREADABLE in row.differs:
            return _unreadable(row)
        body = receipt_rows.body_of(row)
        wrong = () if kept is None else self.log.payload_problems(row, kept)
        bad = {problem.partition(":")[0].removeprefix("payload.") for problem in wrong}
        values = {
            p.kind: orjson.loads(p.body) for p in kept or () if p.body is not None and p.kind not in bad and p.salt
        }
        effect = str(body["effect_id"])
        return Statement(
            idx=row.idx,
            id=row.id,
            kind=row.kind,
            action=row.action,
            verdict=row.verdict,
            reason_code=row.reason_code,
            status=str(body["status"]),
            decision_id=row.decision_id,
            principal=row.principal,
            resource=row.resource,
            effect=int(effect[1:]) if effect[:1] == "E" and effect[1:].isdigit() else -1,
            policy_hash=row.policy_hash,
            at=row.created_at,
            task_id=row.task_id,
            run_id=row.run_id,
            step_id=row.step_id,
            approval_id=row.approval_id,
            metadata=body["metadata"],
            args=values.get("args"),
            output=values.get("output"),
            knows_args=not body["args_hash"] or "args" in values,
            differs=(*row.differs, *wrong),
        )

    def note(self, kind: str, value: T) -> T:
        """Have it known what differs of a value, or that nothing does."""
        if value.differs or self.workspace_id in self.ledger.altered:
            self.ledger.note(self.workspace_id, f"{kind} {value.id}", value.differs)
        return value

    # --- tasks ------------------------------------------------------------------------------------

    def of_task(self, task_id: str) -> list[Statement]:
        """What the log says of a task, its runs and their steps."""
        return self.statements(receipt_rows.of_task(self.tx, self.workspace_id, task_id))

    def steps(self, steps: Sequence[Step], said: Sequence[Statement]) -> list[Step]:
        """Steps of one task, each with what differs of it."""
        by_run: dict[str, list[Statement]] = {}
        for one in said:
            by_run.setdefault(one.run_id or "", []).append(one)
        return [
            self.note("step", replace(step, differs=step_differs(step, _about_step(by_run.get(step.run_id, ()), step))))
            for step in steps
        ]

    def runs(self, found: Sequence[Run], said: Sequence[Statement], *, steps: Iterable[Step]) -> list[Run]:
        """Runs of one task, each with what differs of it: its `steps` when one that was decided on is gone."""
        there = {step.id for step in steps}
        gone = {one.run_id for one in said if one.action == AuditAction.TOOL_DECIDED and one.decision_id not in there}
        return [
            self.note("run", replace(run, differs=(*run_differs(run, said), *(("steps",) if run.id in gone else ()))))
            for run in found
        ]

    def note_gone(self, rows: Sequence[ReceiptRow]) -> None:
        """Have it known which runs and approvals these receipts began, and the store does not hold any more."""
        begun = {row.idx: row for row in rows if row.action in _BEGINS}
        runs_there = run_rows.ids_among(
            self.tx, self.workspace_id, [row.run_id for row in begun.values() if row.run_id]
        )
        there = runs_there | approval_rows.ids_among(
            self.tx, self.workspace_id, [row.approval_id for row in begun.values() if row.approval_id]
        )
        for index, row in begun.items():
            kind, name = (
                ("run", row.run_id) if row.action == AuditAction.TASK_RUN_DISPATCHED else ("approval", row.approval_id)
            )
            gone = (f"{kind} {name} is missing",) if name not in there else ()
            if gone or self.workspace_id in self.ledger.altered:
                self.ledger.note(self.workspace_id, f"what receipt {index} began", gone)

    # --- approvals and permissions ----------------------------------------------------------------

    def approvals(self, found: Sequence[Approval], *, signatures: bool = False) -> list[Approval]:
        """Approvals, each with what differs of it."""
        said = self.about([one.id for one in found], signatures=signatures)
        made = self._grants_made([one.grant_id for one in found if one.grant_id is not None])
        return [
            self.note(
                "approval",
                replace(one, differs=approval_differs(one, [*made.get(one.grant_id or "", ()), *said[one.id]])),
            )
            for one in found
        ]

    def about(self, decision_ids: Sequence[str], *, signatures: bool = False) -> dict[str, list[Statement]]:
        """What the log says of decisions (a step's, or an approval's), by their ids."""
        rows = receipt_rows.by_decisions(self.tx, self.workspace_id, decision_ids)
        found: dict[str, list[Statement]] = {name: [] for name in decision_ids}
        for one in self.statements(rows, signatures=signatures):
            if one.decision_id in found:
                found[one.decision_id].append(one)
        return found

    def grants(self, found: Sequence[Grant]) -> list[Grant]:
        """Permissions, each with what differs of it; one that no signed receipt gave differs in its `id`."""
        made = self._grants_made([one.id for one in found])
        return [self.note("grant", replace(one, differs=self._grant_differs(one, made[one.id]))) for one in found]

    def _grant_differs(self, grant: Grant, made: Sequence[Statement]) -> tuple[str, ...]:
        found = grant_differs(grant, made, uses=self._uses(grant, made))
        return tuple(dict.fromkeys((*found, *self._bound_by_approval(grant, made))))

    def _grants_made(self, ids: Iterable[str]) -> dict[str, list[Statement]]:
        actions = (AuditAction.GRANT_CREATED, AuditAction.GRANT_REVOKED)
        return {
            name: self.statements(
                receipt_rows.newest_about(self.tx, self.workspace_id, actions=actions, resource=name, limit=10),
                signatures=True,
            )
            for name in set(ids)
        }

    def _uses(self, grant: Grant, made: Sequence[Statement]) -> int | None:
        """How often a permission was used, as the newest decision by it says; None where that is not told.

        Of one that may be used as often as one likes the newest decisions about its tool are all that is looked at.
        """
        if not made:
            return None
        rows = receipt_rows.decisions_about(self.tx, self.workspace_id, resource=grant.tool, after=made[0].idx)
        for count, row in enumerate(rows):
            if grant.max_uses is None and count == LOOKED_BACK:
                return None
            metadata = receipt_rows.body_of(row)["metadata"]
            used = metadata.get("grant_use")
            if metadata.get("rule_id") == f"grant:{grant.id}" and isinstance(used, int):
                return used
        # older receipts do not count
        return 0 if isinstance(made[0].args, dict) else None

    def _bound_by_approval(self, grant: Grant, made: Sequence[Statement]) -> tuple[str, ...]:
        """Older receipts of permissions name neither tool nor level: they are those of the approval they came with."""
        if not made or isinstance(made[0].args, dict) or made[0].approval_id is None:
            return ()
        asked = [
            one
            for one in self.about([made[0].approval_id], signatures=True)[made[0].approval_id]
            if one.action == AuditAction.APPROVAL_REQUESTED
        ]
        if not asked:
            return ("approval_id",)
        tool = self._tool_of(asked[0])
        found = [] if tool in (None, grant.tool) else ["tool"]
        return (*found, *(() if grant.max_effect <= asked[0].effect else ("max_effect",)))

    def _tool_of(self, asked: Statement) -> str | None:
        if asked.step_id is None:
            return None
        decided = [one for one in self.about([asked.step_id])[asked.step_id] if "tool" in one.metadata]
        return str(decided[-1].metadata["tool"]) if decided else ""

    # --- violations ---------------------------------------------------------------------

    def bare(self, rows: Sequence[ReceiptRow]) -> list[Statement]:
        """What receipts say without their payloads, which are neither read nor checked."""
        return [self._statement(row, None) for row in self.log.check(rows)]

    def violations(self, found: Sequence[Violation]) -> list[Violation]:
        """Violations, each with what differs of it."""
        about = {one.id: str(one.metadata.get("stepId") or one.metadata.get("decisionId") or "") for one in found}
        said = self.about([name for name in set(about.values()) if name])
        return [
            self.note("violation", replace(one, differs=violation_differs(one, said[about[one.id]])))
            if about[one.id]
            else one
            for one in found
        ]


_BEGINS = (AuditAction.TASK_RUN_DISPATCHED, AuditAction.APPROVAL_REQUESTED)
LOOKED_BACK = 200


def live_grants(ledger: Ledger, tx: Tx, workspace_id: str, *, tool: str, now: datetime) -> list[Grant]:
    """Permissions about a tool that count now: each given by a signed receipt, and just as it says."""
    found = approval_rows.grants_of(tx, workspace_id, live_at=now, tool=tool)
    if not found:
        return []
    return [one for one in Records(ledger, tx, workspace_id).grants(found) if not one.differs]


def _about_step(said: Iterable[Statement], step: Step) -> list[Statement]:
    return [one for one in said if one.step_id == step.id or one.action == AuditAction.RUN_FINISHED]


def _unreadable(row: ReceiptRow) -> Statement:
    return Statement(
        idx=row.idx,
        id=row.id,
        kind=row.kind,
        action="",
        verdict="",
        reason_code="",
        status="",
        decision_id=row.decision_id,
        principal="",
        resource="",
        effect=-1,
        policy_hash="",
        at=row.created_at,
        task_id=row.task_id,
        run_id=row.run_id,
        step_id=row.step_id,
        approval_id=row.approval_id,
        differs=row.differs,
    )
