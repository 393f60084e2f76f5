"""Routes about what models took."""

from datetime import date
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import Field, StringConstraints

from api.http import Answer, Call, Endpoints, LooseBody
from api.models import UsageOut
from domain.errors import Invalid, NotFound
from domain.permissions import Action
from services.usage import MOST_DAYS, Amounts, UsageBy, UsageReport, UsageWish

usage = Endpoints("usage")
Day = Annotated[str, StringConstraints(pattern=r"^\d{4}-\d\d-\d\d$")]


class UsageQuery(LooseBody):
    from_: Annotated[Day | None, Field(alias="from")] = None
    to: Day | None = None
    groupBy: Literal["day", "task", "operator", "model"] = "day"  # noqa: N815
    taskId: UUID | None = None  # noqa: N815
    limit: Annotated[int, Field(ge=1, le=MOST_DAYS)] = MOST_DAYS
    cursor: Annotated[str, StringConstraints(max_length=300)] | None = None


@usage.route("GET", "/api/usage", action=Action.USAGE_READ, errors=(Invalid, NotFound), response=UsageOut)
async def get_usage(call: Call, query: UsageQuery) -> Any:
    """Tokens, calls and cost of models, by day, task, operator or model; without dates of the last thirty days.

    Days are UTC. Days come in their order, everything else the dearest first. `costMicros` is in millionths of a US
    dollar; `guessedUsd` is the part of the cost that is a guess, because no price of the model is known or the
    provider did not report its tokens.
    """
    report = await call.services.usage.report(
        call.actor,
        UsageWish(
            since=_day(query.from_, "from"),
            until=_day(query.to, "to"),
            by=UsageBy(query.groupBy),
            task_id=None if query.taskId is None else str(query.taskId),
            limit=query.limit,
            after=_read_cursor(query.cursor),
        ),
    )
    headers: dict[str, str] = {}
    if len(report.lines) == query.limit:
        last = report.lines[-1]
        url = call.request.rel_url.update_query(cursor=f"{last.amounts.cost_micros}.{last.key}")
        headers["Link"] = f'<{url}>; rel="next"'
    return Answer(body=_out(report), headers=headers)


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


def _out(report: UsageReport) -> dict[str, Any]:
    return {
        "from": report.since.isoformat(),
        "to": report.until.isoformat(),
        "groupBy": report.by.value,
        "currency": "USD",
        "total": _amounts(report.total),
        "items": [{"key": line.key, "name": line.name, **_amounts(line.amounts)} for line in report.lines],
    }


def _amounts(amounts: Amounts) -> dict[str, Any]:
    return {
        "tokensIn": amounts.tokens_in,
        "tokensOut": amounts.tokens_out,
        "calls": amounts.calls,
        "costMicros": amounts.cost_micros,
        "costUsd": f"{amounts.cost_micros / 1e6:.6f}",
        "guessedUsd": f"{amounts.guessed_micros / 1e6:.6f}",
    }
