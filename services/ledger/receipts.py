"""Reading the ledger: receipts, proofs, checkpoints, archives, and deciding again."""

import logging
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any, BinaryIO, TypeVar, cast

import orjson

from domain.clock import Now, iso
from domain.errors import NotFound
from domain.evidence.statement import Statement
from domain.identity.actor import Actor
from domain.identity.permissions import Action, require
from domain.ids import new_id
from domain.integrity import Altered
from domain.journal.workspace import LedgerExported
from domain.ledger.rows import CheckpointRow, Payload, ReceiptRow
from domain.policy.replay import replay
from domain.policy.rules import RuleEngine
from domain.receipts import merkle
from domain.receipts.archive import WHOLE, write_archive
from domain.receipts.checkpoint import TILE_WIDTH, entries_bytes, parse_tile_path, tile_bytes, tile_width
from domain.receipts.errors import BadProof, LedgerError, NotCanonical
from domain.receipts.signing import KeyRing
from services.ledger.alarm import Alarm
from services.ledger.append import DamagedLog, Ledger
from services.ledger.log_check import MISSING, LogCheck
from services.ledger.recorder import Recorder
from services.ledger.records import Records
from storage.database import Store
from storage.ledger import checkpoint_rows, log_rows, payload_rows, receipt_rows
from storage.transaction import Tx

T = TypeVar("T")

