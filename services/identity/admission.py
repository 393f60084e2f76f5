"""Who may come in, and the workspace they are then at home in."""

import logging
from dataclasses import dataclass
from datetime import datetime

from domain.clock import Now
from domain.errors import Conflict, Forbidden, Gone, NotFound
from domain.identity.actor import Role
from domain.identity.sign_up import SignUpClosed
from domain.identity.user import User
from domain.ids import new_id
from domain.journal.people import WorkspaceCreated
from domain.runs.task import Mode
from domain.workspaces.workspace import Workspace
from services.identity.cache import IdentityCache
from services.identity.invites import Invites
from services.identity.memberships import home_of
from services.identity.sign_up import Newcomer, SignUp
from services.ledger.recorder import Recorder
from storage.database import Store
from storage.identity import user_rows
from storage.transaction import Tx
from storage.workspaces import workspace_rows

log = logging.getLogger(__name__)


@dataclass(slots=True, kw_only=True)
class Admission:
    """Every way in passes here. `sign_up` says who may come that belongs nowhere yet."""

    store: Store
    recorder: Recorder
    cache: IdentityCache
    invites: Invites
    sign_up: SignUp
    now: Now

    async def may_enter(
        self, *, email: str | None = None, telegram_id: int | None = None, invite: str | None = None
    ) -> bool:
        """Whether somebody who proves this address or account would get in: at home here, or allowed to sign up."""

        def work(tx: Tx) -> bool:
            user = user_rows.by_email(tx, email) if email is not None else None
            user = user_rows.by_telegram(tx, telegram_id) if telegram_id is not None else user
            try:
                self.check_may_enter(tx, user, email=email, telegram_id=telegram_id, invite=invite)
            except Forbidden:
                return False
            return True

        return self.sign_up.open or await self.store.read(work)

    def check_may_enter(
        self,
        tx: Tx,
        user: User | None,
        *,
        email: str | None = None,
        telegram_id: int | None = None,
        invite: str | None = None,
    ) -> None:
        """Forbidden for somebody who belongs to no open workspace and may not sign up. Every way in passes here.

        `user` is None for whom nothing is known; then `email` or `telegram_id` says what they proved. Codes:
        `sign_up_closed`, and where they came with an invite `invite_unusable` or `invite_bound`.
        """
        if self.sign_up.open or (user is not None and workspace_rows.of_user(tx, user.id)):
            return
        who = Newcomer.of(user, email=email, telegram_id=telegram_id)
        if self.sign_up.may_own(tx, who):
            return
        # not louder, and not of whom: a log of strangers is one that strangers write
        log.debug("sign_up_refused", extra={"invited": invite is not None})
        if invite is None or not self.sign_up.by_invite:
            raise SignUpClosed
        try:
            self.invites.open_for(tx, invite, email=who.email)
        except (NotFound, Conflict, Gone) as error:
            raise Forbidden(
                "this invite cannot be used: it is unknown, used or expired", code="invite_unusable"
            ) from error

    def settle_in(self, tx: Tx, user: User, *, invite: str | None = None) -> tuple[Workspace, str, bool]:
        """The person's home workspace and role; the third value is True when they had none before.

        Who has none gets a workspace of their own where that is allowed, and comes into the workspace of the invite
        otherwise; Forbidden for everybody else.
        """
        place = home_of(tx, user.id, user)
        if place is not None:
            return *place, False
        if not self.sign_up.may_own(tx, Newcomer.of(user)):
            self.check_may_enter(tx, user, invite=invite)
            assert invite is not None
            joined = self.invites.accept(tx, user, invite)
            self.cache.forget_after(tx)
            return workspace_rows.get(tx, joined.workspace_id), joined.role, True
        now = self.now()
        workspace, _ = self.create_workspace(tx, user, f"{user.name}'s Workspace"[:200], now=now)
        return workspace, Role.OWNER.value, True

    def create_workspace(
        self, tx: Tx, user: User, name: str, *, now: datetime, by: str | None = None
    ) -> tuple[Workspace, str | None]:
        """A new workspace owned by this person, and its first receipt; made by them unless `by` names a principal.

        Conflict when they own as many as one may, unless somebody else makes it.
        """
        if by is None:
            self.sign_up.check_room(tx, user.id)
        workspace = Workspace(
            id=new_id(),
            name=name,
            owner_id=user.id,
            current_mode=Mode.BUILD.value,
            compliance_frameworks=[],
            created_at=now,
            updated_at=now,
            deleted_at=None,
            purge_at=None,
        )
        workspace_rows.add(tx, workspace)
        workspace_rows.join(
            tx, member_id=new_id(), workspace_id=workspace.id, user_id=user.id, role=Role.OWNER.value, now=now
        )
        evidence = self.recorder.record(
            tx,
            WorkspaceCreated(
                workspace_id=workspace.id,
                actor=by or f"user:{user.id}",
                name=name,
                mode=workspace.current_mode,
            ),
        )
        return workspace, evidence
