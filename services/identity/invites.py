"""Invites: finding an open one, and joining through it, inside the caller's transaction."""

from dataclasses import dataclass

from domain.clock import Now
from domain.errors import Conflict, Forbidden, Gone, NotFound
from domain.identity.invite import Invite
from domain.identity.user import User
from domain.ids import new_id
from domain.journal.people import InviteAccepted
from services.ledger.recorder import Recorder
from storage.identity import invite_rows
from storage.transaction import Tx
from storage.workspaces import workspace_rows
from storage.workspaces.vault import hash_token


@dataclass(frozen=True, slots=True)
class Invites:
    """What an invite opens, and to whom."""

    recorder: Recorder
    now: Now

    def open(self, tx: Tx, token: str) -> Invite:
        """The open invite with this token: NotFound, Conflict or Gone for every other."""
        invite = invite_rows.by_hash(tx, hash_token(token[:200]))
        if invite is None or invite.revoked_at is not None:
            raise NotFound("Invalid or expired invite", code="invite_unknown")
        if invite.accepted_at is not None:
            raise Conflict("this invite was used", code="invite_used")
        if invite.expires_at <= self.now():
            raise Gone("this invite has expired", code="invite_expired")
        return invite

    def open_for(self, tx: Tx, token: str, *, email: str | None) -> Invite:
        """The open invite with this token, for who proved this address; Forbidden when it is bound to another."""
        invite = self.open(tx, token)
        if invite.email is not None and invite.email != email:
            raise Forbidden("this invite is for another mail address", code="invite_bound")
        workspace_rows.get(tx, invite.workspace_id)
        return invite

    def accept(self, tx: Tx, user: User, token: str) -> Invite:
        """Make the person a member through an invite; again, for whom it made one, while they are one."""
        joined = self._joined(tx, user, token)
        if joined is not None:
            return joined
        invite = self.open_for(tx, token, email=user.email)
        now = self.now()
        if not invite_rows.accept(tx, invite.id, user_id=user.id, now=now):
            raise Conflict("this invite was used", code="invite_used")
        workspace_rows.join(
            tx, member_id=new_id(), workspace_id=invite.workspace_id, user_id=user.id, role=invite.role, now=now
        )
        self.recorder.record(
            tx,
            InviteAccepted(
                workspace_id=invite.workspace_id,
                actor=f"user:{user.id}",
                user_id=user.id,
                invite_id=invite.id,
                role=invite.role,
            ),
        )
        return invite

    @staticmethod
    def _joined(tx: Tx, user: User, token: str) -> Invite | None:
        """The invite, where this person used it and has been a member since."""
        invite = invite_rows.by_hash(tx, hash_token(token[:200]))
        if invite is None or invite.accepted_by != user.id:
            return None
        return None if workspace_rows.role_of(tx, invite.workspace_id, user.id) is None else invite
