"""Capabilities: public, computed, never claimed."""

from domain.clock import utc_now
from services.installation.capabilities import REGISTRY, CapabilityService
from tests.api.harness import Harness


async def state_of(harness: Harness, key: str) -> dict[str, object]:
    reply = await harness.ask("GET", f"/api/capabilities/{key}")
    assert reply.status == 200
    found: dict[str, object] = reply.data["capability"]
    return found


async def test_anybody_may_read_them(harness: Harness) -> None:
    reply = await harness.ask("GET", "/api/capabilities")
    assert reply.status == 200
    summary = reply.data["summary"]
    assert summary["total"] == len(reply.data["capabilities"]) == len(REGISTRY)
    assert sum(summary["byState"].values()) == summary["total"]
    assert {c["key"] for c in reply.data["capabilities"]} >= {"mission_runtime", "helm_receipts", "approval_resume"}


async def test_an_unknown_key_is_told(harness: Harness) -> None:
    reply = await harness.ask("GET", "/api/capabilities/warp_drive")
    assert (reply.status, reply.data["error"], reply.code) == (404, "Unknown capability", "unknown_capability")


async def test_what_is_not_there_says_so(harness: Harness) -> None:
    found = await state_of(harness, "computer_use")
    assert (found["state"], found["blockers"], found["evidence"]) == ("stub", ["Pilot has no computer use"], [])


async def test_ready_only_with_a_passed_evaluation_of_this_version(harness: Harness) -> None:
    services = harness.services
    service = CapabilityService(services.store, services.health, utc_now)

    async def record(*, passed: bool, version: str) -> None:
        await service.record(services.recorder, name="receipts", passed=passed, details={}, version=version)

    found = await state_of(harness, "helm_receipts")
    assert (found["state"], found["blockers"]) == ("implemented", ["evaluation receipts was never recorded here"])
    await record(passed=True, version="0.0.1")
    found = await state_of(harness, "helm_receipts")
    assert (found["state"], found["blockers"]) == (
        "implemented",
        ["evaluation receipts passed with version 0.0.1, not 0"],
    )
    await record(passed=True, version="0")
    found = await state_of(harness, "helm_receipts")
    assert (found["state"], found["blockers"]) == ("production_ready", [])
    await record(passed=False, version="0")
    found = await state_of(harness, "helm_receipts")
    assert (found["state"], found["blockers"]) == ("implemented", ["evaluation receipts failed"])


async def test_a_part_that_is_down_blocks(harness: Harness) -> None:
    harness.services.health.damaged_logs["w"] = "leaf 3"
    found = await state_of(harness, "helm_receipts")
    assert (found["state"], found["blockers"]) == ("blocked", ["ledger is 1 damaged"])
    found = await state_of(harness, "telegram_chat")
    assert (found["state"], found["blockers"]) == ("blocked", ["telegram is absent"])
