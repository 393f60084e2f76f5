"""Every move of a state goes through one function, which asks the table: also where somebody else was faster."""

import ast
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from domain.approvals.approval import ApprovalStatus, Via
from domain.errors import Conflict
from domain.ports import ToolCall
from domain.runs.run import EffectState, RunState, StepState, UncertainChoice
from domain.runs.states import IllegalMove
from domain.runs.task import TaskStatus
from services.approvals.service import ApprovalDecision
from services.lifecycle.moves import Superseded, enter, move
from services.runs.segment import MAX_STEPS_PER_SEGMENT
from storage import tables
from storage.approvals import approval_rows
from storage.runs import run_rows, task_rows
from storage.transaction import Tx
from tests.kit import Kit, RecordingTool, breaks_after_sending, open_kit
from tests.state_moves import STATES, Moves

ROOT = Path(__file__).resolve().parents[3]
DEED = ToolCall(tool="deed", args={"what": "x"})


@pytest.fixture
async def asked(url: str) -> AsyncIterator[Kit]:
    """A run that waits for a person, and nobody who works on it."""
    async with open_kit(url, deeds=[RecordingTool()], work=False) as kit:
        task = await kit.begin(DEED)
        run, _ = await kit.latest(task)
        await kit.runs.advance(run.id, run.segment)
        yield kit


def things(tx: Tx, kit: Kit) -> tuple[Any, ...]:
    place = kit.owner.in_workspace
    [task] = task_rows.find(tx, place, limit=10)
    [run] = run_rows.of_task(tx, place, task.id)
    [step] = run_rows.steps_of(tx, place, run.id)
    [approval] = approval_rows.find(tx, place, limit=10)
    return task, run, step, approval


async def test_a_move_that_the_table_lacks_is_refused_and_nothing_is_written(asked: Kit) -> None:
    task, run, step, approval = before = await asked.store.read(lambda tx: things(tx, asked))
    wrong = [
        (task, TaskStatus.COMPLETED),
        (run, RunState.COMPLETED),
        (step, StepState.DONE),
        (approval, ApprovalStatus.PENDING),
    ]
    for thing, to in wrong:
        with pytest.raises(IllegalMove):
            await asked.store.write(lambda tx, thing=thing, to=to: move(tx, thing, to))
    for thing in (replace(task, status=TaskStatus.RUNNING), replace(run, state=RunState.WAITING)):
        with pytest.raises(IllegalMove):
            await asked.store.write(lambda tx, thing=thing: enter(tx, thing))
    assert await asked.store.read(lambda tx: things(tx, asked)) == before


async def test_whoever_read_an_older_state_is_told(asked: Kit) -> None:
    """The table has the move, but the row is not any more what it was: nothing is moved twice."""
    task, run, step, approval = await asked.store.read(lambda tx: things(tx, asked))
    moves = [
        (task, TaskStatus.QUEUED),
        (run, RunState.QUEUED),
        (step, StepState.APPROVED),
        (approval, ApprovalStatus.APPROVED),
    ]
    for thing, to in moves:
        moved = await asked.store.write(lambda tx, thing=thing, to=to: move(tx, thing, to))
        assert moved == replace(thing, **{"state" if hasattr(thing, "state") else "status": to})
        with pytest.raises(Superseded) as refused:
            await asked.store.write(lambda tx, thing=thing, to=to: move(tx, thing, to))
        assert (refused.value.code, isinstance(refused.value, Conflict)) == ("run_moved", True)


async def test_a_state_is_not_set_in_passing(asked: Kit) -> None:
    task, run, step, approval = await asked.store.read(lambda tx: things(tx, asked))
    writes = [
        lambda tx: run_rows.change(tx, run, state=RunState.QUEUED),
        lambda tx: run_rows.change_step(tx, step, state=StepState.APPROVED),
        lambda tx: approval_rows.change(tx, approval, status=ApprovalStatus.APPROVED),
        lambda tx: task_rows.change(tx, task.workspace_id, task.id, status=TaskStatus.QUEUED),
    ]
    for write in writes:
        with pytest.raises(ValueError, match="moved, not set"):
            await asked.store.write(write)


async def test_a_segment_that_was_given_up_writes_nothing_more(asked: Kit) -> None:
    """Its run is queued again by whoever found it lost; with the same epoch, until another segment claims it."""
    _, run, _, _ = await asked.store.read(lambda tx: things(tx, asked))
    assert run.state is RunState.AWAITING_APPROVAL
    with pytest.raises(Superseded):
        await asked.store.write(lambda tx: asked.lifecycle.runs.mine(tx, run))


