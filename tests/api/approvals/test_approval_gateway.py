"""Approvals for agents that are not ours: asked over HTTP, answered by long poll or a signed call back."""

import asyncio
import base64
import hashlib
import hmac
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from aiohttp import web

from domain.approvals.approval import digest_of_call
from domain.clock import utc_now
from domain.ids import new_id
from services.approvals.callbacks import BACKOFF, signature
from storage.tables import approvals as approval_rows
from storage.tables import receipts as receipt_rows
from tests.api.harness import Harness, Person, Reply, open_house
from tests.databases import fresh_url

TRIES = BACKOFF.tries or 0
SECRET = "whsec_" + base64.b64encode(b"0123456789abcdef0123456789abcdef").decode()
ASKED = {"action": "deploy:production", "reason": "release 1.4", "input": {"commit": "abc123"}, "title": "Ship it"}


@dataclass
class Receiver:
    """Somebody else's server: what it was sent, and what it is to answer next (200 when nothing is said)."""

    url: str = ""
    heard: list[tuple[dict[str, str], bytes]] = field(default_factory=list)
    answers: list[int] = field(default_factory=list)

    async def take(self, request: web.Request) -> web.Response:
        self.heard.append(({k.lower(): v for k, v in request.headers.items()}, await request.read()))
        status = self.answers.pop(0) if self.answers else 200
        moved = {"Location": self.url.replace("/hook", "/elsewhere")} if status == 303 else {}
        return web.Response(status=status, text="x" * 5000, headers=moved)


@asynccontextmanager
async def receiving() -> AsyncIterator[Receiver]:
    receiver = Receiver()
    app = web.Application()
    app.router.add_post("/hook", receiver.take)
    app.router.add_get("/elsewhere", receiver.take)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.2)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    receiver.url = f"http://127.0.0.1:{runner.addresses[0][1]}/hook"
    try:
        yield receiver
    finally:
        await runner.cleanup()


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with receiving() as one:
        yield one


@pytest.fixture
async def harness(url: str, tmp_path: Path) -> AsyncIterator[Harness]:
    async with open_house(url, tmp_path, pilot_http_allow=("127.0.0.1",)) as opened:
        yield opened


@dataclass
class Agent:
    """A program of somebody else's with a key that may ask, and nothing more."""

    harness: Harness
    headers: dict[str, str]

    async def __call__(self, method: str, path: str, body: Any = None) -> Reply:
        return await self.harness.ask(method, path, body, headers=self.headers)

    async def ask(self, **more: Any) -> dict[str, Any]:
        reply = await self("POST", "/api/approvals", {**ASKED, **more})
        assert reply.status == 201, reply
        asked: dict[str, Any] = reply.data
        return asked


async def agent_of(owner: Person, name: str = "CI") -> Agent:
    made = await owner("POST", "/api/auth/apikey", {"name": name, "scopes": ["approvals:request"]})
    assert made.status == 201, made
    return Agent(owner.harness, {"X-API-Key": made.data["key"]})


@pytest.fixture
async def agent(owner: Person) -> Agent:
    return await agent_of(owner)


async def decide(owner: Person, asked: dict[str, Any], status: str = "approved", **more: Any) -> Reply:
    return await owner("PUT", f"/api/audit/approvals/{asked['id']}", {"status": status, **more})


async def call_back(harness: Harness, *, later: timedelta = timedelta()) -> int:
    """Send what is due as if it were `later`; how many messages were."""
    queue = replace(harness.parts.deliveries["callbacks"], now=lambda: utc_now() + later)
    return await queue.send_due()


def true_signature(secret: str, headers: dict[str, str], body: bytes) -> str:
    """As the specification says it, written without the program's own code."""
    key = base64.b64decode(secret[len("whsec_") :]) if secret.startswith("whsec_") else secret.encode()
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    return "v1," + base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()


def test_the_signature_is_the_published_one() -> None:
    """The vector of TestWebhookSign in github.com/standard-webhooks/standard-webhooks, libraries/go/webhook_test.go."""
    made = signature(
        "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
        message_id="msg_p5jXN8AQM9LWM0D4loKWxJek",
        at=datetime.fromtimestamp(1614265330, UTC),
        body=b'{"test": 2432232314}',
    )
    assert made == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


