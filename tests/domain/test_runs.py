"""The state tables: what may follow what, and that a task shows where its run is."""

import pytest

from domain.errors import Conflict
from domain.runs import (
    RUN_ENDED,
    RUN_MOVES,
    RUN_PARKED,
    STEP_ENDED,
    STEP_MOVES,
    TASK_STATUS_OF,
    RunState,
    StepState,
    check_run_move,
)
from domain.tasks import ACTIVE, ENDED, MANUAL_MOVES, TaskStatus


@pytest.mark.parametrize("current", list(RunState))
@pytest.mark.parametrize("to", list(RunState))
def test_a_run_moves_only_as_the_table_says(current: RunState, to: RunState) -> None:
    if to in RUN_MOVES[current]:
        check_run_move(current, to)
    else:
        with pytest.raises(Conflict) as refused:
            check_run_move(current, to)
        assert refused.value.code == "illegal_move"


def test_every_state_is_reached_and_only_ends_are_ends() -> None:
    reached, left = {RunState.QUEUED}, [RunState.QUEUED]
    while left:
        new = RUN_MOVES[left.pop()] - reached
        reached |= new
        left += new
    assert reached == set(RunState)
    assert {state for state, moves in RUN_MOVES.items() if not moves} == RUN_ENDED
    # whatever waits can be cancelled, and goes on only through the queue
    for state in RUN_PARKED:
        assert RunState.CANCELLED in RUN_MOVES[state]
        assert RUN_MOVES[state] - RUN_ENDED == {RunState.QUEUED}


def test_steps_end_once_and_an_uncertain_one_never_fails_by_itself() -> None:
    moving = set(StepState) - STEP_ENDED
    assert set(STEP_MOVES) == set(StepState)
    assert {state for state, moves in STEP_MOVES.items() if moves} == moving
    assert StepState.FAILED not in STEP_MOVES[StepState.UNCERTAIN]


def test_the_status_of_a_task_follows_its_run() -> None:
    assert set(TASK_STATUS_OF) == set(RunState)
    for state, status in TASK_STATUS_OF.items():
        assert (status in ENDED) == (state in RUN_ENDED)
        assert (status in ACTIVE) == (state not in RUN_ENDED)
    # nobody can say by hand that work is under way, nor that it is done while it is
    for status, moves in MANUAL_MOVES.items():
        assert not moves & {TaskStatus.RUNNING, TaskStatus.AWAITING_APPROVAL}
        assert status not in ACTIVE or moves <= {TaskStatus.PENDING, TaskStatus.CANCELLED}
