"""Approvals, audit and receipts over the wire, on both stores."""

import asyncio
import base64
import csv
import hashlib
import io
import json
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from domain.clock import utc_now
from domain.ids import new_id
from domain.journal.workspace import LedgerExported
from storage.tables import approvals as approval_rows
from storage.tables import receipts as receipt_rows
from storage.transaction import Tx
from tests.api.harness import Harness, Person, open_house

ASKS = 'http.post url=http://127.0.0.1:9/hook json={"n": 1}\nfinish summary="done"'


@pytest.fixture
async def harness(url: str, tmp_path: Path) -> AsyncIterator[Harness]:
    async with open_house(url, tmp_path) as opened:
        yield opened


async def question(owner: Person) -> dict[str, Any]:
    """An approval somebody has to decide."""
    task = (await owner("POST", "/api/tasks", {"title": "T", "description": ASKS})).data
    await owner("POST", f"/api/tasks/{task['id']}/run?wait=20")
    [found] = [a for a in (await owner("GET", "/api/audit/approvals?status=pending")).data if a["taskId"] == task["id"]]
    whole: dict[str, Any] = found
    return whole


async def at_rest(owner: Person, task_id: str) -> None:
    """Until nothing of the task moves any more: what it writes would come between two looks at the log."""
    async with asyncio.timeout(60):
        while (await owner("GET", f"/api/tasks/{task_id}")).data["status"] in (
            "queued",
            "running",
            "awaiting_approval",
        ):
            await asyncio.sleep(0.05)


def path_of(approval: dict[str, Any]) -> str:
    return f"/api/audit/approvals/{approval['id']}"


async def test_the_first_decision_stands_and_the_second_hears_it(owner: Person) -> None:
    approval = await question(owner)
    first = await owner("PUT", path_of(approval), {"status": "rejected", "note": "not today"})
    assert (first.status, first.data["status"], first.data["resolvedVia"]) == (200, "rejected", "api")
    assert first.data["resolutionNote"] == "not today"
    for status in ("approved", "rejected"):
        late = await owner("PUT", path_of(approval), {"status": status})
        assert (late.status, late.code, late.data["status"]) == (409, "approval_decided", "rejected")
        assert late.data["resolvedBy"]


async def test_one_of_many_at_once_wins(owner: Person) -> None:
    approval = await question(owner)
    replies = await asyncio.gather(
        *(owner("PUT", path_of(approval), {"status": s}) for s in ("approved", "rejected") * 10)
    )
    winners = [r for r in replies if r.status == 200]
    assert len(winners) == 1
    assert {r.status for r in replies} == {200, 409}
    assert {r.data["status"] for r in replies} == {winners[0].data["status"]}


@pytest.mark.parametrize("stale", [{"version": 99}, {"digest": "0" * 64}])
async def test_what_was_shown_is_what_is_decided(owner: Person, stale: dict[str, Any]) -> None:
    approval = await question(owner)
    refused = await owner("PUT", path_of(approval), {"status": "approved", **stale})
    assert refused.status == 409
    assert (await owner("GET", path_of(approval))).data["status"] == "pending"
    right = {"status": "approved", "version": approval["version"], "digest": approval["actionHash"]}
    assert (await owner("PUT", path_of(approval), right)).status == 200


async def test_an_edit_is_a_new_version_with_a_new_digest(owner: Person) -> None:
    approval = await question(owner)
    body = {"input": {**approval["actionInput"], "json": {"n": 2}}, "version": approval["version"]}
    edited = await owner("PUT", path_of(approval) + "/input", body)
    assert edited.status == 200
    assert edited.data["version"] == approval["version"] + 1
    assert edited.data["actionHash"] != approval["actionHash"]
    old = await owner("PUT", path_of(approval), {"status": "approved", "digest": approval["actionHash"]})
    assert old.status == 409


async def test_an_expired_question_is_gone(harness: Harness, owner: Person) -> None:
    approval = await question(owner)
    then = utc_now() - timedelta(seconds=1)
    await harness.services.store.write(lambda tx: tx.execute(sa.update(approval_rows).values(expires_at=then)))
    late = await owner("PUT", path_of(approval), {"status": "approved"})
    assert late.status == 410


