"""What an older store holds is still there, and true, after the store was brought up to date."""

from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic import command

from domain.clock import utc_now
from storage.database import Store
from storage.migrate import migrate, migration_config
from tests.databases import fresh_url


@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
def test_runs_of_before_are_entered_in_the_books_by_task(kind: str, tmp_path: Path) -> None:
    store = Store(fresh_url(kind, tmp_path, migrated=False))
    now = utc_now().replace(hour=23, minute=59)
    try:
        with store.engine.begin() as connection:
            command.upgrade(migration_config(connection), "0001")
            old = sa.MetaData()
            old.reflect(connection, only=("users", "workspaces", "tasks", "runs"))

            def put(table: str, **values: object) -> None:
                connection.execute(old.tables[table].insert().values(**values, updated_at=now, created_at=now))

            put("users", id="u", name="Ada", preferences="{}")
            put("workspaces", id="w", name="W", owner_id="u", current_mode="build", compliance_frameworks="[]")
            task = {"title": "T", "description": "", "mode": "build", "status": "pending", "priority": 0}
            put("tasks", id="t", workspace_id="w", metadata="{}", origin="api", iteration_budget=9, **task)
            run = {"workspace_id": "w", "task_id": "t", "state": "completed", "segment": 1, "epoch": 1}
            run |= {"iterations_used": 3, "iteration_budget": 9, "context": "", "origin": "{}"}
            for number, tokens in ((1, 10), (2, 20), (3, 0)):
                cost = {"tokens_in": tokens, "tokens_out": 1, "cost_micros": tokens * 100}
                put("runs", id=f"r{number}", number=number, model="m" if tokens else "", **run, **cost)
        migrate(store)
        with store.engine.connect() as connection:
            found = connection.execute(sa.text("SELECT * FROM task_spend")).mappings().all()
        assert [dict(row) for row in found] == [
            {
                "workspace_id": "w",
                "task_id": "t",
                "day": now.date().isoformat(),
                "model": "m",
                "tokens_in": 30,
                "tokens_out": 2,
                "cost_micros": 3000,
                "guessed_micros": 0,
                "calls": 6,
            }
        ]
    finally:
        store.abandon()
