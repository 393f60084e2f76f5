"""What can be proved, and how fast: a decision, a proof out of a long log, an archive verified by another process."""

import asyncio
import gc
import hashlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from connectors.cel import CelRules
from domain.clock import utc_now
from domain.ids import new_id
from domain.policy.decide import decide
from domain.policy.effective import effective
from domain.policy.facts import CallFacts
from domain.policy.settings_schema import load
from domain.receipts import merkle
from domain.receipts.archive import standalone_source, write_archive
from domain.receipts.checkpoint import Checkpoint, sign_checkpoint
from domain.receipts.receipt import build
from domain.receipts.signing import KeyRing, Signer
from services.ledger.append import Ledger
from storage.database import Store
from storage.ledger import log_rows
from storage.tables import log_heads, log_nodes
from storage.tables import receipts as receipt_table
from storage.transaction import Tx
from tests.databases import fresh_url

ROOT = Path(__file__).resolve().parent.parent
Row = dict[str, Any]
RULES = (
    "input.tool == 'shell.run'",
    "input.effect > 3",
    "has(input.args.url) && input.args.url.startsWith('http://')",
    "has(input.args.to) && input.args.to.endsWith('@gmail.com')",
    "input.day_spent > 400000000 && input.effect >= 2",
)
PIECE = 20_000


def _row(what: str, figure: float, unit: str, target: str, **more: Any) -> Row:
    return {"what": what, "figure": round(figure, 3), "unit": unit, "target": target, **more}


def text(rows: Sequence[Row]) -> str:
    """The rows as lines."""
    return "\n".join(
        f"{row['what']:58}{row['figure']:>10.3f} {row['unit']:4} aimed at {row['target']:10}"
        + " ".join(f"{name} {value}" for name, value in row.items() if name not in ("what", "figure", "unit", "target"))
        for row in rows
    )


# --- a decision -----------------------------------------------------------------------------------


