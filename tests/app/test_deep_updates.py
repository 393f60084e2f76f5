"""Messages nested deep or wide, to a real process: it answers others meanwhile, stops when told, and after a restart too.

Reading one of them with the library's models takes from seconds to hours.
"""

import json
import time
from pathlib import Path
from typing import Any

import pytest

from tests.app.conftest import TOKEN
from tests.bot.updates import MESSAGE, deep
from tests.databases import fresh_url
from tests.processes import Program, bot_ready, call, free_ports, until

ADA, STRANGER = 1001, 5_000
DEPTHS = range(3, 17)
# what takes the library 16 s at depth 5 is to hold up nobody this long, on a slow machine
SOON = 15.0


def batch(first: int) -> list[dict[str, Any]]:
    """Each kind at each depth, as a message and below a button, each from a chat of its own."""
    found: list[dict[str, Any]] = []
    for depth in DEPTHS:
        for more in deep(depth):
            who = {"id": STRANGER + len(found), "is_bot": False, "first_name": "S"}
            chat = {"id": who["id"], "type": "private", "first_name": "S"}
            message = {**MESSAGE, **more, "from": who, "chat": chat}
            press = {"id": str(len(found)), "from": who, "chat_instance": "1", "data": "x", "message": message}
            kind = {"callback_query": press} if len(found) % 3 == 2 else {"message": message}
            found.append({"update_id": first + len(found), **kind})
    return found


class Story:
    """Ada, who is known, beside the strangers."""

    def __init__(self, base: str, telegram: str) -> None:
        self.base, self.telegram = base, telegram

    def push(self, updates: list[dict[str, Any]]) -> None:
        body = {"updates": [{"text": json.dumps(one)} for one in updates], "ids": "fresh"}
        status, said = call("POST", f"{self.telegram}/sim/raw-updates", body)
        assert status == 200, said

    def told(self) -> int:
        """How often the bot wrote to Ada."""
        calls = call("GET", f"{self.telegram}/sim/calls?method=sendMessage&limit=5000")[1]
        return sum(1 for one in calls if str(one["params"].get("chat_id")) == str(ADA))

    def others_are_served(self) -> None:
        began, before = time.monotonic(), self.told()
        status, health = call("GET", f"{self.base}/health")
        assert status == 200, health
        assert health["checks"]["telegram"] is True, health
        assert call("POST", f"{self.telegram}/sim/say", {"user": ADA, "text": "/help"})[0] == 200
        until(lambda: self.told() > before, seconds=SOON, what="the answer to Ada")
        assert time.monotonic() - began < 2 * SOON


@pytest.mark.parametrize("way", ["polling", "webhook"])
@pytest.mark.parametrize("database", ["sqlite", "postgres"])
def test_a_deep_message_holds_nobody_up(tmp_path: Path, simulator: str, database: str, way: str) -> None:
    port = free_ports(1)
    base = f"http://127.0.0.1:{port}"
    program = Program(
        tmp_path,
        "serve",
        DATABASE_URL=fresh_url(database, tmp_path, migrated=False),
        PILOT_DATA_DIR=str(tmp_path / "data"),
        PORT=str(port),
        PILOT_APP_URL=base,
        LOG_FORMAT="json",
        TELEGRAM_BOT_TOKEN=TOKEN,
        TELEGRAM_API_URL=simulator,
        TELEGRAM_WEBHOOK="true" if way == "webhook" else "false",
    )
    try:
        story = Story(base, simulator)
        bot_ready(base)
        assert call("POST", f"{simulator}/sim/say", {"user": ADA, "text": "/start"})[0] == 200
        until(story.told, what="the welcome")
        story.push(batch(10_000))
        story.others_are_served()
        # told to stop with as many again just arrived
        story.push(batch(20_000))
        assert program.stop(seconds=SOON) == 0
        # and as many wait for the next start
        story.push(batch(30_000))
        program.start()
        bot_ready(base)
        story.others_are_served()
        assert program.stop(seconds=SOON) == 0
    finally:
        program.kill()
