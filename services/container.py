"""Everything that can be done, in one frozen value built once by the composition root."""

from dataclasses import dataclass

from services.approvals.decision_point import DecisionPoint
from services.approvals.external import ApprovalGateway
from services.approvals.service import ApprovalService
from services.audit import AuditService
from services.browser_login import BrowserLogin
from services.bus import Bus
from services.chat import ChatService
from services.email_login import EmailLogin
from services.governor import Governor
from services.health import Health
from services.idempotency import IdempotencyService
from services.identity import IdentityService
from services.inbox import InboxService
from services.intake import IntakeService
from services.knowledge import KnowledgeService
from services.ledger import Ledger
from services.limits import Limits
from services.live import LiveService
from services.mcp_servers import McpServerService
from services.operators import OperatorService
from services.receipts import ReceiptService
from services.recorder import Recorder
from services.rehearsal import RehearsalService
from services.runs.service import RunService
from services.runs.tasks import TaskService
from services.secrets import SecretService
from services.tenants import TenantService
from services.toolbox import Toolbox
from services.usage import UsageService
from services.workspaces import WorkspaceService
from storage.database import Store
from storage.engine import JobEngine


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """The use cases of one installation."""

    store: Store
    engine: JobEngine
    bus: Bus
    ledger: Ledger
    recorder: Recorder
    governor: Governor
    toolbox: Toolbox
    identity: IdentityService
    email_login: EmailLogin
    browser_login: BrowserLogin | None
    limits: Limits
    workspaces: WorkspaceService
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
    rehearsal: RehearsalService
    secrets: SecretService
    mcp: McpServerService
    audit: AuditService
    live: LiveService
    health: Health
    idempotency: IdempotencyService
    inbox: InboxService
    intake: IntakeService
    chat: ChatService
