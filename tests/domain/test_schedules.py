from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.errors import Invalid
from domain.schedules import Schedule, next_time, next_times

MONDAY = datetime(2026, 11, 23, 20, 0, tzinfo=UTC)


def cron(line: str, zone: str = "UTC") -> Schedule:
    schedule = Schedule.from_json({"cron": line, "timezone": zone})
    assert schedule is not None
    return schedule


def test_next_times() -> None:
    assert next_time(cron("30 9 * * 1-5"), after=MONDAY) == datetime(2026, 11, 24, 9, 30, tzinfo=UTC)
    assert next_time(cron("0 9 * * *", "Europe/Berlin"), after=MONDAY) == datetime(2026, 11, 24, 8, 0, tzinfo=UTC)
    assert next_time(cron("0 0 29 2 *"), after=MONDAY) == datetime(2028, 2, 29, tzinfo=UTC)
    assert next_time(cron("0 0 1 * 0"), after=MONDAY) == datetime(2026, 11, 29, tzinfo=UTC)
    assert next_time(Schedule(at=MONDAY), after=MONDAY) is None
    assert len(next_times(cron("*/15 * * * *"), after=MONDAY)) == 5


def test_no_day_is_skipped_when_clocks_change() -> None:
    times = next_times(cron("30 2 * * *", "Europe/Berlin"), after=datetime(2026, 3, 27, tzinfo=UTC), count=4)
    assert [t.date().isoformat() for t in times] == ["2026-03-27", "2026-03-28", "2026-03-29", "2026-03-30"]


@given(st.datetimes(datetime(2020, 1, 1), datetime(2035, 1, 1)), st.integers(0, 59), st.integers(0, 23))
def test_the_next_time_is_later_and_within_a_day(moment: datetime, minute: int, hour: int) -> None:
    after = moment.replace(tzinfo=UTC)
    found = next_time(cron(f"{minute} {hour} * * *"), after=after)
    assert found is not None
    assert after < found <= after + timedelta(days=1)


@pytest.mark.parametrize(
    "bad",
    [
        {"cron": "* * * *"},
        {"cron": "60 * * * *"},
        {"cron": "5-1 * * * *"},
        {"cron": "a * * * *"},
        {"cron": 5},
        {},
        [],
        {"at": "tomorrow"},
        {"at": "2026-01-01T00:00:00"},
        {"cron": "* * * * *", "timezone": "Mars/Base"},
        {"cron": "* * * * *", "at": "2026-01-01T00:00:00Z"},
        {"cron": "* * * * *", "x": 1},
    ],
)
def test_what_is_no_schedule_is_refused(bad: object) -> None:
    with pytest.raises(Invalid):
        Schedule.from_json(bad)
