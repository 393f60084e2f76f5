"""What somebody changes in the store behind Pilot's back is seen by whoever reads it next, column by column."""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from domain.clock import utc_now
from domain.ids import new_id
from services.ledger.append import Ledger
from services.ledger.watch import LedgerWatch
from storage import tables
from storage.transaction import Tx
from storage.types import Json, UtcDateTime
from tests.webapp.conftest import Harness, Reader, open_house

POST = 'note.create title="N"\nhttp.post url=http://127.0.0.1:9/ json={"amount": 9000}\nfinish summary="done"'
MAIL = 'email.send to=a@example.com subject="S" body="B"\nfinish summary="done"'

# Columns that nobody is misled by, and why.
EXEMPT: dict[str, dict[str, str]] = {
    "receipts": {},
    "payloads": {},
    "policies": {"created_at": "when a policy was first kept; nobody is shown it"},
    "steps": {"id": "its effect refers to it: the store refuses"},
    "runs": dict.fromkeys(
        (
            "segment",
            "epoch",
            "wake_at",
            "wait_reason",
            "cancel_requested",
            "attempts",
            "history",
            "history_steps",
            "budget_micros",
            "reserved_micros",
            "reserved_installation_micros",
            "partial_text",
            "priority",
            "deadline_at",
            "started_at",
            "updated_at",
        ),
        "how a run goes on, for the engine; a receipt tells of its beginning, its decisions and its end",
    )
    | {"id": "its steps refer to it: the store refuses", "root_run_id": "of a run of its own it is the run itself"},
    "approvals": {
        "callback_secret": "sealed: it opens only as what it was",  # pragma: allowlist secret
        "reminded": "how often people were reminded; nobody is shown it",
    },
    "grants": {},
    "audit_log": {"workspace_id": "the line is gone then, which is seen by the line after it"},
    "policy_violations": {
        "id": "its own name only",
        "workspace_id": "the violation is gone then, and its decision's receipt is not",
    },
    "workspace_settings": {
        "version": "counts the writes, for those who write at once",
        "updated_at": "when it was written; nobody is shown it",
        "workspace_id": "the settings are gone then: nothing is decided without them, which another test shows",
    },
}
# a column that must be one of a few words to be read at all
WORDS = {
    ("steps", "state"): "cancelled",
    ("runs", "state"): "cancelled",
    ("approvals", "status"): "rejected",
    ("policy_violations", "severity"): "info",
    ("audit_log", "verdict"): "error",
    ("receipts", "verdict"): "DENY",
    ("receipts", "kind"): "outcome",
    ("workspace_settings", "policy_config"): {"killSwitch": False, "toolBlocklist": []},
    ("workspace_settings", "budget_config"): {"perTaskMax": 1},
    ("workspace_settings", "model_config"): {"model": "other"},
}


@dataclass
class Story:
    """A workspace with something of everything; `rows` is one row of each table, by its key."""

    harness: Harness
    ada: Reader
    task: str
    denied: str
    run: str
    step: str
    approval: str
    decision: str
    rows: dict[str, dict[str, Any]]

    async def get(self, path: str) -> Any:
        status, body = await self.ada.send("GET", path)
        assert status == 200, (path, status, body)
        return body

    async def part(self, path: str) -> str:
        status, text = await self.ada.part(path)
        assert status == 200, (path, status, text)
        return text

    async def write(self, statement: Any) -> None:
        await self.harness.services.store.write(lambda tx: tx.execute(statement))

    async def watch(self) -> bool:
        """Whether another process, which has seen nothing yet, finds that something is altered."""
        kept = self.harness.services.ledger
        ledger = Ledger(kept.signer, host="localhost", now=utc_now)
        await LedgerWatch(self.harness.services.store, ledger, rest=0.0).look()
        return bool(ledger.altered or ledger.damaged)

    async def health(self) -> Any:
        async with self.harness.http.get(f"{self.harness.base}/health") as answer:
            return await answer.json()


