"""What models took, over the wire: every figure from the books, of this workspace alone."""

from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from domain.ids import new_id
from storage.runs import run_rows
from tests.api.harness import Harness, Person, open_house

NAMES = ("tokens_in", "tokens_out", "cost_micros", "guessed_micros", "calls")


async def spend(
    harness: Harness, person: Person, task: str, day: str, model: str, *, operator: str = "", cost: int
) -> None:
    """Enter one call in the books, as a run does."""
    spent = dict(zip(NAMES, (100, 10, cost, cost if model == "x:unknown" else 0, 1), strict=True))
    await harness.services.store.write(
        lambda tx: run_rows.add_spend(
            tx,
            workspace_id=person.workspace_id,
            day=day,
            operator_id=operator or None,
            task_id=task,
            model=model,
            spent=spent,
        )
    )


async def usage(person: Person, query: str) -> Any:
    reply = await person("GET", f"/api/usage?{query}")
    assert reply.status == 200, reply
    return reply.data


def costs(report: Any) -> list[tuple[str, int]]:
    return [(item["name"] or item["key"], item["costMicros"]) for item in report["items"]]


async def test_sums_by_everything(url: str, tmp_path: Path) -> None:
    async with open_house(url, tmp_path, work=False) as harness:
        ada = await harness.person("ada@example.com")
        bob = await harness.person("bob@example.com")
        op = (await ada("POST", "/api/operators", {"name": "Op", "role": "ops"})).data["id"]
        one = (await ada("POST", "/api/tasks", {"title": "One"})).data["id"]
        two = (await ada("POST", "/api/tasks", {"title": "Two"})).data["id"]
        his = (await bob("POST", "/api/tasks", {"title": "His"})).data["id"]
        await spend(harness, ada, one, "2026-03-01", "openai:a", cost=1_000_000)
        await spend(harness, ada, one, "2026-03-02", "openai:a", operator=op, cost=500_000)
        await spend(harness, ada, one, "2026-03-02", "x:unknown", operator=op, cost=250_000)
        await spend(harness, ada, two, "2026-03-02", "openai:a", operator=op, cost=3_000_000)
        await spend(harness, ada, two, "2026-04-01", "openai:a", cost=9_000_000)
        await spend(harness, bob, his, "2026-03-02", "openai:a", cost=7_000_000)

        span = "from=2026-03-01&to=2026-03-31"
        by_day = await usage(ada, span)
        assert (by_day["from"], by_day["to"], by_day["groupBy"]) == ("2026-03-01", "2026-03-31", "day")
        assert costs(by_day) == [("2026-03-01", 1_000_000), ("2026-03-02", 3_750_000)]
        assert by_day["total"] == {
            "tokensIn": 400,
            "tokensOut": 40,
            "calls": 4,
            "costMicros": 4_750_000,
            "costUsd": "4.750000",
            "guessedUsd": "0.250000",
        }
        assert costs(await usage(ada, f"{span}&groupBy=model")) == [("openai:a", 4_500_000), ("x:unknown", 250_000)]
        assert costs(await usage(ada, f"{span}&groupBy=operator")) == [("Op", 3_750_000), ("", 1_000_000)]
        assert costs(await usage(ada, f"{span}&groupBy=task")) == [("Two", 3_000_000), ("One", 1_750_000)]
        for group in ("model", "operator", "task"):
            assert (await usage(ada, f"{span}&groupBy={group}"))["total"] == by_day["total"]

        of_one = await usage(ada, f"{span}&taskId={one}")
        assert costs(of_one) == [("2026-03-01", 1_000_000), ("2026-03-02", 750_000)]
        assert of_one["total"]["costMicros"] == 1_750_000
        assert costs(await usage(ada, f"{span}&taskId={one}&groupBy=model")) == [
            ("openai:a", 1_500_000),
            ("x:unknown", 250_000),
        ]
        assert (await ada("GET", f"/api/usage?taskId={his}")).status == 404
        assert costs(await usage(bob, span)) == [("2026-03-02", 7_000_000)]
        # a deleted task has cost what it cost
        await ada("DELETE", f"/api/tasks/{two}")
        assert costs(await usage(ada, f"{span}&groupBy=task")) == [(two, 3_000_000), ("One", 1_750_000)]


async def test_long_lists_go_on(url: str, tmp_path: Path) -> None:
    async with open_house(url, tmp_path, work=False) as harness:
        ada = await harness.person("ada@example.com")
        for number in range(5):
            # two cost the same: their keys decide
            await spend(harness, ada, new_id(), "2026-03-02", f"m:{number}", cost=number // 2)
        for group in ("model", "task", "day"):
            whole = [item["key"] for item in (await usage(ada, f"to=2026-03-05&groupBy={group}"))["items"]]
            found: list[str] = []
            path: str | None = f"/api/usage?to=2026-03-05&groupBy={group}&limit=2"
            while path is not None:
                reply = await ada("GET", path)
                found += [item["key"] for item in reply.data["items"]]
                assert reply.data["total"]["calls"] == 5
                link = reply.headers.get("Link")
                address = None if link is None else urlsplit(link.partition(">")[0].removeprefix("<"))
                path = None if address is None else f"{address.path}?{address.query}"
            assert found == whole


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("from=yesterday", "from"),
        ("from=2026-02-30", "from"),
        ("to=2026-13-01", "to"),
        ("from=2026-03-02&to=2026-03-01", "from"),
        ("from=2020-01-01&to=2026-03-01", "from"),
        ("groupBy=hour", "groupBy"),
        ("limit=0", "limit"),
        ("cursor=x", "cursor"),
        ("cursor=-1.x", "cursor"),
        ("taskId=1", "taskId"),
        ("to=0001-01-01&cursor=%F0.1", "cursor"),
        ("taskId=01900000-0000-7000-8000-000000000001&groupBy=operator", "groupBy"),
    ],
)
async def test_bad_wishes_name_the_field(owner: Person, query: str, field: str) -> None:
    reply = await owner("GET", f"/api/usage?{query}")
    assert (reply.status, list(reply.data["details"]["fieldErrors"])) == (400, [field])


async def test_the_first_day_of_the_calendar_is_a_day(owner: Person) -> None:
    assert (await usage(owner, "to=0001-01-01"))["items"] == []


async def test_members_do_not_see_it(harness: Harness, owner: Person) -> None:
    member = await harness.member(owner, "bob@example.com", "member")
    assert (await member("GET", "/api/usage")).code == "insufficient_role"
    partner = await harness.member(owner, "eve@example.com", "partner")
    assert (await partner("GET", "/api/usage")).status == 200
