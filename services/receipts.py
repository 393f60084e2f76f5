"""Reading the ledger: receipts, proofs, checkpoints, archives, and deciding again."""

import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any, BinaryIO, cast

import orjson

from domain.actor import Actor
from domain.clock import Now, iso
from domain.errors import NotFound
from domain.ids import new_id
from domain.journal.workspace import LedgerExported
from domain.permissions import Action, require
from domain.policy.replay import replay
from domain.policy.rules import RuleEngine
from domain.receipts import merkle
from domain.receipts.archive import WHOLE, write_archive
from domain.receipts.checkpoint import TILE_WIDTH, entries_bytes, parse_tile_path, tile_bytes, tile_width
from domain.receipts.errors import BadProof
from domain.receipts.receipt import parse
from domain.receipts.signing import KeyRing
from services.ledger import Ledger
from services.recorder import Recorder
from storage import receipts, runs
from storage.database import Store, Tx
from storage.receipts import CheckpointRow, Payload, ReceiptRow


@dataclass(frozen=True, slots=True, kw_only=True)
class Inclusion:
    """One receipt with the proof that it is in the log a checkpoint was signed for."""

    receipt: ReceiptRow
    body: dict[str, Any]
    payloads: Sequence[Payload]
    path: Sequence[bytes]
    checkpoint: CheckpointRow


@dataclass(frozen=True, slots=True, kw_only=True)
class Replayed:
    """What was decided, and what the kept policy decides about the kept facts now."""

    receipt_id: str
    tool: str
    recorded: str
    replayed: str

    @property
    def same(self) -> bool:
        return self.recorded == self.replayed


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """A part of a log: one task's receipts, or a range of places and times (ends exclusive, None = open)."""

    task_id: str | None = None
    start: int = 0
    end: int | None = None
    since: datetime | None = None
    until: datetime | None = None

    @property
    def scope(self) -> str:
        """What the archive calls it."""
        return "range" if self.task_id is None else "task"

    def as_json(self) -> dict[str, Any]:
        """As the audit log keeps it."""
        if self.task_id is not None:
            return {"scope": self.scope}
        return {
            "scope": self.scope,
            "start": self.start,
            "end": self.end,
            "since": iso(self.since),
            "until": iso(self.until),
        }


