"""Evaluations of the work: playbooks, and runs that outlive kill -9."""

import asyncio
import contextlib
import os
import random
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp

import app
from app.evals.checks import Checks
from app.evals.place import Ground, Outside, Person, free_port, open_place, until

KILLS = 3
RUNS = 5


# --- playbooks ------------------------------------------------------------------------------------


async def playbooks(checks: Checks, ground: Ground) -> None:
    """Steps in their order, with conditions, references and parameters; a broken playbook is refused, with the line."""
    outside = Outside()
    async with outside.open(), open_place(ground, pilot_http_allow=outside.allowed) as place:
        owner = await place.person("owner")
        await _whole(checks, owner, outside)
        await _refused(checks, owner)
        replayed = await owner.need("GET", "/api/governance/replay")
        checks.same("decisions that replay otherwise", replayed["different"], [])
        checks.figures["decisions"] = replayed["replayed"]


async def _whole(checks: Checks, owner: Person, outside: Outside) -> None:
    task = await owner.run(
        "params: product=Pilot\n"
        '1. note.create title="Plan for {{product}}" body="Monday"\n'
        f'2. http.post url={outside.url} json={{"n": "playbook"}}\n'
        "if steps.2.status == 200:\n"
        '3. knowledge.search query="Plan"\n'
        "else:\n"
        '4. note.create title="never"\n'
        'finish summary="answered {{steps.2.status}}"'
    )
    approval = await owner.pending(task)
    checks.same("posts before a person said yes", outside.arrived["playbook"], 0)
    await owner.decide(approval)
    run, steps = await owner.ended(task)
    checks.same("the run", (run["status"], run["summary"]), ("completed", "answered 200"))
    made = [(step["tool"], step["status"]) for step in steps]
    wanted = ["note.create", "http.post", "knowledge.search", "finish"]
    checks.same("its steps", made, [(tool, "done") for tool in wanted])
    checks.same("posts that arrived", outside.arrived["playbook"], 1)
    found = await owner.need("GET", "/api/knowledge/search?q=Plan")
    checks.that("the note it made is found", "Plan for Pilot" in str(found), found)
    receipts = await owner.need("GET", f"/api/governance/proofgraph/{task}")
    kinds = {node["kind"] for node in receipts["nodes"]}
    checks.that("each kind of receipt is there", {"decision", "resolution", "outcome"} <= kinds, kinds)


async def _refused(checks: Checks, owner: Person) -> None:
    broken = {"title": "Broken", "description": 'note.create title="x"\nnote.create colour="red"'}
    status, said = await owner.ask("POST", "/api/tasks", broken)
    checks.that("a playbook that cannot run is refused, with the line", status == 400 and "line 2" in str(said), said)
    task = await owner.run("Please think of something nice")
    run, steps = await owner.ended(task)
    checks.same(
        "a free task without a model", (run["status"], run["errorCode"], len(steps)), ("blocked", "no_model", 0)
    )
    task = await owner.run('1. http.get url=http://127.0.0.1:1/\n  on failure: continue\n2. note.create title="after"')
    run, _ = await owner.ended(task)
    checks.same("going on after a failure", run["status"], "completed")
    task = await owner.run('1. http.get url=http://127.0.0.1:1/\n2. note.create title="not after"')
    run, steps = await owner.ended(task)
    checks.same("stopping after a failure", (run["status"], run["errorCode"]), ("blocked", "playbook_stopped"))


# --- chaos ----------------------------------------------------------------------------------------


@dataclass(slots=True)
class _Life:
    """The program as a process of its own, that is killed."""

    ground: Ground
    outside: Outside
    port: int = field(default_factory=free_port)
    process: asyncio.subprocess.Process | None = None

    @property
    def base(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def start(self, http: aiohttp.ClientSession) -> asyncio.subprocess.Process:
        """Start it and wait until it works."""
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "app", "serve"),
            cwd=self.ground.folder,
            env={
                **{name: value for name, value in os.environ.items() if name in ("PATH", "HOME", "LANG")},
                "PYTHONPATH": str(Path(app.__path__[0]).parent),
                "DATABASE_URL": self.ground.database_url,
                "PILOT_DATA_DIR": str(self.ground.folder),
                "PORT": str(self.port),
                "LOG_LEVEL": "ERROR",
                "RATE_LIMITS_ENABLED": "false",
                "EMAIL_PROVIDER": "file",
                "PILOT_HTTP_ALLOW": ",".join(self.outside.allowed),
                "PILOT_EXECUTOR_ID": "evaluation",
            },
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
        )
        self.process = process
        nobody = Person(self.base, http)

        async def ready() -> bool:
            if process.returncode is not None:
                raise RuntimeError(f"the program ended by itself with {process.returncode}")
            try:
                _, said = await nobody.ask("GET", "/health")
            except (aiohttp.ClientError, OSError):
                return False
            return isinstance(said, dict) and said["checks"].get("jobs") is True

        await until(ready, seconds=40, what="the program to be ready")
        return process

    async def end(self) -> None:
        """Gone, whatever happened."""
        if self.process is not None and self.process.returncode is None:
            self.process.kill()
        if self.process is not None:
            await self.process.wait()


