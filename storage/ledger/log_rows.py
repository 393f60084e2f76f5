"""The log of each workspace: its head, its lock, appending to it, and the hashes its proofs need."""

from collections.abc import Collection, Sequence
from functools import cache

import sqlalchemy as sa

from domain.errors import NotFound
from domain.ledger.rows import LogHead, Payload, ReceiptRow
from storage.ledger import receipt_rows, signing_key_rows
from storage.prepared import Prepared
from storage.tables import log_heads, log_nodes, payloads, receipts, signing_keys
from storage.transaction import Tx
from storage.values import columns_of

HEAD_COLUMNS = columns_of(log_heads, LogHead)
_head = Prepared(sa.select(*HEAD_COLUMNS).where(log_heads.c.workspace_id == sa.bindparam("ws")))
_head_locked = Prepared(
    sa.select(*HEAD_COLUMNS).where(log_heads.c.workspace_id == sa.bindparam("ws")).with_for_update()
)

_insert = Prepared(sa.insert(receipts).values({c.name: sa.bindparam(c.name) for c in receipt_rows.COLUMNS}))
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
    parts = [
        sa.insert(receipts).values(
            {c.name: sa.bindparam(f"receipt_{c.name}", type_=c.type) for c in receipt_rows.COLUMNS}
        )
    ]
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
    receipt = {c.name: getattr(row, c.name) for c in receipt_rows.COLUMNS}
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
        if signing_key_rows.is_retired(tx, key_id):
            return False
        raise RuntimeError("the log moved under a locked append")
    tx.shared_memo[f"log head:{row.workspace_id}"] = new
    return True


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


def logs(tx: Tx) -> Sequence[str]:
    """Every workspace that has a log."""
    return [row[0] for row in tx.all(sa.select(log_heads.c.workspace_id))]
