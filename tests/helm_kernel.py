"""A HELM kernel as its clients meet it, with faults: HTTP, tenants, receipts and signatures after kernel 0.8.4.

It signs with its own code, not ours. `helm-sdk` takes it for real (tests/connectors/test_helm.py).
"""

import asyncio
import base64
import hashlib
import json
import re
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import rfc8785
from aiohttp import web
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

VERSION = "0.8.4"
AUTHORITY = re.compile(r"(workspace(_id)?|tenant.*|principal.*|agent_id)\Z")
SIGNED = [
    "signature_version",
    "receipt_id",
    "decision_id",
    "effect_id",
    "status",
    "output_hash",
    "prev_hash",
    "lamport_clock",
    "args_hash",
    "verdict",
    "reason_code",
    "policy_hash",
    "session_id",
]
OMITTED_WHEN_EMPTY = ("output_hash", "args_hash", "verdict", "reason_code", "policy_hash", "session_id")
RATE, BURST = 60.0, 120.0

Json = dict[str, Any]


def new_key() -> Ed25519PrivateKey:
    return Ed25519PrivateKey.generate()


def public_hex(key: Ed25519PrivateKey) -> str:
    return key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw).hex()


def now() -> str:
    """RFC3339Nano, without trailing zeros."""
    text = datetime.now(UTC).isoformat().removesuffix("+00:00")
    return (text.rstrip("0").rstrip(".") if "." in text else text) + "Z"


def problem(status: int, detail: str, **headers: str) -> web.Response:
    body = {
        "type": f"https://helm.mindburn.run/errors/{status}",
        "title": _TITLES.get(status, "Error"),
        "status": status,
        "detail": detail,
        "trace_id": "0" * 32,
    }
    return web.Response(
        body=json.dumps(body).encode(), status=status, headers=headers, content_type="application/problem+json"
    )


_TITLES = {400: "Bad Request", 401: "Unauthorized", 403: "Forbidden", 404: "Not Found", 429: "Too Many Requests",
           500: "Internal Server Error", 503: "Service Unavailable"}  # fmt: skip


