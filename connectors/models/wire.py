"""One request to one model through pydantic-ai's provider layer.

Heavy (pydantic-ai and the SDKs cost two seconds of CPU): imported by `provider.py` on first use only, in a thread.
"""

import asyncio
import math
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextvars import ContextVar
from typing import Any

import httpx2
from openai import AsyncOpenAI
from pydantic import ValidationError
from pydantic_ai import exceptions as ai
from pydantic_ai.direct import model_request, model_request_stream
from pydantic_ai.messages import (
    ModelMessage,
    ModelMessagesTypeAdapter,
    ModelResponse,
    TextPart,
    ToolCallPart,
)
from pydantic_ai.models import Model, ModelRequestParameters
from pydantic_ai.models.ollama import OllamaModel
from pydantic_ai.models.openai import OpenAIChatModel
from pydantic_ai.models.openrouter import OpenRouterModel
from pydantic_ai.providers.ollama import OllamaProvider
from pydantic_ai.providers.openai import OpenAIProvider
from pydantic_ai.providers.openai_compatible import OpenAICompatibleProvider
from pydantic_ai.providers.openrouter import OpenRouterProvider
from pydantic_ai.settings import ModelSettings
from pydantic_ai.tools import ToolDefinition

from connectors.guard import Guard
from connectors.models.choice import Asked, ContextTooLong, Hearing, ModelChoice, Reply, WireCall, WireTool
from connectors.pinned import PinnedTransport
from domain.bounded_json import BadJson, Bounds, Meter
from domain.outside import ExternalError
from domain.untrusted import clean_and_cap

CONNECT_SECONDS = 10.0
MAX_ANSWER = 4_000_000
# of an answer, and of each event of a streamed one: what the library makes of it costs far more than its bytes
ANSWER = Bounds(size=MAX_ANSWER, depth=100, nodes=2000, digits=400)
MAX_CALLS = 100
# in seconds: what came at once is gone through with pauses, in which others have their turn
TURN = 0.01
# of an answer that comes bit by bit, what is there is told this often at most, in seconds
TOLD_EVERY = 0.25
_streaming: ContextVar[bool] = ContextVar("streaming", default=False)


def open_client() -> httpx2.AsyncClient:
    """For providers the installation itself names."""
    return httpx2.AsyncClient(timeout=httpx2.Timeout(60.0, connect=CONNECT_SECONDS), event_hooks=_HOOKS)


def open_guarded_client(guard: Guard) -> httpx2.AsyncClient:
    """For addresses a workspace names: only public ones, connected to as they were checked."""
    return httpx2.AsyncClient(
        transport=PinnedTransport(guard),
        trust_env=False,
        timeout=httpx2.Timeout(60.0, connect=CONNECT_SECONDS),
        event_hooks=_HOOKS,
    )


async def _plain(request: httpx2.Request) -> None:
    """A packed answer could unfold to any size: none is asked for, and none is taken."""
    request.headers["accept-encoding"] = "identity"


async def _bounded(response: httpx2.Response) -> None:
    if (
        _streaming.get()
        and response.is_success
        and response.headers.get("content-type", "").startswith("application/json")
    ):
        raise ExternalError(
            "the model's server answers as a whole where a stream was asked for: set PILOT_LLM_STREAM=false",
            code="model_bad_answer",
        )
    if response.headers.get("content-encoding", "identity") != "identity":
        raise ExternalError("the model's answer came packed, which was not asked for", code="model_bad_answer")
    response.stream = _Bounded(response.stream, events="event-stream" in response.headers.get("content-type", ""))


class _Bounded(httpx2.AsyncByteStream):
    """A body that ends with an error where it passes the size, the depth or the number of values no answer has."""

    def __init__(self, inner: Any, *, events: bool) -> None:
        self._inner = inner
        self._events = events

    async def __aiter__(self) -> AsyncIterator[bytes]:
        size = 0
        meter = Meter(ANSWER)
        feed = meter.feed_lines if self._events else meter.feed
        async for chunk in self._inner:
            size += len(chunk)
            if size > MAX_ANSWER:
                raise ExternalError(f"the model's answer is larger than {MAX_ANSWER} bytes", code="model_bad_answer")
            try:
                feed(chunk)
            except BadJson as error:
                raise ExternalError(f"the model's answer cannot be read: {error}", code="model_bad_answer") from error
            yield chunk

    async def aclose(self) -> None:
        await self._inner.aclose()


_HOOKS: Any = {"request": [_plain], "response": [_bounded]}


