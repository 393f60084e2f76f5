"""Tasks, governance and the Mini App's parts over HTTP; two tenants that never see each other."""

import re

from tests.api.conftest import Client, Installation


async def test_task_life(pilot: Installation) -> None:
    ada = await pilot.by_mail("ada@example.com")
    status, task = await ada.send("POST", "/api/tasks", {"title": "Plan", "schedule": {"cron": "0 9 * * 1"}})
    assert status == 201
    assert task["status"] == "pending"
    whole = await ada.get(f"/api/tasks/{task['id']}")
    assert len(whole["nextTimes"]) == 5
    status, moved = await ada.send("PUT", f"/api/tasks/{task['id']}/status", {"status": "completed"})
    assert (status, moved["status"]) == (200, "completed")
    status, refused = await ada.send("PUT", f"/api/tasks/{task['id']}/status", {"status": "running"})
    assert (status, refused["code"]) == (409, "illegal_move")
    status, refused = await ada.send("PUT", f"/api/tasks/{task['id']}/status", {"status": "flying"})
    assert (status, refused["error"]) == (400, "Invalid status")
    assert "allowed" in refused["details"] or "allowed" in refused
    status, changed = await ada.send("PUT", f"/api/tasks/{task['id']}", {"title": "New", "schedule": None})
    assert (changed["title"], changed["schedule"]) == ("New", None)
    assert (await ada.send("DELETE", f"/api/tasks/{task['id']}"))[0] == 204
    assert (await ada.send("GET", f"/api/tasks/{task['id']}"))[0] == 404
    assert (await ada.send("GET", "/api/tasks/not-a-uuid"))[0] == 404


async def test_an_operator_of_another_workspace_is_refused_and_written_down(pilot: Installation) -> None:
    ada, bob = await pilot.by_mail("ada@example.com"), await pilot.by_mail("bob@example.com")
    status, operator = await bob.send("POST", "/api/operators", {"name": "Bo", "role": "growth", "goal": "grow"})
    assert status == 201
    status, refused = await ada.send("POST", "/api/tasks", {"title": "x", "operatorId": operator["id"]})
    assert (status, refused["code"]) == (403, "operator_scope")
    assert refused["evidenceItemId"]
    status, refused = await ada.send("POST", "/api/operators", {"name": "x", "role": "cto"})
    assert status == 400


async def test_settings_over_http(pilot: Installation) -> None:
    ada = await pilot.by_mail("ada@example.com")
    path = f"/api/workspace/{ada.workspace}/settings"
    assert (await ada.get(path))["policyConfig"]["killSwitch"] is False
    status, first = await ada.send("PUT", path, {"policyConfig": {"blockedTools": ["http.post"]}})
    assert (status, first["policyConfig"]["toolBlocklist"]) == (201, ["http.post"])
    status, second = await ada.send("PUT", path, {"policyConfig": {"killSwitch": True}})
    assert (status, second["policyConfig"]["toolBlocklist"]) == (200, ["http.post"])
    rule = {"id": "r", "when": "input.tool ==", "verdict": "DENY"}
    status, refused = await ada.send("PUT", path, {"policyConfig": {"rules": [rule]}})
    assert (status, refused["code"], refused["line"], refused["column"]) == (400, "invalid_rule", 1, 14)
    actions = [e["action"] for e in await ada.get("/api/audit?limit=200")]
    assert "policy:kill_switch_changed" in actions
    assert (await ada.send("PUT", f"/api/workspace/{ada.workspace}/mode", {"mode": "launch"}))[1][
        "currentMode"
    ] == "launch"


async def test_receipts_proofs_and_archive(pilot: Installation) -> None:
    ada = await pilot.by_mail("ada@example.com")
    for n in range(5):
        await ada.send("POST", "/api/tasks", {"title": f"T{n}"})
    page = await ada.get("/api/governance/receipts?limit=3")
    assert len(page["receipts"]) == 3
    assert page["nextCursor"]
    one = await ada.get(f"/api/governance/receipts/{page['receipts'][0]['id']}")
    assert one["leafHash"] == page["receipts"][0]["decisionHash"]
    point = await ada.get("/api/governance/log/checkpoint")
    proof = await ada.get(f"/api/governance/log/proof/inclusion?index=2&size={point['size']}")
    assert proof["treeSize"] == point["size"]
    more = await ada.get(f"/api/governance/log/proof/consistency?old=3&new={point['size']}")
    assert more["newRoot"] == point["root"]
    assert (await ada.send("GET", "/api/governance/log/proof/inclusion?index=999999"))[0] == 404
    status, archive = await ada.send("GET", "/api/governance/archive")
    assert status == 200
    assert archive[:2] == b"\x1f\x8b"
    status, lines = await ada.send("GET", "/api/audit/export?format=csv")
    assert lines.startswith(b"id,createdAt")


async def _ids_of(client: Client) -> set[str]:
    _, task = await client.send("POST", "/api/tasks", {"title": f"of {client.workspace}"})
    _, operator = await client.send("POST", "/api/operators", {"name": "O", "role": "ops"})
    receipts = await client.get("/api/governance/receipts?limit=100")
    return {task["id"], operator["id"], client.workspace, *(r["id"] for r in receipts["receipts"])}


async def test_no_byte_of_one_tenant_reaches_the_other(pilot: Installation) -> None:
    ada, bob = await pilot.by_mail("ada@example.com"), await pilot.by_telegram(9, "Bob")
    mine, theirs = await _ids_of(ada), await _ids_of(bob)
    document = await pilot.nobody().get("/api/openapi.json")
    parts = ["home", "tasks", "approvals", "receipts", "audit", "settings"]
    paths = [f"/app/parts/{part}" for part in parts]
    for path, methods in document["paths"].items():
        if "get" in methods and "events" not in path:
            paths += [re.sub(r"\{\w+\}", one, path) for one in theirs] if "{" in path else [path]
    paths += [f"/app/parts/{part}/{one}" for part in ("task", "approval", "receipt") for one in theirs]
    public = ("/api/governance/keys",)
    for path in paths:
        status, body = await ada.send("GET", path)
        assert status < 500, (path, body)
        if path in public:
            continue
        text = body.decode(errors="replace") if isinstance(body, bytes) else str(body)
        shown = path.rsplit("/", 1)[-1]
        assert not {one for one in theirs - {shown} if one in text}, path
    assert mine.isdisjoint(theirs)


async def test_a_parent_that_is_no_task_here(pilot: Installation) -> None:
    """It was a broken foreign key, and a 500; another workspace's task must not be told from none."""
    owner, other = await pilot.by_mail("owner@example.com"), await pilot.by_mail("other@example.com")
    _, foreign = await other.send("POST", "/api/tasks", {"title": "theirs"})
    for parent in ("5cca0000-0000-7000-8000-000000000000", "-5cca-20-eA5CCef0BABaC8Ed-C74DE3Da00", foreign["id"]):
        status, refused = await owner.send("POST", "/api/tasks", {"title": "x", "parentTaskId": parent})
        assert (status, refused["code"]) == (400, "invalid_request")
        assert "parentTaskId" in str(refused)
