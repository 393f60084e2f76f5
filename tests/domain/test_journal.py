"""The catalogue is whole: everything that is recorded, told or sent has one class, is written somewhere and read somewhere."""

import ast
import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest

from domain.journal import approvals, people, work, workspace
from domain.journal.entry import ReceiptFields, Written
from domain.ledger.audit import AuditAction
from domain.ledger.events import OF_APPROVAL, OF_RUN, EventKind
from domain.outbox.notifications import BadNotice, Notice, NoticeKind, as_json, notice_of
from domain.receipts.receipt import Kind
from domain.runs.run import RunState

ROOT = Path(__file__).resolve().parents[2]
KEPT = [json.loads(line) for line in (ROOT / "tests/vectors/recorded/991c235.jsonl").read_text().splitlines()]
ENTRIES: list[Any] = [
    one
    for module in (work, approvals, people, workspace)
    for name, one in vars(module).items()
    if isinstance(one, type) and one.__module__ == module.__name__ and not name.startswith("_")
]
NOTICES: list[Any] = list(Notice.__args__)


def names_in(*rooms: str) -> set[str]:
    """Every name that the code of these rooms uses, but for where it is imported."""
    return {
        node.id
        for room in rooms
        for file in ([ROOT / room] if room.endswith(".py") else (ROOT / room).rglob("*.py"))
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.Name)
    }


# --- what is recorded ---------------------------------------------------------------------------------


def test_each_word_of_the_audit_log_has_one_entry() -> None:
    assert sorted(one.action for one in ENTRIES) == sorted(AuditAction)


def test_each_kind_of_receipt_is_that_of_an_entry() -> None:
    assert {one.kind for one in ENTRIES} - {None} == set(Kind)


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda one: one.__name__)
def test_an_entry_is_a_frozen_value_that_says_what_it_is(entry: Any) -> None:
    assert dataclasses.is_dataclass(entry)
    assert entry.__dataclass_params__.frozen
    assert entry.__doc__
    assert not entry.__doc__.startswith(entry.__name__ + "(")
    for wanted in ("action", "kind", "workspace_id", "actor", "written"):
        assert hasattr(entry, wanted), wanted


def test_every_entry_is_recorded_somewhere() -> None:
    assert {one.__name__ for one in ENTRIES} - names_in("services", "app") == set()


def test_the_story_of_all_receipts_tells_every_entry() -> None:
    """With its exact bytes: see `tests/recorded.py`."""
    said = {line["action"] for chapter in KEPT for line in chapter["audit"]}
    assert said == {one.action.value for one in ENTRIES}
    kinds = {json.loads(r["leaf"])["metadata"]["kind"] for chapter in KEPT for r in chapter["receipts"]}
    assert kinds == {kind.value for kind in Kind}


def test_nothing_is_recorded_past_the_catalogue() -> None:
    """The recorder is the only one that writes an audit line, and with the ledger a receipt."""
    found = []
    for room in ("app", "api", "bot", "webapp", "services"):
        for file in (ROOT / room).rglob("*.py"):
            tree = ast.parse(file.read_text())
            for node in ast.walk(tree):
                if isinstance(node, ast.Call) and ast.unparse(node.func).endswith(
                    ("audit_rows.append", "ledger.append")
                ):
                    found.append(file.relative_to(ROOT).as_posix())
                if isinstance(node, ast.Call) and ast.unparse(node.func).endswith("recorder.record"):
                    assert len(node.args) == 2, (file, node.lineno)
                    assert not node.keywords, (file, node.lineno)
    assert found == ["services/ledger/recorder.py", "services/ledger/recorder.py"]


def test_the_defaults_are_those_of_a_change_that_a_person_made() -> None:
    plain = Written()
    assert (plain.verdict, plain.reason, plain.event, plain.receipt) == ("allow", None, None, ReceiptFields())
    assert (plain.receipt.verdict, plain.receipt.status, plain.receipt.effect) == ("ALLOW", "recorded", 0)


# --- what is told -------------------------------------------------------------------------------------


def test_every_event_is_told_somewhere() -> None:
    said = {event["kind"] for chapter in KEPT for event in chapter["events"]}
    assert said == {kind.value for kind in EventKind}


def test_every_event_has_a_page_that_looks_again() -> None:
    heard: set[str] = set()
    for page in (ROOT / "webapp" / "templates").glob("*.html"):
        for line in page.read_text().splitlines():
            if "ui.page(" in line:
                heard |= {word for part in line.split('"')[1::2] for word in part.split()}
    assert {kind.noun for kind in EventKind} <= heard


def test_a_run_and_an_approval_say_which_state_they_have_come_into() -> None:
    assert set(OF_RUN) == set(RunState)
    for state, kind in OF_RUN.items():
        assert kind.value == ("run.started" if state is RunState.RUNNING else f"run.{state}")
    assert all(kind.value == f"approval.{status}" for status, kind in OF_APPROVAL.items())


# --- what is sent -------------------------------------------------------------------------------------


def test_each_kind_of_notice_has_one_class() -> None:
    assert sorted(one.kind for one in NOTICES) == sorted(NoticeKind)


def test_every_notice_is_queued_somewhere_and_rendered_somewhere() -> None:
    names = {one.__name__ for one in NOTICES}
    readers = ("bot/pieces.py", "services/approvals/callbacks.py", "services/identity/mail_queue.py")
    assert names - names_in(*readers) == set()
    writers = (
        "services/outbox/notifications.py",
        "services/chat",
        "services/identity/email_login.py",
        "services/lifecycle",
        "services/ledger",
        "services/runs",
        "bot/context.py",
    )
    assert names - names_in(*writers) == set()


def test_what_was_queued_by_the_first_release_is_read_and_stored_the_same() -> None:
    messages = [message["payload"] for chapter in KEPT for message in chapter["messages"]]
    assert len(messages) > 50
    for stored in messages:
        # what is sealed is another text each time, and not kept
        whole = {**stored, "sealed": "x"} if stored["kind"] == NoticeKind.LOGIN_CODE else stored
        notice = notice_of(whole)
        assert notice is not None
        assert as_json(notice) == whole


@pytest.mark.parametrize("notice", NOTICES, ids=lambda one: one.__name__)
def test_a_stored_notice_says_all_it_has_to(notice: Any) -> None:
    needed = [f.name for f in dataclasses.fields(notice) if f.default is dataclasses.MISSING]
    whole = notice(**{name: 1 if name in ("message_id", "stage") else "x" for name in needed})
    stored = as_json(whole)
    assert notice_of(json.loads(json.dumps(stored))) == whole
    # what a later release adds is left aside
    assert notice_of({**stored, "andMore": True}) == whole
    for name in needed:
        with pytest.raises(BadNotice):
            notice_of({k: v for k, v in stored.items() if k.lower() != name.replace("_", "")})
    for unknown in ("approval.other", "", None, 7):
        assert notice_of({**stored, "kind": unknown}) is None
