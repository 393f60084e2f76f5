"""A HELM sidecar asked for its second opinion about a call. Whatever is not plainly its ALLOW is a DENY.

Only refusals that come before any decision are tried again (no connection, 429, 503): the kernel does not know
Idempotency-Key, and every evaluation it begins mints a decision and a receipt.
"""

import asyncio
import hashlib
import itertools
import random
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from domain.backoff import Backoff
from domain.bounded_json import BadJson, Bounds, loads
from domain.outside import ExternalError
from domain.policy.governance import ExternalDecision, Verdict
from domain.ports import Http, HttpAnswer, SidecarHealth
from domain.receipts.canonical import canonical_payload
from domain.receipts.errors import LedgerError, NotCanonical
from domain.receipts.receipt import verify_foreign
from domain.receipts.signing import PublicKey
from domain.tools.tool import ToolSpec

SOURCE = "helm_sidecar"
BACKOFF = Backoff(first=0.1, longest=5.0, tries=3, factor=4.0)
HEALTH_SECONDS = 3.0
MAX_ANSWER = 200_000
ANSWER = Bounds(size=MAX_ANSWER, depth=64, nodes=5000)

_ID = re.compile(r"[A-Za-z0-9._:@=+~-]{1,200}")
_ANSWER: Mapping[str, type] = {
    "allow": bool,
    "verdict": str,
    "receipt_id": str,
    "decision_id": str,
    "decision_hash": str,
    "reason_code": str,
    "policy_ref": str,
    "lamport_clock": int,
}


class BadAnswer(Exception):
    """What came back is no decision that could be believed."""


