"""Telling whoever runs the installation that its budget is used up."""

import logging
from datetime import datetime

from domain.identity.actor import Role
from services.outbox.notifications import Notifications
from services.policy.budgets import OverBudget
from storage.outbox import recipient_rows
from storage.transaction import Tx
from storage.workspaces import workspace_rows

log = logging.getLogger(__name__)


def tell_administrator(tx: Tx, notifications: Notifications, over: OverBudget, *, now: datetime) -> None:
    """Say that the installation's budget is used up: in the log, and once to the owner of its first workspace."""
    log.warning("installation_budget_used_up", extra={"budget": over.budget})
    first = workspace_rows.oldest(tx)
    if first is None:
        return
    text = (
        f"The {over.budget} of this installation has no room for a call of a model: work with its own model keys "
        "ends there. PILOT_BUDGET_DAY_USD and PILOT_BUDGET_MONTH_USD set it."
    )
    for owner in recipient_rows.with_roles(tx, first, [Role.OWNER.value]):
        notifications.text(
            tx,
            workspace_id=first,
            chat_id=owner.telegram_id,
            text=text,
            dedupe_key=f"installation:{over.budget}:{now:%Y-%m-%d}:{owner.user_id}"[:120],
        )
