"""Tasks, runs and operators over the wire, on both stores."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from domain.ids import new_id
from tests.api.harness import Harness, Person, open_house

NOTE = 'note.create title="Plan"\nfinish summary="done"'
ASKS = 'note.create title="Plan"\nhttp.post url=http://127.0.0.1:9/hook json={"n": 1}\nfinish summary="done"'


@pytest.fixture
async def harness(url: str, tmp_path: Path) -> AsyncIterator[Harness]:
    async with open_house(url, tmp_path) as opened:
        yield opened


async def made(owner: Person, **body: Any) -> dict[str, Any]:
    reply = await owner("POST", "/api/tasks", {"title": "T", **body})
    assert reply.status == 201, reply
    found: dict[str, Any] = reply.data
    return found


async def test_a_run_is_queued_and_its_result_can_be_waited_for(owner: Person) -> None:
    task = await made(owner, description=NOTE)
    queued = await owner("POST", f"/api/tasks/{task['id']}/run")
    assert (queued.status, queued.data["run"]["status"]) == (202, "queued")
    second = await made(owner, description=NOTE)
    waited = await owner("POST", f"/api/tasks/{second['id']}/run?wait=20")
    assert (waited.status, waited.data["task"]["status"], waited.data["run"]["status"]) == (
        200,
        "completed",
        "completed",
    )
    assert [a["tool"] for a in waited.data["run"]["actions"]] == ["note.create", "finish"]
    [run] = (await owner("GET", f"/api/tasks/{second['id']}/runs")).data
    steps = (await owner("GET", f"/api/runs/{run['id']}")).data["steps"]
    assert [(s["seq"], s["tool"], s["verdict"], s["status"]) for s in steps] == [
        (1, "note.create", "ALLOW", "done"),
        (2, "finish", "ALLOW", "done"),
    ]


async def test_waiting_ends_where_a_person_is_needed(owner: Person) -> None:
    task = await made(owner, description=ASKS)
    waited = await owner("POST", f"/api/tasks/{task['id']}/run?wait=20")
    assert (waited.status, waited.data["run"]["status"]) == (200, "awaiting_approval")
    again = await owner("POST", f"/api/tasks/{task['id']}/run")
    assert again.status == 409


@pytest.mark.parametrize("wait", ["-1", "61", "nan", "inf", "x"])
async def test_a_wait_has_bounds(owner: Person, wait: str) -> None:
    task = await made(owner)
    reply = await owner("POST", f"/api/tasks/{task['id']}/run?wait={wait}")
    assert (reply.status, list(reply.data["details"]["fieldErrors"])) == (400, ["wait"])
    assert (await owner("GET", f"/api/tasks/{task['id']}/runs")).data == []


async def test_without_a_model_a_free_task_is_blocked_and_says_so(owner: Person) -> None:
    task = await made(owner, description="please think of something")
    waited = await owner("POST", f"/api/tasks/{task['id']}/run?wait=20")
    assert (waited.data["run"]["status"], waited.data["task"]["status"]) == ("blocked", "failed")
    assert waited.data["run"]["error"]


async def test_cancelling_ends_the_run_and_its_approval(owner: Person) -> None:
    task = await made(owner, description=ASKS)
    await owner("POST", f"/api/tasks/{task['id']}/run?wait=20")
    cancelled = await owner("POST", f"/api/tasks/{task['id']}/cancel")
    assert cancelled.status == 200
    for _ in range(1000):
        task_now = (await owner("GET", f"/api/tasks/{task['id']}")).data
        if task_now["status"] == "cancelled":
            break
        await asyncio.sleep(0.05)
    assert task_now["status"] == "cancelled"
    [approval] = (await owner("GET", "/api/audit/approvals")).data
    assert approval["status"] == "cancelled"
    assert (await owner("POST", f"/api/tasks/{(await made(owner))['id']}/cancel")).data == {"run": None}


async def test_lists_are_filtered(harness: Harness, owner: Person) -> None:
    operator = (await owner("POST", "/api/operators", {"name": "Op", "role": "ops"})).data
    await made(owner, title="Send the letter", operatorId=operator["id"])
    done = await made(owner, title="Count to ten", description=NOTE)
    await owner("POST", f"/api/tasks/{done['id']}/run?wait=20")

    async def titles(query: str) -> list[str]:
        reply = await owner("GET", f"/api/tasks?{query}")
        assert reply.status == 200, reply
        return [t["title"] for t in reply.data]

    assert await titles("") == ["Count to ten", "Send the letter"]
    assert await titles("status=completed") == ["Count to ten"]
    assert await titles("status=completed,pending") == ["Count to ten", "Send the letter"]
    assert await titles("q=LETTER") == ["Send the letter"]
    assert await titles("q=%25") == []
    assert await titles(f"operatorId={operator['id']}") == ["Send the letter"]
    refused = await owner("GET", "/api/tasks?status=done")
    assert (refused.status, list(refused.data["details"]["fieldErrors"])) == (400, ["status"])


async def test_a_task_is_changed_and_taken_away(owner: Person) -> None:
    task = await made(owner)
    path = f"/api/tasks/{task['id']}"
    changed = await owner("PUT", path, {"title": "New", "priority": 5, "schedule": {"cron": "0 9 * * 1"}})
    assert (changed.data["title"], changed.data["priority"], len(changed.data["nextTimes"])) == ("New", 5, 5)
    for body in ({"title": None}, {"title": ""}, {"priority": "high"}, {"schedule": {"cron": "soon"}}):
        assert (await owner("PUT", path, body)).status == 400
    assert (await owner("DELETE", path)).status == 204
    assert (await owner("GET", path)).status == 404
    assert (await owner("DELETE", path)).status == 404


async def test_a_status_follows_the_table(owner: Person) -> None:
    task = await made(owner)
    path = f"/api/tasks/{task['id']}/status"
    unknown = await owner("PUT", path, {"status": "done"})
    assert (unknown.status, unknown.data["error"], unknown.code) == (400, "Invalid status", "invalid_status")
    assert "queued" in unknown.data["allowed"]
    illegal = await owner("PUT", path, {"status": "running"})
    assert (illegal.status, illegal.code) == (409, "illegal_move")
    assert (await owner("PUT", path, {"status": "cancelled"})).data["status"] == "cancelled"


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", ""),
        ("PUT", ""),
        ("DELETE", ""),
        ("PUT", "/status"),
        ("POST", "/run"),
        ("POST", "/cancel"),
        ("GET", "/runs"),
    ],
)
async def test_foreign_and_missing_tasks_look_the_same(harness: Harness, owner: Person, method: str, path: str) -> None:
    other = await harness.person("bob@example.com")
    task = await made(other)
    body = {"status": "cancelled"} if path == "/status" else {} if method in ("PUT", "POST") else None
    foreign = await owner(method, f"/api/tasks/{task['id']}{path}", body)
    missing = await owner(method, f"/api/tasks/{new_id()}{path}", body)
    assert foreign.status == missing.status == 404
    assert {**foreign.data, "requestId": ""} == {**missing.data, "requestId": ""}


async def test_operators_have_known_roles_and_tools(harness: Harness, owner: Person) -> None:
    member = await harness.member(owner, "bob@example.com", "member")
    assert {r["role"] for r in (await member("GET", "/api/operators/roles")).data} == {
        "engineering", "product", "growth", "design", "ops",
    }  # fmt: skip
    assert (await member("POST", "/api/operators", {"name": "x", "role": "ops"})).status == 403
    for body, field in (
        ({"name": "x", "role": "cto"}, "role"),
        ({"name": "x", "role": "ops", "tools": ["rm"]}, "tools"),
    ):
        refused = await owner("POST", "/api/operators", body)
        assert (refused.status, list(refused.data["details"]["fieldErrors"])) == (400, [field])
    operator = (await owner("POST", "/api/operators", {"name": "x", "role": "ops", "tools": ["note.create"]})).data
    changed = await owner("PUT", f"/api/operators/{operator['id']}", {"goal": "g", "isActive": False})
    assert (changed.data["goal"], changed.data["isActive"]) == ("g", False)
    whole = (await owner("GET", f"/api/operators/{operator['id']}")).data
    assert whole["config"] == {"maxIterations": 50}
    foreign = await harness.person("eve@example.com")
    refused = await foreign("POST", "/api/tasks", {"title": "x", "operatorId": operator["id"]})
    assert refused.status == 403
    assert refused.data["error"] == "operatorId does not belong to authenticated workspace"


async def test_a_paused_operator_begins_no_work(owner: Person) -> None:
    operator = (await owner("POST", "/api/operators", {"name": "Nora", "role": "ops"})).data["id"]
    task = await made(owner, description=NOTE, operatorId=operator)
    assert (await owner("PUT", f"/api/operators/{operator}", {"isActive": False})).status == 200
    for method, path, body in (
        ("POST", f"/api/tasks/{task['id']}/run", {}),
        ("PUT", f"/api/tasks/{task['id']}/status", {"status": "queued"}),
        ("POST", "/api/tasks", {"title": "T", "operatorId": operator, "autoRun": True}),
    ):
        refused = await owner(method, path, body)
        assert (refused.status, refused.code, refused.data["operatorId"]) == (409, "operator_paused", operator)
    assert (await owner("GET", f"/api/tasks/{task['id']}")).data["status"] == "pending"
    assert (await owner("PUT", f"/api/operators/{operator}", {"isActive": True})).status == 200
    assert (await owner("POST", f"/api/tasks/{task['id']}/run?wait=20")).data["run"]["status"] == "completed"


@pytest.mark.parametrize(
    ("field", "wrong"),
    [
        ("title", "\u200b\u2060"),
        ("title", " \ufeff "),
        ("deadlineAt", "0001-01-01T00:00:00+14:00"),
        ("deadlineAt", "9999-12-31T23:59:59-14:00"),
        ("deadlineAt", "2030-01-01T00:00:00"),
        ("deadlineAt", 1_900_000_000),
        ("schedule.at", {"at": "0001-01-01T00:00:00+14:00"}),
        ("schedule.at", {"at": "9999-12-31T23:59:59-14:00"}),
    ],
)
async def test_titles_nobody_sees_and_times_outside_of_the_calendar(owner: Person, field: str, wrong: Any) -> None:
    task = await made(owner)
    body = {field.partition(".")[0]: wrong}
    for reply in (
        await owner("POST", "/api/tasks", {"title": "T", **body}),
        await owner("PUT", f"/api/tasks/{task['id']}", body),
    ):
        assert (reply.status, list(reply.data["details"]["fieldErrors"])) == (400, [field])
    if field == "title":
        assert (await owner("POST", "/api/operators", {"name": wrong, "role": "ops"})).status == 400


async def test_a_deadline_can_be_changed_while_the_run_is_under_way(owner: Person) -> None:
    task = await made(owner, description="wait.until seconds=600", deadlineAt="2100-01-01T00:00:00Z")
    path = f"/api/tasks/{task['id']}"
    run = (await owner("POST", f"{path}/run?wait=20")).data["run"]
    assert run["status"] == "waiting"
    assert (await owner("PUT", path, {"deadlineAt": None})).data["deadlineAt"] is None
    changed = await owner("PUT", path, {"deadlineAt": "2020-01-01T01:00:00+01:00"})
    assert changed.data["deadlineAt"] == "2020-01-01T00:00:00.000Z"
    assert await owner.harness.services.runs.sweep_due() == 1
    assert (await owner("GET", f"{path}/runs")).data[0]["error"] == "the deadline has passed"


async def test_a_playbook_that_cannot_run_is_refused_when_a_task_is_changed(owner: Person) -> None:
    task = await made(owner, description=NOTE)
    path = f"/api/tasks/{task['id']}"
    refused = await owner("PUT", path, {"description": 'note.create titel="Plan"'})
    assert (refused.status, refused.code, refused.data["line"]) == (400, "playbook_invalid", 1)
    assert (await owner("GET", path)).data["description"] == NOTE
