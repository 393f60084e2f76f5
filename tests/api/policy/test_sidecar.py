"""With a HELM kernel beside it: every call is put to it, the stricter verdict counts, and its receipt is kept."""

import asyncio
import hashlib
import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from click.testing import CliRunner

from app.cli import main
from app.doctor import examine
from app.serve import Process
from app.settings import load_settings
from domain.clock import utc_now
from storage.policy import sidecar_rows
from storage.tables import helm_snapshots
from tests.api.harness import Harness, Person, open_house
from tests.api.policy.test_governance import at_rest
from tests.databases import fresh_url
from tests.helm_kernel import Kernel, check_chain, open_kernel

ROOT = Path(__file__).resolve().parents[3]
NOTE = 'note.create title="Plan"\nfinish summary="ok"'


@asynccontextmanager
async def beside(kernel: Kernel, url: str, folder: Path, **more: Any) -> AsyncIterator[tuple[Harness, Person]]:
    """The application with this kernel as its sidecar."""
    settings = {
        "helm_governance_url": kernel.base,
        "helm_api_key": kernel.admin_key,
        "helm_public_key": kernel.public,
        **more,
    }
    async with open_house(url, folder, **settings) as harness:
        yield harness, await harness.person("ada@example.com")


async def run(owner: Person, description: str, *, wait: int = 20) -> dict[str, Any]:
    """A new task carried out as far as it goes."""
    task = await owner("POST", "/api/tasks", {"title": "T", "description": description})
    started = await owner("POST", f"/api/tasks/{task.data['id']}/run?wait={wait}")
    assert started.status in (200, 202), started
    [one] = (await owner("GET", f"/api/tasks/{task.data['id']}/runs")).data
    found: dict[str, Any] = (await owner("GET", f"/api/runs/{one['id']}")).data
    return found