class Unreachable(Exception):
    """No decision came back: the sidecar is down, overloaded, or broke off."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Decided:
    """The sidecar's answer, its form checked."""

    verdict: Verdict
    receipt_id: str
    decision_id: str
    decision_hash: str
    reason_code: str
    policy_ref: str
    lamport_clock: int
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class HelmSidecar:
    """One kernel, asked as one tenant and principal.

    `root` is its public key, pinned by hand: what a receipt says of its own key is only a claim. With `fail_closed`
    False, calls that only read (E0, E1) pass by our own policy while the kernel cannot be reached; an answer that is
    wrong never passes. `seconds` is the patience for one request.
    """

    http: Http
    url: str
    api_key: str = field(repr=False)
    tenant_id: str
    principal_id: str
    root: PublicKey
    fail_closed: bool = True
    health_url: str = ""
    seconds: float = 10.0

    async def evaluate(
        self, *, workspace_id: str, session_id: str, spec: ToolSpec, args: Mapping[str, Any]
    ) -> ExternalDecision:
        """The kernel's opinion of this call, with its verified receipt."""
        started = time.monotonic()
        session = re.sub(r"[/\\\x00]", "-", session_id)
        level = f"E{int(spec.effect)}"
        try:
            asked = canonical_payload(
                {
                    "tool": spec.name,
                    "effect_level": level,
                    "session_id": session,
                    "args": dict(args),
                    "context": {"pilot_workspace": workspace_id, "effect_level": level},
                }
            )
            decided = read_decision(await self._ask(asked))
            raw = await self._receipt(decided.receipt_id)
            _check_receipt(raw, decided, session=session, args=args, root=self.root)
        except Unreachable as error:
            return self._unheard(f"the HELM sidecar could not be asked: {error}", passes=int(spec.effect) <= 1)
        except (BadAnswer, LedgerError, NotCanonical) as error:
            return self._unheard(f"no answer of the HELM sidecar that holds: {error}", passes=False)
        why = decided.reason or decided.reason_code or "no reason given"
        reason = "" if decided.verdict is Verdict.ALLOW else f"the HELM sidecar says {decided.verdict}: {why}"
        return ExternalDecision(
            source=SOURCE,
            verdict=decided.verdict,
            reason_code=decided.reason_code,
            reason=reason,
            metadata={
                "helm_verdict": decided.verdict.value,
                "helm_decision_id": decided.decision_id,
                "helm_decision_hash": decided.decision_hash,
                "helm_receipt_id": decided.receipt_id,
                "helm_receipt_sha256": hashlib.sha256(raw).hexdigest(),
                "helm_policy_ref": decided.policy_ref,
                "helm_latency_ms": int((time.monotonic() - started) * 1000),
            },
            raw=raw.decode(),
        )

    def _unheard(self, why: str, *, passes: bool) -> ExternalDecision:
        if passes and not self.fail_closed:
            return ExternalDecision(
                source=SOURCE, verdict=Verdict.ALLOW, reason=why, metadata={"helm_verdict": "", "helm_error": why}
            )
        return ExternalDecision(
            source=SOURCE,
            verdict=Verdict.DENY,
            reason_code="PDP_ERROR",
            reason=why,
            metadata={"helm_verdict": "", "helm_error": why},
        )

    # --- requests ---------------------------------------------------------------------------------

    async def _ask(self, body: bytes) -> HttpAnswer:
        return await self._try("POST", "/api/v1/evaluate", body, again=(429, 503), repeatable=False)

    async def _receipt(self, receipt_id: str) -> bytes:
        answer = await self._try(
            "GET",
            f"/api/v1/receipts/{quote(receipt_id, safe='')}",
            None,
            again=(429, 500, 502, 503, 504),
            repeatable=True,
        )
        if answer.truncated:
            raise BadAnswer("the receipt is too long")
        return answer.body

    async def _try(
        self, method: str, path: str, body: bytes | None, *, again: tuple[int, ...], repeatable: bool
    ) -> HttpAnswer:
        """A 200. Unreachable for what may be different later, BadAnswer for every other refusal."""
        headers = {
            "accept": "application/json",
            "authorization": f"Bearer {self.api_key}",
            "x-helm-tenant-id": self.tenant_id,
            "x-helm-principal-id": self.principal_id,
        }
        if body is not None:
            headers["content-type"] = "application/json"
        for failure in itertools.count(1):
            last = BACKOFF.is_last(failure)
            pause = BACKOFF.pause(failure) * random.uniform(0.75, 1.25)  # noqa: S311 - spreads tries, guards nothing
            try:
                answer = await self.http.request(
                    method, self.url + path, headers=headers, content=body, max_bytes=MAX_ANSWER, timeout=self.seconds
                )
            except ExternalError as error:
                if last or not error.retryable or (error.sent and not repeatable):
                    raise Unreachable(str(error)) from error
            else:
                if answer.status == 200:
                    return answer
                said = f"it answered {answer.status}{_words_of(answer)}"
                if answer.status != 429 and answer.status < 500:
                    raise BadAnswer(said)
                if last or answer.status not in again:
                    raise Unreachable(said)
                pause = max(pause, BACKOFF.pause(failure, retry_after=_retry_after(answer)))
            await asyncio.sleep(pause)
        raise AssertionError("the last try answers or raises")

    # --- health -----------------------------------------------------------------------------------

    async def probe(self) -> SidecarHealth:
        """Whether the kernel answers just now, how fast, and its version. Raises nothing."""
        started = time.monotonic()
        version, error = None, None
        try:
            answer = await self.http.request(
                "GET", f"{self.health_url or self.url}/healthz", max_bytes=MAX_ANSWER, timeout=HEALTH_SECONDS
            )
            said = _json(answer) if answer.status == 200 else {}
            if said.get("status") != "ok":
                error = f"/healthz answered {answer.status}{_words_of(answer)}"
            elif isinstance(said.get("version"), str):
                version = _line(said["version"], 40)
        except (ExternalError, BadAnswer) as problem:
            error = str(problem)
        return SidecarHealth(
            ok=error is None, latency_ms=int((time.monotonic() - started) * 1000), version=version, error=error
        )


# --- what comes back ------------------------------------------------------------------------------


