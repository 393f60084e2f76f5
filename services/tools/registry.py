"""The tools an installation has, and the ones that live inside it: notes, tasks, messages, waiting."""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

from domain.bounded_json import BadJson, measure
from domain.clock import Now, iso
from domain.identity.actor import Role
from domain.ids import new_id
from domain.tools.effect import Effect
from domain.tools.json_schema import INLINE, LONG, TOO_COSTLY, Budget, Checker, TooCostly
from domain.tools.note import Note
from domain.tools.tool import ARGUMENTS, Outcome, OutcomeStatus, Tool, ToolContext, ToolSpec
from services.outbox.notifications import Notifications
from storage.database import Store
from storage.outbox import recipient_rows
from storage.tools import note_rows
from storage.transaction import Tx

MAX_WAIT = timedelta(days=365)
# arguments of more values than this are checked in a thread
FEW = 500


def object_schema(required: Sequence[str] = (), **properties: Any) -> dict[str, Any]:
    """The JSON schema of an object with these properties and no others."""
    return {"type": "object", "properties": properties, "required": list(required), "additionalProperties": False}


def text_schema(description: str, *, max_length: int, min_length: int = 1) -> dict[str, Any]:
    """The JSON schema of a text."""
    return {"type": "string", "minLength": min_length, "maxLength": max_length, "description": description}


def done(output: Any, **more: Any) -> Outcome:
    """An outcome that went well."""
    return Outcome(status=OutcomeStatus.DONE, output=output, **more)


def failed(error: str, output: Any = None) -> Outcome:
    """An outcome that did not."""
    return Outcome(status=OutcomeStatus.FAILED, error=error, output=output)


class Tools:
    """Tools by name. What is not here does not exist for whoever looks here."""

    def __init__(self, tools: Mapping[str, Tool] | None = None) -> None:
        self._tools: dict[str, Tool] = dict(tools or {})
        self._checkers: dict[str, Checker] = {}

    def get(self, name: str) -> Tool | None:
        """The tool, None when there is none of that name."""
        return self._tools.get(name)

    @property
    def specs(self) -> list[ToolSpec]:
        """Every declaration, by name."""
        return [self._tools[name].spec for name in sorted(self._tools)]

    def problem(self, name: str, args: Any, *, budget: float = INLINE) -> str | None:
        """Why these arguments do not fit the tool's schema, None when they do. What is too large is not looked at."""
        try:
            measure(args, ARGUMENTS)
            found = self._checker(name).problem(args, Budget(budget))
        except (BadJson, TooCostly) as error:
            return f"arguments: {str(error) or TOO_COSTLY}"
        return None if found is None else f"{found.where or 'arguments'}: {found.message}"

    async def problem_of(self, name: str, args: Any) -> str | None:
        """As `problem`, without holding anybody up: where there is much to check, in a thread, with more patience."""
        try:
            few = measure(args, ARGUMENTS).nodes <= FEW
        except BadJson as error:
            return f"arguments: {error}"
        return self.problem(name, args) if few else await asyncio.to_thread(self.problem, name, args, budget=LONG)

    def _checker(self, name: str) -> Checker:
        if name not in self._checkers:
            self._checkers[name] = Checker(dict(self._tools[name].spec.parameters))
        return self._checkers[name]


class ToolSource(Protocol):
    """Tools that only one workspace has."""

    def tools(self, tx: Tx, workspace_id: str) -> Tools:
        """The workspace's own tools now; empty for most."""
        ...


class ToolRegistry(Tools):
    """The tools every workspace has, and the way to those that only one has."""

    def __init__(self, tools: Iterable[Tool], source: ToolSource | None = None) -> None:
        super().__init__()
        self._source = source
        for tool in tools:
            self.add(tool)

    def add(self, tool: Tool) -> None:
        """Add one; a second tool of the same name is a mistake."""
        name = tool.spec.name
        if name in self._tools:
            raise ValueError(f"two tools are called {name}")
        self._tools[name] = tool

    def within(self, tx: Tx, workspace_id: str) -> Tools:
        """The tools of a workspace as they are in this transaction."""
        own = None if self._source is None else self._source.tools(tx, workspace_id)
        return self if own is None or not own.specs else _CombinedTools(self, own)

    async def of(self, store: Store, workspace_id: str) -> Tools:
        """The tools of a workspace as they are now."""
        return await store.read(lambda tx: self.within(tx, workspace_id))

    def is_unchanged(self, tx: Tx, workspace_id: str, tool: Tool) -> bool:
        """Whether a workspace still has this tool with the declaration it was chosen by."""
        if tool.spec.name in self._tools:
            return True
        now = self.within(tx, workspace_id).get(tool.spec.name)
        return now is not None and now.spec == tool.spec


class _CombinedTools(Tools):
    """What everybody has, then what one workspace has."""

    def __init__(self, shared: Tools, own: Tools) -> None:
        super().__init__()
        self._parts = (shared, own)

    def get(self, name: str) -> Tool | None:
        return next((tool for part in self._parts if (tool := part.get(name)) is not None), None)

    @property
    def specs(self) -> list[ToolSpec]:
        return sorted((spec for part in self._parts for spec in part.specs), key=lambda spec: spec.name)

    def _checker(self, name: str) -> Checker:
        return next(part for part in self._parts if part.get(name) is not None)._checker(name)  # noqa: SLF001 - its kind