PIECE = 500

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Inclusion:
    """One receipt with the proof that it is in the log a checkpoint was signed for."""

    receipt: ReceiptRow
    body: dict[str, Any]
    payloads: Sequence[Payload]
    path: Sequence[bytes]
    checkpoint: CheckpointRow


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceiptPage:
    """Receipts newest first, each with what differs of it.

    `missing` are places of the log in between that hold none; `problem` says what is wrong with the log itself.
    """

    receipts: Sequence[ReceiptRow]
    missing: Sequence[int] = ()
    problem: str = ""


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
class LogRange:
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
            grown = [one for one in checkpoint_rows.unsigned_logs(tx, limit=limit) if one not in self.ledger.damaged]
            for workspace_id in grown:
                try:
                    self.ledger.checkpoint(tx, workspace_id)
                except DamagedLog as damage:
                    # it is closed now; the others are not held up
                    log.error("ledger_damaged", extra={"workspace": workspace_id, "why": str(damage)})  # noqa: TRY400
            return len(grown)

        return await self.store.write(work)

    async def inclusion(self, actor: Actor, receipt_id: str) -> Inclusion:
        """A receipt with its audit path to the current checkpoint.

        One that does not hold is shown too: `receipt.differs` says what differs, the path may be empty, and the
        checkpoint is the last one there is. Altered when there is none.
        """
        require(actor, Action.RECEIPT_READ)
        workspace_id = actor.in_workspace

        def work(tx: Tx) -> Inclusion:
            row = receipt_rows.get(tx, workspace_id, receipt_id)
            # before anything new is signed
            row = LogCheck.of(self.ledger, tx, workspace_id).check_whole(row)
            checkpoint = self._checkpoint(tx, workspace_id)
            try:
                path: Sequence[bytes] = self.ledger.prove(
                    tx, workspace_id, lambda nodes: merkle.inclusion_proof(row.idx, checkpoint.size, nodes)
                )
            except (LedgerError, NotFound):
                path = ()
            return Inclusion(
                receipt=row,
                body=shown_body(row),
                payloads=payload_rows.of_receipt(tx, workspace_id, row.id),
                path=path,
                checkpoint=checkpoint,
            )

        found = await self.store.write(work)
        if self.alarm is not None:
            await self.alarm.tell()
        return found

    def _checkpoint(self, tx: Tx, workspace_id: str) -> CheckpointRow:
        """The checkpoint of the log as it stands, or the last one of a log that takes none any more."""
        try:
            return self.ledger.checkpoint(tx, workspace_id)
        except LedgerError as damage:
            last = checkpoint_rows.newest(tx, workspace_id)
            if last is None:
                raise Altered(f"the log does not hold: {damage}", differs=("log",)) from damage
            return last

    async def proof_at(self, actor: Actor, index: int, size: int | None) -> tuple[ReceiptRow, Sequence[bytes], int]:
        """The audit path of the receipt at `index` in the tree of `size` receipts (the whole log when None)."""
        require(actor, Action.RECEIPT_READ)
        workspace_id = actor.in_workspace

        def work(tx: Tx) -> tuple[ReceiptRow, Sequence[bytes], int]:
            whole = log_rows.head(tx, workspace_id).size
            wanted = whole if size is None else size
            if not 0 <= index < wanted <= whole:
                raise NotFound("the log has no such receipt at that size")
            row = receipt_rows.at(tx, workspace_id, index)
            path = self.ledger.prove(tx, workspace_id, lambda nodes: merkle.inclusion_proof(index, wanted, nodes))
            return row, path, wanted

        return await self.store.read(work)

    async def consistency(self, actor: Actor, old: int, new: int | None) -> tuple[Sequence[bytes], bytes, bytes, int]:
        """The proof that the log of `new` receipts extends the one of `old`; path, both roots, new size."""
        require(actor, Action.RECEIPT_READ)
        workspace_id = actor.in_workspace

        def work(tx: Tx) -> tuple[Sequence[bytes], bytes, bytes, int]:
            whole = log_rows.head(tx, workspace_id).size
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
            size = log_rows.head(tx, workspace_id).size
            if width > tile_width(level or 0, index, size=size):
                raise NotFound("the log has no such tile")
            if level is None:
                start = index * TILE_WIDTH
                rows = receipt_rows.leaves(tx, workspace_id, start=start, end=start + width)
                return entries_bytes(leaf for _, leaf in rows)
            return tile_bytes(level, index, width=width, get_node=self.ledger.nodes(tx, workspace_id))

        return await self.store.read(work)

    # --- archives ---------------------------------------------------------------------------------

    async def archive(self, actor: Actor, part: LogRange | None = None) -> BinaryIO:
        """An archive of the whole log, or of a part of it, as an open temporary file.

        NotFound when there is no receipt in it, Altered when what is stored is not what was signed.
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

        try:
            checkpoint = await self.store.write(note)
            return await self.store.read(lambda tx: self._archive(tx, workspace_id, checkpoint, part), long=True)
        except (LedgerError, NotCanonical) as damage:
            # what is not what was signed is not handed out as if it were
            raise Altered(f"the log does not hold, and is not exported: {damage}", differs=("log",)) from damage

    def _archive(self, tx: Tx, workspace_id: str, checkpoint: CheckpointRow, part: LogRange | None) -> BinaryIO:
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
    def _places(tx: Tx, workspace_id: str, part: LogRange, *, size: int) -> Sequence[int]:
        """The places in the log of what belongs to a part of it, in their order."""
        if part.task_id is not None:
            return [row.idx for row in _rows_of_task(tx, workspace_id, part.task_id) if row.idx < size]
        found = receipt_rows.places(
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
                yield from receipt_rows.leaves(tx, workspace_id, start=some[0], end=some[-1] + 1)
            else:
                yield from ((index, receipt_rows.at(tx, workspace_id, index).leaf) for index in some)

    # --- deciding again ---------------------------------------------------------------------------

    async def replay(self, actor: Actor, receipt_id: str | None = None, *, limit: int = 10_000) -> Sequence[Replayed]:
        """Decide again what one receipt (or every kept decision) says was decided, under the policy of then."""
        require(actor, Action.RECEIPT_READ)
        return await self._read(lambda tx: self.replay_in(tx, actor.in_workspace, receipt_id, limit=limit), long=True)

    def replay_in(self, tx: Tx, workspace_id: str, receipt_id: str | None, *, limit: int) -> Sequence[Replayed]:
        """As `replay`, in the caller's transaction."""
        rows = (
            receipt_rows.find(tx, workspace_id, limit=limit, kinds=("decision",))
            if receipt_id is None
            else [receipt_rows.get(tx, workspace_id, receipt_id)]
        )
        records = Records(self.ledger, tx, workspace_id)
        by_id: dict[str, Replayed] = {}
        for at in range(0, len(rows), PIECE):
            for said in records.statements(rows[at : at + PIECE], signatures=receipt_id is not None):
                found = self._replay(records, said)
                if found is not None:
                    by_id[said.id] = found
        return [by_id[row.id] for row in rows if row.id in by_id]

    def _replay(self, records: Records, said: Statement) -> Replayed | None:
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

    async def proof_graph(self, actor: Actor, task_id: str) -> dict[str, Any]:
        """Request, decisions, approvals, effects and outcome of a task as nodes and edges; NotFound without any."""
        require(actor, Action.RECEIPT_READ)
        workspace_id = actor.in_workspace

        def work(tx: Tx) -> dict[str, Any]:
            rows = _rows_of_task(tx, workspace_id, task_id)
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


def _rows_of_task(tx: Tx, workspace_id: str, task_id: str) -> Sequence[ReceiptRow]:
    """A task leaves a receipt when it is made: what has none is no task of this workspace."""
    found = receipt_rows.of_task(tx, workspace_id, task_id)
    if not found:
        raise NotFound("the log knows no such task")
    return found


def _subject(part: LogRange | None, wanted: Sequence[int] | None) -> str:
    """Which part of the log it is, as the archive says it."""
    if part is None or not wanted:
        return "" if part is None else part.task_id or ""
    return part.task_id or f"{wanted[0]}-{wanted[-1]}"
