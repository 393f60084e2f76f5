"""Secrets of a workspace, its own model keys: stored sealed, used inside, never shown again."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from domain.clock import Now
from domain.errors import Invalid, NotFound
from domain.identity.actor import Actor
from domain.identity.permissions import Action, require
from domain.ids import new_id
from domain.journal.workspace import SecretDeleted, SecretStored
from domain.workspaces.secret import Secret
from services.ledger.recorder import Recorder
from storage.database import Store
from storage.transaction import Tx
from storage.workspaces import secret_rows
from storage.workspaces.vault import Vault

# the providers a workspace may bring a key of its own for
KINDS = ("anthropic", "openai", "openrouter")


@dataclass(frozen=True, slots=True)
class SecretService:
    """Keeps, lists, checks and forgets secrets. No method answers with a value but `model_key`, for the planner."""

    store: Store
    recorder: Recorder
    vault: Vault
    now: Now

    async def list(self, actor: Actor) -> Sequence[Secret]:
        """What is kept, without values."""
        require(actor, Action.SECRET_READ)
        return await self.store.read(lambda tx: secret_rows.find(tx, actor.in_workspace))

    async def put(self, actor: Actor, kind: str, value: str, *, expires_at: datetime | None) -> Secret:
        """Keep `value` in the place of what was there before; it counts from the next model call on."""
        require(actor, Action.SECRET_WRITE)
        _check_kind(kind)
        now, workspace_id = self.now(), actor.in_workspace
        if expires_at is not None and expires_at <= now:
            raise Invalid.field("expiresAt", "must be in the future")
        name = new_id()
        kept = Secret(
            id=name,
            workspace_id=workspace_id,
            kind=kind,
            sealed=self.vault.seal(value, workspace_id=workspace_id, place=_place(name)),
            key_version=1,
            expires_at=expires_at,
            created_at=now,
            updated_at=now,
        )

        def work(tx: Tx) -> Secret:
            secret_rows.put(tx, kept)
            self.recorder.record(tx, SecretStored(workspace_id=workspace_id, actor=actor.principal, of=kind))
            return kept

        return await self.store.workspace(actor.in_workspace).write(work)

    async def remove(self, actor: Actor, kind: str) -> None:
        """Forget it; NotFound when there is none."""
        require(actor, Action.SECRET_WRITE)
        _check_kind(kind)

        def work(tx: Tx) -> None:
            if not secret_rows.remove(tx, actor.in_workspace, kind):
                raise NotFound("Secret not found")
            self.recorder.record(tx, SecretDeleted(workspace_id=actor.in_workspace, actor=actor.principal, of=kind))

        await self.store.workspace(actor.in_workspace).write(work)

    async def verify(self, actor: Actor, kind: str) -> None:
        """Whether it opens with the present ENCRYPTION_KEY: NotFound, or CannotOpen (422) when not."""
        require(actor, Action.SECRET_READ)
        _check_kind(kind)
        found = await self.store.read(lambda tx: secret_rows.get(tx, actor.in_workspace, kind))
        if found is None:
            raise NotFound("Secret not found")
        self._open(found)

    def model_key(self, tx: Tx, workspace_id: str, provider: str) -> str | None:
        """The workspace's own key of a provider; None when it has none, or an expired one."""
        found = secret_rows.get(tx, workspace_id, provider)
        if found is None or (found.expires_at is not None and found.expires_at <= self.now()):
            return None
        return self._open(found)

    def _open(self, secret: Secret) -> str:
        return self.vault.open(secret.sealed, workspace_id=secret.workspace_id, place=_place(secret.id))


def _place(secret_id: str) -> str:
    return f"secrets/sealed/{secret_id}"


def _check_kind(kind: str) -> None:
    if kind not in KINDS:
        raise Invalid.field("kind", f"must be one of {', '.join(KINDS)}")
