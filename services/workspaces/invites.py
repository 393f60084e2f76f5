"""Invites into a workspace: made, revoked, and accepted by who comes with one."""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta

from domain.clock import Now
from domain.errors import Invalid, NotFound
from domain.identity.actor import Actor, Role
from domain.identity.invite import Invite
from domain.identity.permissions import Action, require
from domain.identity.user import User
from domain.ids import new_id
from domain.journal.people import InviteCreated, InviteRevoked
from services.identity.admission import Admission
from services.identity.email_login import normal_address
from services.identity.memberships import Memberships
from services.identity.sessions import Login
from services.ledger.recorder import Recorder
from storage.database import Store
from storage.identity import invite_rows, user_rows
from storage.transaction import Tx
from storage.workspaces.vault import hash_token

INVITE_LIFE = timedelta(days=7)


@dataclass(frozen=True, slots=True, kw_only=True)
class InviteService:
    """Use cases about invites; what one opens, and to whom, is decided in `services.identity.invites`."""

    store: Store
    admission: Admission
    memberships: Memberships
    recorder: Recorder
    now: Now
    app_url: str

    async def create(self, actor: Actor, *, role: Role, email: str | None) -> tuple[Invite, str, str | None]:
        """A single-use invitation, its token (shown once) and the evidence id; bound to the address if one is given."""
        require(actor, Action.MEMBER_INVITE)
        if role is Role.OWNER:
            raise Invalid.field("role", "must be partner or member")
        bound = None if email is None else normal_address(email)
        token = secrets.token_urlsafe(32)

        def work(tx: Tx) -> tuple[Invite, str, str | None]:
            now = self.now()
            invite = Invite(
                id=new_id(),
                workspace_id=actor.in_workspace,
                token_hash=hash_token(token),
                role=role.value,
                email=bound,
                created_by=actor.user_id,
                created_at=now,
                expires_at=now + INVITE_LIFE,
                accepted_at=None,
                accepted_by=None,
                revoked_at=None,
            )
            invite_rows.add(tx, invite)
            evidence = self.recorder.record(
                tx,
                InviteCreated(
                    workspace_id=actor.in_workspace,
                    actor=actor.principal,
                    invite_id=invite.id,
                    role=role,
                    bound=bound is not None,
                ),
            )
            return invite, token, evidence

        return await self.store.write(work)

    def url(self, token: str) -> str:
        """Where an invitation is accepted in a browser; the token is in the fragment, which no log sees."""
        return f"{self.app_url}/app/#invite={token}"

    async def of_workspace(self, actor: Actor) -> Sequence[Invite]:
        """Invitations of the workspace."""
        require(actor, Action.INVITE_LIST)
        return await self.store.read(lambda tx: invite_rows.of_workspace(tx, actor.in_workspace))

    async def revoke(self, actor: Actor, invite_id: str) -> None:
        """End an invitation."""
        require(actor, Action.INVITE_REVOKE)

        def work(tx: Tx) -> None:
            if not invite_rows.revoke(tx, actor.in_workspace, invite_id, now=self.now()):
                raise NotFound("Invite not found")
            self.recorder.record(
                tx, InviteRevoked(workspace_id=actor.in_workspace, actor=actor.principal, invite_id=invite_id)
            )

        await self.store.write(work)

    async def accept(self, actor: Actor, token: str) -> Actor:
        """The person, who is already known, becomes a member. A bound invitation takes the proven address."""

        def work(tx: Tx) -> Invite:
            user = user_rows.get(tx, actor.user_id)
            if user is None:
                raise NotFound("Invite not found")
            return self._accept(tx, user, token)

        invite = await self.store.write(work)
        return await self.memberships.in_workspace(replace(actor, api_key_id=None), invite.workspace_id)

    async def accept_by_login(self, login: Login, token: str) -> Invite:
        """Accept right after a login that proved the address."""
        return await self.store.write(lambda tx: self._accept(tx, login.user, token))

    async def check(self, token: str) -> Invite:
        """The open invitation with this token; the same refusal for every other."""
        return await self.store.read(lambda tx: self.admission.invites.open(tx, token))

    def _accept(self, tx: Tx, user: User, token: str) -> Invite:
        # whoever belongs to no workspace any more is as new as anybody
        self.admission.check_may_enter(tx, user, invite=token)
        invite = self.admission.invites.accept(tx, user, token)
        self.admission.cache.forget_after(tx)
        return invite
