"""Two processes on one Postgres: one is killed with work in flight, the other finishes everything, once."""

import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests.app.test_story_http import Outside, Person, approve, pending, ready
from tests.databases import fresh_url
from tests.processes import ROOT, Program, call, free_ports, until

pytestmark = pytest.mark.timeout(240)
TASKS = 8
MESSAGES = 6
TOKEN = "7000000001:" + "A" * 35


@pytest.fixture
def simulator() -> Iterator[str]:
    port = free_ports(1)
    program = subprocess.Popen([sys.executable, "-m", "simulator", "--port", str(port)], cwd=ROOT)
    base = f"http://127.0.0.1:{port}"
    try:
        until(lambda: call("GET", f"{base}/sim/state"), what="the simulator")
        yield base
    finally:
        program.terminate()
        program.wait(10)


def rows(url: str, query: str) -> list[tuple[Any, ...]]:
    with psycopg.connect(url.replace("postgresql+psycopg://", "postgresql://"), autocommit=True) as connection:
        return connection.execute(query).fetchall()  # type: ignore[arg-type]


def process(folder: Path, url: str, outside: Outside, telegram: str) -> tuple[Program, str]:
    folder.mkdir(exist_ok=True)
    port = free_ports(1)
    program = Program(
        folder,
        "serve",
        DATABASE_URL=url,
        PILOT_DATA_DIR=str(folder.parent / "data"),
        PORT=str(port),
        LOG_FORMAT="json",
        RATE_LIMITS_ENABLED="false",
        PILOT_HTTP_ALLOW=f"127.0.0.1:{outside.port}",
        # both are given one name, by mistake: they must not take each other's work
        PILOT_EXECUTOR_ID="twin",
        TELEGRAM_BOT_TOKEN=TOKEN,
        TELEGRAM_API_URL=telegram,
    )
    base = f"http://127.0.0.1:{port}"
    ready(base)
    return program, base


def settle_truly(person: Person, outside: Outside, numbers: dict[str, int]) -> None:
    """Say of each interrupted call what really became of it."""
    arrived = Counter(body for _, body in outside.posts)
    for task, number in numbers.items():
        for run in person.get(f"/api/tasks/{task}/runs"):
            for step in person.get(f"/api/runs/{run['id']}")["steps"] if run["status"] == "uncertain" else ():
                if step["status"] == "uncertain":
                    choice = "mark_done" if arrived[f'{{"n": {number}}}'] else "retry"
                    person.send("POST", f"/api/runs/{run['id']}/steps/{step['id']}/settle", {"choice": choice})


def test_the_other_process_finishes_everything(tmp_path: Path, simulator: str) -> None:
    url = fresh_url("postgres", tmp_path, migrated=False)
    outside = Outside()
    first, _ = process(tmp_path / "a", url, outside, simulator)
    second, other = process(tmp_path / "b", url, outside, simulator)
    try:
        names = until(
            lambda: found if len(found := rows(url, "SELECT executor_id FROM executors ORDER BY 1")) == 2 else None,
            what="two names",
        )
        assert names == [("twin",), ("twin-2",)]

        call("POST", f"{simulator}/sim/say", {"user": 1001, "text": "/start"})
        person = Person(other, "ada@example.com")
        numbers: dict[str, int] = {}
        for number in range(TASKS):
            text = f'http.post url=http://127.0.0.1:{outside.port}/hook json={{"n": {number}}}\nfinish summary="done"'
            status, task = person.send(
                "POST", "/api/tasks", {"title": f"T{number}", "description": text, "autoRun": True}
            )
            assert status == 201, task
            numbers[task["id"]] = number
        until(lambda: len(pending(person)) == TASKS, what="all cards")
        for approval in pending(person):
            assert approve(person, approval)[0] == 200
        for number in range(MESSAGES):
            call("POST", f"{simulator}/sim/say", {"user": 1001, "text": f'note.create title="said {number}"'})
        until(lambda: outside.posts, what="work under way")

        # the first is the one that polls and sends
        first.kill()
        killed = time.monotonic()
        for number in range(MESSAGES, 2 * MESSAGES):
            call("POST", f"{simulator}/sim/say", {"user": 1001, "text": f'note.create title="said {number}"'})

        def all_done() -> bool:
            settle_truly(person, outside, numbers)
            open_runs = rows(url, "SELECT count(*) FROM runs WHERE state <> 'completed'")[0][0]
            said = rows(url, "SELECT count(*) FROM tasks WHERE description LIKE 'note.create title=\"said%'")[0][0]
            unsent = rows(url, "SELECT count(*) FROM outbox WHERE state IN ('queued', 'claimed')")[0][0]
            return (open_runs, said, unsent) == (0, 2 * MESSAGES, 0)

        until(all_done, seconds=60, what="the other process to finish everything")
        assert time.monotonic() - killed < 60

        # nothing outside happened twice, no message was taken twice
        assert Counter(body for _, body in outside.posts) == {f'{{"n": {n}}}': 1 for n in range(TASKS)}
        said = rows(url, "SELECT description, count(*) FROM tasks WHERE description LIKE 'note.create%' GROUP BY 1")
        assert len(said) == 2 * MESSAGES
        assert {count for _, count in said} == {1}
        assert rows(url, "SELECT count(*) FROM inbox WHERE state <> 'done'") == [(0,)]
        # the dead one is forgotten, its work was taken over
        until(lambda: rows(url, "SELECT executor_id FROM executors") == [("twin-2",)], what="the dead to be forgotten")
    finally:
        first.kill()
        second.kill()
        outside.close()
