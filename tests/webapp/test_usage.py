"""What models took, and what became of times nobody was there at, as the Mini App shows it."""

import asyncio
from datetime import timedelta
from xml.etree import ElementTree as ET

import sqlalchemy as sa

from domain.clock import utc_now
from domain.runs.run import THINKING
from storage import tables
from storage.runs import run_rows
from tests.webapp.conftest import Harness
from webapp.fragments.common import price
from webapp.svg import day_bars_svg

SPENT = {"tokens_in": 1_000, "tokens_out": 234, "cost_micros": 12_300, "guessed_micros": 300, "calls": 2}


async def test_a_bar_and_a_line_for_each_day_and_what_it_went_for(harness: Harness) -> None:
    ada = await harness.reader("ada@example.com")
    assert "No AI model was used in these days." in (await ada.part("usage"))[1]
    _, task = await ada.send("POST", "/api/tasks", {"title": "<b>Read</b>"})
    today = utc_now().date()
    for days in (0, 3, 40):
        await harness.services.store.write(
            lambda tx, days=days: run_rows.add_spend(
                tx,
                workspace_id=ada.workspace,
                day=(today - timedelta(days=days)).isoformat(),
                operator_id=None,
                task_id=task["id"],  # type: ignore[index]
                model="openai:gpt-4o-mini",
                spent=SPENT,
            )
        )
    status, text = await ada.part("usage")
    assert status == 200
    for said in (
        "$0.0246",
        "$0.0006 of this is estimated",
        "openai:gpt-4o-mini",
        "&lt;b&gt;Read&lt;/b&gt;",
        "No operator",
    ):
        assert said in text, said
    assert text.count("<rect") == 2
    assert text.count('<th scope="row">') == 2
    assert (await ada.part("usage?days=90"))[1].count("<rect") == 3
    # a filter nobody offers is the usual one
    assert (await ada.part("usage?days=1000"))[1].count("<rect") == 2
    _, page = await ada.part(f"task/{task['id']}")  # type: ignore[index]
    assert "AI models cost $0.0369 for this task: 6 calls, 3,702 tokens" in page
    assert "#/usage" in (await ada.part("more"))[1]


async def test_a_missed_time_is_told_and_what_failed_can_be_run_again(harness: Harness) -> None:
    ada = await harness.reader("ada@example.com")
    wish = {"title": "Daily", "description": "Please think.", "schedule": {"cron": "0 9 * * *"}}
    _, made = await ada.send("POST", "/api/tasks", wish)
    task = made["id"]  # type: ignore[index]
    assert (await ada.part(f"task/{task}"))[1].count("<li><time") == 5
    missed = utc_now() - timedelta(days=2)
    await harness.services.store.write(
        lambda tx: tx.execute(sa.update(tables.tasks).where(tables.tasks.c.id == task).values(next_run_at=missed))
    )
    # the clock of this installation may have been faster
    await harness.services.tasks.sweep_scheduled()
    async with asyncio.timeout(60):
        while "Pilot was not running when this was due" not in (text := (await ada.part(f"task/{task}"))[1]):
            await asyncio.sleep(0.1)
        while "There is no AI model set up" not in (text := (await ada.part(f"task/{task}"))[1]):
            await asyncio.sleep(0.1)
    assert f'data-api="POST /api/tasks/{task}/run"' in text
    assert "Run again" in text


async def test_what_a_model_is_writing_is_on_the_page(harness: Harness) -> None:
    ada = await harness.reader("ada@example.com")
    _, made = await ada.send("POST", "/api/tasks", {"title": "Report", "description": "finish summary=ok"})
    task = made["id"]  # type: ignore[index]
    _, ran = await ada.send("POST", f"/api/tasks/{task}/run?wait=20")
    run = ran["run"]["id"]  # type: ignore[index]

    async def look(state: str, partial: str | None) -> str:
        values = {"state": state, "wait_reason": THINKING, "partial_text": partial}
        await harness.services.store.write(
            lambda tx: tx.execute(sa.update(tables.runs).where(tables.runs.c.id == run).values(**values))
        )
        return (await ada.part(f"task/{task}"))[1]

    page = await look("running", "I <look> at it")
    assert "The model has been thinking since" in page
    assert "I &lt;look&gt; at it" in page
    assert "partial" not in await look("running", None)
    # what was left of a run that ended is nothing to show
    assert "partial" not in await look("failed", "I <look> at it")


def test_bars_are_as_high_as_their_part() -> None:
    svg = ET.fromstring(day_bars_svg([0, 50, 100, 1]))
    bars = [(float(r.get("x", "")), float(r.get("height", ""))) for r in svg.iter("rect")]
    assert [round(tall) for _, tall in bars] == [45, 90, 2]
    assert [x for x, _ in bars] == sorted(x for x, _ in bars)
    assert ET.fromstring(day_bars_svg([])).get("aria-hidden") == "true"


def test_prices_are_shown_as_people_read_them() -> None:
    assert [price(m) for m in (0, 1, 12_300, 999_999, 1_000_000, 12_345_678)] == [
        "$0.00", "$0.0000", "$0.0123", "$1.0000", "$1.00", "$12.35",
    ]  # fmt: skip