async def until(check: Callable[[], Awaitable[Any]]) -> Any:
    for _ in range(1200):
        found = await check()
        if found:
            return found
        await asyncio.sleep(0.05)
    raise AssertionError("it never came")


async def ended(ada: Reader, task: str) -> dict[str, Any]:
    async def look() -> Any:
        _, runs = await ada.send("GET", f"/api/tasks/{task}/runs")
        return [one for one in runs if one["status"] in ("completed", "failed", "blocked")]  # type: ignore[union-attr]

    return dict((await until(look))[0])


async def tell(harness: Harness) -> Story:
    ada = await harness.reader("ada@example.com")
    settings = f"/api/workspace/{ada.workspace}/settings"
    await ada.send("PUT", settings, {"policyConfig": {"toolBlocklist": ["email.send"]}})
    _, task = await ada.send("POST", "/api/tasks", {"title": "Pay", "description": POST, "autoRun": True})

    async def pending() -> Any:
        _, found = await ada.send("GET", "/api/audit/approvals?status=pending")
        return found

    [approval] = await until(pending)
    grant = {"minutes": 60, "maxUses": 5}
    body = {"status": "approved", "note": "fine", "grant": grant, "version": 1, "digest": approval["actionHash"]}
    status, _ = await ada.send("PUT", f"/api/audit/approvals/{approval['id']}", body)
    assert status == 200
    run = await ended(ada, task["id"])  # type: ignore[index,call-overload]
    _, other = await ada.send("POST", "/api/tasks", {"title": "Mail", "description": MAIL, "autoRun": True})
    await ended(ada, other["id"])  # type: ignore[index,call-overload]
    # a task that never ran; and somebody else, so that there is another workspace
    await ada.send("POST", "/api/tasks", {"title": "Idle"})
    await harness.reader("grace@example.com")
    await ada.send("GET", "/api/governance/log/checkpoint")
    step = approval["stepId"]

    def rows(tx: Tx) -> dict[str, dict[str, Any]]:
        def one(table: sa.Table, *where: Any) -> dict[str, Any]:
            row = tx.execute(sa.select(table).where(*where)).mappings().first()
            assert row is not None, table.name
            return dict(row)

        r = tables.receipts
        decision = one(r, r.c.step_id == step, r.c.kind == "decision", r.c.verdict == "ALLOW")
        return {
            "receipts": decision,
            "payloads": one(tables.payloads, tables.payloads.c.receipt_id == decision["id"]),
            "policies": one(tables.policies, tables.policies.c.policy_hash == decision["policy_hash"]),
            "steps": one(tables.steps, tables.steps.c.id == step),
            "runs": one(tables.runs, tables.runs.c.id == run["id"]),
            "approvals": one(tables.approvals),
            "grants": one(tables.grants),
            "audit_log": one(tables.audit_log, tables.audit_log.c.action == "approval:resolved"),
            "policy_violations": one(tables.violations),
            "workspace_settings": one(tables.workspace_settings),
        }

    found = await harness.services.store.read(rows)
    return Story(
        harness=harness,
        ada=ada,
        task=task["id"],  # type: ignore[index,call-overload]
        denied=other["id"],  # type: ignore[index,call-overload]
        run=run["id"],
        step=step,
        approval=approval["id"],
        decision=found["receipts"]["id"],
        rows=found,
    )


@asynccontextmanager
async def told(kind: str, folder: Path) -> AsyncIterator[Story]:
    async with open_house(kind, folder) as harness:
        yield await tell(harness)


# --- who reads it ---------------------------------------------------------------------------------

Readers = dict[str, Callable[[Story], Awaitable[bool]]]


def bad(one: dict[str, Any]) -> bool:
    return not one["integrity"]["ok"]


async def listed_receipts(story: Story) -> bool:
    found = await story.get("/api/governance/receipts?limit=100")
    return bad(found) or any(map(bad, found["receipts"]))


async def one_receipt(story: Story) -> bool:
    status, found = await story.ada.send("GET", f"/api/governance/receipts/{story.decision}")
    assert status in (200, 404)
    return status == 404 or bad(found["receipt"])  # type: ignore[index,call-overload]