async def test_an_expired_question_is_not_edited(harness: Harness, owner: Person) -> None:
    approval = await question(owner)
    then = utc_now() - timedelta(seconds=1)
    await harness.services.store.write(lambda tx: tx.execute(sa.update(approval_rows).values(expires_at=then)))
    late = await owner("PUT", path_of(approval) + "/input", {"input": approval["actionInput"], "version": 1})
    assert (late.status, late.code, late.data.get("status")) == (410, "approval_expired", "expired")
    assert (await owner("GET", path_of(approval))).data["status"] == "expired"


@pytest.mark.parametrize("status", ["pending", "expired", "yes", None, 1, [], {}])
async def test_a_decision_is_one_of_three(owner: Person, status: Any) -> None:
    reply = await owner("PUT", f"/api/audit/approvals/{new_id()}", {"status": status})
    assert (reply.status, reply.code) == (400, "invalid_status")


async def test_foreign_and_missing_approvals_look_the_same(harness: Harness, owner: Person) -> None:
    other = await harness.person("bob@example.com")
    approval = await question(owner)
    for method, path, body in (("GET", "", None), ("PUT", "", {"status": "approved"}), ("POST", "/undo", {})):
        foreign = await other(method, path_of(approval) + path, body)
        missing = await other(method, f"/api/audit/approvals/{new_id()}{path}", body)
        assert foreign.status == missing.status == 404
        assert {**foreign.data, "requestId": ""} == {**missing.data, "requestId": ""}


async def test_only_owners_decide_and_keys_only_with_the_scope(harness: Harness, owner: Person) -> None:
    approval = await question(owner)
    partner = await harness.member(owner, "p@example.com", "partner")
    assert (await partner("PUT", path_of(approval), {"status": "approved"})).code == "insufficient_role"
    plain = (await owner("POST", "/api/auth/apikey", {"name": "plain"})).data["key"]
    able = (await owner("POST", "/api/auth/apikey", {"name": "able", "scopes": ["approvals:resolve"]})).data["key"]
    refused = await harness.ask("PUT", path_of(approval), {"status": "approved"}, headers={"X-API-Key": plain})
    assert (refused.status, refused.code) == (403, "insufficient_scope")
    decided = await harness.ask("PUT", path_of(approval), {"status": "approved"}, headers={"X-API-Key": able})
    assert decided.status == 200


async def test_a_batch_decides_exactly_what_it_names(owner: Person) -> None:
    first, second = await question(owner), await question(owner)
    items = [
        {"id": first["id"], "version": first["version"], "digest": first["actionHash"], "status": "rejected"},
        {"id": second["id"], "version": 99, "digest": second["actionHash"], "status": "approved"},
    ]
    reply = await owner("POST", "/api/approvals/batch", {"items": items})
    assert reply.status == 200
    assert [(x["id"], x["ok"]) for x in reply.data] == [(first["id"], True), (second["id"], False)]
    assert (await owner("GET", path_of(second))).data["status"] == "pending"


async def test_a_grant_is_listed_and_revoked(owner: Person) -> None:
    approval = await question(owner)
    await owner("PUT", path_of(approval), {"status": "approved", "grant": {"minutes": 10, "maxUses": 3}})
    [grant] = (await owner("GET", "/api/grants")).data
    assert (grant["tool"], grant["maxUses"], grant["approvalId"]) == ("http.post", 3, approval["id"])
    assert (await owner("DELETE", f"/api/grants/{grant['id']}")).data["revokedAt"]
    assert (await owner("GET", "/api/grants")).data == []