async def test_a_question_is_asked_decided_and_heard_at_once(owner: Person, agent: Agent) -> None:
    asked = await agent.ask(effectLevel="E2", expiresInSeconds=600)
    assert (asked["status"], asked["effectLevel"], asked["runId"], asked["taskId"]) == ("pending", "E2", None, None)
    assert asked["actionHash"] == digest_of_call(ASKED["action"], ASKED["input"])
    assert asked["approvalContext"]["toolSummary"] == "Ship it"
    [listed] = (await owner("GET", "/api/audit/approvals?status=pending")).data
    assert listed["id"] == asked["id"]
    loop = asyncio.get_running_loop()
    began = loop.time()
    waiting = asyncio.ensure_future(agent("GET", f"/api/approvals/{asked['id']}?wait=60"))
    # the answer is waited for before it is there
    async with asyncio.timeout(60):
        while owner.workspace_id not in owner.harness.services.bus.topics:
            await asyncio.sleep(0.01)
    assert not waiting.done()
    assert (await decide(owner, asked, "rejected", note="not on a Friday", digest=asked["actionHash"])).status == 200
    answer = await waiting
    assert loop.time() - began < 45
    assert (answer.status, answer.data["status"], answer.data["resolvedVia"]) == (200, "rejected", "api")
    assert answer.data["resolutionNote"] == "not on a Friday"
    # once decided there is nothing to wait for
    again = await asyncio.wait_for(agent("GET", f"/api/approvals/{asked['id']}?wait=60"), 45)
    assert again.data["status"] == "rejected"
    later = await decide(owner, asked)
    assert (later.status, later.code, later.data["status"]) == (409, "approval_decided", "rejected")
    assert (later.data["resolvedBy"], later.data["resolvedVia"]) == (f"user:{owner.user_id}", "api")
    for field_, value in (("wait", "61"), ("wait", "-1"), ("wait", "soon")):
        assert (await agent("GET", f"/api/approvals/{asked['id']}?{field_}={value}")).status == 400


async def test_a_payload_may_hold_fractions(owner: Person, agent: Agent) -> None:
    given = {"sum": 12.5, "parts": [0.1, 1e-7, -3]}
    asked = await agent.ask(input=given)
    assert (asked["actionHash"], asked["actionInput"]) == (digest_of_call(ASKED["action"], given), given)
    assert (await decide(owner, asked)).data["status"] == "approved"


async def test_the_outcome_is_posted_and_signed(
    harness: Harness, owner: Person, agent: Agent, receiver: Receiver
) -> None:
    secrets = {SECRET: "", "plain text is a key too": ""}
    for secret in secrets:
        asked = await agent.ask(callbackUrl=receiver.url, callbackSecret=secret)
        assert secret not in json.dumps(asked)
        assert await call_back(harness) == 0
        assert (await decide(owner, asked, "changes_requested", note="smaller")).status == 200
        assert await call_back(harness) == 1
        headers, body = receiver.heard[-1]
        assert headers["webhook-signature"] == true_signature(secret, headers, body)
        assert abs(int(headers["webhook-timestamp"]) - utc_now().timestamp()) < 60
        said = json.loads(body)
        assert said["type"] == "approval.resolved"
        assert {k: said["data"][k] for k in ("id", "status", "approved", "note", "resolvedByName", "actionHash")} == {
            "id": asked["id"],
            "status": "changes_requested",
            "approved": False,
            "note": "smaller",
            "resolvedByName": owner.login["user"]["name"],
            "actionHash": asked["actionHash"],
        }
        assert await call_back(harness, later=timedelta(days=1)) == 0
    assert len({headers["webhook-id"] for headers, _ in receiver.heard}) == 2


async def test_a_receiver_in_trouble_is_called_again_as_the_same_message(
    harness: Harness, owner: Person, agent: Agent
) -> None:
    async with receiving() as receiver:
        asked = await agent.ask(callbackUrl=receiver.url, callbackSecret=SECRET)
        await decide(owner, asked)
        receiver.answers += [500, 429]
        assert [await call_back(harness, later=timedelta(hours=n)) for n in (0, 1, 2)] == [1, 1, 1]
        assert await call_back(harness, later=timedelta(hours=3)) == 0
        assert len({headers["webhook-id"] for headers, _ in receiver.heard}) == 1
        assert len(receiver.heard) == 3
        assert all(h["webhook-signature"] == true_signature(SECRET, h, body) for h, body in receiver.heard)
        second = await agent.ask(callbackUrl=receiver.url, callbackSecret=SECRET)
        await decide(owner, second)
    # nobody is there: it is tried for about a day, then given up with a line in the audit log
    for n in range(TRIES):
        assert await call_back(harness, later=timedelta(hours=2 * n)) == 1
    assert await call_back(harness, later=timedelta(hours=2 * TRIES)) == 0
    [line] = (await owner("GET", "/api/audit?action=approval:callback_failed")).data
    assert (line["target"], line["reason"], line["verdict"]) == (second["id"], "connect_failed", "error")
    assert line["metadata"]["attempts"] == TRIES
    assert line["metadata"]["evidenceItemId"]


