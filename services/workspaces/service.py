"""Workspaces: settings, mode, members, invites, deletion with grace."""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from domain.approvals.approval import ApprovalStatus, Approver, approver_rule_of
from domain.clock import Now
from domain.errors import Conflict, Forbidden, Invalid, NotFound
from domain.identity.actor import Actor, Channel, Role
from domain.identity.invite import Invite
from domain.identity.permissions import Action, require
from domain.identity.user import User
from domain.ids import new_id
from domain.journal.people import (
    InviteCreated,
    InviteRevoked,
    MemberLeft,
    MemberRemoved,
    MemberRoleChanged,
    UserErased,
    WorkspaceDeleted,
    WorkspacePurged,
    WorkspaceRenamed,
    WorkspaceRestored,
    WorkspaceTransferred,
)
from domain.journal.workspace import KillSwitchChanged, ModeChanged, SettingsChanged, SettingsCreated
from domain.policy.effective import effective
from domain.policy.rules import RuleEngine
from domain.policy.settings_schema import PolicyConfig, WorkspaceSettings, load
from domain.policy.stored_settings import StoredSettings
from domain.runs.task import Mode
from domain.workspaces.workspace import Member, Workspace
from services.identity.admission import Admission
from services.identity.email_login import normal_address
from services.identity.memberships import Memberships
from services.identity.sessions import Login
from services.identity.sign_up import ADMINISTRATOR, Newcomer
from services.ledger.recorder import Recorder
from services.ledger.records import Records
from services.ledger.signed_settings import settings_differ, signed_sections
from services.lifecycle.container import Lifecycle
from services.outbox.notifications import Notifications
from services.policy.changes import merged
from storage.approvals import approval_rows
from storage.chat import conversation_rows, inbox_rows
from storage.database import Store, Tx
from storage.identity import account_rows, sign_up_rows
from storage.ledger import audit_rows, receipt_rows
from storage.outbox import outbox_rows
from storage.policy import settings_rows
from storage.runs import run_rows
from storage.workspaces import workspace_rows
from storage.workspaces.vault import hash_token