async def ask(choice: ModelChoice, asked: Asked, http: httpx2.AsyncClient, heard: Hearing | None = None) -> Reply:
    """The model's answer. ExternalError when there is none; ContextTooLong when it was too much for it.

    With `heard` the answer is asked for as a stream, and what there is of it is told as it grows.
    """
    try:
        messages = ModelMessagesTypeAdapter.validate_python(asked.messages)
    except ValidationError as error:
        raise ExternalError("the memory of the run cannot be read", code="model_memory", sent=False) from error
    for message in messages:
        if not isinstance(message, ModelResponse):
            message.instructions = asked.system
    settings = ModelSettings(max_tokens=asked.max_tokens, timeout=asked.timeout, max_retries=0)
    if asked.temperature is not None:
        settings["temperature"] = asked.temperature
    parameters = ModelRequestParameters(
        function_tools=[_definition(tool) for tool in asked.tools], allow_text_output=True
    )
    try:
        async with asyncio.timeout(asked.timeout + 1):
            if heard is None:
                response = await model_request(
                    _model(choice, http), messages, model_settings=settings, model_request_parameters=parameters
                )
            else:
                response = await _streamed(_model(choice, http), messages, settings, parameters, heard)
    except TimeoutError as error:
        raise ExternalError(
            f"{choice} did not answer within {asked.timeout:g} seconds", code="model_timeout", retryable=True
        ) from error
    except ai.ContentFilterError as error:
        return Reply(refusal=_said(error) or "the provider's content filter stopped the answer", model=choice.model)
    except ai.AgentRunError as error:
        raise _outside(error, choice) from error
    return _reply(response, choice)


async def _streamed(
    model: Model,
    messages: Sequence[ModelMessage],
    settings: ModelSettings,
    parameters: ModelRequestParameters,
    heard: Hearing,
) -> ModelResponse:
    told = turn = 0.0
    token = _streaming.set(True)
    try:
        async with model_request_stream(
            model, messages, model_settings=settings, model_request_parameters=parameters
        ) as stream:
            async for _ in stream:
                now = time.monotonic()
                if now - told >= TOLD_EVERY:
                    so_far = stream.get()
                    heard(_text(so_far), _calls(so_far))
                    told = time.monotonic()
                if now - turn >= TURN:
                    await asyncio.sleep(0)
                    turn = time.monotonic()
            response = stream.get()
    finally:
        _streaming.reset(token)
    details: Mapping[str, Any] = response.provider_details or {}
    if not details.get("finish_reason") and not details.get("refusal"):
        # A proxy may end what broke off as if it were whole: half an answer must not be taken for one.
        raise ExternalError("the model's answer broke off", code="model_unreachable", retryable=True)
    return response


def _model(choice: ModelChoice, http: httpx2.AsyncClient) -> Model:
    key = choice.api_key or "no-key"
    if choice.provider == "anthropic":
        # The SDK costs as much again to import: only those who use it pay.
        from pydantic_ai.models.anthropic import AnthropicModel  # noqa: PLC0415
        from pydantic_ai.providers.anthropic import AnthropicProvider  # noqa: PLC0415

        return AnthropicModel(
            choice.model, provider=AnthropicProvider(api_key=key, base_url=choice.base_url, http_client=http)
        )
    if choice.provider == "ollama":
        return OllamaModel(
            choice.model, provider=OllamaProvider(base_url=choice.base_url, api_key=key, http_client=http)
        )
    if choice.provider == "openrouter":
        client = AsyncOpenAI(base_url=choice.base_url, api_key=key, http_client=http)
        return OpenRouterModel(choice.model, provider=OpenRouterProvider(openai_client=client))
    if choice.provider == "openai" and choice.standard:
        return OpenAIChatModel(
            choice.model, provider=OpenAIProvider(base_url=choice.base_url, api_key=key, http_client=http)
        )
    provider = OpenAICompatibleProvider(choice.provider, base_url=choice.base_url, api_key=key, http_client=http)
    return OpenAIChatModel(choice.model, provider=provider)


def _definition(tool: WireTool) -> ToolDefinition:
    return ToolDefinition(
        name=tool.wire, description=tool.summary, parameters_json_schema=dict(tool.schema), strict=False
    )