async def receipt_page(story: Story) -> bool:
    status, text = await story.ada.part(f"receipts/{story.decision}".replace("receipts", "receipt"))
    assert status in (200, 404)
    return status == 404 or "NOT valid" in text


async def receipts_page(story: Story) -> bool:
    text = await story.part("receipts")
    return "NOT valid" in text or "missing" in text


async def replayed(story: Story) -> bool:
    found = await story.get("/api/governance/replay")
    kept = [one for one in found["different"] if one["problem"]]
    return bool(kept) or found["replayed"] < DECISIONS


async def graph(story: Story) -> bool:
    status, found = await story.ada.send("GET", f"/api/governance/proofgraph/{story.task}")
    assert status in (200, 404)
    nodes = found["nodes"] if status == 200 else []  # type: ignore[index,call-overload]
    return not nodes or any(map(bad, nodes)) or story.decision not in {one["id"] for one in nodes}


async def run_read(story: Story) -> bool:
    status, found = await story.ada.send("GET", f"/api/runs/{story.run}")
    assert status in (200, 404)
    return status == 404 or bad(found) or any(map(bad, found["steps"]))  # type: ignore[index,call-overload,arg-type]


async def task_page(story: Story) -> bool:
    text = await story.part(f"task/{story.task}")
    return "Doesn&#39;t match what was signed" in text or (story.run not in text and story.step not in text)


async def listed_approvals(story: Story) -> bool:
    found = await story.get("/api/audit/approvals")
    return not found or any(map(bad, found))


async def approval_read(story: Story) -> bool:
    status, found = await story.ada.send("GET", f"/api/audit/approvals/{story.approval}")
    assert status in (200, 404)
    return status == 404 or bad(found)  # type: ignore[arg-type]


async def approval_page(story: Story) -> bool:
    status, text = await story.ada.part(f"approval/{story.approval}")
    assert status in (200, 404)
    return status == 404 or "Doesn&#39;t match what was signed" in text


async def listed_grants(story: Story) -> bool:
    found = await story.get("/api/grants")
    return not found or any(map(bad, found))


async def grants_page(story: Story) -> bool:
    text = await story.part("grants")
    return "Doesn&#39;t match what was signed" in text or "http.post" not in text


async def audit_read(story: Story) -> bool:
    return any(map(bad, await story.get("/api/audit?limit=200")))


async def audit_export(story: Story) -> bool:
    async with story.harness.http.get(
        f"{story.harness.base}/api/audit/export?format=csv&action=approval:resolved",
        headers={"Authorization": f"Bearer {story.ada.token}", "X-Workspace-Id": story.ada.workspace},
    ) as answer:
        text = await answer.text()
    return "ALTERED" in text or "approval:resolved" not in text


async def audit_page(story: Story) -> bool:
    return "Doesn&#39;t match what was signed" in await story.part("audit") + await story.part("audit?verdict=error")


async def violations_read(story: Story) -> bool:
    # what was found altered is written down among them, and gravely
    found = [one for how in ("warning", "info") for one in await story.get(f"/api/audit/violations?severity={how}")]
    return not found or any(map(bad, found))


async def violations_page(story: Story) -> bool:
    text = await story.part("violations?severity=warning") + await story.part("violations?severity=info")
    return "Doesn&#39;t match what was signed" in text or "email.send" not in text


async def settings_read(story: Story) -> bool:
    return bad(await story.get(f"/api/workspace/{story.ada.workspace}/settings"))


async def policy_page(story: Story) -> bool:
    return "t match what was signed" in await story.part("policy")


async def watched(story: Story) -> bool:
    return await story.watch()


