"""A critical approval takes a proof of who approves that is fresh: an old session, a key, old launch data are refused."""

import time
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from domain.clock import utc_now
from simulator.launch import signed, user_field
from storage.tables import sessions
from storage.transaction import Tx
from tests.api.conftest import TOKEN
from tests.api.harness import Harness, Person, Reply, open_house
from tests.api.policy.test_governance import path_of, question

CRITICAL = {"policyConfig": {"toolEffects": {"http.post": "E4"}}}


@pytest.fixture
async def harness(url: str, tmp_path: Path) -> AsyncIterator[Harness]:
    async with open_house(url, tmp_path, telegram_bot_token=TOKEN) as opened:
        yield opened


async def ask(owner: Person) -> dict[str, Any]:
    changed = await owner("PUT", f"/api/workspace/{owner.workspace_id}/settings", CRITICAL)
    assert changed.status in (200, 201), changed
    approval = await question(owner)
    assert approval["effectLevel"] == "E4"
    return approval


async def grow_old(harness: Harness, by: timedelta) -> None:
    """As if every login had been that long ago."""

    def work(tx: Tx) -> None:
        tx.execute(sa.update(sessions).values(authenticated_at=utc_now() - by))

    await harness.services.store.write(work)
    harness.services.identity_cache.forget()


def refused(reply: Reply) -> bool:
    return (reply.status, reply.code, reply.data.get("maxAgeSeconds")) == (403, "step_up_required", 300)


async def test_an_old_login_may_deny_but_not_approve_until_it_is_made_again(harness: Harness, owner: Person) -> None:
    approval = await ask(owner)
    await grow_old(harness, timedelta(minutes=6))
    assert refused(await owner("PUT", path_of(approval), {"status": "approved"}))
    assert (await owner("GET", path_of(approval))).data["status"] == "pending"
    again = await harness.person("ada@example.com")
    assert (await again("PUT", path_of(approval), {"status": "approved"})).status == 200
    other = await question(owner)
    await grow_old(harness, timedelta(minutes=6))
    assert (await owner("PUT", path_of(other), {"status": "rejected"})).status == 200


async def test_no_key_approves_what_is_critical_and_no_grant_covers_it(owner: Person, harness: Harness) -> None:
    approval = await ask(owner)
    made = await owner("POST", "/api/auth/apikey", {"name": "k", "scopes": ["approvals:resolve", "approvals:read"]})
    key = Person(harness, {"X-API-Key": made.data["key"]}, owner.login)
    assert refused(await key("PUT", path_of(approval), {"status": "approved"}))
    granted = await owner("PUT", path_of(approval), {"status": "approved", "grant": {"minutes": 5}})
    assert (granted.status, list(granted.data["details"]["fieldErrors"])) == (400, ["grant"])
    assert (await owner("PUT", path_of(approval), {"status": "approved"})).status == 200


async def test_launch_data_is_as_old_as_its_signature(harness: Harness) -> None:
    def launched(ago: int) -> str:
        return signed(
            TOKEN, {"auth_date": str(int(time.time()) - ago), "user": user_field({"id": 5, "first_name": "A"})}
        )

    async def entered(raw: str) -> Person:
        login = (await harness.ask("POST", "/api/auth/telegram", {"initData": raw})).data
        place = login["workspace"]["id"]
        return Person(harness, {"Authorization": f"Bearer {login['token']}", "X-Workspace-Id": place}, login)

    old = await entered(launched(600))
    approval = await ask(old)
    assert refused(await old("PUT", path_of(approval), {"status": "approved"}))
    bare = Person(harness, {**old.headers, "Authorization": f"tma {launched(600)}"}, old.login)
    assert refused(await bare("PUT", path_of(approval), {"status": "approved"}))
    opened_again = await entered(launched(1))
    assert (await opened_again("PUT", path_of(approval), {"status": "approved"})).status == 200


async def test_what_the_owner_calls_critical_is_so_for_agents_of_others_too(harness: Harness, owner: Person) -> None:
    policy = {"toolEffects": {"pay.*": "E4"}, "approverRole": "partner"}
    await owner("PUT", f"/api/workspace/{owner.workspace_id}/settings", {"policyConfig": policy})
    partner = await harness.member(owner, "paula@example.com", "partner")
    call = {"tool": "pay.send", "effect_level": "E1", "session_id": "s", "args": {"sum": 1}}
    asked = await owner("POST", "/api/v1/evaluate", call)
    assert asked.data["verdict"] == "ESCALATE"
    question = {"action": "pay.send", "reason": "it is due", "effectLevel": "E1"}
    put = await owner("POST", "/api/approvals", question)
    await grow_old(harness, timedelta(minutes=6))
    for approval_id in (asked.data["approval_id"], put.data["id"]):
        path = f"/api/audit/approvals/{approval_id}"
        assert (await owner("GET", path)).data["effectLevel"] == "E4"
        assert (await partner("PUT", path, {"status": "approved"})).code == "insufficient_role"
        assert refused(await owner("PUT", path, {"status": "approved"}))
