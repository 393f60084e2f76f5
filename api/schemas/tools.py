"""What operators work with: tools, tool servers, operators themselves, and knowledge."""

from collections.abc import Sequence
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, SecretStr, StringConstraints, field_validator

from api.schemas.base import (
    GIVEN,
    Attr,
    Body,
    From,
    Hash,
    Id,
    Json,
    Level,
    LooseBody,
    Moment,
    Out,
    Serialized,
    View,
    level,
    one_of,
    or_none,
    said,
    text_ok,
    visible,
)
from api.schemas.runs import Texts
from domain.tools.mcp import McpServer, OfferedTool
from domain.tools.note import Note
from domain.tools.operator import Operator
from domain.tools.tool import ToolSpec
from services.tools.operators import ROLES

# --- requests -------------------------------------------------------------------------------------

Secret = Annotated[SecretStr, Field(min_length=1, max_length=4000)]
Line = Annotated[str, StringConstraints(max_length=500)]
ToolName = Annotated[str, StringConstraints(max_length=120)]
Goal = Annotated[str, StringConstraints(max_length=2000)]
Title = Annotated[str, StringConstraints(min_length=1, max_length=500), AfterValidator(said), AfterValidator(text_ok)]
Text = Annotated[str, StringConstraints(max_length=50_000), AfterValidator(text_ok)]
Word = Annotated[str, StringConstraints(min_length=1, max_length=50), AfterValidator(text_ok)]
Tags = Annotated[list[Word], Field(max_length=50)]


class NewServerBody(Body):
    name: Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9-]{0,39}$")]
    url: Annotated[str, StringConstraints(max_length=4000, pattern=r"^https?://")] | None = None
    header: Annotated[str, StringConstraints(pattern=r"^[A-Za-z][A-Za-z0-9-]{0,63}$")] | None = None
    program: Annotated[str, StringConstraints(max_length=40)] | None = None
    variable: Annotated[str, StringConstraints(pattern=r"^[A-Z][A-Z0-9_]{0,63}$")] | None = None
    secret: Secret | None = None


class ServerChange(Body):
    enabled: Annotated[bool, Field(strict=True)] | None = None
    secret: Secret | None = None


class ToolWord(Body):
    effect_level: Annotated[str, StringConstraints(pattern=r"^E[1-4]$")]
    idempotent: Annotated[bool, Field(strict=True)] = False
    enabled: Annotated[bool, Field(strict=True)] = True
    digest: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]


class OperatorBody(Texts):
    name: Annotated[str, StringConstraints(min_length=1, max_length=200), AfterValidator(visible)]
    role: Annotated[str, one_of(ROLES)]
    goal: Goal = ""
    constraints: Annotated[list[Line], Field(max_length=20)] = Field(default_factory=list)
    tools: Annotated[list[ToolName], Field(max_length=50)] = Field(default_factory=list)
    max_iterations: Annotated[int, Field(ge=1, le=1000)] = 50

    @field_validator("role")
    @classmethod
    def _known(cls, value: str) -> str:
        if value not in ROLES:
            raise ValueError(f"must be one of {', '.join(ROLES)}")
        return value


class OperatorChange(Texts):
    goal: Goal | None = None
    is_active: bool | None = None
    constraints: Annotated[list[Line], Field(max_length=20)] | None = None
    tools: Annotated[list[ToolName], Field(max_length=50)] | None = None


class SearchQuery(LooseBody):
    q: Annotated[str, StringConstraints(max_length=300)] = ""
    type: Annotated[str, StringConstraints(max_length=50)] | None = None
    limit: Annotated[int, Field(ge=1, le=100)] = 20


class NewNote(LooseBody):
    title: Title
    compiled_truth: Text = ""
    type: Word = "note"
    tags: Tags = Field(default_factory=list)
    content: Annotated[str, StringConstraints(max_length=500_000), AfterValidator(text_ok)] = ""


class NoteChange(Body):
    title: Title | None = None
    compiled_truth: Text | None = None
    tags: Tags | None = None


# --- answers --------------------------------------------------------------------------------------


class ToolOut(View[ToolSpec]):
    name: str
    summary: str
    effect_level: Annotated[Level, Attr("effect")]
    idempotent: bool
    connector: Annotated[str | None, Attr(convert=or_none)]
    parameters: Annotated[Json, Attr(convert=dict)]


class McpToolOut(View[OfferedTool]):
    """`state`: unknown (nobody set a level), set, or changed (by its server, since the level was set)."""

    name: str
    full_name: Annotated[str, GIVEN]
    summary: str
    parameters: Annotated[Json, Attr("schema")]
    digest: Hash
    state: Annotated[Literal["unknown", "set", "changed"], GIVEN]
    effect_level: Annotated[Level, GIVEN]
    idempotent: Annotated[bool, GIVEN]
    enabled: Annotated[bool, GIVEN]


def _tools(server: McpServer) -> Sequence[Serialized[McpToolOut]]:
    return [
        McpToolOut.of(
            tool,
            full_name=server.full_name(tool.name),
            state=stands.state,
            effect_level=level(stands.effect),
            idempotent=stands.idempotent,
            enabled=stands.enabled,
        )
        for tool in server.tools
        for stands in [server.settings_of(tool)]
    ]


class McpServerOut(View[McpServer]):
    """`error`: why the last look failed, or which of the server's tools cannot be used and why."""

    id: Id
    workspace_id: Id
    name: str
    transport: Annotated[Literal["http", "stdio"], Attr("transport.kind")]
    # without what an address may carry of a secret behind the question mark
    url: Annotated[str | None, Attr("transport.shown_url", or_none)]
    header: Annotated[str | None, Attr("transport.header", or_none)]
    program: Annotated[str | None, Attr("transport.program", or_none)]
    variable: Annotated[str | None, Attr("transport.variable", or_none)]
    has_secret: Annotated[bool, Attr("transport.sealed", bool)]
    enabled: bool
    error: str | None
    tools: Annotated[list[McpToolOut], From(_tools)]
    created_at: Moment
    updated_at: Moment


class McpServersOut(Out):
    servers: list[McpServerOut]
    programs: list[str]


class OperatorOut(View[Operator]):
    id: Id
    workspace_id: Id
    name: str
    role: str
    goal: str
    constraints: list[str]
    tools: list[str]
    is_active: bool
    created_at: Moment
    updated_at: Moment


class OperatorConfig(View[Operator]):
    max_iterations: int


class OperatorInFull(OperatorOut):
    config: Annotated[OperatorConfig, From(OperatorConfig.of)]


class OperatorRole(Out):
    role: str
    description: str


class NoteOut(View[Note]):
    """A page of knowledge; `compiledTruth` is its text."""

    id: Id
    workspace_id: Id
    type: str
    title: str
    compiled_truth: Annotated[str, Attr("body")]
    tags: list[str]
    created_by: Id | None
    created_at: Moment
    updated_at: Moment


class NoteWritten(View[Note]):
    id: Id
    evidence_item_id: Annotated[Id | None, GIVEN]
