"""People in their workspaces: which one somebody is in, with which role, and which is their home."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from domain.clock import Now
from domain.errors import NotFound
from domain.identity.actor import Actor, Channel, Role
from domain.identity.user import User
from domain.workspaces.workspace import Workspace
from services.identity.cache import IdentityCache
from storage.database import Store
from storage.identity import user_rows
from storage.transaction import Tx
from storage.workspaces import workspace_rows


@dataclass(frozen=True, slots=True, kw_only=True)
class Memberships:
    """A person becomes an Actor with a role here."""

    store: Store
    cache: IdentityCache
    now: Now

    async def in_workspace(self, actor: Actor, workspace_id: str) -> Actor:
        """The person in a workspace; NotFound when they are no member, which says nothing about whether it exists."""
        if actor.api_key_id is not None:
            if actor.workspace_id != workspace_id:
                raise NotFound("Workspace not found")
            return actor
        key = (actor.user_id, workspace_id)
        role: str | None = self.cache.roles.get(key)
        if role is None:
            generation = self.cache.roles.generation
            role = await self.store.read(lambda tx: workspace_rows.role_of(tx, workspace_id, actor.user_id))
            if role is None:
                raise NotFound("Workspace not found")
            self.cache.roles.put(key, role, read_in=generation)
        return replace(actor, workspace_id=workspace_id, role=Role(role))

    async def workspaces(self, actor: Actor) -> Sequence[tuple[str, str]]:
        """(id, name) of every workspace the person is in."""
        return [(w.id, w.name) for w, _ in await self.store.read(lambda tx: workspace_rows.of_user(tx, actor.user_id))]

    async def switch_workspace(self, actor: Actor, workspace_id: str) -> Actor:
        """Make another workspace the person's home in chat."""
        moved = await self.in_workspace(actor, workspace_id)

        def work(tx: Tx) -> None:
            user = user_rows.get(tx, actor.user_id)
            kept = {} if user is None else user.preferences
            user_rows.change(tx, actor.user_id, now=self.now(), preferences={**kept, "workspaceId": workspace_id})

        await self.store.write(work)
        return moved

    async def of_telegram(self, telegram_user_id: int) -> Actor | None:
        """The person behind a chat update, at home; None for strangers. Decided from the person, never the chat."""

        def work(tx: Tx) -> Actor | None:
            user = user_rows.by_telegram(tx, telegram_user_id)
            place = None if user is None else home_of(tx, user.id)
            if user is None or place is None:
                return None
            return Actor(
                user_id=user.id,
                name=user.name,
                channel=Channel.TELEGRAM,
                workspace_id=place[0].id,
                role=Role(place[1]),
            )

        return await self.store.read(work)


def home_of(tx: Tx, user_id: str, user: User | None = None) -> tuple[Workspace, str] | None:
    """The workspace a person chose, or the first they joined, and their role there; None for who is in none."""
    places = workspace_rows.of_user(tx, user_id)
    if len(places) < 2:
        return places[0] if places else None
    user = user or user_rows.get(tx, user_id)
    chosen = None if user is None else user.preferences.get("workspaceId")
    return next((p for p in places if p[0].id == chosen), places[0] if places else None)