@dataclass
class Kernel:
    """Its policy is a list of exact action names, as its packs are; what is not on it is denied."""

    base: str = ""
    admin_key: str = "kernel-admin-key-0001"
    tenant: str = "default"
    principal: str = "system-admin"
    allowed: set[str] = field(default_factory=set)
    # verdicts a policy of 0.8.4 cannot give, and newer ones may
    escalated: set[str] = field(default_factory=set)
    key: Ed25519PrivateKey = field(default_factory=new_key)
    # what goes wrong with the next evaluations, one each; and with the next receipts that are fetched
    faults: list[str] = field(default_factory=list)
    receipt_faults: list[str] = field(default_factory=list)
    healthy: bool = True
    bindings: set[tuple[str, str]] = field(default_factory=set)
    decisions: list[Json] = field(default_factory=list)
    receipts: list[Json] = field(default_factory=list)
    asked: list[Json] = field(default_factory=list)
    probes: int = 0
    slow: asyncio.Event = field(default_factory=asyncio.Event)
    _buckets: dict[str, tuple[float, float]] = field(default_factory=dict)

    @property
    def public(self) -> str:
        """What `root.pub` holds."""
        return public_hex(self.key)

    # --- the door ---------------------------------------------------------------------------------

    def _refusal(self, request: web.Request) -> web.Response | None:
        """Why a tenant-scoped request does not come in."""
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        if scheme != "Bearer" or token != self.admin_key:
            return problem(401, "missing or invalid bearer")
        tenant, principal = request.headers.get("X-Helm-Tenant-ID"), request.headers.get("X-Helm-Principal-ID")
        if not tenant:
            return problem(403, "this route requires explicit tenant binding")
        if not principal:
            return problem(403, "this route requires explicit principal binding")
        known = self.bindings | {(self.tenant, self.principal)}
        if tenant not in {t for t, _ in known}:
            return problem(403, "tenant mismatch")
        if (tenant, principal) not in known:
            return problem(403, "principal mismatch")
        return self._limited(principal)

    def _limited(self, principal: str) -> web.Response | None:
        left, at = self._buckets.get(principal, (BURST, time.monotonic()))
        moment = time.monotonic()
        left = min(BURST, left + (moment - at) * RATE)
        self._buckets[principal] = (max(0.0, left - 1), moment)
        return None if left >= 1 else problem(429, "rate limit exceeded", **{"Retry-After": "1"})

    async def bind(self, request: web.Request) -> web.StreamResponse:
        if request.headers.get("Authorization") != f"Bearer {self.admin_key}":
            return problem(401, "missing or invalid bearer")
        given = await request.json()
        self.bindings.add((given["tenant_id"], given["principal_id"]))
        return web.json_response(given, status=201)

    # --- deciding ---------------------------------------------------------------------------------

    async def evaluate(self, request: web.Request) -> web.StreamResponse:
        fault = self.faults.pop(0) if self.faults else ""
        if fault == "drop_before":
            return _dropped(request)
        if fault == "429":
            return problem(429, "rate limit exceeded", **{"Retry-After": "0"})
        if fault in ("500", "502", "503"):
            return problem(int(fault), "guardian not available")
        if fault == "connect_503":
            detail = {"type": "helm.errors.v1.ErrorDetail", "debug": {"reason_code": "PDP_ERROR", "retryable": True}}
            body = {"code": "unavailable", "message": "the guardian sleeps", "details": [detail]}
            return web.json_response(body, status=503)
        refusal = self._refusal(request)
        if refusal is not None:
            return refusal
        try:
            asked = json.loads(await request.text())
        except ValueError:
            return problem(400, "invalid JSON")
        found = _wanted(asked)
        if isinstance(found, str):
            return problem(400, found)
        tool, level, session = found
        if fault == "slow":
            await self.slow.wait()
        answer = self._decide(request, asked, tool=tool, level=level, session=session, fault=fault)
        if fault == "drop_after":
            return _dropped(request)
        if fault == "500_after":
            return problem(500, "the receipt could not be persisted")
        if fault == "garbage":
            return web.Response(text="<html>hello</html>", content_type="text/html")
        if fault == "twice":
            text = json.dumps(answer)
            return web.Response(text='{"allow":false,' + text[1:], content_type="application/json")
        return web.json_response(answer)

    def _decide(self, request: web.Request, asked: Json, *, tool: str, level: str, session: str, fault: str) -> Json:
        args = asked.get("args") or {}
        context = {k: v for k, v in (asked.get("context") or {}).items() if not AUTHORITY.match(k)}
        executor = request.headers["X-Helm-Principal-ID"]
        tenant = request.headers["X-Helm-Tenant-ID"]
        context |= {"principal_id": executor, "tenant_id": tenant, "session_id": session, "args": args}
        self.asked.append({"tool": tool, "effect_level": level, "session_id": session, "context": context})
        name = level if tool == "EXECUTE_TOOL" else tool
        verdict, code = (
            ("DENY", "POLICY_NOT_READY")
            if tenant != self.tenant
            else ("ALLOW", "")
            if name in self.allowed
            else ("ESCALATE", "APPROVAL_REQUIRED")
            if name in self.escalated
            else ("DENY", "NO_POLICY_DEFINED")
        )
        number = len(self.decisions) + 1
        decision_id, reason = f"dec-{number:08d}", "" if verdict == "ALLOW" else f"policy: {code.lower()}"
        record = {
            "signature_version": "decision.v4",
            "id": decision_id,
            "verdict": verdict,
            "reason_code": code,
            "reason_hash": hashlib.sha256(reason.encode()).hexdigest(),
            "phenotype_hash": "",
            "policy_content_hash": hashlib.sha256(repr(sorted(self.allowed)).encode()).hexdigest(),
            "effect_digest": hashlib.sha256(rfc8785.dumps(context)).hexdigest(),
            "threat_scan_hash": "",
            "subject_id": executor,
            "action": tool,
            "resource": level,
            "signature_type": f"ed25519:{self.public[:16]}",
        }
        payload = rfc8785.dumps(record)
        decision_hash = "sha256:" + hashlib.sha256(payload).hexdigest()
        self.decisions.append(record)
        receipt = self._receipt(record, decision_hash, session=session, args=args, executor=executor, fault=fault)
        answer = {
            "allow": verdict == "ALLOW",
            "verdict": verdict,
            "receipt_id": receipt["receipt_id"],
            "decision_id": decision_id,
            "decision_hash": decision_hash,
            "reason_code": code,
            "policy_ref": record["policy_content_hash"],
            "lamport_clock": receipt["lamport_clock"],
            "id": decision_id,
            "action": tool,
            "resource": level,
            "reason": reason,
            "policy_version": "1",
            "policy_decision_hash": "",
            "signature": self.key.sign(payload).hex(),
        }
        if fault == "disagree":
            answer["allow"] = not answer["allow"]
        elif fault == "unknown_verdict":
            answer |= {"verdict": "MAYBE", "allow": False}
        elif fault == "lie":
            answer |= {"verdict": "ALLOW", "allow": True, "reason_code": ""}
        elif fault.startswith("without_"):
            del answer[fault.removeprefix("without_")]
        return answer

    def _receipt(
        self, record: Json, decision_hash: str, *, session: str, args: Json, executor: str, fault: str
    ) -> Json:
        chain = [r for r in self.receipts if r["session_id"] == session]
        signed: Json = {
            "signature_version": "receipt.v5",
            "receipt_id": "rcpt_" + record["id"],
            "decision_id": record["id"],
            "effect_id": record["resource"],
            "status": "decided",
            "output_hash": decision_hash,
            "prev_hash": chain_hash(chain[-1]) if chain else "",
            "lamport_clock": len(chain) + 1,
            "args_hash": "sha256:" + hashlib.sha256(rfc8785.dumps(args)).hexdigest(),
            "verdict": record["verdict"],
            "reason_code": record["reason_code"],
            "policy_hash": record["policy_content_hash"],
            "session_id": session,
        }
        if fault == "other_args":
            signed["args_hash"] = hashlib.sha256(b"{}x").hexdigest()
        if fault == "other_session":
            signed["session_id"] = "somebody-else"
        signer = new_key() if fault == "other_key" else self.key
        signature = signer.sign(rfc8785.dumps(signed))
        if fault == "bad_signature":
            signature = bytes([signature[0] ^ 1]) + signature[1:]
        receipt = {
            **signed,
            "external_reference_id": "",
            "signature": signature.hex(),
            "signature_algorithm": "ed25519",
            "signature_profile": "classical",
            "key_id": public_hex(signer)[:16],
            "public_key_set": {"ed25519": public_hex(signer)},
            "timestamp": now(),
            "executor_id": executor,
            "decision_hash": decision_hash,
            "metadata": {"tenant_id": self.tenant},
            "created_at": "0001-01-01T00:00:00Z",
            "installed_at": "0001-01-01T00:00:00Z",
            "issued_at": "0001-01-01T00:00:00Z",
        }
        self.receipts.append(receipt)
        return receipt

    # --- reading ----------------------------------------------------------------------------------

    async def one_receipt(self, request: web.Request) -> web.StreamResponse:
        fault = self.receipt_faults.pop(0) if self.receipt_faults else ""
        if fault == "drop":
            return _dropped(request)
        if fault:
            return problem(int(fault), "no receipt just now")
        refusal = self._refusal(request)
        if refusal is not None:
            return refusal
        wanted = request.match_info["name"]
        found = next((r for r in self.receipts if wanted in (r["receipt_id"], chain_hash(r))), None)
        return problem(404, "receipt not found") if found is None else web.json_response(as_served(found))

    async def list_receipts(self, request: web.Request) -> web.StreamResponse:
        refusal = self._refusal(request)
        if refusal is not None:
            return refusal
        limit = int(request.query.get("limit", "100"))
        if not 1 <= limit <= 1000:
            return problem(400, "limit must be between 1 and 1000")
        session, since = request.query.get("session_id"), request.query.get("since", "")
        rows = [r for r in self.receipts if session in (None, r["session_id"])]
        if session is not None:
            after = int(since.removeprefix("lamport:") or 0)
            rows = [r for r in rows if r["lamport_clock"] > after]
        elif since:
            at = json.loads(base64.urlsafe_b64decode(since.removeprefix("v1.") + "=="))
            names = [r["receipt_id"] for r in rows]
            rows = rows[names.index(at["r"]) + 1 :]
        shown = rows[:limit]
        cursor = ""
        if shown and session is not None:
            cursor = f"lamport:{shown[-1]['lamport_clock']}"
        elif shown:
            last = shown[-1]
            place = {"l": last["lamport_clock"], "t": last["timestamp"], "r": last["receipt_id"]}
            cursor = "v1." + base64.urlsafe_b64encode(json.dumps(place).encode()).decode().rstrip("=")
        return web.json_response(
            {
                "receipts": [as_served(r) for r in shown],
                "count": len(shown),
                "next_cursor": cursor,
                "has_more": len(rows) > len(shown),
            }
        )

    async def sessions(self, request: web.Request) -> web.StreamResponse:
        refusal = self._refusal(request)
        if refusal is not None:
            return refusal
        grouped: dict[str, list[Json]] = {}
        for receipt in self.receipts:
            grouped.setdefault(receipt["session_id"], []).append(receipt)
        return web.json_response(
            [
                {
                    "session_id": name,
                    "created_at": rows[0]["timestamp"],
                    "receipt_count": len(rows),
                    "last_lamport_clock": rows[-1]["lamport_clock"],
                }
                for name, rows in grouped.items()
            ]
        )

    async def of_session(self, request: web.Request) -> web.StreamResponse:
        refusal = self._refusal(request)
        if refusal is not None:
            return refusal
        rows = [r for r in self.receipts if r["session_id"] == request.match_info["session"]]
        return web.json_response([as_served(r) for r in rows])

    async def health(self, request: web.Request) -> web.StreamResponse:
        del request
        self.probes += 1
        if not self.healthy:
            return problem(503, "store missing")
        return web.json_response({"status": "ok", "version": VERSION})

    async def version(self, request: web.Request) -> web.StreamResponse:
        del request
        return web.json_response({"version": VERSION, "commit": "c", "build_time": now(), "go_version": "go1.25"})

    def application(self) -> web.Application:
        app = web.Application()
        app.router.add_post("/api/v1/evaluate", self.evaluate)
        app.router.add_get("/api/v1/receipts", self.list_receipts)
        app.router.add_get("/api/v1/receipts/{name}", self.one_receipt)
        app.router.add_get("/api/v1/proofgraph/sessions", self.sessions)
        app.router.add_get("/api/v1/proofgraph/sessions/{session}/receipts", self.of_session)
        app.router.add_get("/api/v1/proofgraph/receipts/{name}", self.one_receipt)
        app.router.add_post("/api/v1/admin/principal-bindings", self.bind)
        app.router.add_get("/healthz", self.health)
        app.router.add_get("/version", self.version)
        return app


