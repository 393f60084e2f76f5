"""Telling whoever runs the installation that its budget is used up."""

import logging
from datetime import datetime

from domain.identity.actor import Role
from domain.outbox.notifications import BudgetNotice
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
    for owner in recipient_rows.with_roles(tx, first, [Role.OWNER.value]):
        notifications.put(
            tx,
            workspace_id=first,
            chat_id=owner.telegram_id,
            notice=BudgetNotice(budget=over.budget.removesuffix(" budget")),
            dedupe_key=f"installation:{over.budget}:{now:%Y-%m-%d}:{owner.user_id}"[:120],
        )
