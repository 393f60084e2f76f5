"""Pilot as the decision point of agents that are not ours: helm-sdk, unmodified, is the client."""

import asyncio
import hashlib
import json
import os
import re
import sys
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import rfc8785
import sqlalchemy as sa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from helm_sdk import EvaluateRequest, EvaluateResponse, HelmApiError, HelmClient

from domain.clock import utc_now
from storage import tables
from tests.api.harness import Harness, Person, Reply, open_house
from tests.databases import fresh_url
from tests.helm_kernel import check_chain, open_kernel

ROOT = Path(__file__).resolve().parents[3]
SCOPES = ["governance:evaluate", "receipts:read"]


async def new_key(owner: Person, scopes: list[str] | None = None) -> str:
    made = await owner("POST", "/api/auth/apikey", {"name": "agent", "scopes": scopes or SCOPES})
    assert made.status == 201, made
    return str(made.data["key"])


class Agent:
    """An agent with helm-sdk, as it is on PyPI."""

    def __init__(self, owner: Person, key: str, *, principal: str = "agent-7", tenant: str | None = None) -> None:
        self.base = owner.harness.base
        self.headers = {"api_key": key, "tenant_id": tenant or owner.workspace_id, "principal_id": principal}

    async def do(self, work: Callable[[HelmClient], Any]) -> Any:
        def run() -> Any:
            with HelmClient(base_url=self.base, **self.headers) as sdk:
                return work(sdk)

        return await asyncio.to_thread(run)

    async def ask(self, tool: str, level: str = "E3", *, session: str = "s-1", **args: Any) -> EvaluateResponse:
        asked = EvaluateRequest(tool=tool, effect_level=level, session_id=session, args=args)
        answer: EvaluateResponse = await self.do(lambda sdk: sdk.evaluate_decision_v5(asked))
        return answer


async def decide(owner: Person, approval_id: str, status: str, **more: Any) -> Reply:
    reply = await owner("PUT", f"/api/audit/approvals/{approval_id}", {"status": status, **more})
    assert reply.status == 200, reply
    return reply


async def public_key(harness: Harness) -> str:
    [key] = (await harness.ask("GET", "/.well-known/pilot-keys.json")).data["keys"]
    return str(key["public_key"])


