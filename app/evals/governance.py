"""Evaluations of the receipts, the policy and the approvals."""

import asyncio
import gzip
import random
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, BinaryIO

import sqlalchemy as sa

from app.container import open_services
from app.evals.checks import Checks
from app.evals.place import Ground, Outside, Person, Place, open_place
from connectors.cel import CelRules
from domain.identity.actor import Actor, Channel, Role
from domain.journal.workspace import KnowledgeWritten
from domain.policy.decide import decide
from domain.policy.effective import EffectivePolicy, effective
from domain.policy.facts import CallFacts, GrantFacts
from domain.policy.governance import Verdict
from domain.policy.rules import CustomRule, RuleError
from domain.policy.settings_schema import load
from domain.receipts import merkle
from domain.receipts.archive import standalone_source
from domain.receipts.verify import verify_archive
from services.container import Services
from services.ledger.watch import LedgerWatch
from storage.database import Store
from storage.transaction import Tx

RECEIPTS = 400
DECISIONS = 60
STRICTNESS = (Verdict.ALLOW, Verdict.ESCALATE, Verdict.DENY)


# --- receipts -------------------------------------------------------------------------------------


async def receipts(checks: Checks, ground: Ground) -> None:
    """Append, prove, export, verify with both verifiers; change one byte in many places and see each one found."""
    async with open_services(ground.settings()) as parts:
        services = parts.services
        owner = await _owner(services)
        for start in range(0, RECEIPTS, 100):
            await services.store.write(lambda tx, start=start: _grow(services, tx, owner, start, 100))  # type: ignore[misc]
        checkpoint = await services.proofs.checkpoint(owner)
        checks.that("every receipt is in the log", checkpoint.size >= RECEIPTS, checkpoint.size)
        await _proofs(checks, services, owner, size=checkpoint.size)
        with await services.archives.export(owner) as file:
            whole = file.read()
        await asyncio.to_thread(_archives, checks, whole, ground.folder)
        chance = random.Random(checkpoint.size)  # noqa: S311 - places to damage, nothing secret
        await _damage(checks, services, owner, chance.randrange(RECEIPTS))
        checks.figures |= {"receipts": checkpoint.size, "archiveBytes": len(whole)}


async def _owner(services: Services) -> Actor:
    user = await services.store.write(lambda tx: services.people.of_address(tx, "evaluation@example.com"))
    place = await services.tenants.create(name="Evaluation", owner_id=user.id)
    return Actor(user_id=user.id, name="Evaluation", channel=Channel.EMAIL, workspace_id=place[0].id, role=Role.OWNER)


def _grow(services: Services, tx: Tx, owner: Actor, start: int, count: int) -> None:
    for n in range(start, start + count):
        entry = KnowledgeWritten(
            workspace_id=owner.in_workspace,
            actor=owner.principal,
            note_id=f"note {n}",
            what="written",
            hashes={"n": n},
        )
        services.recorder.record(tx, entry)


async def _proofs(checks: Checks, services: Services, owner: Actor, *, size: int) -> None:
    root = (await services.proofs.checkpoint(owner)).root
    wrong = 0
    for index in range(0, size, 7):
        row, path, _ = await services.proofs.proof_at(owner, index, None)
        try:
            merkle.verify_inclusion(leaf=row.leaf_hash, index=index, size=size, path=path, root_hash=root)
        except Exception:  # noqa: BLE001 - whatever it is, the proof does not hold
            wrong += 1
    checks.same("proofs of inclusion that do not hold", wrong, 0)
    wrong = 0
    for old in range(1, size, 13):
        path, old_root, new_root, _ = await services.proofs.consistency(owner, old, None)
        try:
            merkle.verify_consistency(old_size=old, old_root=old_root, new_size=size, new_root=root, path=path)
        except Exception:  # noqa: BLE001
            wrong += 1
        wrong += new_root != root
    checks.same("proofs of consistency that do not hold", wrong, 0)


