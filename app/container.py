"""The composition root: the only module that knows every concrete class."""

import asyncio
import logging
import socket
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import Any
from urllib.parse import urlsplit

from app.holding import held, holding
from app.settings import KEPT, NEXT_KEY, BadSettings, Settings
from app.store_use import Use, command_or, under_way
from connectors.cel import CelRules
from connectors.helm import HelmSidecar
from connectors.http import Guard, GuardedHttp
from connectors.login import OpenIdProvider
from connectors.mail import FileMailer, NoMailer, SmtpMailer
from connectors.mcp import McpConnector, parse_programs
from connectors.models.factory import PlannerFactory
from connectors.models.prices import PerMillion
from connectors.tools.http import HttpGet, HttpPost
from connectors.tools.mail import EmailSend
from domain.clock import utc_now
from domain.identity.initdata import key_of_token
from domain.policy.settings_schema import load
from domain.ports import Mailer
from domain.receipts.signing import KeyRing, PublicKey, Signer, parse_seed
from services.approvals.callbacks import Callbacks
from services.approvals.decision_point import DecisionPoint
from services.approvals.external import ApprovalGateway
from services.approvals.grants import GrantService
from services.approvals.service import ApprovalService
from services.chat.container import make_chat
from services.chat.inbox import InboxService
from services.chat.intake import IntakeService
from services.container import Services
from services.identity.browser_login import BrowserLogin
from services.identity.container import make_identity
from services.identity.email_login import EmailLogin
from services.identity.mail_queue import mail_queue
from services.identity.sign_up import SignUp
from services.identity.telegram_login import TelegramLogin
from services.installation.health import Health
from services.installation.usage import UsageService
from services.ledger.alarm import Alarm
from services.ledger.append import Ledger
from services.ledger.archives import ArchiveService
from services.ledger.audit import AuditService
from services.ledger.checkpoint_digest import CheckpointDigest
from services.ledger.proofs import ProofService
from services.ledger.receipts import ReceiptService
from services.ledger.recorder import Recorder
from services.ledger.replay import ReplayService
from services.ledger.verification import VerificationService
from services.ledger.watch import LedgerWatch
from services.lifecycle.container import make_lifecycle
from services.outbox.delivery import Delivery
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
from services.runs.task_tools import TaskCreate
from services.runs.tasks import TaskService
from services.runs.wiring import make_runs
from services.tools.knowledge import KnowledgeService
from services.tools.mcp_servers import McpServerService, McpTools
from services.tools.operators import OperatorService
from services.tools.registry import Finish, KnowledgeSearch, MessageSend, NoteCreate, ToolRegistry, WaitUntil
from services.workspaces.container import make_workspaces
from services.workspaces.secrets import SecretService
from storage import private
from storage.database import Store
from storage.installation.hold import Hold
from storage.installation.holds import hold_on
from storage.installation.locks import Lock, own_name
from storage.migrate import bring_up, bring_up_alone
from storage.policy import settings_rows as stored_settings
from storage.runs.engine import JobEngine
from storage.transaction import Tx
from storage.workspaces.vault import Vault

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Runtime:
    """The services with what only the process itself drives."""

    services: Services
    stopping: Stopping
    executor_id: str
    # what leaves by other ways than chat
    deliveries: Mapping[str, Delivery]
    daily: CheckpointDigest
    watch: LedgerWatch
    alarm: Alarm
    sidecar: SidecarWatch | None
    hold: Hold


def wanted_executor_id(settings: Settings) -> str:
    """A name that is the same after a restart: the engine takes up its own interrupted work by it.

    Two processes of one name would take each other's work: see `own_name`.
    """
    return settings.pilot_executor_id or f"pilot-{socket.gethostname()}"[:120]


def _secret(value: Any) -> str:
    return "" if value is None else str(value.get_secret_value())


def make_mailer(settings: Settings) -> Mailer:
    """The mailer the settings name."""
    if settings.email_provider == "smtp":
        return SmtpMailer(
            host=settings.smtp_host,
            port=settings.smtp_port,
            sender=settings.email_from,
            user=settings.smtp_user,
            password=_secret(settings.smtp_password),
            tls=settings.smtp_tls,
        )
    if settings.email_provider == "file":
        return FileMailer(folder=settings.pilot_data_dir / "mail", sender=settings.email_from, keep=private.keep)
    return NoMailer()


