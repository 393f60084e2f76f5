"""`make bench`: Pilot beside bare baselines in one run, as a table and as JSON (bench/results/latest.json).

HTTP figures stand beside a bare aiohttp handler, storage figures beside a bare transaction on the
same database. Machines differ and are shared: quote the ratios.
"""

import argparse
import asyncio
import json
import os
import platform
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
CONNECTIONS = 64
TARGETS = {
    "POST /api/tasks": 1100,
    "GET /api/tasks (50 rows)": 2400,
    "POST /api/auth/telegram": 1500,
    "GET /api/audit?limit=50": 3000,
    "segments": 90,
    "receipts": 1500,
}
BOT_TOKEN = "7000000001:" + "A" * 35


def load(
    port: int,
    requests: list[dict[str, Any]],
    *,
    seconds: float,
    connections: int = CONNECTIONS,
    limit: int | None = None,
) -> dict[str, Any]:
    """Run the load generator in a process of its own, for so long, or until it has sent `limit` requests."""
    plan = {
        "host": "127.0.0.1",
        "port": port,
        "connections": connections,
        "seconds": seconds,
        "requests": requests,
        "limit": limit,
    }
    done = subprocess.run(
        [sys.executable, "-m", "bench.load"],
        input=json.dumps(plan),
        capture_output=True,
        text=True,
        cwd=ROOT,
        check=True,
    )
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def call(method: str, url: str, body: Any = None, **headers: str) -> tuple[int, Any]:
    """One request of the preparation."""
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data=data, method=method)
    for name, value in {"Content-Type": "application/json", **headers}.items():
        request.add_header(name.replace("_", "-"), value)
    try:
        with urllib.request.urlopen(request, timeout=20) as answer:
            return answer.status, json.loads(answer.read() or b"null")
    except urllib.error.HTTPError as error:
        return error.code, json.loads(error.read() or b"null")


def free_port() -> int:
    """A port nobody has right now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def cpu_seconds(pid: int) -> float:
    """What a process has used of the processors so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class Server:
    """A `pilot serve` of its own on a fresh data directory."""

    def __init__(self, directory: str, **settings: str) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        env = {
            **{k: v for k, v in os.environ.items() if k in ("PATH", "HOME", "LANG", "VIRTUAL_ENV")},
            "PILOT_DATA_DIR": directory,
            "PORT": str(self.port),
            "LOG_LEVEL": "WARNING",
            "RATE_LIMITS_ENABLED": "false",
            "TELEGRAM_BOT_TOKEN": BOT_TOKEN,
            "TELEGRAM_API_URL": "http://127.0.0.1:9",
            **settings,
        }
        self.started = time.perf_counter()
        self.process = subprocess.Popen(
            [sys.executable, "-m", "app", "serve"],
            cwd=ROOT,
            env=env,
            stdout=subprocess.DEVNULL,
            stderr=(Path(directory) / "server.log").open("wb"),
        )
        self.listening = self._until(self._listens)
        self.healthy = self._until(lambda: call("GET", self.url + "/health")[0] == 200)

    def _listens(self) -> bool:
        socket.create_connection(("127.0.0.1", self.port), 0.2).close()
        return True

    def _until(self, probe: Any, limit: float = 60.0) -> float:
        while time.perf_counter() - self.started < limit:
            try:
                if probe():
                    return round(time.perf_counter() - self.started, 2)
            except OSError:
                pass
            if self.process.poll() is not None:
                raise SystemExit("the server ended while it was starting; see server.log")
            time.sleep(0.01)
        raise SystemExit("the server did not become ready")

    def rss_mb(self) -> float:
        """Resident memory now."""
        for line in Path(f"/proc/{self.process.pid}/status").read_text().splitlines():
            if line.startswith("VmRSS"):
                return round(int(line.split()[1]) / 1024, 1)
        return 0.0

    def stop(self) -> float:
        """Seconds an orderly stop takes."""
        began = time.perf_counter()
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(20)
        return round(time.perf_counter() - began, 2)


def init_data(user_id: int) -> str:
    """Launch data signed as Telegram signs it."""
    import hashlib
    import hmac
    import urllib.parse

    fields = {
        "user": json.dumps({"id": user_id, "first_name": "Ada"}, separators=(",", ":")),
        "auth_date": str(int(time.time())),
        "query_id": f"AAE{user_id}",
    }
    check = "\n".join(f"{k}={fields[k]}" for k in sorted(fields))
    secret = hmac.new(b"WebAppData", BOT_TOKEN.encode(), hashlib.sha256).digest()
    fields["hash"] = hmac.new(secret, check.encode(), hashlib.sha256).hexdigest()
    return urllib.parse.urlencode(fields)


