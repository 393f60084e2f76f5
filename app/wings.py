"""The services put together, wing by wing: each function makes what stands on the ones before it."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from app.connections import Connections, secret_of
from app.settings import Settings
from connectors.tools.http import HttpGet, HttpPost
from connectors.tools.mail import EmailSend
from domain.clock import Now
from domain.identity.initdata import key_of_token
from domain.policy.settings_schema import load
from services.approvals.decision_point import DecisionPoint
from services.approvals.external import ApprovalGateway
from services.approvals.grants import GrantService
from services.approvals.service import ApprovalService
from services.chat.container import ChatServices, make_chat
from services.chat.inbox import InboxService
from services.chat.intake import IntakeService
from services.container import Services
from services.identity.browser_login import BrowserLogin
from services.identity.container import IdentityServices, make_identity
from services.identity.email_login import EmailLogin
from services.identity.sign_up import SignUp
from services.installation.health import Health
from services.installation.usage import UsageService
from services.ledger.alarm import Alarm
from services.ledger.append import Ledger
from services.ledger.archives import ArchiveService
from services.ledger.audit import AuditService
from services.ledger.proofs import ProofService
from services.ledger.receipts import ReceiptService
from services.ledger.recorder import Recorder
from services.ledger.replay import ReplayService
from services.ledger.verification import VerificationService
from services.lifecycle.container import Lifecycle, make_lifecycle
from services.outbox.notifications import Notifications
from services.platform.bus import Bus
from services.platform.idempotency import IdempotencyService
from services.platform.limits import Limits
from services.platform.live import LiveService
from services.policy.budgets import InstallationBudget
from services.policy.service import PolicyService
from services.policy.sidecar import SidecarWatch
from services.policy.simulation import SimulationService
from services.runs.delegation import Delegate
from services.runs.planners import Planners
from services.runs.segment import Stopping
from services.runs.service import RunService
from services.runs.task_tools import TaskCreate
from services.runs.tasks import TaskService
from services.runs.wiring import make_runs
from services.tools.knowledge import KnowledgeService
from services.tools.mcp_servers import McpServerService, McpTools
from services.tools.operators import OperatorService
from services.tools.registry import Finish, KnowledgeSearch, MessageSend, NoteCreate, ToolRegistry, WaitUntil
from services.workspaces.container import WorkspaceServices, make_workspaces
from services.workspaces.secrets import SecretService
from storage.database import Store
from storage.policy import settings_rows as stored_settings
from storage.runs.engine import JobEngine
from storage.transaction import Tx
from storage.workspaces.vault import Vault


@dataclass(frozen=True, slots=True, kw_only=True)
class Base:
    """What every wing stands on: the store, the ledger, and what is told of what is written there."""

    store: Store
    ledger: Ledger
    bus: Bus
    recorder: Recorder
    notifications: Notifications
    alarm: Alarm
    vault: Vault
    now: Now


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """What decides, and the sidecar that is asked too."""

    policy_service: PolicyService
    sidecar: SidecarWatch | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Tools:
    """What operators can do, the installation's own and those of tool servers."""

    tool_registry: ToolRegistry
    mcp: McpServerService


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """Tasks, their runs, and the engine that drives them."""

    engine: JobEngine
    stopping: Stopping
    lifecycle: Lifecycle
    secrets: SecretService
    runs: RunService
    tasks: TaskService


@dataclass(frozen=True, slots=True, kw_only=True)
class People:
    """Who there is, how they get in, and where they work."""

    identity: IdentityServices
    limits: Limits
    email_login: EmailLogin
    browser_login: BrowserLogin | None
    places: WorkspaceServices


def installation_budget(settings: Settings) -> InstallationBudget:
    """What the settings let all workspaces together spend with the installation's own keys."""
    day, month = settings.pilot_budget_day_usd, settings.pilot_budget_month_usd
    return InstallationBudget(
        day=None if day is None else int(day * 1_000_000), month=None if month is None else int(month * 1_000_000)
    )


def make_base(settings: Settings, *, store: Store, ledger: Ledger, now: Now) -> Base:
    """Made first."""
    bus = Bus()
    notifications = Notifications(bus, now)
    return Base(
        store=store,
        ledger=ledger,
        bus=bus,
        recorder=Recorder(ledger, bus, now),
        notifications=notifications,
        alarm=Alarm(store, ledger, notifications, now),
        vault=Vault(secret_of(settings.encryption_key)),
        now=now,
    )