async def test_the_recorder_of_moves_sees_what_is_outside_of_the_tables(asked: Kit, state_moves: Moves) -> None:
    """The fixture that watches the suite can fail: the same writes around the door are noted by it."""
    task, run, step, approval = await asked.store.read(lambda tx: things(tx, asked))
    known = len(state_moves.outside)

    def around(tx: Tx) -> None:
        run_rows.move(tx, run, RunState.COMPLETED)
        run_rows.move_step(tx, step, StepState.DONE)
        approval_rows.move(tx, approval, ApprovalStatus.APPROVED)
        task_rows.move(tx, task, TaskStatus.COMPLETED)
        # nobody is there to be moved
        run_rows.move(tx, replace(run, id="none"), RunState.COMPLETED)

    await asked.store.write(around)
    noted = state_moves.outside[known:]
    del state_moves.outside[known:]
    assert noted == [
        ("runs", "awaiting_approval", "completed"),
        ("steps", "awaiting_approval", "done"),
        ("tasks", "awaiting_approval", "completed"),
    ]
    assert ("approvals", "pending", "approved") in state_moves.made


# --- the one room -------------------------------------------------------------------------------------


def imported(tree: ast.Module, package: str) -> dict[str, str]:
    """Local names of what a module imports from a package, with what they are called there."""
    return {
        one.asname or one.name: one.name
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.module == package
        for one in node.names
    }


ROOMS = ("app", "api", "bot", "webapp", "connectors", "simulator", "services", "storage", "domain")
FILES = sorted(f for room in ROOMS for f in (ROOT / room).rglob("*.py") if "migrations" not in f.parts)
WRITERS = {
    ("storage.runs", "run_rows"): {"add", "add_step", "add_effect", "move", "move_step", "move_effect"},
    ("storage.approvals", "approval_rows"): {"add", "move"},
    ("storage.runs", "task_rows"): {"add", "move"},
}


def test_only_the_lifecycle_writes_state_columns() -> None:
    found = []
    for file in FILES:
        room = file.relative_to(ROOT).parts
        tree = ast.parse(file.read_text())
        if room[:2] != ("services", "lifecycle"):
            stores = {
                local: functions
                for (wing, module), functions in WRITERS.items()
                for local, name in imported(tree, wing).items()
                if name == module
            }
            found += [
                f"{file.relative_to(ROOT)}:{node.lineno}"
                for node in ast.walk(tree)
                if isinstance(node, ast.Attribute)
                and isinstance(node.value, ast.Name)
                and node.attr in stores.get(node.value.id, ())
            ]
            for (wing, module), functions in WRITERS.items():
                if functions & set(imported(tree, f"{wing}.{module}").values()):
                    found.append(str(file.relative_to(ROOT)))
            if {"move", "enter"} & set(imported(tree, "services.lifecycle.moves").values()):
                found.append(str(file.relative_to(ROOT)))
    assert found == []


def test_storage_sets_states_nowhere_else() -> None:
    """One statement moves a thing and one inserts it; each stands behind the functions that only the lifecycle calls."""
    found = []
    for file in sorted((ROOT / "storage").rglob("*.py")):
        tree = ast.parse(file.read_text())
        here = imported(tree, "storage.tables")
        for node in ast.walk(tree):
            if not isinstance(node, ast.Call) or not node.args or not isinstance(node.args[0], ast.Name):
                continue
            verb = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            if here.get(node.args[0].id) in STATES and verb in ("update", "insert", "upsert", "PreparedUpdate"):
                found.append((file.name, verb, here[node.args[0].id]))
    assert sorted(found) == [
        ("approval_rows.py", "PreparedUpdate", "approvals"),
        ("approval_rows.py", "PreparedUpdate", "approvals"),
        ("approval_rows.py", "insert", "approvals"),
        ("run_rows.py", "PreparedUpdate", "effects"),
        ("run_rows.py", "PreparedUpdate", "runs"),
        ("run_rows.py", "PreparedUpdate", "runs"),
        ("run_rows.py", "PreparedUpdate", "steps"),
        ("run_rows.py", "insert", "effects"),
        ("run_rows.py", "insert", "runs"),
        ("run_rows.py", "insert", "steps"),
        ("task_rows.py", "PreparedUpdate", "tasks"),
        ("task_rows.py", "PreparedUpdate", "tasks"),
        ("task_rows.py", "insert", "tasks"),
    ]


def test_each_state_is_written_by_the_function_that_moves_it() -> None:
    """Of the functions of storage, only those the lifecycle calls name a state column as what they set."""
    for (wing, module), functions in WRITERS.items():
        tree = ast.parse((ROOT / wing.replace(".", "/") / f"{module}.py").read_text())
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef):
                sets = [
                    k.arg
                    for call in ast.walk(node)
                    if isinstance(call, ast.Call) and getattr(call.func, "id", "").startswith(("_change", "_move"))
                    for k in call.keywords
                    if k.arg in ("state", "status")
                ]
                assert not sets or node.name in functions, (module, node.name)


