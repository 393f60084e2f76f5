"""What the use cases need from the outside world, said as Protocols.

A port exists only where there are two real implementations, or where the call leaves the process.
Storage is not a port: there is one, and its tests run against the real thing.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from domain.outside import ExternalError
from domain.tools.tool import ToolSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpAnswer:
    """An answer of the outside: headers have lower-case names; `body` is cut at the size cap."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    truncated: bool
    url: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ProvenPerson:
    """Whom an identity provider vouches for. `subject` is its name for them, `telegram_id` given where it says it."""

    subject: str
    telegram_id: int | None
    name: str
    username: str | None
    photo_url: str | None


class LoginProvider(Protocol):
    """An OpenID Connect provider, by the authorization code flow with PKCE.

    Raises `domain.outside.ExternalError` when it cannot be asked, `domain.errors.Unauthorized` (codes `oidc_...`) when
    what it says does not hold.
    """

    async def authorize_url(self, *, state: str, nonce: str, challenge: str, redirect_uri: str) -> str:
        """Where to send the browser; `challenge` is the S256 of the verifier."""
        ...

    async def redeem(self, code: str, *, verifier: str, nonce: str, redirect_uri: str) -> ProvenPerson:
        """Who came back with this code."""
        ...


class Http(Protocol):
    """The guarded way out: public addresses only, size-capped, timed out.

    Raises `domain.outside.ExternalError` for everything that is not an answer.
    """

    async def request(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        content: bytes | None = None,
        max_bytes: int = 1_000_000,
        timeout: float = 20.0,
        follow: bool = True,
    ) -> HttpAnswer: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class SidecarHealth:
    """How a sidecar was at one look; `error` is None while it is well, `version` what it says of itself."""

    ok: bool
    latency_ms: int
    version: str | None
    error: str | None


class Sidecar(Protocol):
    """A decision point beside this process, as its health is looked at."""

    async def probe(self) -> SidecarHealth: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Mail:
    """One message: text always, html where there is one. `message_id` makes a repeat recognisable."""

    to: str
    subject: str
    text: str
    html: str = ""
    message_id: str = ""


class Mailer(Protocol):
    """Sends mail. Raises `domain.outside.ExternalError` when it could not."""

    async def send(self, mail: Mail) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolCall:
    """What a planner wants to do next. `call_id` is the model's own id for it ("" if none)."""

    tool: str
    args: Mapping[str, Any]
    call_id: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """Tokens and the price in millionths of a US dollar. `calls`: how many requests a model answered.

    `guessed_micros` is the part of the price that is a guess: the price list does not know the model, or the
    provider did not report its tokens. `own_micros` is the part that a key of the workspace's own pays; the
    installation pays the rest. Of an estimate, `replaceable` says that a model is left to ask where it pays nothing.
    """

    model: str = ""
    tokens_in: int = 0
    tokens_out: int = 0
    cost_micros: int = 0
    guessed_micros: int = 0
    own_micros: int = 0
    calls: int = 0
    replaceable: bool = False

    @property
    def installation_micros(self) -> int:
        """What the installation's own keys pay."""
        return self.cost_micros - self.own_micros


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanRequest:
    """Everything a planner may see. `history` is what its own earlier `PlanAnswer`s returned.

    `results` are the results of calls made since then: (call, text as data, ok). `allowance` is what this answer may
    cost at most, in micros; None: nobody counts. `at_own_cost`: no model may be asked that the installation pays for.
    `heard` is told what a model has written so far, as it grows.
    """

    task_title: str
    task_description: str
    operator: Mapping[str, Any]
    tools: Sequence[ToolSpec]
    history: Any
    results: Sequence[Mapping[str, Any]]
    allowance: int | None = None
    at_own_cost: bool = False
    heard: Callable[[str], None] | None = field(default=None, repr=False, compare=False)


# why a planner stopped, where it had no allowance to go on with
OVER_BUDGET = "budget_exceeded"
# the same, where it is the budget of the whole installation that has no room
OVER_INSTALLATION_BUDGET = "installation_budget_exceeded"


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanAnswer:
    """What the planner said: one of `call`, `finished` (a summary), or `blocked` (a plain reason).

    `history` is stored after each answer so that a resumed run goes on where it was.
    """

    call: ToolCall | None = None
    finished: str | None = None
    blocked: str | None = None
    blocked_code: str = ""
    history: Any = None
    usage: Usage = field(default_factory=Usage)


class BilledFailure(ExternalError):
    """A model was asked, answered something that is of no use, and then could not be asked again.

    `usage` is what that cost.
    """

    def __init__(self, error: ExternalError, usage: Usage) -> None:
        super().__init__(
            str(error), code=error.code, sent=error.sent, retryable=error.retryable, retry_after=error.retry_after
        )
        self.usage = usage


class Planner(Protocol):
    """Says what to do next. Raises `domain.outside.ExternalError` when a model cannot be asked."""

    async def next(self, request: PlanRequest) -> PlanAnswer: ...

    def estimate(self, request: PlanRequest) -> Usage:
        """What the next request to a model may cost at most; nothing where none will be asked."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class McpEndpoint:
    """A tool server with what is needed to reach it: a `url` with headers, or a `program` with variables.

    `program` is the name an administrator gave a command. Headers and variables hold the secret.
    """

    url: str = ""
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    program: str = ""
    variables: Mapping[str, str] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class McpAnswer:
    """What a tool server answered to a call: its output as JSON, and whether it calls it an error."""

    output: Any
    is_error: bool


class McpClient(Protocol):
    """Speaks the Model Context Protocol. Raises `domain.outside.ExternalError`; `sent` is about the call itself."""

    @property
    def programs(self) -> Sequence[str]:
        """The names of the programs that may be started as tool servers."""
        ...

    async def tools(self, endpoint: McpEndpoint) -> Sequence[Mapping[str, Any]]:
        """The tools the server offers, each as it describes it (`name`, `description`, `inputSchema`)."""
        ...

    async def call(self, endpoint: McpEndpoint, tool: str, args: Mapping[str, Any], *, key: str) -> McpAnswer:
        """Call a tool. `key` names the call for a server that recognises repeats."""
        ...