async def test_helm_sdk_gets_a_person_in_the_loop(url: str, tmp_path: Path) -> None:
    async with open_house(url, tmp_path, work=False) as harness:
        owner = await harness.person("ada@example.com")
        await owner(
            "PUT", f"/api/workspace/{owner.workspace_id}/settings", {"policyConfig": {"toolBlocklist": ["rm*"]}}
        )
        agent = Agent(owner, await new_key(owner))

        reading = await agent.ask("crm.search", "E1", q="x")
        assert (reading.allow, reading.verdict, reading.reason_code, reading.reason) == (True, "ALLOW", "", "")
        denied = await agent.ask("rm.rf", "E1")
        assert (denied.allow, denied.verdict, denied.reason_code) == (False, "DENY", "POLICY_VIOLATION")
        [violation] = (await owner("GET", "/api/audit/violations")).data
        assert (violation["policyRule"], violation["action"]) == ("tool_blocklist", "rm.rf")
        assert violation["metadata"]["session"] == "s-1"

        # a level nobody knows is one that acts outside
        asked = await agent.ask("crm.update", "LARGE", id=7)
        assert (asked.allow, asked.verdict, asked.reason_code) == (False, "ESCALATE", "APPROVAL_REQUIRED")
        [card] = (await owner("GET", "/api/audit/approvals?status=pending")).data
        assert (card["id"], card["action"], card["actionInput"]) == (asked.decision_id, "crm.update", {"id": 7})
        assert card["requestedBy"].startswith("api_key:")
        assert "agent-7" in card["approvalContext"]["toolSummary"]
        # asked again before anybody answered: the same question, and no second card
        again = await agent.ask("crm.update", "LARGE", id=7)
        assert (again.verdict, again.decision_id) == ("ESCALATE", asked.decision_id)
        assert again.receipt_id != asked.receipt_id
        assert len((await owner("GET", "/api/audit/approvals")).data) == 1

        await decide(owner, asked.decision_id, "approved")
        # the yes is for this call of this agent in this session
        for other in (
            agent.ask("crm.update", "LARGE", id=8),
            agent.ask("crm.update", "LARGE", session="s-2", id=7),
            agent.ask("crm.update", "E4", id=7),
            Agent(owner, agent.headers["api_key"], principal="agent-8").ask("crm.update", "LARGE", id=7),
            Agent(owner, await new_key(owner)).ask("crm.update", "LARGE", id=7),
        ):
            assert (await other).verdict == "ESCALATE"
        # and once, however many ask for it at one moment
        verdicts = [
            a.verdict for a in await asyncio.gather(*(agent.ask("crm.update", "LARGE", id=7) for _ in range(4)))
        ]
        assert sorted(verdicts) == ["ALLOW", "ESCALATE", "ESCALATE", "ESCALATE"]

        sessions = await agent.do(lambda sdk: sdk.list_sessions())
        assert [s.session_id for s in sessions] == [owner.workspace_id, "s-1", "s-2"]
        mine = await agent.do(lambda sdk: sdk.get_receipts("s-1"))
        assert [r.decision_id for r in mine[:4]] == [a.decision_id for a in (reading, denied, asked, again)]
        assert mine[0].metadata["agent_principal"] == "agent-7"
        one = await agent.do(lambda sdk: sdk.get_receipt(asked.receipt_id))
        assert (one.verdict, one.lamport_clock) == ("ESCALATE", asked.lamport_clock)
        # the whole log by HELM's own rules, with the key from elsewhere
        whole = await owner("GET", f"/api/v1/proofgraph/sessions/{owner.workspace_id}/receipts")
        assert len(whole.data) == sessions[0].receipt_count
        check_chain(whole.data, await public_key(harness))
        replayed = (await owner("GET", "/api/governance/replay")).data
        assert (replayed["replayed"] >= 13, replayed["different"]) == (True, [])


async def test_a_no_stands_for_an_hour_and_a_yes_for_a_day(url: str, tmp_path: Path) -> None:
    async with open_house(url, tmp_path, work=False) as harness:
        owner = await harness.person("ada@example.com")
        agent, store = Agent(owner, await new_key(owner)), harness.services.store

        async def age(approval_id: str, by: timedelta) -> None:
            when = utc_now() - by
            await store.write(
                lambda tx: tx.execute(
                    sa.update(tables.approvals).where(tables.approvals.c.id == approval_id).values(resolved_at=when)
                )
            )

        first = await agent.ask("send", n=1)
        await decide(owner, first.decision_id, "rejected", note="not today")
        for _ in range(2):
            no = await agent.ask("send", n=1)
            assert (no.verdict, no.reason_code, no.reason) == (
                "DENY", "APPROVAL_REJECTED", "a person said no: not today",
            )  # fmt: skip
        await age(first.decision_id, timedelta(hours=1))
        second = await agent.ask("send", n=1)
        assert (second.verdict, second.decision_id != first.decision_id) == ("ESCALATE", True)
        await decide(owner, second.decision_id, "approved")
        await age(second.decision_id, timedelta(days=1))
        third = await agent.ask("send", n=1)
        assert (third.verdict, third.decision_id != second.decision_id) == ("ESCALATE", True)
        gone = utc_now() - timedelta(seconds=1)
        await store.write(lambda tx: tx.execute(sa.update(tables.approvals).values(expires_at=gone)))
        await harness.services.approvals.sweep()
        late = await agent.ask("send", n=1)
        assert (late.verdict, late.reason_code) == ("DENY", "APPROVAL_TIMEOUT")