@dataclass(frozen=True, slots=True)
class ReceiptService:
    """Use cases about receipts."""

    store: Store
    ledger: Ledger
    recorder: Recorder
    rules: RuleEngine
    now: Now

    async def list(
        self,
        actor: Actor,
        *,
        limit: int,
        before: datetime | None = None,
        before_idx: int | None = None,
        kinds: Sequence[str] = (),
        verdict: str | None = None,
    ) -> Sequence[ReceiptRow]:
        """Receipts of the workspace, newest first."""
        require(actor, Action.RECEIPT_READ)
        return await self.store.read(
            lambda tx: receipts.find(
                tx, actor.in_workspace, limit=limit, before=before, before_idx=before_idx, kinds=kinds, verdict=verdict
            )
        )

    async def find(self, actor: Actor, name: str) -> ReceiptRow:
        """The receipt with this id, or the newest one about a decision with this id."""
        require(actor, Action.RECEIPT_READ)

        def work(tx: Tx) -> ReceiptRow:
            about = receipts.by_decision(tx, actor.in_workspace, name)
            if about:
                return next((r for r in about if r.kind == "decision"), about[-1])
            return receipts.get(tx, actor.in_workspace, name)

        return await self.store.read(work)

    async def of_task(self, actor: Actor, task_id: str) -> Sequence[ReceiptRow]:
        """Receipts about one task, in the order of the log."""
        require(actor, Action.RECEIPT_READ)
        return await self.store.read(lambda tx: receipts.of_task(tx, actor.in_workspace, task_id))

    async def ring(self) -> KeyRing:
        """Every public key the installation ever signed with."""
        return await self.store.read(self.ledger.ring)

    async def checkpoint(self, actor: Actor) -> CheckpointRow:
        """The signed checkpoint of the log as it stands."""
        require(actor, Action.RECEIPT_READ)
        return await self.store.write(lambda tx: self.ledger.checkpoint(tx, actor.in_workspace))

    async def sign_grown_logs(self, *, limit: int = 50) -> int:
        """Sign checkpoints of logs that have grown; how many."""

        def work(tx: Tx) -> int:
            grown = receipts.unsigned_logs(tx, limit=limit)
            for workspace_id in grown:
                self.ledger.checkpoint(tx, workspace_id)
            return len(grown)

        return await self.store.write(work)

    async def inclusion(self, actor: Actor, receipt_id: str) -> Inclusion:
        """A receipt with its audit path to the current checkpoint."""
        require(actor, Action.RECEIPT_READ)
        workspace_id = actor.in_workspace

        def work(tx: Tx) -> Inclusion:
            row = receipts.get(tx, workspace_id, receipt_id)
            checkpoint = self.ledger.checkpoint(tx, workspace_id)
            path = self.ledger.prove(
                tx, workspace_id, lambda nodes: merkle.inclusion_proof(row.idx, checkpoint.size, nodes)
            )
            return Inclusion(
                receipt=row,
                body=parse(row.leaf).body,
                payloads=receipts.payloads_of(tx, workspace_id, row.id),
                path=path,
                checkpoint=checkpoint,
            )

        return await self.store.write(work)

    async def proof_at(self, actor: Actor, index: int, size: int | None) -> tuple[ReceiptRow, Sequence[bytes], int]:
        """The audit path of the receipt at `index` in the tree of `size` receipts (the whole log when None)."""
        require(actor, Action.RECEIPT_READ)
        workspace_id = actor.in_workspace

        def work(tx: Tx) -> tuple[ReceiptRow, Sequence[bytes], int]:
            whole = receipts.head(tx, workspace_id).size
            wanted = whole if size is None else size
            if not 0 <= index < wanted <= whole:
                raise NotFound("the log has no such receipt at that size")
            row = receipts.at(tx, workspace_id, index)
            path = self.ledger.prove(tx, workspace_id, lambda nodes: merkle.inclusion_proof(index, wanted, nodes))
            return row, path, wanted

        return await self.store.read(work)

    async def consistency(self, actor: Actor, old: int, new: int | None) -> tuple[Sequence[bytes], bytes, bytes, int]:
        """The proof that the log of `new` receipts extends the one of `old`; path, both roots, new size."""
        require(actor, Action.RECEIPT_READ)
        workspace_id = actor.in_workspace

        def work(tx: Tx) -> tuple[Sequence[bytes], bytes, bytes, int]:
            whole = receipts.head(tx, workspace_id).size
            size = whole if new is None else new
            if not 0 < old <= size <= whole:
                raise NotFound("the log has no such sizes")
            path, before, after = self.ledger.prove(
                tx,
                workspace_id,
                lambda nodes: (
                    merkle.consistency_proof(old, size, nodes),
                    merkle.root(old, nodes),
                    merkle.root(size, nodes),
                ),
            )
            return path, before, after, size

        return await self.store.read(work)

    async def tile(self, actor: Actor, path: str) -> bytes:
        """The tile or entry bundle at a C2SP path (`tile/0/001`, `tile/entries/000.p/3`).

        NotFound unless the path is one and the log holds all that it names. A partial tile stays
        readable after the log outgrew it: what was in it is in the full one.
        """
        require(actor, Action.RECEIPT_READ)
        workspace_id = actor.in_workspace
        try:
            level, index, width = parse_tile_path(path)
        except BadProof:
            raise NotFound("the log has no such tile") from None

        def work(tx: Tx) -> bytes:
            size = receipts.head(tx, workspace_id).size
            if width > tile_width(level or 0, index, size=size):
                raise NotFound("the log has no such tile")
            if level is None:
                start = index * TILE_WIDTH
                rows = receipts.leaves(tx, workspace_id, start=start, end=start + width)
                return entries_bytes(leaf for _, leaf in rows)
            return tile_bytes(level, index, width=width, get_node=self.ledger.nodes(tx, workspace_id))

        return await self.store.read(work)

    # --- archives ---------------------------------------------------------------------------------

    async def archive(self, actor: Actor, part: Part | None = None) -> BinaryIO:
        """An archive of the whole log, or of a part of it, as an open temporary file.

        NotFound when there is no receipt in it.
        """
        require(actor, Action.RECEIPT_EXPORT)
        workspace_id = actor.in_workspace

        def note(tx: Tx) -> CheckpointRow:
            self.recorder.record(
                tx,
                LedgerExported(
                    workspace_id=workspace_id,
                    actor=actor.principal,
                    task_id=None if part is None else part.task_id,
                    details={} if part is None else part.as_json(),
                ),
            )
            return self.ledger.checkpoint(tx, workspace_id)

        checkpoint = await self.store.write(note)
        return await self.store.read(lambda tx: self._archive(tx, workspace_id, checkpoint, part), long=True)

    def _archive(self, tx: Tx, workspace_id: str, checkpoint: CheckpointRow, part: Part | None) -> BinaryIO:
        wanted = None if part is None else self._places(tx, workspace_id, part, size=checkpoint.size)
        # neighbours share most of their proofs
        nodes = cache(self.ledger.nodes(tx, workspace_id))
        file = cast("BinaryIO", tempfile.TemporaryFile())  # noqa: SIM115 - the caller closes it
        write_archive(
            file,
            self._leaves(tx, workspace_id, checkpoint.size, wanted),
            checkpoint=checkpoint.note,
            keys=self.ledger.ring(tx),
            signer=self.ledger.signer,
            workspace_id=workspace_id,
            pack_id=new_id(),
            created_at=self.now(),
            scope=WHOLE if part is None else part.scope,
            subject=_subject(part, wanted),
            proof=None if wanted is None else lambda index: merkle.inclusion_proof(index, checkpoint.size, nodes),
        )
        file.seek(0)
        return file

    @staticmethod
    def _places(tx: Tx, workspace_id: str, part: Part, *, size: int) -> Sequence[int]:
        """The places in the log of what belongs to a part of it, in their order."""
        if part.task_id is not None:
            return [row.idx for row in _rows_of_task(tx, workspace_id, part.task_id) if row.idx < size]
        found = receipts.places(
            tx,
            workspace_id,
            size=size,
            start=part.start,
            end=part.end,
            since=part.since,
            until=part.until,
        )
        if not found:
            raise NotFound("the log has no receipt in that range")
        return found

    @staticmethod
    def _leaves(tx: Tx, workspace_id: str, size: int, wanted: Sequence[int] | None) -> Iterator[tuple[int, bytes]]:
        places: Sequence[int] = range(size) if wanted is None else wanted
        for at in range(0, len(places), 1000):
            some = places[at : at + 1000]
            if some[-1] - some[0] == len(some) - 1:
                yield from receipts.leaves(tx, workspace_id, start=some[0], end=some[-1] + 1)
            else:
                yield from ((index, receipts.at(tx, workspace_id, index).leaf) for index in some)

    # --- deciding again ---------------------------------------------------------------------------

    async def replay(self, actor: Actor, receipt_id: str | None = None, *, limit: int = 10_000) -> Sequence[Replayed]:
        """Decide again what one receipt (or every kept decision) says was decided, under the policy of then."""
        require(actor, Action.RECEIPT_READ)
        return await self.store.read(
            lambda tx: self.replay_in(tx, actor.in_workspace, receipt_id, limit=limit), long=True
        )

    def replay_in(self, tx: Tx, workspace_id: str, receipt_id: str | None, *, limit: int) -> Sequence[Replayed]:
        """As `replay`, in the caller's transaction."""
        rows = (
            receipts.find(tx, workspace_id, limit=limit, kinds=("decision",))
            if receipt_id is None
            else [receipts.get(tx, workspace_id, receipt_id)]
        )
        results: list[Replayed] = []
        for row in rows:
            given = next((p.body for p in receipts.payloads_of(tx, workspace_id, row.id) if p.kind == "args"), None)
            snapshot = receipts.policy(tx, workspace_id, row.policy_hash)
            facts = None if given is None else orjson.loads(given).get("facts")
            if facts is None or snapshot is None:
                continue
            decision = replay(orjson.loads(snapshot), facts, self.rules)
            results.append(
                Replayed(receipt_id=row.id, tool=row.resource, recorded=row.verdict, replayed=decision.verdict.value)
            )
        return results

    async def proof_graph(self, actor: Actor, task_id: str) -> dict[str, Any]:
        """Request, decisions, approvals, effects and outcome of a task as nodes and edges; NotFound without any."""
        require(actor, Action.RECEIPT_READ)
        workspace_id = actor.in_workspace

        def work(tx: Tx) -> dict[str, Any]:
            rows = _rows_of_task(tx, workspace_id, task_id)
            steps = {
                s.id: s
                for run in runs.of_task(tx, workspace_id, task_id)
                for s in runs.steps_of(tx, workspace_id, run.id)
            }
            nodes: list[dict[str, Any]] = []
            edges: list[dict[str, str]] = []
            last_of: dict[str, str] = {}
            previous: str | None = None
            for row in rows:
                step = steps.get(row.step_id or "")
                nodes.append(
                    {
                        "id": row.id,
                        "index": row.idx,
                        "kind": row.kind,
                        "verdict": row.verdict,
                        "action": row.action,
                        "tool": None if step is None else step.tool,
                        "principal": row.principal,
                        "stepId": row.step_id,
                        "approvalId": row.approval_id,
                        "hash": row.leaf_hash.hex(),
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

        return await self.store.read(work)


def _rows_of_task(tx: Tx, workspace_id: str, task_id: str) -> Sequence[ReceiptRow]:
    """A task leaves a receipt when it is made: what has none is no task of this workspace."""
    found = receipts.of_task(tx, workspace_id, task_id)
    if not found:
        raise NotFound("the log knows no such task")
    return found


def _subject(part: Part | None, wanted: Sequence[int] | None) -> str:
    """Which part of the log it is, as the archive says it."""
    if part is None or not wanted:
        return "" if part is None else part.task_id or ""
    return part.task_id or f"{wanted[0]}-{wanted[-1]}"