def _reply(response: ModelResponse, choice: ModelChoice) -> Reply:
    details: Mapping[str, Any] = response.provider_details or {}
    refusal = str(details.get("refusal") or "")
    if not refusal and response.finish_reason == "content_filter":
        refusal = "the provider's content filter stopped the answer"
    usage = response.usage
    calls = _calls(response)
    if len(calls) > MAX_CALLS:
        raise ExternalError(f"the model's answer holds more than {MAX_CALLS} calls", code="model_bad_answer")
    return Reply(
        text=_text(response),
        calls=calls,
        refusal=clean_and_cap(refusal, 500)[0],
        cut_off=response.finish_reason == "length",
        model=response.model_name or choice.model,
        tokens_in=usage.input_tokens,
        tokens_out=usage.output_tokens,
        cache_read=usage.cache_read_tokens,
        cache_write=usage.cache_write_tokens,
        cost_micros=_charged(details, choice),
        measured=not usage.unmeasured_requests and usage.input_tokens > 0,
        message=ModelMessagesTypeAdapter.dump_python([response], mode="json")[0],
    )


def _text(response: ModelResponse) -> str:
    return "\n".join(part.content for part in response.parts if isinstance(part, TextPart))


def _calls(response: ModelResponse) -> tuple[WireCall, ...]:
    return tuple(
        WireCall(id=part.tool_call_id, wire=part.tool_name, args=part.args)
        for part in response.parts
        if isinstance(part, ToolCallPart)
    )


def _charged(details: Mapping[str, Any], choice: ModelChoice) -> int | None:
    """What the router says it charged (credits are dollars). Nobody else is asked what it costs to ask them."""
    cost = details.get("cost")
    if choice.provider != "openrouter" or choice.guarded or not isinstance(cost, int | float) or cost < 0:
        return None
    return math.ceil(round(cost * 1_000_000, 3))


def _outside(error: ai.AgentRunError, choice: ModelChoice) -> ExternalError:
    own = _cause(error)
    if own is not None:
        return own
    if isinstance(error, ai.ModelContextWindowExceededError):
        return ContextTooLong(f"{choice}: the conversation is too long for the model")
    retry_after = getattr(error, "retry_after", None)
    for kind, code, again, text in _KINDS:
        if isinstance(error, kind):
            said = _said(error) if kind in _TELLING else ""
            return ExternalError(
                f"{choice}: {text}" + (f": {_redacted(said, choice)}" if said else ""),
                code=code,
                sent=getattr(error, "phase", None) not in ("pool", "connect"),
                retryable=again,
                retry_after=retry_after,
            )
    again = isinstance(error, ai.ModelHTTPError) and error.status_code >= 500
    return ExternalError(
        f"{choice}: the answer cannot be used", code="model_bad_answer", retryable=again or _is_garbled(error)
    )


_KINDS: Sequence[tuple[type[Exception], str, bool, str]] = (
    (ai.ModelQuotaExceededError, "model_quota", False, "the account's quota or credit is used up"),
    (ai.ModelRateLimitError, "model_rate_limited", True, "too many requests for now"),
    (ai.ModelAuthenticationError, "model_auth", False, "the API key was not accepted"),
    (ai.ModelNotFoundError, "model_not_found", False, "there is no such model or address"),
    (ai.ModelRequestRejectedError, "model_rejected", False, "the request was refused"),
    (ai.ModelRequestTimeout, "model_timeout", True, "no answer in time"),
    (ai.ModelTimeoutError, "model_timeout", True, "no answer in time"),
    (ai.ModelConnectionError, "model_unreachable", True, "the connection failed or broke off"),
    (ai.ModelUnavailableError, "model_unavailable", True, "the model is not available for now"),
    (ai.ModelServerError, "model_unavailable", True, "the provider failed"),
)
_TELLING = (ai.ModelRequestRejectedError, ai.ModelNotFoundError, ai.ModelQuotaExceededError)


def _is_garbled(error: Exception) -> bool:
    """An answer that is no answer (cut JSON, a gateway's page) may be whole the next time."""
    return not isinstance(error, ai.ModelHTTPError)


def _cause(error: BaseException) -> ExternalError | None:
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, ExternalError):
            return seen
        seen = seen.__cause__ or seen.__context__
    return None


def _said(error: Exception) -> str:
    body = getattr(error, "body", None)
    if isinstance(body, Mapping):
        inner = body.get("error", body)
        body = inner.get("message", "") if isinstance(inner, Mapping) else inner
    return clean_and_cap(str(body or ""), 300)[0].strip()


def _redacted(text: str, choice: ModelChoice) -> str:
    return text.replace(choice.api_key, "***") if choice.api_key else text