READERS: dict[str, Readers] = {
    "receipts": {
        "list": listed_receipts,
        "one": one_receipt,
        "page": receipt_page,
        "pages": receipts_page,
        "replay": replayed,
        "graph": graph,
        "watch": watched,
    },
    "payloads": {"one": one_receipt, "page": receipt_page, "replay": replayed, "graph": graph, "watch": watched},
    "policies": {"one": one_receipt, "page": receipt_page, "replay": replayed, "watch": watched},
    "steps": {"run": run_read, "page": task_page, "watch": watched},
    "runs": {"run": run_read, "page": task_page, "watch": watched},
    "approvals": {"list": listed_approvals, "one": approval_read, "page": approval_page, "watch": watched},
    "grants": {"list": listed_grants, "page": grants_page, "watch": watched},
    "audit_log": {"list": audit_read, "export": audit_export, "page": audit_page, "watch": watched},
    "policy_violations": {"list": violations_read, "page": violations_page, "watch": watched},
    "workspace_settings": {"api": settings_read, "page": policy_page, "watch": watched},
}
# a row that another key hides is gone for whoever asks for it, and is missed where all are read
NOT_READ = {
    ("receipts", "task_id"): {"graph"},
    ("payloads", "workspace_id"): set[str](),
    ("grants", "workspace_id"): {"watch"},
    ("audit_log", "id"): {"page"},
}
DECISIONS = 4


def other(column: sa.Column[Any], value: Any) -> Any:
    """Another value that the column can hold."""
    kind = column.type
    if isinstance(kind, UtcDateTime):
        return (value or utc_now()) + timedelta(days=1)
    if isinstance(kind, Json):
        return [*value, "forged"] if isinstance(value, list) else {**(value or {}), "forged": 1}
    if isinstance(value, bool):
        return not value
    if isinstance(kind, sa.Integer):
        # a place of the log that nothing has
        return (value or 0) + (100_000 if column.name == "idx" else 1)
    if isinstance(value, bytes):
        return bytes([value[0] ^ 1]) + value[1:]
    if value is None:
        return "00" if column.name == "salt" else new_id()
    if len(value) == 36 and value.count("-") == 4:
        return new_id()
    return value[:-1] + ("0" if value[-1:] != "0" else "1")


def key_of(table: sa.Table, row: dict[str, Any]) -> list[Any]:
    return [column == row[column.name] for column in table.primary_key]


def referred(tx: Tx, column: sa.Column[Any], value: Any) -> Any:
    """Another row of the table that a column refers to; None where there is none."""
    [key] = column.foreign_keys
    return tx.scalar(sa.select(key.column).where(key.column != value).order_by(key.column.desc()).limit(1))


@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
async def test_each_column_changed_in_the_store_is_found_by_whoever_reads_it(kind: str, tmp_path: Path) -> None:
    async with told(kind, tmp_path) as story:
        assert (await story.get("/api/governance/replay"))["replayed"] == DECISIONS
        for name, readers in READERS.items():
            assert {reader: await look(story) for reader, look in readers.items()} == dict.fromkeys(readers, False), (
                name
            )
        assert (await story.health())["status"] == "ok"
        unseen: list[str] = []
        for name, readers in READERS.items():
            table, row = tables.metadata.tables[name], story.rows[name]
            for column in table.columns:
                if column.name in EXEMPT[name]:
                    continue
                value = row[column.name]
                new = WORDS.get((name, column.name)) or other(column, value)
                if column.foreign_keys:
                    new = await story.harness.services.store.read(lambda tx, c=column, v=value: referred(tx, c, v))
                    assert new is not None, column
                await story.write(sa.update(table).where(*key_of(table, row)).values({column.name: new}))
                unread = NOT_READ.get((name, column.name), set())
                unseen += [
                    f"{name}.{column.name} by {reader}"
                    for reader, look in readers.items()
                    if reader not in unread and not await look(story)
                ]
                if not unread:
                    found = await story.health()
                    if (found["status"], found["checks"]["integrity"]) == ("ok", "ok"):
                        unseen.append(f"{name}.{column.name} by health")
                await story.write(
                    sa.update(table).where(*key_of(table, row | {column.name: new})).values({column.name: value})
                )
        assert not unseen, "\n".join(unseen)
        for name, readers in READERS.items():
            assert {reader: await look(story) for reader, look in readers.items()} == dict.fromkeys(readers, False), (
                name
            )


