"""A scripted OpenAI-compatible server over real HTTP: answers what a test told it to, and keeps what it was asked."""

import asyncio
import contextlib
import gzip
import json
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

JSON = "application/json"
EVENTS = "text/event-stream"


@dataclass(frozen=True, kw_only=True)
class Turn:
    """One answer. `calls` are (tool name on the wire, arguments as object or raw text).

    `fault`: `cut` breaks the connection inside the body, `drop` before it, `hang` never answers, `garbage` is no JSON,
    `plain` is the answer under a content type that is none of JSON, `trickle` sends a byte now and then, `huge` never
    stops, `packed` is gzip, `half` ends a stream in its middle as if it were whole, `whole` is no stream where one was
    asked for. `usage` None leaves the tokens out. `pause`: seconds between the pieces of a stream.
    """

    text: str | None = None
    calls: Sequence[tuple[str, Any]] = ()
    refusal: str | None = None
    finish_reason: str | None = None
    usage: tuple[int, int] | None = (100, 10)
    cost: float | None = None
    status: int = 200
    error: Any = None
    headers: dict[str, str] = field(default_factory=dict)
    fault: str = ""
    pause: float = 0


def call(name: str, **args: Any) -> Turn:
    """A turn with one tool call."""
    return Turn(calls=[(name, args)])


Script = Sequence[Turn] | Callable[[dict[str, Any]], Turn]


