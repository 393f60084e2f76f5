"""One of each thing that can be recorded, made by the real services with a clock, ids, salts and keys that repeat.

`chapters` plays a story; each chapter is what one act wrote: receipts with their exact bytes, audit lines, events and
queued messages. `python -m tests.recorded` prints the story as it is now, one chapter a line.
"""

import asyncio
import base64
import itertools
import json
import secrets
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from unittest.mock import patch
from uuid import UUID

import sqlalchemy as sa
import uuid_utils

import app.connections
import app.container
import app.keys
from app.container import Runtime, open_services
from app.settings import load_settings
from connectors.models.factory import PlannerFactory
from domain.approvals.approval import Approval, ApprovalStatus, Via
from domain.errors import Forbidden, PilotError, Unauthorized
from domain.identity.actor import Actor, Channel, Role
from domain.outside import ExternalError
from domain.policy.governance import ExternalDecision, Verdict
from domain.ports import PlanAnswer, Planner, ProvenPerson, ToolCall, Usage
from domain.receipts.signing import Signer
from domain.runs.run import Run, Step, UncertainChoice
from domain.runs.schedules import Schedule
from domain.runs.task import Mode, Task, TaskStatus
from domain.tools.effect import Effect
from domain.tools.mcp import ToolOverride
from domain.tools.tool import Outcome, OutcomeStatus
from services.approvals.decision_point import ExternalCall
from services.approvals.external import Callback
from services.approvals.grants import GrantRequest
from services.approvals.service import ApprovalDecision
from services.container import Services
from services.installation.capabilities import CapabilityService
from services.ledger.archives import LogRange
from services.ledger.audit import AuditFilter
from services.lifecycle.requests import Question
from services.runs.tasks import NewTask
from services.tools.mcp_servers import NewServer
from simulator.launch import signed, user_field
from storage import tables
from tests.databases import fresh_url
from tests.kit import RecordingTool, Script, breaks_after_sending
from tests.mcp_server import command

BEGAN = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)
TOKEN = "7000000001:" + "A" * 35
KEY = base64.b64encode(bytes(range(32))).decode()
NEXT_KEY = bytes(range(32, 64))
NOTE = ToolCall(tool="note.create", args={"title": "A note"})
SEND = ToolCall(tool="send", args={"what": "x", "secret": "s3cret"})
GOAL = "find out"


class Clock:
    """A time that passes only when it is told to."""

    def __init__(self) -> None:
        self.moment = BEGAN

    def __call__(self) -> datetime:
        return self.moment

    def pass_by(self, **time: float) -> None:
        self.moment += timedelta(**time)


class Sidecar:
    """A second opinion that is always the same."""

    async def evaluate(self, **_call: Any) -> ExternalDecision:
        return ExternalDecision(
            source="helm", verdict=Verdict.ALLOW, metadata={"helm_decision": "d-1"}, raw='{"receipt":"as it came"}'
        )


class Provider:
    """An identity provider that refuses whoever comes back."""

    async def authorize_url(self, **_attempt: str) -> str:
        return "https://login.example/"

    async def redeem(self, _code: str, **_attempt: str) -> ProvenPerson:
        raise Unauthorized("The login was not confirmed", code="oidc_refused")


class Planners(PlannerFactory):
    """Plans by the script of the task at hand, found by the task's description."""

    scripts: dict[str, Planner] = {}  # noqa: RUF012 - one story at a time

    def __call__(self, *_settings: Any) -> Any:
        scripts = self.scripts

        class OfTask:
            async def next(self, request: Any) -> PlanAnswer:
                return await scripts[request.task_description].next(request)

            def estimate(self, request: Any) -> Usage:
                return scripts[request.task_description].estimate(request)

        return OfTask()


@dataclass
class Chapter:
    """What one act wrote, in the order of writing."""

    title: str
    receipts: list[dict[str, Any]] = field(default_factory=list)
    audit: list[dict[str, Any]] = field(default_factory=list)
    events: list[dict[str, Any]] = field(default_factory=list)
    messages: list[dict[str, Any]] = field(default_factory=list)

    def line(self) -> str:
        return json.dumps(self.__dict__, ensure_ascii=False, sort_keys=True)


