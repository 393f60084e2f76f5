"""One real server for the browser tests, and what is watched in every page."""

import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Locator, Page, expect

from tests.browser.browser import open_browser, watched
from tests.browser.webview import TOKEN, init_data
from tests.mcp_server import command
from tests.processes import Program, call, free_ports, ready, until

PLAYBOOK = (
    '1. note.create title="Launch plan" body="Announce on Monday"\n'
    '2. knowledge.search query="launch"\n'
    '3. email.send to=team@example.com subject="We are live" body="Pilot launched today."\n'
    'finish summary="The team has a mail."'
)


@dataclass(frozen=True)
class Server:
    """A running `pilot serve`, and its API for one person."""

    base: str
    headers: dict[str, str]
    workspace: str

    def send(self, method: str, path: str, body: Any = None, *, expect: int = 200) -> Any:
        status, answer = call(method, self.base + path, body, self.headers)
        assert status == expect, (method, path, status, answer)
        return answer

    def as_person(self, user_id: int, name: str) -> "Server":
        """The same server for somebody who comes from Telegram."""
        return logged_in(self.base, user_id, name)

    def task(self, title: str = "Launch checklist", text: str = PLAYBOOK) -> str:
        made = self.send("POST", "/api/tasks", {"title": title, "description": text, "autoRun": True}, expect=201)
        return str(made["id"])

    def pending(self, task_id: str) -> dict[str, Any]:
        """The approval a task waits for."""
        path = f"/api/audit/approvals?status=pending&taskId={task_id}"
        [approval] = until(lambda: self.send("GET", path), what="an approval")
        return dict(approval)

    def ended(self, task_id: str) -> dict[str, Any]:
        """The task once it is over."""
        over = ("completed", "failed", "cancelled")
        return dict(
            until(
                lambda: (t := self.send("GET", f"/api/tasks/{task_id}"))["status"] in over and t, what="the end of it"
            )
        )


def logged_in(base: str, user_id: int, name: str) -> Server:
    status, answer = call("POST", f"{base}/api/auth/telegram", {"initData": init_data(user_id, name)})
    assert status == 200, answer
    workspace = answer["workspace"]["id"]
    return Server(base, {"Authorization": f"Bearer {answer['token']}", "X-Workspace-Id": workspace}, workspace)


@pytest.fixture(scope="module")
def server_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the server of this module keeps its things."""
    return tmp_path_factory.mktemp("serve")


@pytest.fixture(scope="module")
def server(server_folder: Path) -> Iterator[Server]:
    folder = server_folder
    port = free_ports(2)
    program = Program(
        folder,
        "serve",
        PILOT_DATA_DIR=str(folder / "data"),
        PORT=str(port),
        TELEGRAM_BOT_TOKEN=TOKEN,
        # nobody answers there: messages wait in the outbox, the Mini App does not care
        TELEGRAM_API_URL=f"http://127.0.0.1:{port + 1}",
        EMAIL_PROVIDER="file",
        PILOT_MCP_STDIO=f"world={command(folder)}",
        RATE_LIMITS_ENABLED="false",
        LOG_FORMAT="json",
    )
    base = f"http://127.0.0.1:{port}"
    try:
        ready(base)
        yield logged_in(base, 1001, "Ada")
    finally:
        program.stop()


@asynccontextmanager
async def phone(*, theme: str = "light", allow: tuple[str, ...] = ()) -> AsyncIterator[Page]:
    """A page of a phone's size. Every error in it (scripts, CSP, failed requests but `allow`) fails the test."""
    async with open_browser() as browser:
        context = await browser.new_context(
            viewport={"width": 390, "height": 844},
            color_scheme="dark" if theme == "dark" else "light",
            accept_downloads=True,
            reduced_motion="reduce",
        )
        page = await context.new_page()
        problems = watched(page)
        yield page
        await context.close()
    left = [p for p in problems if not any(word in p.text for word in allow)]
    assert left == [], json.dumps(left, indent=2)


async def saved(button: Locator) -> None:
    """Press it, and wait until this press is told to be saved: of an earlier one the words stay in the hidden box."""
    notice = button.page.locator("#notice")
    await notice.evaluate("box => { box.textContent = ''; }")
    await button.click()
    await expect(notice).to_have_text("Saved")