def make_policy(settings: Settings, *, base: Base, connections: Connections) -> Policy:
    """The policy with the installation's budget."""
    sidecar = connections.sidecar
    policy_service = PolicyService(connections.rules, base.ledger, base.now, sidecar, installation_budget(settings))
    watched = (
        None if sidecar is None else SidecarWatch(base.store, sidecar, base.now, fail_closed=settings.helm_fail_closed)
    )
    return Policy(policy_service=policy_service, sidecar=watched)


def make_tools(*, base: Base, connections: Connections) -> Tools:
    """The tools that need no task. `make_work` adds those that do."""
    store, now, http = base.store, base.now, connections.http
    mcp = McpServerService(store, base.recorder, base.vault, connections.mcp, now)
    tool_registry = ToolRegistry(
        [
            NoteCreate(store, now),
            KnowledgeSearch(store, now),
            MessageSend(store, now, base.notifications),
            WaitUntil(now),
            Finish(),
            HttpGet(http),
            HttpPost(http),
            EmailSend(connections.mailer, domain=connections.host),
        ],
        McpTools(mcp.client, base.vault),
    )
    return Tools(tool_registry=tool_registry, mcp=mcp)


def make_work(
    settings: Settings,
    *,
    base: Base,
    connections: Connections,
    policy_service: PolicyService,
    tool_registry: ToolRegistry,
    executor_id: str,
) -> Work:
    """The engine with the segments it drives; it is started by the process."""
    store, recorder, now = base.store, base.recorder, base.now
    engine = JobEngine(
        store,
        executor_id=executor_id,
        concurrency=settings.pilot_workers,
        per_workspace=settings.pilot_runs_per_workspace,
    )
    stopping = Stopping()
    lifecycle = make_lifecycle(
        engine=engine, policy_service=policy_service, recorder=recorder, notifications=base.notifications, now=now
    )
    secrets = SecretService(store, recorder, base.vault, now)

    async def model_settings(workspace_id: str) -> tuple[dict[str, Any], str | None]:
        def work(tx: Tx) -> tuple[dict[str, Any], str | None]:
            stored = stored_settings.get(tx, workspace_id)
            model = load(stored.policy, stored.budget, stored.model).model
            return model.as_json(), secrets.model_key(tx, workspace_id, model.provider)

        return await store.read(work)

    runs = make_runs(
        store=store,
        engine=engine,
        lifecycle=lifecycle,
        planners=Planners(connections.planners, model_settings),
        tool_registry=tool_registry,
        policy_service=policy_service,
        recorder=recorder,
        now=now,
        stopping=stopping,
    )
    tasks = TaskService(store, lifecycle, tool_registry, policy_service, recorder, now)
    tool_registry.add(TaskCreate(store, now, tasks))
    tool_registry.add(Delegate(tasks, lifecycle, tool_registry, policy_service))
    return Work(engine=engine, stopping=stopping, lifecycle=lifecycle, secrets=secrets, runs=runs, tasks=tasks)


def make_people(settings: Settings, *, base: Base, connections: Connections, lifecycle: Lifecycle) -> People:
    """The ways in, and the workspaces they lead to."""
    store, recorder, now = base.store, base.recorder, base.now
    token = settings.telegram_bot_token
    identity = make_identity(
        store=store,
        recorder=recorder,
        now=now,
        bot_key=None if token is None else key_of_token(secret_of(token)),
        init_data_max_age=timedelta(seconds=settings.telegram_init_data_max_age),
        # one process knows of every change at once; several trust what they remember for two seconds
        cache_seconds=2.0 if store.sqlite is None else 30.0,
        sign_up=SignUp(settings.sign_up),
    )
    limits = Limits(
        store,
        {
            "auth": settings.rate_limit_auth,
            "task": settings.rate_limit_task,
            "default": settings.rate_limit_default,
            "page": settings.rate_limit_page,
            "workspace": settings.rate_limit_workspace,
        },
        shared=store.sqlite is None,
        enabled=settings.rate_limits_enabled,
    )
    login, back = connections.login, f"{settings.public_url}/app/"
    return People(
        identity=identity,
        limits=limits,
        email_login=EmailLogin(
            store=store,
            admission=identity.admission,
            people=identity.people,
            sessions=identity.sessions,
            recorder=recorder,
            vault=base.vault,
            bus=base.bus,
            now=now,
            secret=secret_of(settings.session_secret),
            app_url=settings.public_url,
            limits=limits,
        ),
        browser_login=None
        if login is None
        else BrowserLogin(
            store=store,
            telegram_login=identity.telegram_login,
            recorder=recorder,
            provider=login,
            now=now,
            redirect_uri=back,
        ),
        places=make_workspaces(
            store=store,
            identity=identity,
            lifecycle=lifecycle,
            recorder=recorder,
            rules=connections.rules,
            now=now,
            app_url=settings.public_url,
        ),
    )


