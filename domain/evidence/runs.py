"""Runs: what the receipts of a run's beginning and end sign of it, and what the log lets its row say."""

from collections.abc import Mapping, Sequence
from typing import Any

from domain.evidence.statement import UNPROVEN, Statement, near, same, unequal
from domain.ledger.audit import AuditAction
from domain.runs.delegation import DELEGATE
from domain.runs.run import RUN_ENDED, Run

_RUN_COLUMNS = {
    "context": "context",
    "number": "number",
    "startedBy": "started_by",
    "origin": "origin",
    "iterationBudget": "iteration_budget",
}
_END_COLUMNS = {
    "state": "state",
    "summary": "summary",
    "error": "error",
    "errorCode": "error_code",
    "model": "model",
    "tokensIn": "tokens_in",
    "tokensOut": "tokens_out",
}


def run_facts(run: Run) -> dict[str, Any]:
    """What the receipt of a run's beginning binds of it: its hashed arguments."""
    return {name: getattr(run, column) for name, column in _RUN_COLUMNS.items()}


def end_facts(run: Run) -> dict[str, Any]:
    """What the receipt of a run's end binds of it: its hashed result."""
    return {name: getattr(run, column) for name, column in _END_COLUMNS.items()} | {"state": str(run.state)}


def _named(now: Mapping[str, Any], signed: Mapping[str, Any], columns: Mapping[str, str]) -> list[str]:
    """The columns that say something else than what was signed of them; older receipts bind fewer."""
    return [column for name, column in columns.items() if name in signed and not same(now[name], signed[name])]


def run_differs(run: Run, said: Sequence[Statement]) -> tuple[str, ...]:
    """`said` is what the log says of the run. How it stands while it goes on no receipt tells, only how it began."""
    mine = [one for one in said if one.run_id == run.id]
    found = [UNPROVEN] if any(one.differs for one in mine) else []
    begun = next((one for one in mine if one.action == AuditAction.TASK_RUN_DISPATCHED), None)
    if begun is None:
        return (*found, "id")
    lineage = {"parent_run_id": begun.metadata.get("parent_run")}
    if run.parent_run_id is not None or lineage["parent_run_id"] is not None:
        lineage["root_run_id"] = begun.metadata.get("root_run")
    found += unequal(run, {"task_id": begun.task_id, **lineage})
    if isinstance(begun.args, dict):
        found += _named(run_facts(run), begun.args, _RUN_COLUMNS)
    if not near(run.created_at, begun.at):
        found.append("created_at")
    ended = next((one for one in mine if one.action == AuditAction.RUN_FINISHED), None)
    if (run.state in RUN_ENDED) != (ended is not None) or (ended is not None and run.state != ended.status):
        found.append("state")
    if ended is not None:
        delegated = any(one.metadata.get("tool") == DELEGATE for one in mine)
        found += _end_differs(run, ended, delegated=delegated)
    return tuple(dict.fromkeys(found))


def _end_differs(run: Run, ended: Statement, *, delegated: bool) -> list[str]:
    found: list[str] = []
    if isinstance(ended.output, dict):
        found += _named(end_facts(run), ended.output, _END_COLUMNS)
    for column, name in (("iterations_used", "iterations"), ("cost_micros", "cost_micros")):
        used, signed = getattr(run, column), int(ended.metadata.get(name, 0))
        # a sub-run that is cancelled with its parent is added to it after the parent's end was signed
        if used < signed or (used > signed and not delegated):
            found.append(column)
    if not near(run.completed_at, ended.at):
        found.append("completed_at")
    return found
