"""The settings of a workspace and its mode: read, changed and signed, and the kill switch among them."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from domain.approvals.approval import Approver, approver_rule_of
from domain.clock import Now
from domain.errors import Invalid
from domain.identity.actor import Actor
from domain.identity.permissions import Action, require
from domain.journal.workspace import KillSwitchChanged, ModeChanged, SettingsChanged, SettingsCreated
from domain.policy.effective import effective
from domain.policy.rules import RuleEngine
from domain.policy.settings_schema import PolicyConfig, WorkspaceSettings, load
from domain.policy.stored_settings import StoredSettings
from domain.runs.task import Mode
from domain.workspaces.workspace import Workspace
from services.ledger.recorder import Recorder
from services.ledger.records import Records
from services.ledger.signed_settings import settings_differ, signed_sections
from services.policy.changes import merged
from storage.approvals import approval_rows
from storage.database import Store
from storage.policy import settings_rows, snapshot_rows
from storage.transaction import Tx
from storage.workspaces import workspace_rows


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
class SettingsService:
    """Use cases about what a workspace is governed by."""

    store: Store
    recorder: Recorder
    rules: RuleEngine
    now: Now

    async def get(self, actor: Actor) -> SettingsView:
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

    async def change(self, actor: Actor, patch: Any) -> SettingsView:
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
        snapshot_rows.keep(
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
            f"{rule.quorum} people would have to approve, but besides the person who asks only {eligible} can",
        )


def _loaded(stored: StoredSettings) -> WorkspaceSettings:
    return load(stored.policy, stored.budget, stored.model)