def test_a_log_is_locked_by_whoever_begins_the_unit() -> None:
    """`Store.workspace` locks it; by hand only where the workspace is found out, or checked, within the unit."""
    found = {
        str(file.relative_to(ROOT))
        for file in FILES
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.Attribute) and node.attr == "lock_log"
    }
    assert found == {
        "services/ledger/recorder.py",
        "services/lifecycle/runs.py",
        "services/runs/segment.py",
    }


# --- moves that are rare ------------------------------------------------------------------------------


async def test_a_long_run_is_handed_over_from_segment_to_segment(url: str) -> None:
    note = ToolCall(tool="note.create", args={"title": "n"})
    async with open_kit(url, work=False) as kit:
        task = await kit.begin(*[note] * (MAX_STEPS_PER_SEGMENT + 1))
        run, _ = await kit.latest(task)
        await kit.runs.advance(run.id, run.segment)
        handed, steps = await kit.latest(task)
        assert (handed.state, handed.segment, len(steps)) == (RunState.QUEUED, 2, MAX_STEPS_PER_SEGMENT)
        # the segment that is over does nothing more
        await kit.runs.advance(run.id, run.segment)
        assert (await kit.latest(task))[0] == handed
        await kit.runs.advance(handed.id, handed.segment)
        ended, steps = await kit.latest(task)
        assert (ended.state, len(steps)) == (RunState.COMPLETED, MAX_STEPS_PER_SEGMENT + 1)


async def test_what_was_approved_and_can_be_taken_back_ends_with_its_run(asked: Kit) -> None:
    await asked.set_policy(undoSeconds=60)
    task = await asked.begin(DEED, title="Later")
    run, _ = await asked.latest(task)
    await asked.runs.advance(run.id, run.segment)
    approval = await asked.pending(task)
    await asked.approvals.resolve(
        asked.owner, approval.id, ApprovalDecision(status=ApprovalStatus.APPROVED, via=Via.API)
    )
    run, [step] = await asked.latest(task)
    assert (run.state, step.state) == (RunState.WAITING, StepState.APPROVED)
    await asked.runs.cancel(asked.owner, task.id)
    run, [step] = await asked.latest(task)
    assert (run.state, step.state) == (RunState.CANCELLED, StepState.CANCELLED)
    # the answer stays what it was, and there is nothing to take back any more
    with pytest.raises(Conflict) as refused:
        await asked.approvals.undo(asked.owner, approval.id)
    assert refused.value.code == "undo_closed"
    assert asked.toolbox_deed().done == []


async def test_a_call_to_be_made_again_fails_when_its_tool_is_gone(asked: Kit) -> None:
    deed = asked.toolbox_deed()

    async def breaks(_count: int) -> None:
        raise breaks_after_sending()

    deed.behave = breaks
    [task] = await asked.tasks.list(asked.owner)
    approval = await asked.pending(task)
    await asked.approvals.resolve(
        asked.owner, approval.id, ApprovalDecision(status=ApprovalStatus.APPROVED, via=Via.API)
    )
    run, _ = await asked.latest(task)
    await asked.runs.advance(run.id, run.segment)
    run, [step] = await asked.latest(task)
    assert (run.state, step.state) == (RunState.UNCERTAIN, StepState.UNCERTAIN)
    await asked.runs.settle_uncertain(asked.owner, run.id, step.id, UncertainChoice.RETRY, via="api")
    del asked.tool_registry._tools["deed"]
    run, _ = await asked.latest(task)
    await asked.runs.advance(run.id, run.segment)
    run, [step] = await asked.latest(task)
    assert (run.state, step.state, step.error) == (RunState.COMPLETED, StepState.FAILED, "the tool deed is gone")
    effect = await asked.store.read(lambda tx: run_rows.effect_of_step(tx, step.workspace_id, step.id))
    assert effect is not None
    assert (effect.state, effect.resolution) == (EffectState.FAILED, "retry")


async def test_due_runs_are_woken_though_one_of_them_cannot_be(asked: Kit) -> None:
    """Each is swept in a transaction of its own: one that breaks does not hold up the others."""
    made = [await asked.begin(ToolCall(tool="wait.until", args={"seconds": 0.001}), DEED) for _ in range(3)]
    for task in made:
        run, _ = await asked.latest(task)
        await asked.runs.advance(run.id, run.segment)
    damaged, *others = made
    t = tables.tasks
    await asked.store.write(
        lambda tx: tx.execute(sa.update(t).where(t.c.id == damaged.id).values(status="no such status"))
    )
    assert await asked.runs.sweep_due() == 2
    assert [(await asked.latest(task))[0].state for task in others] == [RunState.QUEUED] * 2
    # it is looked at again, and goes on once it can
    assert await asked.runs.sweep_due() == 0
    await asked.store.write(lambda tx: tx.execute(sa.update(t).where(t.c.id == damaged.id).values(status="running")))
    assert await asked.runs.sweep_due() == 1
