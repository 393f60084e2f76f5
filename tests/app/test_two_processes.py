"""Two processes on one Postgres: one is killed with work in flight, the other finishes everything, once."""

import contextlib
import http.client
import threading
import time
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests.app.conftest import TOKEN
from tests.app.test_story_http import Outside, Person, approve, pending
from tests.databases import fresh_url
from tests.processes import Program, call, free_ports, ready, until

pytestmark = pytest.mark.timeout(600)
TASKS = 8
MESSAGES = 6


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


class Ear:
    """A listener of `/api/events` that goes on elsewhere, from the last number it heard, when its stream breaks."""

    def __init__(self, person: Person, *bases: str) -> None:
        self.numbers: list[int] = []
        self.closed = False
        self._bases = list(bases)
        self._headers = person.headers
        self._thread = threading.Thread(target=self._listen, daemon=True)
        self._thread.start()

    def _listen(self) -> None:
        for base in self._bases:
            last = {"Last-Event-ID": str(self.numbers[-1])} if self.numbers else {"Last-Event-ID": "0"}
            connection = http.client.HTTPConnection(base.removeprefix("http://"), timeout=60)
            with contextlib.suppress(OSError, http.client.HTTPException):
                connection.request("GET", "/api/events", headers={**self._headers, **last})
                for line in connection.getresponse():
                    if self.closed:
                        return
                    if line.startswith(b"id: "):
                        self.numbers.append(int(line[4:]))


def ticked(url: str, title: str) -> int:
    """How many runs the clocks started of the task with this title."""
    query = f"SELECT count(*) FROM tasks JOIN runs ON runs.task_id = tasks.id WHERE title = '{title}'"
    return int(rows(url, query)[0][0])


def soon(seconds: float) -> str:
    return (datetime.now(UTC) + timedelta(seconds=seconds)).isoformat()


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
    first, one = process(tmp_path / "a", url, outside, simulator)
    second, other = process(tmp_path / "b", url, outside, simulator)
    try:
        names = until(
            lambda: found if len(found := rows(url, "SELECT executor_id FROM executors ORDER BY 1")) == 2 else None,
            what="two names",
        )
        assert names == [("twin",), ("twin-2",)]

        call("POST", f"{simulator}/sim/say", {"user": 1001, "text": "/start"})
        person = Person(other, "ada@example.com")
        # one hears on a process what the other one does; one has to move when its process dies
        steady, moving = Ear(person, other), Ear(person, one, other)
        numbers: dict[str, int] = {}
        for number in range(TASKS):
            text = f'http.post url=http://127.0.0.1:{outside.port}/hook json={{"n": {number}}}\nfinish summary="done"'
            status, task = call(
                "POST",
                f"{one if number % 2 else other}/api/tasks",
                {"title": f"T{number}", "description": text, "autoRun": True},
                person.headers,
            )
            assert status == 201, task
            numbers[task["id"]] = number
        until(lambda: len(pending(person)) == TASKS, what="all cards")
        for approval in pending(person):
            assert approve(person, approval)[0] == 200
        for number in range(MESSAGES):
            call("POST", f"{simulator}/sim/say", {"user": 1001, "text": f'note.create title="said {number}"'})
        # both clocks see the first fall due; the second falls due when one of them is gone. A time that has passed
        # before it is told never comes, so the first is not too soon for a busy machine
        for name, seconds in (("early", 8.0), ("late", 20.0)):
            text = f'note.create title="{name}"\nfinish summary="done"'
            status, task = person.send(
                "POST", "/api/tasks", {"title": name, "description": text, "schedule": {"at": soon(seconds)}}
            )
            assert status == 201, task
        until(lambda: outside.posts, what="work under way")
        until(lambda: ticked(url, "early") == 1, what="the first tick")
        until(lambda: steady.numbers and steady.numbers == moving.numbers[: len(steady.numbers)], what="live events")

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
            return (open_runs, said, unsent, ticked(url, "late")) == (0, 2 * MESSAGES, 0, 1)

        until(all_done, seconds=60, what="the other process to finish everything")
        assert time.monotonic() - killed < 60

        # nothing outside happened twice, no message was taken twice
        assert Counter(body for _, body in outside.posts) == {f'{{"n": {n}}}': 1 for n in range(TASKS)}
        said = rows(url, "SELECT description, count(*) FROM tasks WHERE description LIKE '%said%' GROUP BY 1")
        assert len(said) == 2 * MESSAGES
        assert {count for _, count in said} == {1}
        assert rows(url, "SELECT count(*) FROM inbox WHERE state <> 'done'") == [(0,)]
        assert (ticked(url, "early"), ticked(url, "late")) == (1, 1)
        noted = "SELECT title, count(*) FROM notes WHERE title IN ('early', 'late') GROUP BY 1 ORDER BY 1"
        assert rows(url, noted) == [("early", 1), ("late", 1)]
        # each outcome was told in chat once, save for what the dead process was just sending: nobody knows if it arrived
        told = call("GET", f"{simulator}/sim/calls?method=sendMessage&limit=500")[1]
        texts = Counter(sent["params"]["text"] for sent in told if "said" in sent["params"].get("text", ""))
        assert len(texts) >= 2 * MESSAGES, texts
        assert sum(texts.values()) - len(texts) <= 1, texts
        # nothing was missed and nothing heard twice, not even by who had to move
        [(head,)] = rows(url, f"SELECT seq FROM event_heads WHERE workspace_id = '{person.workspace}'")
        for ear in (steady, moving):
            until(lambda ear=ear: ear.numbers and ear.numbers[-1] >= head, what="the last event")  # type: ignore[misc]
            ear.closed = True
            assert ear.numbers == list(range(1, ear.numbers[-1] + 1))
        # the dead one is forgotten, its work was taken over
        until(lambda: rows(url, "SELECT executor_id FROM executors") == [("twin-2",)], what="the dead to be forgotten")
    finally:
        first.kill()
        second.kill()
        outside.close()
