"""The services about workspaces of one installation, built once."""

from dataclasses import dataclass

from domain.clock import Now
from domain.policy.rules import RuleEngine
from services.identity.container import IdentityServices
from services.ledger.recorder import Recorder
from services.lifecycle.container import Lifecycle
from services.workspaces.erasure import ErasureService
from services.workspaces.invites import InviteService
from services.workspaces.members import MemberService
from services.workspaces.service import WorkspaceService
from services.workspaces.settings import SettingsService
from services.workspaces.tenants import TenantService
from storage.database import Store


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkspaceServices:
    """What can be done to a workspace and to who belongs to it."""

    workspaces: WorkspaceService
    settings: SettingsService
    members: MemberService
    invites: InviteService
    erasure: ErasureService
    tenants: TenantService


def make_workspaces(
    *,
    store: Store,
    identity: IdentityServices,
    lifecycle: Lifecycle,
    recorder: Recorder,
    rules: RuleEngine,
    now: Now,
    app_url: str,
) -> WorkspaceServices:
    """Each with what it needs of the identity services."""
    cache, admission = identity.cache, identity.admission
    workspaces = WorkspaceService(
        store=store, cache=cache, admission=admission, lifecycle=lifecycle, recorder=recorder, now=now
    )
    erasure = ErasureService(store=store, cache=cache, recorder=recorder, now=now)
    return WorkspaceServices(
        workspaces=workspaces,
        settings=SettingsService(store=store, recorder=recorder, rules=rules, now=now),
        members=MemberService(store=store, cache=cache, recorder=recorder, now=now),
        invites=InviteService(
            store=store,
            admission=admission,
            memberships=identity.memberships,
            recorder=recorder,
            now=now,
            app_url=app_url,
        ),
        erasure=erasure,
        tenants=TenantService(
            store=store, cache=cache, admission=admission, workspaces=workspaces, erasure=erasure, now=now
        ),
    )
