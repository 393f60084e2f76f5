"""A workspace's own model keys: they go in, they are used, they never come out."""

import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from storage import tables
from tests.api.conftest import Client, Installation, open_installation
from tests.connectors.openai_server import Turn, scripted_model
from tests.databases import fresh_url

VALUE = "k" * 12 + "-of-ada"


@pytest.fixture(params=["sqlite", "postgres"])
async def working(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Installation]:
    """An installation that carries out runs and may reach this machine."""
    url = fresh_url(request.param, tmp_path)
    async for one in open_installation(tmp_path, url, pilot_role="all", pilot_http_allow=("127.0.0.1",)):
        yield one


async def test_values_never_come_back(pilot: Installation) -> None:
    """9: the list was shadowed by the route of a workspace, and refused to everybody."""
    ada = await pilot.by_mail("ada@example.com")
    path = "/api/workspace/secrets"
    assert await ada.get(path) == {"secrets": []}
    status, stored = await ada.send("PUT", f"{path}/openai", {"value": VALUE, "expiresAt": "2999-01-01T00:00:00Z"})
    assert (status, stored) == (200, {"stored": True, "kind": "openai", "expiresAt": "2999-01-01T00:00:00.000Z"})
    await ada.send("PUT", f"{path}/openai", {"value": VALUE})
    listed = (await ada.get(path))["secrets"]
    assert [(s["kind"], s["expiresAt"]) for s in listed] == [("openai", None)]
    assert (await ada.send("POST", f"{path}/openai/verify"))[1] == {"ok": True}
    for everything in ("/api/audit", "/api/governance/receipts?limit=50"):
        text = json.dumps(await ada.get(everything))
        assert "secret:stored" in text
        assert VALUE not in text
    services = pilot.process.gate.services
    assert services is not None
    sealed = await services.store.read(lambda tx: tx.scalar(sa.select(tables.secrets.c.sealed)))
    assert VALUE not in sealed
    assert (await ada.send("DELETE", f"{path}/openai"))[0] == 204
    assert (await ada.send("DELETE", f"{path}/openai"))[0] == 404
    assert (await ada.send("POST", f"{path}/openai/verify"))[0] == 404


@pytest.mark.parametrize(
    ("kind", "body", "named"),
    [
        ("nonsense", {"value": "x"}, "kind"),
        ("openai", {}, "value"),
        ("openai", {"value": ""}, "value"),
        ("openai", {"value": "x" * 10_001}, "value"),
        ("openai", {"value": 5}, "value"),
        ("openai", {"value": "x", "expiresAt": "2001-01-01T00:00:00Z"}, "expiresAt"),
        ("openai", {"value": "x", "expiresAt": "soon"}, "expiresAt"),
    ],
)
async def test_what_is_wrong_is_named(lite: Installation, kind: str, body: object, named: str) -> None:
    ada = await lite.by_mail("ada@example.com")
    status, refused = await ada.send("PUT", f"/api/workspace/secrets/{kind}", body)
    assert status == 400
    assert named in refused["details"]["fieldErrors"]


async def _model(client: Client, url: str) -> None:
    config = {"provider": "openai", "model": "gpt-4o-mini", "baseUrl": url}
    status, answer = await client.send("PUT", f"/api/workspace/{client.workspace}/settings", {"modelConfig": config})
    assert status in (200, 201), answer


async def _done(client: Client, title: str) -> str:
    _, task = await client.send("POST", "/api/tasks", {"title": title, "description": "say hello"})
    status, result = await client.send("POST", f"/api/tasks/{task['id']}/run?wait=20", {})
    assert status == 200, result
    answer: str = result["run"]["status"]
    return answer


async def test_each_workspace_uses_its_own_key_at_once(working: Installation) -> None:
    """16 and 44: keys were swapped on one object for the whole process, and a change took minutes."""
    ada, bob = await working.by_mail("ada@example.com"), await working.by_mail("bob@example.com")
    async with scripted_model(lambda _body: Turn(calls=[("finish", {"summary": "hello"})])) as model:
        for client, value in ((ada, VALUE), (bob, "of-bob")):
            await _model(client, model.base_url)
            assert (await client.send("PUT", "/api/workspace/secrets/openai", {"value": value}))[0] == 200
        heard = []
        for client in (ada, bob, ada):
            assert await _done(client, "T") == "completed"
            heard.append(model.headers[-1]["authorization"])
        assert heard == [f"Bearer {VALUE}", "Bearer of-bob", f"Bearer {VALUE}"]
        await ada.send("PUT", "/api/workspace/secrets/openai", {"value": "changed"})
        assert await _done(ada, "T2") == "completed"
        assert model.headers[-1]["authorization"] == "Bearer changed"
