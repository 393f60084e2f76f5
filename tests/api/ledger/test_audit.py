"""The audit log: every filter, page after page, exports as streams; refusals at the door; violations with severity."""

import csv
import io
import json
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

import pytest
import sqlalchemy as sa

from domain.clock import utc_now
from storage.tables import audit_log
from tests.api.conftest import TOKEN, init_data
from tests.api.harness import Harness, Person, open_house


@pytest.fixture
async def harness(url: str, tmp_path: Path) -> AsyncIterator[Harness]:
    async with open_house(url, tmp_path, telegram_bot_token=TOKEN) as opened:
        yield opened


async def pages(owner: Person, **query: Any) -> list[dict[str, Any]]:
    """Every line of the audit log that fits, by following the links."""
    path: str | None = f"/api/audit?{urlencode(query)}"
    found: list[dict[str, Any]] = []
    while path is not None:
        reply = await owner("GET", path)
        assert reply.status == 200, reply
        assert len(reply.data) <= int(query.get("limit", 50))
        found += reply.data
        link = re.match(r"<([^>]+)>", reply.headers.get("Link", ""))
        path = None if link is None else urlsplit(link[1])._replace(scheme="", netloc="").geturl()
    return found


async def busy(owner: Person, harness: Harness) -> None:
    partner = await harness.member(owner, "partner@example.com", "partner")
    for n in range(4):
        await owner("POST", "/api/tasks", {"title": f"o{n}"})
        await partner("POST", "/api/tasks", {"title": f"p{n}"})
    await partner("PUT", f"/api/workspace/{owner.workspace_id}/settings", {"policyConfig": {"killSwitch": True}})


async def test_every_filter_page_after_page(harness: Harness, owner: Person) -> None:
    await busy(owner, harness)
    # several lines of one moment, as a busy workspace has them: none is lost between two pages
    moment = utc_now()
    await harness.services.store.write(
        lambda tx: tx.execute(
            sa.update(audit_log).where(audit_log.c.action == "task:created").values(created_at=moment)
        )
    )
    whole = await pages(owner, limit=200)
    assert [line["id"] for line in await pages(owner, limit=3)] == [line["id"] for line in whole]
    assert {line["verdict"] for line in whole} == {"allow", "deny"}
    for name, key in (("actor", "actor"), ("action", "action"), ("target", "target"), ("verdict", "verdict")):
        for value in {line[key] for line in whole if line[key]}:
            expected = [line["id"] for line in whole if line[key] == value]
            assert [line["id"] for line in await pages(owner, **{name: value, "limit": 3})] == expected, (name, value)
    times = sorted({line["createdAt"] for line in whole})
    since, until = times[1], times[-1]
    expected = [line["id"] for line in whole if since <= line["createdAt"] < until]
    assert [line["id"] for line in await pages(owner, since=since, until=until, limit=3)] == expected
    both = await pages(owner, action="task:created", actor=f"user:{owner.user_id}")
    assert len(both) == 4
    stranger = await harness.person("stranger@example.com")
    assert {line["id"] for line in await pages(stranger)}.isdisjoint(line["id"] for line in whole)
    for query in ("action=task:exploded", "verdict=maybe", "since=yesterday", "limit=0", "limit=201", "cursor=x"):
        assert (await owner("GET", f"/api/audit?{query}")).status == 400, query
    assert (await owner("GET", "/api/audit/violations?severity=grave")).status == 400


async def test_exports_are_the_log_line_by_line(harness: Harness, owner: Person) -> None:
    await busy(owner, harness)
    whole = await pages(owner, limit=200)
    names = ("id", "createdAt", "actor", "action", "target", "verdict", "reason", "metadata")
    table = await owner("GET", "/api/audit/export?format=csv&verdict=allow")
    assert table.headers["Content-Type"] == "text/csv; charset=utf-8"
    rows = list(csv.reader(io.StringIO(table.data)))
    assert tuple(rows[0]) == names
    kept = [line for line in whole if line["verdict"] == "allow"]
    assert [row[:2] for row in rows[1:] if row[3] != "ledger:exported"] == [[e["id"], e["createdAt"]] for e in kept]
    lines = await owner("GET", "/api/audit/export?action=task:created")
    assert lines.headers["Content-Type"] == "application/x-ndjson"
    assert [json.loads(line) for line in lines.data.splitlines()] == await pages(owner, action="task:created")
    # no length is known beforehand: it is sent while it is read
    assert lines.headers["Transfer-Encoding"] == "chunked"
    assert "Content-Length" not in lines.headers
    member = await harness.member(owner, "member@example.com", "member")
    assert (await member("GET", "/api/audit/export")).status == 403