def installation_budget(settings: Settings) -> InstallationBudget:
    """What the settings let all workspaces together spend with the installation's own keys."""
    day, month = settings.pilot_budget_day_usd, settings.pilot_budget_month_usd
    return InstallationBudget(
        day=None if day is None else int(day * 1_000_000), month=None if month is None else int(month * 1_000_000)
    )


def make_ledger(settings: Settings) -> Ledger:
    """The ledger with the installation's keys."""
    return Ledger(
        Signer(parse_seed(_secret(settings.evidence_signing_key), strict=settings.production)),
        host=urlsplit(settings.public_url).netloc.replace(":", "-") or "localhost",
        now=utc_now,
        retiring=[Signer(parse_seed(_secret(key))) for key in settings.evidence_retiring_keys],
    )


def make_browser_login(
    settings: Settings, store: Store, telegram_login: TelegramLogin, recorder: Recorder
) -> BrowserLogin | None:
    """Telegram Login, where its client is set."""
    if not settings.telegram_login_client_id:
        return None
    issuer = urlsplit(settings.telegram_login_issuer)
    # a provider on this machine is for development: settings refuse it in production
    own = () if issuer.scheme == "https" else (f"{issuer.hostname}:{issuer.port or 80}",)
    provider = OpenIdProvider(
        GuardedHttp(allow=own),
        issuer=settings.telegram_login_issuer,
        client_id=settings.telegram_login_client_id,
        client_secret=_secret(settings.telegram_login_client_secret),
        now=utc_now,
    )
    return BrowserLogin(
        store=store,
        telegram_login=telegram_login,
        recorder=recorder,
        provider=provider,
        now=utc_now,
        redirect_uri=f"{settings.public_url}/app/",
    )


def make_sidecar(settings: Settings) -> HelmSidecar | None:
    """The client of the HELM sidecar, where one is set."""
    if not settings.helm_governance_url:
        return None
    # whoever runs the installation chose these addresses: they may lie inside
    places = [urlsplit(url) for url in (settings.helm_governance_url, settings.helm_health_url) if url]
    allow = [f"{p.hostname}:{p.port or (443 if p.scheme == 'https' else 80)}" for p in places]
    return HelmSidecar(
        http=GuardedHttp(allow=allow),
        url=settings.helm_governance_url,
        health_url=settings.helm_health_url,
        api_key=_secret(settings.helm_api_key),
        tenant_id=settings.helm_tenant_id,
        principal_id=settings.helm_principal_id,
        root=PublicKey(bytes.fromhex(settings.helm_public_key)),
        fail_closed=settings.helm_fail_closed,
    )


def wrong_key(settings: Settings, ledger: Ledger, known: KeyRing) -> str | None:
    """What is wrong with the signing key, for a ledger that knows these; None when nothing is."""
    mine = ledger.signer.key_id
    if len(known) and mine not in known:
        # a log signed by a key that nobody vouched for would not verify any more
        signs = ", ".join(sorted(record.key_id for record in known if record.retired_at is None))
        return (
            f"EVIDENCE_SIGNING_KEY: is {mine}, and this ledger is signed with {signs}: set that one (after a rotation "
            "the former one is in EVIDENCE_RETIRING_KEYS); only with it does pilot keys rotate lead to another"
        )
    if mine in known and (gone := known.record(mine).retired_at) is not None:
        # a rotation may have broken off before anybody was told
        where = f"the new one is in {settings.pilot_data_dir / NEXT_KEY}, or wherever it was put from there"
        return f"EVIDENCE_SIGNING_KEY: retired by a rotation at {gone:%Y-%m-%dT%H:%M:%SZ}; {where}"
    return None


