"""All SQL of the ledger: the log of each workspace, append only, and what its proofs need."""

from collections.abc import Collection, Iterator, Sequence
from datetime import datetime
from functools import cache
from typing import Any

import orjson
import sqlalchemy as sa

from domain.errors import NotFound
from domain.ledger.rows import CheckpointRow, KeyRow, LogHead, Payload, ReceiptRow
from domain.receipts.merkle import leaf_hash
from domain.receipts.stored import UNREADABLE, KeptPayload, columns_said
from storage.prepared import Prepared
from storage.tables import IS_RARE, checkpoints, log_heads, log_nodes, payloads, policies, receipts, signing_keys
from storage.transaction import Tx
from storage.values import columns_of, to_value

HEAD_COLUMNS = columns_of(log_heads, LogHead)
COLUMNS = columns_of(receipts, ReceiptRow)
_NAMES = tuple(c.name for c in COLUMNS)
_KEYS = ("workspace_id", "idx", "id")


def _as_bytes(value: object) -> bytes:
    """Return a stored value as bytes. SQLite keeps what it is given: somebody else may have put text there."""
    return value.encode("utf-8", "surrogateescape") if isinstance(value, str) else bytes(value)  # type: ignore[call-overload]


def _receipt(row: Any) -> ReceiptRow:
    """The receipt a row of COLUMNS holds: the one place where columns are held against the signed bytes."""
    stored = dict(zip(_NAMES, row, strict=True))
    leaf = _as_bytes(stored["leaf"])
    said = columns_said(leaf)
    if said is None:
        return ReceiptRow(**{**stored, "leaf": leaf, "leaf_hash": leaf_hash(leaf)}, differs=(UNREADABLE,))
    said |= {"leaf": leaf, "leaf_hash": leaf_hash(leaf)}
    differs = tuple(name for name in _NAMES if stored[name] != said[name])
    return ReceiptRow(**said | {name: stored[name] for name in _KEYS}, differs=differs)


_head = Prepared(sa.select(*HEAD_COLUMNS).where(log_heads.c.workspace_id == sa.bindparam("ws")))
_head_locked = Prepared(
    sa.select(*HEAD_COLUMNS).where(log_heads.c.workspace_id == sa.bindparam("ws")).with_for_update()
)
_insert = Prepared(sa.insert(receipts).values({c.name: sa.bindparam(c.name) for c in COLUMNS}))
_PAYLOAD_COLUMNS = ("workspace_id", "receipt_id", "kind", "salt", "body")
_insert_node = Prepared(sa.insert(log_nodes).values({c.name: sa.bindparam(c.name) for c in log_nodes.c}))
_insert_payload = Prepared(sa.insert(payloads).values({name: sa.bindparam(name) for name in _PAYLOAD_COLUMNS}))
_leaf = Prepared(
    sa.select(receipts.c.leaf_hash).where(
        receipts.c.workspace_id == sa.bindparam("ws"), receipts.c.idx == sa.bindparam("idx")
    )
)
_node = Prepared(
    sa.select(log_nodes.c.hash).where(
        log_nodes.c.workspace_id == sa.bindparam("ws"),
        log_nodes.c.level == sa.bindparam("level"),
        log_nodes.c.idx == sa.bindparam("idx"),
    )
)
_update_head = (
    sa.update(log_heads)
    .where(
        log_heads.c.workspace_id == sa.bindparam("ws"),
        log_heads.c.size == sa.bindparam("old_size"),
        # a process that has not heard of a rotation yet moves no log any more
        ~sa.exists().where(signing_keys.c.key_id == sa.bindparam("key"), signing_keys.c.retired_at.is_not(None)),
    )
    .values(
        size=sa.bindparam("size"),
        chain_hash=sa.bindparam("chain_hash"),
        lamport=sa.bindparam("lamport"),
        frontier=sa.bindparam("frontier"),
    )
)
_move_head = Prepared(_update_head)


