"""An installation of the first version in use goes on under this one: everything in it, on both stores, and killed on the way."""

import json
import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg
import pytest

from simulator.people import say
from storage.database import Store
from storage.migrate import current, differences, newest
from tests.app.test_story_http import Person
from tests.first_version import Installation, local_telegram, unpack
from tests.processes import ROOT, Program, bot_ready, call, free_ports, ready, until

pytestmark = pytest.mark.timeout(600)
# the revision of then: its migrations are never changed
THEN = "0004"
# dies as with kill -9 before the n-th statement it was to send, or after the last one
DYING = """
import os, signal, sys
import sqlalchemy as sa
left = int(sys.argv.pop(1))
@sa.event.listens_for(sa.engine.Engine, "before_cursor_execute")
def count(*_):
    global left
    left -= 1
    if left < 0:
        os.kill(os.getpid(), signal.SIGKILL)
from app.cli import main
main(["migrate"])
"""


@pytest.fixture(params=["sqlite", "postgres"])
def old(request: pytest.FixtureRequest, tmp_path: Path) -> Installation:
    return unpack(request.param, tmp_path)


def rows(old: Installation, query: str) -> list[tuple[Any, ...]]:
    if old.url.startswith("sqlite"):
        with closing(sqlite3.connect(old.data / "pilot.db")) as db:
            return db.execute(query).fetchall()
    with psycopg.connect(old.url.replace("postgresql+psycopg://", "postgresql://"), autocommit=True) as db:
        return db.execute(query).fetchall()  # type: ignore[arg-type]


def pilot(old: Installation, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "app", *words],
        cwd=old.data.parent,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), **old.settings},
        capture_output=True,
        text=True,
        timeout=120,
    )


@pytest.fixture
def running(old: Installation) -> Iterator[tuple[str, Any]]:
    """The address of a real `pilot serve` on the data, and the local Telegram it is connected to."""
    with local_telegram(old.facts) as (telegram, address):
        say(telegram, 1001, "/start")
        port = free_ports(1)
        more = {"PORT": str(port), "TELEGRAM_BOT_TOKEN": old.facts["bot"], "TELEGRAM_API_URL": address}
        program = Program(old.data.parent, "serve", **old.settings, **more)
        base = f"http://127.0.0.1:{port}"
        try:
            ready(base)
            yield base, telegram
            assert program.stop() == 0
        finally:
            program.kill()


def test_it_goes_on_under_this_version(old: Installation, running: tuple[str, Any]) -> None:
    base, telegram = running
    facts = old.facts
    bot_ready(base)
    status, health = call("GET", f"{base}/health")
    assert (status, health["status"], health["checks"]["ledger"]) == (200, "ok", "ok"), health

    whoever_was_let_in_still_is(base, facts)
    owner = Person(base, "ada@example.com")
    assert owner.workspace == facts["workspace"]
    nothing_is_missing(owner, facts)

    # what was asked then is answered now, and its run ends
    asked = owner.get(f"/api/audit/approvals/{facts['parkedApproval']['id']}")
    assert (asked["status"], asked["actionHash"]) == ("pending", facts["parkedApproval"]["actionHash"])
    body = {"status": "approved", "version": asked["version"], "digest": asked["actionHash"]}
    status, said = owner.send("PUT", f"/api/audit/approvals/{asked['id']}", body)
    assert status == 200, said
    for name, end in (("parked", "completed"), ("another", "completed"), ("queued", "completed")):
        task = f"/api/tasks/{facts['tasks'][name]}"
        until(lambda task=task, end=end: owner.get(task)["status"] == end, what=f"the run of {name}")  # type: ignore[misc]
    mails = [path.read_text(errors="replace") for path in (old.data / "mail").glob("*.eml")]
    assert sum("of then" in mail for mail in mails) == 1
    assert sum("another" in mail for mail in mails) == 1
    # the call that was under way when the process was killed is asked about, not made again
    [run] = owner.get(f"/api/tasks/{facts['tasks']['running']}/runs")
    until(lambda: owner.get(f"/api/runs/{run['id']}")["status"] == "uncertain", what="the interrupted call")

    # the updates nobody had looked at, and the card that was not sent
    def texts() -> str:
        return "\n".join(m.get("text", "") for m in list(telegram.chat_for(1001, None).messages.values()))

    until(lambda: "heard of then" in texts(), what="the answer to an update of then")
    until(lambda: "deploy:then" in texts(), what="the card that was not sent")
    assert rows(old, "SELECT count(*) FROM inbox WHERE state <> 'done'") == [(0,)]

    evidence_holds(old, owner)