async def test_the_policy_of_now_decides_even_after_a_yes(harness: Harness, owner: Person) -> None:
    agent, settings = Agent(owner, await new_key(owner)), f"/api/workspace/{owner.workspace_id}/settings"
    asked = await agent.ask("send", n=1)
    await decide(owner, asked.decision_id, "approved")
    await owner("PUT", settings, {"policyConfig": {"killSwitch": True}})
    frozen = await agent.ask("send", n=1)
    assert (frozen.verdict, frozen.reason_code) == ("DENY", "SYSTEM_FROZEN")
    await owner("PUT", settings, {"policyConfig": {"killSwitch": False}})
    assert (await agent.ask("send", n=1)).verdict == "ALLOW"
    # what nobody needs to be asked about any more is taken from them
    await owner("PUT", settings, {"policyConfig": {"requireApprovalFor": ["crm.read"]}})
    asked = await agent.ask("crm.read", "E1")
    assert asked.verdict == "ESCALATE"
    await owner("PUT", settings, {"policyConfig": {"requireApprovalFor": []}})
    assert (await agent.ask("crm.read", "E1")).verdict == "ALLOW"
    assert (await owner("GET", f"/api/audit/approvals/{asked.decision_id}")).data["status"] == "cancelled"


async def test_our_own_tools_reach_as_far_as_we_say(harness: Harness, owner: Person) -> None:
    agent = Agent(owner, await new_key(owner))
    assert (await agent.ask("http.post", "E0", url="https://example.com")).verdict == "ESCALATE"
    assert (await agent.ask("note.create", "E0", title="x")).verdict == "ALLOW"
    assert (await agent.ask("note.create", "E4", title="x")).verdict == "ESCALATE"
    # what they keep out of cards stays out, and is part of the call all the same
    asked = await agent.ask("http.post", url="https://example.com", headers={"authorization": "s3cret"})
    card = (await owner("GET", f"/api/audit/approvals/{asked.decision_id}")).data
    assert card["actionInput"] == {"url": "https://example.com", "headers": "[hidden]"}
    await decide(owner, asked.decision_id, "approved")
    other = await agent.ask("http.post", url="https://example.com", headers={"authorization": "other"})
    assert other.verdict == "ESCALATE"
    again = await agent.ask("http.post", url="https://example.com", headers={"authorization": "s3cret"})
    assert again.verdict == "ALLOW"


async def test_grants_of_our_operators_do_not_count_for_others(harness: Harness, owner: Person) -> None:
    task = await owner(
        "POST", "/api/tasks", {"title": "T", "description": "http.post url=http://127.0.0.1:9/x json={}"}
    )
    await owner("POST", f"/api/tasks/{task.data['id']}/run?wait=20")
    [card] = (await owner("GET", "/api/audit/approvals?status=pending")).data
    await decide(owner, card["id"], "approved", grant={"minutes": 5, "thisTaskOnly": False})
    assert len((await owner("GET", "/api/grants")).data) == 1
    asked = await Agent(owner, await new_key(owner)).ask("http.post", "E3", url="http://127.0.0.1:9/x", json={})
    assert asked.verdict == "ESCALATE"


