"""An example for each schema of the document, put together from the schema itself and from samples by name."""

import re
from typing import Any

ID = "01936f3e-6d2a-7c51-9b1e-3f5d0c8a7e42"
MOMENT = "2026-11-25T20:04:26.123Z"
DIGEST = "0123456789abcdef" * 4
# what a field of this name holds, where its type allows it; the first one that fits is taken
SAMPLES: dict[str, tuple[Any, ...]] = {
    "action": ("email.send", "policy:updated"),
    "approvedBy": ([],),
    "actionInput": ({"to": "team@example.com", "subject": "We are live", "body": "Pilot launched today."},),
    "actor": (f"user:{ID}",),
    "args": ({"to": "team@example.com", "subject": "We are live", "body": "Pilot launched today."},),
    "body": ("Announce on Monday.",),
    "checks": ({"db": True, "jobs": True},),
    "code": ("482913",),
    "commit": ("",),
    "compiledTruth": ("Announce on Monday, to the team first.",),
    "complianceFrameworks": ([],),
    "connector": ("mail",),
    "constraints": (["Write to people of the team only."],),
    "csrfToken": ("b1nXh0Zc4rVq7s2t",),
    "deciders": ([ID],),
    "description": ('1. email.send to=team@example.com subject="We are live" body="Pilot launched today."',),
    "detail": ("tool: is required",),
    "digest": (DIGEST,),
    "effect_level": ("E3",),
    "email": ("ada@example.com",),
    "expiresIn": ("7 days",),
    "goal": ("Tell the world about every launch.",),
    "input": ({"to": "team@example.com", "subject": "We are live"},),
    "key": ("hp_live_4f1c9a",),
    "kind": ("decision", "openai"),
    "language": ("en",),
    "model": ("anthropic/claude-sonnet-4-20250514",),
    "name": ("Nora", "email.send", "mail-tools"),
    "note": ("Not before Monday.",),
    "output": ({"messageId": "1"},),
    "paused": (False,),
    "policyRule": ("content_ban",),
    "policyVersion": (DIGEST,),
    "policy_ref": (DIGEST,),
    "principal": (f"operator:{ID}",),
    "program": ("world",),
    "q": ("launch plan",),
    "reason": ("email.send acts outside",),
    "reasonCode": ("ESCALATE_EFFECT",),
    "requestedBy": (f"operator:{ID}",),
    "resolvedBy": (f"user:{ID}",),
    "resource": ("team@example.com",),
    "scopes": (["task:read"],),
    "service": ("pilot",),
    "session_id": ("nightly-import",),
    "subject": ("We are live",),
    "summary": ("The team has a mail.",),
    "tags": (["launch"],),
    "telegramId": ("100200300",),
    "timezone": ("Europe/Berlin",),
    "title": ("Launch checklist",),
    "token": ("a-token-as-a-login-gives-it",),
    "tool": ("email.send",),
    "tools": (["email.send"],),
    "type": ("note",),
    "url": ("https://tools.example/mcp",),
    "verdict": ("ESCALATE", "allow"),
    "version": (1, "0.1.0"),
    "violation": ("the text holds a banned phrase",),
    "when": ("input.args.to.endsWith('@example.com')",),
}
# what is null in a thing that is new and in order
NOTHING = frozenset(
    {
        "acceptedAt",
        "completedAt",
        "deadlineAt",
        "erasedAt",
        "error",
        "errorCode",
        "executeAfter",
        "grantId",
        "lastUsedAt",
        "nextRunAt",
        "parentRunId",
        "parentTaskId",
        "partialText",
        "resolutionNote",
        "resolvedAt",
        "resolvedBy",
        "resolvedVia",
        "retired_at",
        "revokedAt",
        "schedule",
        "verifiedAt",
        "waitReason",
        "wakeAt",
    }
)
# what a form holds beside that, or instead of it
FORMS: dict[str, dict[str, Any]] = {
    "AcceptInvite": {"email": "ada@example.com", "code": "482913"},
    "AskBody": {
        "action": "deploy.production",
        "reason": "Version 4.2 goes to everybody.",
        "input": {"service": "shop", "version": "4.2"},
        "effectLevel": "E3",
    },
    "BrowserReturn": {"code": "SplxlOBeZQQYbYS6WxSbIA", "state": "af0ifjsldkj"},
    "CheckpointOut": {
        "note": "pilot.example/log\n1\nn4bQgYhMfWWaL+qgxVrQFaO/TxsrC4Is0V1sFbDwCgg=\n\n\u2014 key n4bQ\n"
    },
    "LoginUser": {"name": "Ada"},
    "MemberOut": {"name": "Ada"},
    "Named": {"name": "Ada's Workspace"},
    "NamedBody": {"name": "Launch team"},
    "NewTenant": {"name": "Launch team"},
    "NewKeyOut": {"name": "CI"},
    "ApiKeyOut": {"name": "CI"},
    "PlaceOut": {"name": "Ada's Workspace"},
    "UserOut": {"name": "Ada"},
    "WorkspaceOut": {"name": "Ada's Workspace"},
    "MyWorkspaceOut": {"name": "Ada's Workspace"},
    "WorkspaceWithMembers": {"name": "Ada's Workspace"},
    "RootOut": {"name": "pilot", "version": "0.1.0", "description": "A self-hosted workspace in Telegram."},
    "NewSecret": {"value": "the key as its provider gave it"},
    "EvaluateBody": {"args": {"to": "team@example.com", "subject": "We are live"}},
    "CallBody": {
        "tool": "email.send",
        "effect_level": "E3",
        "session_id": "nightly-import",
        "args": {"to": "a@example.com"},
    },
    "HealthOut": {"status": "ok"},
    "NewInvite": {"role": "partner", "email": "ada@example.com"},
    "NewKey": {"name": "CI", "scopes": ["task:read"], "expiresInDays": 90},
    "NewNote": {"compiledTruth": "Announce on Monday, to the team first.", "tags": ["launch"]},
    "NewServerBody": {"name": "mail-tools", "url": "https://tools.example/mcp"},
    "NoteChange": {"tags": ["launch", "monday"]},
    "OperatorBody": {"role": "growth", "goal": "Tell the world about every launch.", "tools": ["email.send"]},
    "OperatorChange": {"isActive": False},
    "ResolveBody": {"version": 1, "digest": DIGEST},
    "RunBody": {"context": "Leave the last step out this time."},
    "ServerChange": {"enabled": True},
    "SettingsBody": {"policyConfig": {"contentBans": ["secret plan"]}, "budgetConfig": {"perTaskMax": 20.0}},
    "StatusBody": {"status": "cancelled"},
    "TaskBody": {"description": '1. note.create title="Plan"', "autoRun": True},
    "TaskChange": {"schedule": {"cron": "0 9 * * 1-5", "timezone": "Europe/Berlin"}},
    "TelegramLogin": {"initData": "query_id=AAH&user=%7B%22id%22%3A100200300%7D&auth_date=1795636800&hash=9f86d081"},
}
# texts whose form is told by a pattern
PATTERNS: dict[str, str] = {
    r"^[0-9a-f]{64}$": DIGEST,
    r"^\d+\.\d{6}$": "0.001250",
    r"^E[0-4]$": "E3",
    r"^E[1-4]$": "E3",
    r"^\d{4}-\d\d-\d\d$": "2026-11-25",
    r"^[0-9a-fA-F-]{36}$": ID,
    r"^[0-9a-f-]{36}$": ID,
    r"^[A-Z][A-Z0-9_]{0,63}$": "API_TOKEN",
    r"^[A-Za-z][A-Za-z0-9-]{0,63}$": "X-Api-Key",
    r"^([01]\d|2[0-3]):[0-5]\d$": "22:00",
}
TEXTS = {
    "application/x-ndjson": f'{{"id":"{ID}","action":"task:created","verdict":"allow","createdAt":"{MOMENT}"}}\n',
    "text/csv": "id,createdAt,actor,action,target,verdict,reason,metadata\r\n",
    "text/event-stream": f'id: 7\nevent: approval.requested\ndata: {{"ref":"{ID}"}}\n\n',
    "text/plain": 'pilot_http_requests_total{method="GET",route="/api/tasks",status="200"} 42.0\n',
}


