"""The figures inside the process: receipts, segments and approvals beside a bare transaction on the same store."""

import asyncio
import os
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from domain.approvals.approval import ApprovalStatus, Via
from domain.clock import utc_now
from domain.ids import new_id
from domain.journal.entry import ReceiptFields
from domain.ledger.audit import AuditAction
from domain.ports import ToolCall
from domain.receipts.receipt import Kind
from domain.receipts.signing import Signer
from services.approvals.service import ApprovalDecision
from services.ledger.append import Ledger
from storage.database import Store
from storage.transaction import Tx
from tests.databases import fresh_url
from tests.kit import Kit, RecordingTool, Script, open_kit

Row = dict[str, Any]


def _row(what: str, *, count: int, seconds: float, latencies: list[float], bare: float) -> Row:
    ordered = sorted(latencies) or [0.0]
    rate = count / seconds
    return {
        "what": what,
        "per_second": round(rate, 1),
        "p50_ms": round(ordered[len(ordered) // 2] * 1000, 2),
        "p99_ms": round(ordered[min(len(ordered) - 1, int(len(ordered) * 0.99))] * 1000, 2),
        "baseline_per_second": round(bare, 1),
        "ratio": round(rate / bare, 3),
    }


async def _hammer(
    work: Callable[[], Awaitable[Any]], *, clients: int, seconds: float
) -> tuple[int, float, list[float]]:
    """How often `clients` at once got it done, in how many seconds, each taking how long."""
    latencies: list[float] = []
    ends = time.perf_counter() + seconds

    async def client() -> None:
        while time.perf_counter() < ends:
            began = time.perf_counter()
            await work()
            latencies.append(time.perf_counter() - began)

    started = time.perf_counter()
    await asyncio.gather(*(client() for _ in range(clients)))
    return len(latencies), time.perf_counter() - started, latencies


async def _storage(kind: str, url: str, seconds: float) -> list[Row]:
    store = Store(url)
    ledger = Ledger(Signer(os.urandom(32)), host="localhost", now=utc_now)
    workspace_id = new_id()
    table = sa.Table(
        "bench_bare", sa.MetaData(), sa.Column("id", sa.String(36), primary_key=True), sa.Column("body", sa.Text)
    )

    def prepare(tx: Tx) -> None:
        table.create(tx.connection)

    def bare(tx: Tx) -> None:
        tx.execute(sa.insert(table).values(id=new_id(), body="x" * 200))

    def append(tx: Tx) -> None:
        ledger.append(
            tx,
            workspace_id=workspace_id,
            receipt_id=new_id(),
            principal="user:bench",
            action=AuditAction.TOOL_DECIDED,
            resource="note.create",
            kind=Kind.DECISION,
            fields=ReceiptFields(args={"title": "bench"}),
            now=utc_now(),
        )

    try:
        await store.write(prepare)
        clients = 64 if kind == "sqlite" else 4
        count, took, _ = await _hammer(lambda: store.write(bare), clients=clients, seconds=seconds)
        floor = count / took
        count, took, latencies = await _hammer(
            lambda: store.workspace(workspace_id).write(append), clients=clients, seconds=seconds
        )
        return [
            _row(f"receipts, {kind}, {clients} at once", count=count, seconds=took, latencies=latencies, bare=floor)
        ]
    finally:
        await store.close()


async def _engine(kind: str, url: str) -> list[Row]:
    deed = RecordingTool()
    async with open_kit(url, deeds=[deed], per_workspace=64) as kit:

        def bare(tx: Tx) -> None:
            tx.execute(sa.text("UPDATE users SET name = 'Ada'"))

        count, took, _ = await _hammer(lambda: kit.store.write(bare), clients=8, seconds=1.0)
        floor = count / took
        return [await _segments(kind, kit, floor), *await _approvals(kind, kit, floor)]


async def _segments(kind: str, kit: Kit, floor: float, count: int = 200) -> Row:
    """One-step runs of one workspace, queued by eight at a time; from the first start to the last end."""
    tasks = [await kit.begin_later(Script([])) for _ in range(count)]

    async def starter() -> None:
        while tasks:
            await kit.runs.start(kit.owner, tasks.pop().id)

    before = time.process_time()
    started = time.perf_counter()
    await asyncio.gather(*(starter() for _ in range(8)))
    while True:
        counts = await kit.tasks.counts(kit.owner)
        if counts.get("completed", 0) >= count:
            break
        await asyncio.sleep(0.02)
    took = time.perf_counter() - started
    used = time.process_time() - before
    row = _row(f"segments, {kind}", count=count, seconds=took, latencies=[], bare=floor)
    return {**row, "cpu_ms": round(used * 1000 / count, 3)}


async def _approvals(kind: str, kit: Kit, floor: float, count: int = 60) -> list[Row]:
    """Tap to resumed step: from the decision to the outcome of the approved call."""
    tasks = [await kit.begin(ToolCall(tool="deed", args={"what": "x"})) for _ in range(count)]
    for task in tasks:
        await kit.until(task, "awaiting_approval", seconds=60)
    pending = await kit.approvals.list(kit.owner, status="pending", limit=200)
    wish = ApprovalDecision(status=ApprovalStatus.APPROVED, via=Via.API)
    latencies: list[float] = []
    for approval in pending[:20]:
        began = time.perf_counter()
        before = len(kit.toolbox_deed().done)
        await kit.approvals.resolve(kit.owner, approval.id, wish)
        while len(kit.toolbox_deed().done) == before:
            await asyncio.sleep(0.001)
        latencies.append(time.perf_counter() - began)
    single = _row(f"tap to resumed step, {kind}", count=20, seconds=sum(latencies), latencies=latencies, bare=floor)
    started = time.perf_counter()
    took: list[float] = []

    async def one(approval_id: str) -> None:
        began = time.perf_counter()
        await kit.approvals.resolve(kit.owner, approval_id, wish)
        took.append(time.perf_counter() - began)

    await asyncio.gather(*(one(a.id) for a in pending[20:]))
    spent = time.perf_counter() - started
    return [single, _row(f"approvals, {kind}, all at once", count=len(took), seconds=spent, latencies=took, bare=floor)]


async def measure(seconds: float, *, postgres: bool, storage: bool, engine: bool) -> list[Row]:
    """Rows of the table."""
    rows: list[Row] = []
    with tempfile.TemporaryDirectory() as folder:
        for kind in ("sqlite", "postgres") if postgres else ("sqlite",):
            if storage:
                rows += await _storage(kind, await asyncio.to_thread(fresh_url, kind, Path(folder)), seconds)
            if engine:
                rows += await _engine(kind, await asyncio.to_thread(fresh_url, kind, Path(folder)))
    return rows