@dataclass(frozen=True, slots=True)
class LocalTool:
    """A tool whose effect is a row of ours: carried out once by its idempotency key."""

    store: Store
    now: Now

    async def find_outcome(self, context: ToolContext, args: Mapping[str, Any]) -> Outcome | None:
        """Inside tools are idempotent: repeating finds what was done."""
        return await self.run(context, args)

    async def run(self, context: ToolContext, args: Mapping[str, Any]) -> Outcome:
        """Do it in one transaction."""
        return await self.store.write(lambda tx: self.work(tx, context, args))

    def work(self, tx: Tx, context: ToolContext, args: Mapping[str, Any]) -> Outcome:
        raise NotImplementedError


class NoteCreate(LocalTool):
    spec = ToolSpec(
        name="note.create",
        summary="Write a note into the workspace's knowledge.",
        parameters=object_schema(
            ("title",),
            title=text_schema("Title of the note", max_length=500),
            body=text_schema("Text of the note", max_length=50_000, min_length=0),
            tags={"type": "array", "items": {"type": "string", "maxLength": 50}, "maxItems": 20},
        ),
        effect=Effect.E2,
        idempotent=True,
    )

    def work(self, tx: Tx, context: ToolContext, args: Mapping[str, Any]) -> Outcome:
        now = self.now()
        note = Note(
            id=new_id(),
            workspace_id=context.workspace_id,
            type="note",
            title=args["title"],
            body=args.get("body", ""),
            tags=list(args.get("tags", [])),
            created_by=context.user_id,
            created_at=now,
            updated_at=now,
        )
        kept = note_rows.add_once(tx, note, idempotency_key=context.idempotency_key)
        return done({"id": kept.id, "title": kept.title})


class KnowledgeSearch(LocalTool):
    spec = ToolSpec(
        name="knowledge.search",
        summary="Find notes whose title, text or tags hold all the given words.",
        parameters=object_schema(
            ("query",),
            query=text_schema("Words to look for", max_length=300),
            limit={"type": "integer", "minimum": 1, "maximum": 50},
        ),
        effect=Effect.E1,
        idempotent=True,
    )

    async def run(self, context: ToolContext, args: Mapping[str, Any]) -> Outcome:
        found = await self.store.read(
            lambda tx: note_rows.search(
                tx, context.workspace_id, query=args["query"], limit=int(args.get("limit", 10))
            ),
            # looking for words reads every note there is
            long=True,
        )
        return done(
            {
                "count": len(found),
                "notes": [
                    {
                        "id": n.id,
                        "title": n.title,
                        "body": n.body[:2000],
                        "tags": n.tags,
                        "updatedAt": iso(n.updated_at),
                    }
                    for n in found
                ],
            }
        )


@dataclass(frozen=True, slots=True)
class MessageSend(LocalTool):
    notifications: Notifications

    spec = ToolSpec(
        name="message.send",
        summary="Send a message to the founder in Telegram.",
        parameters=object_schema(("text",), text=text_schema("What to say", max_length=3500)),
        effect=Effect.E2,
        idempotent=True,
    )

    def work(self, tx: Tx, context: ToolContext, args: Mapping[str, Any]) -> Outcome:
        owners = recipient_rows.with_roles(tx, context.workspace_id, [Role.OWNER.value])
        asked_by = recipient_rows.named(tx, context.workspace_id, [context.user_id]) if context.user_id else ()
        person = next(iter((*asked_by, *owners)), None)
        if person is None:
            return failed("nobody in this workspace can be written to in Telegram: the founder has to /start the bot")
        self.notifications.text(
            tx,
            workspace_id=context.workspace_id,
            chat_id=person.telegram_id,
            text=args["text"],
            dedupe_key=f"message:{context.idempotency_key}",
        )
        return done({"queued": True, "to": person.name})


class WaitUntil:
    spec = ToolSpec(
        name="wait.until",
        summary="Pause the run until a time, or for a number of seconds. It costs nothing meanwhile.",
        parameters={
            "type": "object",
            "properties": {
                "time": {"type": "string", "description": "RFC 3339 time with zone, e.g. 2026-12-01T09:00:00Z"},
                "seconds": {"type": "number", "exclusiveMinimum": 0, "maximum": MAX_WAIT.total_seconds()},
            },
            "additionalProperties": False,
            "minProperties": 1,
            "maxProperties": 1,
        },
        effect=Effect.E0,
        idempotent=True,
    )

    def __init__(self, now: Now) -> None:
        self._now = now

    async def run(self, context: ToolContext, args: Mapping[str, Any]) -> Outcome:
        del context
        now = self._now()
        if "seconds" in args:
            until = now + timedelta(seconds=float(args["seconds"]))
        else:
            try:
                until = datetime.fromisoformat(args["time"])
            except ValueError:
                return failed("time: not an RFC 3339 time")
            if until.tzinfo is None:
                return failed("time: the time zone is missing")
            until = until.astimezone(UTC)
        if until - now > MAX_WAIT:
            return failed("time: more than a year away")
        return done({"until": iso(until)}, park_until=until.isoformat())

    async def find_outcome(self, context: ToolContext, args: Mapping[str, Any]) -> Outcome | None:
        """Nothing was done outside."""
        del context, args
        return None


class Finish:
    spec = ToolSpec(
        name="finish",
        summary="End the run and say what was achieved.",
        parameters=object_schema(("summary",), summary=text_schema("The answer for the person", max_length=20_000)),
        effect=Effect.E0,
        idempotent=True,
    )

    async def run(self, context: ToolContext, args: Mapping[str, Any]) -> Outcome:
        del context
        return done({"summary": args["summary"]}, finish=True)

    async def find_outcome(self, context: ToolContext, args: Mapping[str, Any]) -> Outcome | None:
        """Nothing was done outside."""
        del context, args
        return None