@asynccontextmanager
async def open_services(settings: Settings, *, serving: bool = False) -> AsyncIterator[Runtime]:
    """Everything built once, in order; closed in reverse. The engine is started by the process.

    The store is held from before it is opened until after the last write. `serving` says that this process is a server.
    """
    private.narrow_folder(settings.pilot_data_dir, KEPT)
    async with AsyncExitStack() as stack:
        hold = await _hold(settings, stack, serving=serving)
        store = Store(settings.store_url)
        stack.push_async_callback(store.close)
        ledger = make_ledger(settings)
        known = await store.read(ledger.ring)
        if (wrong := wrong_key(settings, ledger, known)) is not None:
            raise BadSettings([wrong])
        if command_or("", Use.SHARED).use is not Use.READS:
            await store.write(ledger.register_key)
        damaged = await store.read(ledger.check_at_start)
        for workspace_id, why in damaged.items():
            log.error("ledger_damaged", extra={"workspace": workspace_id, "why": why})
        executor_id = wanted_executor_id(settings)
        if serving or not under_way():
            # a command starts no engine: it leaves the name to the server, which takes up its work by it
            name = await own_name(partial(Lock, store), executor_id)
            stack.push_async_callback(name.release)
            executor_id = name.name
        yield await _build(settings, stack, store, ledger, executor_id=executor_id, hold=hold)


async def _hold(settings: Settings, stack: AsyncExitStack, *, serving: bool) -> Hold:
    """The hold of the command under way, or one of our own, on a store with the schema of this code."""
    command = command_or("a program", Use.SHARED)
    upgrade = settings.run_migrations_on_startup and command.use is not Use.READS
    mine = held(settings)
    if mine is None and command.use in (Use.SHARED, Use.READS):
        what = f"{command.name} ({settings.pilot_role})" if serving else command.name
        mine = hold_on(settings.store_url, what=what)
        await asyncio.to_thread(bring_up, mine, upgrade=upgrade, serving=serving)
        stack.callback(mine.release)
    elif mine is None:
        mine = stack.enter_context(holding(settings, name=command.name, use=command.use))
        await asyncio.to_thread(bring_up_alone, settings.store_url, upgrade=upgrade)
    mine.mark()
    return mine


