"""What models took: a bar for each day, and what it went for."""

from datetime import timedelta

from domain.clock import utc_now
from domain.identity.actor import Actor
from services.container import Services
from services.installation.usage import UsageBy, UsageFilter
from webapp.fragments.common import Fragment, Query, choice
from webapp.svg import day_bars_svg

SPANS = ("7", "30", "90")
SHOWN = 10
GROUPS = (
    (UsageBy.MODEL, "app-usage-by-model"),
    (UsageBy.OPERATOR, "app-usage-by-operator"),
    (UsageBy.TASK, "app-usage-by-task"),
)


async def usage(services: Services, actor: Actor, _item: str, query: Query) -> Fragment:
    """The last days: what each took, and the dearest models, operators and tasks."""
    span = choice(query, "days", SPANS) or "30"
    until = utc_now().date()
    since = until - timedelta(days=int(span) - 1)
    days = await services.usage.report(actor, UsageFilter(since=since, until=until))
    groups = [
        (
            by,
            title,
            (await services.usage.report(actor, UsageFilter(since=since, until=until, by=by, limit=SHOWN))).lines,
        )
        for by, title in GROUPS
    ]
    spent = {line.key: line.amounts.cost_micros for line in days.lines}
    return "usage.html", {
        "spans": SPANS,
        "span": span,
        "total": days.total,
        "days": list(reversed(days.lines)),
        "bars": day_bars_svg([spent.get((since + timedelta(days=n)).isoformat(), 0) for n in range(int(span))]),
        "groups": groups,
    }