def decision(count: int = 20_000) -> Row:
    """Core checks and 20 CEL rules, about calls whose arguments differ."""
    rules = [
        {"id": f"r{n}", "when": f"{RULES[n % len(RULES)]} && input.iteration < {1000 + n}", "verdict": "DENY"}
        for n in range(20)
    ]
    policy = effective(load({"rules": rules, "toolBlocklist": ["shell.*"], "contentBans": ["secret plan"]}, {}, {}))
    name, engine = policy.policy_hash, CelRules()
    calls = [
        CallFacts(
            tool="http.post",
            effect=2,
            args={"url": f"https://example.com/{n}", "json": {"title": f"note {n}", "tags": ["a", "b"]}},
            mode="build",
            task_id="t",
            operator_id="o",
            at="2026-06-01T12:30:00.000Z",
        )
        for n in range(64)
    ]
    assert decide(policy, calls[0], engine, policy_hash=name).verdict.value == "ALLOW"
    took: list[int] = []
    gc.disable()
    for n in range(count):
        began = time.perf_counter_ns()
        decide(policy, calls[n % 64], engine, policy_hash=name)
        took.append(time.perf_counter_ns() - began)
    gc.enable()
    took.sort()
    p50, p99 = took[count // 2] / 1000, took[int(count * 0.99)] / 1000
    return _row("decision, core checks and 20 CEL rules, p50", p50, "us", "60", p99=round(p99, 1))


# --- a proof out of a long log --------------------------------------------------------------------


def _levels(size: int) -> list[list[bytes]]:
    """Every complete subtree of a log of `size` leaves, level by level."""
    level = [merkle.leaf_hash(b"receipt %d" % n) for n in range(size)]
    found = [level]
    while len(level) > 1:
        level = [merkle.node_hash(level[n], level[n + 1]) for n in range(0, len(level) - 1, 2)]
        found.append(level)
    return found


def _fill(tx: Tx, workspace_id: str, levels: list[list[bytes]], *, start: int) -> None:
    """One piece of the log, straight into its tables."""
    size, now = len(levels[0]), utc_now()
    end = min(start + PIECE, size)
    plain = dict.fromkeys((c.name for c in receipt_table.c), "")
    nothing = dict.fromkeys(("task_id", "run_id", "step_id", "approval_id"))
    tx.execute(
        sa.insert(receipt_table),
        [
            plain
            | nothing
            | {
                "workspace_id": workspace_id,
                "idx": n,
                "id": f"r{n}",
                "decision_id": f"d{n}",
                "leaf": b"receipt %d" % n,
                "leaf_hash": levels[0][n],
                "created_at": now,
            }
            for n in range(start, end)
        ],
    )
    nodes = [
        {"workspace_id": workspace_id, "level": level, "idx": n, "hash": hashes[n]}
        for level, hashes in enumerate(levels)
        if level
        for n in range(start >> level, min(end >> level, len(hashes)))
    ]
    if nodes:
        tx.execute(sa.insert(log_nodes), nodes)


async def inclusion(kind: str, folder: Path, size: int, count: int = 400) -> Row:
    """From the request to the path: the head, and every hash of the path, read from the store."""
    store = Store(await asyncio.to_thread(fresh_url, kind, folder))
    workspace_id = new_id()
    levels = _levels(size)
    frontier = merkle.Frontier.load(size, lambda level, index: levels[level][index])
    try:
        for start in range(0, size, PIECE):
            await store.write(lambda tx, start=start: _fill(tx, workspace_id, levels, start=start))
        head = {
            "workspace_id": workspace_id,
            "size": size,
            "chain_hash": "",
            "lamport": size,
            "frontier": frontier.to_bytes(),
        }
        await store.write(lambda tx: tx.execute(sa.insert(log_heads).values(**head)))
        root = frontier.root()

        def proof(tx: Tx, index: int) -> Sequence[bytes]:
            whole = log_rows.head(tx, workspace_id).size
            return Ledger.prove(tx, workspace_id, lambda nodes: merkle.inclusion_proof(index, whole, nodes))

        took: list[float] = []
        for n in range(count):
            index = n * 7919 * (size // count) % size
            began = time.perf_counter()
            path = await store.read(lambda tx, index=index: proof(tx, index))
            took.append(time.perf_counter() - began)
            merkle.verify_inclusion(leaf=levels[0][index], index=index, size=size, path=path, root_hash=root)
    finally:
        await store.close()
    took.sort()
    p50, p99 = took[count // 2] * 1000, took[int(count * 0.99)] * 1000
    return _row(f"inclusion proof, {kind}, log of {size:,}, p50", p50, "ms", "5", p99=round(p99, 2))


# --- an archive verified --------------------------------------------------------------------------


def _receipts(signer: Signer, workspace_id: str, frontier: list[merkle.Frontier], count: int) -> Iterator[bytes]:
    """The leaves of a log of real receipts; `frontier[0]` follows them."""
    began, last = datetime(2026, 1, 1, tzinfo=UTC), ""
    for n in range(count):
        receipt = build(
            signer=signer,
            workspace_id=workspace_id,
            kind="decision",
            receipt_id=f"0198f0a2-0000-7000-8000-{n:012x}",
            session_id=workspace_id,
            prev_hash=last,
            lamport_clock=n + 1,
            timestamp=began + timedelta(milliseconds=n),
            executor_id="operator:bench",
            status="decided",
            decision_id=f"0198f0a2-0000-7000-9000-{n:012x}",
            effect_id="E2",
            verdict="ALLOW",
            reason_code="",
            args_hash=hashlib.sha256(b"%d" % n).hexdigest(),
            output_hash="",
            policy_hash=hashlib.sha256(b"policy").hexdigest(),
            metadata={"action": "tool:decided", "resource": "note.create", "principal": "operator:bench"},
        )
        last = receipt.chain_hash
        frontier[0], _ = frontier[0].append(receipt.leaf_hash)
        yield receipt.leaf


def make_archive(path: Path, count: int) -> None:
    """An archive of a whole log of `count` receipts, each really signed and chained."""
    signer, workspace_id = Signer(os.urandom(32)), new_id()
    frontier = [merkle.Frontier()]
    leaves = list(_receipts(signer, workspace_id, frontier, count))
    head = Checkpoint(f"bench/pilot/{workspace_id}", count, frontier[0].root())
    with path.open("wb") as out:
        write_archive(
            out,
            enumerate(leaves),
            checkpoint=sign_checkpoint(head, signers=(signer,)),
            keys=KeyRing([signer.record(not_before=datetime(2025, 1, 1, tzinfo=UTC))]),
            signer=signer,
            workspace_id=workspace_id,
            pack_id=new_id(),
            created_at=utc_now(),
        )


# A process counts the memory of the one it was made by as its own peak: so a small one makes it.
_LAUNCHER = """
import json, os, sys, time
began = time.perf_counter()
files = [(os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0)]
pid = os.posix_spawn(sys.argv[1], sys.argv[1:], os.environ, file_actions=files)
_, status, used = os.wait4(pid, 0)
code = os.waitstatus_to_exitcode(status)
print(json.dumps([time.perf_counter() - began, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024, code]))
"""


def _measured(*command: str) -> tuple[float, float, float]:
    """Seconds, seconds of the processor, and peak memory in MB of a Python process that must end well."""
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", _LAUNCHER, sys.executable, *command],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    )
    seconds, busy, memory, code = json.loads(done.stdout)
    if code != 0:
        raise SystemExit(f"{' '.join(command)} ended with {code}: {done.stderr[-500:]}")
    return seconds, busy, memory


def verification(folder: Path, count: int) -> list[Row]:
    """`pilot verify`, and the archive's own program with and without the package that verifies fast."""
    archive, program = folder / "archive.tar.gz", folder / "verify.py"
    # in a process of its own, so that this one's memory is not inherited
    _measured("-m", "bench.proofs", str(archive), str(count))
    program.write_bytes(standalone_source())
    rows = []
    for name, command in (
        ("pilot verify", ("-m", "app", "verify", str(archive), "--json")),
        ("verify.py, with the package cryptography", (str(program), str(archive))),
        ("verify.py, Python's standard library alone", ("-I", "-S", str(program), str(archive))),
    ):
        seconds, busy, memory = _measured(*command)
        rows.append(
            _row(
                f"{name}, {count:,} receipts",
                seconds,
                "s",
                f"{60 * count / 100_000:g}",
                processor_s=round(busy, 1),
                peak_mb=round(memory, 1),
                archive_mb=round(archive.stat().st_size / 1e6, 1),
            )
        )
    return rows


async def measure(*, log_size: int, receipts: int, postgres: bool) -> list[Row]:
    """Every row."""
    rows = [await asyncio.to_thread(decision)]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        rows += [
            await inclusion(kind, folder, log_size) for kind in (("sqlite", "postgres") if postgres else ("sqlite",))
        ]
        rows += await asyncio.to_thread(verification, folder, receipts)
    return rows


if __name__ == "__main__":
    make_archive(Path(sys.argv[1]), int(sys.argv[2]))
