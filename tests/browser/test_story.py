"""The whole story as a newcomer sees it: `pilot demo`, a real browser, chat and Mini App, receipts checked."""

import asyncio
import os
import subprocess
import sys
from pathlib import Path

import pytest
from playwright.async_api import FrameLocator, Page, expect

from tests.browser.browser import open_browser, watched
from tests.processes import ROOT, Program, call, free_ports, until

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]

PICTURES = os.environ.get("PILOT_PICTURES")


async def picture(page: Page, name: str) -> None:
    """Keep a screenshot where one was asked for (they illustrate the documentation)."""
    if PICTURES:
        await page.wait_for_timeout(500)
        await page.screenshot(path=f"{PICTURES}/{name}.png")


def playbook(outside: str) -> str:
    return (
        "Launch checklist\n"
        '1. note.create title="Launch plan" body="Announce on Monday"\n'
        f'2. http.post url={outside}/hook json={{"event": "launch"}}\n'
        '3. email.send to=team@example.com subject="We are live" body="The hook answered {{steps.2.status}}."\n'
        'finish summary="The hook was called and the team has a mail."'
    )


@pytest.mark.parametrize("theme", ["light", "dark"])
async def test_the_story_in_chat_and_mini_app(tmp_path: Path, theme: str) -> None:
    port = free_ports(2)
    chat = f"http://127.0.0.1:{port + 1}"
    program = Program(tmp_path, "demo", "--port", str(port), "--data", str(tmp_path / "data"))
    try:
        await asyncio.to_thread(
            until, lambda: "Pilot is ready" in program.log.read_text(), seconds=120, what="the demo"
        )
        async with open_browser() as browser:
            context = await browser.new_context(
                viewport={"width": 390, "height": 844}, color_scheme=theme, accept_downloads=True
            )
            page = await context.new_page()
            problems = watched(page)
            await page.goto(f"{chat}/?theme={theme}")
            await page.get_by_role("button", name="START").click()
            await expect(page.get_by_text("this is Pilot").first).to_be_visible(timeout=30_000)
            await page.get_by_label("Message", exact=True).fill(playbook(f"{chat}/outside"))
            await page.get_by_role("button", name="Send").click()
            # the first card is decided in chat
            approve = page.get_by_role("button", name="Approve", exact=True)
            await expect(approve.first).to_be_visible(timeout=30_000)
            await picture(page, f"chat-card-{theme}")
            assert call("GET", f"{chat}/outside/count")[1] == {"posts": [], "mails": 0}
            await approve.first.click()
            await expect(page.get_by_text("Approved by Ada").first).to_be_visible(timeout=30_000)
            # the second one in the Mini App
            await expect(page.get_by_text("Approval needed: email.send")).to_be_visible(timeout=30_000)
            await page.locator(".composer .menu").click()
            app = page.frame_locator("#frame")
            await expect(app.get_by_role("heading", name="email.send")).to_be_visible(timeout=30_000)
            await expect(app.get_by_text("live", exact=True)).to_be_visible()
            await picture(page, f"app-home-{theme}")
            await app.get_by_role("heading", name="email.send").click()
            await expect(app.get_by_text("What exactly would run")).to_be_visible()
            await picture(page, f"app-approval-{theme}")
            # Telegram's own bottom button decides it
            await page.locator("#main-button").click()
            await expect(app.locator(".outcome").get_by_role("heading", name="approved")).to_be_visible(timeout=30_000)
            await task_page(page, app, theme)
            await receipt_page(page, app, theme)
            archive = await download(page, app, tmp_path)
            await page.locator("#app-close").click()
            await expect(page.get_by_text("The hook was called and the team has a mail.").last).to_be_visible()
            await picture(page, f"chat-done-{theme}")
            assert problems == []
            await context.close()
        # what was approved really happened, once
        assert call("GET", f"{chat}/outside/count")[1] == {"posts": ['{"event": "launch"}'], "mails": 1}
        await asyncio.to_thread(check_archive, archive, tmp_path)
    finally:
        program.stop()
    assert "Traceback" not in program.log.read_text()