@dataclass
class ScriptedModel:
    """The running server. `requests` are the bodies it was sent, `headers` what came with them."""

    script: Script
    base_url: str = ""
    requests: list[dict[str, Any]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    call_number: int = 0
    sent: int = 0

    def said(self, index: int = -1) -> str:
        """Everything a request said, as one text."""
        return json.dumps(self.requests[index]["messages"], ensure_ascii=False)

    def _turn(self, body: dict[str, Any]) -> Turn:
        if callable(self.script):
            return self.script(body)
        number = len(self.requests) - 1
        if number >= len(self.script):
            return Turn(status=500, error="the script is over")
        return self.script[number]

    async def handle(self, request: web.Request) -> web.StreamResponse:
        body = await request.json()
        self.requests.append(body)
        self.headers.append({k.lower(): v for k, v in request.headers.items()})
        turn = self._turn(body)
        if turn.fault == "hang":
            await asyncio.sleep(60)
        if turn.fault == "drop":
            assert request.transport is not None
            request.transport.abort()
            return web.Response()
        if turn.fault == "garbage":
            return web.Response(text="<html>gateway</html>", content_type="text/html", headers=turn.headers)
        if turn.status != 200:
            error = turn.error if isinstance(turn.error, dict) else {"message": str(turn.error or "no"), "type": "test"}
            return web.json_response({"error": error}, status=turn.status, headers=turn.headers)
        completion = self._completion(body, turn)
        if body.get("stream") and turn.fault in ("", "cut", "half", "plain"):
            return await self._stream(request, completion, turn)
        data = json.dumps(completion).encode()
        if turn.fault == "cut":
            response = web.StreamResponse(headers={"Content-Type": JSON, "Content-Length": str(len(data))})
            await response.prepare(request)
            await response.write(data[: len(data) // 2])
            assert request.transport is not None
            request.transport.close()
            return response
        if turn.fault in ("trickle", "huge"):
            return await self._drip(request, bool(body.get("stream")), turn.fault)
        if turn.fault == "packed":
            return web.Response(body=gzip.compress(data), headers={"Content-Encoding": "gzip"}, content_type=JSON)
        return web.Response(
            body=data, content_type="text/plain" if turn.fault == "plain" else JSON, headers=turn.headers
        )

    async def _stream(self, request: web.Request, completion: dict[str, Any], turn: Turn) -> web.StreamResponse:
        content_type = "text/plain" if turn.fault == "plain" else EVENTS
        response = web.StreamResponse(headers={"Content-Type": content_type, **turn.headers})
        await response.prepare(request)
        chunks = list(_chunks(completion))
        if turn.fault:
            chunks = chunks if turn.fault == "plain" else chunks[: len(chunks) // 2]
        with contextlib.suppress(ConnectionError):
            for chunk in chunks:
                await response.write(f"data: {json.dumps(chunk)}\n\n".encode())
                await asyncio.sleep(turn.pause)
            if turn.fault == "cut":
                assert request.transport is not None
                request.transport.close()
            else:
                await response.write(b"data: [DONE]\n\n" if turn.fault != "half" else b"")
        return response

    async def _drip(self, request: web.Request, stream: bool, fault: str) -> web.StreamResponse:
        piece = b" " if fault == "trickle" else b" " * 1_000_000
        if stream:
            # a comment, which is nothing of an answer
            piece = b":" + piece + b"\n\n"
        response = web.StreamResponse(headers={"Content-Type": EVENTS if stream else JSON})
        await response.prepare(request)
        with contextlib.suppress(ConnectionError):
            for _ in range(200):
                await response.write(piece)
                self.sent += len(piece)
                await asyncio.sleep(0.05 if fault == "trickle" else 0)
        return response

    def _completion(self, body: dict[str, Any], turn: Turn) -> dict[str, Any]:
        message: dict[str, Any] = {"role": "assistant", "content": turn.text}
        if turn.refusal is not None:
            message["refusal"] = turn.refusal
        if turn.calls:
            message["tool_calls"] = [self._tool_call(name, args) for name, args in turn.calls]
        completion: dict[str, Any] = {
            "id": f"chatcmpl-{len(self.requests)}",
            "object": "chat.completion",
            "created": 1_700_000_000,
            "model": body["model"],
            "provider": "scripted",
            "choices": [
                {
                    "index": 0,
                    "message": message,
                    "finish_reason": turn.finish_reason or ("tool_calls" if turn.calls else "stop"),
                    "native_finish_reason": "stop",
                }
            ],
        }
        if turn.usage is not None:
            tokens_in, tokens_out = turn.usage
            completion["usage"] = {
                "prompt_tokens": tokens_in,
                "completion_tokens": tokens_out,
                "total_tokens": tokens_in + tokens_out,
            }
            if turn.cost is not None:
                completion["usage"]["cost"] = turn.cost
        return completion

    def _tool_call(self, name: str, args: Any) -> dict[str, Any]:
        self.call_number += 1
        raw = args if isinstance(args, str) else json.dumps(args)
        return {"id": f"call_{self.call_number}", "type": "function", "function": {"name": name, "arguments": raw}}


def _chunks(completion: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """A completion as a stream sends it: every text in pieces of ten letters, then why it ended, then what it took."""
    frame = {key: completion[key] for key in ("id", "created", "model", "provider")} | {
        "object": "chat.completion.chunk"
    }
    [whole] = completion["choices"]
    message = whole["message"]

    def chunk(delta: dict[str, Any], **more: Any) -> dict[str, Any]:
        return frame | {"choices": [{"index": 0, "delta": delta, "finish_reason": None, **more}]}

    yield chunk({"role": "assistant", "content": ""})
    for key in ("content", "refusal"):
        for piece in _pieces(message.get(key) or ""):
            yield chunk({key: piece})
    for index, made in enumerate(message.get("tool_calls", ())):
        function = made["function"]
        yield chunk({"tool_calls": [made | {"index": index, "function": function | {"arguments": ""}}]})
        for piece in _pieces(function["arguments"]):
            yield chunk({"tool_calls": [{"index": index, "function": {"arguments": piece}}]})
    yield chunk({}, finish_reason=whole["finish_reason"], native_finish_reason=whole["native_finish_reason"])
    if "usage" in completion:
        yield frame | {"choices": [], "usage": completion["usage"]}


def _pieces(text: str) -> Iterator[str]:
    for start in range(0, len(text), 10):
        yield text[start : start + 10]


@contextlib.asynccontextmanager
async def scripted_model(script: Script) -> AsyncIterator[ScriptedModel]:
    """The server on a free loopback port; `base_url` ends in /v1."""
    server = ScriptedModel(script)
    app = web.Application(client_max_size=10_000_000)
    app.router.add_post("/v1/chat/completions", server.handle)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    server.base_url = f"http://127.0.0.1:{runner.addresses[0][1]}/v1"
    try:
        yield server
    finally:
        await runner.cleanup()