def _payloads(story: "Story", receipt_id: str) -> list[list[Any]]:
    p = tables.payloads.c
    query = sa.select(p.kind, p.salt, p.body).where(p.receipt_id == receipt_id).order_by(p.kind)
    return [list(row) for row in story.rows(query)]


@dataclass
class Story:
    """The services of an installation, its people, and what has been read of what they wrote."""

    parts: Runtime
    clock: Clock
    chapters: list[Chapter] = field(default_factory=list)
    people: dict[str, Actor] = field(default_factory=dict)
    seen: dict[str, int] = field(default_factory=dict)
    deeds: dict[str, RecordingTool] = field(default_factory=dict)

    @property
    def services(self) -> Services:
        return self.parts.services

    @property
    def ada(self) -> Actor:
        """The owner, who proved a moment ago who she is."""
        return replace(self.people["ada"], fresh_at=self.clock())

    def rows(self, query: Any) -> list[Any]:
        return self.services.store.read_here(lambda tx: tx.all(query))

    def told(self, title: str) -> None:
        """Close a chapter: what has been written since the last one belongs to it. A minute passes."""
        chapter = Chapter(title)
        for row in self._new(tables.receipts):
            chapter.receipts.append({"leaf": row["leaf"].decode(), "payloads": _payloads(self, row["id"])})
        for row in self._new(tables.audit_log):
            chapter.audit.append({k: v for k, v in row.items() if k not in ("id", "created_at")})
        for row in self._new(tables.events):
            chapter.events.append({k: row[k] for k in ("workspace_id", "seq", "kind", "ref", "payload")})
        for row in self._new(tables.outbox):
            kept = {k: row[k] for k in ("workspace_id", "channel", "recipient", "payload", "dedupe_key")}
            # what is sealed is another text each time
            kept["payload"] = {k: v for k, v in kept["payload"].items() if k != "sealed"}
            chapter.messages.append(kept)
        self.chapters.append(chapter)
        self.clock.pass_by(minutes=1)

    def _new(self, table: sa.Table) -> Iterator[dict[str, Any]]:
        number = sa.literal_column("rowid").label("row_number")
        query = sa.select(number, *table.c).where(number > self.seen.get(table.name, 0)).order_by(number)
        for row in self.rows(query):
            found = dict(row._mapping)
            self.seen[table.name] = found.pop("row_number")
            yield found

    # --- runs -------------------------------------------------------------------------------------

    async def begin(self, *calls: ToolCall | PlanAnswer | Exception, **new: Any) -> Task:
        """A task that makes these calls, with its run queued."""
        number = len(Planners.scripts)
        Planners.scripts[f"script {number}"] = Script(calls)
        wanted = NewTask(title=f"Task {number}", description=f"script {number}", auto_run=True, **new)
        return await self.services.tasks.create(self.ada, wanted)

    async def run_of(self, task_id: str) -> tuple[Run, list[Step]]:
        [(run, steps), *_] = await self.services.runs.steps_of_task(self.ada, task_id)
        return run, list(steps)

    async def go(self, task: Task | str) -> tuple[Run, list[Step]]:
        """Work on the task's newest run while it is queued."""
        task_id = task if isinstance(task, str) else task.id
        while True:
            run, steps = await self.run_of(task_id)
            if run.state != "queued":
                return run, steps
            await self.services.runs.advance(run.id, run.segment)

    async def pending(self) -> Approval:
        [approval] = await self.services.approvals.list(self.ada, status="pending")
        return approval

    async def decide(self, status: ApprovalStatus, *, by: str = "ada", **more: Any) -> Approval:
        approval = await self.pending()
        actor = self.ada if by == "ada" else self.people[by]
        done = await self.services.approvals.resolve(
            actor, approval.id, ApprovalDecision(status=status, via=Via.API, **more)
        )
        return done.approval

    async def settings(self, **sections: Any) -> None:
        await self.services.settings.change(self.ada, sections)

    def known_in_chat(self, kind: str, ref: str, message_id: int) -> Any:
        """A message that shows something, as the bot would have noted it."""
        return self.services.store.write(
            lambda tx: tx.execute(
                sa.insert(tables.chat_messages).values(
                    id=f"{kind}-{message_id}",
                    workspace_id=self.ada.workspace_id,
                    kind=kind,
                    ref=ref,
                    chat_id=7,
                    message_id=message_id,
                    user_id=self.ada.user_id,
                    shown="",
                    created_at=self.clock(),
                )
            )
        )


