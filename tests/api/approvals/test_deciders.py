"""Who may decide, over the wire on both stores: by role, by name, several together; and policies that could never be met."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from domain.ids import new_id
from tests.api.harness import Harness, Person, open_house
from tests.api.policy.test_governance import path_of, question
from tests.databases import fresh_url


@pytest.fixture
async def harness(url: str, tmp_path: Path) -> AsyncIterator[Harness]:
    async with open_house(url, tmp_path) as opened:
        yield opened


async def policy(owner: Person, **config: Any) -> Any:
    return await owner("PUT", f"/api/workspace/{owner.workspace_id}/settings", {"policyConfig": config})


async def test_two_of_three_with_whoever_asked_left_out(harness: Harness, owner: Person) -> None:
    one, two = [await harness.member(owner, f"{name}@example.com", "partner") for name in ("one", "two")]
    reader = await harness.member(owner, "reader@example.com", "member")
    changed = await policy(owner, approvalQuorum=2, approverRole="partner")
    assert changed.status in (200, 201), changed
    asked = await question(owner)
    assert (asked["quorum"], asked["approvedBy"], asked["approvalContext"]["approverRole"]) == (2, [], "partner")
    yes = {"status": "approved", "version": asked["version"], "digest": asked["actionHash"]}
    own = await owner("PUT", path_of(asked), yes)
    assert (own.status, own.code) == (403, "requester_excluded")
    weak = await reader("PUT", path_of(asked), yes)
    assert (weak.status, weak.code, weak.data["requiredRole"]) == (403, "insufficient_role", "partner")
    for _ in range(2):
        first = await one("PUT", path_of(asked), yes)
        assert (first.status, first.data["status"], first.data["approvedBy"]) == (200, "pending", [one.user_id])
    for found in ((await two("GET", path_of(asked))).data, (await two("GET", "/api/audit/approvals")).data[0]):
        assert (found["status"], found["approvedBy"]) == ("pending", [one.user_id])
    last = await two("PUT", path_of(asked), yes)
    assert (last.data["status"], last.data["approvedBy"]) == ("approved", [one.user_id, two.user_id])
    late = await one("PUT", path_of(asked), {"status": "rejected"})
    assert (late.status, late.data["status"], late.data["resolvedBy"]) == (409, "approved", f"user:{two.user_id}")
    voted = (await owner("GET", f"/api/audit?target={asked['id']}&action=approval:voted")).data
    assert [line["actor"] for line in voted] == [f"user:{one.user_id}"]


async def test_a_named_member_decides_and_sees_only_that(harness: Harness, owner: Person) -> None:
    member = await harness.member(owner, "m@example.com", "member")
    hidden = await question(owner)
    changed = await policy(owner, approvers=[member.user_id])
    assert changed.status in (200, 201), changed
    asked = await question(owner)
    assert asked["deciders"] == [member.user_id]
    assert [a["id"] for a in (await member("GET", "/api/audit/approvals")).data] == [asked["id"]]
    assert (await member("GET", path_of(hidden))).status == 404
    assert (await member("GET", "/api/status")).data["pendingApprovals"] == 1
    refused = await owner("PUT", path_of(asked), {"status": "approved"})
    assert (refused.status, refused.code) == (403, "not_a_decider")
    page = await member("GET", path_of(asked))
    assert page.data["actionInput"] == asked["actionInput"]
    edited = await member(
        "PUT", path_of(asked) + "/input", {"input": {**asked["actionInput"], "json": {"n": 3}}, "version": 1}
    )
    assert edited.data["version"] == 2
    decided = await member("PUT", path_of(asked), {"status": "changes_requested", "note": "smaller", "version": 2})
    assert (decided.status, decided.data["resolvedBy"]) == (200, f"user:{member.user_id}")


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"approvalQuorum": 2}, "approvalQuorum"),
        ({"approvalQuorum": 3, "approverRole": "partner"}, "approvalQuorum"),
        # three there are, and one of them asks
        ({"approverRole": "partner", "approvalQuorum": 3}, "approvalQuorum"),
        ({"approverRole": "member"}, "approverRole"),
        ({"approvers": ["nobody"]}, "approvers"),
        ({"approvers": [new_id()]}, "approvers"),
    ],
)
async def test_a_policy_that_could_never_be_met_is_refused(
    lite_house: Harness, change: dict[str, Any], field: str
) -> None:
    owner = await lite_house.person("ada@example.com")
    for name in ("one", "two"):
        await lite_house.member(owner, f"{name}@example.com", "partner")
    before = (await owner("GET", f"/api/workspace/{owner.workspace_id}/settings")).data
    refused = await policy(owner, **change)
    assert refused.status == 400, refused
    assert list(refused.data["details"]["fieldErrors"]) == [f"policyConfig.{field}"]
    assert (await owner("GET", f"/api/workspace/{owner.workspace_id}/settings")).data == before
    assert (await policy(owner, approverRole="partner", approvalQuorum=2)).status in (200, 201)
    # what makes an accepted quorum one that cannot be met is refused as well
    undone = await policy(owner, approverRole="owner")
    assert list(undone.data["details"]["fieldErrors"]) == ["policyConfig.approverRole"]
    assert (await policy(owner, undoSeconds=5)).status == 200


@pytest.fixture
async def lite_house(tmp_path: Path) -> AsyncIterator[Harness]:
    async with open_house(fresh_url("sqlite", tmp_path), tmp_path, work=False) as opened:
        yield opened


async def test_in_a_batch_every_item_has_its_own_answer(harness: Harness, owner: Person) -> None:
    mine, theirs = await question(owner), await question(await harness.person("bob@example.com"))
    items = [
        {"id": one["id"], "version": 1, "digest": one["actionHash"], "status": "rejected"} for one in (mine, theirs)
    ]
    answers = (await owner("POST", "/api/approvals/batch", {"items": [*items, items[0]]})).data
    assert [(a["ok"], a.get("code")) for a in answers] == [
        (True, None),
        (False, "not_found"),
        (False, "approval_decided"),
    ]


async def test_only_an_owner_gives_and_ends_what_is_standing(harness: Harness, owner: Person) -> None:
    partner = await harness.member(owner, "p@example.com", "partner")
    stranger = await harness.person("bob@example.com")
    await policy(owner, approverRole="partner")
    asked = await question(owner)
    wanted = {"status": "approved", "grant": {"minutes": 10}}
    refused = await partner("PUT", path_of(asked), wanted)
    assert (refused.status, refused.data["action"]) == (403, "give temporary permissions")
    assert (await owner("PUT", path_of(asked), wanted)).status == 200
    [grant] = (await partner("GET", "/api/grants")).data
    path = f"/api/grants/{grant['id']}"
    assert (await partner("DELETE", path)).code == "insufficient_role"
    assert (await stranger("DELETE", path)).status == 404
    assert (await stranger("GET", "/api/grants")).data == []
    assert (await owner("DELETE", path)).data["revokedAt"]
    await policy(owner, approvalQuorum=1, approvers=[partner.user_id, owner.user_id])
    await harness.member(owner, "q@example.com", "partner")
    assert (await policy(owner, approvers=[], approvalQuorum=2)).status == 200
    several = await question(owner)
    alone = await partner("PUT", path_of(several), wanted)
    assert list(alone.data["details"]["fieldErrors"]) == ["grant"]
