"""The administrator's routes: their key alone opens them, and what they do is in the log of the workspace."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from api.installation.admin import admin
from domain.ids import new_id
from tests.api.harness import Harness, Person, open_house

KEY = "k-" + "0123456789abcdef" * 2


@pytest.fixture
async def harness(url: str, tmp_path: Path) -> AsyncIterator[Harness]:
    async with open_house(url, tmp_path, http={"admin_key": KEY}) as opened:
        yield opened


def bearer(key: str = KEY) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}


async def test_the_documented_call_works_and_nothing_else_does(harness: Harness, owner: Person) -> None:
    """10: the documented bearer was a 401; an ordinary person's key let one in."""
    assert (await harness.ask("GET", "/api/admin/tenants", headers=bearer())).status == 200
    made = await owner("POST", "/api/auth/apikey", {"name": "k"})
    ordinary = {"X-API-Key": made.data["key"]}
    for endpoint in admin.table:
        path = endpoint.path.replace("{workspace_id}", owner.workspace_id)
        body = {} if endpoint.body is not None else None
        for headers, expected in (
            ({}, (401, "unauthorized")),
            (ordinary, (401, "unauthorized")),
            (owner.headers, (403, "admin_key_wrong")),
            (bearer(KEY[:-1]), (403, "admin_key_wrong")),
            (bearer(KEY + "x") | ordinary, (403, "admin_key_wrong")),
            (bearer("ключ"), (403, "admin_key_wrong")),
        ):
            reply = await harness.ask(endpoint.method, path, body, headers=headers)
            assert (reply.status, reply.code) == expected, (endpoint.path, headers)
    assert (await owner("GET", "/api/tasks")).status == 200


async def test_without_a_key_set_there_is_no_way_in(url: str, tmp_path: Path) -> None:
    async with open_house(url, tmp_path) as harness:
        for headers in ({}, bearer(""), bearer(), bearer("None")):
            reply = await harness.ask("GET", "/api/admin/tenants", headers=headers)
            assert (reply.status, reply.code) == (503, "admin_not_configured")


async def test_a_tenant_is_made_closed_opened_and_removed(harness: Harness, owner: Person) -> None:
    """26: a deleted tenant could be used on."""

    async def ask(method: str, path: str, body: object = None) -> tuple[int, object]:
        reply = await harness.ask(method, f"/api/admin/tenants{path}", body, headers=bearer())
        return reply.status, reply.data

    status, made = await ask("POST", "", {"name": "Second", "ownerUserId": owner.user_id})
    assert status == 201
    place = made["workspace"]["id"]
    at_place = {"X-Workspace-Id": place}
    assert (await owner("GET", "/api/tasks", **at_place)).status == 200
    assert place in {w["id"] for w in (await ask("GET", "?limit=500"))[1]}
    receipt = (await owner("GET", f"/api/governance/receipts/{made['evidenceItemId']}", **at_place)).data["receipt"]
    assert receipt["action"] == "workspace:created"

    status, gone = await ask("DELETE", f"/{place}", {"reason": "unpaid", "graceDays": 0})
    assert (status, gone["id"], gone["deletedAt"]) == (200, place, gone["purgeAt"])
    assert (await owner("GET", "/api/tasks", **at_place)).status == 404
    assert [w["id"] for w in (await ask("GET", "/deletions"))[1]] == [place]
    assert (await ask("DELETE", f"/{place}", {}))[0] == 404

    status, opened = await ask("POST", f"/{place}/restore")
    assert (status, opened["workspace"]["name"]) == (200, "Second")
    lines = (await owner("GET", "/api/audit?action=workspace:deleted", **at_place)).data
    assert [(line["actor"], line["reason"]) for line in lines] == [("platform-admin", "unpaid")]
    assert (await ask("POST", f"/{place}/restore"))[0] == 404

    assert (await ask("DELETE", f"/{place}", {"graceDays": 0}))[0] == 200
    assert await ask("POST", "/cleanup?limit=5") == (200, {"removed": 1})
    assert await ask("GET", "/deletions") == (200, [])
    assert (await ask("POST", f"/{place}/restore"))[0] == 404
    assert (await owner("GET", "/api/tasks")).status == 200
    assert await harness.services.store.write(harness.services.ledger.check_at_start) == {}


async def test_bad_input_is_named(harness: Harness, owner: Person) -> None:
    for body, field in (
        ({"name": "", "ownerUserId": owner.user_id}, "name"),
        ({"name": "x", "ownerUserId": "me"}, "ownerUserId"),
        ({"name": "x", "ownerUserId": owner.user_id, "more": 1}, "more"),
    ):
        reply = await harness.ask("POST", "/api/admin/tenants", body, headers=bearer())
        assert reply.status == 400
        assert field in reply.data["details"]["fieldErrors"]
    nobody = await harness.ask("POST", "/api/admin/tenants", {"name": "x", "ownerUserId": new_id()}, headers=bearer())
    assert nobody.status == 404
    for days in (-1, 366, "30", True):
        reply = await harness.ask(
            "DELETE", f"/api/admin/tenants/{owner.workspace_id}", {"graceDays": days}, headers=bearer()
        )
        assert reply.status == 400
    assert (await owner("GET", "/api/tasks")).status == 200
    assert (await harness.ask("POST", "/api/admin/tenants/cleanup?limit=501", headers=bearer())).status == 400
