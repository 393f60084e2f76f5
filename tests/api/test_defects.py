"""Defects of the public reference, by their number in its list, seen over HTTP: here they do not happen.

Those that have a test beside the part they are about are named in docs/reference/compatibility.md.
"""

import asyncio
import threading
from collections.abc import AsyncIterator
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import sqlalchemy as sa

from domain.clock import utc_now
from domain.receipts.receipt import parse
from storage import tables
from storage.ledger import receipt_rows
from storage.transaction import Tx
from tests.api.harness import Harness, Person, Reply, open_house


@pytest.fixture
async def harness(url: str, tmp_path: Path) -> AsyncIterator[Harness]:
    async with open_house(url, tmp_path, pilot_http_allow=("127.0.0.1",)) as opened:
        yield opened


@pytest.fixture
def slow_page() -> AsyncIterator[str]:
    """A page that takes its time, so that runs of several workspaces are under way at once."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.server.released.wait(0.3)  # type: ignore[attr-defined]
            self.send_response(200)
            self.send_header("Content-Length", "2")
            self.end_headers()
            self.wfile.write(b"ok")

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.released = threading.Event()  # type: ignore[attr-defined]
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()
    server.server_close()


async def run(person: Person, steps: str, **more: object) -> Reply:
    """Make a task and run it to where it rests."""
    task = await person("POST", "/api/tasks", {"title": "T", "description": steps, **more})
    assert task.status == 201, task
    return await person("POST", f"/api/tasks/{task.data['id']}/run?wait=30")


async def settings(person: Person, policy: dict[str, object]) -> None:
    reply = await person("PUT", f"/api/workspace/{person.workspace_id}/settings", {"policyConfig": policy})
    assert reply.status in (200, 201), reply


async def verdicts(person: Person) -> list[tuple[str, str]]:
    lines = (await person("GET", "/api/audit?action=tool:decided&limit=200")).data
    return [(line["target"], line["verdict"]) for line in lines]


async def test_16_workspaces_at_work_at_once_each_keep_to_their_own_policy(harness: Harness, slow_page: str) -> None:
    """One workspace's kill switch was overwritten by the policy of whoever started a second later."""
    free, frozen = await harness.person("free@example.com"), await harness.person("frozen@example.com")
    await settings(frozen, {"toolBlocklist": ["http.get"]})
    steps = "\n".join(f"http.get url={slow_page}" for _ in range(3)) + '\nfinish summary="done"'
    await asyncio.gather(*(run(person, steps) for person in (free, frozen) * 3))
    assert {v for t, v in await verdicts(free) if t == "http.get"} == {"allow"}
    assert {v for t, v in await verdicts(frozen) if t == "http.get"} == {"deny"}
    assert (await frozen("GET", "/api/audit/violations")).data
    assert (await free("GET", "/api/audit/violations")).data == []


async def test_19_sessions_are_listed_ended_and_purged(harness: Harness, owner: Person) -> None:
    """Logins piled up for ever, with no list and no way to end them all."""
    again = await harness.person("second@example.com")
    listed = (await again("GET", "/api/auth/sessions")).data
    assert len(listed) == 1
    assert (await again("DELETE", "/api/auth/sessions")).status == 200
    assert (await again("GET", "/api/me")).status == 401

    def age(tx: Tx) -> int:
        tx.execute(sa.update(tables.sessions).values(expires_at=utc_now() - timedelta(days=1)))
        return int(tx.scalar(sa.select(sa.func.count()).select_from(tables.sessions)) or 0)

    assert await harness.services.store.write(age) >= 2
    await harness.services.sessions.purge()
    left = await harness.services.store.read(
        lambda tx: tx.scalar(sa.select(sa.func.count()).select_from(tables.sessions))
    )
    assert left == 0
    assert owner.user_id


async def test_22_no_secret_lies_readable_in_the_store(harness: Harness, owner: Person) -> None:
    """Session tokens and keys were kept as they were sent."""
    key = await owner("POST", "/api/auth/apikey", {"name": "k"})
    invite = await owner("POST", f"/api/workspace/{owner.workspace_id}/invite", {"role": "member"})
    secrets = [owner.login["token"], key.data["key"], invite.data["inviteToken"]]
    assert all(len(secret) > 20 for secret in secrets)

    def everything(tx: Tx) -> list[tuple[str, str]]:
        return [
            (table.name, str(value))
            for table in tables.metadata.sorted_tables
            for row in tx.all(sa.select(table))
            for value in row
        ]

    cells = await harness.services.store.read(everything)
    assert any(owner.user_id in value for _, value in cells)
    assert [name for name, value in cells if any(secret in value for secret in secrets)] == []