async def test_a_decision_is_signed(harness: Harness, owner: Person) -> None:
    headers = {"Authorization": f"Bearer {await new_key(owner)}", "X-Helm-Principal-ID": "p"}
    body = {"tool": "t", "effect_level": "E1", "session_id": "s", "args": {"x": 0.5}}
    said = (await harness.ask("POST", "/api/v1/evaluate", body, headers=headers)).data
    payload = rfc8785.dumps(
        {
            "signature_version": "decision.v4",
            "id": said["decision_id"],
            "verdict": said["verdict"],
            "reason_code": said["reason_code"],
            "reason_hash": hashlib.sha256(said["reason"].encode()).hexdigest(),
            "phenotype_hash": "",
            "policy_content_hash": said["policy_ref"],
            "effect_digest": said["effect_digest"],
            "threat_scan_hash": "",
            "subject_id": said["subject_id"],
            "action": said["action"],
            "resource": said["resource"],
            "signature_type": f"ed25519:{said['key_id']}",
        }
    )
    key = Ed25519PublicKey.from_public_bytes(bytes.fromhex(await public_key(harness)))
    key.verify(bytes.fromhex(said["signature"]), payload)
    assert said["decision_hash"] == "sha256:" + hashlib.sha256(payload).hexdigest()
    receipt = (await harness.ask("GET", f"/api/v1/receipts/{said['receipt_id']}", headers=headers)).data
    assert receipt["metadata"]["decision_hash"] == said["decision_hash"]
    call = {
        "asker": said["subject_id"],
        "principal": "p",
        "session": "s",
        "tool": "t",
        "effect_level": "E1",
        "args": {"x": 0.5},
    }
    assert said["effect_digest"] == hashlib.sha256(rfc8785.dumps(call)).hexdigest()


async def test_old_names_and_wrong_calls(harness: Harness, owner: Person) -> None:
    agent = Agent(owner, await new_key(owner))
    old = {"action": "t", "resource": "E1", "context": {"session_id": "s", "note": "kept"}}
    assert (await agent.do(lambda sdk: sdk.evaluate_decision(old)))["verdict"] == "ALLOW"
    good = {"tool": "t", "effect_level": "E1", "session_id": "s"}
    for change, field in (
        ({"tool": None}, "tool"),
        ({"tool": " "}, "tool"),
        ({"tool": "a\nb"}, "tool"),
        ({"tool": "x" * 121}, "tool"),
        ({"action": "other"}, "tool"),
        ({"effect_level": ""}, "effect_level"),
        ({"session_id": "a/b"}, "session_id"),
        ({"session_id": "a\\b"}, "session_id"),
        ({"session_id": "a\x00b"}, "session_id"),
        ({"context": {"session_id": 7}}, "session_id"),
        ({"args": [1]}, "args"),
        ({"args": {"x": "y" * 40_000}}, "args"),
        ({"context": {"x": "y" * 40_000}}, "context"),
    ):
        with pytest.raises(HelmApiError) as refused:
            await agent.do(lambda sdk, c=change: sdk.evaluate_decision({**good, **c}))
        assert (refused.value.status, refused.value.code) == (400, "invalid_argument"), change
        assert field in str(refused.value), change


async def test_refusals_are_problems_that_the_sdk_reads(harness: Harness, owner: Person) -> None:
    stranger = await harness.person("eve@example.com")
    key = await new_key(owner)
    for agent, status, code, reason in (
        (Agent(owner, "hp_" + "0" * 48), 401, "unauthenticated", "UNAUTHORIZED"),
        (Agent(owner, key, tenant=stranger.workspace_id), 404, "not_found", "NOT_FOUND"),
        (Agent(owner, key, tenant="default"), 404, "not_found", "NOT_FOUND"),
        (Agent(owner, await new_key(owner, ["tasks:read"])), 403, "permission_denied", "INSUFFICIENT_SCOPE"),
        (Agent(owner, key, principal="x" * 121), 400, "invalid_argument", "INVALID_REQUEST"),
    ):
        with pytest.raises(HelmApiError) as refused:
            await agent.ask("t", "E1")
        assert (refused.value.status, refused.value.code, refused.value.reason_code) == (status, code, reason)
    reply = await owner("GET", "/api/v1/receipts/nothing")
    assert (reply.status, reply.headers["Content-Type"]) == (404, "application/problem+json")
    problem = json.loads(reply.data)
    assert (problem["type"], problem["title"], problem["status"]) == ("about:blank", "Not Found", 404)
    assert (problem["instance"], problem["trace_id"]) == ("/api/v1/receipts/nothing", reply.headers["X-Request-Id"])
    for method, path, status in (("GET", "/api/v1/nothing", 404), ("DELETE", "/api/v1/receipts", 405)):
        reply = await owner(method, path)
        assert (reply.status, reply.headers["Content-Type"]) == (status, "application/problem+json")
    # and nowhere else
    assert (await owner("GET", "/api/nothing")).headers["Content-Type"] == "application/json"