@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
async def test_rows_taken_out_of_the_store_are_missed(kind: str, tmp_path: Path) -> None:
    async with told(kind, tmp_path) as story:

        async def without(name: str, *readers: Callable[[Story], Awaitable[bool]]) -> None:
            table, row = tables.metadata.tables[name], story.rows[name]
            held = await story.harness.services.store.read(lambda tx: _with_children(tx, table, row))
            await story.write(sa.delete(table).where(*key_of(table, row)))
            for look in readers:
                assert await look(story), (name, look.__name__)
            for there, values in held:
                await story.write(sa.insert(there).values(**values))
            for look in readers:
                assert not await look(story), (name, look.__name__)

        await without("receipts", listed_receipts, receipts_page, one_receipt, replayed, run_read, task_page, watched)
        await without("payloads", one_receipt, receipt_page, replayed, graph, watched)
        await without("policies", one_receipt, receipt_page, replayed, watched)
        await without("steps", run_read, task_page, watched)
        await without("approvals", watched)
        await without("audit_log", audit_read, audit_page, watched)
        await without("workspace_settings", settings_read, policy_page, watched)
        # the last receipts, with the head and every checkpoint put back to before them
        size = await story.harness.services.store.read(
            lambda tx: tx.scalar(
                sa.select(tables.log_heads.c.size).where(tables.log_heads.c.workspace_id == story.ada.workspace)
            )
        )
        last = tables.receipts.c.idx == size - 1
        await story.write(sa.delete(tables.receipts).where(tables.receipts.c.workspace_id == story.ada.workspace, last))
        assert await listed_receipts(story)
        assert await watched(story)


def _with_children(tx: Tx, table: sa.Table, row: dict[str, Any]) -> list[tuple[sa.Table, dict[str, Any]]]:
    """The row, and what goes with it when it is taken out."""
    found: list[tuple[sa.Table, dict[str, Any]]] = [(table, row)]
    for one in tables.metadata.sorted_tables:
        for column in one.columns:
            if any(key.column.table is table for key in column.foreign_keys):
                query = sa.select(one).where(column == row["id"])
                found += [(one, dict(child)) for child in tx.execute(query).mappings()]
    return found


@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
async def test_the_amount_of_a_payment_is_not_changed_unseen(kind: str, tmp_path: Path) -> None:
    async with told(kind, tmp_path) as story:
        table, row = tables.payloads, story.rows["payloads"]
        assert "9000" in row["body"]
        body = row["body"].replace("9000", "9")
        await story.write(sa.update(table).where(*key_of(table, row)).values(body=body))
        found = await story.get(f"/api/governance/receipts/{story.decision}")
        assert found["receipt"]["integrity"] == {
            "ok": False,
            "code": "altered",
            "differs": ["payload.args: was changed"],
        }
        page = await story.part(f"receipt/{story.decision}")
        assert "This receipt is NOT valid" in page
        assert "payload.args: was changed" in page
        checks = await story.part(f"receipt-check/{story.decision}")
        assert checks.count('class="bad"') == 1
        [different] = (await story.get("/api/governance/replay"))["different"]
        assert (different["receiptId"], different["problem"]) == (story.decision, "payload.args: was changed")
        health = await story.health()
        assert (health["status"], health["checks"]["integrity"]) == ("degraded", "1 altered")
        told_of = [one for one in await story.get("/api/audit/violations") if one["policyRule"] == "integrity"]
        assert [(one["severity"], one["action"]) for one in told_of] == [("critical", "payloads")]
        # it is written down once, however often it is read
        await story.get(f"/api/governance/receipts/{story.decision}")
        again = [one for one in await story.get("/api/audit/violations") if one["policyRule"] == "integrity"]
        assert again == told_of
        # the hash is not to be had for another salt either
        salt = "00" * 16
        assert hashlib.sha256(bytes.fromhex(salt) + body.encode()).hexdigest() != found["signedBlob"]["args_hash"]
        await story.write(sa.update(table).where(*key_of(table, row)).values(body=row["body"]))
        assert not await one_receipt(story)
        assert (await story.health())["status"] == "ok"
