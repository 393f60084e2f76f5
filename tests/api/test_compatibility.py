"""The reference's own requests, sent to Pilot: same status, same names, same types; what differs is on the page."""

import hashlib
import hmac
import json
import re
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import sqlalchemy as sa

from domain.approvals.approval import Approval, ApprovalStatus, digest_of_call
from domain.clock import utc_now
from domain.ledger.violation import Violation
from storage.ledger import violation_rows
from storage.tables import sessions
from tests.api.harness import Harness, open_house
from tests.databases import fresh_url

ROOT = Path(__file__).resolve().parent.parent.parent
SAMPLES = [json.loads(line) for line in (ROOT / "tests/vectors/reference_samples.jsonl").read_text().splitlines()]
PAGE = ROOT / "docs/reference/compatibility.md"
BOT_TOKEN = "1:" + "A" * 35


# ids, tokens, keys, codes: what an instance makes up
MINTED = re.compile(r"[0-9a-f-]{32,}|hp_[0-9a-f]+|[0-9]{6}|[0-9a-f-]{36}:.*|dec-.*")


class Known:
    """Values of the reference's instance and what stands for them in ours."""

    def __init__(self) -> None:
        self.ours: dict[str, str] = {}

    def learn(self, theirs: Any, ours: Any) -> None:
        """Walk two answers side by side: strings at the same place stand for each other."""
        if isinstance(theirs, dict) and isinstance(ours, dict):
            for name in theirs.keys() & ours.keys():
                self.learn(theirs[name], ours[name])
        elif isinstance(theirs, list) and isinstance(ours, list):
            for one, other in zip(theirs, ours, strict=False):
                self.learn(one, other)
        elif isinstance(theirs, str) and isinstance(ours, str) and MINTED.fullmatch(theirs) and theirs != ours:
            self.ours.setdefault(theirs, ours)

    def translated(self, value: Any) -> Any:
        if isinstance(value, dict):
            return {k: self.translated(v) for k, v in value.items()}
        if isinstance(value, str):
            for theirs in sorted(self.ours, key=len, reverse=True):
                value = value.replace(theirs, self.ours[theirs])
        return value


