"""Knowledge: the notes of a workspace, which people and operators write and find."""

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256

from domain.clock import Now
from domain.errors import NotFound
from domain.identity.actor import Actor
from domain.identity.permissions import Action, require
from domain.ids import new_id
from domain.journal.workspace import KnowledgeWritten
from domain.tools.note import Note
from services.ledger.recorder import Recorder
from storage.database import Store
from storage.tools import note_rows
from storage.transaction import Tx


@dataclass(frozen=True, slots=True)
class KnowledgeService:
    """Use cases about notes. A receipt holds the hash of a note's text, never the text: a removed note is gone."""

    store: Store
    recorder: Recorder
    now: Now

    async def search(
        self, actor: Actor, *, query: str = "", kind: str | None = None, limit: int = 20, offset: int = 0
    ) -> Sequence[Note]:
        """Notes that hold every word of `query` in title, text or tags, newest first; all for an empty one."""
        require(actor, Action.KNOWLEDGE_READ)
        return await self.store.read(
            lambda tx: note_rows.search(tx, actor.in_workspace, query=query, limit=limit, kind=kind, offset=offset),
            # looking for words reads every note there is
            long=bool(query.strip()),
        )

    async def get(self, actor: Actor, note_id: str) -> Note:
        """One note; NotFound when the workspace has none with this id."""
        require(actor, Action.KNOWLEDGE_READ)
        return await self.store.read(lambda tx: _found(tx, actor, note_id))

    async def write(
        self, actor: Actor, *, title: str, body: str, kind: str = "note", tags: Sequence[str] = ()
    ) -> tuple[Note, str | None]:
        """A new note and the id of its receipt."""
        require(actor, Action.KNOWLEDGE_WRITE)
        now = self.now()
        note = Note(
            id=new_id(),
            workspace_id=actor.in_workspace,
            type=kind,
            title=title,
            body=body,
            tags=_distinct(tags),
            created_by=actor.user_id,
            created_at=now,
            updated_at=now,
        )

        def work(tx: Tx) -> tuple[Note, str | None]:
            kept = note_rows.add_once(tx, note, idempotency_key=f"page:{note.id}")
            return kept, self._recorded(tx, actor, note.id, "written", args=_summed(title=title, body=body))

        return await self.store.workspace(actor.in_workspace).write(work)

    async def change(
        self,
        actor: Actor,
        note_id: str,
        *,
        title: str | None = None,
        body: str | None = None,
        tags: Sequence[str] | None = None,
    ) -> tuple[Note, str | None]:
        """Change what is given and leave the rest; the note and the id of the receipt."""
        require(actor, Action.KNOWLEDGE_WRITE)
        given = {
            "title": title,
            "body": body,
            "tags": None if tags is None else _distinct(tags),
        }
        values = {name: value for name, value in given.items() if value is not None}

        def work(tx: Tx) -> tuple[Note, str | None]:
            _found(tx, actor, note_id)
            note_rows.change(tx, actor.in_workspace, note_id, **values, updated_at=self.now())
            evidence = self._recorded(tx, actor, note_id, "changed", args=_summed(title=title, body=body))
            return _found(tx, actor, note_id), evidence

        return await self.store.workspace(actor.in_workspace).write(work)

    async def remove(self, actor: Actor, note_id: str) -> None:
        """Take a note away for good; its receipts stay, and hold none of its text."""
        require(actor, Action.KNOWLEDGE_WRITE)

        def work(tx: Tx) -> None:
            _found(tx, actor, note_id)
            note_rows.remove(tx, actor.in_workspace, note_id)
            self._recorded(tx, actor, note_id, "removed")

        await self.store.workspace(actor.in_workspace).write(work)

    def _recorded(
        self, tx: Tx, actor: Actor, note_id: str, what: str, *, args: dict[str, object] | None = None
    ) -> str | None:
        entry = KnowledgeWritten(
            workspace_id=actor.in_workspace, actor=actor.principal, note_id=note_id, what=what, hashes=args
        )
        return self.recorder.record(tx, entry)


def _found(tx: Tx, actor: Actor, note_id: str) -> Note:
    note = note_rows.get(tx, actor.in_workspace, note_id)
    if note is None:
        raise NotFound("Note not found")
    return note


def _summed(*, title: str | None, body: str | None) -> dict[str, object]:
    hashes = {"title": title, "body": body}
    return {f"{name}Sha256": sha256(text.encode()).hexdigest() for name, text in hashes.items() if text is not None}


def _distinct(tags: Sequence[str]) -> list[str]:
    return list(dict.fromkeys(tag.strip() for tag in tags if tag.strip()))