def _dropped(request: web.Request) -> web.StreamResponse:
    assert request.transport is not None
    request.transport.abort()
    return web.Response()


def _wanted(asked: Any) -> tuple[str, str, str] | str:
    """Tool, effect level and session by their names or old aliases; what is wrong otherwise."""
    if not isinstance(asked, dict):
        return "the body must be an object"
    context = asked.get("context") or {}
    pairs = (
        ("tool", asked.get("tool"), asked.get("action")),
        ("effect_level", asked.get("effect_level"), asked.get("resource")),
        ("session_id", asked.get("session_id"), context.get("session_id")),
    )
    found: list[str] = []
    for name, value, alias in pairs:
        given = [v.strip() for v in (value, alias) if isinstance(v, str) and v.strip()]
        if not given:
            return f"{name} is required"
        if len(set(given)) > 1:
            return f"{name} and its alias differ"
        found.append(given[0])
    if re.search(r"[/\\\x00]", found[2]):
        return "session_id contains a path separator"
    return found[0], found[1], found[2]


def as_served(receipt: Mapping[str, Any]) -> Json:
    """A receipt as Go writes it: members that are empty are left out."""
    return {k: v for k, v in receipt.items() if v or k not in OMITTED_WHEN_EMPTY}


def chain_hash(receipt: Mapping[str, Any]) -> str:
    whole = {k: v for k, v in as_served(receipt).items() if k not in ("transparency", "log_id", "leaf_index")}
    return hashlib.sha256(rfc8785.dumps(whole)).hexdigest()


def check_chain(receipts: Sequence[Mapping[str, Any]], public: str) -> None:
    """HELM's rules for a list of receipts of one session, in its own words and with none of our code."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    key = Ed25519PublicKey.from_public_bytes(bytes.fromhex(public))
    previous: Mapping[str, Any] | None = None
    for receipt in receipts:
        signed = {name: receipt.get(name, "") for name in SIGNED}
        assert signed["signature_version"] == "receipt.v5"
        key.verify(bytes.fromhex(receipt["signature"]), rfc8785.dumps(signed))
        clock = receipt["lamport_clock"]
        if previous is None:
            assert clock != 1 or signed["prev_hash"] == ""
        else:
            assert clock == previous["lamport_clock"] + 1
            assert signed["prev_hash"] == chain_hash(previous)
        previous = receipt


@asynccontextmanager
async def open_kernel(**given: Any) -> AsyncIterator[Kernel]:
    """A kernel on a free port of loopback."""
    kernel = Kernel(**given)
    runner = web.AppRunner(kernel.application(), access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    kernel.base = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield kernel
    finally:
        kernel.slow.set()
        await runner.cleanup()
