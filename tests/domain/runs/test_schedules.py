from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.errors import Invalid
from domain.runs.schedules import Schedule, next_time, next_times

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


# places whose clocks change: by an hour, by half of one, at midnight, in either half of the year
ZONES = ("Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "America/Santiago", "Asia/Beirut", "UTC")


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from(ZONES),
    st.integers(2024, 2030),
    st.sampled_from([3, 4, 9, 10, 11]),
    st.integers(0, 23),
    st.sets(st.integers(0, 59), min_size=1, max_size=3),
)
def test_around_changes_of_clocks_every_day_has_its_times(
    zone: str, year: int, month: int, hour: int, minutes: set[int]
) -> None:
    """Each local time of each day once: when clocks first show it, or first show a later one where they skip it."""
    place = ZoneInfo(zone)
    line = f"{','.join(map(str, sorted(minutes)))} {hour} * * *"
    start = datetime(year, month, 1, tzinfo=place)
    end = (start + timedelta(days=32)).astimezone(UTC)
    found, moment = [], start.astimezone(UTC) - timedelta(minutes=1)
    while (following := next_time(cron(line, zone), after=moment)) is not None and following < end:
        assert following > moment
        found.append(moment := following)
    wanted: set[datetime] = set()
    for day in range(33):
        for minute in minutes:
            wall = datetime(year, month, 1, hour, minute) + timedelta(days=day)
            # brute force: the first minute of this day whose clock is not before the wanted one
            early = wall.replace(tzinfo=place).astimezone(UTC) - timedelta(hours=3)
            wanted.add(
                next(
                    at
                    for at in (early + timedelta(minutes=n) for n in range(600))
                    if at.astimezone(place).replace(tzinfo=None) >= wall
                )
            )
    assert found == sorted(at for at in wanted if start.astimezone(UTC) <= at < end)


def test_a_time_that_comes_twice_runs_once_and_a_skipped_one_right_after() -> None:
    autumn = next_times(cron("30 2 * * *", "Europe/Berlin"), after=datetime(2026, 10, 24, 12, tzinfo=UTC), count=2)
    assert autumn == [datetime(2026, 10, 25, 0, 30, tzinfo=UTC), datetime(2026, 10, 26, 1, 30, tzinfo=UTC)]
    spring = next_times(cron("0,30 2 * * *", "Europe/Berlin"), after=datetime(2026, 3, 28, 12, tzinfo=UTC), count=2)
    # both are skipped, and are made up for together at three
    assert spring == [datetime(2026, 3, 29, 1, 0, tzinfo=UTC), datetime(2026, 3, 30, 0, 0, tzinfo=UTC)]
    # half an hour is skipped: the time after it is not lost behind the one within it
    half = next_times(cron("15,35 2 * * *", "Australia/Lord_Howe"), after=datetime(2026, 10, 3, 2, tzinfo=UTC), count=2)
    assert half == [datetime(2026, 10, 3, 15, 30, tzinfo=UTC), datetime(2026, 10, 3, 15, 35, tzinfo=UTC)]


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