async def test_a_key_may_be_sent_either_way(harness: Harness, owner: Person) -> None:
    key = await new_key(owner, ["tasks:read"])
    for headers in ({"Authorization": f"Bearer {key}"}, {"X-API-Key": key}):
        assert (await harness.ask("GET", "/api/tasks", headers=headers)).status == 200
    both = {"Authorization": f"Bearer {key}", "X-API-Key": "hp_" + "0" * 48}
    assert (await harness.ask("GET", "/api/tasks", headers=both)).status == 401


async def test_a_repeat_with_its_key_decides_once(harness: Harness, owner: Person) -> None:
    key = await new_key(owner)
    headers = {"Authorization": f"Bearer {key}", "Idempotency-Key": "one"}
    body = {"tool": "t", "effect_level": "E3", "session_id": "s"}
    first = await harness.ask("POST", "/api/v1/evaluate", body, headers=headers)
    second = await harness.ask("POST", "/api/v1/evaluate", body, headers=headers)
    assert (first.status, first.data, second.headers["Idempotency-Replayed"]) == (200, second.data, "true")
    other = await harness.ask("POST", "/api/v1/evaluate", {**body, "tool": "u"}, headers=headers)
    assert (other.status, json.loads(other.data)["code"]) == (409, "aborted")
    bad = {"Authorization": f"Bearer {key}", "Idempotency-Key": "two"}
    for _ in range(2):
        refused = await harness.ask("POST", "/api/v1/evaluate", {}, headers=bad)
        assert (refused.status, refused.headers["Content-Type"]) == (400, "application/problem+json")
    receipts = (await owner("GET", "/api/v1/receipts?session_id=s")).data
    assert receipts["count"] == 1


async def test_receipts_come_page_by_page_in_both_forms_of_cursor(harness: Harness, owner: Person) -> None:
    agent = Agent(owner, await new_key(owner))
    for n in range(5):
        await agent.ask("t", "E1" if n % 2 else "E3", session=f"s-{n % 2}", n=n)
    size = (await owner("GET", "/api/governance/log/checkpoint")).data["size"]

    async def pages(query: str) -> list[dict[str, Any]]:
        found, cursor, more = [], "", True
        while more:
            page = (await owner("GET", f"/api/v1/receipts?limit=2&since={cursor}&{query}")).data
            assert page["count"] == len(page["receipts"]) <= 2
            found += page["receipts"]
            cursor, more = page["next_cursor"], page["has_more"]
            assert cursor.startswith("lamport:" if "session_id" in query else "v1.")
        return found

    whole = await pages("")
    assert [r["lamport_clock"] for r in whole] == list(range(1, size + 1))
    check_chain(whole, await public_key(harness))
    assert await pages(f"session_id={owner.workspace_id}") == whole
    assert [r["metadata"]["agent_session"] for r in await pages("session_id=s-0")] == ["s-0"] * 3
    assert len(await pages("session_id=s-1&verdict=ALLOW")) == 2
    principal = whole[-1]["executor_id"]
    assert len(await pages(f"principal={principal}&reason_code=APPROVAL_REQUIRED&verdict=ESCALATE")) >= 3
    middle = whole[4]["timestamp"]
    assert (await pages(f"to={middle}"))[-1]["timestamp"] < middle
    assert (await pages(f"from={middle}"))[0]["timestamp"] >= middle
    raw = await harness.session.get(f"{harness.base}/api/v1/receipts/{whole[0]['receipt_id']}", headers=owner.headers)
    assert await raw.read() == rfc8785.dumps(whole[0])
    for bad in ("since=lamport:1", "since=v1.AAAA", "session_id=s-0&since=v1.eyJsIjoxfQ", "limit=0", "limit=1001",
                "effect=E3", "resource=E3", "principal=a&executor=b", "from=soon", "since=v1.eyJsIjp0cnVlfQ"):  # fmt: skip
        refused = await owner("GET", f"/api/v1/receipts?{bad}")
        assert refused.status == 400, bad
    stranger = await harness.person("eve@example.com")
    place = {"Authorization": stranger.headers["Authorization"], "X-Helm-Tenant-ID": owner.workspace_id}
    for path in ("receipts", f"receipts/{whole[0]['receipt_id']}", "proofgraph/sessions"):
        assert (await harness.ask("GET", f"/api/v1/{path}", headers=place)).status == 404
    own = (await stranger("GET", "/api/v1/proofgraph/sessions/s-0/receipts")).data
    assert own == []


