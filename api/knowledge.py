"""Routes about knowledge: finding, reading and writing notes."""

from typing import Annotated, Any

from pydantic import AfterValidator, Field, StringConstraints

from api import wire
from api.http import Body, Call, Endpoints, LooseBody, said, text_ok
from api.models import NoteOut, NoteWritten
from domain.errors import Invalid, NotFound
from domain.permissions import Action

knowledge = Endpoints("knowledge")
route = knowledge.route
Title = Annotated[str, StringConstraints(min_length=1, max_length=500), AfterValidator(said), AfterValidator(text_ok)]
Text = Annotated[str, StringConstraints(max_length=50_000), AfterValidator(text_ok)]
Word = Annotated[str, StringConstraints(min_length=1, max_length=50), AfterValidator(text_ok)]
Tags = Annotated[list[Word], Field(max_length=50)]


class SearchQuery(LooseBody):
    q: Annotated[str, StringConstraints(max_length=300)] = ""
    type: Annotated[str, StringConstraints(max_length=50)] | None = None
    limit: Annotated[int, Field(ge=1, le=100)] = 20


class NewNote(LooseBody):
    title: Title
    compiledTruth: Text = ""  # noqa: N815 - names of the wire
    type: Word = "note"
    tags: Tags = Field(default_factory=list)
    content: Annotated[str, StringConstraints(max_length=500_000), AfterValidator(text_ok)] = ""


class NoteChange(Body):
    title: Title | None = None
    compiledTruth: Text | None = None  # noqa: N815
    tags: Tags | None = None


@route("GET", "/api/knowledge/search", action=Action.KNOWLEDGE_READ, response=list[NoteOut])
async def search_notes(call: Call, query: SearchQuery) -> Any:
    """Notes that hold every word of `q` in title, text or tags, newest first; all without it."""
    found = await call.services.knowledge.search(call.actor, query=query.q, kind=query.type or None, limit=query.limit)
    return [wire.note(n) for n in found]


@route(
    "POST",
    "/api/knowledge/pages",
    action=Action.KNOWLEDGE_WRITE,
    status=201,
    errors=(Invalid,),
    response=NoteWritten,
)
async def write_note(call: Call, body: NewNote) -> Any:
    """Write a note; `content`, where given, follows `compiledTruth` in its text."""
    made, evidence = await call.services.knowledge.write(
        call.actor,
        title=body.title,
        body="\n\n".join(part for part in (body.compiledTruth, body.content) if part),
        kind=body.type,
        tags=body.tags,
    )
    return {"id": made.id, "evidenceItemId": evidence}


@route("GET", "/api/knowledge/pages/{note_id}", action=Action.KNOWLEDGE_READ, errors=(NotFound,), response=NoteOut)
async def get_note(call: Call, note_id: str) -> Any:
    """One note."""
    return wire.note(await call.services.knowledge.get(call.actor, note_id))


@route(
    "PUT",
    "/api/knowledge/pages/{note_id}",
    action=Action.KNOWLEDGE_WRITE,
    errors=(NotFound, Invalid),
    response=NoteOut,
)
async def change_note(call: Call, note_id: str, body: NoteChange) -> Any:
    """Change title, text or tags of a note."""
    changed, _ = await call.services.knowledge.change(
        call.actor, note_id, title=body.title, body=body.compiledTruth, tags=body.tags
    )
    return wire.note(changed)


@route("DELETE", "/api/knowledge/pages/{note_id}", action=Action.KNOWLEDGE_WRITE, status=204, errors=(NotFound,))
async def remove_note(call: Call, note_id: str) -> None:
    """Take a note away; its receipts stay."""
    await call.services.knowledge.remove(call.actor, note_id)
