"""A real Chromium for tests: the system's, or Playwright's own. Never skipped: without one the tests fail."""

import os
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import NamedTuple

from playwright.async_api import Browser, ConsoleMessage, Page, async_playwright, expect

# A busy machine may take long for what takes a blink on a free one; what is there at once is seen at once.
expect.set_options(timeout=30_000)

ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
]


def system_chromium() -> str | None:
    for name in ("chromium", "chromium-browser", "google-chrome"):
        path = shutil.which(name)
        if path is not None:
            return path
    return None


@asynccontextmanager
async def open_browser() -> AsyncIterator[Browser]:
    os.environ.setdefault("NO_AT_BRIDGE", "1")
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=system_chromium(), args=ARGUMENTS)
        try:
            yield browser
        finally:
            await browser.close()


class Problem(NamedTuple):
    """What a page complained of, and what it was about."""

    text: str
    about: str


def watched(page: Page) -> list[Problem]:
    """Every complaint of the page from now on: scripts that break, the CSP, failed requests."""
    problems: list[Problem] = []

    def console(message: ConsoleMessage) -> None:
        if message.type == "error":
            at = message.location
            problems.append(Problem(message.text, f"{at['url']}:{at['lineNumber']} on {page.url}"))

    page.on("pageerror", lambda error: problems.append(Problem(str(error), f"{error.stack} on {page.url}")))
    page.on("console", console)
    return problems
