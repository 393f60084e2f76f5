"""A workspace's life over HTTP: invitations, handing over, leaving, closing and opening again; on both stores."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.api.harness import Harness, Person, open_house

STRANGER = "00000000-0000-7000-8000-000000000000"


@pytest.fixture
async def harness(url: str, tmp_path: Path) -> AsyncIterator[Harness]:
    async with open_house(url, tmp_path, work=False) as opened:
        yield opened


def place_of(owner: Person) -> str:
    return f"/api/workspace/{owner.workspace_id}"


async def test_invites_are_listed_revoked_and_used_once(harness: Harness, owner: Person) -> None:
    place = place_of(owner)
    made = await owner("POST", f"{place}/invite", {"role": "partner"})
    [listed] = (await owner("GET", f"{place}/invites")).data
    assert listed["id"] == made.data["id"]
    assert made.data["inviteToken"] not in str(listed)
    assert made.data["inviteUrl"].split("#")[0].endswith("/app/")
    guest = await harness.person("guest@example.com")
    assert (await owner("DELETE", f"{place}/invites/{listed['id']}")).status == 204
    refused = await guest("POST", f"/api/auth/invite/{made.data['inviteToken']}", {})
    assert (refused.status, refused.code) == (404, "invite_unknown")
    assert (await owner("DELETE", f"{place}/invites/{listed['id']}")).status == 404
    for role in ("owner", "chief", ""):
        assert (await owner("POST", f"{place}/invite", {"role": role})).status == 400


async def test_handing_over_and_leaving(harness: Harness, owner: Person) -> None:
    place = place_of(owner)
    partner = await harness.member(owner, "partner@example.com", "partner")
    member = await harness.member(owner, "member@example.com", "member")
    assert (await owner("DELETE", f"{place}/members/{owner.user_id}")).code == "owner_stays"
    assert (await partner("POST", f"{place}/transfer", {"userId": partner.user_id})).code == "insufficient_role"
    assert (await owner("POST", f"{place}/transfer", {"userId": STRANGER})).status == 404
    assert (await owner("POST", f"{place}/transfer", {"userId": partner.user_id})).status in (200, 204)
    roles = {m["userId"]: m["role"] for m in (await partner("GET", place)).data["members"]}
    assert roles == {partner.user_id: "owner", owner.user_id: "partner", member.user_id: "member"}
    assert (await owner("PUT", place, {"name": "Mine"})).code == "insufficient_role"
    assert (await partner("PUT", place, {"name": "Theirs"})).data["name"] == "Theirs"
    assert (await member("DELETE", f"{place}/members/{member.user_id}")).status == 204
    assert (await member("GET", "/api/tasks")).status == 404
    assert (await owner("DELETE", f"{place}/members/{owner.user_id}")).status == 204
    actions = {line["action"] for line in (await partner("GET", "/api/audit?limit=200")).data}
    assert {"workspace:transferred", "workspace:renamed", "member:left"} <= actions


async def test_a_closed_workspace_opens_again_for_its_owner_only(harness: Harness, owner: Person) -> None:
    place = place_of(owner)
    partner = await harness.member(owner, "partner@example.com", "partner")
    assert (await partner("DELETE", place)).code == "insufficient_role"
    gone = await owner("DELETE", f"{place}?graceDays=3")
    assert gone.data["deletedAt"] < gone.data["purgeAt"]
    for person in (owner, partner):
        assert (await person("GET", "/api/tasks")).status == 404
    assert owner.workspace_id not in {w["id"] for w in (await owner("GET", "/api/workspaces")).data}
    assert (await partner("POST", f"{place}/restore")).status == 404
    assert (await owner("POST", f"{place}/restore")).status == 200
    assert (await owner("POST", f"{place}/restore")).status == 404
    for person in (owner, partner):
        assert (await person("GET", "/api/tasks")).status == 200
    assert (await owner("DELETE", f"{place}?graceDays=0")).status == 200
    assert await harness.services.erasure.purge_due() == 1
    assert (await owner("POST", f"{place}/restore")).status == 404
    assert await harness.services.store.write(harness.services.ledger.check_at_start) == {}


async def test_closing_a_workspace_ends_the_work_in_it(harness: Harness, owner: Person) -> None:
    task = (await owner("POST", "/api/tasks", {"title": "Long", "description": "wait.until seconds=5"})).data["id"]
    run = (await owner("POST", f"/api/tasks/{task}/run")).data["run"]["id"]
    place = place_of(owner)
    assert (await owner("DELETE", place)).status == 200
    assert (await owner("POST", f"{place}/restore")).status == 200
    ended = (await owner("GET", f"/api/runs/{run}")).data
    assert (ended["status"], ended["error"]) == ("cancelled", "the workspace was closed")
    assert (await owner("GET", f"/api/tasks/{task}")).data["status"] == "cancelled"
    assert (await owner("POST", f"/api/tasks/{task}/run")).status == 202