async def breaks(_count: int) -> None:
    raise breaks_after_sending()


async def _people(story: Story) -> None:
    services = story.services
    asked = await services.email_login.request("ada@example.com")
    story.told("a code is asked for")
    try:
        await services.email_login.verify("ada@example.com", "no code", ip="", agent="")
    except PilotError:
        story.told("a wrong code")
    login = await services.email_login.verify("ada@example.com", asked.code, ip="10.0.0.1", agent="Agent")
    story.told("a login by mail, the first of a person")
    story.people["ada"] = Actor(
        user_id=login.user.id,
        name="Ada",
        channel=Channel.EMAIL,
        workspace_id=login.workspace.id,
        role=Role.OWNER,
        fresh_at=story.clock(),
    )
    await services.sessions.logout(login.token)
    story.told("a logout")
    fields = {"auth_date": str(int(story.clock().timestamp())), "user": user_field({"id": 7, "first_name": "Ada"})}
    await services.store.write(
        lambda tx: tx.execute(
            sa.update(tables.users).where(tables.users.c.id == login.user.id).values(telegram_id=7, chat_open=True)
        )
    )
    await services.telegram_login.login(signed(TOKEN, fields), ip="", agent="")
    story.told("a login by launch data")
    try:
        await services.telegram_login.login("auth_date=1&hash=0", ip="", agent="")
    except PilotError:
        story.told("launch data that is none")
    proven = ProvenPerson(subject="s-1", telegram_id=None, name="Eve", username=None, photo_url=None)
    eve = await services.telegram_login.login_proven(proven, ip="", agent="")
    story.told("a login by an identity provider")
    assert services.browser_login is not None
    left = await services.browser_login.start()
    try:
        await services.browser_login.finish(code="c", state="wrong", binding=left.binding, ip="", agent="")
    except Unauthorized:
        story.told("a login in a browser that fails")
    await services.sessions.revoke(
        Actor(user_id=eve.user.id, name="Eve", channel=Channel.OIDC, workspace_id=eve.workspace.id), None
    )
    story.told("all logins of a person ended")
    for name, role in (("bob", Role.PARTNER), ("cleo", Role.MEMBER)):
        invite, token, _ = await services.invites.create(story.ada, role=role, email=None)
        story.told(f"an invitation of {name}")
        user = await services.store.write(
            lambda tx, name=name: services.people.of_address(tx, f"{name}@example.com")  # type: ignore[misc]
        )
        guest = Actor(user_id=user.id, name=name, channel=Channel.EMAIL)
        story.people[name] = await services.invites.accept(guest, token)
        assert story.people[name].workspace_id == invite.workspace_id
        story.told(f"an invitation accepted by {name}")
    await services.invites.create(story.ada, role=Role.PARTNER, email="Dan@example.com")
    [open_one] = [i for i in await services.invites.of_workspace(story.ada) if i.email is not None]
    await services.invites.revoke(story.ada, open_one.id)
    story.told("an invitation taken back")
    await services.members.set_role(story.ada, story.people["cleo"].user_id, Role.PARTNER)
    story.told("another role")
    story.people["cleo"] = replace(story.people["cleo"], role=Role.PARTNER)