@cache
def _append_at_once(payload_count: int, node_count: int) -> Prepared:
    """Everything of an append in one statement, one round trip, for Postgres. Names end with the row's number."""
    parts = [sa.insert(receipts).values({c.name: sa.bindparam(f"receipt_{c.name}", type_=c.type) for c in COLUMNS})]
    for table, names, count in (
        (payloads, _PAYLOAD_COLUMNS, payload_count),
        (log_nodes, [c.name for c in log_nodes.c], node_count),
    ):
        parts += [
            sa.insert(table).values(
                {n: sa.bindparam(f"{table.name}_{n}_{number}", type_=table.c[n].type) for n in names}
            )
            for number in range(count)
        ]
    return Prepared(_update_head.add_cte(*(part.cte(f"part_{number}") for number, part in enumerate(parts))))


def head(tx: Tx, workspace_id: str, *, lock: bool = False) -> LogHead:
    """Where the workspace's log ends; an empty log where there is none yet.

    With `lock` it is read once a transaction: nobody else can move it then.
    """
    key = f"log head:{workspace_id}"
    if lock and key in tx.shared_memo:
        known: LogHead = tx.shared_memo[key]
        return known
    statement = _head_locked if lock and tx.postgres else _head
    row = statement(tx, ws=workspace_id).fetchone()
    if row is None and lock:
        empty = {"workspace_id": workspace_id, "size": 0, "chain_hash": "", "lamport": 0, "frontier": b""}
        tx.insert_if_absent(log_heads, empty, key=("workspace_id",))
        row = statement(tx, ws=workspace_id).fetchone()
    if row is None:
        return LogHead(workspace_id=workspace_id, size=0, chain_hash="", lamport=0, frontier=b"")
    found = LogHead(workspace_id=row[0], size=row[1], chain_hash=row[2], lamport=row[3], frontier=bytes(row[4]))
    if lock:
        tx.shared_memo[key] = found
    return found


def lock(tx: Tx, workspace_id: str) -> None:
    """Take the workspace's log before anything else of it.

    Everything that is recorded locks the head of the log and the number of the last event. Taken always in this
    order, and before rows that several units of one workspace write, two units wait for each other instead of
    deadlocking. SQLite's writers are alone anyway.
    """
    if tx.postgres:
        head(tx, workspace_id, lock=True)


def append(
    tx: Tx,
    row: ReceiptRow,
    *,
    old: LogHead,
    new: LogHead,
    nodes: Sequence[tuple[int, int, bytes]],
    key_id: str,
    hashed: Sequence[Payload] = (),
) -> bool:
    """Add a receipt with what it only hashes, and move the head.

    False, and to be rolled back, when the key it is signed with was retired. Leaf hashes live in
    the receipts, so of `nodes` those above level 0 are kept.
    """
    receipt = {c.name: getattr(row, c.name) for c in COLUMNS}
    bodies = [{name: getattr(payload, name) for name in _PAYLOAD_COLUMNS} for payload in hashed]
    above = [
        {"workspace_id": row.workspace_id, "level": level, "idx": index, "hash": digest}
        for level, index, digest in nodes
        if level > 0
    ]
    move = {
        "ws": row.workspace_id,
        "old_size": old.size,
        "size": new.size,
        "chain_hash": new.chain_hash,
        "lamport": new.lamport,
        "frontier": new.frontier,
        "key": key_id,
    }
    if tx.postgres:
        named = {f"receipt_{name}": value for name, value in receipt.items()}
        for table, rows in ((payloads, bodies), (log_nodes, above)):
            for number, values in enumerate(rows):
                named |= {f"{table.name}_{name}_{number}": value for name, value in values.items()}
        moved = _append_at_once(len(bodies), len(above))(tx, **named, **move)
    else:
        for values in bodies:
            _insert_payload(tx, **values)
        _insert(tx, **receipt)
        for values in above:
            _insert_node(tx, **values)
        moved = _move_head(tx, **move)
    if moved.rowcount != 1:
        if is_retired(tx, key_id):
            return False
        raise RuntimeError("the log moved under a locked append")
    tx.shared_memo[f"log head:{row.workspace_id}"] = new
    return True


