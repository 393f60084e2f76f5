"""Workspaces: settings, mode, members, invites, API keys, deletion with grace."""

import secrets
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from domain.actor import Actor, Channel, Role
from domain.approvals import ApprovalStatus, Decider, circle_of
from domain.audit import AuditAction
from domain.clock import Now
from domain.errors import Conflict, Forbidden, Invalid, NotFound
from domain.ids import new_id
from domain.permissions import SCOPES, Action, require
from domain.policy.effective import effective
from domain.policy.rules import RuleEngine, RuleError
from domain.settings_schema import PolicyConfig, WorkspaceSettings, load, merge
from domain.tasks import Mode
from services.email_login import normal_address
from services.identity import KEY_PREFIX, IdentityService, Login
from services.integrity.records import Records
from services.ledger import Facts
from services.notices import Notices
from services.recorder import Recorder
from services.runs import RunService
from services.sign_up import ADMINISTRATOR, Newcomer
from storage import accounts, approvals, audit, chat, inbox, outbox, receipts, runs, settings, sign_up, workspaces
from storage.accounts import ApiKey, Invite, Session, User
from storage.database import Store, Tx
from storage.settings import StoredSettings
from storage.vault import hash_token
from storage.workspaces import Member, Workspace

INVITE_LIFE = timedelta(days=7)
KEY_LIFE = timedelta(days=365)
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