async def _things(story: Story) -> None:
    services, ada = story.services, story.ada
    await story.settings(policyConfig={"approvalTtlMinutes": 60})
    story.told("settings, the first time")
    await story.settings(budgetConfig={"perTaskMax": 50})
    story.told("settings, another time")
    for on in (True, False):
        await services.settings.set_kill_switch(ada, on)
        story.told(f"the kill switch: {on}")
    await services.settings.set_mode(ada, Mode.LAUNCH)
    story.told("another mode")
    await services.workspaces.rename(ada, "Works")
    story.told("another name")
    key, _, _ = await services.api_keys.create(
        ada, name="agent", role=None, scopes=["governance:evaluate", "receipts:read"], days=None
    )
    story.told("an API key")
    await services.api_keys.revoke(ada, key.id)
    story.told("an API key ended")
    await services.secrets.put(ada, "openai", "sk-something", expires_at=None)
    story.told("a secret stored")
    await services.secrets.remove(ada, "openai")
    story.told("a secret deleted")
    note, _ = await services.knowledge.write(ada, title="T", body="B", tags=["x"])
    story.told("knowledge written")
    await services.knowledge.change(ada, note.id, body="C")
    story.told("knowledge changed")
    await services.knowledge.remove(ada, note.id)
    story.told("knowledge removed")
    operator = await services.operators.create(ada, name="Grace", role="ops", goal="G", constraints=["c"], tools=())
    story.told("an operator")
    await services.operators.update(ada, operator.id, {"goal": "H", "is_active": True})
    story.told("an operator changed")
    await services.audit.refused(workspace_id=ada.workspace_id, actor="anonymous", route="GET /api/x", code="forbidden")
    story.told("a request refused")
    async for _ in services.audit.export(ada, AuditFilter()):
        pass
    story.told("the audit log exported")
    for part in (None, LogRange(start=0, end=3, since=BEGAN)):
        with await services.archives.export(ada, part):
            story.told("the log exported" if part is None else "a part of the log exported")
    await CapabilityService(services.store, services.health, story.clock).record(
        services.recorder, name="receipts", passed=True, details={"a": 1}, version="1.2.3"
    )
    story.told("an evaluation")


async def _tool_servers(story: Story) -> None:
    services, ada = story.services, story.ada
    server = await services.mcp.add(ada, NewServer(name="world", program="world"))
    story.told("a tool server added")
    server = await services.mcp.refresh(ada, server.id)
    story.told("a tool server asked again")
    tool = server.tools[0]
    word = ToolOverride(effect=Effect.E1, idempotent=True, enabled=True, digest=tool.digest)
    await services.mcp.set_tool(ada, server.id, tool.name, word)
    story.told("a tool of a server set")
    await services.mcp.set_enabled(ada, server.id, enabled=False)
    story.told("a tool server disabled")
    await services.mcp.set_enabled(ada, server.id, enabled=True)
    story.told("a tool server enabled")
    await services.mcp.set_secret(ada, server.id, None)
    story.told("the secret of a tool server removed")
    await services.mcp.remove(ada, server.id)
    story.told("a tool server removed")


async def _tasks(story: Story) -> None:
    services, ada = story.services, story.ada
    task = await services.tasks.create(ada, NewTask(title="Plain", description="words"))
    story.told("a task")
    try:
        await services.tasks.create(ada, NewTask(title="Theirs", operator_id="00000000-0000-7000-8000-00000000ffff"))
    except Forbidden:
        story.told("a task for an operator of somebody else")
    await services.tasks.update(ada, task.id, {"title": "Plainer", "priority": 3})
    story.told("a task changed")
    await services.tasks.set_status(ada, task.id, TaskStatus.COMPLETED)
    story.told("a task's status by hand")
    await services.tasks.delete(ada, task.id)
    story.told("a task deleted")
    Planners.scripts["every day"] = Script([])
    daily = Schedule.from_json({"cron": "0 10 * * *"})
    task = await services.tasks.create(ada, NewTask(title="Daily", description="every day", schedule=daily))
    story.clock.pass_by(days=1)
    await services.tasks.sweep_scheduled()
    await services.tasks.update(ada, task.id, {"paused": True})
    await story.go(task)
    story.told("a run at its time")