async def test_the_audit_log_is_filtered_and_exported(owner: Person) -> None:
    for title in ("=1+1", "b"):
        await owner("POST", "/api/tasks", {"title": title})
    created = (await owner("GET", "/api/audit?action=task:created")).data
    assert [line["action"] for line in created] == ["task:created", "task:created"]
    assert (await owner("GET", f"/api/audit?target={created[0]['target']}&action=task:created")).data == created[:1]
    assert (await owner("GET", "/api/audit?since=2999-01-01T00:00:00Z")).data == []
    assert (await owner("GET", "/api/audit?since=yesterday")).status == 400
    whole = (await owner("GET", "/api/audit?limit=200")).data
    exported = await owner("GET", "/api/audit/export?action=task:created")
    assert [json.loads(line) for line in exported.data.splitlines()] == created
    table = await owner("GET", "/api/audit/export?format=csv")
    rows = list(csv.reader(io.StringIO(table.data)))
    assert rows[0] == ["id", "createdAt", "actor", "action", "target", "verdict", "reason", "metadata"]
    # exporting is itself in the log, each time
    kept = [row for row in rows[1:] if row[3] != "ledger:exported"]
    assert [row[0] for row in kept] == [line["id"] for line in whole]
    assert table.headers["X-Request-Id"]
    assert (await owner("GET", "/api/audit/export?format=xls")).status == 400


async def test_what_the_policy_refused_is_a_violation(owner: Person) -> None:
    settings = f"/api/workspace/{owner.workspace_id}/settings"
    changed = await owner("PUT", settings, {"policyConfig": {"toolBlocklist": ["http.post"]}})
    assert changed.status in (200, 201), changed
    task = (await owner("POST", "/api/tasks", {"title": "T", "description": ASKS})).data
    await owner("POST", f"/api/tasks/{task['id']}/run?wait=20")
    [violation] = (await owner("GET", "/api/audit/violations")).data
    assert (violation["action"], violation["blocked"], violation["metadata"]["taskId"]) == (
        "http.post",
        True,
        task["id"],
    )
    assert (await owner("GET", "/api/audit/violations?severity=info")).data == []


def path_of_tile(level: int | str, index: int, width: int) -> str:
    """As C2SP writes it, for logs of less than a million tiles."""
    thousands = f"x{index // 1000:03d}/" if index >= 1000 else ""
    return f"/api/governance/log/tile/{level}/{thousands}{index % 1000:03d}" + (f".p/{width}" if width < 256 else "")


def root_of(hashes: list[bytes]) -> bytes:
    """RFC 6962 over leaf hashes, written without the program's own code."""
    if len(hashes) == 1:
        return hashes[0]
    half = 1 << ((len(hashes) - 1).bit_length() - 1)
    return hashlib.sha256(b"\x01" + root_of(hashes[:half]) + root_of(hashes[half:])).digest()