def read_decision(answer: HttpAnswer) -> Decided:
    """The decision in an answer; BadAnswer unless it is whole and agrees with itself."""
    said = _json(answer)
    for name, kind in _ANSWER.items():
        if type(said.get(name)) is not kind:
            raise BadAnswer(f"{name} is missing or no {kind.__name__}")
    for name in ("receipt_id", "decision_id"):
        if not _ID.fullmatch(said[name]):
            raise BadAnswer(f"{name} is no identifier")
    if not said["decision_hash"] or said["lamport_clock"] < 0:
        raise BadAnswer("decision_hash or lamport_clock say nothing")
    try:
        verdict = Verdict(said["verdict"])
    except ValueError:
        raise BadAnswer("the verdict is unknown") from None
    if said["allow"] is not (verdict is Verdict.ALLOW):
        raise BadAnswer("allow and verdict disagree")
    reason = said.get("reason")
    return Decided(
        verdict=verdict,
        receipt_id=said["receipt_id"],
        decision_id=said["decision_id"],
        decision_hash=_line(said["decision_hash"], 100),
        reason_code=_line(said["reason_code"], 64),
        policy_ref=_line(said["policy_ref"], 200),
        lamport_clock=said["lamport_clock"],
        reason=_line(reason, 300) if isinstance(reason, str) else "",
    )


def _check_receipt(raw: bytes, decided: Decided, *, session: str, args: Mapping[str, Any], root: PublicKey) -> None:
    """BadAnswer or LedgerError unless the pinned key signed a receipt of exactly this decision about this call."""
    body = _parse(raw)
    verify_foreign(body, key=root)
    expected = {
        "receipt_id": decided.receipt_id,
        "decision_id": decided.decision_id,
        "verdict": decided.verdict.value,
        "lamport_clock": decided.lamport_clock,
        "session_id": session,
    }
    for name, value in expected.items():
        if body.get(name) != value:
            raise BadAnswer(f"the receipt has another {name}")
    named = str(body.get("args_hash", "")).removeprefix("sha256:")
    if named and named != hashlib.sha256(canonical_payload(dict(args))).hexdigest():
        raise BadAnswer("the receipt is about other arguments")


def _json(answer: HttpAnswer) -> dict[str, Any]:
    if answer.truncated:
        raise BadAnswer("the answer is too long")
    return _parse(answer.body)


def _parse(raw: bytes) -> dict[str, Any]:
    """A JSON object in which no name comes twice: two readers must not read two things."""
    try:
        found = loads(raw, ANSWER)
    except BadJson as error:
        raise BadAnswer(f"it is not JSON as it should be: {error}") from error
    if not isinstance(found, dict):
        raise BadAnswer("it is no JSON object")
    return found


def _words_of(answer: HttpAnswer) -> str:
    """What an error says of itself, as ` (...)`: RFC 7807, Connect, or the old `error` object; "" for nothing."""
    try:
        said = _json(answer)
    except BadAnswer:
        return ""
    old = said.get("error")
    old = old if isinstance(old, dict) else {}
    details = said.get("details")
    codes = [
        item["debug"].get("reason_code")
        for item in (details if isinstance(details, list) else [])
        if isinstance(item, dict) and isinstance(item.get("debug"), dict)
    ]
    found = (said.get("detail"), said.get("message"), old.get("message"), said.get("title"))
    words = next((w for w in found if isinstance(w, str) and w), "")
    code = next((c for c in (*codes, old.get("reason_code"), said.get("code")) if isinstance(c, str) and c), "")
    text = ", ".join(part for part in (_line(code, 64), _line(words, 200)) if part)
    return f" ({text})" if text else ""


def _retry_after(answer: HttpAnswer) -> float:
    text = answer.headers.get("retry-after", "")
    return float(text) if text.isascii() and text.isdecimal() and len(text) < 6 else 0.0


def _line(text: str, width: int) -> str:
    """Foreign text as it may stand in a receipt: one line, printable, no longer than `width`."""
    return "".join(c if c.isprintable() else " " for c in text[:width])
