"""The tables of states are the documentation: whole, without dead ends, and the same wherever they overlap."""

from enum import StrEnum

import pytest

from domain.approvals.approval import APPROVALS, DECISIONS, ApprovalStatus
from domain.runs.run import (
    EFFECTS,
    RUN_ENDED,
    RUN_PARKED,
    RUNS,
    STEP_ENDED,
    STEPS,
    TASK_STATUS_OF,
    EffectState,
    RunState,
    StepState,
)
from domain.runs.states import IllegalMove, StateTable
from domain.runs.task import ACTIVE, ENDED, MANUAL_MOVES, TASKS, TaskStatus

TABLES: list[tuple[type[StrEnum], StateTable]] = [
    (RunState, RUNS),
    (StepState, STEPS),
    (EffectState, EFFECTS),
    (ApprovalStatus, APPROVALS),
    (TaskStatus, TASKS),
]


@pytest.mark.parametrize(("states", "table"), TABLES, ids=[table.of for _, table in TABLES])
def test_every_state_is_in_its_table_and_can_be_reached(states: type[StrEnum], table: StateTable) -> None:
    assert set(table.moves) == set(states)
    reached, left = set(table.begins), list(table.begins)
    while left:
        new = set(table.moves[left.pop()]) - reached
        reached |= new
        left += new
    assert reached == set(states)
    # each says what makes it
    assert all(event for moves in (table.begins, *table.moves.values()) for event in moves.values())


@pytest.mark.parametrize(("states", "table"), TABLES, ids=[table.of for _, table in TABLES])
def test_only_what_the_table_has_is_a_move(states: type[StrEnum], table: StateTable) -> None:
    for current in (None, *states):
        for to in states:
            if to in (table.begins if current is None else table.moves[current]):
                assert table.allows(current, to)
                table.check(current, to)
            else:
                with pytest.raises(IllegalMove) as refused:
                    table.check(current, to)
                assert (refused.value.code, refused.value.status) == ("illegal_move", 409)
                assert str(to) in str(refused.value)


def test_whatever_has_not_ended_can_be_ended() -> None:
    for state in set(RunState) - RUN_ENDED:
        assert RunState.CANCELLED in RUNS.moves[state]
    for step in set(StepState) - STEP_ENDED:
        assert StepState.CANCELLED in STEPS.moves[step]
    for parked in RUN_PARKED:
        # a parked run goes on by being queued; an approval that can be taken back makes it wait first
        assert set(RUNS.moves[parked]) - RUN_ENDED <= {RunState.QUEUED, RunState.WAITING}
        assert RunState.QUEUED in RUNS.moves[parked]


def test_what_a_person_decides_is_a_move_of_a_pending_approval() -> None:
    assert set(APPROVALS.moves[ApprovalStatus.PENDING]) >= DECISIONS
    assert set(APPROVALS.moves) - APPROVALS.ended == {ApprovalStatus.PENDING, ApprovalStatus.APPROVED}


def test_a_task_can_follow_its_run_and_the_hand_of_a_person() -> None:
    assert set(TASK_STATUS_OF) == set(RunState)
    for state, status in TASK_STATUS_OF.items():
        assert (status in ENDED) == (state in RUN_ENDED)
        assert (status in ACTIVE) == (state not in RUN_ENDED)
    wanted = {(status, to) for status, moves in MANUAL_MOVES.items() for to in moves}
    for state, moves in RUNS.moves.items():
        wanted |= {(TASK_STATUS_OF[state], TASK_STATUS_OF[to]) for to in moves}
    # a run begins of any task that has none under way
    wanted |= {(status, TaskStatus.QUEUED) for status in set(TaskStatus) - ACTIVE}
    # while an approval can be taken back the task still waits for people, though its run waits for a time
    wanted -= {(TaskStatus.AWAITING_APPROVAL, TaskStatus.RUNNING)}
    there = {(status, to) for status, moves in TASKS.moves.items() for to in moves}
    assert there == {(status, to) for status, to in wanted if status != to}


def test_nobody_says_by_hand_that_work_is_under_way_nor_that_it_is_done_while_it_is() -> None:
    for status, moves in MANUAL_MOVES.items():
        assert not moves & {TaskStatus.RUNNING, TaskStatus.AWAITING_APPROVAL}
        assert status not in ACTIVE or moves <= {TaskStatus.PENDING, TaskStatus.CANCELLED}
