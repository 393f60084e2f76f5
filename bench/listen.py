"""Many clients of `/api/events` in a process of their own: says when the last of them heard each event.

`python -m bench.listen < plan.json`, the plan being {"port", "clients", "headers"}. Prints {"open": n} once all streams
are open, then {"id": number, "at": time.time()} whenever every client has heard the event with that number.
"""

import asyncio
import json
import re
import sys
import time
from collections import Counter
from typing import Any

NUMBER = re.compile(rb"^id: (\d+)$", re.MULTILINE)


class Client(asyncio.Protocol):
    """One stream."""

    def __init__(self, crowd: "Crowd") -> None:
        self.crowd = crowd
        self.rest = b""
        self.opened = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        transport.write(self.crowd.request)

    def data_received(self, data: bytes) -> None:
        whole, _, self.rest = (self.rest + data).rpartition(b"\n\n")
        if not self.opened and b"retry:" in whole:
            self.opened = True
            self.crowd.open_now()
        for number in NUMBER.findall(whole):
            self.crowd.heard(int(number))

    def connection_lost(self, exc: Exception | None) -> None:
        raise SystemExit(f"a stream ended: {exc}")


class Crowd:
    """All streams."""

    def __init__(self, plan: dict[str, Any]) -> None:
        self.clients = plan["clients"]
        self.port = plan["port"]
        lines = ["GET /api/events HTTP/1.1", f"Host: 127.0.0.1:{self.port}"]
        lines += [f"{name}: {value}" for name, value in plan["headers"].items()]
        self.request = ("\r\n".join(lines) + "\r\n\r\n").encode()
        self._open = 0
        self._heard: Counter[int] = Counter()

    def open_now(self) -> None:
        self._open += 1
        if self._open == self.clients:
            print(json.dumps({"open": self._open}), flush=True)

    def heard(self, number: int) -> None:
        self._heard[number] += 1
        if self._heard[number] == self.clients:
            print(json.dumps({"id": number, "at": time.time()}), flush=True)

    async def go(self) -> None:
        loop = asyncio.get_running_loop()
        for started in range(0, self.clients, 50):
            await asyncio.gather(
                *(
                    loop.create_connection(lambda: Client(self), "127.0.0.1", self.port)
                    for _ in range(min(50, self.clients - started))
                )
            )
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(Crowd(json.load(sys.stdin)).go())