def make_approvals(
    *, base: Base, policy_service: PolicyService, tool_registry: ToolRegistry, lifecycle: Lifecycle
) -> ApprovalService:
    """Where people decide."""
    return ApprovalService(
        store=base.store,
        lifecycle=lifecycle,
        grants=GrantService(base.store, base.recorder, base.now),
        policy_service=policy_service,
        tool_registry=tool_registry,
        recorder=base.recorder,
        notifications=base.notifications,
        now=base.now,
    )


def make_gateway(*, base: Base, policy_service: PolicyService, lifecycle: Lifecycle) -> ApprovalGateway:
    """Where agents that are not ours ask people."""
    return ApprovalGateway(
        store=base.store,
        requests=lifecycle.requests,
        policy_service=policy_service,
        recorder=base.recorder,
        vault=base.vault,
        bus=base.bus,
        now=base.now,
    )


def make_decision_point(
    *, base: Base, policy_service: PolicyService, tool_registry: ToolRegistry, lifecycle: Lifecycle
) -> DecisionPoint:
    """Where agents that are not ours ask the policy."""
    return DecisionPoint(
        store=base.store,
        policy_service=policy_service,
        tool_registry=tool_registry,
        requests=lifecycle.requests,
        recorder=base.recorder,
        ledger=base.ledger,
        now=base.now,
    )


def make_chat_of(*, base: Base, work: Work, tool_registry: ToolRegistry) -> ChatServices:
    """What the bot asks of the rest."""
    return make_chat(
        store=base.store,
        tasks=work.tasks,
        lifecycle=work.lifecycle,
        tool_registry=tool_registry,
        notifications=base.notifications,
        ledger=base.ledger,
        now=base.now,
    )


def make_health(*, base: Base, work: Work, policy: Policy) -> Health:
    """Whether all of it is well."""
    return Health(
        base.store,
        work.engine,
        damaged_logs=base.ledger.damaged,
        altered=base.ledger.altered,
        helm=None if policy.sidecar is None else policy.sidecar.look,
    )


def make_services(
    *, base: Base, connections: Connections, policy: Policy, tools: Tools, work: Work, people: People
) -> Services:
    """Every use case, over the wings."""
    store, recorder, now, rules = base.store, base.recorder, base.now, connections.rules
    policy_service, tool_registry, lifecycle = policy.policy_service, tools.tool_registry, work.lifecycle
    identity, places = people.identity, people.places
    return Services(
        store=store,
        engine=work.engine,
        bus=base.bus,
        ledger=base.ledger,
        recorder=recorder,
        policy_service=policy_service,
        tool_registry=tool_registry,
        identity_cache=identity.cache,
        authentication=identity.authentication,
        sessions=identity.sessions,
        memberships=identity.memberships,
        admission=identity.admission,
        people=identity.people,
        telegram_login=identity.telegram_login,
        api_keys=identity.api_keys,
        email_login=people.email_login,
        browser_login=people.browser_login,
        limits=people.limits,
        workspaces=places.workspaces,
        settings=places.settings,
        members=places.members,
        invites=places.invites,
        erasure=places.erasure,
        tenants=places.tenants,
        tasks=work.tasks,
        runs=work.runs,
        usage=UsageService(store, now),
        approvals=make_approvals(
            base=base, policy_service=policy_service, tool_registry=tool_registry, lifecycle=lifecycle
        ),
        gateway=make_gateway(base=base, policy_service=policy_service, lifecycle=lifecycle),
        decision_point=make_decision_point(
            base=base, policy_service=policy_service, tool_registry=tool_registry, lifecycle=lifecycle
        ),
        operators=OperatorService(store, tool_registry, recorder, now),
        knowledge=KnowledgeService(store, recorder, now),
        receipts=ReceiptService(store=store, ledger=base.ledger, alarm=base.alarm),
        proofs=ProofService(store=store, ledger=base.ledger, alarm=base.alarm),
        archives=ArchiveService(store=store, ledger=base.ledger, recorder=recorder, now=now),
        replay=ReplayService(store=store, ledger=base.ledger, rules=rules, alarm=base.alarm),
        rehearsal=SimulationService(store, policy_service, tool_registry, rules, now),
        secrets=work.secrets,
        mcp=tools.mcp,
        audit=AuditService(store, recorder, now, base.alarm),
        live=LiveService(store, base.bus),
        health=make_health(base=base, work=work, policy=policy),
        idempotency=IdempotencyService(store, now),
        inbox=InboxService(store, base.bus, now),
        intake=IntakeService(store, now),
        verification=VerificationService(store=store, ledger=base.ledger),
        chat=make_chat_of(base=base, work=work, tool_registry=tool_registry),
    )
