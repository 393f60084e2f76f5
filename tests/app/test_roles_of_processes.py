"""`pilot serve --role web` and `--role worker` beside each other: one answers, the other works."""

from pathlib import Path

from tests.app.test_story_http import Person
from tests.app.test_two_processes import Ear, rows
from tests.databases import fresh_url
from tests.processes import Program, call, free_ports, ready, until


def process(folder: Path, role: str, url: str) -> tuple[Program, str]:
    folder.mkdir()
    port = free_ports(1)
    settings = {
        "DATABASE_URL": url,
        "PILOT_DATA_DIR": str(folder.parent / "data"),
        "RATE_LIMITS_ENABLED": "false",
        "PILOT_EXECUTOR_ID": role,
        "PORT": str(port),
    }
    program = Program(folder, "serve", "--role", role, **settings)
    base = f"http://127.0.0.1:{port}"
    ready(base)
    return program, base


def test_the_web_answers_and_the_worker_works(tmp_path: Path) -> None:
    url = fresh_url("postgres", tmp_path, migrated=False)
    web, base = process(tmp_path / "web", "web", url)
    programs = [web]
    try:
        assert call("GET", f"{base}/app/")[0] == 200
        person = Person(base, "ada@example.com")
        ear = Ear(person, base)
        status, task = person.send(
            "POST", "/api/tasks", {"title": "T", "description": 'finish summary="done"', "autoRun": True}
        )
        assert status == 201, task
        assert rows(url, "SELECT state, started_at FROM runs") == [("queued", None)]

        worker, other = process(tmp_path / "worker", "worker", url)
        programs.append(worker)
        until(lambda: person.get(f"/api/tasks/{task['id']}")["status"] == "completed", what="the run")
        [(name,)] = rows(url, "SELECT DISTINCT executor_id FROM dbos.workflow_status")
        assert name == "worker"
        # what the worker did is heard on the web process; pages are there only
        [(head,)] = rows(url, f"SELECT seq FROM event_heads WHERE workspace_id = '{person.workspace}'")
        until(lambda: ear.numbers and ear.numbers[-1] >= head, what="the last event")
        assert ear.numbers == list(range(1, ear.numbers[-1] + 1))
        assert call("GET", f"{other}/health")[0] == 200
        assert call("GET", f"{other}/app/")[0] == 404
        ear.closed = True
        assert worker.stop() == 0
        assert web.stop() == 0
    finally:
        for program in programs:
            program.kill()
