"""What the bot is built from. The composition root fills it in."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from bot.links import Links
from domain.clock import Now
from domain.identity.actor import Actor
from domain.runs.task import Mode
from locales import Translator
from services.approvals.service import ApprovalService
from services.chat.inbox import InboxService
from services.chat.intake import IntakeService
from services.chat.service import ChatService
from services.platform.bus import Bus
from services.runs.service import RunService
from services.runs.tasks import TaskService
from services.workspaces.service import SettingsView

EXAMPLE = """\
1. note.create title="First note from Pilot" body="Written by the example task."
2. knowledge.search query="First note"
3. finish summary="The note is kept: {{steps.1.title}}. Found again: {{steps.2.count}}."
"""


class Identity(Protocol):
    """People as services.identity knows them; who may act is decided from the person, never from the chat."""

    async def of_telegram(self, telegram_user_id: int) -> Actor | None: ...

    async def may_enter(self, *, telegram_id: int) -> bool:
        """Whether this account is at home here, or may sign up without an invite."""
        ...

    async def ensure_telegram_user(
        self,
        *,
        telegram_user_id: int,
        name: str,
        username: str | None,
        language: str | None,
        invite: str | None = None,
    ) -> Actor:
        """The person, created or brought up to date, in their workspace (created at first login), chat open.

        Forbidden for who may not sign up, with the invite of this token or without.
        """
        ...

    async def workspaces(self, actor: Actor) -> Sequence[tuple[str, str]]:
        """(id, name) of every workspace the person is in."""
        ...

    async def in_workspace(self, actor: Actor, workspace_id: str) -> Actor:
        """The person in one of their workspaces, for this once; NotFound when it is none of theirs."""
        ...

    async def switch_workspace(self, actor: Actor, workspace_id: str) -> Actor:
        """The person in another of their workspaces, which is their home in chat from now on."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class BotDeps:
    """Services the handlers use.

    `accept_invite` gives the person in the workspace they were invited to; NotFound, Gone or Conflict
    when the invite is no good. `tools` names every tool there is. `example` is the playbook of the example task.
    """

    identity: Identity
    chat: ChatService
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
