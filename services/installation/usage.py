"""What models took: tokens, calls and money, read from the books they were entered in."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from enum import StrEnum

from domain.clock import Now
from domain.errors import Invalid, NotFound
from domain.identity.actor import Actor
from domain.identity.permissions import Action, require
from storage.database import Store
from storage.runs import task_rows, usage_rows
from storage.transaction import Tx

DAYS = 30
MOST_DAYS = 366
EVER = ("0001-01-01", "9999-12-31")


class UsageBy(StrEnum):
    """What the sums are made by."""

    DAY = "day"
    TASK = "task"
    OPERATOR = "operator"
    MODEL = "model"


_COLUMNS = {UsageBy.DAY: "day", UsageBy.MODEL: "model", UsageBy.OPERATOR: "operator_id", UsageBy.TASK: "task_id"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Amounts:
    """Money in millionths of a US dollar. `guessed_micros` is the part that no price list or provider vouches for."""

    tokens_in: int
    tokens_out: int
    calls: int
    cost_micros: int
    guessed_micros: int


@dataclass(frozen=True, slots=True, kw_only=True)
class UsageLine:
    """`key` is the day, model, or id; "" for work of no operator. `name` is what it is called, where it has a name."""

    key: str
    name: str | None
    amounts: Amounts


@dataclass(frozen=True, slots=True, kw_only=True)
class UsageReport:
    """Days are UTC, `since` and `until` both included. `total` is of all lines, also those of further pages."""

    since: date
    until: date
    by: UsageBy
    total: Amounts
    lines: Sequence[UsageLine]


@dataclass(frozen=True, slots=True, kw_only=True)
class UsageFilter:
    """What to show; without dates the last thirty days. `after`: the (cost, key) of the line to go on after."""

    since: date | None = None
    until: date | None = None
    by: UsageBy = UsageBy.DAY
    task_id: str | None = None
    limit: int = MOST_DAYS
    after: tuple[int, str] | None = None


@dataclass(frozen=True, slots=True)
class UsageService:
    """Use cases about what was spent."""

    store: Store
    now: Now

    async def report(self, actor: Actor, wish: UsageFilter) -> UsageReport:
        """Sums of a span of days; Invalid when the span is none, NotFound for a task that is not here."""
        require(actor, Action.USAGE_READ)
        since, until = self._span(wish)
        if wish.task_id is not None and wish.by is UsageBy.OPERATOR:
            raise Invalid.field("groupBy", "one task is not split by operator")
        workspace_id, column = actor.in_workspace, _COLUMNS[wish.by]

        def work(tx: Tx) -> UsageReport:
            if wish.task_id is not None and not task_rows.exists(tx, workspace_id, wish.task_id):
                raise NotFound("Task not found")
            first, last = since.isoformat(), until.isoformat()
            found = usage_rows.lines(
                tx,
                workspace_id,
                column,
                since=first,
                until=last,
                task_id=wish.task_id,
                limit=wish.limit,
                after=wish.after,
            )
            names = usage_rows.names(tx, workspace_id, column, [key for key, _ in found])
            return UsageReport(
                since=since,
                until=until,
                by=wish.by,
                total=Amounts(**usage_rows.total(tx, workspace_id, since=first, until=last, task_id=wish.task_id)),
                lines=[UsageLine(key=key, name=names.get(key), amounts=Amounts(**sums)) for key, sums in found],
            )

        return await self.store.read(work)

    async def of_task(self, actor: Actor, task_id: str) -> Amounts:
        """Everything a task has taken so far."""
        require(actor, Action.USAGE_READ)
        workspace_id = actor.in_workspace

        def work(tx: Tx) -> Amounts:
            task_rows.get(tx, workspace_id, task_id)
            sums = usage_rows.total(tx, workspace_id, since=EVER[0], until=EVER[1], task_id=task_id)
            return Amounts(**sums)

        return await self.store.read(work)

    def _span(self, wish: UsageFilter) -> tuple[date, date]:
        until = wish.until or self.now().date()
        since = wish.since or date.fromordinal(max(1, until.toordinal() - DAYS + 1))
        if since > until:
            raise Invalid.field("from", "must not be after to")
        if (until - since).days >= MOST_DAYS:
            raise Invalid.field("from", f"at most {MOST_DAYS} days are shown at once")
        return since, until
