"""Cursors come back as the place they were made of, and nothing else is one."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.cursors import cursor_of, read_cursor
from domain.errors import Invalid

ID = "0192f0c1-2345-7abc-8def-0123456789ab"
MOMENTS = st.datetimes(datetime(1970, 1, 1), datetime(2280, 1, 1)).map(lambda moment: moment.replace(tzinfo=UTC))


@given(MOMENTS, st.uuids())
def test_a_cursor_comes_back_to_the_microsecond(moment: datetime, item: UUID) -> None:
    assert read_cursor(cursor_of(moment, str(item))) == (moment, str(item))


@given(MOMENTS, st.integers(1, 10**9))
def test_later_items_have_later_cursors(moment: datetime, more: int) -> None:
    assert read_cursor(cursor_of(moment, ID)) < read_cursor(cursor_of(moment + timedelta(microseconds=more), ID))  # type: ignore[operator]


def test_a_list_that_begins_has_none() -> None:
    assert read_cursor(None) is None


@pytest.mark.parametrize(
    "text",
    [
        "",
        ".",
        "1",
        "1.",
        f".{ID}",
        f"-1.{ID}",
        f"1.5.{ID}",
        f"1.{ID.upper()}",
        f"1.{ID}0",
        "1." + "-" * 36,
        f"{10**16}.{ID}",
        f"\u0661.{ID}",
        f"1.{ID}\n",
        f" 1.{ID}",
    ],
)
def test_what_is_no_cursor_names_the_field(text: str) -> None:
    with pytest.raises(Invalid) as refused:
        read_cursor(text)
    assert list(refused.value.details["fieldErrors"]) == ["cursor"]


@given(st.text(max_size=60))
def test_whatever_comes_is_a_cursor_or_refused(text: str) -> None:
    try:
        found = read_cursor(text)
    except Invalid:
        return
    assert found is not None
