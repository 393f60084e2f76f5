"""The data of the first version that was in use, unpacked for a test: see fixtures/first_version/README.md."""

import asyncio
import json
import subprocess
import tarfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aiohttp import web

from simulator.bots import register_bot
from simulator.people import add_person
from simulator.server import create_simulator
from simulator.telegram import Telegram
from tests.databases import fresh_url, postgres_program

ARCHIVES = Path(__file__).parent / "fixtures" / "first_version"
# the local Telegram of then had numbered its updates and messages below this
NUMBERS = 2_000_000


@dataclass(frozen=True, kw_only=True)
class Installation:
    """What lay in the archive, in place: `settings` are for the environment, `facts` what is in the data."""

    data: Path
    url: str
    settings: dict[str, str]
    facts: dict[str, Any]


def unpack(kind: str, folder: Path) -> Installation:
    """The installation on a store of this kind (sqlite or postgres), in `folder`."""
    with tarfile.open(ARCHIVES / f"{kind}.tar.xz") as archive:
        archive.extractall(folder, filter="data")
    facts = json.loads((folder / "facts.json").read_text())
    data = folder / "data"
    url = f"sqlite:///{data / 'pilot.db'}"
    if kind == "postgres":
        url = fresh_url("postgres", folder, migrated=False)
        place = url.replace("postgresql+psycopg://", "postgresql://")
        words = [postgres_program("psql"), "-q", "-v", "ON_ERROR_STOP=1", "-d", place, "-f", str(folder / "pilot.sql")]
        subprocess.run(words, check=True, stdout=subprocess.DEVNULL)
    settings = {
        "DATABASE_URL": url,
        "PILOT_DATA_DIR": str(data),
        "APP_URL": facts["address"],
        "PILOT_EXECUTOR_ID": facts["executor"],
        "LOG_FORMAT": "json",
        "RATE_LIMITS_ENABLED": "false",
    }
    return Installation(data=data, url=url, settings=settings, facts=facts)


@contextmanager
def local_telegram(facts: dict[str, Any]) -> Iterator[tuple[Telegram, str]]:
    """The local Telegram with the bot and the people of then, and its address."""
    telegram = Telegram(first_number=NUMBERS)
    add_person(telegram, 1001, "Ada", username="ada", language_code="en")
    add_person(telegram, 1002, "Grace", username="grace", language_code="en")
    register_bot(telegram, facts["bot"])
    found: list[str] = []
    up, down = threading.Event(), threading.Event()

    async def hold() -> None:
        runner = web.AppRunner(create_simulator(telegram), access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        found.append(f"http://127.0.0.1:{runner.addresses[0][1]}")
        up.set()
        await asyncio.to_thread(down.wait)
        await runner.cleanup()

    thread = threading.Thread(target=lambda: asyncio.run(hold()), daemon=True)
    thread.start()
    assert up.wait(30)
    try:
        yield telegram, found[0]
    finally:
        down.set()
        thread.join(10)
