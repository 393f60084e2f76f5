"""The typed layer: bodies, queries, cursors, pages."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.schemas.base import said, text_ok
from domain.cursors import cursor_of, read_cursor
from domain.errors import Invalid
from domain.ids import new_id
from tests.api.harness import Harness, Person

MOMENTS = st.datetimes(datetime(1970, 1, 1), datetime(2200, 1, 1), timezones=st.just(UTC))


@given(MOMENTS)
def test_a_cursor_names_its_microsecond(moment: datetime) -> None:
    name = new_id()
    assert read_cursor(cursor_of(moment, name)) == (moment, name)


@pytest.mark.parametrize(
    "text", ["", "5", "x." + "0" * 36, "1." + "0" * 35, "1" * 17 + "." + "0" * 36, "-1." + "0" * 36, "²." + "0" * 36]
)
def test_any_other_cursor_is_refused(text: str) -> None:
    with pytest.raises(Invalid):
        read_cursor(text)


@pytest.mark.parametrize("text", ["a\x00b", "\ud800"])
def test_text_that_cannot_be_stored_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        text_ok(text)
    with pytest.raises(ValueError):
        said(text)


@pytest.mark.parametrize("text", ["", "  ", "\t\n"])
def test_blank_is_nothing_said(text: str) -> None:
    with pytest.raises(ValueError):
        said(text)


async def send(owner: Person, data: bytes) -> Any:
    return await owner.harness.ask("POST", "/api/tasks", data=data, headers=owner.headers)


@pytest.mark.parametrize("data", [b"{", b"\xff", b'{"a":NaN}', b'{"title":"\\ud800"}', b"{'a':1}", b"{}x"])
async def test_what_is_no_json_is_refused(owner: Person, data: bytes) -> None:
    reply = await send(owner, data)
    assert (reply.status, reply.code, reply.data["error"]) == (400, "invalid_json", "Invalid JSON in request body")


@pytest.mark.parametrize("data", [b"null", b"[]", b"1", b'"x"', b"true"])
async def test_a_body_is_an_object(owner: Person, data: bytes) -> None:
    reply = await send(owner, data)
    assert (reply.status, reply.code) == (400, "invalid_json")


@pytest.mark.parametrize(
    ("data", "field"),
    [
        (b'{"title":"a\\u0000b"}', "title"),
        (b'{"title":"x","x":9007199254740993}', "x"),
        (b'{"title":"x","x":1e301}', "x"),
        (b'{"title":"x","deep":' + b'{"a":' * 70 + b"1" + b"}" * 70 + b"}", "deep"),
        (b'{"title":"x","deep":' + b"[" * 70 + b"]" * 70 + b"}", "deep"),
    ],
)
async def test_what_not_every_part_could_hold_is_refused_by_name(owner: Person, data: bytes, field: str) -> None:
    reply = await send(owner, data)
    assert (reply.status, reply.code) == (400, "invalid_request")
    assert list(reply.data["details"]["fieldErrors"]) == [field]


async def test_wrong_fields_are_all_named_and_never_echoed(owner: Person) -> None:
    reply = await owner(
        "POST", "/api/tasks", {"title": "", "mode": "swordfish", "iterationBudget": 0, "autoRun": "yes"}
    )
    assert reply.status == 400
    assert reply.data["error"] == "Validation failed"
    details = reply.data["details"]
    assert details["formErrors"] == []
    assert set(details["fieldErrors"]) == {"title", "mode", "iterationBudget", "autoRun"}
    assert "swordfish" not in str(reply.data)


async def test_unknown_names_are_dropped_where_the_reference_drops_them_and_refused_elsewhere(owner: Person) -> None:
    assert (await owner("POST", "/api/tasks", {"title": "x", "colour": "red"})).status == 201
    reply = await owner("POST", "/api/workspaces", {"name": "x", "colour": "red"})
    assert (reply.status, list(reply.data["details"]["fieldErrors"])) == (400, ["colour"])


@pytest.mark.parametrize("name", ["nonsense", "0" * 36, "%00", "..%2f"])
async def test_an_id_that_is_none_is_nowhere(owner: Person, name: str) -> None:
    assert (await owner("GET", f"/api/tasks/{name}")).status == 404


async def test_pages_follow_each_other_without_gap_or_repeat(harness: Harness, owner: Person) -> None:
    made = [(await owner("POST", "/api/tasks", {"title": f"T{n}"})).data["id"] for n in range(7)]
    seen: list[str] = []
    path: str | None = "/api/tasks?limit=3"
    sizes = []
    while path is not None:
        reply = await owner("GET", path)
        assert reply.status == 200
        sizes.append(len(reply.data))
        seen += [t["id"] for t in reply.data]
        link = reply.headers.get("Link")
        path = None if link is None else link.removeprefix("<").removesuffix('>; rel="next"')
    assert seen == made[::-1]
    assert sizes == [3, 3, 1]


async def test_items_of_one_microsecond_are_not_lost_between_pages(harness: Harness, owner: Person) -> None:
    import sqlalchemy as sa

    from storage.tables import tasks

    made = {(await owner("POST", "/api/tasks", {"title": f"T{n}"})).data["id"] for n in range(5)}
    moment = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(microseconds=123457)
    await harness.services.store.write(lambda tx: tx.execute(sa.update(tasks).values(created_at=moment)))
    harness.services.bus.touched(owner.workspace_id)
    first = await owner("GET", "/api/tasks?limit=2")
    second = await owner("GET", first.headers["Link"].split(">")[0].removeprefix("<"))
    third = await owner("GET", second.headers["Link"].split(">")[0].removeprefix("<"))
    assert {t["id"] for reply in (first, second, third) for t in reply.data} == made


@pytest.mark.parametrize("limit", ["0", "-1", "201", "abc", "NaN", "1e3", "99999999999999999999", ""])
async def test_a_limit_is_a_number_within_bounds(owner: Person, limit: str) -> None:
    for path in (
        "/api/tasks",
        "/api/audit",
        "/api/audit/approvals",
        "/api/audit/violations",
        "/api/governance/receipts",
    ):
        reply = await owner("GET", f"{path}?limit={limit}")
        assert (reply.status, list(reply.data["details"]["fieldErrors"])) == (400, ["limit"]), path


@pytest.mark.parametrize("moment", ["-1e-102", "1767225600", "2026-13-01", "yesterday", "2026-01-01T"])
async def test_a_time_is_written_as_one(owner: Person, moment: str) -> None:
    for path in ("/api/audit", "/api/audit/export", "/api/governance/archive"):
        refused = await owner("GET", f"{path}?since={moment}")
        assert (refused.status, list(refused.data["details"]["fieldErrors"])) == (400, ["since"]), path
    for good in ("2026-01-01", "2026-01-01T00:00:00Z", "2026-01-01T00:00:00.5%2B02:00"):
        assert (await owner("GET", f"/api/audit?since={good}")).status == 200
