"""What the bot is built from. The composition root fills it in."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any

from bot.links import Links
from domain.clock import Now
from domain.identity.actor import Actor
from domain.runs.task import Mode
from locales import Translator
from services.approvals.service import ApprovalService
from services.chat.container import ChatServices
from services.chat.inbox import InboxService
from services.chat.intake import IntakeService
from services.identity.admission import Admission
from services.identity.memberships import Memberships
from services.identity.telegram_login import TelegramLogin
from services.ledger.verification import VerificationService
from services.platform.bus import Bus
from services.runs.service import RunService
from services.runs.tasks import TaskService
from services.workspaces.settings import SettingsView

EXAMPLE = """\
1. note.create title="First note from Pilot" body="Written by the example task."
2. knowledge.search query="First note"
3. finish summary="The note is kept: {{steps.1.title}}. Found again: {{steps.2.count}}."
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class BotDeps:
    """Services the handlers use.

    `accept_invite` gives the person in the workspace they were invited to; NotFound, Gone or Conflict
    when the invite is no good. `tools` names every tool there is. `example` is the playbook of the example task.
    """

    memberships: Memberships
    admission: Admission
    telegram_login: TelegramLogin
    chat: ChatServices
    verification: VerificationService
    inbox: InboxService
    intake: IntakeService
    tasks: TaskService
    runs: RunService
    approvals: ApprovalService
    accept_invite: Callable[[Actor, str], Awaitable[Actor]]
    set_mode: Callable[[Actor, Mode], Awaitable[Any]]
    set_kill_switch: Callable[[Actor, bool], Awaitable[Any]]
    settings: Callable[[Actor], Awaitable[SettingsView]]
    change_settings: Callable[[Actor, Any], Awaitable[SettingsView]]
    tools: Callable[[], Sequence[str]]
    translator: Translator
    links: Links
    bus: Bus
    now: Now
    example: str = EXAMPLE
