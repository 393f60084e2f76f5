"""Routes about knowledge: finding, reading and writing notes."""

from api.http import Endpoints, RequestContext
from api.schemas.base import Serialized
from api.schemas.tools import NewNote, NoteChange, NoteOut, NoteWritten, SearchQuery
from domain.errors import Invalid, NotFound
from domain.identity.permissions import Action

knowledge = Endpoints("knowledge")
route = knowledge.route


@route("GET", "/api/knowledge/search", action=Action.KNOWLEDGE_READ)
async def search_notes(call: RequestContext, query: SearchQuery) -> list[Serialized[NoteOut]]:
    """Notes that hold every word of `q` in title, text or tags, newest first; all without it."""
    found = await call.services.knowledge.search(call.actor, query=query.q, kind=query.type or None, limit=query.limit)
    return [NoteOut.of(n) for n in found]


@route(
    "POST",
    "/api/knowledge/pages",
    action=Action.KNOWLEDGE_WRITE,
    status=201,
    errors=(Invalid,),
)
async def write_note(call: RequestContext, body: NewNote) -> Serialized[NoteWritten]:
    """Write a note; `content`, where given, follows `compiledTruth` in its text."""
    made, evidence = await call.services.knowledge.write(
        call.actor,
        title=body.title,
        body="\n\n".join(part for part in (body.compiled_truth, body.content) if part),
        kind=body.type,
        tags=body.tags,
    )
    return NoteWritten.of(made, evidence_item_id=evidence)


@route("GET", "/api/knowledge/pages/{note_id}", action=Action.KNOWLEDGE_READ, errors=(NotFound,))
async def get_note(call: RequestContext, note_id: str) -> Serialized[NoteOut]:
    """One note."""
    return NoteOut.of(await call.services.knowledge.get(call.actor, note_id))


@route(
    "PUT",
    "/api/knowledge/pages/{note_id}",
    action=Action.KNOWLEDGE_WRITE,
    errors=(NotFound, Invalid),
)
async def change_note(call: RequestContext, note_id: str, body: NoteChange) -> Serialized[NoteOut]:
    """Change title, text or tags of a note."""
    changed, _ = await call.services.knowledge.change(
        call.actor, note_id, title=body.title, body=body.compiled_truth, tags=body.tags
    )
    return NoteOut.of(changed)


@route("DELETE", "/api/knowledge/pages/{note_id}", action=Action.KNOWLEDGE_WRITE, status=204, errors=(NotFound,))
async def remove_note(call: RequestContext, note_id: str) -> None:
    """Take a note away; its receipts stay."""
    await call.services.knowledge.remove(call.actor, note_id)
