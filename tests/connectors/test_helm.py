"""The sidecar's client against a kernel that may do anything wrong; the kernel itself against helm-sdk."""

import asyncio
import hashlib
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from helm_sdk import EvaluateRequest, HelmApiError, HelmClient

from connectors.helm import HelmSidecar
from connectors.http import GuardedHttp
from domain.policy.governance import ExternalDecision, Verdict
from domain.receipts.signing import PublicKey
from domain.tools.effect import Effect
from domain.tools.tool import ToolSpec
from tests.helm_kernel import Kernel, check_chain, open_kernel

ARGS = {"url": "https://example.com", "ratio": 0.5, "n": [1, None, "é"]}


def tool(name: str = "http.get", effect: Effect = Effect.E3) -> ToolSpec:
    return ToolSpec(name=name, summary="", parameters={}, effect=effect)


def client_of(kernel: Kernel, **given: Any) -> HelmSidecar:
    return HelmSidecar(
        **{
            "http": GuardedHttp(allow=(kernel.base.removeprefix("http://"),)),
            "url": kernel.base,
            "api_key": kernel.admin_key,
            "tenant_id": kernel.tenant,
            "principal_id": kernel.principal,
            "root": PublicKey(bytes.fromhex(kernel.public)),
            "seconds": 60.0,
            **given,
        }
    )


async def ask(sidecar: HelmSidecar, **given: Any) -> ExternalDecision:
    return await sidecar.evaluate(
        **{"workspace_id": "w-1", "session_id": "run-1", "spec": tool(), "args": ARGS, **given}
    )


@pytest.fixture
async def kernel() -> AsyncIterator[Kernel]:
    async with open_kernel(allowed={"http.get"}, escalated={"email.send"}) as opened:
        yield opened


# --- the client -----------------------------------------------------------------------------------


async def test_its_three_verdicts_come_with_its_verified_receipt(kernel: Kernel) -> None:
    sidecar = client_of(kernel)
    allowed = await ask(sidecar)
    assert (allowed.verdict, allowed.reason_code, allowed.source) == (Verdict.ALLOW, "", "helm_sidecar")
    escalated = await ask(sidecar, spec=tool("email.send"))
    assert (escalated.verdict, escalated.reason_code) == (Verdict.ESCALATE, "APPROVAL_REQUIRED")
    denied = await ask(sidecar, spec=tool("rm"))
    assert (denied.verdict, denied.reason_code) == (Verdict.DENY, "NO_POLICY_DEFINED")
    for opinion, receipt in zip((allowed, escalated, denied), kernel.receipts, strict=True):
        assert opinion.metadata["helm_receipt_id"] == receipt["receipt_id"]
        assert opinion.metadata["helm_decision_id"] == receipt["decision_id"]
        assert opinion.metadata["helm_receipt_sha256"] == hashlib.sha256(opinion.raw.encode()).hexdigest()
        assert json.loads(opinion.raw)["signature"] == receipt["signature"]
    check_chain(kernel.receipts, kernel.public)


async def test_the_kernel_hears_the_call_and_where_it_comes_from(kernel: Kernel) -> None:
    await ask(client_of(kernel), session_id="a/b\\c", spec=tool(effect=Effect.E2))
    [asked] = kernel.asked
    assert (asked["tool"], asked["effect_level"], asked["session_id"]) == ("http.get", "E2", "a-b-c")
    assert asked["context"]["pilot_workspace"] == "w-1"
    assert asked["context"]["effect_level"] == "E2"
    assert asked["context"]["args"] == ARGS


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ("disagree", "allow and verdict disagree"),
        ("unknown_verdict", "the verdict is unknown"),
        ("bad_signature", "the signature does not fit"),
        ("other_key", "the signature does not fit"),
        ("other_args", "the receipt is about other arguments"),
        ("other_session", "the receipt has another session_id"),
        ("garbage", "it is not JSON"),
        ("twice", "it is not JSON"),
        ("without_allow", "allow is missing"),
        ("without_receipt_id", "receipt_id is missing"),
        ("without_decision_hash", "decision_hash is missing"),
        ("without_lamport_clock", "lamport_clock is missing"),
        ("drop_before", "could not be asked"),
        ("drop_after", "could not be asked"),
        ("500", "it answered 500 (guardian not available)"),
        ("500_after", "it answered 500 (the receipt could not be persisted)"),
        ("502", "it answered 502"),
    ],
)
async def test_what_is_not_plainly_its_allow_denies_and_is_not_asked_twice(
    kernel: Kernel, fault: str, said: str
) -> None:
    kernel.faults = [fault]
    opinion = await ask(client_of(kernel))
    assert (opinion.verdict, opinion.reason_code, opinion.raw) == (Verdict.DENY, "PDP_ERROR", "")
    assert said in opinion.reason
    assert len(kernel.decisions) == (0 if fault in ("drop_before", "500", "502") else 1)


async def test_a_denial_dressed_as_an_allow_denies(kernel: Kernel) -> None:
    kernel.faults = ["lie"]
    opinion = await ask(client_of(kernel), spec=tool("rm"))
    assert (opinion.verdict, opinion.reason_code) == (Verdict.DENY, "PDP_ERROR")
    assert "the receipt has another verdict" in opinion.reason


async def test_refusals_before_a_decision_are_tried_again(kernel: Kernel) -> None:
    kernel.faults = ["429", "503"]
    assert (await ask(client_of(kernel))).verdict is Verdict.ALLOW
    assert len(kernel.decisions) == 1
    kernel.faults = ["429", "503", "connect_503"]
    opinion = await ask(client_of(kernel))
    assert opinion.verdict is Verdict.DENY
    assert "it answered 503 (PDP_ERROR, the guardian sleeps)" in opinion.reason
    assert len(kernel.decisions) == 1