def payloads_of(tx: Tx, workspace_id: str, receipt_id: str) -> Sequence[Payload]:
    """What a receipt hashes, as far as it was not erased."""
    query = sa.select(*columns_of(payloads, Payload)).where(
        payloads.c.workspace_id == workspace_id, payloads.c.receipt_id == receipt_id
    )
    return [to_value(Payload, row) for row in tx.all(query)]


def kept_payloads(tx: Tx, workspace_id: str, receipt_ids: Sequence[str]) -> dict[str, list[KeptPayload]]:
    """What each of these receipts hashes, as far as the store has it, by the receipt's id."""
    found: dict[str, list[KeptPayload]] = {receipt_id: [] for receipt_id in receipt_ids}
    c = payloads.c
    for at in range(0, len(receipt_ids), 500):
        some = list(receipt_ids[at : at + 500])
        query = sa.select(c.receipt_id, c.kind, c.salt, c.body, c.erased_at).where(
            c.workspace_id == workspace_id, c.receipt_id.in_(some)
        )
        for row in tx.all(query):
            found[row[0]].append(KeptPayload(kind=row[1], salt=row[2], body=row[3], erased_at=row[4]))
    return found


def erase_payloads(tx: Tx, workspace_id: str, *, now: datetime, receipt_ids: Sequence[str] | None = None) -> int:
    """Blank payloads (all of the workspace, or of some receipts); the log stays whole. How many."""
    query = sa.update(payloads).where(payloads.c.workspace_id == workspace_id, payloads.c.erased_at.is_(None))
    if receipt_ids is not None:
        query = query.where(payloads.c.receipt_id.in_(list(receipt_ids)))
    return tx.execute(query.values(body=None, salt="", erased_at=now)).rowcount


def get(tx: Tx, workspace_id: str, receipt_id: str) -> ReceiptRow:
    """One receipt by its id."""
    row = tx.one(sa.select(*COLUMNS).where(receipts.c.workspace_id == workspace_id, receipts.c.id == receipt_id))
    if row is None:
        raise NotFound("Receipt not found")
    return _receipt(row)


def at(tx: Tx, workspace_id: str, idx: int) -> ReceiptRow:
    """One receipt by its place in the log."""
    row = tx.one(sa.select(*COLUMNS).where(receipts.c.workspace_id == workspace_id, receipts.c.idx == idx))
    if row is None:
        raise NotFound("Receipt not found")
    return _receipt(row)


def by_decision(tx: Tx, workspace_id: str, decision_id: str) -> Sequence[ReceiptRow]:
    """Receipts about one decision, in the order of the log."""
    query = (
        sa.select(*COLUMNS)
        .where(receipts.c.workspace_id == workspace_id, receipts.c.decision_id == decision_id)
        .order_by(receipts.c.idx)
    )
    return [_receipt(row) for row in tx.all(query)]


def by_decisions(tx: Tx, workspace_id: str, decision_ids: Sequence[str]) -> Sequence[ReceiptRow]:
    """Receipts about any of these decisions, in the order of the log."""
    return _in(tx, workspace_id, receipts.c.decision_id, decision_ids)


def by_ids(tx: Tx, workspace_id: str, receipt_ids: Sequence[str]) -> Sequence[ReceiptRow]:
    """Those of these receipts that there are, in the order of the log."""
    return _in(tx, workspace_id, receipts.c.id, receipt_ids)


def _in(tx: Tx, workspace_id: str, column: sa.Column[str], values: Sequence[str]) -> Sequence[ReceiptRow]:
    found: list[ReceiptRow] = []
    for at in range(0, len(values), 500):
        query = sa.select(*COLUMNS).where(receipts.c.workspace_id == workspace_id, column.in_(values[at : at + 500]))
        found += [_receipt(row) for row in tx.all(query)]
    return sorted(found, key=lambda row: row.idx)


