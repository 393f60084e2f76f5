"""`make chaos`: real `pilot serve` processes, killed with -9 again and again while they work.

People make tasks and approve over HTTP; each task posts once to a counting server outside and sends
one mail. Kills come at random moments (starting up included), at every point of the effects protocol,
and from outside in the middle of a call. Whoever is asked about an interrupted call looks at what really
arrived and answers accordingly, so in the end everything must have arrived exactly once.
"""

import argparse
import json
import os
import random
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections import Counter
from dataclasses import asdict, dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from tests.databases import fresh_url
from tests.processes import ROOT, call, free_ports, until

IN_FLIGHT = 6
WOUNDS = ("inside", "committed", "called", "recorded")
CALLS = ("arriving", "counted", "answered")
TOLERATED = (OSError, ValueError, AssertionError, KeyError)


class Outside:
    """The outside world: it counts what arrives, and may kill who calls in the middle of a call."""

    def __init__(self) -> None:
        self.arrived: Counter[int] = Counter()
        self.interrupted: set[int] = set()
        self.victim: subprocess.Popen[bytes] | None = None
        self.point = ""
        self._lock = threading.Lock()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                number = json.loads(self.rfile.read(int(self.headers.get("Content-Length", 0))))["n"]
                outer.maybe("arriving", number)
                with outer._lock:
                    outer.arrived[number] += 1
                outer.maybe("counted", number)
                self.send_response(200)
                self.send_header("Content-Length", "2")
                self.end_headers()
                self.wfile.write(b"{}")
                outer.maybe("answered", number)

            def log_message(self, *_: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._server.handle_error = lambda *_: None  # type: ignore[method-assign]
        self.port = self._server.server_port
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def maybe(self, point: str, number: int) -> None:
        """Kill the caller if this is the moment that was asked for."""
        with self._lock:
            if self.point != point or self.victim is None:
                return
            victim, self.victim = self.victim, None
            if point != "answered":
                # the answer had not left: nobody inside can know, so somebody must be asked
                self.interrupted.add(number)
        victim.kill()
        if point == "arriving":
            raise ConnectionAbortedError

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@dataclass(kw_only=True)
class Figures:
    """What `make chaos` prints for one store. Everything below `asked` must be 0."""

    store: str
    kills: int = 0
    kinds: dict[str, int] = field(default_factory=dict)
    runs: int = 0
    posts: int = 0
    mails: int = 0
    interrupted: int = 0
    asked: int = 0
    lost: int = 0
    doubled_tasks: int = 0
    repeated: int = 0
    missing: int = 0
    unasked: int = 0
    damaged: int = 0
    seconds: float = 0.0

    @property
    def sound(self) -> bool:
        bad = (self.lost, self.doubled_tasks, self.repeated, self.missing, self.unasked, self.damaged)
        return not any(bad)


class Chaos:
    """One store under fire."""

    def __init__(self, folder: Path, kind: str, *, seed: int) -> None:
        self.folder = folder
        self.figures = Figures(store=kind)
        self.kinds: Counter[str] = Counter()
        self.outside = Outside()
        self.chance = random.Random(seed)
        self.port = free_ports(1)
        self.base = f"http://127.0.0.1:{self.port}"
        self.tasks: dict[int, str] = {}
        self.open: dict[int, str | None] = {}
        self.asked_steps: set[str] = set()
        self.asked_numbers: set[int] = set()
        self.headers: dict[str, str] = {}
        self._log = (folder / "pilot.log").open("ab")
        self._env = {
            **{k: v for k, v in os.environ.items() if k in ("PATH", "HOME", "LANG")},
            "PYTHONPATH": str(ROOT),
            "DATABASE_URL": fresh_url(kind, folder, migrated=False),
            "PILOT_DATA_DIR": str(folder / "data"),
            "PORT": str(self.port),
            "LOG_FORMAT": "json",
            "RATE_LIMITS_ENABLED": "false",
            "EMAIL_PROVIDER": "file",
            "PILOT_HTTP_ALLOW": f"127.0.0.1:{self.outside.port}",
            "PILOT_EXECUTOR_ID": "chaos-1",
            "PILOT_RUNS_PER_WORKSPACE": "8",
        }

    # --- the process ------------------------------------------------------------------------------

    def start(self, module: str = "app", **env: str) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [sys.executable, "-m", module, "serve"],
            cwd=self.folder,
            env={**self._env, **env},
            stdout=self._log,
            stderr=subprocess.STDOUT,
        )

    def is_ready(self, process: subprocess.Popen[bytes]) -> bool:
        """Wait for readiness; False when it was killed before."""

        def look() -> bool:
            if process.poll() is not None:
                return True
            return call("GET", f"{self.base}/health")[1]["checks"].get("jobs") is True

        until(look, seconds=120, what="readiness")
        return process.poll() is None

    # --- people -----------------------------------------------------------------------------------

    def login(self) -> None:
        address = "ada@example.com"
        status, asked = call("POST", f"{self.base}/api/auth/email/request", {"email": address})
        if status == 429:
            # killed between asking and entering: an address is not written to again at once
            raise OSError("no code yet")
        _, login = call("POST", f"{self.base}/api/auth/email/verify", {"email": address, "code": asked["code"]})
        self.headers = {"Authorization": f"Bearer {login['token']}", "X-Workspace-Id": login["workspace"]["id"]}

    def ask(self, method: str, path: str, body: Any = None, **headers: str) -> tuple[int, Any]:
        if not self.headers:
            self.login()
        status, answer = call(method, self.base + path, body, {**self.headers, **headers})
        if status == 401:
            self.headers = {}
            raise OSError("the session ended")
        return status, answer

    def get(self, path: str) -> Any:
        status, body = self.ask("GET", path)
        if status != 200:
            raise OSError(f"{path}: {status} {body}")
        return body

    def make(self, number: int) -> None:
        """Make a task; after a crash again, with the same key: there must be one."""
        self.open.setdefault(number, None)
        playbook = (
            'note.create title="Plan"\n'
            f'http.post url=http://127.0.0.1:{self.outside.port}/hook json={{"n": {number}}}\n'
            f'email.send to=team@example.com subject="mail-{number}-" body="x"\n'
            'finish summary="all done"'
        )
        status, task = self.ask(
            "POST",
            "/api/tasks",
            {"title": f"chaos {number}", "description": playbook, "autoRun": True},
            **{"Idempotency-Key": f"chaos-task-{number}"},
        )
        if status in (200, 201):
            self.open[number] = self.tasks[number] = task["id"]
        elif task.get("code") == "idempotency_unanswered":
            # it was made, and a kill took the answer: there must be exactly one
            [made] = [t["id"] for t in self.all_tasks() if t["title"] == f"chaos {number}"]
            self.open[number] = self.tasks[number] = made

    def work(self, *, more: bool) -> None:
        """What people do in one look: make tasks, approve, answer questions, see what is done."""
        if more:
            while len(self.open) < IN_FLIGHT:
                self.make(max(self.open.keys() | self.tasks.keys(), default=0) + 1)
        for number, task_id in list(self.open.items()):
            if task_id is None:
                self.make(number)
        for approval in self.get("/api/audit/approvals?status=pending"):
            self.ask(
                "PUT",
                f"/api/audit/approvals/{approval['id']}",
                {"status": "approved", "version": approval["version"], "digest": approval["actionHash"]},
            )
        for number, task_id in list(self.open.items()):
            if task_id is None:
                continue
            [run] = self.get(f"/api/tasks/{task_id}/runs")
            if run["status"] == "uncertain":
                self.answer(number, run["id"])
            elif run["status"] == "completed":
                del self.open[number]

    def answer(self, number: int, run_id: str) -> None:
        """Look outside and say truly what became of the call."""
        for step in self.get(f"/api/runs/{run_id}")["steps"]:
            if step["status"] != "uncertain":
                continue
            happened = self.outside.arrived[number] if step["tool"] == "http.post" else self.mails(number)
            self.asked_steps.add(step["id"])
            if step["tool"] == "http.post":
                self.asked_numbers.add(number)
            self.ask(
                "POST",
                f"/api/runs/{run_id}/steps/{step['id']}/settle",
                {"choice": "mark_done" if happened else "retry"},
            )

    def mails(self, number: int) -> int:
        found = (self.folder / "data" / "mail").glob("*.eml")
        return sum(f"mail-{number}-".encode() in path.read_bytes() for path in found)

    # --- the fire ---------------------------------------------------------------------------------

    def round(self) -> None:
        """One life of the process, ended by one kill."""
        kind = self.chance.choices(("random", "starting", "wound", "call"), weights=(50, 12, 22, 16))[0]
        timers: list[threading.Timer] = []
        if kind == "wound":
            point = self.chance.choice(WOUNDS)
            kind = f"protocol: {point}"
            process = self.start("bench.faulty", CHAOS_POINT=point, CHAOS_HIT=str(self.chance.randint(1, 3)))
        else:
            process = self.start()
        if kind == "starting":
            timers.append(threading.Timer(self.chance.uniform(0.3, 2.0), process.kill))
            timers[-1].start()
        try:
            if self.is_ready(process):
                if kind == "call":
                    self.outside.point = self.chance.choice(CALLS)
                    self.outside.victim = process
                    kind = f"call: {self.outside.point}"
                # a wound or a call may not come about: then at a random moment after all
                latest = self.chance.uniform(0.02, 0.9) if kind in ("random", "starting") else 6.0
                timers.append(threading.Timer(latest, process.kill))
                timers[-1].start()
                while process.poll() is None:
                    try:
                        self.work(more=True)
                    except TOLERATED:
                        if process.poll() is None:
                            time.sleep(0.01)
        finally:
            for timer in timers:
                timer.cancel()
            self.outside.victim = None
            process.kill()
            process.wait(30)
        if process.returncode != -signal.SIGKILL:
            raise RuntimeError(f"the process ended by itself with {process.returncode}: see {self.folder}/pilot.log")
        self.kinds[kind] += 1
        self.figures.kills += 1

    def finish(self, *, seconds: float = 180.0) -> None:
        """No more kills: whatever is under way must come to its end, and everything must add up."""
        process = self.start()
        try:
            if not self.is_ready(process):
                raise RuntimeError("the process ended while nobody killed it")
            ends = time.monotonic() + seconds
            while self.open and time.monotonic() < ends:
                try:
                    self.work(more=False)
                except OSError:
                    time.sleep(0.1)
            self.add_up()
        finally:
            process.terminate()
            process.wait(30)
            self._log.close()
            self.outside.close()

    def add_up(self) -> None:
        figures, arrived = self.figures, self.outside.arrived
        numbers = sorted(self.tasks)
        mails = {n: self.mails(n) for n in numbers}
        figures.kinds = dict(sorted(self.kinds.items()))
        figures.runs = len(numbers)
        figures.posts = sum(arrived.values())
        figures.mails = sum(mails.values())
        figures.interrupted = len(self.outside.interrupted)
        figures.asked = len(self.asked_steps)
        figures.lost = len(self.open)
        figures.repeated = sum(max(0, c - 1) for c in (*arrived.values(), *mails.values()))
        figures.missing = sum(arrived[n] == 0 for n in numbers) + sum(c == 0 for c in mails.values())
        figures.unasked = len(self.outside.interrupted - self.asked_numbers)
        titles = Counter(task["title"] for task in self.all_tasks())
        figures.doubled_tasks = sum(c - 1 for c in titles.values())
        replayed = self.get("/api/governance/replay")
        figures.damaged = len(replayed["different"])

    def all_tasks(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        path: str | None = "/api/tasks?limit=200"
        while path is not None:
            if not self.headers:
                self.login()
            request = urllib.request.Request(self.base + path, headers=self.headers)
            with urllib.request.urlopen(request, timeout=60) as answer:
                found += json.loads(answer.read())
                link = re.match(r"<([^>]+)>", answer.headers.get("Link", ""))
            path = None if link is None else urlsplit(link[1])._replace(scheme="", netloc="").geturl()
        return found


def run(kind: str, folder: Path, *, kills: int, seed: int, seconds: float = 1e9, quiet: bool = True) -> Figures:
    """Kill so many times, or for so long, then let everything end; the figures."""
    began = time.monotonic()
    chaos = Chaos(folder, kind, seed=seed)
    while chaos.figures.kills < kills and time.monotonic() - began < seconds:
        chaos.round()
        if not quiet and chaos.figures.kills % 10 == 0:
            print(f"  {kind}: {chaos.figures.kills} kills, {len(chaos.tasks)} runs", file=sys.stderr, flush=True)
    chaos.finish()
    chaos.figures.seconds = round(time.monotonic() - began, 1)
    return chaos.figures


def main() -> int:
    """Both stores, one after the other; 1 when anything was lost, doubled or not asked about."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=250, help="for each store")
    parser.add_argument("--store", choices=("sqlite", "postgres"), action="append")
    parser.add_argument("--seconds", type=float, default=1e9, help="stop killing after so long, for each store")
    parser.add_argument("--seed", type=int, default=int(time.time()))
    wanted = parser.parse_args()
    sound = True
    for kind in wanted.store or ("sqlite", "postgres"):
        folder = Path(tempfile.mkdtemp(prefix=f"pilot-chaos-{kind}-"))
        figures = run(kind, folder, kills=wanted.kills, seed=wanted.seed, seconds=wanted.seconds, quiet=False)
        print(json.dumps({"seed": wanted.seed, **asdict(figures), "sound": figures.sound}, indent=2), flush=True)
        sound = sound and figures.sound
    return 0 if sound else 1


if __name__ == "__main__":
    sys.exit(main())