@pytest.mark.parametrize("status", [404, 303])
async def test_a_receiver_that_refuses_or_moved_is_given_up_at_once(
    harness: Harness, owner: Person, agent: Agent, receiver: Receiver, status: int
) -> None:
    asked = await agent.ask(callbackUrl=receiver.url, callbackSecret=SECRET)
    receiver.answers.append(status)
    await decide(owner, asked)
    assert await call_back(harness) == 1
    assert await call_back(harness, later=timedelta(days=1)) == 0
    [line] = (await owner("GET", "/api/audit?action=approval:callback_failed")).data
    assert (line["target"], line["reason"], line["metadata"]["attempts"]) == (asked["id"], f"status_{status}", 1)
    assert [body for _, body in receiver.heard if not body] == []
    assert SECRET not in json.dumps(line)


async def test_nobodys_answer_is_called_back_as_expired(
    harness: Harness, owner: Person, agent: Agent, receiver: Receiver
) -> None:
    asked = await agent.ask(callbackUrl=receiver.url, callbackSecret=SECRET, expiresInSeconds=60)
    past = utc_now() - timedelta(seconds=1)
    mine = approval_rows.c.id == asked["id"]
    await harness.services.store.write(
        lambda tx: tx.execute(sa.update(approval_rows).where(mine).values(expires_at=past))
    )
    assert (await harness.services.approvals.sweep())[0] == 1
    assert await call_back(harness) == 1
    said = json.loads(receiver.heard[0][1])["data"]
    assert (said["status"], said["approved"], said["resolvedBy"]) == ("expired", False, "system")
    late = await decide(owner, asked)
    assert (late.status, late.code, late.data["status"]) == (410, "approval_expired", "expired")
    assert (await agent("GET", f"/api/approvals/{asked['id']}?wait=60")).data["status"] == "expired"
    gone = await agent("DELETE", f"/api/approvals/{asked['id']}")
    assert (gone.status, gone.code) == (410, "approval_expired")


async def test_a_question_is_taken_back_by_who_asked_it(harness: Harness, owner: Person, agent: Agent) -> None:
    asked = await agent.ask()
    other = await agent_of(owner, "another")
    for stranger in (other, await agent_of(await harness.person("bob@example.com"))):
        for method in ("GET", "DELETE"):
            foreign = await stranger(method, f"/api/approvals/{asked['id']}")
            missing = await stranger(method, f"/api/approvals/{new_id()}")
            assert foreign.status == missing.status == 404
            assert {**foreign.data, "requestId": ""} == {**missing.data, "requestId": ""}
    # a person who may read approvals reads this one too, but takes back only what they asked themselves
    assert (await owner("GET", f"/api/approvals/{asked['id']}")).status == 200
    assert (await owner("DELETE", f"/api/approvals/{asked['id']}")).status == 404
    taken = await agent("DELETE", f"/api/approvals/{asked['id']}")
    assert (taken.status, taken.data["status"]) == (200, "cancelled")
    late = await decide(owner, asked)
    assert (late.status, late.data["status"]) == (409, "cancelled")
    again = await agent("DELETE", f"/api/approvals/{asked['id']}")
    assert (again.status, again.code, again.data["status"]) == (409, "approval_decided", "cancelled")


async def test_a_key_that_may_only_ask_does_nothing_else(owner: Person, agent: Agent) -> None:
    asked = await agent.ask()
    for method, path, body in (
        ("GET", "/api/audit/approvals", None),
        ("GET", f"/api/audit/approvals/{asked['id']}", None),
        ("PUT", f"/api/audit/approvals/{asked['id']}", {"status": "approved"}),
        ("GET", "/api/grants", None),
        ("GET", "/api/tasks", None),
    ):
        refused = await agent(method, path, body)
        assert (refused.status, refused.code) == (403, "insufficient_scope"), path
    reader = (await owner("POST", "/api/auth/apikey", {"name": "r", "scopes": ["approvals:read"]})).data["key"]
    asking = await owner.harness.ask("POST", "/api/approvals", ASKED, headers={"X-API-Key": reader})
    assert (asking.status, asking.code) == (403, "insufficient_scope")