def decisions_about(tx: Tx, workspace_id: str, *, resource: str, after: int, limit: int = 200) -> Iterator[ReceiptRow]:
    """Decisions about a tool, later than this place, newest first, read piece by piece."""
    c = receipts.c
    before: int | None = None
    while True:
        query = sa.select(*COLUMNS).where(
            c.workspace_id == workspace_id, c.idx > after, c.kind == "decision", c.resource == resource[:200]
        )
        if before is not None:
            query = query.where(c.idx < before)
        page = [_receipt(row) for row in tx.all(query.order_by(c.idx.desc()).limit(limit))]
        yield from (row for row in page if UNREADABLE not in row.differs)
        if len(page) < limit:
            return
        before = page[-1].idx


def of_task(tx: Tx, workspace_id: str, task_id: str) -> Sequence[ReceiptRow]:
    """Receipts about one task, in the order of the log."""
    query = (
        sa.select(*COLUMNS)
        .where(receipts.c.workspace_id == workspace_id, receipts.c.task_id == task_id)
        .order_by(receipts.c.idx)
    )
    return [_receipt(row) for row in tx.all(query)]


def newest_with_hash(tx: Tx, workspace_id: str, prefix: str, *, among: int) -> ReceiptRow | None:
    """The newest of the last `among` receipts whose leaf's hash begins with these hex digits."""
    c = receipts.c
    query = sa.select(c.idx, c.leaf_hash).where(c.workspace_id == workspace_id).order_by(c.idx.desc()).limit(among)
    index = next((row[0] for row in tx.all(query) if bytes(row[1]).hex().startswith(prefix)), None)
    return None if index is None else at(tx, workspace_id, index)


def of_run(tx: Tx, workspace_id: str, task_id: str, run_id: str) -> Sequence[ReceiptRow]:
    """Receipts about one run of a task, in the order of the log."""
    c = receipts.c
    query = sa.select(*COLUMNS).where(c.workspace_id == workspace_id, c.task_id == task_id, c.run_id == run_id)
    return [_receipt(row) for row in tx.all(query.order_by(c.idx))]


def find(
    tx: Tx,
    workspace_id: str,
    *,
    limit: int,
    kinds: Sequence[str] = (),
    verdict: str | None = None,
    before_idx: int | None = None,
    before: datetime | None = None,
) -> Sequence[ReceiptRow]:
    """Receipts of the workspace, newest first."""
    c = receipts.c
    query = sa.select(*COLUMNS).where(c.workspace_id == workspace_id)
    if kinds:
        query = query.where(c.kind.in_(list(kinds)))
    if verdict is not None:
        query = query.where(c.verdict == verdict)
    if before_idx is not None:
        query = query.where(c.idx < before_idx)
    if before is not None:
        query = query.where(c.created_at < before)
    return [_receipt(row) for row in tx.all(query.order_by(c.idx.desc()).limit(limit))]


def body_of(row: ReceiptRow) -> dict[str, Any]:
    """What the signed bytes of a receipt say. Check `differs` first: nothing is checked here."""
    body: dict[str, Any] = orjson.loads(row.leaf)
    return body


def newest_about(
    tx: Tx,
    workspace_id: str,
    *,
    actions: Sequence[str],
    resource: str | None = None,
    limit: int,
    before_idx: int | None = None,
) -> Sequence[ReceiptRow]:
    """The newest receipts of rare actions (`storage.tables.RARE`), newest first; with `resource` only about that."""
    c = receipts.c
    query = sa.select(*COLUMNS).where(c.workspace_id == workspace_id, sa.text(IS_RARE), c.action.in_(list(actions)))
    if resource is not None:
        query = query.where(c.resource == resource)
    if before_idx is not None:
        query = query.where(c.idx < before_idx)
    return [_receipt(row) for row in tx.all(query.order_by(c.idx.desc()).limit(limit))]