def http_figures(seconds: float, **settings: str) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """Rows for the HTTP part, and the figures of start, stop and memory."""
    bare = subprocess.Popen([sys.executable, "-m", "bench.bare"], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert bare.stdout is not None
    bare_port = int(bare.stdout.readline())
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as directory:
        server = Server(directory, **settings)
        time.sleep(8)
        idle = server.rss_mb()
        _, login = call("POST", server.url + "/api/auth/telegram", {"initData": init_data(1001)})
        auth = {"Authorization": f"Bearer {login['token']}", "X-Workspace-Id": login["workspace"]["id"]}
        for number in range(60):
            status, answer = call(
                "POST", server.url + "/api/tasks", {"title": f"Task {number}", "description": "d" * 60}, **auth
            )
            if status != 201:
                raise SystemExit(f"POST /api/tasks: {status} {answer}")
        bare_small = load(bare_port, [{"method": "GET", "path": "/"}], seconds=seconds)
        bare_fifty = load(bare_port, [{"method": "GET", "path": "/fifty"}], seconds=seconds)
        bare_post = load(
            bare_port,
            [
                {
                    "method": "POST",
                    "path": "/",
                    "headers": {"Content-Type": "application/json"},
                    "body": '{"title":"{n}"}',
                }
            ],
            seconds=seconds,
        )
        json_headers = {**auth, "Content-Type": "application/json"}
        logins = [
            {
                "method": "POST",
                "path": "/api/auth/telegram",
                "headers": {"Content-Type": "application/json"},
                "body": json.dumps({"initData": init_data(2000 + n)}),
            }
            for n in range(400)
        ]
        cases: list[tuple[str, list[dict[str, Any]], dict[str, Any]]] = [
            ("GET /health", [{"method": "GET", "path": "/health"}], bare_small),
            (
                "GET /api/me (the door alone)",
                [{"method": "GET", "path": "/api/me", "headers": auth}],
                bare_small,
            ),
            (
                "GET /api/tasks (50 rows)",
                [{"method": "GET", "path": "/api/tasks?limit=50", "headers": auth}],
                bare_fifty,
            ),
            (
                "GET /api/audit?limit=50",
                [{"method": "GET", "path": "/api/audit?limit=50", "headers": auth}],
                bare_fifty,
            ),
            (
                "POST /api/tasks",
                [
                    {
                        "method": "POST",
                        "path": "/api/tasks",
                        "headers": json_headers,
                        "body": '{"title":"Task {n}","description":"durable, with audit line and receipt"}',
                    }
                ],
                bare_post,
            ),
            ("POST /api/auth/telegram", logins, bare_post),
        ]
        for name, requests, baseline in cases:
            before = cpu_seconds(server.process.pid)
            figures = load(server.port, requests, seconds=seconds)
            used = cpu_seconds(server.process.pid) - before
            bad = {s: n for s, n in figures["statuses"].items() if int(s) >= 400}
            rows.append(
                {
                    "what": name,
                    **figures,
                    "baseline_per_second": baseline["per_second"],
                    "ratio": round(figures["per_second"] / baseline["per_second"], 3),
                    # of the server: unlike the rate it says the same when others use the machine
                    "cpu_ms": round(used * 1000 / sum(figures["statuses"].values()), 3),
                    **({"refused": bad, "sample": figures["sample_error"]} if bad else {}),
                }
            )
        process = {
            "listening_s": server.listening,
            "healthy_s": server.healthy,
            "idle_rss_mb": idle,
            "loaded_rss_mb": server.rss_mb(),
            "stop_s": server.stop(),
        }
    bare.terminate()
    bare.wait()
    return rows, process


def table(rows: list[dict[str, Any]]) -> str:
    """The rows as text."""
    lines = [f"{'':34}{'/s':>9}{'p50 ms':>9}{'p99 ms':>9}{'bare /s':>10}{'ratio':>8}{'cpu ms':>8}{'target':>8}"]
    for row in rows:
        target = TARGETS.get(row["what"].split(",")[0])
        lines.append(
            f"{row['what']:34}{row['per_second']:>9.0f}{row['p50_ms']:>9.2f}{row['p99_ms']:>9.2f}"
            f"{row['baseline_per_second']:>10.0f}{row['ratio']:>8.3f}{row.get('cpu_ms', ''):>8}{target or '':>8}"
            + (f"  refused: {row['refused']}" if row.get("refused") else "")
        )
    return "\n".join(lines)


FRAGMENTS = ("http", "storage", "engine", "proofs", "scale")


def main() -> None:
    """Measure everything asked for and print it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=4.0, help="seconds a figure")
    parser.add_argument("--only", choices=FRAGMENTS, action="append")
    parser.add_argument("--no-postgres", action="store_true")
    parser.add_argument("--log-size", type=int, default=50_000, help="receipts in the log that proofs are made from")
    parser.add_argument("--receipts", type=int, default=10_000, help="receipts in the archive that is verified")
    options = parser.parse_args()
    parts = options.only or FRAGMENTS
    result: dict[str, Any] = {
        "python": platform.python_version(),
        "cores": os.cpu_count(),
        "at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
    }
    rows: list[dict[str, Any]] = []
    if "http" in parts:
        http_rows, result["process"] = http_figures(options.seconds)
        rows += http_rows
        print(table(http_rows), flush=True)
        print("process: " + ", ".join(f"{k} {v}" for k, v in result["process"].items()), flush=True)
    if "storage" in parts or "engine" in parts:
        from bench.inside import measure

        inside = asyncio.run(
            measure(
                options.seconds, postgres=not options.no_postgres, storage="storage" in parts, engine="engine" in parts
            )
        )
        rows += inside
        print(table(inside), flush=True)
    if "proofs" in parts:
        from bench import proofs

        found = asyncio.run(
            proofs.measure(log_size=options.log_size, receipts=options.receipts, postgres=not options.no_postgres)
        )
        result["proofs"] = found
        print(proofs.text(found), flush=True)
    if "scale" in parts:
        from bench import scale

        more = scale.measure([p for p in scale.FRAGMENTS if p != "workers" or not options.no_postgres], long=False)
        rows += more
        print(scale.table(more), flush=True)
    result["rows"] = rows
    out = ROOT / "bench" / "results"
    out.mkdir(exist_ok=True)
    (out / "latest.json").write_text(json.dumps(result, indent=1))
    print(f"written to {(out / 'latest.json').relative_to(ROOT)}")


if __name__ == "__main__":
    main()
