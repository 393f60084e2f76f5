"""What the ledger, the audit log, the events and the outbox say today is what they said from the first release on."""

import json
from pathlib import Path
from typing import Any

import pytest

from domain.ledger.audit import AuditAction
from domain.receipts.canonical import canonical
from domain.receipts.receipt import parse, verify
from domain.receipts.signing import KeyRing, Signer, parse_seed
from tests.recorded import BEGAN, KEY, NEXT_KEY, Chapter, chapters
from tests.state_moves import STATES, Move, Moves

RECORDED = Path(__file__).resolve().parents[2] / "vectors" / "recorded"
# what the first release wrote, which has to be read for ever, and what was written since receipts bind whole rows
FIRST, NOW = RECORDED / "991c235.jsonl", RECORDED / "c51e3cc.jsonl"
# texts for people, which may be put in better words
WORDS = frozenset({"reason", "error", "text", "note"})


# moves of the tables that the story leaves out: tests of runs, tasks, delegation and the states over HTTP make them
ELSEWHERE: set[Move] = {
    ("effects", "intent", "failed"),
    ("effects", "settled", "failed"),
    ("runs", "queued", "failed"),
    ("runs", "queued", "waiting"),
    ("runs", "running", "cancelled"),
    ("runs", "running", "queued"),
    ("steps", "approved", "cancelled"),
    ("steps", "intent", "denied"),
    ("tasks", "cancelled", "queued"),
    ("tasks", "completed", "pending"),
    ("tasks", "completed", "queued"),
    ("tasks", "failed", "cancelled"),
    ("tasks", "failed", "pending"),
    ("tasks", "failed", "queued"),
    ("tasks", "pending", "cancelled"),
    ("tasks", "pending", "failed"),
    ("tasks", "queued", "failed"),
    ("tasks", "queued", "pending"),
}


def kept_in(file: Path) -> list[Chapter]:
    return [Chapter(**json.loads(line)) for line in file.read_text().splitlines()]


def worded(value: Any) -> Any:
    """`value` with nothing but whether there is a text in the places of texts for people."""
    if isinstance(value, dict):
        return {k: bool(v) if k in WORDS and isinstance(v, str) else worded(v) for k, v in value.items()}
    if isinstance(value, list):
        return [worded(one) for one in value]
    return value


def payloads_of(receipt: dict[str, Any]) -> list[Any]:
    def opened(kind: str, body: str | None) -> Any:
        return body if body is None or kind not in ("args", "output") else worded(json.loads(body))

    return [[kind, salt, opened(kind, body)] for kind, salt, body in receipt["payloads"]]


def leaf_of(old: dict[str, Any], new: dict[str, Any], *, same_lines: bool) -> str:
    """The old leaf, in its place in the new log: after another one, and around texts put in other words."""
    body, now = json.loads(old["leaf"]), json.loads(new["leaf"])
    moved = {"prev_hash", "signature"}
    if old["payloads"] != new["payloads"]:
        moved |= {"args_hash", "output_hash"}
    if not same_lines:
        body["metadata"]["line_hash"] = now["metadata"]["line_hash"]
    return canonical(body | {name: now[name] for name in moved}).decode()


def moves_left_out(moves: Moves) -> set[Move]:
    """The moves of the tables that nothing has made so far."""
    wanted: set[Move] = {
        (name, None if current is None else current.value, to.value)
        for name, (_, table) in STATES.items()
        for current, found in ((None, table.begins), *table.moves.items())
        for to in found
    }
    return wanted - moves.made


def mended(kept: list[Chapter]) -> list[Chapter]:
    """What was kept, without the two things that were said wrongly.

    A refusal of what is no call was told as one of a step that is denied, not failed; and what came of a call that a
    person had approved named the decision to ask them, not the one that let the call through.
    """
    decided: dict[str, str] = {}
    for chapter in kept:
        for event in chapter.events:
            if event["kind"] == "step.failed" and event["payload"]["stepState"] == "denied":
                event["payload"]["stepState"] = "failed"
        for one in chapter.receipts:
            body = json.loads(one["leaf"])
            said = body["metadata"]
            if said["action"] == AuditAction.TOOL_DECIDED:
                decided[said["step_id"]] = body["receipt_id"]
            elif "decision_receipt" in said:
                said["decision_receipt"] = decided[said["step_id"]]
                one["leaf"] = canonical(body).decode()
    return kept


async def test_what_is_recorded_is_what_it_was(tmp_path: Path, state_moves: Moves) -> None:
    kept = kept_in(NOW)
    # as it is read back: without tuples, and times as texts
    told = [Chapter(**json.loads(chapter.line())) for chapter in await chapters(tmp_path)]
    assert [c.title for c in told] == [c.title for c in kept]
    assert moves_left_out(state_moves) <= ELSEWHERE
    for new, old in zip(told, mended(kept), strict=True):
        assert [worded(one) for one in new.audit] == [worded(one) for one in old.audit], new.title
        assert [worded(one) for one in new.events] == [worded(one) for one in old.events], new.title
        assert [worded(one) for one in new.messages] == [worded(one) for one in old.messages], new.title
        assert [payloads_of(one) for one in new.receipts] == [payloads_of(one) for one in old.receipts], new.title
        assert [r["leaf"] for r in new.receipts] == [
            leaf_of(was, now, same_lines=new.audit == old.audit)
            for was, now in zip(old.receipts, new.receipts, strict=True)
        ], new.title


@pytest.mark.parametrize("file", [FIRST, NOW], ids=lambda file: file.stem)
def test_what_was_recorded_verifies(file: Path) -> None:
    """The code of today reads and checks the receipts of then, each after the one it names."""
    ring = KeyRing(Signer(key).record(not_before=BEGAN) for key in (parse_seed(KEY), NEXT_KEY))
    last: dict[str, str] = {}
    for chapter in kept_in(file):
        for one in chapter.receipts:
            receipt = parse(one["leaf"].encode())
            verify(receipt, ring=ring)
            assert receipt.prev_hash == last.get(receipt.session_id, "")
            last[receipt.session_id] = receipt.chain_hash
    assert len(last) == 4


@pytest.mark.parametrize("file", [FIRST, NOW], ids=lambda file: file.stem)
def test_everything_the_audit_log_can_say_is_said(file: Path) -> None:
    said = {line["action"] for chapter in kept_in(file) for line in chapter.audit}
    assert said == {action.value for action in AuditAction}