async def test_the_log_is_read_as_tiles(harness: Harness, owner: Person) -> None:
    recorder = harness.services.approvals.recorder

    def grow(tx: Tx) -> None:
        for n in range(600):
            entry = LedgerExported(workspace_id=owner.workspace_id, actor="system", task_id=str(n))
            recorder.record(tx, entry)

    await harness.services.store.write(grow)

    async def raw(path: str, **headers: str) -> bytes:
        async with harness.session.get(harness.base + path, headers={**owner.headers, **headers}) as answer:
            assert answer.status == 200, path
            return await answer.read()

    note = (await raw("/api/governance/log/checkpoint", Accept="text/plain")).decode()
    _, size_line, root_line = note.split("\n")[:3]
    size = int(size_line)
    assert size > 600
    leaves: list[bytes] = []
    tiles: list[bytes] = []
    for index in range((size + 255) // 256):
        width = min(256, size - index * 256)
        bundle = await raw(path_of_tile("entries", index, width))
        while bundle:
            length = int.from_bytes(bundle[:2], "big")
            leaves.append(bundle[2 : 2 + length])
            bundle = bundle[2 + length :]
        tiles.append(await raw(path_of_tile(0, index, width)))
    hashes = [hashlib.sha256(b"\x00" + leaf).digest() for leaf in leaves]
    assert b"".join(tiles) == b"".join(hashes)
    assert len(hashes) == size
    assert base64.b64encode(root_of(hashes)).decode() == root_line
    # level 1 holds a hash of each full tile below it
    assert await raw(path_of_tile(1, 0, size >> 8)) == b"".join(
        root_of(hashes[at : at + 256]) for at in range(0, size - 255, 256)
    )
    assert await raw(path_of_tile(0, 0, 7)) == b"".join(hashes[:7])

    stranger = await harness.person("stranger@example.com")
    for beyond in (
        path_of_tile(0, size // 256, size % 256 + 200) if size % 256 < 56 else path_of_tile(0, size // 256 + 1, 1),
        path_of_tile(0, 999, 256),
        path_of_tile(2, 0, 1),
        path_of_tile(63, 0, 1),
    ):
        assert (await owner("GET", beyond)).status == 404, beyond
    for odd in ("0/0", "0/000.p/0", "0/000.p/256", "0/000.p/01", "00/000", "64/000", "x/000", "0/x000/000", "0/..%2F0"):
        assert (await owner("GET", f"/api/governance/log/tile/{odd}")).status == 404, odd
    foreign = f"{path_of_tile('entries', 0, 256)}?workspaceId={owner.workspace_id}"
    there = {"Authorization": stranger.headers["Authorization"]}
    assert (await harness.ask("GET", foreign, headers=there)).status == 404


async def test_receipts_come_with_their_proof(owner: Person) -> None:
    approval = await question(owner)
    await owner("PUT", path_of(approval), {"status": "rejected"})
    await at_rest(owner, approval["taskId"])
    first = (await owner("GET", "/api/governance/receipts?limit=2")).data
    # receipts of one moment, as a busy log has them: none may be skipped between two pages
    store = owner.harness.services.store
    times = await store.read(lambda tx: tx.all(sa.select(receipt_rows.c.id, receipt_rows.c.created_at)))
    await store.write(lambda tx: tx.execute(sa.update(receipt_rows).values(created_at=utc_now())))
    found, cursor = list(first["receipts"]), first["nextCursor"]
    while cursor is not None:
        following = (await owner("GET", f"/api/governance/receipts?limit=2&before={cursor}")).data
        found, cursor = found + following["receipts"], following["nextCursor"]
    assert [r["logIndex"] for r in found] == list(range(len(found) - 1, -1, -1))
    later = (utc_now() + timedelta(minutes=1)).isoformat().replace("+", "%2B")
    assert (await owner("GET", f"/api/governance/receipts?before={later}")).data["receipts"]
    for bad in ("soon", "-1", "1e9", "9" * 16, "2026-13-01"):
        assert (await owner("GET", f"/api/governance/receipts?before={bad}")).status == 400
    one = (await owner("GET", f"/api/governance/receipts/{first['receipts'][0]['decisionId']}")).data
    assert one["leafHash"] == one["receipt"]["decisionHash"]
    size = (await owner("GET", "/api/governance/log/checkpoint")).data["size"]
    proof = await owner("GET", f"/api/governance/log/proof/inclusion?index=0&size={size}")
    assert (proof.status, proof.data["treeSize"]) == (200, size)
    assert (await owner("GET", f"/api/governance/log/proof/inclusion?index={size}")).status == 404
    assert (await owner("GET", f"/api/governance/log/proof/consistency?old=1&new={size}")).data["newSize"] == size
    assert (await owner("GET", f"/api/governance/log/proof/consistency?old={size + 1}")).status == 404
    assert (await owner("GET", "/api/governance/receipts/nothing")).status == 404
    graph = (await owner("GET", f"/api/governance/proofgraph/{approval['taskId']}")).data
    assert {n["kind"] for n in graph["nodes"]} >= {"decision", "resolution"}
    names = {n["id"] for n in graph["nodes"]}
    assert all(e["from"] in names and e["to"] in names for e in graph["edges"])
    # the times in the store are others now than those that were signed
    [altered] = (await owner("GET", "/api/governance/replay")).data["different"]
    assert (altered["recorded"], altered["problem"]) == (altered["replayed"], "created_at")

    def put_back(tx: Tx) -> None:
        for name, at in times:
            tx.execute(sa.update(receipt_rows).where(receipt_rows.c.id == name).values(created_at=at))

    await store.write(put_back)
    assert (await owner("GET", "/api/governance/replay")).data["different"] == []
    archive = await owner.harness.session.get(owner.harness.base + "/api/governance/archive", headers=owner.headers)
    assert (archive.status, (await archive.read())[:2]) == (200, b"\x1f\x8b")
