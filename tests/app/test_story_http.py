"""The story over HTTP only, with login by mail; and killed with -9 at many moments of it."""

import itertools
import random
import threading
from collections import Counter
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from tests.databases import fresh_url
from tests.processes import Program, call, free_ports, ready, until

pytestmark = pytest.mark.timeout(900)


class Outside:
    """The outside world: counts what really arrived, by idempotency key and by body."""

    def __init__(self) -> None:
        self.posts: list[tuple[str, str]] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
                outer.posts.append((self.headers.get("Idempotency-Key", ""), body))
                self.send_response(200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", "2")
                self.end_headers()
                self.wfile.write(b"{}")

            def log_message(self, *_: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.port = self._server.server_port
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def outside() -> Iterator[Outside]:
    server = Outside()
    yield server
    server.close()


class Person:
    """Somebody at the HTTP API."""

    def __init__(self, base: str, email: str) -> None:
        self.base, self.headers = base, {}
        status, asked = call("POST", f"{base}/api/auth/email/request", {"email": email})
        assert status == 200, asked
        status, login = call("POST", f"{base}/api/auth/email/verify", {"email": email, "code": asked["code"]})
        assert status == 200, login
        self.headers = {"Authorization": f"Bearer {login['token']}", "X-Workspace-Id": login["workspace"]["id"]}
        self.workspace = login["workspace"]["id"]

    def get(self, path: str) -> Any:
        status, body = call("GET", self.base + path, headers=self.headers)
        assert status == 200, (status, body)
        return body

    def send(self, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        return call(method, self.base + path, body, self.headers)


def serve(folder: Path, url: str, *, allow: str, executor: str = "story-1") -> tuple[Program, str]:
    port = free_ports(1)
    program = Program(
        folder,
        "serve",
        DATABASE_URL=url,
        PILOT_DATA_DIR=str(folder / "data"),
        PORT=str(port),
        LOG_FORMAT="json",
        RATE_LIMITS_ENABLED="false",
        PILOT_HTTP_ALLOW=allow,
        PILOT_EXECUTOR_ID=executor,
    )
    base = f"http://127.0.0.1:{port}"
    ready(base)
    return program, base


@pytest.fixture(params=["sqlite", "postgres"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return fresh_url(request.param, tmp_path, migrated=False)


def story(outside: Outside) -> str:
    return (
        'note.create title="Plan"\n'
        f'http.post url=http://127.0.0.1:{outside.port}/hook json={{"n": 1}}\n'
        'email.send to=team@example.com subject="Live" body="answered {{steps.2.status}}"\n'
        'finish summary="all done"'
    )


def pending(person: Person) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = person.get("/api/audit/approvals?status=pending")
    return found


def approve(person: Person, approval: dict[str, Any]) -> tuple[int, Any]:
    return person.send(
        "PUT",
        f"/api/audit/approvals/{approval['id']}",
        {"status": "approved", "version": approval["version"], "digest": approval["actionHash"]},
    )


def test_the_story_over_http(tmp_path: Path, url: str, outside: Outside) -> None:
    program, base = serve(tmp_path, url, allow=f"127.0.0.1:{outside.port}")
    try:
        person = Person(base, "ada@example.com")
        status, task = person.send(
            "POST", "/api/tasks", {"title": "Launch", "description": story(outside), "autoRun": True}
        )
        assert status == 201
        for tool in ("http.post", "email.send"):
            [approval] = until(lambda: pending(person), what="an approval")
            assert approval["action"] == tool
            assert approve(person, approval)[0] == 200
            status, late = person.send("PUT", f"/api/audit/approvals/{approval['id']}", {"status": "rejected"})
            assert (status, late["code"], late["status"]) == (409, "approval_decided", "approved")
        until(lambda: person.get(f"/api/tasks/{task['id']}")["status"] == "completed", what="the end")
        [run] = person.get(f"/api/tasks/{task['id']}/runs")
        assert run["summary"] == "all done"
        steps = person.get(f"/api/runs/{run['id']}")["steps"]
        assert [(s["tool"], s["status"], s["verdict"]) for s in steps] == [
            ("note.create", "done", "ALLOW"),
            ("http.post", "done", "ALLOW"),
            ("email.send", "done", "ALLOW"),
            ("finish", "done", "ALLOW"),
        ]
        assert [body for _, body in outside.posts] == ['{"n": 1}']
        assert len(list((tmp_path / "data" / "mail").glob("*.eml"))) == 2  # the login code, and the one mail
        replayed = person.get("/api/governance/replay")
        assert replayed["replayed"] >= 5
        assert replayed["different"] == []
        receipt = person.get(f"/api/governance/receipts/{steps[1]['id']}")
        assert receipt["receipt"]["resource"] == "http.post"
        assert program.stop() == 0
    finally:
        program.kill()


@pytest.mark.slow
def test_killed_at_any_moment_it_ends_the_same_or_asks(tmp_path: Path, url: str, outside: Outside) -> None:
    """kill -9 at random moments of the story; every restart goes on, nothing outside happens twice unasked."""
    program, base = serve(tmp_path, url, allow=f"127.0.0.1:{outside.port}")
    chance = random.Random(7)
    asked = 0
    try:
        person = Person(base, "ada@example.com")
        tasks = []
        for _ in range(6):
            _, task = person.send(
                "POST", "/api/tasks", {"title": "Launch", "description": story(outside), "autoRun": True}
            )
            tasks.append(task["id"])
        for _round in itertools.count():
            assert _round < 60
            threading.Timer(chance.uniform(0.05, 1.2), program.process.kill).start()
            try:
                while program.process.poll() is None:
                    for approval in pending(person):
                        approve(person, approval)
            except (OSError, AssertionError, ValueError):
                pass
            program.process.wait(60)
            program.start()
            ready(base)
            asked += settle(person, tasks)
            states = Counter(person.get(f"/api/tasks/{task}")["status"] for task in tasks)
            if states == {"completed": len(tasks)}:
                break
        keys = Counter(key for key, _ in outside.posts)
        # what arrived twice was asked about in between; nothing is missing
        assert len(keys) == len(tasks)
        assert sum(keys.values()) <= len(tasks) + asked
        assert person.get("/api/governance/replay")["different"] == []
    finally:
        program.kill()


def settle(person: Person, tasks: list[str]) -> int:
    """Answer what the program asks about interrupted calls: do it again. How often it asked."""
    asked = 0
    for task in tasks:
        for run in person.get(f"/api/tasks/{task}/runs"):
            if run["status"] != "uncertain":
                continue
            for step in person.get(f"/api/runs/{run['id']}")["steps"]:
                if step["status"] == "uncertain":
                    status, _ = person.send(
                        "POST", f"/api/runs/{run['id']}/steps/{step['id']}/settle", {"choice": "retry"}
                    )
                    assert status == 200
                    asked += 1
    return asked