async def chaos(checks: Checks, ground: Ground) -> None:
    """Kill the program -9 while it works: nothing is lost, and nothing outside happens twice unasked."""
    outside = Outside()
    life = _Life(ground, outside)
    chance = random.Random(ground.database_url)  # noqa: S311 - moments to kill at
    tasks: dict[int, str] = {}
    asked = 0
    async with outside.open(), aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as http:
        person = Person(life.base, http)
        try:
            for killing in range(KILLS + 1):
                process = await life.start(http)
                if not person.workspace:
                    await person.log_in("owner@example.com")
                last = killing == KILLS
                killer = None
                if not last:
                    killer = asyncio.get_running_loop().call_later(chance.uniform(0.1, 0.9), process.kill)
                asked += await _work(person, outside, tasks, process, last=last)
                if killer is not None:
                    killer.cancel()
            await _add_up(checks, person, outside, tasks)
        finally:
            await life.end()
    checks.figures |= {"kills": KILLS, "runs": RUNS, "asked about": asked}


async def _work(
    person: Person, outside: Outside, tasks: dict[int, str], process: asyncio.subprocess.Process, *, last: bool
) -> int:
    """What people do until the program is killed, or everything has ended; how often they were asked what happened."""
    asked = 0
    while process.returncode is None:
        # whatever breaks off in the middle of a kill is done again in the next life
        with contextlib.suppress(aiohttp.ClientError, OSError, *(() if last else (Exception,))):
            for number in range(RUNS):
                if number not in tasks:
                    await _make(person, outside, tasks, number)
            for approval in await person.need("GET", "/api/audit/approvals?status=pending"):
                await person.decide(approval)
            states = []
            for number, task in tasks.items():
                run, steps = await person.steps(task)
                states.append(run["status"])
                if run["status"] == "uncertain":
                    asked += await _say_what_happened(person, run, steps, happened=outside.arrived[number] > 0)
            if last and len(states) == RUNS and set(states) == {"completed"}:
                return asked
        await asyncio.sleep(0.02)
    await process.wait()
    return asked


async def _make(person: Person, outside: Outside, tasks: dict[int, str], number: int) -> None:
    """Make a task with a key of its own: asked again after a crash, there must still be one."""
    title = f"chaos {number}"
    text = f'note.create title="{title}"\nhttp.post url={outside.url} json={{"n": {number}}}\nfinish summary="done"'
    body = {"title": title, "description": text, "autoRun": True}
    status, said = await person.ask("POST", "/api/tasks", body, Idempotency_Key=f"evaluation-{number}")
    if status in (200, 201):
        tasks[number] = said["id"]
    elif said.get("code") == "idempotency_unanswered":
        # it was made, and the kill took the answer
        listed = await person.need("GET", "/api/tasks?limit=200")
        tasks[number] = next(task["id"] for task in listed if task["title"] == title)


async def _say_what_happened(
    person: Person, run: dict[str, Any], steps: list[dict[str, Any]], *, happened: bool
) -> int:
    """Answer what the program asks after it was killed in the middle of a call: look outside, say it truly."""
    asked = 0
    for step in steps:
        if step["status"] == "uncertain":
            choice = {"choice": "mark_done" if happened else "retry"}
            await person.ask("POST", f"/api/runs/{run['id']}/steps/{step['id']}/settle", choice)
            asked += 1
    return asked


async def _add_up(checks: Checks, person: Person, outside: Outside, tasks: dict[int, str]) -> None:
    arrived = {number: outside.arrived[number] for number in range(RUNS)}
    checks.same("how often each post arrived", arrived, dict.fromkeys(range(RUNS), 1))
    titles = sorted(task["title"] for task in await person.need("GET", "/api/tasks?limit=200"))
    checks.same("tasks", titles, [f"chaos {number}" for number in range(RUNS)])
    states = [(await person.steps(task))[0]["status"] for task in tasks.values()]
    checks.same("runs that ended well", states.count("completed"), RUNS)
    replayed = await person.need("GET", "/api/governance/replay")
    checks.that("decisions replay", replayed["replayed"] >= RUNS, replayed["replayed"])
    checks.same("decisions that replay otherwise", replayed["different"], [])
    _, health = await person.ask("GET", "/health")
    checks.same("the ledger", health["checks"]["ledger"], "ok")
