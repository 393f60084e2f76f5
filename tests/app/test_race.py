"""Two hundred decisions at once on one approval: taps in chat, the API and the Mini App, by several people.

The real process with its bot on a simulated Telegram, on both stores: one winner, one resumed segment, every card edited
to the outcome, and every loser told the truth.
"""

import asyncio
from collections import Counter
from collections.abc import Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import sqlalchemy as sa

from simulator.presses import press
from simulator.simulated import SimulatedTelegram
from storage import tables
from tests.api.conftest import TOKEN, Client, Installation, open_installation
from tests.app.test_story_http import Outside
from tests.databases import fresh_url

pytestmark = pytest.mark.timeout(300)
PEOPLE = {1001: "Ada", 1002: "Bob", 1003: "Cleo", 1004: "Dan", 1005: "Eve"}
DECISIONS = 200
PAST = {"approved": "approved", "rejected": "denied", "changes_requested": "sent back for changes"}
WHERE = {"chat": "in chat", "api": "through the API", "mini_app": "in the app"}


@pytest.fixture
def outside() -> Iterator[Outside]:
    server = Outside()
    yield server
    server.close()


@pytest.fixture(params=["sqlite", "postgres"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return fresh_url(request.param, tmp_path)


installation = asynccontextmanager(open_installation)


async def members(pilot: Installation, sim: SimulatedTelegram) -> dict[int, Client]:
    """Everybody in Ada's workspace, in which partners may decide; each has talked to the bot and opened the Mini App."""
    found = {}
    for number, name in PEOPLE.items():
        await sim.add_user(number, name)
        await sim.send_text(number, "/start")
        await sim.message(number, "/help", seconds=60)
        found[number] = await pilot.by_telegram(number, name)
    ada, *others = found.values()
    settings = {"policyConfig": {"approverRole": "partner"}}
    assert (await ada.send("PUT", f"/api/workspace/{ada.workspace}/settings", settings))[0] in (200, 201)
    for person in others:
        _, invite = await ada.send("POST", f"/api/workspace/{ada.workspace}/invite", {"role": "partner"})
        assert (await person.send("POST", f"/api/auth/invite/{invite['inviteToken']}", {}))[0] == 200
        person.use(person.token, ada.workspace)
    return found


async def test_one_of_two_hundred_decides(tmp_path: Path, url: str, outside: Outside) -> None:
    sim = SimulatedTelegram()
    await sim.add_bot(TOKEN, username="pilot_bot", first_name="Pilot")
    async with (
        sim.serve(),
        installation(
            tmp_path,
            url,
            telegram_api_url=sim.url,
            pilot_role="all",
            pilot_http_allow=(f"127.0.0.1:{outside.port}",),
        ) as pilot,
        aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as http,
    ):
        pilot.http = http
        people = await members(pilot, sim)
        ada = people[1001]
        text = f'http.post url=http://127.0.0.1:{outside.port}/hook json={{"n": 1}}\nfinish summary="done"'
        status, task = await ada.send("POST", "/api/tasks", {"title": "T", "description": text, "autoRun": True})
        assert status == 201, task
        cards = {n: await sim.message(n, "Approval needed: http.post", seconds=60) for n in PEOPLE}
        [approval] = await ada.get("/api/audit/approvals?status=pending")
        shown = {"version": approval["version"], "digest": approval["actionHash"]}
        path = f"/api/audit/approvals/{approval['id']}"

        numbers = list(PEOPLE)
        taps: list[str] = []
        calls = []
        for n in range(DECISIONS):
            number, surface = numbers[n % len(numbers)], n % 3
            wanted = ("approved", "rejected", "changes_requested")[n // 3 % 3]
            if surface == 0:
                # asking for changes takes words in chat, and those come after a tap
                label = "Deny" if wanted == "rejected" else "Approve"
                taps.append(press(sim.telegram, number, label, message_id=cards[number]["message_id"])["id"])
            elif surface == 1:
                calls.append(people[number].send("PUT", path, {"status": wanted}))
            else:
                # as webapp/static/api.js and actions.js send it
                body = {**shown, "status": wanted}
                calls.append(people[number].send("PUT", path, body, X_Pilot_Surface="mini_app", Accept_Language="en"))
        replies = await asyncio.gather(*calls)
        answers = await sim.until(
            lambda: found if len(found := answers_to(sim, taps)) == len(taps) else None, seconds=60
        )
        outcome = await ada.get(path)
        ids = {f"user:{(await person.get('/api/me'))['user']['id']}": PEOPLE[n] for n, person in people.items()}
        name = ids[outcome["resolvedBy"]]
        status, where = outcome["status"], outcome["resolvedVia"]
        statuses = Counter(code for code, _ in replies)
        said = Counter(a["text"].split(" at ")[0] for a in answers)
        late = f"Already {PAST[status]} by {name} {WHERE[where]}"
        won_in_chat = where == "chat"
        assert statuses == Counter({409: len(calls) - (not won_in_chat)} | ({} if won_in_chat else {200: 1}))
        assert said[late] == len(taps) - won_in_chat, said
        assert len(said) == 1 + won_in_chat, said
        moment = outcome["resolvedAt"][:16].replace("T", " ") + " UTC"
        assert {a["text"].partition(" at ")[2] for a in answers if a["text"].startswith("Already")} == {f"{moment}."}
        truth = {k: outcome[k] for k in ("status", "resolvedBy", "resolvedVia", "resolvedAt")} | {
            "resolvedByName": name
        }
        for code, reply in replies:
            if code == 409:
                assert (reply["code"], {k: reply[k] for k in truth}) == ("approval_decided", truth)
            else:
                assert (reply["status"], reply["resolvedBy"]) == (status, outcome["resolvedBy"])

        async with asyncio.timeout(60):
            while (await ada.get(f"/api/tasks/{task['id']}"))["status"] in ("queued", "running", "awaiting_approval"):
                await asyncio.sleep(0.05)
        assert len(outside.posts) == (1 if status == "approved" else 0)
        await one_of_each(pilot, approval["id"])

        word = {"approved": "Approved by", "rejected": "Denied by", "changes_requested": "Changes requested by"}[status]
        for number, card in cards.items():
            decided = await sim.message(number, f"{word} {name}, {WHERE[where]}", seconds=60)
            assert decided["message_id"] == card["message_id"]
            keys = decided.get("reply_markup", {}).get("inline_keyboard", [])
            assert not any("callback_data" in key for row in keys for key in row)


def answers_to(sim: SimulatedTelegram, taps: list[str]) -> list[dict[str, Any]]:
    return [answer for answer in sim.telegram.answers if answer["queryId"] in taps]


async def one_of_each(pilot: Installation, approval_id: str) -> None:
    """One decision in the ledger and in the audit log, and one segment that it started."""
    services = pilot.process.gate.services
    assert services is not None
    receipts, audit, runs = tables.receipts.c, tables.audit_log.c, tables.runs.c

    def work(tx: Any) -> tuple[Any, ...]:
        count = sa.select(sa.func.count())
        resolved = "approval:resolved"
        return (
            tx.scalar(count.where(receipts.approval_id == approval_id, receipts.action == resolved)),
            tx.scalar(count.where(audit.target == approval_id, audit.action == resolved)),
            [row[0] for row in tx.all(sa.select(runs.segment))],
        )

    assert await services.store.read(work) == (1, 1, [2])
