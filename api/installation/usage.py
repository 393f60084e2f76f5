"""Routes about what models took."""

from datetime import date

from api.http import ApiResponse, Endpoints, RequestContext
from api.schemas.base import Serialized
from api.schemas.installation import UsageAmounts, UsageItem, UsageOut, UsageQuery
from domain.errors import Invalid, NotFound
from domain.identity.permissions import Action
from services.installation.usage import UsageBy, UsageFilter, UsageReport

usage = Endpoints("usage")


@usage.route("GET", "/api/usage", action=Action.USAGE_READ, errors=(Invalid, NotFound))
async def get_usage(call: RequestContext, query: UsageQuery) -> ApiResponse[Serialized[UsageOut]]:
    """Tokens, calls and cost of models, by day, task, operator or model; without dates of the last thirty days.

    Days are UTC. Days come in their order, everything else the dearest first. `costMicros` is in millionths of a US
    dollar; `guessedUsd` is the part of the cost that is a guess, because no price of the model is known or the
    provider did not report its tokens.
    """
    report = await call.services.usage.report(
        call.actor,
        UsageFilter(
            since=_day(query.from_, "from"),
            until=_day(query.to, "to"),
            by=UsageBy(query.group_by),
            task_id=None if query.task_id is None else str(query.task_id),
            limit=query.limit,
            after=_read_cursor(query.cursor),
        ),
    )
    headers: dict[str, str] = {}
    if len(report.lines) == query.limit:
        last = report.lines[-1]
        url = call.request.rel_url.update_query(cursor=f"{last.amounts.cost_micros}.{last.key}")
        headers["Link"] = f'<{url}>; rel="next"'
    return ApiResponse(body=_out(report), headers=headers)


def _day(text: str | None, name: str) -> date | None:
    try:
        return None if text is None else date.fromisoformat(text)
    except ValueError:
        raise Invalid.field(name, "is no day of the calendar") from None


def _read_cursor(text: str | None) -> tuple[int, str] | None:
    if text is None:
        return None
    micros, dot, key = text.partition(".")
    if not dot or not (micros.isascii() and micros.isdigit() and len(micros) <= 16):
        raise Invalid.field("cursor", "is not a cursor of this list")
    return int(micros), key


def _out(report: UsageReport) -> Serialized[UsageOut]:
    return UsageOut.answer(
        since=report.since.isoformat(),
        to=report.until.isoformat(),
        group_by=report.by.value,
        currency="USD",
        total=UsageAmounts.of(report.total),
        items=[UsageItem.of(line.amounts, key=line.key, name=line.name) for line in report.lines],
    )