def leaves(tx: Tx, workspace_id: str, *, start: int, end: int) -> Sequence[tuple[int, bytes]]:
    """Index and exact bytes of the receipts from `start` (inclusive) to `end` (exclusive)."""
    query = (
        sa.select(receipts.c.idx, receipts.c.leaf)
        .where(receipts.c.workspace_id == workspace_id, receipts.c.idx >= start, receipts.c.idx < end)
        .order_by(receipts.c.idx)
    )
    return [(int(row[0]), _as_bytes(row[1])) for row in tx.all(query)]


def places(
    tx: Tx,
    workspace_id: str,
    *,
    size: int,
    start: int = 0,
    end: int | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
) -> Sequence[int]:
    """The indices, below `size`, of receipts within these places and times; `end` and `until` are exclusive."""
    c = receipts.c
    last = size if end is None else min(end, size)
    query = sa.select(c.idx).where(c.workspace_id == workspace_id, c.idx >= start, c.idx < last)
    if since is not None:
        query = query.where(c.created_at >= since)
    if until is not None:
        query = query.where(c.created_at < until)
    return [int(row[0]) for row in tx.all(query.order_by(c.idx))]


def rows_between(tx: Tx, workspace_id: str, *, start: int, end: int) -> Sequence[ReceiptRow]:
    """The receipts from `start` (inclusive) to `end` (exclusive), in their order."""
    c = receipts.c
    query = sa.select(*COLUMNS).where(c.workspace_id == workspace_id, c.idx >= start, c.idx < end).order_by(c.idx)
    return [_receipt(row) for row in tx.all(query)]


def nodes_between(tx: Tx, workspace_id: str, *, start: int, end: int) -> dict[tuple[int, int], bytes]:
    """Stored hashes, by level and index, of the subtrees that the receipts from `start` to `end` complete."""
    c = log_nodes.c
    # the subtree `idx` of a level is complete with receipt ((idx + 1) << level) - 1
    parts = [
        sa.and_(c.level == level, c.idx >= start >> level, c.idx < end >> level) for level in range(1, end.bit_length())
    ]
    if not parts:
        return {}
    query = sa.select(c.level, c.idx, c.hash).where(c.workspace_id == workspace_id, sa.or_(*parts))
    return {(int(row[0]), int(row[1])): bytes(row[2]) for row in tx.all(query)}


def node(tx: Tx, workspace_id: str, level: int, index: int) -> bytes:
    """The hash of a complete subtree of the workspace's log."""
    found = _leaf(tx, ws=workspace_id, idx=index) if level == 0 else _node(tx, ws=workspace_id, level=level, idx=index)
    row = found.fetchone()
    if row is None:
        raise NotFound("no such node of the log")
    return bytes(row[0])


def nodes_at(tx: Tx, workspace_id: str, wanted: Collection[tuple[int, int]]) -> dict[tuple[int, int], bytes]:
    """The hashes of complete subtrees by (level, index), read together; NotFound when one is missing."""
    if not tx.postgres:
        # nothing is far away there, and the bare cursor is the fastest
        return {place: node(tx, workspace_id, *place) for place in wanted}
    leaves = {index for level, index in wanted if level == 0}
    above = {place for place in wanted if place[0] > 0}
    c, n = receipts.c, log_nodes.c
    bottom = sa.select(c.idx, c.leaf_hash).where(c.workspace_id == workspace_id, c.idx.in_(sorted(leaves)))
    places = sa.tuple_(n.level, n.idx).in_(sorted(above))
    higher = sa.select(n.level, n.idx, n.hash).where(n.workspace_id == workspace_id, places)
    found = {(0, int(row[0])): bytes(row[1]) for row in (tx.all(bottom) if leaves else ())}
    found |= {(int(row[0]), int(row[1])): bytes(row[2]) for row in (tx.all(higher) if above else ())}
    if len(found) != len(leaves) + len(above):
        raise NotFound("no such node of the log")
    return found


# --- checkpoints and keys -------------------------------------------------------------------------