async def _runs(story: Story) -> None:
    services = story.services
    task = await story.begin(
        NOTE,
        ToolCall(tool="http.get", args={"url": "http://127.0.0.1:1/"}),
        ToolCall(tool="no.such", args={}),
        ToolCall(tool="note.create", args={}),
        ToolCall(tool="read", args={"what": "x"}),
    )
    story.told("a task with its run")
    await story.go(task)
    story.told("a run: allowed, failed, malformed twice, done")
    story.deeds["read"].behave = breaks
    task = await story.begin(ToolCall(tool="read", args={}))
    await story.go(task)
    story.deeds["read"].behave = None
    story.told("a call outside that fails and is harmless")
    await story.settings(policyConfig={"toolBlocklist": ["read"]})
    task = await story.begin(ToolCall(tool="read", args={"what": "y"}))
    await story.go(task)
    await story.settings(policyConfig={"toolBlocklist": []})
    story.told("a call denied")
    task = await story.begin(PlanAnswer(blocked="nothing fits", blocked_code="no_model"))
    await story.go(task)
    story.told("a run that is blocked")
    task = await story.begin(NOTE, NOTE, iteration_budget=1)
    await story.go(task)
    story.told("a run that used its steps")
    paid = PlanAnswer(call=NOTE, usage=Usage(model="m", tokens_in=10, tokens_out=5, cost_micros=40_000, calls=1))
    task = await story.begin(paid, paid)
    await story.go(task)
    story.told("a run that costs something")
    task = await story.begin(ExternalError("no such model", code="gone", retryable=False))
    await story.go(task)
    story.told("a run whose planner cannot be asked")
    task = await story.begin(ExternalError("busy", code="busy", retryable=True))
    await story.go(task)
    story.told("a run that tries again later")
    await services.runs.cancel(story.ada, task.id)
    story.told("a waiting run cancelled")
    later = (story.clock() + timedelta(minutes=5)).isoformat()
    task = await story.begin(ToolCall(tool="wait.until", args={"time": later}), NOTE)
    await story.go(task)
    story.told("a run that waits for a time")
    story.clock.pass_by(minutes=10)
    await services.runs.sweep_due()
    await story.go(task)
    story.told("a run woken")
    task = await story.begin(NOTE, deadline_at=story.clock() + timedelta(minutes=5))
    story.clock.pass_by(minutes=10)
    await services.runs.sweep_due()
    story.told("a run past its deadline")
    task = await story.begin(NOTE)
    await services.tasks.delete(story.ada, task.id)
    story.told("a task deleted with its run")
    task = await story.begin(NOTE)
    await services.tasks.set_status(story.ada, task.id, TaskStatus.PENDING)
    story.told("a task taken out of the queue")
    Planners.scripts["in chat"] = Script([NOTE, ToolCall(tool="message.send", args={"text": "hello"})], expected=10)
    task = await services.tasks.create(
        story.ada, NewTask(title="Chat", description="in chat", auto_run=True, origin={"channel": "chat", "chatId": 7})
    )
    await story.go(task)
    story.told("a run that came from a chat and asks a model")
    task = await story.begin(NOTE)
    run, _ = await story.run_of(task.id)
    await services.engine.purge([(run.id, run.segment)])
    story.clock.pass_by(minutes=10)
    await services.runs.sweep_lost()
    await story.go(task)
    story.told("a run the engine had lost")


async def _handed_on(story: Story) -> None:
    Planners.scripts[GOAL] = Script([NOTE])
    task = await story.begin(ToolCall(tool="operator.delegate", args={"operator": "Grace", "goal": GOAL, "title": "B"}))
    run, steps = await story.go(task)
    story.told("work handed on")
    [child] = await story.services.runs.children(story.ada, run, steps)
    await story.go(child.task_id)
    await story.go(task)
    story.told("work that came back")
    task = await story.begin(ToolCall(tool="operator.delegate", args={"operator": "Grace", "goal": GOAL}))
    await story.go(task)
    await story.services.runs.cancel(story.ada, task.id)
    story.told("a run cancelled with the one below it")


