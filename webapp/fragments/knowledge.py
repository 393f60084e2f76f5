"""Knowledge: the notes that people and operators of a workspace share."""

from domain.errors import Invalid
from domain.identity.actor import Actor
from domain.identity.permissions import Action, allows
from services.container import Services
from webapp.fragments.common import Fragment, Query, item_id, names

PAGE = 30
DEEPEST = 10_000


async def knowledge(services: Services, actor: Actor, _item: str, query: Query) -> Fragment:
    """Notes, the last changed first; `cursor` is how many were shown before."""
    search = query.get("q", "").strip()[:300]
    cursor = query.get("cursor", "0")
    if not (cursor.isascii() and cursor.isdigit() and len(cursor) <= 5 and int(cursor) <= DEEPEST):
        raise Invalid.field("cursor", "is not a cursor of this list")
    found = await services.knowledge.search(actor, query=search, limit=PAGE + 1, offset=int(cursor))
    return "knowledge.html", {
        "notes": found[:PAGE],
        "q": search,
        "cursor": str(int(cursor) + PAGE) if len(found) > PAGE else "",
        "rows_only": "cursor" in query,
        "may_write": allows(actor, Action.KNOWLEDGE_WRITE),
    }


async def note(services: Services, actor: Actor, item: str, _query: Query) -> Fragment:
    """One note, to read or to change."""
    return "note.html", {
        "note": await services.knowledge.get(actor, item_id(item)),
        "names": await names(services, actor),
        "may_write": allows(actor, Action.KNOWLEDGE_WRITE),
    }


async def new_note(_services: Services, actor: Actor, _item: str, _query: Query) -> Fragment:
    """The form for a new note."""
    return "new_note.html", {"may_write": allows(actor, Action.KNOWLEDGE_WRITE)}
