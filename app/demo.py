"""`pilot demo`: Pilot with a local Telegram beside it, in one process. No token, no key, no network."""

import asyncio
import secrets
import shutil
import socket
import sys
import time
from pathlib import Path
from typing import Any

import click
from aiohttp import web

from app.early import shutdown_requested
from app.logging import configure_logging
from app.serve import serve
from app.settings import Settings, load_settings
from simulator.people import add_person
from simulator.server import create_simulator
from simulator.telegram import Telegram
from storage import private
from storage.installation.hold import Mode
from storage.installation.holds import hold_on

INBOX_HTML = """<!doctype html><html lang=en><meta charset=utf-8><meta http-equiv=refresh content=2>
<title>Demo: what arrived outside</title><meta name=viewport content="width=device-width">
<body><h1>What arrived outside</h1><p>This page plays the outside world of the demo: a webhook that counts what
<code>http.post</code> really sent, and the mail folder of <code>email.send</code>.</p>{rows}</body></html>"""


class Outside:
    """The outside world of the demo: it takes posts and shows them with the mails that were written."""

    def __init__(self, mail: Path) -> None:
        self.posts: list[tuple[str, str]] = []
        self._mail = mail

    async def take(self, request: web.Request) -> web.Response:
        """A webhook that answers and remembers."""
        text = (await request.text())[:2000]
        self.posts.append((request.headers.get("Idempotency-Key", ""), text))
        return web.json_response({"received": len(self.posts)})

    async def show(self, _request: web.Request) -> web.Response:
        """What arrived."""
        from html import escape

        mails = await asyncio.to_thread(self._mails)
        rows = "".join(f"<h2>post {n}</h2><pre>{escape(body)}</pre>" for n, (_, body) in enumerate(self.posts, 1))
        rows += "".join(f"<h2>mail</h2><pre>{escape(text)}</pre>" for text in mails)
        return web.Response(text=INBOX_HTML.format(rows=rows or "<p>Nothing yet.</p>"), content_type="text/html")

    async def count(self, _request: web.Request) -> web.Response:
        """As JSON, for whoever counts."""
        mails = await asyncio.to_thread(self._mails)
        return web.json_response({"posts": [body for _, body in self.posts], "mails": len(mails)})

    def _mails(self) -> list[str]:
        if not self._mail.exists():
            return []
        return [path.read_text(errors="replace")[:4000] for path in sorted(self._mail.glob("*.eml"))]


def example_task(outside: str) -> str:
    """The playbook of the demo's first task: it reaches outside twice, and asks before."""
    return (
        "Launch checklist\n"
        '1. note.create title="Launch plan" body="Announce on Monday"\n'
        f'2. http.post url={outside}/hook json={{"event": "launch", "product": "Pilot"}}\n'
        '3. email.send to=team@example.com subject="We are live" body="The launch hook answered {{steps.2.status}}."\n'
        'finish summary="The hook was called and the team has a mail."\n'
    )


def demo_settings(*, port: int, data: Path, simulator: int) -> Settings:
    """Settings of the demo: nothing of the environment but what is given here."""
    return load_settings(
        _env_file=None,
        pilot_env="development",
        pilot_signup="open",
        pilot_data_dir=data,
        host="127.0.0.1",
        port=port,
        database_url="",
        telegram_bot_token=f"7000000001:{secrets.token_hex(17)}x",
        telegram_api_url=f"http://127.0.0.1:{simulator}",
        telegram_http_apps=True,
        pilot_frame_ancestors=(f"http://127.0.0.1:{simulator}", f"http://localhost:{simulator}"),
        pilot_http_allow=(f"127.0.0.1:{simulator}",),
        email_provider="file",
        log_level="WARNING",
        rate_limit_auth=60,
        rate_limit_default=600,
        rate_limit_task=120,
    )


def run_demo(*, port: int, data: Path, fresh: bool) -> int:
    """Run until interrupted; the exit code."""
    for needed in (port, port + 1):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", needed))
            except OSError:
                click.echo(f"Port {needed} is in use. Try: pilot demo --port {port + 100}", err=True)
                return 2
    if fresh:
        _clear(data)
    private.folder(data)
    settings = demo_settings(port=port, data=data, simulator=port + 1)
    configure_logging(level=settings.log_level, form="console")
    try:
        return asyncio.run(_demo(settings, simulator=port + 1))
    except KeyboardInterrupt:
        return 0


def _clear(data: Path) -> None:
    """Take away what the last demo left; InUse while one runs there."""
    if not data.exists():
        return
    hold = hold_on(f"sqlite:///{data.absolute() / 'pilot.db'}", what="demo")
    hold.take(Mode.ALONE)
    try:
        for path in data.iterdir():
            # what holds the place stays
            if path.suffix == ".lock":
                continue
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink()
    finally:
        hold.release()


async def _demo(settings: Settings, *, simulator: int) -> int:
    # Pilot remembers the updates and messages of the last demo, this Telegram does not: none may come a second time
    telegram = Telegram(first_number=int(time.time()), http_apps=True)
    add_person(telegram, 1001, "Ada", last_name="Byron", username="ada", language_code="en")
    add_person(telegram, 1002, "Grace", username="grace", language_code="en")
    page = create_simulator(telegram)
    outside = Outside(settings.pilot_data_dir / "mail")
    page.router.add_post("/outside/hook", outside.take)
    page.router.add_get("/outside", outside.show)
    page.router.add_get("/outside/count", outside.count)
    runner = web.AppRunner(page, access_log=None, handle_signals=False, shutdown_timeout=0.5)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", simulator).start()
    address = f"http://127.0.0.1:{simulator}"

    async def announce() -> None:
        # the bot has announced itself once its commands are set
        while not any(bot.commands for bot in telegram.bots.values()):  # noqa: ASYNC110 - a state of the simulator
            await asyncio.sleep(0.05)
        _say(f"\n  Pilot is ready. Open  {address}/\n\n  Press START, then try this as a message:\n")
        for line in example_task(f"{address}/outside").splitlines():
            _say(f"      {line}")
        _say(f"\n  What arrives outside: {address}/outside     Stop with Ctrl-C.\n")

    _say("Starting ...")
    waiting = asyncio.ensure_future(announce())
    try:
        return await serve(settings, stop=shutdown_requested(), example=example_task(f"{address}/outside"))
    finally:
        waiting.cancel()
        await runner.cleanup()


def _say(text: str, **more: Any) -> None:
    print(text, file=sys.stdout, flush=True, **more)
