"""Which planner a workspace gets: a chain of models that can really be asked, or the one without a model."""

import ipaddress
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit

from connectors.guard import Guard
from connectors.models.choice import PROVIDERS, STANDARD_URLS, ModelChoice
from connectors.models.clients import Clients
from connectors.models.offline import OfflinePlanner, PlaybooksFirst
from connectors.models.prices import UNKNOWN, PerMillion
from connectors.models.provider import ModelOptions, ModelPlanner
from domain.ports import Planner


class PlannerFactory:
    """Builds planners from the installation's keys and a workspace's model settings.

    `keys`: API keys of the installation by provider. `openai_base_url` and `ollama_base_url`: addresses the
    installation trusts, which may be local. `unknown_price`: of models the price list does not have. `stream`: whether
    answers are asked for as streams.
    `default_model`: `provider:model`, tried after what the workspace names. A workspace's own address (`baseUrl`)
    must be public and never receives a key of the installation.
    """

    def __init__(
        self,
        *,
        keys: Mapping[str, str] | None = None,
        openai_base_url: str = "",
        ollama_base_url: str = "",
        default_model: str = "",
        timeout: float = 90.0,
        stream: bool = True,
        unknown_price: PerMillion = UNKNOWN,
        guard: Guard | None = None,
    ) -> None:
        self._keys = {name: key for name, key in (keys or {}).items() if key}
        self._openai_base_url = openai_base_url.rstrip("/")
        self._ollama_base_url = _ollama_url(ollama_base_url)
        self._default_model = default_model
        self._timeout = timeout
        self._stream = stream
        self._unknown_price = unknown_price
        self._clients = Clients(guard or Guard())

    def __call__(self, workspace_id: str, config: Mapping[str, Any], key: str | None) -> Planner:
        """The planner of a workspace: `config` is its `modelConfig`, `key` its own API key for that provider."""
        del workspace_id
        chain = self.chain(config, key)
        if not chain:
            return OfflinePlanner()
        temperature = config.get("temperature")
        options = ModelOptions(
            temperature=None if temperature is None else float(temperature),
            timeout=self._timeout,
            stream=self._stream,
            unknown_price=self._unknown_price,
        )
        return PlaybooksFirst(ModelPlanner(chain, clients=self._clients, options=options))

    def chain(self, config: Mapping[str, Any], key: str | None) -> list[ModelChoice]:
        """The models that can be asked, in order: the workspace's, its fallbacks, the installation's default."""
        found: list[ModelChoice] = []
        for choice in self._wanted(config, key or ""):
            if choice is not None and not any(str(choice) == str(other) for other in found):
                found.append(choice)
        return found

    def _wanted(self, config: Mapping[str, Any], key: str) -> Iterator[ModelChoice | None]:
        provider, model = str(config.get("provider") or ""), str(config.get("model") or "")
        base_url = str(config.get("baseUrl") or "").rstrip("/")
        if provider and model and base_url:
            yield ModelChoice(provider=provider, model=model, base_url=base_url, api_key=key, guarded=True, own=True)
        elif provider and model:
            yield self._choice(provider, model, key)
        for fallback in config.get("fallbacks") or ():
            name, rest = _split(str(fallback), provider)
            own = key if name == provider and not base_url else ""
            yield self._choice(name, rest, own)
        if self._default_model:
            name, rest = _split(self._default_model, self._first_usable())
            yield self._choice(name, rest, "")

    def _choice(self, provider: str, model: str, own_key: str) -> ModelChoice | None:
        key = own_key or self._keys.get(provider, "")
        if provider == "ollama":
            if not self._ollama_base_url:
                return None
            return ModelChoice(provider=provider, model=model, base_url=self._ollama_base_url, local=True)
        if provider == "openai" and self._openai_base_url and not own_key:
            local = is_local(self._openai_base_url)
            return ModelChoice(provider=provider, model=model, base_url=self._openai_base_url, api_key=key, local=local)
        if provider not in STANDARD_URLS or not key:
            return None
        return ModelChoice(
            provider=provider, model=model, base_url=STANDARD_URLS[provider], api_key=key, own=bool(own_key)
        )

    def _first_usable(self) -> str:
        return next((name for name in PROVIDERS if self._choice(name, "any", "") is not None), "openrouter")

    async def warm(self) -> None:
        """Import the provider layer ahead of the first task, where a model is configured."""
        if self._keys or self._openai_base_url or self._ollama_base_url:
            await self._clients.warm(*self._keys)

    async def aclose(self) -> None:
        """Close the connections to providers."""
        await self._clients.aclose()


def _split(text: str, default: str) -> tuple[str, str]:
    """`provider:model`; a model's name may hold colons itself (`llama3:8b`)."""
    provider, colon, model = text.partition(":")
    return (provider, model) if colon and provider in PROVIDERS and model else (default, text)


def _ollama_url(url: str) -> str:
    url = url.rstrip("/")
    return url if not url or url.endswith("/v1") else f"{url}/v1"


def is_local(url: str) -> bool:
    """Whether the address is on this machine or in a private network, where tokens have no price."""
    host = urlsplit(url).hostname or ""
    if host == "localhost" or host.endswith((".localhost", ".local", ".internal")):
        return True
    try:
        return ipaddress.ip_address(host).is_private
    except ValueError:
        return "." not in host