async def _asked(story: Story) -> None:
    services = story.services
    task = await story.begin(SEND)
    await story.go(task)
    story.told("a question")
    await story.known_in_chat("approval", (await story.pending()).id, 1)
    approval = await story.pending()
    await services.approvals.edit(story.ada, approval.id, args={"what": "z", "secret": "[hidden]"}, version=1)
    story.told("a question edited")
    await story.decide(ApprovalStatus.APPROVED, note="fine")
    story.told("a yes")
    await story.go(task)
    story.told("what was approved is carried out")
    for status in (ApprovalStatus.REJECTED, ApprovalStatus.CHANGES_REQUESTED):
        task = await story.begin(SEND)
        await story.go(task)
        await story.decide(status, note="not like this")
        await story.go(task)
        story.told(f"a no: {status}")
    task = await story.begin(SEND)
    await story.go(task)
    story.clock.pass_by(minutes=31)
    await services.approvals.sweep()
    story.told("a question brought up again")
    story.clock.pass_by(minutes=61)
    await services.approvals.sweep()
    await story.go(task)
    story.told("a question that nobody answered")
    task = await story.begin(SEND)
    await story.go(task)
    await services.runs.cancel(story.ada, task.id)
    story.told("a question withdrawn with its run")
    await story.settings(policyConfig={"undoSeconds": 60})
    task = await story.begin(SEND)
    await story.go(task)
    decided = await story.decide(ApprovalStatus.APPROVED)
    story.told("a yes that can be undone")
    story.clock.moment -= timedelta(seconds=30)
    await services.approvals.undo(story.ada, decided.id)
    await story.go(task)
    story.told("a yes undone")
    story.clock.pass_by(minutes=2)
    task = await story.begin(SEND)
    await story.go(task)
    await story.decide(ApprovalStatus.APPROVED)
    story.clock.pass_by(minutes=2)
    await services.runs.sweep_due()
    await story.go(task)
    story.told("a yes that was not undone")
    await story.settings(policyConfig={"undoSeconds": 0, "approvalQuorum": 2, "approverRole": "partner"})
    task = await story.begin(SEND)
    await story.go(task)
    story.told("a question for several people")
    await story.decide(ApprovalStatus.APPROVED, by="bob")
    story.told("a vote")
    await story.decide(ApprovalStatus.APPROVED, by="cleo")
    await story.go(task)
    story.told("the vote that decides")
    await story.settings(policyConfig={"approvalQuorum": 1, "approverRole": "owner"})


async def _allowed_from_now_on(story: Story) -> None:
    services = story.services
    task = await story.begin(SEND, SEND)
    await story.go(task)
    await story.decide(ApprovalStatus.APPROVED, grant=GrantRequest(minutes=30, max_uses=2))
    story.told("a yes from now on")
    await story.go(task)
    story.told("a call under a grant")
    [grant] = await services.approvals.grants.list(story.ada, live=False)
    await services.approvals.grants.revoke(story.ada, grant.id)
    story.told("a grant revoked")
    # what would run is not what was approved
    task = await story.begin(SEND)
    _, [step] = await story.go(task)
    await story.decide(ApprovalStatus.APPROVED)
    await services.store.write(
        lambda tx: tx.execute(
            sa.update(tables.steps).where(tables.steps.c.id == step.id).values(args={"what": "something else"})
        )
    )
    await story.go(task)
    story.told("an approval that does not fit")
    task = await story.begin(SEND)
    await story.go(task)
    await story.decide(ApprovalStatus.APPROVED)
    await story.settings(policyConfig={"toolBlocklist": ["send"]})
    await story.go(task)
    await story.settings(policyConfig={"toolBlocklist": []})
    story.told("what was approved is denied after all")
    task = await story.begin(SEND)
    await story.go(task)
    await story.decide(ApprovalStatus.APPROVED)
    with patch.dict(services.tool_registry._tools):
        del services.tool_registry._tools["send"]
        await story.go(task)
    story.told("the tool of what was approved is gone")


async def _interrupted(story: Story) -> None:
    services, send = story.services, story.deeds["send"]
    for number, choice in enumerate(UncertainChoice):
        task = await story.begin(SEND)
        await story.go(task)
        await story.decide(ApprovalStatus.APPROVED)
        send.behave = breaks
        run, [step] = await story.go(task)
        send.behave = None
        assert run.state == "uncertain"
        story.told("a call that broke off")
        await story.known_in_chat("uncertain", step.id, 10 + number)
        await services.runs.settle_uncertain(story.ada, run.id, step.id, choice, via="api")
        story.told(f"what became of it: {choice}")
        await story.go(task)
        story.told("the run goes on")
    task = await story.begin(SEND)
    await story.go(task)
    await story.decide(ApprovalStatus.APPROVED)
    send.behave = breaks
    _, [step] = await story.go(task)
    send.behave = None
    await story.known_in_chat("uncertain", step.id, 20)
    await services.runs.cancel(story.ada, task.id)
    story.told("a run cancelled while a call of it is in doubt")