async def refusals(harness: Harness) -> list[tuple[Any, ...]]:
    """What was refused outside of any workspace, oldest first."""
    query = (
        sa.select(audit_log.c.action, audit_log.c.actor, audit_log.c.target, audit_log.c.reason)
        .where(audit_log.c.verdict == "deny", audit_log.c.workspace_id.is_(None))
        .order_by(audit_log.c.id)
    )
    return [tuple(row) for row in await harness.services.store.read(lambda tx: tx.all(query))]


@pytest.mark.parametrize("url", ["sqlite"], indirect=True)
async def test_who_is_refused_at_the_door_is_on_record(harness: Harness, owner: Person) -> None:
    stranger = await harness.person("stranger@example.com")
    for method, path, headers in (
        ("GET", "/api/tasks", {"Authorization": "Bearer wrong"}),
        ("GET", "/api/tasks", {"X-API-Key": "pk_wrong"}),
        ("POST", f"/api/tasks/{owner.user_id}/run", {**stranger.headers, "X-Workspace-Id": owner.workspace_id}),
        # nothing was shown: nobody was refused
        ("GET", "/api/tasks", {}),
    ):
        reply = await harness.ask(method, path, headers=headers)
        assert reply.status in (401, 404), reply
    forged = init_data(TOKEN, {"id": 7, "first_name": "Ada"}).replace("Ada", "Eve")
    assert (await harness.ask("POST", "/api/auth/telegram", {"initData": forged})).status == 401
    assert (
        await harness.ask("POST", "/api/auth/email/verify", {"email": "a@example.com", "code": "000000"})
    ).status == 401
    found = await refusals(harness)
    who = f"user:{stranger.user_id}"
    assert [line[:3] for line in found[:3]] == [
        ("request:refused", "anonymous", "GET /api/tasks"),
        ("request:refused", "anonymous", "GET /api/tasks"),
        ("request:refused", who, "POST /api/tasks/{task_id}/run"),
    ]
    assert {line[0] for line in found} == {"request:refused", "auth:telegram_refused", "auth:email_refused"}
    assert len([line for line in found if line[0] == "request:refused"]) == 3
    assert "wrong" not in str([line[1:3] for line in found])
    # the workspace they wanted hears nothing of strangers
    assert await pages(owner, verdict="deny") == []


DENIED = {
    "SYSTEM_FROZEN": ({"killSwitch": True}, "critical"),
    "DATA_EGRESS_BLOCKED": ({"contentBans": ["secret plan"]}, "critical"),
    "POLICY_VIOLATION": ({"toolBlocklist": ["note.create"]}, "warning"),
    "PDP_DENY": ({"rules": [{"id": "r", "when": "input.effect > 1", "verdict": "DENY"}]}, "warning"),
    "PRG_EVALUATION_ERROR": ({"rules": [{"id": "r", "when": "input.args.none == 1", "verdict": "DENY"}]}, "warning"),
}
CLEAN = {"killSwitch": False, "contentBans": [], "toolBlocklist": [], "rules": []}


@pytest.mark.parametrize("url", ["sqlite"], indirect=True)
async def test_every_denial_is_a_violation_with_its_severity(harness: Harness, owner: Person) -> None:
    place = f"/api/workspace/{owner.workspace_id}/settings"
    for code, (policy, severity) in DENIED.items():
        await owner("PUT", place, {"policyConfig": {**CLEAN, **policy}})
        task = (
            await owner("POST", "/api/tasks", {"title": code, "description": 'note.create title="secret plan"'})
        ).data
        await owner("POST", f"/api/tasks/{task['id']}/run?wait=30")
        found = (await owner("GET", "/api/audit/violations?limit=1")).data[0]
        assert (found["metadata"]["taskId"], found["metadata"]["reasonCode"]) == (task["id"], code)
        assert (found["severity"], found["blocked"], found["action"]) == (severity, True, "note.create")
        listed = (await owner("GET", f"/api/audit/violations?severity={severity}&limit=1")).data
        assert listed == [found]
    denied = await pages(owner, action="tool:decided", verdict="deny")
    violations = (await owner("GET", "/api/audit/violations?limit=200")).data
    steps = [line["metadata"]["stepId"] for line in denied]
    assert steps == [v["metadata"]["stepId"] for v in violations]