INVITE_LIFE = timedelta(days=7)
GRACE_DAYS = 30
MAX_REDRAWN = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class SettingsView:
    """Settings with the version they were read at; `created` is True for the very first write."""

    workspace_id: str
    settings: WorkspaceSettings
    version: int
    created: bool = False
    evidence_id: str | None = None
    # sections that no signed change made so
    differs: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkspaceService:
    """Use cases about workspaces and who belongs to them."""

    store: Store
    admission: Admission
    memberships: Memberships
    lifecycle: Lifecycle
    recorder: Recorder
    rules: RuleEngine
    now: Now
    app_url: str

    # --- reading ----------------------------------------------------------------------------------

    async def get(self, actor: Actor) -> tuple[Workspace, Sequence[Member]]:
        """The workspace with its members."""
        require(actor, Action.WORKSPACE_READ)
        return await self.store.read(
            lambda tx: (workspace_rows.get(tx, actor.in_workspace), workspace_rows.members(tx, actor.in_workspace))
        )

    async def mine(self, actor: Actor) -> Sequence[tuple[Workspace, str]]:
        """Every workspace the person is in, with their role."""
        return await self.store.read(lambda tx: workspace_rows.of_user(tx, actor.user_id))

    async def closed(self, actor: Actor) -> Sequence[Workspace]:
        """Workspaces of the person that are closed and that they can still restore, newest first."""

        def work(tx: Tx) -> Sequence[Workspace]:
            found = workspace_rows.closed_of(tx, actor.user_id, now=self.now())
            return [one for one in found if sign_up_rows.closed_by(tx, one.id) != ADMINISTRATOR]

        return await self.store.read(work)

    async def me(self, actor: Actor) -> tuple[User, Sequence[tuple[Workspace, str]]]:
        """The person and their workspaces."""

        def work(tx: Tx) -> tuple[User, Sequence[tuple[Workspace, str]]]:
            user = account_rows.get_user(tx, actor.user_id)
            if user is None:
                raise NotFound("User not found")
            return user, workspace_rows.of_user(tx, actor.user_id)

        return await self.store.read(work)

    # --- settings and mode ------------------------------------------------------------------------

    async def settings(self, actor: Actor) -> SettingsView:
        """The settings in force, defaults filled in."""
        require(actor, Action.SETTINGS_READ)
        workspace_id = actor.in_workspace

        def work(tx: Tx) -> SettingsView:
            stored = settings_rows.get(tx, workspace_id)
            differs = settings_differ(Records(self.recorder.ledger, tx, workspace_id), stored)
            return SettingsView(
                workspace_id=workspace_id, settings=_loaded(stored), version=stored.version, differs=differs
            )

        return await self.store.read(work)

    async def change_settings(self, actor: Actor, patch: Any) -> SettingsView:
        """Merge a change into the settings; keys that are not given stay. Invalid names the field."""
        require(actor, Action.SETTINGS_WRITE)
        return await self.store.write(lambda tx: self._change(tx, actor, patch))

    def _change(self, tx: Tx, actor: Actor, patch: Any) -> SettingsView:
        workspace_id = actor.in_workspace
        stored = self._as_signed(tx, settings_rows.get(tx, workspace_id, lock=True))
        before = _loaded(stored)
        after = merged(before, patch, rules=self.rules)
        _check_deciders(before.policy, after.policy, approval_rows.people(tx, workspace_id))
        sections = after.as_json()
        settings_rows.put(
            tx,
            workspace_id=workspace_id,
            policy=sections["policyConfig"],
            budget=sections["budgetConfig"],
            model=sections["modelConfig"],
            version=stored.version + 1,
            now=self.now(),
        )
        old_hash, new_hash = effective(before).policy_hash, effective(after).policy_hash
        receipt_rows.keep_policy(
            tx,
            workspace_id=workspace_id,
            policy_hash=new_hash,
            snapshot=effective(after).canonical().decode(),
            now=self.now(),
        )
        said: dict[str, Any] = {
            "workspace_id": workspace_id,
            "actor": actor.principal,
            "before": before.as_json(),
            "after": sections,
            "old_policy_hash": old_hash,
            "new_policy_hash": new_hash,
        }
        if before.policy.kill_switch != after.policy.kill_switch:
            evidence = self.recorder.record(tx, KillSwitchChanged(on=after.policy.kill_switch, **said))
        else:
            evidence = self.recorder.record(tx, SettingsChanged(**said) if stored.version else SettingsCreated(**said))
        return SettingsView(
            workspace_id=workspace_id,
            settings=after,
            version=stored.version + 1,
            created=stored.version == 0,
            evidence_id=evidence,
        )

    def _as_signed(self, tx: Tx, stored: StoredSettings) -> StoredSettings:
        """What a change is merged into: the sections of the newest signed change, whatever the store holds.

        So saving again is what mends settings that somebody altered. Where nothing signed is left, what is shown is.
        """
        signed = signed_sections(Records(self.recorder.ledger, tx, stored.workspace_id))
        if signed is None:
            return stored
        return replace(
            stored,
            policy=signed.get("policyConfig", {}),
            budget=signed.get("budgetConfig", {}),
            model=signed.get("modelConfig", {}),
        )

    async def set_kill_switch(self, actor: Actor, on: bool) -> SettingsView:
        """Freeze everything, or thaw it. It takes effect before the next step of running work."""
        require(actor, Action.KILL_SWITCH_WRITE)
        return await self.store.write(lambda tx: self._change(tx, actor, {"policyConfig": {"killSwitch": on}}))

    async def set_mode(self, actor: Actor, mode: Mode) -> Workspace:
        """Switch the mode of the workspace."""
        require(actor, Action.MODE_WRITE)

        def work(tx: Tx) -> Workspace:
            workspace = workspace_rows.get(tx, actor.in_workspace, lock=True)
            workspace_rows.change(tx, workspace.id, now=self.now(), current_mode=mode.value)
            self.recorder.record(
                tx,
                ModeChanged(
                    workspace_id=workspace.id,
                    actor=actor.principal,
                    before=workspace.current_mode,
                    mode=mode.value,
                ),
            )
            return replace(workspace, current_mode=mode.value)

        return await self.store.write(work)

    # --- the workspace itself ---------------------------------------------------------------------

    async def create(self, actor: Actor, name: str) -> Workspace:
        """One more workspace, owned by the person.

        Forbidden for who was only invited into somebody's workspace, Conflict for who owns as many as one may.
        """
        if actor.channel is Channel.API_KEY:
            raise Forbidden("an API key belongs to one workspace", code="insufficient_scope")

        def work(tx: Tx) -> Workspace:
            user = account_rows.get_user(tx, actor.user_id)
            if user is None:
                raise NotFound("User not found")
            self.admission.sign_up.check_owner(tx, user)
            return self.admission.create_workspace(tx, user, name, now=self.now())[0]

        return await self.store.write(work)

    async def may_create(self, actor: Actor) -> bool:
        """Whether the person may make one more workspace."""

        def work(tx: Tx) -> bool:
            user = account_rows.get_user(tx, actor.user_id)
            return user is not None and self.admission.sign_up.may_own(tx, Newcomer.of(user))

        return actor.channel is not Channel.API_KEY and await self.store.read(work)

    async def rename(self, actor: Actor, name: str) -> Workspace:
        """Another name for the workspace."""
        require(actor, Action.WORKSPACE_RENAME)

        def work(tx: Tx) -> Workspace:
            workspace = workspace_rows.get(tx, actor.in_workspace, lock=True)
            workspace_rows.change(tx, workspace.id, now=self.now(), name=name)
            self.recorder.record(tx, WorkspaceRenamed(**_by(actor), before=workspace.name, name=name))
            return replace(workspace, name=name)

        return await self.store.write(work)

    async def delete(self, actor: Actor, *, grace_days: int = GRACE_DAYS) -> Workspace:
        """Close the workspace: nobody gets in, work stops, and after the grace it is removed."""
        require(actor, Action.WORKSPACE_DELETE)

        def work(tx: Tx) -> Workspace:
            return self.close(tx, actor.in_workspace, by=actor.principal, grace_days=grace_days)[0]

        return await self.store.write(work)

    def close(
        self, tx: Tx, workspace_id: str, *, by: str, grace_days: int, reason: str | None = None
    ) -> tuple[Workspace, str | None]:
        """Close a workspace in the name of the principal `by`; with the receipt of it. NotFound when it is not open."""
        workspace = workspace_rows.get(tx, workspace_id, lock=True)
        now = self.now()
        gone = replace(workspace, deleted_at=now, purge_at=now + timedelta(days=grace_days))
        workspace_rows.change(tx, workspace.id, now=now, deleted_at=gone.deleted_at, purge_at=gone.purge_at)
        evidence = self.recorder.record(
            tx, WorkspaceDeleted(workspace_id=workspace.id, actor=by, grace_days=grace_days, reason=reason)
        )
        for run in run_rows.active_in(tx, workspace.id):
            self.lifecycle.runs.cancel(tx, run, principal=by, reason="the workspace was closed")
        self.admission.cache.forget_after(tx)
        return gone, evidence

    async def restore(self, actor: Actor, workspace_id: str) -> Workspace:
        """Open a closed workspace again within its grace; only its owner can, and not what the administrator closed."""

        def work(tx: Tx) -> Workspace:
            mine = workspace_rows.get(tx, workspace_id, deleted=True).owner_id == actor.user_id
            if not mine or sign_up_rows.closed_by(tx, workspace_id) == ADMINISTRATOR:
                raise NotFound("Workspace not found")
            return self.reopen(tx, workspace_id, by=actor.principal)[0]

        return await self.store.write(work)

    def reopen(self, tx: Tx, workspace_id: str, *, by: str) -> tuple[Workspace, str | None]:
        """Open a closed workspace in the name of the principal `by`, with its receipt. NotFound when it is open."""
        workspace = workspace_rows.get(tx, workspace_id, deleted=True, lock=True)
        if workspace.deleted_at is None:
            raise NotFound("Workspace not found")
        workspace_rows.change(tx, workspace.id, now=self.now(), deleted_at=None, purge_at=None)
        evidence = self.recorder.record(tx, WorkspaceRestored(workspace_id=workspace.id, actor=by))
        self.admission.cache.forget_after(tx)
        return replace(workspace, deleted_at=None, purge_at=None), evidence

    async def purge_due(self, *, limit: int = 20) -> int:
        """Remove workspaces whose grace is over; their logs stay, with the payloads erased."""

        def work(tx: Tx) -> int:
            gone = workspace_rows.due_for_purge(tx, now=self.now(), limit=limit)
            for workspace in gone:
                _forget_words(tx, workspace.id, now=self.now())
                self.recorder.record(tx, WorkspacePurged(workspace_id=workspace.id))
                workspace_rows.purge(tx, workspace.id)
            return len(gone)

        return await self.store.write(work)

    # --- members ----------------------------------------------------------------------------------

    async def set_role(self, actor: Actor, user_id: str, role: Role) -> None:
        """Change a member's role; the owner's is changed by transferring ownership."""
        require(actor, Action.MEMBER_ROLE)

        def work(tx: Tx) -> None:
            workspace = workspace_rows.get(tx, actor.in_workspace, lock=True)
            if user_id == workspace.owner_id or role is Role.OWNER:
                raise Conflict("there is one owner: transfer the ownership instead", code="owner_role")
            if not workspace_rows.set_role(tx, workspace.id, user_id, role.value):
                raise NotFound("Member not found")
            self.recorder.record(tx, MemberRoleChanged(**_by(actor), user_id=user_id, role=role))
            self._people_changed(tx, workspace.id)

        await self.store.write(work)

    async def transfer(self, actor: Actor, user_id: str) -> None:
        """Make another member the owner; the former owner becomes a partner."""
        require(actor, Action.WORKSPACE_TRANSFER)

        def work(tx: Tx) -> None:
            workspace = workspace_rows.get(tx, actor.in_workspace, lock=True)
            if not workspace_rows.set_role(tx, workspace.id, user_id, Role.OWNER.value):
                raise NotFound("Member not found")
            if user_id != workspace.owner_id:
                workspace_rows.set_role(tx, workspace.id, workspace.owner_id, Role.PARTNER.value)
            workspace_rows.change(tx, workspace.id, now=self.now(), owner_id=user_id)
            self.recorder.record(tx, WorkspaceTransferred(**_by(actor), user_id=user_id, before=workspace.owner_id))
            self._people_changed(tx, workspace.id)

        await self.store.write(work)

    async def remove(self, actor: Actor, user_id: str) -> None:
        """Take a member out, with the keys they made here."""
        require(actor, Action.MEMBER_REMOVE)
        await self._leave(actor, user_id, MemberRemoved(**_by(actor), user_id=user_id))

    async def leave(self, actor: Actor) -> None:
        """Leave; the owner has to hand the workspace over first."""
        require(actor, Action.WORKSPACE_LEAVE)
        await self._leave(
            actor,
            actor.user_id,
            MemberLeft(workspace_id=actor.in_workspace, actor=actor.principal, user_id=actor.user_id),
        )

    async def _leave(self, actor: Actor, user_id: str, entry: MemberRemoved | MemberLeft) -> None:
        def work(tx: Tx) -> None:
            workspace = workspace_rows.get(tx, actor.in_workspace, lock=True)
            if user_id == workspace.owner_id:
                raise Conflict("the owner has to transfer the workspace first", code="owner_stays")
            if not workspace_rows.leave(tx, workspace.id, user_id):
                raise NotFound("Member not found")
            account_rows.revoke_keys_of_member(tx, workspace.id, user_id, now=self.now())
            # an invite they made and kept would let them in again
            account_rows.revoke_invites_of_member(tx, workspace.id, user_id, now=self.now())
            self.recorder.record(tx, entry)
            self._people_changed(tx, workspace.id)

        await self.store.write(work)

    def _people_changed(self, tx: Tx, workspace_id: str) -> None:
        """Who may do what is looked up anew, and open questions say whether enough people are left to approve them."""
        self.admission.cache.forget_after(tx)
        notifications = Notifications(self.recorder.bus, self.now)
        for approval in approval_rows.find(tx, workspace_id, status=ApprovalStatus.PENDING.value, limit=MAX_REDRAWN):
            notifications.approval_changed(tx, approval)

    # --- invites ----------------------------------------------------------------------------------

    async def invite(self, actor: Actor, *, role: Role, email: str | None) -> tuple[Invite, str, str | None]:
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
            account_rows.add_invite(tx, invite)
            evidence = self.recorder.record(
                tx, InviteCreated(**_by(actor), invite_id=invite.id, role=role, bound=bound is not None)
            )
            return invite, token, evidence

        return await self.store.write(work)

    def invite_url(self, token: str) -> str:
        """Where an invitation is accepted in a browser; the token is in the fragment, which no log sees."""
        return f"{self.app_url}/app/#invite={token}"

    async def invites(self, actor: Actor) -> Sequence[Invite]:
        """Invitations of the workspace."""
        require(actor, Action.INVITE_LIST)
        return await self.store.read(lambda tx: account_rows.invites_of(tx, actor.in_workspace))

    async def revoke_invite(self, actor: Actor, invite_id: str) -> None:
        """End an invitation."""
        require(actor, Action.INVITE_REVOKE)

        def work(tx: Tx) -> None:
            if not account_rows.revoke_invite(tx, actor.in_workspace, invite_id, now=self.now()):
                raise NotFound("Invite not found")
            self.recorder.record(tx, InviteRevoked(**_by(actor), invite_id=invite_id))

        await self.store.write(work)

    async def accept_invite(self, actor: Actor, token: str) -> Actor:
        """The person, who is already known, becomes a member. A bound invitation takes the proven address."""

        def work(tx: Tx) -> Invite:
            user = account_rows.get_user(tx, actor.user_id)
            if user is None:
                raise NotFound("Invite not found")
            return self._accept(tx, user, token)

        invite = await self.store.write(work)
        return await self.memberships.in_workspace(replace(actor, api_key_id=None), invite.workspace_id)

    async def accept_by_login(self, login: Login, token: str) -> Invite:
        """Accept right after a login that proved the address."""
        return await self.store.write(lambda tx: self._accept(tx, login.user, token))

    async def check_invite(self, token: str) -> Invite:
        """The open invitation with this token; the same refusal for every other."""
        return await self.store.read(lambda tx: self.admission.invites.open(tx, token))

    def _accept(self, tx: Tx, user: User, token: str) -> Invite:
        # whoever belongs to no workspace any more is as new as anybody
        self.admission.check_may_enter(tx, user, invite=token)
        invite = self.admission.invites.accept(tx, user, token)
        self.admission.cache.forget_after(tx)
        return invite

    # --- erasure ----------------------------------------------------------------------------------

    async def erase_me(self, actor: Actor) -> dict[str, Any]:
        """Erase a person: their own workspaces are closed for good, their data is blanked, every log stays whole."""
        if actor.channel is Channel.API_KEY:
            raise Forbidden("an API key cannot erase a person", code="insufficient_scope")

        def work(tx: Tx) -> dict[str, Any]:
            now = self.now()
            owned: list[str] = []
            reference: str | None = None
            for workspace, _ in workspace_rows.of_user(tx, actor.user_id):
                if workspace.owner_id == actor.user_id:
                    others = [m for m in workspace_rows.members(tx, workspace.id) if m.user_id != actor.user_id]
                    if others:
                        raise Conflict(
                            f"{workspace.name} has other members: transfer it first",
                            code="owner_stays",
                            details={"workspaceId": workspace.id},
                        )
                    owned.append(workspace.id)
                else:
                    workspace_rows.leave(tx, workspace.id, actor.user_id)
                    account_rows.revoke_invites_of_member(tx, workspace.id, actor.user_id, now=now)
                    self.recorder.record(
                        tx,
                        MemberLeft(
                            workspace_id=workspace.id, actor=actor.principal, user_id=actor.user_id, erased=True
                        ),
                    )
            for workspace_id in owned:
                reference = self.recorder.record(
                    tx, UserErased(workspace_id=workspace_id, actor=actor.principal, user_id=actor.user_id)
                )
                for run in run_rows.active_in(tx, workspace_id):
                    run_rows.change(tx, run, cancel_requested=True)
                _forget_words(tx, workspace_id, now=now)
                workspace_rows.change(tx, workspace_id, now=now, deleted_at=now, purge_at=now, name="erased")
            account_rows.revoke_sessions(tx, user_id=actor.user_id, now=now)
            user = account_rows.get_user(tx, actor.user_id)
            if user is not None:
                outbox_rows.forget_recipients(tx, [str(a) for a in (user.email, user.telegram_id) if a is not None])
                if user.telegram_id is not None:
                    inbox_rows.blank(tx, user.telegram_id)
                    conversation_rows.forget_person(tx, user.telegram_id)
            account_rows.erase_user(tx, actor.user_id, now=now)
            self.admission.cache.forget_after(tx)
            return {"deleted": True, "deletedWorkspaces": owned, "erasureReceiptRef": reference}

        return await self.store.write(work)