def example_of(schema: dict[str, Any], definitions: dict[str, Any], *, full: bool, name: str = "") -> Any:
    """A value that the schema allows: all of its fields, or those that are needed and those with a sample."""
    if "$ref" in schema:
        return example_of(definitions[schema["$ref"].rpartition("/")[2]], definitions, full=full, name=name)
    if "const" in schema or "enum" in schema:
        allowed = schema.get("enum", [schema.get("const")])
        return next((sample for sample in SAMPLES.get(name, ()) if sample in allowed), allowed[0])
    if "anyOf" in schema:
        if name in NOTHING and {"type": "null"} in schema["anyOf"]:
            return None
        return example_of(schema["anyOf"][0], definitions, full=full, name=name)
    kind = schema.get("type")
    for sample in SAMPLES.get(name, ()):
        if _fits(sample, schema):
            return sample
    if kind == "object":
        return _object(schema, definitions, full=full)
    if kind == "array":
        items = schema.get("items", {})
        return [example_of(items, definitions, full=full, name=name)] if items else []
    if kind == "string":
        return _text(schema, name)
    if kind in ("integer", "number"):
        return schema.get("default", schema.get("minimum", 1))
    return schema.get("default", True) if kind == "boolean" else {}


def _object(schema: dict[str, Any], definitions: dict[str, Any], *, full: bool) -> dict[str, Any]:
    needed, told = schema.get("required", ()), FORMS.get(schema.get("title", ""), {})
    return {
        name: told[name] if name in told else example_of(field, definitions, full=full, name=name)
        for name, field in schema.get("properties", {}).items()
        if full or name in needed or name in told
    }


def _text(schema: dict[str, Any], name: str) -> str:
    if schema.get("format") == "uuid":
        return ID
    if schema.get("format") == "date-time":
        return MOMENT
    if (pattern := schema.get("pattern")) in PATTERNS:
        return PATTERNS[pattern]
    if name.endswith("Id") or name == "id":
        return ID
    return (schema.get("default") or name or "text").ljust(schema.get("minLength", 0), "x")


_KINDS: dict[str, type | tuple[type, ...]] = {
    "string": str,
    "integer": int,
    "number": (int, float),
    "boolean": bool,
    "array": list,
    "object": dict,
}


def _fits(sample: Any, schema: dict[str, Any]) -> bool:
    """Whether a schema without alternatives allows a sample."""
    kind: str | None = schema.get("type")
    if kind is None:
        return True
    if not isinstance(sample, _KINDS[kind]) or (kind == "object" and "properties" in schema):
        return False
    if kind == "array" and schema.get("items", {}).get("$ref"):
        return False
    if isinstance(sample, str):
        return "format" not in schema and re.search(str(schema.get("pattern", "")), sample) is not None
    return True
