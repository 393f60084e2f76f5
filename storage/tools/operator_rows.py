"""All SQL about operators."""

from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from domain.errors import NotFound
from domain.tools.operator import Operator
from storage.tables import operators
from storage.transaction import Tx
from storage.values import columns_of, to_value

COLUMNS = columns_of(operators, Operator)


def add(tx: Tx, operator: Operator) -> None:
    """Insert a new operator."""
    tx.execute(sa.insert(operators).values({c.name: getattr(operator, c.name) for c in COLUMNS}))


def exists(tx: Tx, workspace_id: str, operator_id: str) -> bool:
    """Whether the operator is one of this workspace."""
    query = sa.select(operators.c.id).where(operators.c.workspace_id == workspace_id, operators.c.id == operator_id)
    return tx.one(query) is not None


def get(tx: Tx, workspace_id: str, operator_id: str) -> Operator:
    """The operator; NotFound when it is not in this workspace."""
    row = tx.one(sa.select(*COLUMNS).where(operators.c.workspace_id == workspace_id, operators.c.id == operator_id))
    if row is None:
        raise NotFound("Operator not found")
    return to_value(Operator, row)


def find(tx: Tx, workspace_id: str) -> Sequence[Operator]:
    """Operators of the workspace, oldest first."""
    query = sa.select(*COLUMNS).where(operators.c.workspace_id == workspace_id).order_by(operators.c.created_at)
    return [to_value(Operator, row) for row in tx.all(query)]


def works(tx: Tx, workspace_id: str, operator_id: str | None) -> bool:
    """Whether the operator begins work: not while it is paused. The built-in one (None) always does."""
    return operator_id is None or get(tx, workspace_id, operator_id).is_active


def change(tx: Tx, workspace_id: str, operator_id: str, **values: Any) -> None:
    """Set columns of one operator."""
    tx.execute(
        sa.update(operators)
        .where(operators.c.workspace_id == workspace_id, operators.c.id == operator_id)
        .values(**values)
    )


def facts(tx: Tx, workspace_id: str, operator_id: str | None) -> Mapping[str, Any]:
    """What a planner may know of the operator; the built-in one when the task names none."""
    if operator_id is None:
        return {"id": None, "name": "Pilot", "role": "ops", "goal": "", "constraints": [], "tools": []}
    operator = get(tx, workspace_id, operator_id)
    return {
        "id": operator.id,
        "name": operator.name,
        "role": operator.role,
        "goal": operator.goal,
        "constraints": operator.constraints,
        "tools": operator.tools,
    }
