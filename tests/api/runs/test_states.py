"""The state tables over HTTP: every move there is, and 409 for every one there is not; what failed can be run again."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from domain.ids import new_id
from domain.runs.run import RUN_ENDED, RunState
from domain.runs.task import MANUAL_MOVES, TaskStatus
from storage import tables
from tests.api.harness import Harness, Person, open_house
from tests.connectors.openai_server import Turn, call, scripted_model


@pytest.fixture
async def still(url: str, tmp_path: Path) -> AsyncIterator[Harness]:
    """An installation in which nothing moves by itself."""
    async with open_house(url, tmp_path, work=False) as opened:
        yield opened


async def put(harness: Harness, table: sa.Table, row: str, **values: Any) -> None:
    await harness.services.store.write(
        lambda tx: tx.execute(sa.update(table).where(table.c.id == row).values(**values))
    )


async def test_a_task_moves_only_as_the_table_says(still: Harness) -> None:
    ada = await still.person("ada@example.com")
    for current in TaskStatus:
        task = (await ada("POST", "/api/tasks", {"title": current.value})).data["id"]
        for wanted in TaskStatus:
            await put(still, tables.tasks, task, status=current.value)
            moved = await ada("PUT", f"/api/tasks/{task}/status", {"status": wanted.value})
            if wanted == current or wanted in MANUAL_MOVES[current]:
                assert (moved.status, moved.data["status"]) == (200, wanted.value), (current, wanted)
            else:
                assert (moved.status, moved.code) == (409, "illegal_move"), (current, wanted)
                assert moved.data["allowed"] == sorted(MANUAL_MOVES[current])
            await ada("POST", f"/api/tasks/{task}/cancel")


async def test_a_run_in_any_state_takes_only_what_fits_it(still: Harness) -> None:
    ada = await still.person("ada@example.com")
    for state in RunState:
        task = (await ada("POST", "/api/tasks", {"title": state.value})).data["id"]
        path = f"/api/tasks/{task}"
        run = (await ada("POST", f"{path}/run")).data["run"]["id"]
        await put(still, tables.runs, run, state=state.value)
        shown = await ada("GET", f"/api/runs/{run}")
        assert (shown.status, shown.data["status"]) == (200, state.value)
        assert (await ada("POST", f"/api/runs/{run}/steps/{new_id()}/settle", {"choice": "retry"})).status == 404
        again = await ada("POST", f"{path}/run")
        if state in RUN_ENDED:
            assert (again.status, again.data["run"]["runSequence"]) == (202, 2), state
            assert (await ada("GET", f"/api/runs/{run}")).data["status"] == state.value
        else:
            assert (again.status, again.code, again.data["runId"]) == (409, "run_active", run), state
        cancelled = await ada("POST", f"{path}/cancel")
        assert cancelled.status == 200
        if state not in RUN_ENDED:
            # one that is at work ends before its next step, any other at once
            wanted = "running" if state is RunState.RUNNING else "cancelled"
            assert cancelled.data["run"]["status"] == wanted, state


async def test_what_failed_for_good_is_seen_and_run_again(url: str, tmp_path: Path) -> None:
    answers = [Turn(status=400, error="no such thing"), call("finish", summary="better now")]
    async with scripted_model(answers) as model, open_house(url, tmp_path, pilot_http_allow=("127.0.0.1",)) as harness:
        ada: Person = await harness.person("ada@example.com")
        config = {"provider": "openai", "model": "gpt-4o-mini", "baseUrl": model.base_url}
        await ada("PUT", f"/api/workspace/{ada.workspace_id}/settings", {"modelConfig": config})
        task = (await ada("POST", "/api/tasks", {"title": "Think", "description": "Think hard."})).data["id"]
        waited = await ada("POST", f"/api/tasks/{task}/run?wait=20")
        assert (waited.status, waited.data["run"]["status"], waited.data["task"]["status"]) == (200, "failed", "failed")
        [run] = (await ada("GET", f"/api/tasks/{task}/runs")).data
        assert (run["errorCode"], run["costUsd"]) == ("dead_letter", "0.000000")
        assert "no such thing" in run["error"]
        assert [t["id"] for t in (await ada("GET", "/api/tasks?status=failed")).data] == [task]
        again = await ada("POST", f"/api/tasks/{task}/run?wait=20")
        assert (again.status, again.data["run"]["status"], again.data["run"]["summary"]) == (
            200,
            "completed",
            "better now",
        )
        newest, oldest = (await ada("GET", f"/api/tasks/{task}/runs")).data
        assert (newest["runSequence"], newest["modelUsed"], oldest["status"]) == (2, "openai:gpt-4o-mini", "failed")