async def test_a_sidecar_is_heard_here_too(tmp_path: Path) -> None:
    async with open_kernel(allowed={"a", "c"}, escalated={"b"}) as kernel:
        more = {
            "helm_governance_url": kernel.base,
            "helm_api_key": kernel.admin_key,
            "helm_public_key": kernel.public,
        }
        async with open_house(fresh_url("sqlite", tmp_path), tmp_path, work=False, **more) as harness:
            owner = await harness.person("ada@example.com")
            agent = Agent(owner, await new_key(owner))
            assert [(await agent.ask(tool, "E1")).verdict for tool in ("a", "b", "d")] == ["ALLOW", "ESCALATE", "DENY"]
            [asked] = (await owner("GET", "/api/audit/approvals?status=pending")).data
            await decide(owner, asked["id"], "approved")
            assert (await agent.ask("b", "E1")).verdict == "ALLOW"
            kernel.faults = ["bad_signature"]
            assert (await agent.ask("c", "E1")).reason_code == "PDP_ERROR"
            [first, *_] = await agent.do(lambda sdk: sdk.get_receipts("s-1"))
            found = (await owner("GET", f"/api/governance/receipts/{first.receipt_id}")).data
            [raw] = [p["body"] for p in found["payloads"] if p["kind"] == "helm"]
            assert json.loads(raw)["receipt_id"] == first.metadata["helm_receipt_id"]


async def test_health_and_version_as_the_sdk_asks(harness: Harness, owner: Person) -> None:
    agent = Agent(owner, "none")
    assert await agent.do(lambda sdk: sdk.health()) == {"status": "ok", "version": "0"}
    assert (await agent.do(lambda sdk: sdk.version())).version == "0"


async def ran(*command: str, **names: str) -> str:
    """What a program prints; it must succeed."""
    process = await asyncio.create_subprocess_exec(
        *command, env={**os.environ, **names}, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    out, trouble = await process.communicate()
    assert process.returncode == 0, trouble.decode()
    return out.decode()


async def test_the_page_says_how_word_for_word(harness: Harness, owner: Person) -> None:
    page = (ROOT / "docs" / "how-to" / "be-a-decision-point.md").read_text()
    shell, python = re.findall(r"```(?:sh|python)\n(.*?)```", page, re.DOTALL)
    token = owner.headers["Authorization"].removeprefix("Bearer ")
    made = await ran("sh", "-c", shell, base=harness.base, token=token, workspace=owner.workspace_id)
    key = json.loads(made)["key"]
    names = {"PILOT": harness.base, "PILOT_KEY": key, "WORKSPACE": owner.workspace_id}
    verdict, approval_id = (await ran(sys.executable, "-c", python, **names)).split()
    assert verdict == "ESCALATE"
    keyed = {"Authorization": f"Bearer {key}"}
    waited, _ = await asyncio.gather(
        harness.ask("GET", f"/api/approvals/{approval_id}?wait=60", headers=keyed),
        decide(owner, approval_id, "approved"),
    )
    assert waited.data["status"] == "approved"
    assert (await ran(sys.executable, "-c", python, **names)).split()[0] == "ALLOW"
