"""Deciding again: what receipts say was decided, against what the kept policy decides about the kept facts now."""

from collections.abc import Sequence
from dataclasses import dataclass

import orjson

from domain.evidence.statement import Statement
from domain.identity.actor import Actor
from domain.identity.permissions import Action, require
from domain.policy.replay import replay
from domain.policy.rules import RuleEngine
from services.ledger.alarm import Alarm
from services.ledger.append import Ledger
from services.ledger.log_check import MISSING
from services.ledger.records import Records
from storage.database import Store
from storage.ledger import receipt_rows
from storage.transaction import Tx

PIECE = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Replayed:
    """What was decided, and what the kept policy decides about the kept facts now.

    `problem` says why what is kept is not believed ("" = it is what was signed); nothing was decided again then.
    """

    receipt_id: str
    tool: str
    recorded: str
    replayed: str
    problem: str = ""

    @property
    def same(self) -> bool:
        return self.recorded == self.replayed and not self.problem


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplayService:
    """Use cases about whether decisions would be made again."""

    store: Store
    ledger: Ledger
    rules: RuleEngine
    alarm: Alarm | None = None

    async def decisions(
        self, actor: Actor, receipt_id: str | None = None, *, limit: int = 10_000
    ) -> Sequence[Replayed]:
        """Decide again what one receipt (or every kept decision) says was decided, under the policy of then."""
        require(actor, Action.RECEIPT_READ)
        found = await self.store.read(
            lambda tx: self.decisions_in(tx, actor.in_workspace, receipt_id, limit=limit), long=True
        )
        if self.alarm is not None:
            await self.alarm.tell()
        return found

    def decisions_in(self, tx: Tx, workspace_id: str, receipt_id: str | None, *, limit: int) -> Sequence[Replayed]:
        """As `decisions`, in the caller's transaction."""
        rows = (
            receipt_rows.find(tx, workspace_id, limit=limit, kinds=("decision",))
            if receipt_id is None
            else [receipt_rows.get(tx, workspace_id, receipt_id)]
        )
        records = Records(self.ledger, tx, workspace_id)
        by_id: dict[str, Replayed] = {}
        for at in range(0, len(rows), PIECE):
            for said in records.statements(rows[at : at + PIECE], signatures=receipt_id is not None):
                found = self._decide(records, said)
                if found is not None:
                    by_id[said.id] = found
        return [by_id[row.id] for row in rows if row.id in by_id]

    def _decide(self, records: Records, said: Statement) -> Replayed | None:
        """Decide again what a receipt says was decided; None for one that keeps no facts of a decision."""
        snapshot, problem = records.log.policy(said.policy_hash) if said.policy_hash else (None, "")
        problem = "; ".join((*said.differs, *([problem] if problem else [])))
        facts = said.args.get("facts") if isinstance(said.args, dict) else None
        known = {"receipt_id": said.id, "tool": said.resource, "recorded": said.verdict}
        if problem and said.kind == "decision":
            if problem == MISSING and facts is None:
                # a call that was none has no facts, and what was erased lawfully is not decided again
                return None
            return Replayed(**known, replayed=said.verdict, problem=problem)
        if facts is None or snapshot is None:
            return None
        decision = replay(orjson.loads(snapshot), facts, self.rules)
        return Replayed(**known, replayed=decision.verdict.value)