def _by(actor: Actor) -> dict[str, str]:
    """Where something was done, and by whom, as entries of the journal say it."""
    return {"workspace_id": actor.in_workspace, "actor": actor.principal}


def _forget_words(tx: Tx, workspace_id: str, *, now: datetime) -> None:
    """Take what people wrote out of what outlives a workspace; receipts hold only hashes, so the log stays whole."""
    receipt_rows.erase_payloads(tx, workspace_id, now=now)
    audit_rows.blank(tx, workspace_id)
    outbox_rows.forget_workspace(tx, workspace_id)


def _check_deciders(before: PolicyConfig, after: PolicyConfig, people: Sequence[Approver]) -> None:
    """Invalid when a change names somebody who is not here, or asks for more people than could ever approve."""
    here = {who.user_id for who in people}
    for user_id in after.approvers:
        if user_id not in before.approvers and user_id not in here:
            raise Invalid.field("policyConfig.approvers", f"{user_id[:60]} is not in this workspace")
    names = ("approvalQuorum", "approvers", "approverRole")
    was, will = before.as_json(), after.as_json()
    changed = [name for name in names if was[name] != will[name]]
    rule = approver_rule_of(after)
    eligible = rule.fewest_eligible(people)
    if changed and eligible < rule.quorum:
        raise Invalid.field(
            f"policyConfig.{changed[0]}",
            f"{rule.quorum} people would have to approve, and there are {eligible} who may besides whoever asks",
        )


def _loaded(stored: StoredSettings) -> WorkspaceSettings:
    return load(stored.policy, stored.budget, stored.model)