async def test_the_kill_switch_refuses_questions_and_yes(owner: Person, agent: Agent) -> None:
    asked = await agent.ask()
    settings = f"/api/workspace/{owner.workspace_id}/settings"
    await owner("PUT", settings, {"policyConfig": {"killSwitch": True}})
    refused = await agent("POST", "/api/approvals", ASKED)
    assert (refused.status, refused.code) == (403, "kill_switch")
    yes = await decide(owner, asked)
    assert (yes.status, yes.code) == (403, "kill_switch")
    assert (await decide(owner, asked, "rejected")).status == 200


async def test_an_address_of_the_inside_is_not_called(url: str, tmp_path: Path, receiver: Receiver) -> None:
    async with open_house(url, tmp_path) as harness:
        owner = await harness.person("ada@example.com")
        agent = await agent_of(owner)
        for place in (receiver.url, "http://169.254.169.254/latest/meta-data", "http://[::1]:9/"):
            asked = await agent.ask(callbackUrl=place, callbackSecret=SECRET)
            await decide(owner, asked, "rejected")
            assert await call_back(harness) == 1
            [line, *_] = (await owner("GET", "/api/audit?action=approval:callback_failed")).data
            assert (line["target"], line["reason"]) == (asked["id"], "blocked_address")
        assert await call_back(harness, later=timedelta(days=2)) == 0
    assert receiver.heard == []


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"action": "no spaces allowed"}, "action"),
    ({"reason": ""}, "reason"),
    ({"reason": "   "}, "reason"),
    ({"input": []}, "input"),
    ({"input": {"x": "y" * 33_000}}, "input"),
    ({"effectLevel": "E4"}, "effectLevel"),
    ({"expiresInSeconds": 59}, "expiresInSeconds"),
    ({"expiresInSeconds": 604_801}, "expiresInSeconds"),
    ({"callbackUrl": "https://example.com/x"}, "callbackSecret"),
    ({"callbackSecret": SECRET}, "callbackUrl"),
    ({"callbackUrl": "ftp://example.com/x", "callbackSecret": SECRET}, "callbackUrl"),
    ({"callbackUrl": "https://ada:pw@example.com/", "callbackSecret": SECRET}, "callbackUrl"),
    ({"callbackUrl": "https://exa mple.com/", "callbackSecret": SECRET}, "callbackUrl"),
    ({"callbackUrl": "http://[::1", "callbackSecret": SECRET}, "callbackUrl"),
    ({"callbackUrl": "https://example.com/", "callbackSecret": "short"}, "callbackSecret"),
    ({"callbackUrl": "https://example.com/", "callbackSecret": "whsec_not base64, sadly"}, "callbackSecret"),
    ({"more": 1}, "more"),
]


async def test_what_is_wrong_is_named(tmp_path: Path) -> None:
    async with open_house(fresh_url("sqlite", tmp_path), tmp_path, work=False) as harness:
        owner = await harness.person("ada@example.com")
        agent = await agent_of(owner)
        for body, name in WRONG:
            refused = await agent("POST", "/api/approvals", {**ASKED, **body})
            assert refused.status == 400, refused
            assert list(refused.data["details"]["fieldErrors"]) == [name], refused
        assert (await owner("GET", "/api/audit/approvals")).data == []


async def test_the_whole_exchange_is_in_the_ledger(harness: Harness, owner: Person, agent: Agent) -> None:
    asked = await agent.ask()
    await decide(owner, asked)
    mine = receipt_rows.c.approval_id == asked["id"]
    query = sa.select(receipt_rows.c.action, receipt_rows.c.verdict).where(mine).order_by(receipt_rows.c.idx)
    rows = await harness.services.store.read(lambda tx: tx.all(query))
    assert [tuple(row) for row in rows] == [("approval:requested", "ESCALATE"), ("approval:resolved", "ALLOW")]
    [line] = (await owner("GET", f"/api/audit?action=approval:requested&target={asked['id']}")).data
    assert line["actor"].startswith("api_key:")
