"""Starting the program as a person would, in a process of its own."""

import contextlib
import http.client
import itertools
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

T = TypeVar("T")
ROOT = Path(__file__).resolve().parent.parent


# Each worker has a range of its own, below those the kernel gives out, and never gives a port twice: of two programs
# that are told the same port one test would talk to the other's program. Neighbours of one run differ by their number.
_WORKER = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
_PORTS = itertools.count(20_000 + 1_000 * ((os.getppid() + _WORKER) % 12))


def free_ports(count: int) -> int:
    """The first of `count` neighbouring ports nobody has right now, and no test was given before."""
    while True:
        ports = [next(_PORTS) for _ in range(count)]
        try:
            with contextlib.ExitStack() as stack:
                for port in ports:
                    stack.enter_context(socket.socket()).bind(("127.0.0.1", port))
        except OSError:
            continue
        return ports[0]


def call(method: str, url: str, body: Any = None, headers: dict[str, str] | None = None) -> tuple[int, Any]:
    """One HTTP request; status and JSON."""
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(
        url, data=data, method=method, headers={"Content-Type": "application/json", **(headers or {})}
    )
    try:
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                status, kind, raw = answer.status, answer.headers.get("Content-Type", ""), answer.read()
        except urllib.error.HTTPError as error:
            return error.code, json.loads(error.read() or b"null")
    except http.client.HTTPException as error:
        # an answer that breaks off, as that of a program that is killed while it speaks
        raise ConnectionError(f"{method} {url}: {error!r}") from error
    return status, json.loads(raw) if "json" in kind and raw else raw


def until(probe: Callable[[], T], *, seconds: float = 60.0, what: str = "") -> T:
    """The first true value of `probe`; OSError counts as not yet."""
    ends = time.monotonic() + seconds
    while True:
        trouble: OSError | None = None
        try:
            found = probe()
        except OSError as error:
            found = None  # type: ignore[assignment]
            trouble = error
        if found:
            return found
        if time.monotonic() > ends:
            raise AssertionError(f"waited {seconds} s in vain for {what or probe}; at last: {trouble or found!r}")
        time.sleep(0.1)


def ready(base: str) -> None:
    """Until the server works on runs, too."""
    until(lambda: call("GET", f"{base}/health")[1]["checks"].get("jobs") is True, seconds=120, what="readiness")


def bot_ready(base: str) -> None:
    """Until the bot takes messages, too."""
    ready(base)
    until(lambda: call("GET", f"{base}/health")[1]["checks"]["telegram"] is True, what="the bot")


class Program:
    """A `pilot ...` process with its log in a file."""

    def __init__(self, folder: Path, *arguments: str, **settings: str) -> None:
        self.log = folder / "pilot.log"
        self.folder = folder
        self._arguments = arguments
        self._env = {
            **{k: v for k, v in os.environ.items() if k in ("PATH", "HOME", "LANG", "COVERAGE_PROCESS_START")},
            "PYTHONPATH": str(ROOT),
            **settings,
        }
        self.start()

    def start(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "app", *self._arguments],
            cwd=self.folder,
            env=self._env,
            stdout=self.log.open("ab"),
            stderr=subprocess.STDOUT,
        )

    def kill(self) -> None:
        self.process.kill()
        self.process.wait(60)

    def stop(self, *, seconds: float = 60) -> int:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        return self.process.wait(seconds)
