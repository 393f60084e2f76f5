"""Everything that can be done, in one frozen value built once by the composition root."""

from dataclasses import dataclass

from services.approvals.decision_point import DecisionPoint
from services.approvals.external import ApprovalGateway
from services.approvals.service import ApprovalService
from services.chat.container import ChatServices
from services.chat.inbox import InboxService
from services.chat.intake import IntakeService
from services.identity.admission import Admission
from services.identity.api_keys import ApiKeys
from services.identity.authenticate import Authentication
from services.identity.browser_login import BrowserLogin
from services.identity.cache import IdentityCache
from services.identity.email_login import EmailLogin
from services.identity.memberships import Memberships
from services.identity.people import People
from services.identity.sessions import Sessions
from services.identity.telegram_login import TelegramLogin
from services.installation.health import Health
from services.installation.usage import UsageService
from services.ledger.append import Ledger
from services.ledger.archives import ArchiveService
from services.ledger.audit import AuditService
from services.ledger.proofs import ProofService
from services.ledger.receipts import ReceiptService
from services.ledger.recorder import Recorder
from services.ledger.replay import ReplayService
from services.ledger.verification import VerificationService
from services.platform.bus import Bus
from services.platform.idempotency import IdempotencyService
from services.platform.limits import Limits
from services.platform.live import LiveService
from services.policy.service import PolicyService
from services.policy.simulation import SimulationService
from services.runs.service import RunService
from services.runs.tasks import TaskService
from services.tools.knowledge import KnowledgeService
from services.tools.mcp_servers import McpServerService
from services.tools.operators import OperatorService
from services.tools.registry import ToolRegistry
from services.workspaces.erasure import ErasureService
from services.workspaces.invites import InviteService
from services.workspaces.members import MemberService
from services.workspaces.secrets import SecretService
from services.workspaces.service import WorkspaceService
from services.workspaces.settings import SettingsService
from services.workspaces.tenants import TenantService
from storage.database import Store
from storage.runs.engine import JobEngine


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """The use cases of one installation."""

    store: Store
    engine: JobEngine
    bus: Bus
    ledger: Ledger
    recorder: Recorder
    policy_service: PolicyService
    tool_registry: ToolRegistry
    identity_cache: IdentityCache
    authentication: Authentication
    sessions: Sessions
    memberships: Memberships
    admission: Admission
    people: People
    telegram_login: TelegramLogin
    api_keys: ApiKeys
    email_login: EmailLogin
    browser_login: BrowserLogin | None
    limits: Limits
    workspaces: WorkspaceService
    settings: SettingsService
    members: MemberService
    invites: InviteService
    erasure: ErasureService
    tenants: TenantService
    tasks: TaskService
    runs: RunService
    usage: UsageService
    approvals: ApprovalService
    gateway: ApprovalGateway
    decision_point: DecisionPoint
    operators: OperatorService
    knowledge: KnowledgeService
    receipts: ReceiptService
    proofs: ProofService
    archives: ArchiveService
    replay: ReplayService
    rehearsal: SimulationService
    secrets: SecretService
    mcp: McpServerService
    audit: AuditService
    live: LiveService
    health: Health
    idempotency: IdempotencyService
    inbox: InboxService
    intake: IntakeService
    chat: ChatServices
    verification: VerificationService
