"""The values that pass between the planner and the wire: which model, what it is asked, what it said."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from domain.outside import ExternalError

PROVIDERS = ("openrouter", "openai", "anthropic", "ollama")
STANDARD_URLS = {
    "openrouter": "https://openrouter.ai/api/v1",
    "openai": "https://api.openai.com/v1",
    "anthropic": "https://api.anthropic.com",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelChoice:
    """One model at one address. `guarded`: the address was named by a workspace and must be public.

    `local`: it runs on the installation's own machines and costs nothing per token. `own`: a workspace pays for it,
    by a key or at an address of its own.
    """

    provider: str
    model: str
    base_url: str
    api_key: str = field(default="", repr=False)
    guarded: bool = False
    local: bool = False
    own: bool = False

    @property
    def paid_by_installation(self) -> bool:
        """Whether what it costs is the installation's bill."""
        return not self.own and not self.local

    @property
    def standard(self) -> bool:
        """Whether this is the provider's own public address."""
        return self.base_url == STANDARD_URLS.get(self.provider)

    def __str__(self) -> str:
        return f"{self.provider}:{self.model}"


@dataclass(frozen=True, slots=True, kw_only=True)
class WireTool:
    """A tool as a model knows it: `wire` is its name in the letters every provider takes."""

    wire: str
    name: str
    summary: str
    schema: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """One request: messages as JSON, the last one of the user's side. `timeout` in seconds."""

    system: str
    messages: Sequence[Mapping[str, Any]]
    tools: Sequence[WireTool]
    temperature: float | None
    max_tokens: int
    timeout: float


@dataclass(frozen=True, slots=True, kw_only=True)
class WireCall:
    """A call as the model wrote it; `args` may be anything."""

    id: str
    wire: str
    args: Any


# told what there is so far of an answer: its text, and its calls with arguments that may be half written
Hearing = Callable[[str, Sequence[WireCall]], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """What a model said. `cost_micros` is what the provider itself charged, None when it did not say.

    `measured` is False when the provider reported no usage.
    """

    text: str = ""
    calls: tuple[WireCall, ...] = ()
    refusal: str = ""
    cut_off: bool = False
    model: str = ""
    tokens_in: int = 0
    tokens_out: int = 0
    cache_read: int = 0
    cache_write: int = 0
    cost_micros: int | None = None
    measured: bool = True
    message: Mapping[str, Any] = field(default_factory=dict)


class ContextTooLong(ExternalError):
    """The conversation does not fit the model; shortening it may help, repeating does not."""

    def __init__(self, message: str) -> None:
        super().__init__(message, code="model_context", retryable=False)
