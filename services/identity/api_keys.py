"""API keys: made in a workspace by one of its members, shown once, and presented with requests."""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from domain.clock import Now
from domain.errors import Forbidden, Invalid, NotFound
from domain.identity.actor import Actor, Channel, Role
from domain.identity.credentials import ApiKey
from domain.identity.permissions import SCOPES, Action, require
from domain.ids import new_id
from domain.journal.people import ApiKeyCreated, ApiKeyRevoked
from services.identity.cache import IdentityCache
from services.identity.credentials import Identity
from services.ledger.recorder import Recorder
from storage.database import Store
from storage.identity import api_key_rows
from storage.transaction import Tx
from storage.workspaces import workspace_rows
from storage.workspaces.vault import hash_token

KEY_PREFIX = "hp_"
KEY_LIFE = timedelta(days=365)


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiKeys:
    """Keys of all workspaces."""

    store: Store
    recorder: Recorder
    cache: IdentityCache
    now: Now

    async def identify(self, key: str) -> Identity | None:
        """Who a key acts for, None for one that is unknown, revoked or expired, or of no member any more."""
        if not key.startswith(KEY_PREFIX) or len(key) > 100 or not key.isascii():
            return None
        digest = hash_token(key)
        cached: Identity | None = self.cache.presented.get(digest)
        if cached is None:
            now = self.now()

            def work(tx: Tx) -> Identity | None:
                found = api_key_rows.by_hash(tx, digest)
                if found is None or found[0].revoked_at is not None or found[0].expires_at <= now:
                    return None
                held, name = found
                role = workspace_rows.role_of(tx, held.workspace_id, held.user_id)
                if role is None:
                    return None
                # a key never outlives a demotion of the person it acts for
                weaker = min(Role(held.role), Role(role), key=lambda r: r.rank)
                actor = Actor(
                    user_id=held.user_id,
                    name=name,
                    channel=Channel.API_KEY,
                    workspace_id=held.workspace_id,
                    role=weaker,
                    api_key_id=held.id,
                    scopes=None if held.scopes is None else frozenset(held.scopes),
                )
                return Identity(actor=actor)

            generation = self.cache.presented.generation
            cached = await self.store.read(work)
            if cached is None:
                return None
            self.cache.presented.put(digest, cached, read_in=generation)
            key_id = cached.actor.api_key_id
            if key_id is not None:
                await self.store.write(lambda tx: api_key_rows.used(tx, key_id, now=now))
        return cached

    async def create(
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
            api_key_rows.add(tx, key)
            evidence = self.recorder.record(
                tx,
                ApiKeyCreated(
                    workspace_id=actor.in_workspace,
                    actor=actor.principal,
                    key_id=key.id,
                    role=key.role,
                    scopes=key.scopes,
                ),
            )
            return key, token, evidence

        return await self.store.write(work)

    async def of_workspace(self, actor: Actor) -> Sequence[ApiKey]:
        """Keys of the workspace."""
        require(actor, Action.APIKEY_LIST)
        return await self.store.read(lambda tx: api_key_rows.of_workspace(tx, actor.in_workspace))

    async def revoke(self, actor: Actor, key_id: str) -> None:
        """End a key now."""
        require(actor, Action.APIKEY_REVOKE)

        def work(tx: Tx) -> None:
            if not api_key_rows.revoke(tx, actor.in_workspace, key_id, now=self.now()):
                raise NotFound("API key not found")
            self.recorder.record(
                tx, ApiKeyRevoked(workspace_id=actor.in_workspace, actor=actor.principal, key_id=key_id)
            )
            self.cache.forget_after(tx)

        await self.store.write(work)