def _archives(checks: Checks, whole: bytes, folder: Path) -> None:
    """The archive as it is, and with one byte changed."""
    program = folder / "verify.py"
    program.write_bytes(standalone_source())
    checks.that("the archive verifies", _holds(whole))
    checks.same("the stand-alone program says", _stand_alone(program, whole), 0)
    plain = bytearray(gzip.decompress(whole))
    chance = random.Random(len(plain))  # noqa: S311
    # bytes of receipts, not the zeros tar pads with
    places = [at for at in chance.sample(range(len(plain) // 2, len(plain)), 400) if plain[at] not in (0, 10, 32)][:12]
    missed = 0
    for at in places:
        plain[at] ^= 1
        missed += _holds(gzip.compress(bytes(plain), 1))
        plain[at] ^= 1
    checks.same(f"of {len(places)} changed bytes, not found", missed, 0)
    plain[places[0]] ^= 1
    checks.same("the stand-alone program about a changed byte", _stand_alone(program, gzip.compress(bytes(plain))), 1)


def _holds(archive: bytes) -> bool:
    with tempfile.TemporaryFile() as file:
        file.write(archive)
        file.seek(0)
        opened: BinaryIO = file
        return verify_archive(opened).ok


def _stand_alone(program: Path, archive: bytes) -> int:
    """Exit code of the verifier that needs nothing but Python."""
    path = program.with_name("archive.tar.gz")
    path.write_bytes(archive)
    done = subprocess.run(  # noqa: S603 - our own arguments
        [sys.executable, "-I", "-S", str(program), str(path)], capture_output=True, check=False, timeout=60
    )
    return done.returncode


async def _damage(checks: Checks, services: Services, owner: Actor, at: int) -> None:
    """Change a stored receipt behind the ledger's back: it must be found, and the log be closed."""

    def change(tx: Tx) -> None:
        where = {"w": owner.in_workspace, "i": at}
        found = tx.execute(sa.text("SELECT leaf FROM receipts WHERE workspace_id = :w AND idx = :i"), where).scalar()
        leaf = bytearray(bytes(found or b""))
        leaf[len(leaf) // 2] ^= 1
        tx.execute(
            sa.text("UPDATE receipts SET leaf = :leaf WHERE workspace_id = :w AND idx = :i"),
            {**where, "leaf": bytes(leaf)},
        )

    await services.store.write(change)
    await LedgerWatch(services.store, services.ledger).look()
    checks.that("a receipt changed in the store is found", owner.in_workspace in services.ledger.damaged)
    try:
        await services.store.write(lambda tx: _grow(services, tx, owner, RECEIPTS, 1))
    except Exception:  # noqa: BLE001 - that it is refused is what is looked for
        refused = True
    else:
        refused = False
    checks.that("a damaged log takes nothing more", refused)


# --- policy ---------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Case:
    """One call under one policy, and what must be said of it."""

    what: str
    verdict: str
    rule: str
    policy: Mapping[str, Any] = field(default_factory=dict)
    budget: Mapping[str, Any] = field(default_factory=dict)
    call: Mapping[str, Any] = field(default_factory=dict)


class _Broken:
    """A rule engine that falls over."""

    def check(self, expression: str) -> None:
        raise RuleError(expression)

    def evaluate(self, expressions: Sequence[str], given: Mapping[str, Any]) -> Sequence[bool | RuleError]:
        raise RuntimeError(str((expressions, given)))


def _rule(when: str, verdict: str = "DENY") -> dict[str, Any]:
    return {"rules": [{"id": "r", "when": when, "verdict": verdict}]}


_POST = {"tool": "http.post", "effect": 3, "args": {"url": "https://example.com/"}}
_GRANT = GrantFacts(id="g", tool="http.post", task_id="t", max_effect=3)
CASES = (
    _Case("a note", "ALLOW", "default"),
    _Case("acting outside", "ESCALATE", "effect_level", call=_POST),
    _Case("acting outside, approved", "ALLOW", "approved", call={**_POST, "approved": True}),
    _Case("acting outside, with a grant", "ALLOW", "grant:g", call={**_POST, "grants": (_GRANT,)}),
    _Case("with a grant of another task", "ESCALATE", "effect_level",
          call={**_POST, "grants": (replace(_GRANT, task_id="u"),)}),
    _Case("frozen", "DENY", "kill_switch", {"killSwitch": True}),
    _Case("frozen, approved before", "DENY", "kill_switch", {"killSwitch": True}, call={**_POST, "approved": True}),
    _Case("blocked by pattern", "DENY", "tool_blocklist", {"toolBlocklist": ["note.*"]}),
    _Case("asked about by name", "ESCALATE", "approval_list", {"requireApprovalFor": ["note.create"]}),
    _Case("asked about from E2", "ESCALATE", "effect_level", {"approvalFrom": "E2"}),
    _Case("raised by the owner", "ESCALATE", "effect_level", {"toolEffects": {"note.*": "E3"}}),
    _Case("banned text in a deep place", "DENY", "content_ban", {"contentBans": ["secret plan"]},
          call={"args": {"a": [{"b": "our  SECRET plan"}]}}),
    _Case("another host", "DENY", "allowed_hosts", {"allowedHosts": ["example.org"]}, call={**_POST, "approved": True}),
    _Case("not the operator's tool", "DENY", "operator_tools", call={"operator_tools": ("knowledge.search",)}),
    _Case("not in this mode", "DENY", "mode", call={"tool_modes": ("build",), "mode": "discover"}),
    _Case("a connector nobody granted", "DENY", "connector_grant",
          call={"connector": "crm", "connector_granted": False}),
    _Case("a connector not allowed here", "DENY", "connector_allowlist", {"connectorAllowlist": ["mail"]},
          call={"connector": "crm", "connector_granted": True}),
    _Case("over the task's budget", "DENY", "budget_task", budget={"perTaskMax": 1}, call={"task_spent": 1_000_001}),
    _Case("over it by what it may cost", "DENY", "budget_task", budget={"perTaskMax": 1}, call={"estimate": 1_000_001}),
    _Case("over the operator's budget", "DENY", "budget_operator", budget={"perOperatorMax": 1},
          call={"operator_spent": 1_000_001}),
    _Case("over the day's budget", "DENY", "budget_day", budget={"dailyTotalMax": 100},
          call={"day_spent": 100_000_001}),
    _Case("over the emergency stop", "DENY", "budget_emergency", budget={"emergencyKill": 1},
          call={"day_spent": 1_000_001}),
    _Case("less than nothing spent", "DENY", "budgets", call={"task_spent": -1}),
    _Case("a rule that denies", "DENY", "rule:r", _rule("input.args.title == 'hello'")),
    _Case("a rule that asks", "ESCALATE", "rule:r", _rule("input.effect >= 2", "ESCALATE")),
    _Case("a rule that does not apply", "ALLOW", "default", _rule("input.effect > 2")),
    _Case("a rule that looks at what is missing", "DENY", "rule:r", _rule("input.args.nothing == 'x'", "ESCALATE")),
    _Case("a rule that is no yes and no no", "DENY", "rule:r", _rule("input.args.title", "ESCALATE")),
    _Case("a rule that errs about an approved call", "DENY", "rule:r", _rule("input.args.nothing == 1", "ESCALATE"),
          call={**_POST, "approved": True}),
    _Case("finishing over budget", "ALLOW", "default", budget={"perTaskMax": 1},
          call={"tool": "finish", "effect": 0, "task_spent": 2_000_000}),
)  # fmt: skip
_CALL = CallFacts(tool="note.create", effect=2, args={"title": "hello"}, mode="build", task_id="t")


async def policy(checks: Checks, ground: Ground) -> None:
    """A table of calls with the verdicts they must get, laws over drawn calls, and runs that are held to them."""
    await asyncio.to_thread(_table, checks)
    outside = Outside()
    async with outside.open(), open_place(ground, pilot_http_allow=outside.allowed) as place:
        owner = await place.person("owner")
        await _operators_bounds(checks, owner)
        await _kill_switch(checks, owner, outside)


def _table(checks: Checks) -> None:
    engine = CelRules()
    for case in CASES:
        now = effective(load(dict(case.policy), dict(case.budget), {}))
        said = decide(now, replace(_CALL, **case.call), engine)
        checks.same(case.what, (said.verdict.value, said.rule_id), (case.verdict, case.rule))
    broken = effective(load(_rule("true", "ESCALATE"), {}, {}))
    checks.same("an engine that falls over", decide(broken, _CALL, _Broken()).verdict, Verdict.DENY)
    looser = sum(_loosened(engine, random.Random(n)) for n in range(150))  # noqa: S311
    checks.same("of 150 drawn calls, those a further restriction made easier", looser, 0)
    checks.figures["calls"] = len(CASES) + 151


def _loosened(engine: CelRules, chance: random.Random) -> bool:
    """Whether one more restriction, drawn at random, made a drawn call easier."""
    tools = ("note.create", "http.post", "email.send", "knowledge.search")
    call = replace(
        _CALL,
        tool=chance.choice(tools),
        effect=chance.randrange(4),
        task_spent=chance.randrange(150_000_000),
        approved=chance.random() < 0.3,
    )
    before = effective(load({"requireApprovalFor": chance.sample(tools, chance.randrange(3))}, {}, {}))
    tighter: EffectivePolicy = chance.choice(
        (
            replace(before, kill_switch=True),
            replace(before, blocklist=(chance.choice(tools),)),
            replace(before, approval_from=1),
            replace(before, per_task=1),
            replace(before, rules=(CustomRule(id="x", when="input.effect > 1", verdict="ESCALATE", reason=""),)),
            replace(before, rules=(CustomRule(id="x", when="input.args.none > 1", verdict="DENY", reason=""),)),
        )
    )
    old, new = decide(before, call, engine).verdict, decide(tighter, call, engine).verdict
    return STRICTNESS.index(new) < STRICTNESS.index(old)


async def _operators_bounds(checks: Checks, owner: Person) -> None:
    """An operator with a list of tools and three iterations keeps to both."""
    body = {"name": "Ed", "role": "ops", "tools": ["note.create"], "maxIterations": 3}
    operator = await owner.need("POST", "/api/operators", body)
    task = await owner.run('knowledge.search query="x"', operatorId=operator["id"])
    run, steps = await owner.ended(task)
    done = [step["tool"] for step in steps if step["status"] == "done"]
    checks.same("an operator with a tool that is not theirs", (run["status"], done), ("blocked", []))
    task = await owner.run("\n".join(f'note.create title="{n}"' for n in range(5)), operatorId=operator["id"])
    run, steps = await owner.ended(task)
    checks.that("an operator's iterations end", run["status"] != "completed" and len(steps) <= 3, run["status"])


async def _kill_switch(checks: Checks, owner: Person, outside: Outside) -> None:
    """Thrown while a run waits for a person: what is approved afterwards does not run."""
    task = await owner.run(f'http.post url={outside.url} json={{"n": "frozen"}}')
    approval = await owner.pending(task)
    place = f"/api/workspace/{owner.workspace}/settings"
    await owner.need("PUT", place, {"policyConfig": {"killSwitch": True}})
    await owner.decide(approval)
    _, steps = await owner.ended(task)
    checks.same(
        "a call approved after the kill switch", (steps[0]["verdict"], steps[0]["ruleId"]), ("DENY", "kill_switch")
    )
    checks.same("what it did outside", outside.arrived["frozen"], 0)
    refused = await owner.need("GET", "/api/audit/violations")
    checks.that("what was refused is a violation", any(v["policyRule"] == "kill_switch" for v in refused), refused)
    replayed = await owner.need("GET", "/api/governance/replay")
    checks.same("decisions that replay otherwise", replayed["different"], [])


# --- approvals ------------------------------------------------------------------------------------


async def approvals(checks: Checks, ground: Ground) -> None:
    """Many decide at once and one wins; what is not what was shown does not run; late ones hear the truth."""
    outside = Outside()
    async with outside.open(), open_place(ground, pilot_http_allow=outside.allowed) as place:
        owner = await place.person("owner")
        await _race(checks, owner, outside)
        await _edited(checks, owner, outside)
        await _drift(checks, owner, outside, ground)
        await _undone(checks, place, owner, outside)
        replayed = await owner.need("GET", "/api/governance/replay")
        checks.same("decisions that replay otherwise", replayed["different"], [])


async def _race(checks: Checks, owner: Person, outside: Outside) -> None:
    task = await owner.run(f'http.post url={outside.url} json={{"n": "race"}}')
    approval = await owner.pending(task)
    answers = await asyncio.gather(
        *(owner.decide(approval, ("approved", "rejected")[n % 2], note=f"{n}") for n in range(DECISIONS))
    )
    won = [said for status, said in answers if status == 200]
    lost = [said for status, said in answers if status == 409]
    checks.same(f"of {DECISIONS} decisions at once, winners", len(won), 1)
    checks.same("losers who were told", len(lost), DECISIONS - 1)
    outcome = won[0]["status"] if won else ""
    checks.same("what the losers heard", {said.get("status") for said in lost}, {outcome})
    run, steps = await owner.ended(task)
    checks.same("the run's steps", len([s for s in steps if s["tool"] == "http.post"]), 1)
    checks.same("posts that arrived", outside.arrived["race"], int(outcome == "approved"))
    if outcome == "approved":
        checks.same("the run", run["status"], "completed")


async def _edited(checks: Checks, owner: Person, outside: Outside) -> None:
    task = await owner.run(f'http.post url={outside.url} json={{"n": "shown"}}')
    shown = await owner.pending(task)
    status, _ = await owner.decide({**shown, "actionHash": "0" * 64})
    checks.same("a decision about another digest", status, 409)
    body = {"input": {**shown["actionInput"], "json": {"n": "edited"}}, "version": shown["version"]}
    edited = await owner.need("PUT", f"/api/audit/approvals/{shown['id']}/input", body)
    status, _ = await owner.decide(shown)
    checks.same("a decision about what was shown before the edit", status, 409)
    status, _ = await owner.decide(edited)
    checks.same("a decision about what is shown now", status, 200)
    await owner.ended(task)
    checks.same("what arrived", (outside.arrived["shown"], outside.arrived["edited"]), (0, 1))


async def _drift(checks: Checks, owner: Person, outside: Outside, ground: Ground) -> None:
    """What would run is changed in the store between the approval and the call: it is refused."""
    place = f"/api/workspace/{owner.workspace}/settings"
    await owner.need("PUT", place, {"policyConfig": {"undoSeconds": 2}})
    task = await owner.run(f'http.post url={outside.url} json={{"n": "approved"}}')
    approval = await owner.pending(task)
    await owner.decide(approval)
    store = Store(ground.database_url)

    def change(tx: Tx) -> int:
        drift = sa.text("UPDATE steps SET args = REPLACE(args, 'approved', 'drifted') WHERE task_id = :task")
        return tx.execute(drift, {"task": task}).rowcount

    try:
        checks.that("the step could be changed behind its back", await store.write(change))
    finally:
        await store.close()
    _, steps = await owner.ended(task)
    checks.same(
        "a call that is not what was approved",
        (steps[0]["verdict"], steps[0]["reasonCode"]),
        ("DENY", "TAINTED_APPROVAL"),
    )
    checks.same("what it did outside", (outside.arrived["approved"], outside.arrived["drifted"]), (0, 0))


async def _undone(checks: Checks, place: Place, owner: Person, outside: Outside) -> None:
    """An approval is taken back in its window; a stranger neither sees it nor decides it."""
    task = await owner.run(f'http.post url={outside.url} json={{"n": "undone"}}')
    approval = await owner.pending(task)
    stranger = await place.person("stranger")
    status, _ = await stranger.decide(approval)
    checks.same("a stranger's decision", status, 404)
    await owner.decide(approval)
    status, _ = await owner.ask("POST", f"/api/audit/approvals/{approval['id']}/undo")
    checks.same("taking it back in time", status, 200)
    _, steps = await owner.ended(task)
    checks.same("the call that was taken back", steps[0]["status"], "rejected")
    checks.same("what it did outside", outside.arrived["undone"], 0)
