"""`python -m bench.scale`: what holds when there is much of it. Parts: taps, parked, listeners, workers.

- taps: from the decision, over HTTP and by a button in chat, to the arrival of the approved call outside;
- parked: start and memory of a process with 10,000 runs that wait for a person, beside the same without;
- listeners: from a request to the last of 1,000 streams that heard of what it did, one workspace, one process;
- workers: runs a second of one and of two worker processes on one Postgres, and what they did with a second of CPU:
  runs that only compute, which share the machine's cores, and runs that wait for somebody outside, as most work does.
"""

import argparse
import contextlib
import json
import os
import signal
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import psycopg

from bench.__main__ import ROOT, Server, call, cpu_seconds, free_port, init_data, load
from tests.app.test_story_http import Outside, Person, approve, pending
from tests.databases import fresh_url
from tests.processes import until

Row = dict[str, Any]

FRAGMENTS = ("taps", "parked", "listeners", "workers")
ADA = 1001
COPIED = ("tasks", "runs", "steps", "approvals")
NAMED = {"id", "task_id", "run_id", "step_id", "approval_id", "root_run_id", "created_by_step"}


def _spread(what: str, seconds: list[float], target_ms: float, **more: Any) -> Row:
    ordered = sorted(seconds)
    last = ordered[min(len(ordered) - 1, int(len(ordered) * 0.99))]
    return {
        "what": what,
        "p50_ms": round(ordered[len(ordered) // 2] * 1000, 1),
        "p99_ms": round(last * 1000, 1),
        "target_p99_ms": target_ms,
        **more,
    }


@contextlib.contextmanager
def _server(directory: str, **settings: str) -> Iterator[Server]:
    server = Server(directory, **settings)
    try:
        until(lambda: call("GET", server.url + "/health")[1]["checks"].get("jobs") is True, what="readiness")
        yield server
    finally:
        server.stop()


@contextlib.contextmanager
def _telegram() -> Iterator[str]:
    port = free_port()
    program = subprocess.Popen(
        [sys.executable, "-m", "simulator", "--port", str(port)], cwd=ROOT, stdout=subprocess.DEVNULL
    )
    base = f"http://127.0.0.1:{port}"
    try:
        until(lambda: call("GET", f"{base}/sim/state"), what="the simulator")
        yield base
    finally:
        program.terminate()
        program.wait(10)


def _post(outside: Outside, number: int) -> str:
    return f'http.post url=http://127.0.0.1:{outside.port}/hook json={{"n": {number}}}\nfinish summary="done"'


# --- taps -----------------------------------------------------------------------------------------


def taps(kind: str, *, chats: int, count: int) -> list[Row]:
    """Decisions one after the other, nothing else to do: `chats` in chat, `count` over HTTP.

    Few in chat: a chat is sent one message a second, so each takes five.
    """
    outside = Outside()
    with tempfile.TemporaryDirectory() as directory, _telegram() as telegram:
        url = fresh_url(kind, Path(directory), migrated=False)
        settings = {"TELEGRAM_API_URL": telegram, "PILOT_HTTP_ALLOW": f"127.0.0.1:{outside.port}", "DATABASE_URL": url}
        with _server(directory, **settings) as server:
            until(lambda: call("GET", server.url + "/health")[1]["checks"].get("telegram") is True, what="the bot")
            call("POST", f"{telegram}/sim/say", {"user": ADA, "text": "/start"})
            until(lambda: len(_messages(telegram)) > 1, what="a welcome")
            chat, api = [], []
            for number in range(chats):
                call("POST", f"{telegram}/sim/say", {"user": ADA, "text": _post(outside, number)})
                card = until(lambda seen=number: _card(telegram, f'"n": {seen}'), what="a card")
                chat.append(_arrival(outside, lambda card=card: _press(telegram, card)))
            person = Person(server.url, "ada@example.com")
            for number in range(count):
                text = _post(outside, 1000 + number)
                person.send("POST", "/api/tasks", {"title": "T", "description": text, "autoRun": True})
                [approval] = until(lambda: pending(person), what="an approval")
                api.append(_arrival(outside, lambda asked=approval: approve(person, asked)))
    outside.close()
    return [
        _spread(f"tap in chat to the call outside, {kind}", chat, 250),
        _spread(f"decision over HTTP to the call outside, {kind}", api, 250),
    ]


def _messages(telegram: str) -> list[dict[str, Any]]:
    messages: list[dict[str, Any]] = call("GET", f"{telegram}/sim/messages?user={ADA}")[1]["messages"]
    return messages


def _card(telegram: str, words: str) -> tuple[int, str] | None:
    """Message and callback data of the button that approves what says these words."""
    for message in reversed(_messages(telegram)):
        buttons = [b for row in message.get("reply_markup", {}).get("inline_keyboard", ()) for b in row]
        yes = next((b["callback_data"] for b in buttons if "Approve" in b["text"]), None)
        if yes is not None and words in message.get("text", ""):
            return message["message_id"], yes
    return None


def _press(telegram: str, card: tuple[int, str]) -> None:
    number, data = card
    status, answer = call("POST", f"{telegram}/sim/press", {"user": ADA, "button": data, "message": number})
    if status != 200:
        raise SystemExit(f"the button could not be pressed: {answer}")


def _arrival(outside: Outside, decide: Any) -> float:
    before = len(outside.posts)
    began = time.perf_counter()
    decide()
    while len(outside.posts) == before:
        if time.perf_counter() - began > 20:
            raise SystemExit("the approved call was not made")
        time.sleep(0.001)
    return time.perf_counter() - began


# --- parked ---------------------------------------------------------------------------------------


def parked(*, count: int) -> list[Row]:
    """The same installation started with one waiting run and with many, on SQLite."""
    outside = Outside()
    with tempfile.TemporaryDirectory() as directory:
        with _server(directory) as server:
            person = Person(server.url, "ada@example.com")
            person.send("POST", "/api/tasks", {"title": "T", "description": _post(outside, 0), "autoRun": True})
            until(lambda: pending(person), what="an approval")
        without = _started(directory)
        [database] = Path(directory).glob("*.db")
        _multiply(database, count)
        with_them = _started(directory)
    outside.close()
    return [
        {
            "what": f"{count} parked runs, sqlite",
            "extra_mb": round(with_them["rss_mb"] - without["rss_mb"], 1),
            "target_mb": 40,
            "healthy_s": with_them["healthy_s"],
            "healthy_s_without": without["healthy_s"],
        }
    ]


def _started(directory: str) -> dict[str, float]:
    with _server(directory) as server:
        # the bot's modules are loaded and every sweep has run by then
        time.sleep(8)
        return {"rss_mb": server.rss_mb(), "healthy_s": server.healthy}


def _multiply(database: Path, count: int) -> None:
    """Copies of the one waiting run, each with its task, step and approval under names of their own."""
    with sqlite3.connect(database) as connection:
        for table in COPIED:
            columns = [row[1] for row in connection.execute(f"PRAGMA table_info({table})")]
            copied = [f"substr({c}, 1, 24) || printf('%012d', n)" if c in NAMED else c for c in columns]
            connection.execute(
                f"WITH RECURSIVE numbers(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < {count})"
                f" INSERT INTO {table} ({', '.join(columns)}) SELECT {', '.join(copied)} FROM {table}, numbers"
            )
        waiting = connection.execute("SELECT count(*) FROM runs WHERE state = 'awaiting_approval'").fetchone()[0]
    if waiting != count + 1:
        raise SystemExit(f"{waiting} runs wait, not {count + 1}")


# --- listeners ------------------------------------------------------------------------------------


def listeners(*, clients: int, count: int) -> list[Row]:
    """Tasks made one after the other while `clients` streams listen."""
    with tempfile.TemporaryDirectory() as directory, _server(directory) as server:
        status, login = call("POST", server.url + "/api/auth/telegram", {"initData": init_data(ADA)})
        if status != 200:
            raise SystemExit(f"login: {status} {login}")
        auth = {"Authorization": f"Bearer {login['token']}", "X-Workspace-Id": login["workspace"]["id"]}
        crowd = subprocess.Popen(
            [sys.executable, "-m", "bench.listen"],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert crowd.stdin is not None
        assert crowd.stdout is not None
        crowd.stdin.write(json.dumps({"port": server.port, "clients": clients, "headers": auth}))
        crowd.stdin.close()
        try:
            if json.loads(crowd.stdout.readline()) != {"open": clients}:
                raise SystemExit("not every stream was opened")
            before = cpu_seconds(server.process.pid)
            took = []
            for number in range(count):
                began = time.time()
                call("POST", server.url + "/api/tasks", {"title": f"Task {number}"}, **auth)
                took.append(json.loads(crowd.stdout.readline())["at"] - began)
            used = cpu_seconds(server.process.pid) - before
            memory = server.rss_mb()
        finally:
            crowd.kill()
            crowd.wait()
    return [
        _spread(
            f"request to the last of {clients} listeners",
            took,
            300,
            cpu_ms_an_event=round(used / count * 1000, 1),
            rss_mb=memory,
        )
    ]


# --- workers --------------------------------------------------------------------------------------


def workers(*, count: int, people: int = 8) -> list[Row]:
    """Runs of several workspaces queued while nobody works, then done by one worker, and again by two."""
    rows: list[Row] = []
    for kind, waits in (("compute", False), (f"wait {WAIT:g} s outside, {SLOTS} at once in each worker", True)):
        one, two = (_worked(n, count=count // 2 if waits else count, people=people, waits=waits) for n in (1, 2))
        rows += [one, two]
        rows.append(
            {
                "what": f"two workers beside one: runs that {kind}",
                "times": round(two["per_second"] / one["per_second"], 2),
                "target_times": 1.7,
                "times_a_cpu_second": round(two["per_cpu_second"] / one["per_cpu_second"], 2),
            }
        )
    return rows


WAIT = 0.5
SLOTS = 8


class _Slow(BaseHTTPRequestHandler):
    """Somebody outside who takes their time."""

    def do_GET(self) -> None:
        time.sleep(WAIT)
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"ok")

    def log_message(self, *_: Any) -> None:
        pass


@contextlib.contextmanager
def _slow_outside() -> Iterator[int]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Slow)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        server.server_close()


def _worked(number: int, *, count: int, people: int, waits: bool) -> Row:
    with contextlib.ExitStack() as stack:
        directories = [stack.enter_context(tempfile.TemporaryDirectory()) for _ in range(number + 1)]
        url = fresh_url("postgres", Path(directories[0]))
        settings = {"DATABASE_URL": url, "TELEGRAM_BOT_TOKEN": ""}
        steps = ""
        if waits:
            port = stack.enter_context(_slow_outside())
            settings |= {"PILOT_HTTP_ALLOW": f"127.0.0.1:{port}", "PILOT_WORKERS": str(SLOTS)}
            steps = f"http.get url=http://127.0.0.1:{port}/\n"
        server = stack.enter_context(_server(directories[0], PILOT_ROLE="web", **settings))
        requests = [_run_request(server.url, f"p{n}@example.com", steps) for n in range(people)]
        for directory in directories[1:]:
            (Path(directory) / "secrets.env").write_bytes((Path(directories[0]) / "secrets.env").read_bytes())
        pids = [
            stack.enter_context(
                _server(d, PILOT_ROLE="worker", PILOT_EXECUTOR_ID=f"worker-{n}", **settings)
            ).process.pid
            for n, d in enumerate(directories[1:])
        ]
        for pid in pids:
            os.kill(pid, signal.SIGSTOP)
        try:
            made = load(server.port, requests, seconds=60, connections=8, limit=count)
        finally:
            before = sum(map(cpu_seconds, pids))
            began = time.perf_counter()
            for pid in pids:
                os.kill(pid, signal.SIGCONT)
        if set(made["statuses"]) != {"201"}:
            raise SystemExit(f"tasks: {made['statuses']} {made['sample_error']}")
        with psycopg.connect(url.replace("+psycopg", ""), autocommit=True) as store:
            until(lambda: _completed(store) >= made["statuses"]["201"], seconds=120, what="all runs")
            took = time.perf_counter() - began
            used = sum(map(cpu_seconds, pids)) - before
            shares = [row[0] for row in store.execute("SELECT count(*) FROM dbos.workflow_status GROUP BY executor_id")]
        return {
            "what": f"runs that {'wait' if waits else 'compute'}, workers: {number}, postgres",
            "per_second": round(made["statuses"]["201"] / took, 1),
            "per_cpu_second": round(made["statuses"]["201"] / used, 1),
            "shares": sorted(shares),
        }


def _completed(store: psycopg.Connection[Any]) -> int:
    [[count]] = store.execute("SELECT count(*) FROM runs WHERE state = 'completed'").fetchall()
    return int(count)


def _run_request(base: str, email: str, steps: str) -> Row:
    headers = {**Person(base, email).headers, "Content-Type": "application/json"}
    body = json.dumps({"title": "Run {n}", "description": steps + 'finish summary="done"', "autoRun": True})
    return {"method": "POST", "path": "/api/tasks", "headers": headers, "body": body}


# --- all of it ------------------------------------------------------------------------------------


def measure(parts: Sequence[str], *, long: bool) -> list[Row]:
    """The figures of these parts; `long` takes more samples."""
    rows: list[Row] = []
    for part in parts:
        if part == "taps":
            for kind in ("sqlite", "postgres"):
                rows += taps(kind, chats=20 if long else 4, count=100 if long else 20)
        elif part == "parked":
            rows += parked(count=10_000)
        elif part == "listeners":
            rows += listeners(clients=1000, count=100 if long else 20)
        elif part == "workers":
            rows += workers(count=2000 if long else 400)
    return rows


def table(rows: list[Row]) -> str:
    """A line a figure, every value with its name."""
    return "\n".join(f"{row['what']:52}" + ", ".join(f"{k} {v}" for k, v in row.items() if k != "what") for row in rows)


def main() -> None:
    """Measure what is asked for and print it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", choices=FRAGMENTS, action="append")
    parser.add_argument("--long", action="store_true", help="more samples")
    options = parser.parse_args()
    for part in options.only or FRAGMENTS:
        print(table(measure([part], long=options.long)), flush=True)


if __name__ == "__main__":
    main()
