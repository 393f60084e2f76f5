"""What models cost: entered in the books of a day, and counted on the run that asked them."""

from typing import Any

from domain.clock import Now
from domain.ports import Usage
from domain.runs.run import Run
from storage.installation import spend_rows
from storage.runs import run_rows, task_rows
from storage.transaction import Tx

# what a run has no more once no model is asked for it
DONE_THINKING: dict[str, Any] = {
    "reserved_micros": 0,
    "reserved_installation_micros": 0,
    "wait_reason": None,
    "partial_text": None,
}


def spend(tx: Tx, run: Run, usage: Usage, *, now: Now) -> dict[str, Any]:
    """Enter what a model cost; the run's own columns with it, for the caller to set."""
    if usage.tokens_in or usage.cost_micros:
        task = task_rows.get(tx, run.workspace_id, run.task_id, deleted=True)
        run_rows.add_spend(
            tx,
            workspace_id=run.workspace_id,
            day=now().date().isoformat(),
            operator_id=task.operator_id,
            task_id=task.id,
            model=usage.model,
            spent={name: getattr(usage, name) for name in run_rows.MEASURES},
        )
    if usage.installation_micros:
        spend_rows.enter(tx, day=now().date().isoformat(), micros=usage.installation_micros)
    return {
        "model": usage.model or run.model,
        "tokens_in": run.tokens_in + usage.tokens_in,
        "tokens_out": run.tokens_out + usage.tokens_out,
        "cost_micros": run.cost_micros + usage.cost_micros,
        **DONE_THINKING,
    }