def newest_checkpoint(tx: Tx, workspace_id: str) -> CheckpointRow | None:
    """The largest checkpoint signed so far."""
    query = (
        sa.select(*columns_of(checkpoints, CheckpointRow))
        .where(checkpoints.c.workspace_id == workspace_id)
        .order_by(checkpoints.c.size.desc())
        .limit(1)
    )
    row = tx.one(query)
    return None if row is None else to_value(CheckpointRow, row)


def add_checkpoint(tx: Tx, row: CheckpointRow) -> None:
    """Keep a signed checkpoint; one a size."""
    tx.insert_if_absent(
        checkpoints,
        {c.name: getattr(row, c.name) for c in columns_of(checkpoints, CheckpointRow)},
        key=("workspace_id", "size"),
    )


def unsigned_logs(tx: Tx, *, limit: int) -> Sequence[str]:
    """Workspaces whose log has grown since its last checkpoint."""
    last = (
        sa.select(checkpoints.c.workspace_id, sa.func.max(checkpoints.c.size).label("size"))
        .group_by(checkpoints.c.workspace_id)
        .subquery()
    )
    query = (
        sa.select(log_heads.c.workspace_id)
        .outerjoin(last, last.c.workspace_id == log_heads.c.workspace_id)
        .where(log_heads.c.size > sa.func.coalesce(last.c.size, 0))
        .limit(limit)
    )
    return [row[0] for row in tx.all(query)]


def logs(tx: Tx) -> Sequence[str]:
    """Every workspace that has a log."""
    return [row[0] for row in tx.all(sa.select(log_heads.c.workspace_id))]


def keys(tx: Tx) -> Sequence[KeyRow]:
    """Every key the installation ever signed with, oldest first."""
    query = sa.select(*columns_of(signing_keys, KeyRow)).order_by(signing_keys.c.not_before)
    return [to_value(KeyRow, row) for row in tx.all(query)]


def add_key(tx: Tx, row: KeyRow) -> bool:
    """Make a key known; False when it was."""
    values = {c.name: getattr(row, c.name) for c in columns_of(signing_keys, KeyRow)}
    return tx.insert_if_absent(signing_keys, values, key=("key_id",))


def retire_key(tx: Tx, key_id: str, *, at_time: datetime) -> None:
    """Signatures of this key count only up to now."""
    tx.execute(
        sa.update(signing_keys)
        .where(signing_keys.c.key_id == key_id, signing_keys.c.retired_at.is_(None))
        .values(retired_at=at_time)
    )


def knows_key(tx: Tx, key_id: str) -> bool:
    """Whether this key is one of the installation's; False in a store that has no tables yet."""
    if not sa.inspect(tx.connection).has_table(signing_keys.name):
        return False
    return tx.scalar(sa.select(signing_keys.c.key_id).where(signing_keys.c.key_id == key_id)) is not None


def is_retired(tx: Tx, key_id: str) -> bool:
    """Whether nothing may be signed with this key any more."""
    query = sa.select(signing_keys.c.retired_at).where(signing_keys.c.key_id == key_id)
    return tx.scalar(query) is not None


# --- policy snapshots -----------------------------------------------------------------------------


def keep_policy(tx: Tx, *, workspace_id: str, policy_hash: str, snapshot: str, now: datetime) -> None:
    """Keep an effective policy by its hash, so that decisions under it can be replayed."""
    tx.insert_if_absent(
        policies,
        {"workspace_id": workspace_id, "policy_hash": policy_hash, "snapshot": snapshot, "created_at": now},
        key=("workspace_id", "policy_hash"),
    )


def policy(tx: Tx, workspace_id: str, policy_hash: str) -> str | None:
    """The snapshot of an effective policy (canonical JSON), None when it was never in force here."""
    found: Any = tx.scalar(
        sa.select(policies.c.snapshot).where(
            policies.c.workspace_id == workspace_id, policies.c.policy_hash == policy_hash
        )
    )
    return None if found is None else str(found)