def whoever_was_let_in_still_is(base: str, facts: dict[str, Any]) -> None:
    """By the sessions and keys of then. A session this old gets a new token with its first request."""
    for who in (facts["owner"], facts["partner"], facts["member"]):
        status, me = call("GET", f"{base}/api/me", headers={"Authorization": f"Bearer {who['token']}"})
        assert (status, me["user"]["id"]) == (200, who["userId"])
        assert facts["workspace"] in {place["id"] for place in me["workspaces"]}
    status, me = call("GET", f"{base}/api/me", headers={"Authorization": f"Bearer {facts['chat']['token']}"})
    assert (status, me["user"]["telegramId"]) == (200, "1001")
    here = {"X-Workspace-Id": facts["workspace"]}
    assert call("GET", f"{base}/api/tasks", headers={"X-API-Key": facts["apiKey"], **here})[0] == 200
    assert call("GET", f"{base}/api/v1/receipts", headers={"X-API-Key": facts["agentKey"], **here})[0] == 200
    assert call("GET", f"{base}/api/tasks", headers={"X-API-Key": facts["revokedKey"], **here})[0] == 401
    assert call("GET", f"{base}/api/me", headers={"Authorization": f"Bearer {'0' * 64}"})[0] == 401


def nothing_is_missing(owner: Person, facts: dict[str, Any]) -> None:
    listed = {task["id"] for task in owner.get("/api/tasks?limit=200")}
    assert set(facts["tasks"].values()) - {facts["tasks"]["deleted"]} <= listed
    assert facts["tasks"]["deleted"] not in listed
    for name, status in {
        "pending": "pending",
        "completed": "completed",
        "failed": "failed",
        "cancelled": "cancelled",
        "settled": "completed",
        "planned": "completed",
    }.items():
        assert owner.get(f"/api/tasks/{facts['tasks'][name]}")["status"] == status, name
    found: list[str] = []
    page = owner.get("/api/governance/receipts?limit=100")
    while True:
        found += [one["id"] for one in page["receipts"]]
        if not page.get("nextCursor"):
            break
        page = owner.get(f"/api/governance/receipts?limit=100&before={page['nextCursor']}")
    assert len(found) == len(set(found)) > 200
    stored = owner.get(f"/api/workspace/{owner.workspace}/settings")
    assert stored["policyConfig"]["toolBlocklist"] == ["http.get"]
    assert stored["budgetConfig"]["dailyTotalMax"] == 40
    assert owner.send("POST", "/api/workspace/secrets/anthropic/verify")[0] == 200
    [server] = owner.get("/api/mcp-servers")["servers"]
    assert (server["id"], server["hasSecret"], server["enabled"]) == (facts["mcpServer"], True, False)
    assert {one["name"] for one in owner.get("/api/operators")} == {"Poster", "Writer", "Paused"}
    assert len(owner.get(f"/api/workspace/{owner.workspace}")["members"]) == 4
    assert len(owner.get("/api/knowledge/search?q=Note")) >= 3
    assert len(owner.get("/api/grants")) == 1
    assert len(owner.get("/api/audit/violations")) >= 3
    usage = owner.get("/api/usage?from=2026-11-01&to=2026-11-30")
    assert usage["total"]["calls"] == 3


def evidence_holds(old: Installation, owner: Person) -> None:
    """What was signed then and since, by the programs an auditor uses; beside the server that runs."""
    status, archive = owner.send("GET", "/api/governance/archive")
    assert status == 200
    folder = old.data.parent
    (folder / "receipts.tar.gz").write_bytes(archive)
    (folder / "early.note").write_text(old.facts["earlyCheckpoint"]["note"])
    done = pilot(old, "verify", "receipts.tar.gz", "--checkpoint", "early.note", "--json")
    assert done.returncode == 0, done.stdout
    assert json.loads(done.stdout)["receipts"] > 200
    done = pilot(old, "replay", "all", "--workspace", owner.workspace, "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    assert len(json.loads(done.stdout)) > 30
    assert owner.get("/api/governance/replay")["different"] == []
    done = pilot(old, "doctor", "--json")
    found = {one["what"]: one for one in json.loads(done.stdout)}
    assert found["store"]["ok"], found
    assert "signing key" not in found


def test_killed_in_the_middle_of_the_migration_it_is_migrated_by_the_next_start(old: Installation) -> None:
    assert rows(old, "SELECT version_num FROM alembic_version") == [(THEN,)]
    before = {table: rows(old, f"SELECT count(*) FROM {table}") for table in ("receipts", "tasks", "users", "inbox")}
    env = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), **old.settings}
    kills = 0
    for statement in (1, 2, 4, 7, 12, 20, 33, 54):
        words = [sys.executable, "-c", DYING, str(statement)]
        done = subprocess.run(words, cwd=old.data.parent, env=env, capture_output=True, text=True, timeout=120)
        if done.returncode == 0:
            break
        assert done.returncode == -signal.SIGKILL, done.stderr
        kills += 1
        assert {table: rows(old, f"SELECT count(*) FROM {table}") for table in before} == before
    assert kills >= 1
    done = pilot(old, "migrate", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["revision"] == newest()
    assert {table: rows(old, f"SELECT count(*) FROM {table}") for table in before} == before
    store = Store(old.url)
    try:
        with store.engine.connect() as connection:
            assert current(connection) == newest()
        assert differences(store) == []
    finally:
        store.abandon()
    if newest() > THEN:
        assert kills > 1