@pytest.mark.parametrize("narrower", ["workspace", "task"])
async def test_28_a_tool_outside_the_mode_does_not_run(harness: Harness, owner: Person, narrower: str) -> None:
    """The list of tools by mode was advice: a tool outside it was carried out."""
    mode = {}
    if narrower == "workspace":
        place = f"/api/workspace/{owner.workspace_id}/mode"
        assert (await owner("PUT", place, {"mode": "discover"})).status == 200
    else:
        mode = {"mode": "discover"}
    ended = await run(owner, 'note.create title="N"\ntask.create title="Sub"\nfinish summary="done"', **mode)
    assert ended.status == 200
    # a written step that is refused ends the playbook
    assert dict(await verdicts(owner)) == {"note.create": "allow", "task.create": "deny"}
    assert [t["title"] for t in (await owner("GET", "/api/tasks")).data] == ["T"]
    [violation] = (await owner("GET", "/api/audit/violations")).data
    assert violation["action"] == "task.create"


async def test_33_finishing_is_a_tool_like_others(owner: Person) -> None:
    """Every run that went well left an error behind: "Unknown tool: finish"."""
    await run(owner, 'note.create title="N"\nfinish summary="done"')
    lines = (await owner("GET", "/api/audit?limit=100")).data
    said = [(line["action"], line["verdict"]) for line in lines if line["target"] == "finish"]
    assert sorted(said) == [("tool:decided", "allow"), ("tool:executed", "allow")]
    assert {line["verdict"] for line in lines} == {"allow"}


async def test_34_a_tool_has_one_effect_level(harness: Harness, owner: Person) -> None:
    """Three places guessed it from the name and disagreed: the call was refused half way, the task ran for ever."""
    await run(owner, 'note.create title="N"\nhttp.post url=http://127.0.0.1:9/ json={"n": 1}\nfinish summary="done"')
    declared = {spec.name: int(spec.effect) for spec in harness.services.tool_registry.specs}
    [task] = (await owner("GET", "/api/tasks")).data

    def check(tx: Tx) -> set[str]:
        names = {}
        for row in tx.all(sa.select(tables.steps)):
            names[row.id] = row.tool
            assert row.effect == declared[row.tool]
        for receipt in receipt_rows.of_task(tx, owner.workspace_id, task["id"]):
            if receipt.step_id is not None:
                assert parse(receipt.leaf).body["effect_id"] == f"E{declared[names[receipt.step_id]]}"
        [asked] = tx.all(sa.select(tables.approvals.c.action, tables.approvals.c.effect))
        assert asked.effect == declared[asked.action]
        return set(names.values())

    assert await harness.services.store.read(check) == {"note.create", "http.post"}


async def test_36_work_that_waits_for_long_is_not_failed(harness: Harness, owner: Person) -> None:
    """Whatever ran for ten minutes was marked as failed while it went on."""
    await run(owner, 'http.post url=http://127.0.0.1:9/ json={"n": 1}\nfinish summary="done"')
    [task] = (await owner("GET", "/api/tasks")).data
    task_id = task["id"]
    long_ago = utc_now() - timedelta(days=3)

    def age(tx: Tx) -> None:
        tx.execute(sa.update(tables.runs).values(created_at=long_ago, updated_at=long_ago))
        tx.execute(sa.update(tables.tasks).values(updated_at=long_ago))

    await harness.services.store.write(age)
    for sweep in (
        harness.services.runs.sweep_lost,
        harness.services.runs.sweep_due,
        harness.services.tasks.sweep_scheduled,
    ):
        await sweep()
    assert (await owner("GET", f"/api/tasks/{task_id}")).data["status"] == "awaiting_approval"
    [approval] = (await owner("GET", "/api/audit/approvals?status=pending")).data
    assert (await owner("PUT", f"/api/audit/approvals/{approval['id']}", {"status": "rejected"})).status == 200
    async with asyncio.timeout(60):
        # a written step that a person rejected ends the playbook
        while (await owner("GET", f"/api/tasks/{task_id}")).data["status"] != "failed":
            await asyncio.sleep(0.05)


async def test_41_a_person_is_in_a_workspace_once_and_an_address_has_one_spelling(
    harness: Harness, owner: Person
) -> None:
    """Two invites made two rows of one member with two roles; "Bob@" and "bob@" were two accounts."""
    bob = await harness.person("bob@example.com")
    for role in ("member", "partner"):
        invite = await owner("POST", f"/api/workspace/{owner.workspace_id}/invite", {"role": role})
        await bob("POST", f"/api/auth/invite/{invite.data['inviteToken']}", {})
    members = (await owner("GET", f"/api/workspace/{owner.workspace_id}")).data["members"]
    assert [m["userId"] for m in members].count(bob.user_id) == 1

    def later(tx: Tx) -> None:
        tx.execute(sa.delete(tables.email_codes))

    await harness.services.store.write(later)
    assert (await harness.person("Bob@Example.com")).user_id == bob.user_id