def kind(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "boolean"
    return {str: "string", int: "number", float: "number", list: "list", dict: "object"}[type(value)]


def differences(theirs: Any, ours: Any, place: str = "") -> Iterator[tuple[str, str, str]]:
    """(place, what the reference has, what Pilot has); more fields in ours are no difference."""
    if theirs is None:
        return
    if ours is None and place.rpartition(".")[2] in NULLABLE:
        return
    if kind(theirs) != kind(ours):
        yield place or "body", kind(theirs), kind(ours)
    elif isinstance(theirs, dict):
        for name, value in theirs.items():
            where = f"{place}.{name}" if place else name
            if name not in ours:
                yield where, kind(value), "absent"
            elif name not in OPEN:
                yield from differences(value, ours[name], where)
    elif isinstance(theirs, list) and theirs:
        if not ours:
            yield f"{place}[]", kind(theirs[0]), "empty"
        else:
            yield from differences(theirs[0], ours[0], f"{place}[]")


def _null_somewhere(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for name, item in value.items():
            if item is None:
                yield name
            yield from _null_somewhere(item)
    elif isinstance(value, list):
        for item in value:
            yield from _null_somewhere(item)


# fields that are null in one of the reference's own answers; of the last one its schema says so
NULLABLE = {name for sample in SAMPLES for name in _null_somewhere(sample["body"])} | {"reasonCode"}
# what is in these is up to whoever writes them
OPEN = {"metadata", "actionInput", "approvalContext", "signedBlob"}


def listed() -> set[tuple[str, str, str, str]]:
    """The table of the page: sample, place, the reference, Pilot."""
    rows = re.findall(r"^\| `([a-zA-Z0-9_]+)` \| `([^`]+)` \| ([^|]+) \| ([^|]+) \|", PAGE.read_text(), re.MULTILINE)
    return {(sample, place, theirs.strip(), ours.strip()) for sample, place, theirs, ours in rows}


async def test_every_success_of_the_reference_has_its_shape_here(tmp_path: Path) -> None:
    found: set[tuple[str, str, str, str]] = set()
    known = Known()
    async with open_house(
        fresh_url("sqlite", tmp_path),
        tmp_path,
        telegram_bot_token=BOT_TOKEN,
        http={"allowed_origins": ("http://app.example",)},
    ) as harness:
        for sample in SAMPLES:
            name, asked = sample["name"], sample["request"]
            if name == "approvals_200_pending":
                await furnish(harness, known)
            if name == "session_rotated_x_new_token":
                await age_sessions(harness)
            reply = await ask(harness, known, name, asked)
            if reply.status != sample["status"]:
                found.add((name, "status", str(sample["status"]), str(reply.status)))
                continue
            known.learn(sample["body"], reply.data)
            if "headers" in sample:
                known.learn(sample["headers"]["x-new-token"], reply.headers["X-New-Token"])
            if isinstance(sample["body"], str):
                assert isinstance(reply.data, str)
                continue
            found |= {
                (name, *difference)
                for difference in differences(sample["body"], None if reply.status == 204 else reply.data)
            }
    table = "\n".join("| " + " | ".join((f"`{a}`", f"`{b}`", c, d)) + " |" for a, b, c, d in sorted(found - listed()))
    assert not found - listed(), f"not on the page:\n{table}"
    assert not listed() - found, "on the page, but no longer so"


async def ask(harness: Harness, known: Known, name: str, asked: dict[str, Any]) -> Any:
    """The same request here: with our ids and tokens, and launch data signed for our bot."""
    body, headers = asked["body"], dict(asked["headers"])
    del headers["X-Forwarded-For"]
    if isinstance(body, dict) and "initData" in body:
        body = {"initData": launch_data({"id": 985460201, "first_name": "Bench", "last_name": "User"})}
    if "Origin" in headers:
        headers["Origin"] = "http://app.example"
    translated = {k: known.translated(v) for k, v in headers.items()}
    return await harness.ask(
        asked["method"], known.translated(asked["path"]), known.translated(body), headers=translated
    )


def launch_data(user: dict[str, Any]) -> str:
    """Launch data as Telegram signs it for our bot."""
    fields = {"auth_date": str(int(time.time())), "user": json.dumps(user, separators=(",", ":"))}
    text = "\n".join(f"{name}={fields[name]}" for name in sorted(fields))
    key = hmac.digest(b"WebAppData", BOT_TOKEN.encode(), hashlib.sha256)
    return urlencode({**fields, "hash": hmac.digest(key, text.encode(), hashlib.sha256).hex()})


async def age_sessions(harness: Harness) -> None:
    """As the samples did: every session is a day and an hour old."""
    then = utc_now() - timedelta(hours=25)
    await harness.services.store.write(lambda tx: tx.execute(sa.update(sessions).values(created_at=then)))
    harness.services.identity_cache.forget()


async def furnish(harness: Harness, known: Known) -> None:
    """Give what the reference's instance was given by SQL: two approvals, which are recorded here, and a violation."""
    theirs = next(s["body"] for s in SAMPLES if s["name"] == "approvals_200_pending")
    workspace_id = known.translated(theirs[0]["workspaceId"])
    now = utc_now()

    def work(tx: Any) -> None:
        for age, row in enumerate(theirs):
            values = row["actionInput"] or {}
            harness.services.gateway.requests.put(
                tx,
                Approval(
                    id=row["id"], workspace_id=workspace_id,
                    task_id=row["taskId"] and known.translated(row["taskId"]), run_id=None, step_id=None,
                    action=row["action"], action_input=values, action_hash=digest_of_call(row["action"], values),
                    effect=3, policy_version="0" * 64, approval_context={}, reason=row["reason"], status=ApprovalStatus.PENDING,
                    version=1, quorum=1, deciders=None, requested_by=row["requestedBy"], resolved_by=None,
                    resolved_via=None, resolution_note=None, grant_id=None, callback_url=None, callback_secret=None,
                    requested_at=now - timedelta(seconds=age), resolved_at=None, execute_after=None, expires_at=now + timedelta(days=1), reminded=0,
                ),
            )  # fmt: skip
        violation_rows.add(
            tx,
            Violation(
                id="0192f000-0000-7000-8000-000000000001", workspace_id=workspace_id, policy_rule="toolBlocklist",
                violation="tool shell_exec is blocked", severity="critical", action="shell_exec", blocked=True,
                metadata={}, created_at=now,
            ),
        )  # fmt: skip

    await harness.services.store.write(work)
