"""When a task runs again: a date, or a cron line in a time zone. Reckoned, never awaited."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from domain.clock import iso
from domain.errors import Invalid

FIELDS = (("minute", 0, 59), ("hour", 0, 23), ("day", 1, 31), ("month", 1, 12), ("weekday", 0, 7))
HORIZON = timedelta(days=366 * 5)


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """Exactly one of `at` (aware) and `cron` (five fields: minute hour day month weekday, 0 and 7 = Sunday)."""

    at: datetime | None = None
    cron: str | None = None
    timezone: str = "UTC"

    def as_json(self) -> dict[str, Any]:
        if self.at is not None:
            return {"at": iso(self.at)}
        return {"cron": self.cron, "timezone": self.timezone}

    @classmethod
    def from_json(cls, value: Any) -> "Schedule | None":
        """A schedule as clients write it; Invalid names the field that is wrong."""
        if value is None:
            return None
        if not isinstance(value, dict) or ("at" in value) == ("cron" in value):
            raise Invalid.field("schedule", "give either at (a date) or cron (with timezone)")
        unknown = set(value) - {"at", "cron", "timezone"}
        if unknown:
            raise Invalid.field("schedule", f"unknown key {min(map(str, unknown))}")
        if "at" in value:
            return cls(at=_moment(value["at"]))
        zone = value.get("timezone", "UTC")
        schedule = cls(cron=_text(value["cron"], "cron"), timezone=_text(zone, "timezone"))
        _zone(schedule.timezone)
        _parse(schedule.cron or "")
        return schedule


def next_time(schedule: Schedule, *, after: datetime) -> datetime | None:
    """The first time strictly after `after`, in UTC; None when there is none (a date that has passed).

    A local time skipped by a change of clocks runs at the first minute after it; one that comes
    twice runs once.
    """
    if schedule.at is not None:
        return schedule.at if schedule.at > after else None
    minutes, hours, days, months, weekdays, either = _parse(schedule.cron or "")
    zone = _zone(schedule.timezone)
    day = after.astimezone(zone).date()
    last = (after + HORIZON).date()
    while day <= last:
        if day.month in months and _day_fits(day.day, day.isoweekday() % 7, days, weekdays, either=either):
            for hour in sorted(hours):
                for minute in sorted(minutes):
                    moment = _moment_of(datetime(day.year, day.month, day.day, hour, minute, tzinfo=zone))
                    if moment > after:
                        return moment
        day += timedelta(days=1)
    return None


def _moment_of(wall: datetime) -> datetime:
    """When clocks first show this local time, or, where they skip it, the first minute after what they skip."""
    moment = wall.astimezone(UTC)
    shown = moment.astimezone(wall.tzinfo)
    if shown.replace(tzinfo=None) == wall.replace(tzinfo=None):
        return moment
    # skipped: the change lies between the moment by the offset after it and the one by the offset before it
    before, after = wall.replace(fold=1).astimezone(UTC), moment
    offset = before.astimezone(wall.tzinfo).utcoffset()
    while after - before > timedelta(seconds=1):
        middle = (before + (after - before) / 2).replace(microsecond=0)
        if middle.astimezone(wall.tzinfo).utcoffset() == offset:
            before = middle
        else:
            after = middle
    return after


def next_times(schedule: Schedule, *, after: datetime, count: int = 5) -> list[datetime]:
    """The next few times."""
    times: list[datetime] = []
    moment: datetime | None = after
    while moment is not None and len(times) < count:
        moment = next_time(schedule, after=moment)
        if moment is not None:
            times.append(moment)
    return times


def _day_fits(day: int, weekday: int, days: frozenset[int], weekdays: frozenset[int], *, either: bool) -> bool:
    # as cron has always done it: when both day fields are restricted, one of them is enough
    return (day in days or weekday in weekdays) if either else (day in days and weekday in weekdays)


def _parse(cron: str) -> tuple[frozenset[int], frozenset[int], frozenset[int], frozenset[int], frozenset[int], bool]:
    parts = cron.split()
    if len(parts) != 5:
        raise Invalid.field("schedule.cron", "needs five fields: minute hour day month weekday")
    sets = [_field(part, name, low, high) for part, (name, low, high) in zip(parts, FIELDS, strict=True)]
    weekdays = frozenset(d % 7 for d in sets[4])
    return sets[0], sets[1], sets[2], sets[3], weekdays, parts[2] != "*" and parts[4] != "*"


def _field(text: str, name: str, low: int, high: int) -> frozenset[int]:
    found: set[int] = set()
    for item in text.split(","):
        span, _, step_text = item.partition("/")
        step = _number(step_text, name, 1, high) if step_text else 1
        if span == "*":
            start, end = low, high
        elif "-" in span:
            first, _, second = span.partition("-")
            start, end = _number(first, name, low, high), _number(second, name, low, high)
        else:
            start = _number(span, name, low, high)
            end = high if step_text else start
        if start > end:
            raise Invalid.field("schedule.cron", f"{name}: {span} runs backwards")
        found.update(range(start, end + 1, step))
    return frozenset(found)


def _number(text: str, name: str, low: int, high: int) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 2 and low <= int(text) <= high):
        raise Invalid.field("schedule.cron", f"{name}: expected {low} to {high}")
    return int(text)


def _text(value: Any, name: str) -> str:
    if not isinstance(value, str) or not value or len(value) > 100:
        raise Invalid.field(f"schedule.{name}", "must be a short text")
    return value


def _moment(value: Any) -> datetime:
    try:
        moment = datetime.fromisoformat(value) if isinstance(value, str) else None
        if moment is not None and moment.tzinfo is not None:
            return moment.astimezone(UTC)
    except ValueError:
        pass
    except OverflowError:
        # the first and the last hours of the calendar exist in some zones only
        raise Invalid.field("schedule.at", "lies outside of the calendar") from None
    raise Invalid.field("schedule.at", "must be an RFC 3339 time with its zone")


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise Invalid.field("schedule.timezone", "is not a known time zone") from error