async def receipt_of(owner: Person, step: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = (await owner("GET", f"/api/governance/receipts/{step['id']}")).data
    return found


async def test_a_run_lives_with_a_kernel_and_keeps_its_receipts(url: str, tmp_path: Path) -> None:
    async with open_kernel(allowed={"note.create"}) as kernel, beside(kernel, url, tmp_path) as (_, owner):
        done = await run(owner, NOTE)
        assert done["status"] == "completed", done
        # ending a run is never put to anybody
        assert [a["tool"] for a in kernel.asked] == ["note.create"]
        assert kernel.asked[0]["session_id"] == done["id"]
        assert kernel.asked[0]["context"]["pilot_workspace"] == owner.workspace_id
        found = await receipt_of(owner, done["steps"][0])
        said, theirs = found["signedBlob"]["metadata"], kernel.receipts[0]
        assert (said["helm_verdict"], said["helm_decision_id"]) == ("ALLOW", theirs["decision_id"])
        assert said["helm_receipt_id"] == theirs["receipt_id"]
        [raw] = [p["body"] for p in found["payloads"] if p["kind"] == "helm"]
        assert said["helm_receipt_sha256"] == hashlib.sha256(raw.encode()).hexdigest()
        check_chain([json.loads(raw)], kernel.public)


async def test_the_stricter_of_the_two_counts(url: str, tmp_path: Path) -> None:
    async with (
        open_kernel(allowed={"http.post"}, escalated={"note.create"}) as kernel,
        beside(kernel, url, tmp_path) as (_, owner),
    ):
        denied = await run(owner, 'knowledge.search query="x"\nfinish summary="ok"')
        assert (denied["steps"][0]["status"], denied["steps"][0]["reasonCode"]) == ("denied", "NO_POLICY_DEFINED")
        [violation] = (await owner("GET", "/api/audit/violations")).data
        assert (violation["policyRule"], violation["action"]) == ("helm_sidecar", "knowledge.search")

        # it allows what we ask a person about: it cannot take the question away
        post = await run(owner, 'http.post url=http://127.0.0.1:9/x json={"n":1}\nfinish summary="ok"')
        assert (post["status"], kernel.decisions[-1]["verdict"]) == ("awaiting_approval", "ALLOW")

        # it asks about what we would allow: a person is asked, and one yes answers both
        asked = await run(owner, NOTE)
        assert asked["status"] == "awaiting_approval"
        [approval] = (await owner("GET", f"/api/audit/approvals?status=pending&taskId={asked['taskId']}")).data
        assert "the HELM sidecar says ESCALATE" in approval["reason"]
        before = len(kernel.decisions)
        yes = await owner("PUT", f"/api/audit/approvals/{approval['id']}", {"status": "approved"})
        assert yes.status == 200, yes
        await at_rest(owner, asked["taskId"])
        assert (await owner("GET", f"/api/runs/{asked['id']}")).data["status"] == "completed"
        assert len(kernel.decisions) > before
        replayed = (await owner("GET", "/api/governance/replay")).data
        assert replayed["replayed"] >= 4
        assert replayed["different"] == []


async def test_a_kernel_that_is_down_stops_the_calls_and_health_says_so(tmp_path: Path) -> None:
    async with (
        open_kernel(allowed={"note.create"}) as kernel,
        beside(kernel, fresh_url("sqlite", tmp_path), tmp_path) as (harness, owner),
    ):
        well = await harness.ask("GET", "/health")
        assert (well.status, well.data["checks"]["helm"], well.data["checks"]["helmVersion"]) == (200, "ok", "0.8.4")
        assert well.data["checks"]["helmLatencyMs"] >= 0
        capability = (await harness.ask("GET", "/api/capabilities/helm_sidecar")).data["capability"]
        assert capability["state"] == "implemented"
        probes = kernel.probes
        for _ in range(5):
            await harness.ask("GET", "/health")
        assert kernel.probes <= probes + 1, "each look at /health was one at the kernel"

        kernel.healthy = False
        kernel.faults = ["drop_before"]
        assert harness.parts.sidecar is not None
        harness.parts.sidecar._last = None
        ill = await harness.ask("GET", "/health")
        assert (ill.status, ill.data["status"], ill.data["checks"]["helm"]) == (503, "degraded", "unreachable")
        capability = (await harness.ask("GET", "/api/capabilities/helm_sidecar")).data["capability"]
        assert (capability["state"], capability["blockers"]) == ("blocked", ["helm is unreachable"])
        status = (await owner("GET", "/api/governance/status")).data
        assert status["helmConfigured"] is True
        assert set(status["live"]) == {"ok", "latencyMs", "error"}
        assert (status["live"]["ok"], status["latestSnapshot"]) == (False, None)
        stopped = await run(owner, NOTE)
        assert (stopped["steps"][0]["status"], stopped["steps"][0]["reasonCode"]) == ("denied", "PDP_ERROR")
        assert kernel.decisions == []


async def test_looks_at_it_are_kept_for_a_week(tmp_path: Path, url: str) -> None:
    async with open_kernel() as kernel, beside(kernel, url, tmp_path, helm_fail_closed=False) as (harness, owner):
        watch, store = harness.parts.sidecar, harness.services.store
        assert watch is not None
        await watch.keep_snapshot()
        old = utc_now() - timedelta(days=8)
        await store.write(lambda tx: tx.execute(sa.update(helm_snapshots).values(checked_at=old)))
        kernel.healthy = False
        watch._last = None
        await watch.keep_snapshot()
        kept = await store.read(lambda tx: tx.all(sa.select(helm_snapshots.c.gateway_ok)))
        assert [bool(row[0]) for row in kept] == [False]
        newest = await store.read(sidecar_rows.newest)
        assert newest is not None
        status = (await owner("GET", "/api/governance/status")).data
        assert status["latestSnapshot"]["id"] == newest.id
        assert (status["latestSnapshot"]["gatewayOk"], status["latestSnapshot"]["version"]) == (False, None)
        # not closed: the installation counts as up, and says what is not
        health = await harness.ask("GET", "/health")
        assert (health.status, health.data["checks"]["helm"]) == (200, "unreachable")


async def test_the_clock_writes_looks_down(tmp_path: Path) -> None:
    async with open_kernel() as kernel:
        given = {
            "pilot_data_dir": tmp_path,
            "port": 0,
            "log_level": "ERROR",
            "helm_governance_url": kernel.base,
            "helm_api_key": kernel.admin_key,
            "helm_public_key": kernel.public,
        }
        process = Process(await asyncio.to_thread(load_settings, _env_file=None, **given))
        await process.start()
        try:
            async with asyncio.timeout(60):
                await process.ready.wait()
                assert process._clock is not None
                assert process._clock._scheduler is not None
                process._clock._scheduler.get_job("sidecar").modify(next_run_time=utc_now())
                while (kept := await process._parts.services.health.newest_snapshot()) is None:
                    await asyncio.sleep(0.05)
            assert (kept.gateway_ok, kept.version, kept.error) == (True, "0.8.4", None)
        finally:
            await process.stop()


async def test_the_doctor_looks_at_it(tmp_path: Path) -> None:
    async with open_kernel() as kernel:
        given = {
            "pilot_data_dir": tmp_path,
            "helm_governance_url": kernel.base,
            "helm_api_key": kernel.admin_key,
            "helm_public_key": kernel.public,
        }
        settings = await asyncio.to_thread(load_settings, _env_file=None, **given)

        async def found() -> tuple[bool, str]:
            [one] = [f for f in await asyncio.to_thread(examine, settings) if f.what == "sidecar"]
            return one.ok, one.said

        where = kernel.base.removeprefix("http://")
        assert await found() == (True, f"HELM kernel 0.8.4 at {where}")
        kernel.healthy = False
        assert await found() == (False, f"no HELM kernel answers at {where}: calls are denied")


async def test_without_one_nothing_is_said_of_it(tmp_path: Path) -> None:
    async with open_house(fresh_url("sqlite", tmp_path), tmp_path, work=False) as harness:
        owner = await harness.person("ada@example.com")
        status = (await owner("GET", "/api/governance/status")).data
        assert status == {"helmConfigured": False, "live": None, "latestSnapshot": None}
        assert (await harness.ask("GET", "/health")).data["checks"]["helm"] == "not_configured"


async def test_an_answer_that_does_not_hold_stops_the_call(tmp_path: Path) -> None:
    faults = ["bad_signature", "drop_after", "unknown_verdict"]
    async with (
        open_kernel(allowed={"note.create"}, faults=list(faults)) as kernel,
        beside(kernel, fresh_url("sqlite", tmp_path), tmp_path) as (_, owner),
    ):
        for number, fault in enumerate(faults, 1):
            stopped = await run(owner, NOTE)
            step = stopped["steps"][0]
            assert (step["status"], step["reasonCode"]) == ("denied", "PDP_ERROR"), fault
            assert len(kernel.decisions) == number, fault
            found = await receipt_of(owner, step)
            assert found["signedBlob"]["metadata"]["helm_error"], fault
            assert [p["kind"] for p in found["payloads"]] == ["args"], fault


async def test_the_exported_policy_and_the_settings_of_the_page_work_together(tmp_path: Path) -> None:
    page = (ROOT / "docs" / "how-to" / "use-a-helm-sidecar.md").read_text()
    [block] = re.findall(r"^   ```env\n(.*?)```", page, re.DOTALL | re.MULTILINE)
    said = dict(line.strip().split("=", 1) for line in block.strip().splitlines())
    async with open_kernel(tenant=said["HELM_TENANT_ID"], principal=said["HELM_PRINCIPAL_ID"]) as kernel:
        real = {
            "HELM_GOVERNANCE_URL": kernel.base,
            "HELM_API_KEY": kernel.admin_key,
            "HELM_PUBLIC_KEY": kernel.public.upper(),
        }
        assert real.keys() <= said.keys()
        settings = {name.lower(): value for name, value in {**said, **real}.items()}
        url = fresh_url("sqlite", tmp_path)
        async with open_house(url, tmp_path, **settings) as harness:
            owner = await harness.person("ada@example.com")
            stopped = await run(owner, NOTE)
            assert stopped["steps"][0]["reasonCode"] == "NO_POLICY_DEFINED"
            [command] = re.findall(r"^   pilot (policy export .*)$", page, re.MULTILINE)
            arguments = command.replace("$workspace", owner.workspace_id).split()
            result = await asyncio.to_thread(
                CliRunner().invoke,
                main,
                [*arguments[:-1], str(tmp_path / arguments[-1])],
                env={"DATABASE_URL": url, "PILOT_DATA_DIR": str(tmp_path / "data")},
            )
            assert result.exit_code == 0, result.output
            pack = json.loads((tmp_path / "kernel-policy" / "pilot-pack.json").read_text())
            kernel.allowed = {action["action"] for action in pack["runtime_actions"] if action["enabled"]}
            assert (await run(owner, NOTE))["status"] == "completed"