async def _died(story: Story) -> None:
    """The process ends in the middle of a call, and the next one goes on."""
    for name in ("read", "twice", "asked"):
        await _interrupt(story, name, ask=name != "read")
        story.told(f"a call that a death of the process interrupted: {name}")
    task = await story.begin(SEND)
    await story.go(task)
    await story.decide(ApprovalStatus.APPROVED, grant=GrantRequest(minutes=600, this_task_only=False))
    await story.go(task)
    run = await _interrupt(story, "send", ask=False)
    _, [step] = await story.run_of(run.task_id)
    story.told("a call under a grant that a death of the process interrupted")
    await story.services.runs.settle_uncertain(story.ada, run.id, step.id, UncertainChoice.RETRY, via="chat")
    [grant] = await story.services.approvals.grants.list(story.ada)
    await story.services.approvals.grants.revoke(story.ada, grant.id)
    await story.go(run.task_id)
    story.told("a call to be made again, which has to be asked for")
    await story.decide(ApprovalStatus.REJECTED)
    await story.go(run.task_id)
    story.told("and is not made")


async def _interrupt(story: Story, name: str, *, ask: bool) -> Run:
    task = await story.begin(ToolCall(tool=name, args={"what": "x"}))
    if ask:
        await story.go(task)
        await story.decide(ApprovalStatus.APPROVED)
    run, _ = await story.run_of(task.id)
    story.deeds[name].behave = dies
    with suppress(asyncio.CancelledError):
        await story.services.runs.advance(run.id, run.segment)
    story.deeds[name].behave = None
    await story.services.runs.advance(run.id, run.segment)
    return run


async def dies(_count: int) -> None:
    raise asyncio.CancelledError


async def _second_opinion(story: Story) -> None:
    policy_service = story.services.policy_service
    object.__setattr__(policy_service, "second_opinion", Sidecar())
    task = await story.begin(NOTE)
    await story.go(task)
    object.__setattr__(policy_service, "second_opinion", None)
    story.told("a run with a second opinion")


async def _others(story: Story) -> None:
    services, ada = story.services, story.ada
    agent = Actor(
        user_id=ada.user_id,
        name="agent",
        channel=Channel.API_KEY,
        workspace_id=ada.workspace_id,
        role=Role.OWNER,
        api_key_id="00000000-0000-7000-8000-00000000aaaa",
    )
    question = Question(action="crm.update", args={"id": 7}, reason="why not", title="A title")
    callback = Callback(url="http://127.0.0.1:1/hook", secret="plain secret")
    asked = await services.gateway.ask(agent, question, callback=callback)
    story.told("a question of an agent of others")
    await story.decide(ApprovalStatus.APPROVED)
    story.told("its answer")
    await story.parts.deliveries["callbacks"].send_due()
    story.told("an answer that could not be delivered")
    asked = await services.gateway.ask(agent, question)
    await services.gateway.withdraw(agent, asked.id)
    story.told("a question taken back")
    for tool, level in (("crm.search", "E1"), ("crm.update", "E3"), ("rm.rf", "E1")):
        if tool == "rm.rf":
            await story.settings(policyConfig={"toolBlocklist": ["rm*"]})
        call = ExternalCall(
            tool=tool, effect_level=level, session="s-1", args={"q": 1}, context={"c": 2}, principal="a"
        )
        await services.decision_point.evaluate(agent, call)
        story.told(f"a decision for an agent of others: {tool}")
    call = ExternalCall(tool="crm.update", effect_level="E3", session="s-1", args={"q": 1}, context={}, principal="a")
    await story.decide(ApprovalStatus.APPROVED)
    object.__setattr__(services.policy_service, "second_opinion", Sidecar())
    await services.decision_point.evaluate(agent, call)
    object.__setattr__(services.policy_service, "second_opinion", None)
    story.told("the same call, after a yes")


