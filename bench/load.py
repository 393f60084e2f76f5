"""A load generator for one address on this machine: keep-alive connections, each sending as soon as it is answered.

Run as a process of its own, so that it does not share an interpreter with the server:
`python -m bench.load < plan.json`. The plan: {"host","port","connections","seconds","requests":[{"method","path",
"headers","body"}...]}; `{n}` in a body is replaced by a running number. Prints a JSON line.
"""

import asyncio
import json
import sys
import time
from typing import Any


class Client(asyncio.Protocol):
    """One connection. Bodies need Content-Length in answers, which all of ours have."""

    def __init__(self, run: "Run") -> None:
        self.run = run
        self.buffer = b""
        self.transport: asyncio.Transport | None = None
        self.sent_at = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self.send()

    def send(self) -> None:
        assert self.transport is not None
        request = self.run.next_request()
        if request is None:
            self.transport.close()
            return
        self.sent_at = time.perf_counter()
        self.transport.write(request)

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        head_end = self.buffer.find(b"\r\n\r\n")
        if head_end < 0:
            return
        head = self.buffer[:head_end].lower()
        at = head.find(b"content-length:")
        length = 0 if at < 0 else int(head[at + 15 : (head.find(b"\r\n", at) if head.find(b"\r\n", at) > 0 else None)])
        if len(self.buffer) < head_end + 4 + length:
            return
        self.run.answered(int(head[9:12]), time.perf_counter() - self.sent_at, self.buffer[head_end + 4 :])
        self.buffer = b""
        self.send()

    def connection_lost(self, exc: Exception | None) -> None:
        self.run.closed(exc)


class Run:
    """One measurement."""

    def __init__(self, plan: dict[str, Any]) -> None:
        self.plan = plan
        self.templates = [self._encode(request) for request in plan["requests"]]
        self.count = 0
        self.latencies: list[float] = []
        self.statuses: dict[int, int] = {}
        self.open = plan["connections"]
        self.done = asyncio.Event()
        self.ends_at = 0.0
        self.limit = plan.get("limit")
        self.sample = b""

    def _encode(self, request: dict[str, Any]) -> tuple[bytes, str | None, int]:
        body = request.get("body")
        lines = [f"{request['method']} {request['path']} HTTP/1.1", f"Host: {self.plan['host']}:{self.plan['port']}"]
        lines += [f"{k}: {v}" for k, v in request.get("headers", {}).items()]
        if body is not None and "{n}" not in body:
            lines.append(f"Content-Length: {len(body.encode())}")
            return ("\r\n".join(lines) + "\r\n\r\n" + body).encode(), None, 0
        return ("\r\n".join(lines) + "\r\n").encode(), body, 0

    def next_request(self) -> bytes | None:
        if time.perf_counter() >= self.ends_at or (self.limit is not None and self.count >= self.limit):
            return None
        head, body, _ = self.templates[self.count % len(self.templates)]
        self.count += 1
        if body is None:
            return head if head.endswith(b"\r\n\r\n") or b"Content-Length" in head else head + b"\r\n"
        filled = body.replace("{n}", str(self.count)).encode()
        return head + b"Content-Length: " + str(len(filled)).encode() + b"\r\n\r\n" + filled

    def answered(self, status: int, seconds: float, body: bytes) -> None:
        self.latencies.append(seconds)
        self.statuses[status] = self.statuses.get(status, 0) + 1
        if status >= 400 and not self.sample:
            self.sample = body[:300]

    def closed(self, _exc: Exception | None) -> None:
        self.open -= 1
        if self.open == 0:
            self.done.set()

    async def go(self) -> dict[str, Any]:
        loop = asyncio.get_running_loop()
        started = time.perf_counter()
        self.ends_at = started + self.plan["seconds"]
        for _ in range(self.plan["connections"]):
            await loop.create_connection(lambda: Client(self), self.plan["host"], self.plan["port"])
        await self.done.wait()
        took = time.perf_counter() - started
        ordered = sorted(self.latencies) or [0.0]
        return {
            "per_second": round(len(self.latencies) / took, 1),
            "p50_ms": round(ordered[len(ordered) // 2] * 1000, 2),
            "p99_ms": round(ordered[min(len(ordered) - 1, int(len(ordered) * 0.99))] * 1000, 2),
            "statuses": self.statuses,
            "sample_error": self.sample.decode(errors="replace"),
        }


if __name__ == "__main__":
    print(json.dumps(asyncio.run(Run(json.load(sys.stdin)).go())), flush=True)