async def test_fetching_a_receipt_is_tried_again(kernel: Kernel) -> None:
    kernel.receipt_faults = ["drop", "500"]
    assert (await ask(client_of(kernel))).verdict is Verdict.ALLOW
    assert len(kernel.decisions) == 1
    kernel.receipt_faults = ["404"]
    opinion = await ask(client_of(kernel))
    assert opinion.verdict is Verdict.DENY
    assert "it answered 404 (no receipt just now)" in opinion.reason


async def test_a_slow_kernel_denies(kernel: Kernel) -> None:
    kernel.faults = ["slow"]
    opinion = await ask(client_of(kernel, seconds=0.3))
    assert (opinion.verdict, opinion.reason_code) == (Verdict.DENY, "PDP_ERROR")
    assert "no answer within" in opinion.reason


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"api_key": "wrong"}, "401"),
        ({"tenant_id": "other"}, "403 (tenant mismatch)"),
        ({"principal_id": "other"}, "403 (principal mismatch)"),
    ],
)
async def test_a_kernel_that_does_not_know_us_denies(kernel: Kernel, given: dict[str, str], said: str) -> None:
    # not even where an unreachable kernel would be passed by
    opinion = await ask(client_of(kernel, fail_closed=False, **given), spec=tool(effect=Effect.E1))
    assert opinion.verdict is Verdict.DENY
    assert f"it answered {said}" in opinion.reason
    assert "wrong" not in opinion.reason


async def test_open_means_reading_passes_while_nobody_answers(kernel: Kernel) -> None:
    opened = client_of(kernel, fail_closed=False, url="http://127.0.0.1:9")
    opened = HelmSidecar(**{**_fields(opened), "http": GuardedHttp(allow=("127.0.0.1:9",))})
    reading = await ask(opened, spec=tool(effect=Effect.E1))
    assert (reading.verdict, reading.raw) == (Verdict.ALLOW, "")
    assert "could not be asked" in str(reading.metadata["helm_error"])
    assert (await ask(opened, spec=tool(effect=Effect.E2))).verdict is Verdict.DENY
    kernel.faults = ["bad_signature"]
    assert (await ask(client_of(kernel, fail_closed=False), spec=tool(effect=Effect.E1))).verdict is Verdict.DENY


def _fields(sidecar: HelmSidecar) -> dict[str, Any]:
    return {name: getattr(sidecar, name) for name in HelmSidecar.__slots__}


async def test_arguments_that_have_no_canonical_form_deny_unasked(kernel: Kernel) -> None:
    opinion = await ask(client_of(kernel), args={"n": 2**60})
    assert opinion.verdict is Verdict.DENY
    assert kernel.asked == []


async def test_health_says_how_it_is(kernel: Kernel) -> None:
    sidecar = client_of(kernel)
    well = await sidecar.probe()
    assert (well.ok, well.version, well.error) == (True, "0.8.4", None)
    kernel.healthy = False
    ill = await sidecar.probe()
    assert (ill.ok, ill.version, ill.error) == (False, None, "/healthz answered 503 (store missing)")
    gone = await client_of(kernel, health_url="http://127.0.0.1:9").probe()
    assert (gone.ok, gone.version) == (False, None)
    assert gone.error


# --- the kernel, by helm-sdk ----------------------------------------------------------------------


def by_the_sdk(kernel: Kernel) -> None:
    """What helm-sdk 0.11.1 does with a kernel, unmodified."""
    with HelmClient(
        base_url=kernel.base, api_key=kernel.admin_key, tenant_id=kernel.tenant, principal_id=kernel.principal
    ) as sdk:
        assert sdk.health() == {"status": "ok", "version": "0.8.4"}
        assert sdk.version().version == "0.8.4"
        asked = EvaluateRequest(tool="http.get", effect_level="E3", session_id="s-1", args={"a": 1})
        first = sdk.evaluate_decision_v5(asked)
        assert (first.allow, first.verdict, first.lamport_clock) == (True, "ALLOW", 1)
        second = sdk.evaluate_decision_v5(EvaluateRequest(tool="rm", effect_level="E4", session_id="s-1"))
        assert (second.allow, second.reason_code, second.lamport_clock) == (False, "NO_POLICY_DEFINED", 2)
        # nothing is remembered by a key: asking again decides again
        again = sdk.evaluate_decision_v5(asked)
        assert again.decision_id != first.decision_id
        [session] = sdk.list_sessions()
        assert (session.session_id, session.receipt_count, session.last_lamport_clock) == ("s-1", 3, 3)
        assert [r.decision_id for r in sdk.get_receipts("s-1")] == [d.decision_id for d in (first, second, again)]
        assert sdk.get_receipt(first.receipt_id).verdict == "ALLOW"
        old = sdk.evaluate_decision({"action": "http.get", "resource": "E1", "context": {"session_id": "s-2"}})
        assert old["allow"] is True
    for given, status in (
        ({"api_key": None}, 401),
        ({"tenant_id": None}, 403),
        ({"principal_id": "nobody"}, 403),
    ):
        keys = {"api_key": kernel.admin_key, "tenant_id": kernel.tenant, "principal_id": kernel.principal}
        with HelmClient(base_url=kernel.base, **{**keys, **given}) as sdk, pytest.raises(HelmApiError) as refused:
            sdk.evaluate_decision_v5(asked)
        assert refused.value.status == status


async def test_helm_sdk_takes_the_kernel_of_these_tests_for_real(kernel: Kernel) -> None:
    await asyncio.to_thread(by_the_sdk, kernel)
    check_chain([r for r in kernel.receipts if r["session_id"] == "s-1"], kernel.public)