async def _ends(story: Story) -> None:
    services, ada = story.services, story.ada
    task = await story.begin(SEND)
    await story.go(task)
    await services.members.remove(ada, story.people["cleo"].user_id)
    story.told("a member taken out")
    gone = await services.workspaces.create(ada, "Second")
    story.told("another workspace")
    second = Actor(
        user_id=ada.user_id, name="Ada", channel=Channel.EMAIL, workspace_id=gone.id, role=Role.OWNER, fresh_at=None
    )
    await services.workspaces.delete(second)
    story.told("a workspace closed")
    await services.workspaces.restore(ada, gone.id)
    story.told("a workspace opened again")
    await services.tenants.delete(gone.id, grace_days=1, reason="asked for")
    story.told("a workspace closed by the administrator")
    story.clock.pass_by(days=2)
    await services.erasure.purge_due()
    story.told("a workspace removed")
    made, _ = await services.tenants.create(name="Third", owner_id=ada.user_id)
    story.told("a workspace made by the administrator")
    await services.tenants.delete(made.id, grace_days=1, reason=None)
    await services.members.transfer(ada, story.people["bob"].user_id)
    story.told("a workspace handed over")
    partner = Actor(
        user_id=ada.user_id,
        name="Ada",
        channel=Channel.EMAIL,
        workspace_id=ada.workspace_id,
        role=Role.PARTNER,
        fresh_at=story.clock(),
    )
    await services.members.leave(partner)
    story.told("a member who leaves")
    bob = story.people["bob"]
    owner = Actor(
        user_id=bob.user_id, name="bob", channel=Channel.EMAIL, workspace_id=bob.workspace_id, role=Role.OWNER
    )
    await app.keys._hand_over(story.parts, Signer(NEXT_KEY))
    story.told("another key")
    # the key of this process is retired now: nothing more is signed with it
    object.__setattr__(services.ledger, "signer", Signer(NEXT_KEY))
    await services.erasure.erase_person(owner)
    story.told("a person erased")


class Retold:
    """Ids, salts and times that are the same in every telling."""

    def __init__(self) -> None:
        self._ids = itertools.count(1)
        self._bytes = itertools.count(1)

    def id(self) -> UUID:
        return UUID(int=(0x7 << 76) | (0x8 << 60) | next(self._ids))

    def token(self, size: int | None = None) -> bytes:
        return next(self._bytes).to_bytes(size or 32, "big")


@asynccontextmanager
async def _opened(folder: Path, clock: Clock) -> AsyncIterator[Story]:
    settings = load_settings(
        _env_file=None,
        pilot_data_dir=folder,
        database_url=fresh_url("sqlite", folder),
        session_secret="s" * 40,
        encryption_key=base64.b64encode(bytes(32)).decode(),
        evidence_signing_key=KEY,
        telegram_bot_token=TOKEN,
        telegram_login_client_id="7",
        telegram_login_client_secret="x",
        app_url="https://pilot.example",
        pilot_signup="open",
        pilot_mcp_stdio=(f"world={command(folder)}",),
    )
    async with open_services(settings) as parts:
        story = Story(parts, clock)
        object.__setattr__(parts.services.browser_login, "provider", Provider())
        story.deeds = {
            "send": RecordingTool("send"),
            "read": RecordingTool("read", effect=Effect.E1),
            "twice": RecordingTool("twice", idempotent=True),
            "asked": RecordingTool("asked", lookup=True),
        }
        story.deeds["asked"].found = Outcome(status=OutcomeStatus.DONE, output={"found": True})
        for deed in story.deeds.values():
            parts.services.tool_registry.add(deed)
        await parts.services.engine.start(None)
        try:
            yield story
        finally:
            await parts.services.engine.stop(grace_seconds=0)


async def chapters(folder: Path) -> list[Chapter]:
    """The whole story, told in an empty folder."""
    clock, retold = Clock(), Retold()
    Planners.scripts = {}
    with ExitStack() as stack:
        for place in (app.connections, app.container, app.keys):
            stack.enter_context(patch.object(place, "utc_now", clock))
        stack.enter_context(patch.object(app.connections, "PlannerFactory", Planners))
        stack.enter_context(patch.object(uuid_utils, "uuid7", retold.id))
        stack.enter_context(patch.object(secrets, "token_bytes", retold.token))
        async with _opened(folder, clock) as story:
            for tell in (
                _people,
                _things,
                _tool_servers,
                _tasks,
                _runs,
                _handed_on,
                _asked,
                _allowed_from_now_on,
                _interrupted,
                _died,
                _second_opinion,
                _others,
                _ends,
            ):
                await tell(story)
            return story.chapters


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as scratch:
        for told in asyncio.run(chapters(Path(scratch))):
            sys.stdout.write(told.line() + "\n")