async def _build(
    settings: Settings,
    stack: AsyncExitStack,
    store: Store,
    ledger: Ledger,
    *,
    executor_id: str,
    hold: Hold,
) -> Runtime:
    now = utc_now
    bus = Bus()
    recorder = Recorder(ledger, bus, now)
    notifications = Notifications(bus, now)
    rules = CelRules()
    mailer = make_mailer(settings)
    host = urlsplit(settings.public_url).hostname or "localhost"
    guard = Guard(settings.pilot_http_allow)
    http = GuardedHttp(allow=settings.pilot_http_allow)
    factory = PlannerFactory(
        keys={
            "openrouter": _secret(settings.openrouter_api_key),
            "openai": _secret(settings.openai_api_key),
            "anthropic": _secret(settings.anthropic_api_key),
        },
        openai_base_url=settings.openai_base_url,
        ollama_base_url=settings.ollama_base_url,
        default_model=settings.pilot_llm_model,
        timeout=settings.pilot_llm_timeout,
        stream=settings.pilot_llm_stream,
        unknown_price=PerMillion(settings.pilot_llm_unknown_price_in, settings.pilot_llm_unknown_price_out),
        guard=guard,
    )
    stack.push_async_callback(factory.aclose)
    sidecar = make_sidecar(settings)
    watched = None if sidecar is None else SidecarWatch(store, sidecar, now, fail_closed=settings.helm_fail_closed)
    policy_service = PolicyService(rules, ledger, now, sidecar, installation_budget(settings))
    vault = Vault(_secret(settings.encryption_key))
    mcp = McpServerService(
        store, recorder, vault, McpConnector(guard, programs=parse_programs(settings.pilot_mcp_stdio)), now
    )
    tool_registry = ToolRegistry(
        [
            NoteCreate(store, now),
            KnowledgeSearch(store, now),
            MessageSend(store, now, notifications),
            WaitUntil(now),
            Finish(),
            HttpGet(http),
            HttpPost(http),
            EmailSend(mailer, domain=host),
        ],
        McpTools(mcp.client, vault),
    )
    engine = JobEngine(
        store,
        executor_id=executor_id,
        concurrency=settings.pilot_workers,
        per_workspace=settings.pilot_runs_per_workspace,
    )
    stopping = Stopping()
    lifecycle = make_lifecycle(
        engine=engine, policy_service=policy_service, recorder=recorder, notifications=notifications, now=now
    )

    secrets = SecretService(store, recorder, vault, now)

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
        planners=Planners(factory, model_settings),
        tool_registry=tool_registry,
        policy_service=policy_service,
        recorder=recorder,
        now=now,
        stopping=stopping,
    )
    tasks = TaskService(store, lifecycle, tool_registry, policy_service, recorder, now)
    tool_registry.add(TaskCreate(store, now, tasks))
    tool_registry.add(Delegate(tasks, lifecycle, tool_registry, policy_service))
    grants = GrantService(store, recorder, now)
    approvals = ApprovalService(store, lifecycle, grants, policy_service, tool_registry, recorder, notifications, now)
    identity = make_identity(
        store=store,
        recorder=recorder,
        now=now,
        bot_key=None if settings.telegram_bot_token is None else key_of_token(_secret(settings.telegram_bot_token)),
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
    email_login = EmailLogin(
        store=store,
        admission=identity.admission,
        people=identity.people,
        sessions=identity.sessions,
        recorder=recorder,
        vault=vault,
        bus=bus,
        now=now,
        secret=_secret(settings.session_secret),
        app_url=settings.public_url,
        limits=limits,
    )
    places = make_workspaces(
        store=store,
        identity=identity,
        lifecycle=lifecycle,
        recorder=recorder,
        rules=rules,
        now=now,
        app_url=settings.public_url,
    )
    alarm = Alarm(store, ledger, notifications, now)
    services = Services(
        store=store,
        engine=engine,
        bus=bus,
        ledger=ledger,
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
        email_login=email_login,
        browser_login=make_browser_login(settings, store, identity.telegram_login, recorder),
        limits=limits,
        workspaces=places.workspaces,
        settings=places.settings,
        members=places.members,
        invites=places.invites,
        erasure=places.erasure,
        tenants=places.tenants,
        tasks=tasks,
        runs=runs,
        usage=UsageService(store, now),
        approvals=approvals,
        gateway=ApprovalGateway(store, lifecycle.requests, policy_service, recorder, vault, bus, now),
        decision_point=DecisionPoint(store, policy_service, tool_registry, lifecycle.requests, recorder, ledger, now),
        operators=OperatorService(store, tool_registry, recorder, now),
        knowledge=KnowledgeService(store, recorder, now),
        receipts=ReceiptService(store=store, ledger=ledger, alarm=alarm),
        proofs=ProofService(store=store, ledger=ledger, alarm=alarm),
        archives=ArchiveService(store=store, ledger=ledger, recorder=recorder, now=now),
        replay=ReplayService(store=store, ledger=ledger, rules=rules, alarm=alarm),
        rehearsal=SimulationService(store, policy_service, tool_registry, rules, now),
        secrets=secrets,
        mcp=mcp,
        audit=AuditService(store, recorder, now, alarm),
        live=LiveService(store, bus),
        health=Health(
            store,
            engine,
            damaged_logs=ledger.damaged,
            altered=ledger.altered,
            helm=None if watched is None else watched.look,
        ),
        idempotency=IdempotencyService(store, now),
        inbox=InboxService(store, bus, now),
        intake=IntakeService(store, now),
        verification=VerificationService(store=store, ledger=ledger),
        chat=make_chat(
            store=store,
            tasks=tasks,
            lifecycle=lifecycle,
            tool_registry=tool_registry,
            notifications=notifications,
            ledger=ledger,
            now=now,
        ),
    )
    return Runtime(
        services=services,
        stopping=stopping,
        executor_id=executor_id,
        deliveries={
            "mail": mail_queue(store, bus, mailer, email_login, now, host=host),
            "callbacks": Callbacks(store, bus, http, vault, recorder, now).queue(),
        },
        daily=CheckpointDigest(store, ledger, notifications, now),
        watch=LedgerWatch(store, ledger, alarm),
        alarm=alarm,
        sidecar=watched,
        hold=hold,
    )
