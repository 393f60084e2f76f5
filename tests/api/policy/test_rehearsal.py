"""Trying a policy before it counts: dry runs of one call, and a change tried on decisions of the past."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from domain.ids import new_id
from storage import tables
from storage.transaction import Tx
from tests.api.harness import Harness, Person, open_house

EVALUATE = "/api/governance/evaluate"
TRY = "/api/governance/policy-test"


@pytest.fixture
async def harness(url: str, tmp_path: Path) -> AsyncIterator[Harness]:
    async with open_house(url, tmp_path) as opened:
        yield opened


def counts(tx: Tx) -> dict[str, int]:
    return {
        table.name: int(tx.scalar(sa.select(sa.func.count()).select_from(table)) or 0)
        for table in tables.metadata.sorted_tables
        if table.name not in ("ticks", "executors", "rate_buckets", "checkpoints")
    }


async def settle(owner: Person, change: dict[str, Any]) -> None:
    reply = await owner("PUT", f"/api/workspace/{owner.workspace_id}/settings", change)
    assert reply.status in (200, 201), reply


async def test_a_dry_run_says_everything_and_writes_nothing(harness: Harness, owner: Person) -> None:
    rule = {"id": "night", "when": 'input.tool == "http.post"', "verdict": "DENY", "reason": "not now"}
    await settle(owner, {"policyConfig": {"toolBlocklist": ["http.*"], "rules": [rule]}})
    before = await harness.services.store.read(counts)
    call = {"tool": "http.post", "args": {"url": "https://example.com/"}, "dryRun": True}
    said = (await owner("POST", EVALUATE, call)).data
    assert (said["verdict"], said["ruleId"], said["reasonCode"]) == ("DENY", "tool_blocklist", "POLICY_VIOLATION")
    assert [(f["ruleId"], f["verdict"]) for f in said["findings"]] == [
        ("tool_blocklist", "DENY"),
        ("rule:night", "DENY"),
        ("effect_level", "ESCALATE"),
    ]
    allowed = (await owner("POST", EVALUATE, {"tool": "note.create", "args": {"title": "x"}, "dryRun": True})).data
    assert (allowed["verdict"], allowed["findings"]) == ("ALLOW", [])
    narrow = {"tool": "task.create", "args": {"title": "x"}, "mode": "discover", "dryRun": True}
    assert (await owner("POST", EVALUATE, narrow)).data["ruleId"] == "mode"
    asked = (await owner("POST", EVALUATE, {**call, "tool": "email.send", "args": MAIL})).data
    assert (asked["verdict"], asked["reasonCode"]) == ("ESCALATE", "APPROVAL_REQUIRED")
    assert await harness.services.store.read(counts) == before


MAIL = {"to": "a@example.com", "subject": "s", "body": "b"}


async def test_what_a_run_then_hears_is_what_the_dry_run_said(owner: Person) -> None:
    calls = {
        'note.create title="x"': {"tool": "note.create", "args": {"title": "x"}},
        'email.send to=a@example.com subject="s" body="b"': {"tool": "email.send", "args": MAIL},
        'task.create title="x"': {"tool": "task.create", "args": {"title": "x"}},
    }
    await settle(owner, {"policyConfig": {"toolBlocklist": ["task.*"]}})
    for step, call in calls.items():
        said = (await owner("POST", EVALUATE, {**call, "dryRun": True})).data
        task = (await owner("POST", "/api/tasks", {"title": "T", "description": step})).data
        await owner("POST", f"/api/tasks/{task['id']}/run?wait=30")
        [run] = (await owner("GET", f"/api/tasks/{task['id']}/runs")).data
        first = (await owner("GET", f"/api/runs/{run['id']}")).data["steps"][0]
        assert (first["tool"], first["verdict"]) == (call["tool"], said["verdict"])


async def test_a_change_is_tried_on_what_was_decided(harness: Harness, owner: Person) -> None:
    steps = 'note.create title="x"\nknowledge.search query="x"\nfinish summary="done"'
    task = (await owner("POST", "/api/tasks", {"title": "T", "description": steps})).data
    await owner("POST", f"/api/tasks/{task['id']}/run?wait=30")
    before = await harness.services.store.read(counts)
    same = (await owner("POST", TRY, {})).data
    assert (same["tested"], same["different"]) == (3, [])
    change = {"policyConfig": {"toolBlocklist": ["note.create"]}}
    trial = (await owner("POST", TRY, change)).data
    assert trial["tested"] == 3
    [differs] = trial["different"]
    assert (differs["tool"], differs["before"]["verdict"], differs["after"]["verdict"]) == (
        "note.create",
        "ALLOW",
        "DENY",
    )
    assert differs["after"]["ruleId"] == "tool_blocklist"
    receipt = await owner("GET", f"/api/governance/receipts/{differs['receiptId']}")
    assert receipt.data["receipt"]["resource"] == "note.create"
    assert (await owner("POST", f"{TRY}?limit=1", change)).data["tested"] == 1
    assert await harness.services.store.read(counts) == before
    # saved, it is what was tried
    await settle(owner, change)
    said = (await owner("POST", EVALUATE, {"tool": "note.create", "args": {"title": "x"}, "dryRun": True})).data
    assert (said["verdict"], said["policyHash"]) == ("DENY", trial["policyHash"])


async def test_bad_input_is_named(owner: Person) -> None:
    good = {"tool": "note.create", "args": {"title": "x"}, "dryRun": True}
    for change, field in (
        ({"tool": "nothing.here"}, "tool"),
        ({"args": {"title": 1}}, "args"),
        ({"args": {"title": "x", "more": 1}}, "args"),
        ({"args": []}, "args"),
        ({"dryRun": False}, "dryRun"),
        ({"mode": "sleep"}, "mode"),
        ({"operatorId": "me"}, "operatorId"),
        ({"more": 1}, "more"),
    ):
        reply = await owner("POST", EVALUATE, {**good, **change})
        assert (reply.status, list(reply.data["details"]["fieldErrors"])) == (400, [field]), reply
    assert (await owner("POST", EVALUATE, {**good, "operatorId": new_id()})).status == 404
    broken = await owner(
        "POST", TRY, {"policyConfig": {"rules": [{"id": "r", "when": "input.tool ==", "verdict": "DENY"}]}}
    )
    assert (broken.status, broken.code, broken.data["column"]) == (400, "invalid_rule", 14)
    assert (await owner("POST", TRY, {"policyConfig": {"unheard": 1}})).status == 400
    assert (await owner("POST", f"{TRY}?limit=1001", {})).status == 400