@dataclass(frozen=True, slots=True)
class WorkspaceService:
    """Use cases about workspaces and who belongs to them."""

    store: Store
    identity: IdentityService
    runs: RunService
    recorder: Recorder
    rules: RuleEngine
    now: Now
    app_url: str

    # --- reading ----------------------------------------------------------------------------------

    async def get(self, actor: Actor) -> tuple[Workspace, Sequence[Member]]:
        """The workspace with its members."""
        require(actor, Action.WORKSPACE_READ)
        return await self.store.read(
            lambda tx: (workspaces.get(tx, actor.in_workspace), workspaces.members(tx, actor.in_workspace))
        )

    async def mine(self, actor: Actor) -> Sequence[tuple[Workspace, str]]:
        """Every workspace the person is in, with their role."""
        return await self.store.read(lambda tx: workspaces.of_user(tx, actor.user_id))

    async def closed(self, actor: Actor) -> Sequence[Workspace]:
        """Workspaces of the person that are closed and that they can still restore, newest first."""

        def work(tx: Tx) -> Sequence[Workspace]:
            found = workspaces.closed_of(tx, actor.user_id, now=self.now())
            return [one for one in found if sign_up.closed_by(tx, one.id) != ADMINISTRATOR]

        return await self.store.read(work)

    async def me(self, actor: Actor) -> tuple[User, Sequence[tuple[Workspace, str]]]:
        """The person and their workspaces."""

        def work(tx: Tx) -> tuple[User, Sequence[tuple[Workspace, str]]]:
            user = accounts.get_user(tx, actor.user_id)
            if user is None:
                raise NotFound("User not found")
            return user, workspaces.of_user(tx, actor.user_id)

        return await self.store.read(work)

    # --- settings and mode ------------------------------------------------------------------------

    async def settings(self, actor: Actor) -> SettingsView:
        """The settings in force, defaults filled in."""
        require(actor, Action.SETTINGS_READ)
        workspace_id = actor.in_workspace

        def work(tx: Tx) -> SettingsView:
            stored = settings.get(tx, workspace_id)
            differs = Records(self.recorder.ledger, tx, workspace_id).settings_differ(stored)
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
        stored = self._as_signed(tx, settings.get(tx, workspace_id, lock=True))
        before = _loaded(stored)
        after = merged(before, patch, rules=self.rules)
        _check_deciders(before.policy, after.policy, approvals.people(tx, workspace_id))
        sections = after.as_json()
        settings.put(
            tx,
            workspace_id=workspace_id,
            policy=sections["policyConfig"],
            budget=sections["budgetConfig"],
            model=sections["modelConfig"],
            version=stored.version + 1,
            now=self.now(),
        )
        changed = sorted(name for name, value in sections.items() if before.as_json()[name] != value)
        old_hash, new_hash = effective(before).policy_hash, effective(after).policy_hash
        receipts.keep_policy(
            tx,
            workspace_id=workspace_id,
            policy_hash=new_hash,
            snapshot=effective(after).canonical().decode(),
            now=self.now(),
        )
        switched = before.policy.kill_switch != after.policy.kill_switch
        action = (
            AuditAction.KILL_SWITCH_CHANGED
            if switched
            else AuditAction.WORKSPACE_SETTINGS_UPDATED
            if stored.version
            else AuditAction.WORKSPACE_SETTINGS_CREATED
        )
        evidence = self.recorder.record(
            tx,
            workspace_id=workspace_id,
            actor=actor.principal,
            action=action,
            target=workspace_id,
            metadata={
                "changedSections": changed,
                "oldPolicyHash": old_hash,
                "newPolicyHash": new_hash,
                **({"killSwitch": after.policy.kill_switch} if switched else {}),
            },
            facts=Facts(
                kind="settings",
                policy_hash=new_hash,
                args={"before": before.as_json(), "after": sections},
                metadata={"old_policy_hash": old_hash},
            ),
        )
        self.recorder.event(
            tx, workspace_id=workspace_id, kind="settings.updated", ref=workspace_id, payload={"changed": changed}
        )
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
        signed = Records(self.recorder.ledger, tx, stored.workspace_id).signed_settings()
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
            workspace = workspaces.get(tx, actor.in_workspace, lock=True)
            workspaces.change(tx, workspace.id, now=self.now(), current_mode=mode.value)
            self.recorder.record(
                tx,
                workspace_id=workspace.id,
                actor=actor.principal,
                action=AuditAction.WORKSPACE_MODE_CHANGED,
                target=workspace.id,
                metadata={"from": workspace.current_mode, "to": mode.value},
                facts=Facts(kind="settings", metadata={"mode": mode.value}),
            )
            self.recorder.event(
                tx, workspace_id=workspace.id, kind="workspace.mode", ref=workspace.id, payload={"mode": mode.value}
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
            user = accounts.get_user(tx, actor.user_id)
            if user is None:
                raise NotFound("User not found")
            self.identity.sign_up.check_owner(tx, user)
            return self.identity.create_workspace(tx, user, name, now=self.now())[0]

        return await self.store.write(work)

    async def may_create(self, actor: Actor) -> bool:
        """Whether the person may make one more workspace."""

        def work(tx: Tx) -> bool:
            user = accounts.get_user(tx, actor.user_id)
            return user is not None and self.identity.sign_up.may_own(tx, Newcomer.of(user))

        return actor.channel is not Channel.API_KEY and await self.store.read(work)

    async def rename(self, actor: Actor, name: str) -> Workspace:
        """Another name for the workspace."""
        require(actor, Action.WORKSPACE_RENAME)

        def work(tx: Tx) -> Workspace:
            workspace = workspaces.get(tx, actor.in_workspace, lock=True)
            workspaces.change(tx, workspace.id, now=self.now(), name=name)
            self._note(tx, actor, AuditAction.WORKSPACE_RENAMED, workspace.id, {"from": workspace.name, "to": name})
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
        workspace = workspaces.get(tx, workspace_id, lock=True)
        now = self.now()
        gone = replace(workspace, deleted_at=now, purge_at=now + timedelta(days=grace_days))
        workspaces.change(tx, workspace.id, now=now, deleted_at=gone.deleted_at, purge_at=gone.purge_at)
        evidence = self.recorder.record(
            tx,
            workspace_id=workspace.id,
            actor=by,
            action=AuditAction.WORKSPACE_DELETED,
            target=workspace.id,
            reason=reason,
            metadata={"graceDays": grace_days},
            facts=Facts(kind="membership"),
        )
        for run in runs.active_in(tx, workspace.id):
            self.runs.cancel_in(tx, run, principal=by, reason="the workspace was closed")
        self.identity.forget_after(tx)
        return gone, evidence

    async def restore(self, actor: Actor, workspace_id: str) -> Workspace:
        """Open a closed workspace again within its grace; only its owner can, and not what the administrator closed."""

        def work(tx: Tx) -> Workspace:
            mine = workspaces.get(tx, workspace_id, deleted=True).owner_id == actor.user_id
            if not mine or sign_up.closed_by(tx, workspace_id) == ADMINISTRATOR:
                raise NotFound("Workspace not found")
            return self.reopen(tx, workspace_id, by=actor.principal)[0]

        return await self.store.write(work)

    def reopen(self, tx: Tx, workspace_id: str, *, by: str) -> tuple[Workspace, str | None]:
        """Open a closed workspace in the name of the principal `by`, with its receipt. NotFound when it is open."""
        workspace = workspaces.get(tx, workspace_id, deleted=True, lock=True)
        if workspace.deleted_at is None:
            raise NotFound("Workspace not found")
        workspaces.change(tx, workspace.id, now=self.now(), deleted_at=None, purge_at=None)
        evidence = self.recorder.record(
            tx,
            workspace_id=workspace.id,
            actor=by,
            action=AuditAction.WORKSPACE_RESTORED,
            target=workspace.id,
            facts=Facts(kind="membership"),
        )
        self.identity.forget_after(tx)
        return replace(workspace, deleted_at=None, purge_at=None), evidence

    async def purge_due(self, *, limit: int = 20) -> int:
        """Remove workspaces whose grace is over; their logs stay, with the payloads erased."""

        def work(tx: Tx) -> int:
            gone = workspaces.due_for_purge(tx, now=self.now(), limit=limit)
            for workspace in gone:
                _forget_words(tx, workspace.id, now=self.now())
                self._note(tx, None, AuditAction.WORKSPACE_PURGED, workspace.id, {})
                workspaces.purge(tx, workspace.id)
            return len(gone)

        return await self.store.write(work)

    # --- members ----------------------------------------------------------------------------------

    async def set_role(self, actor: Actor, user_id: str, role: Role) -> None:
        """Change a member's role; the owner's is changed by transferring ownership."""
        require(actor, Action.MEMBER_ROLE)

        def work(tx: Tx) -> None:
            workspace = workspaces.get(tx, actor.in_workspace, lock=True)
            if user_id == workspace.owner_id or role is Role.OWNER:
                raise Conflict("there is one owner: transfer the ownership instead", code="owner_role")
            if not workspaces.set_role(tx, workspace.id, user_id, role.value):
                raise NotFound("Member not found")
            self._note(tx, actor, AuditAction.MEMBER_ROLE_CHANGED, user_id, {"role": role.value})
            self._people_changed(tx, workspace.id)

        await self.store.write(work)

    async def transfer(self, actor: Actor, user_id: str) -> None:
        """Make another member the owner; the former owner becomes a partner."""
        require(actor, Action.WORKSPACE_TRANSFER)

        def work(tx: Tx) -> None:
            workspace = workspaces.get(tx, actor.in_workspace, lock=True)
            if not workspaces.set_role(tx, workspace.id, user_id, Role.OWNER.value):
                raise NotFound("Member not found")
            if user_id != workspace.owner_id:
                workspaces.set_role(tx, workspace.id, workspace.owner_id, Role.PARTNER.value)
            workspaces.change(tx, workspace.id, now=self.now(), owner_id=user_id)
            self._note(tx, actor, AuditAction.WORKSPACE_TRANSFERRED, user_id, {"from": workspace.owner_id})
            self._people_changed(tx, workspace.id)

        await self.store.write(work)

    async def remove(self, actor: Actor, user_id: str) -> None:
        """Take a member out, with the keys they made here."""
        require(actor, Action.MEMBER_REMOVE)
        await self._leave(actor, user_id, AuditAction.MEMBER_REMOVED)

    async def leave(self, actor: Actor) -> None:
        """Leave; the owner has to hand the workspace over first."""
        require(actor, Action.WORKSPACE_LEAVE)
        await self._leave(actor, actor.user_id, AuditAction.MEMBER_LEFT)

    async def _leave(self, actor: Actor, user_id: str, action: AuditAction) -> None:
        def work(tx: Tx) -> None:
            workspace = workspaces.get(tx, actor.in_workspace, lock=True)
            if user_id == workspace.owner_id:
                raise Conflict("the owner has to transfer the workspace first", code="owner_stays")
            if not workspaces.leave(tx, workspace.id, user_id):
                raise NotFound("Member not found")
            accounts.revoke_keys_of_member(tx, workspace.id, user_id, now=self.now())
            # an invite they made and kept would let them in again
            accounts.revoke_invites_of_member(tx, workspace.id, user_id, now=self.now())
            self._note(tx, actor, action, user_id, {})
            self._people_changed(tx, workspace.id)

        await self.store.write(work)

    def _people_changed(self, tx: Tx, workspace_id: str) -> None:
        """Who may do what is looked up anew, and open questions say whether enough people are left to approve them."""
        self.identity.forget_after(tx)
        notices = Notices(self.recorder.bus, self.now)
        for approval in approvals.find(tx, workspace_id, status=ApprovalStatus.PENDING.value, limit=MAX_REDRAWN):
            notices.approval_changed(tx, approval)

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
            accounts.add_invite(tx, invite)
            evidence = self._note(
                tx,
                actor,
                AuditAction.WORKSPACE_INVITE_CREATED,
                invite.id,
                {"role": role.value, "bound": bound is not None},
            )
            return invite, token, evidence

        return await self.store.write(work)

    def invite_url(self, token: str) -> str:
        """Where an invitation is accepted in a browser; the token is in the fragment, which no log sees."""
        return f"{self.app_url}/app/#invite={token}"

    async def invites(self, actor: Actor) -> Sequence[Invite]:
        """Invitations of the workspace."""
        require(actor, Action.INVITE_LIST)
        return await self.store.read(lambda tx: accounts.invites_of(tx, actor.in_workspace))

    async def revoke_invite(self, actor: Actor, invite_id: str) -> None:
        """End an invitation."""
        require(actor, Action.INVITE_REVOKE)

        def work(tx: Tx) -> None:
            if not accounts.revoke_invite(tx, actor.in_workspace, invite_id, now=self.now()):
                raise NotFound("Invite not found")
            self._note(tx, actor, AuditAction.WORKSPACE_INVITE_REVOKED, invite_id, {})

        await self.store.write(work)

    async def accept_invite(self, actor: Actor, token: str) -> Actor:
        """The person, who is already known, becomes a member. A bound invitation takes the proven address."""

        def work(tx: Tx) -> Invite:
            user = accounts.get_user(tx, actor.user_id)
            if user is None:
                raise NotFound("Invite not found")
            return self._accept(tx, user, token)

        invite = await self.store.write(work)
        return await self.identity.in_workspace(replace(actor, api_key_id=None), invite.workspace_id)

    async def accept_by_login(self, login: Login, token: str) -> Invite:
        """Accept right after a login that proved the address."""
        return await self.store.write(lambda tx: self._accept(tx, login.user, token))

    async def check_invite(self, token: str) -> Invite:
        """The open invitation with this token; the same refusal for every other."""
        return await self.store.read(lambda tx: self.identity.invites.open(tx, token))

    def _accept(self, tx: Tx, user: User, token: str) -> Invite:
        # whoever belongs to no workspace any more is as new as anybody
        self.identity.check_may_enter(tx, user, invite=token)
        invite = self.identity.invites.accept(tx, user, token)
        self.identity.forget_after(tx)
        return invite

    # --- API keys ---------------------------------------------------------------------------------

    async def create_key(
        self, actor: Actor, *, name: str, role: Role | None, scopes: Sequence[str] | None, days: int | None
    ) -> tuple[ApiKey, str, str | None]:
        """A key bound to this workspace, no stronger than its maker; the key itself is shown once."""
        require(actor, Action.APIKEY_CREATE)
        assert actor.role is not None
        wanted = role or actor.role
        if wanted.rank > actor.role.rank:
            raise Forbidden("a key may not be stronger than who makes it", code="insufficient_role")
        unknown = sorted(set(scopes or ()) - set(SCOPES))
        if unknown:
            raise Invalid.field("scopes", f"unknown scope {unknown[0][:60]}; known are {', '.join(SCOPES)}")
        if actor.api_key_id is not None and (scopes is None or not set(scopes) <= set(actor.scopes or ())):
            raise Forbidden("a key may not make a key with more scopes than its own", code="insufficient_scope")
        token = KEY_PREFIX + secrets.token_hex(24)

        def work(tx: Tx) -> tuple[ApiKey, str, str | None]:
            now = self.now()
            key = ApiKey(
                id=new_id(),
                workspace_id=actor.in_workspace,
                user_id=actor.user_id,
                name=name,
                prefix=token[:10],
                key_hash=hash_token(token),
                role=wanted.value,
                scopes=None if scopes is None else sorted(set(scopes)),
                created_at=now,
                expires_at=now + (KEY_LIFE if days is None else timedelta(days=days)),
                last_used_at=None,
                revoked_at=None,
            )
            accounts.add_key(tx, key)
            evidence = self._note(
                tx, actor, AuditAction.API_KEY_CREATED, key.id, {"role": key.role, "scopes": key.scopes}
            )
            return key, token, evidence

        return await self.store.write(work)

    async def keys(self, actor: Actor) -> Sequence[ApiKey]:
        """Keys of the workspace."""
        require(actor, Action.APIKEY_LIST)
        return await self.store.read(lambda tx: accounts.keys_of(tx, actor.in_workspace))

    async def revoke_key(self, actor: Actor, key_id: str) -> None:
        """End a key now."""
        require(actor, Action.APIKEY_REVOKE)

        def work(tx: Tx) -> None:
            if not accounts.revoke_key(tx, actor.in_workspace, key_id, now=self.now()):
                raise NotFound("API key not found")
            self._note(tx, actor, AuditAction.API_KEY_REVOKED, key_id, {})
            self.identity.forget_after(tx)

        await self.store.write(work)

    # --- sessions of a person ---------------------------------------------------------------------

    async def sessions(self, actor: Actor) -> Sequence[Session]:
        """Where the person is logged in."""
        return await self.store.read(lambda tx: accounts.live_sessions(tx, actor.user_id, now=self.now()))

    async def revoke_session(self, actor: Actor, family_id: str | None) -> int:
        """End one login of the person, or all of them (None); how many rows ended."""

        def work(tx: Tx) -> int:
            now = self.now()
            ended = (
                accounts.revoke_sessions(tx, user_id=actor.user_id, now=now)
                if family_id is None
                else accounts.revoke_sessions(tx, family_id=family_id, user_id=actor.user_id, now=now)
            )
            if ended:
                self.recorder.record(
                    tx,
                    workspace_id=None,
                    actor=actor.principal,
                    action=AuditAction.AUTH_SESSIONS_REVOKED,
                    target=family_id,
                    metadata={"count": ended},
                    facts=None,
                )
                self.identity.forget_after(tx)
            return ended

        return await self.store.write(work)

    # --- erasure ----------------------------------------------------------------------------------

    async def erase_me(self, actor: Actor) -> dict[str, Any]:
        """Erase a person: their own workspaces are closed for good, their data is blanked, every log stays whole."""
        if actor.channel is Channel.API_KEY:
            raise Forbidden("an API key cannot erase a person", code="insufficient_scope")

        def work(tx: Tx) -> dict[str, Any]:
            now = self.now()
            owned: list[str] = []
            reference: str | None = None
            for workspace, _ in workspaces.of_user(tx, actor.user_id):
                if workspace.owner_id == actor.user_id:
                    others = [m for m in workspaces.members(tx, workspace.id) if m.user_id != actor.user_id]
                    if others:
                        raise Conflict(
                            f"{workspace.name} has other members: transfer it first",
                            code="owner_stays",
                            details={"workspaceId": workspace.id},
                        )
                    owned.append(workspace.id)
                else:
                    workspaces.leave(tx, workspace.id, actor.user_id)
                    accounts.revoke_invites_of_member(tx, workspace.id, actor.user_id, now=now)
                    self._note_in(tx, workspace.id, actor, AuditAction.MEMBER_LEFT, actor.user_id, {"erased": True})
            for workspace_id in owned:
                reference = self._note_in(tx, workspace_id, actor, AuditAction.USER_ERASED, actor.user_id, {})
                for run in runs.active_in(tx, workspace_id):
                    runs.change(tx, run, cancel_requested=True)
                _forget_words(tx, workspace_id, now=now)
                workspaces.change(tx, workspace_id, now=now, deleted_at=now, purge_at=now, name="erased")
            accounts.revoke_sessions(tx, user_id=actor.user_id, now=now)
            user = accounts.get_user(tx, actor.user_id)
            if user is not None:
                outbox.forget_recipients(tx, [str(a) for a in (user.email, user.telegram_id) if a is not None])
                if user.telegram_id is not None:
                    inbox.blank(tx, user.telegram_id)
                    chat.forget_person(tx, user.telegram_id)
            accounts.erase_user(tx, actor.user_id, now=now)
            self.identity.forget_after(tx)
            return {"deleted": True, "deletedWorkspaces": owned, "erasureReceiptRef": reference}

        return await self.store.write(work)

    # --- notes ------------------------------------------------------------------------------------

    def _note(
        self, tx: Tx, actor: Actor | None, action: AuditAction, target: str, metadata: dict[str, Any]
    ) -> str | None:
        workspace_id = target if actor is None else actor.workspace_id or target
        return self._note_in(tx, workspace_id, actor, action, target, metadata)

    def _note_in(  # noqa: PLR0917 - the parts of one line
        self, tx: Tx, workspace_id: str, actor: Actor | None, action: AuditAction, target: str, metadata: dict[str, Any]
    ) -> str | None:
        return self.recorder.record(
            tx,
            workspace_id=workspace_id,
            actor="system" if actor is None else actor.principal,
            action=action,
            target=target,
            metadata=metadata,
            facts=Facts(kind="membership"),
        )


def _forget_words(tx: Tx, workspace_id: str, *, now: datetime) -> None:
    """Take what people wrote out of what outlives a workspace; receipts hold only hashes, so the log stays whole."""
    receipts.erase_payloads(tx, workspace_id, now=now)
    audit.blank(tx, workspace_id)
    outbox.forget_workspace(tx, workspace_id)


def merged(before: WorkspaceSettings, patch: Any, *, rules: RuleEngine) -> WorkspaceSettings:
    """`before` with a change that is sound; Invalid names the field, and the line and column of a broken rule."""
    after = merge(before, patch)
    for field, said, error in broken_rules(after, rules):
        raise Invalid(
            f"{field}: {said}",
            code="invalid_rule",
            details={
                "formErrors": [],
                "fieldErrors": {field: [said]},
                "line": error.line,
                "column": error.column,
            },
        )
    return after


def broken_rules(settings: WorkspaceSettings, rules: RuleEngine) -> Iterator[tuple[str, str, RuleError]]:
    """Every rule that does not compile: its field, what is wrong with the place of it, and the error."""
    for rule in settings.policy.rules:
        try:
            rules.check(rule.when)
        except RuleError as error:
            place = f"line {error.line}, column {error.column}: " if error.line else ""
            yield f"policyConfig.rules.{rule.id}", f"{place}{error}", error


def _check_deciders(before: PolicyConfig, after: PolicyConfig, people: Sequence[Decider]) -> None:
    """Invalid when a change names somebody who is not here, or asks for more people than could ever approve."""
    here = {who.user_id for who in people}
    for user_id in after.approvers:
        if user_id not in before.approvers and user_id not in here:
            raise Invalid.field("policyConfig.approvers", f"{user_id[:60]} is not in this workspace")
    names = ("approvalQuorum", "approvers", "approverRole")
    was, will = before.as_json(), after.as_json()
    changed = [name for name in names if was[name] != will[name]]
    circle = circle_of(after)
    able = circle.at_worst(people)
    if changed and able < circle.quorum:
        raise Invalid.field(
            f"policyConfig.{changed[0]}",
            f"{circle.quorum} people would have to approve, and there are {able} who may besides whoever asks",
        )


def _loaded(stored: StoredSettings) -> WorkspaceSettings:
    return load(stored.policy, stored.budget, stored.model)