async def test_the_demo_goes_on_where_it_was_killed(tmp_path: Path) -> None:
    """The new Telegram counted from 1 again, and Pilot took every message for one it had answered before."""
    port = free_ports(2)
    chat = f"http://127.0.0.1:{port + 1}"
    program = Program(tmp_path, "demo", "--keep", "--port", str(port), "--data", str(tmp_path / "data"))

    async def ready(times: int) -> None:
        def said() -> bool:
            return program.log.read_text().count("Pilot is ready") == times

        await asyncio.to_thread(until, said, seconds=120, what="the demo")

    try:
        async with open_browser() as browser:
            page = await browser.new_page()
            await ready(1)
            await page.goto(chat)
            await page.get_by_role("button", name="START").click()
            await expect(page.get_by_text("this is Pilot").first).to_be_visible(timeout=15_000)
            await page.get_by_role("button", name="Try an example task").click()
            await expect(page.get_by_text("Approval needed: http.post", exact=True)).to_be_visible(timeout=15_000)
            program.kill()
            program.start()
            await ready(2)
            await page.goto(chat)
            await page.get_by_role("button", name="START").click()
            await expect(page.get_by_text("Welcome back").first).to_be_visible(timeout=15_000)
            # what waited still waits, and pressed it goes on to the next one
            await page.get_by_label("Message", exact=True).fill("/approvals")
            await page.get_by_role("button", name="Send").click()
            await expect(page.get_by_text("Approval needed: http.post", exact=True)).to_be_visible(timeout=15_000)
            await page.get_by_role("button", name="Approve", exact=True).click()
            await expect(page.get_by_text("Approval needed: email.send", exact=True)).to_be_visible(timeout=15_000)
        assert len(call("GET", f"{chat}/outside/count")[1]["posts"]) == 1
    finally:
        program.stop()


async def task_page(page: Page, app: FrameLocator, theme: str) -> None:
    await app.get_by_role("link", name="Tasks").click()
    await app.get_by_role("link", name="Launch checklist").click()
    await expect(app.get_by_role("heading", name="Run 1 completed")).to_be_visible(timeout=30_000)
    await expect(app.locator(".step", has_text="3. email.send").locator(".head .badge")).to_have_text("done")
    await expect(app.locator("svg.graph a")).not_to_have_count(0)
    await picture(page, f"app-task-{theme}")


async def receipt_page(page: Page, app: FrameLocator, theme: str) -> None:
    await app.get_by_role("link", name="decision receipt").nth(1).click()
    await expect(app.get_by_text("The signature is valid (Ed25519)")).to_be_visible(timeout=30_000)
    await expect(app.locator("#checks li.bad, #checks li.ask")).to_have_count(0)
    await expect(app.get_by_text("Checked in this browser")).to_be_visible()
    await picture(page, f"app-receipt-{theme}")


async def download(page: Page, app: FrameLocator, folder: Path) -> Path:
    await app.get_by_role("link", name="Receipts", exact=True).click()
    async with page.expect_download() as waiting:
        await app.get_by_role("button", name="Download all").click()
    target = folder / "pilot-receipts.tar.gz"
    await (await waiting.value).save_as(target)
    return target


def check_archive(archive: Path, folder: Path) -> None:
    """`pilot verify`, the archive's own verifier, and a changed byte."""

    def run(*command: str) -> int:
        return subprocess.run(command, cwd=ROOT, capture_output=True, timeout=120).returncode

    assert run(sys.executable, "-m", "app", "verify", str(archive)) == 0
    subprocess.run(["tar", "-xzf", str(archive), "-C", str(folder)], check=True)
    verifier = str(folder / "verify.py")
    assert run(sys.executable, "-I", verifier, str(archive)) == 0
    receipt = sorted((folder / "receipts").iterdir())[5]
    whole = receipt.read_bytes()
    receipt.write_bytes(
        whole.replace(b'"verdict":"ALLOW"', b'"verdict":"DENY!"', 1) if b"ALLOW" in whole else whole[:-2] + b" }"
    )
    assert run(sys.executable, "-I", verifier, str(folder)) == 1
    spoilt = folder / "spoilt.tar.gz"
    names = sorted(
        p.relative_to(folder).as_posix()
        for p in folder.rglob("*")
        if (p.is_file() and p.suffix in (".json", ".py", ".md", ".pem", ".vkey", ".sig")) or p.name == "checkpoint"
    )
    subprocess.run(["tar", "-czf", str(spoilt), "-C", str(folder), *names], check=True)
    assert run(sys.executable, "-m", "app", "verify", str(spoilt)) == 1
