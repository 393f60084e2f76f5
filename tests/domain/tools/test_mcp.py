"""Which tools of a server may be used, and whose word about them counts."""

from dataclasses import replace
from typing import Any

import pytest

from domain.clock import utc_now
from domain.runs.delegation import narrowed, share
from domain.tools.effect import Effect
from domain.tools.mcp import McpServer, OfferedTool, ToolOverride, Transport, offered

TEXT = {"type": "object", "properties": {"text": {"type": "string"}}}


def raw(name: str = "read", *, schema: Any = TEXT, description: str = "Reads.") -> dict[str, Any]:
    return {"name": name, "description": description, "inputSchema": schema}


def good(**given: Any) -> OfferedTool:
    found = offered(raw(**given))
    assert isinstance(found, OfferedTool), found
    return found


def doubled(levels: int) -> dict[str, Any]:
    """A small schema that stands for two to the power of `levels` checks."""
    defs: dict[str, Any] = {f"d{n}": {"allOf": [{"$ref": f"#/$defs/d{n + 1}"}] * 2} for n in range(levels)}
    return {"type": "object", "properties": {"a": {"$ref": "#/$defs/d0"}}, "$defs": {**defs, f"d{levels}": {}}}


@pytest.mark.parametrize(
    "schema",
    [
        None,
        [],
        "object",
        {},
        {"type": "string"},
        {"type": "object", "properties": {"a": {"type": "nonsense"}}},
        {"type": "object", "properties": []},
        {"type": "object", "properties": {"a": {"$ref": "https://example.com/schema"}}},
        {"type": "object", "properties": {"a": {"$ref": "#/$defs/none"}}},
        {"type": "object", "properties": {"a": {"$dynamicRef": "#x"}}},
        {"type": "object", "properties": {"a": {"$ref": "#/properties/a"}}},
        {"type": "object", "description": "x" * 30_000},
        doubled(30),
    ],
)
def test_a_schema_that_cannot_be_checked_is_refused(schema: Any) -> None:
    found = offered(raw(schema=schema))
    assert isinstance(found, str)
    assert found.startswith("read: ")


@pytest.mark.parametrize("name", ["", "a b", "-x", "x/y", "a" * 65, "ä", ".x", "x.", None, 7])
def test_a_name_a_playbook_cannot_write_is_refused(name: Any) -> None:
    assert isinstance(offered(raw(name=name)), str)


def test_words_from_outside_are_cleaned_and_capped_and_patterns_are_not_ours_to_run() -> None:
    found = good(
        description="Reads.\u202e\u200b" + "x" * 5000,
        schema={
            "type": "object",
            "properties": {"pattern": {"type": "string", "pattern": "(a+)+$", "description": "a\u202eb"}},
            "required": ["pattern"],
        },
    )
    assert (found.summary[:7], len(found.summary)) == ("Reads.x", 1000)
    assert found.schema["properties"] == {"pattern": {"type": "string", "description": "ab"}}
    assert isinstance(offered(raw(schema=doubled(5))), OfferedTool)


def server(*tools: OfferedTool, **words: ToolOverride) -> McpServer:
    now = utc_now()
    return McpServer(
        id="i",
        workspace_id="w",
        name="world",
        transport=Transport(url="https://example.com/mcp?key=1#x", sealed="s3"),
        tools=tools,
        words=words,
        enabled=True,
        error=None,
        created_at=now,
        updated_at=now,
    )


def word(
    tool: OfferedTool, effect: Effect = Effect.E1, *, idempotent: bool = True, enabled: bool = True
) -> ToolOverride:
    return ToolOverride(effect=effect, idempotent=idempotent, enabled=enabled, digest=tool.digest)


def test_nobodys_word_is_e3_and_not_to_be_repeated() -> None:
    spec = server(good()).specs()["read"]
    assert (spec.name, spec.effect, spec.idempotent) == ("mcp.world.read", Effect.E3, False)
    assert spec.modes == ("build", "launch", "apply")


def test_the_owners_word_counts_for_what_it_was_said_of() -> None:
    read = good()
    known = server(read, read=word(read))
    assert (known.specs()["read"].effect, known.specs()["read"].modes) == (Effect.E1, ())
    for changed in (good(description="Reads more."), good(schema={**TEXT, "required": ["text"]})):
        now = replace(known, tools=(changed,))
        assert now.specs() == {}
        stands = now.settings_of(changed)
        assert (stands.state, stands.effect, stands.enabled) == ("changed", Effect.E3, False)
    assert server(read, read=word(read, enabled=False)).specs() == {}
    assert replace(known, enabled=False).specs() == {}


def test_a_server_shows_no_secret() -> None:
    known = server()
    assert known.transport.shown_url == "https://example.com/mcp"
    assert "s3" not in repr(known)


def test_bounds_only_get_narrower() -> None:
    assert narrowed((), None) == ()
    assert narrowed(("a", "b"), None) == ("a", "b")
    assert narrowed((), ["a"]) == ("a",)
    assert narrowed(("a", "b"), ["b", "c"]) == ("b",)
    assert narrowed(("a",), ["b"]) == ("finish",)
    assert narrowed(("a",), []) == ("finish",)
    assert narrowed((), []) == ("finish",)
    assert [share(None, 10), share(3, 10), share(30, 10), share(3, -1)] == [5, 3, 10, -1]
