"""Receipts as people look through them: pages, one by its name, those of a task and how they hang together."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar

import orjson

from domain.errors import NotFound
from domain.identity.actor import Actor
from domain.identity.permissions import Action, require
from domain.ledger.rows import ReceiptRow
from services.ledger.alarm import Alarm
from services.ledger.append import Ledger
from services.ledger.log_check import LogCheck
from services.ledger.records import Records
from storage.database import Store
from storage.ledger import receipt_rows
from storage.transaction import Tx

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceiptPage:
    """Receipts newest first, each with what differs of it.

    `missing` are places of the log in between that hold none; `problem` says what is wrong with the log itself.
    """

    receipts: Sequence[ReceiptRow]
    missing: Sequence[int] = ()
    problem: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceiptService:
    """Use cases about reading receipts, each held against the log."""

    store: Store
    ledger: Ledger
    alarm: Alarm | None = None

    async def _read(self, work: Callable[[Tx], T], *, long: bool = False) -> T:
        """What `work` reads; what it finds altered is told before it is shown."""
        found = await self.store.read(work, long=long)
        if self.alarm is not None:
            await self.alarm.tell()
        return found

    async def list(
        self,
        actor: Actor,
        *,
        limit: int,
        before: datetime | None = None,
        before_idx: int | None = None,
        kinds: Sequence[str] = (),
        verdict: str | None = None,
    ) -> ReceiptPage:
        """Receipts of the workspace, newest first."""
        require(actor, Action.RECEIPT_READ)
        workspace_id = actor.in_workspace

        def work(tx: Tx) -> ReceiptPage:
            rows = receipt_rows.find(
                tx, workspace_id, limit=limit, before=before, before_idx=before_idx, kinds=kinds, verdict=verdict
            )
            log_check = LogCheck.of(self.ledger, tx, workspace_id)
            whole = not kinds and verdict is None and before is None
            return ReceiptPage(
                receipts=log_check.check(rows),
                missing=log_check.missing(rows, before=before_idx, limit=limit) if whole else (),
                problem=log_check.signed[1],
            )

        return await self._read(work)

    async def find(self, actor: Actor, name: str) -> ReceiptRow:
        """The receipt with this id, or the newest one about a decision with this id."""
        require(actor, Action.RECEIPT_READ)

        def work(tx: Tx) -> ReceiptRow:
            about = receipt_rows.by_decision(tx, actor.in_workspace, name)
            row = (
                next((r for r in about if r.kind == "decision"), about[-1])
                if about
                else receipt_rows.get(tx, actor.in_workspace, name)
            )
            return LogCheck.of(self.ledger, tx, actor.in_workspace).check_whole(row)

        return await self._read(work)

    async def of_task(self, actor: Actor, task_id: str) -> Sequence[ReceiptRow]:
        """Receipts about one task, in the order of the log."""
        require(actor, Action.RECEIPT_READ)
        workspace_id = actor.in_workspace
        return await self._read(
            lambda tx: LogCheck.of(self.ledger, tx, workspace_id).check(receipt_rows.of_task(tx, workspace_id, task_id))
        )

    async def proof_graph(self, actor: Actor, task_id: str) -> dict[str, Any]:
        """Request, decisions, approvals, effects and outcome of a task as nodes and edges; NotFound without any."""
        require(actor, Action.RECEIPT_READ)
        workspace_id = actor.in_workspace

        def work(tx: Tx) -> dict[str, Any]:
            rows = rows_of_task(tx, workspace_id, task_id)
            hashes = {row.idx: row.leaf_hash.hex() for row in rows}
            nodes: list[dict[str, Any]] = []
            edges: list[dict[str, str]] = []
            last_of: dict[str, str] = {}
            previous: str | None = None
            tools: dict[str | None, str] = {None: ""}
            for row in Records(self.ledger, tx, workspace_id).statements(rows):
                tool = row.metadata.get("tool")
                if isinstance(tool, str):
                    tools[row.step_id] = tool
                nodes.append(
                    {
                        "id": row.id,
                        "index": row.idx,
                        "kind": row.kind,
                        "verdict": row.verdict,
                        "action": row.action,
                        "tool": tools.get(row.step_id) or None,
                        "principal": row.principal,
                        "stepId": row.step_id,
                        "approvalId": row.approval_id,
                        "hash": hashes[row.idx],
                        "differs": list(row.differs),
                    }
                )
                # what belongs to a step follows what was said of it last, everything else what came before
                parent = last_of.get(row.step_id or "") or previous
                if parent is not None:
                    edges.append({"from": parent, "to": row.id})
                if row.step_id is not None:
                    last_of[row.step_id] = row.id
                previous = row.id
            return {"taskId": task_id, "nodes": nodes, "edges": edges}

        return await self._read(work)


def shown_body(row: ReceiptRow) -> dict[str, Any]:
    """What the signed bytes say; nothing when they are no JSON object any more."""
    try:
        found = orjson.loads(row.leaf)
    except orjson.JSONDecodeError:
        return {}
    return found if isinstance(found, dict) else {}


def rows_of_task(tx: Tx, workspace_id: str, task_id: str) -> Sequence[ReceiptRow]:
    """A task leaves a receipt when it is made: what has none is no task of this workspace."""
    found = receipt_rows.of_task(tx, workspace_id, task_id)
    if not found:
        raise NotFound("the log knows no such task")
    return found
