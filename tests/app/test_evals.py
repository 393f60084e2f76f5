"""Evaluations really run, and capabilities follow what they found."""

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from app.evals.checks import Checks, NotRunError
from app.evals.place import Ground
from app.evals.run import EVALUATIONS, evaluate, record
from app.settings import Settings, load_settings
from app.version import VERSION
from services.installation.capabilities import REGISTRY
from tests.api.harness import Harness, open_house
from tests.databases import fresh_url
from tests.processes import ROOT

pytestmark = pytest.mark.timeout(900)


@pytest.fixture(params=["sqlite", "postgres"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return fresh_url(request.param, tmp_path)


@pytest.fixture
async def harness(url: str, tmp_path: Path) -> AsyncIterator[Harness]:
    async with open_house(url, tmp_path, http={"version": VERSION}) as opened:
        yield opened


def pilot(folder: Path, url: str, *words: str) -> tuple[int, Any, str]:
    """Exit code, JSON (or text) and standard error of one command on this installation."""
    done = subprocess.run(
        [sys.executable, "-m", "app", *words],
        cwd=folder,
        env={
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(ROOT),
            "PILOT_DATA_DIR": str(folder / "data"),
            "DATABASE_URL": url,
        },
        capture_output=True,
        text=True,
        timeout=600,
    )
    return done.returncode, json.loads(done.stdout) if "--json" in words else done.stdout, done.stderr


async def states(harness: Harness) -> dict[str, str]:
    found = (await harness.ask("GET", "/api/capabilities")).data["capabilities"]
    return {c["key"]: c["state"] for c in found}


async def rows(harness: Harness) -> int:
    """How much is in the installation, of what evaluations make plenty of."""
    count = await harness.services.store.read(
        lambda tx: tx.connection.exec_driver_sql(
            "SELECT (SELECT COUNT(*) FROM tasks) + (SELECT COUNT(*) FROM receipts)"
        )
    )
    return int(count.scalar() or 0)


def settings_of(folder: Path, url: str) -> Settings:
    return load_settings(_env_file=None, pilot_data_dir=folder / "data", database_url=url)


async def test_what_passes_here_is_ready_and_nothing_else(harness: Harness, url: str, tmp_path: Path) -> None:
    before, had = await states(harness), await rows(harness)
    assert "production_ready" not in before.values()
    # all of them on SQLite; on Postgres the one that leans on the store the most
    names: Sequence[str] = () if url.startswith("sqlite") else ("receipts",)
    code, outcomes, err = await asyncio.to_thread(
        pilot, tmp_path, url, "eval", "run", *names, "--json", "--seconds", "270"
    )
    assert code == 0, (outcomes, err)
    assert [o["name"] for o in outcomes] == list(names or EVALUATIONS)
    passed = {o["name"] for o in outcomes if o["outcome"] == "passed"}
    assert passed == set(names or EVALUATIONS.keys() - {"sidecar"})
    assert all(o["checks"] and all(c["ok"] for c in o["checks"]) for o in outcomes if o["name"] in passed)
    if not names:
        assert (outcomes[-1]["outcome"], outcomes[-1]["notRun"]) == ("not run", "no HELM sidecar is configured")
    # of those that nothing blocks, exactly the proved ones are ready
    after = await states(harness)
    for one in REGISTRY:
        if before[one.key] == "implemented":
            assert after[one.key] == ("production_ready" if one.evaluation in passed else "implemented"), one.key
        else:
            assert after[one.key] == before[one.key], one.key
    # nothing of it happened in the installation itself
    assert await rows(harness) == had
    stored = await harness.ask("GET", "/api/capabilities/helm_receipts")
    assert f"evaluation receipts passed with version {VERSION}" in stored.data["capability"]["evidence"][-1]


@pytest.mark.parametrize("url", ["sqlite"], indirect=True)
async def test_what_does_not_hold_is_recorded_as_failed(harness: Harness, url: str, tmp_path: Path) -> None:
    settings = settings_of(tmp_path, url)

    async def good(checks: Checks, ground: Ground) -> None:
        checks.that("the ground is empty", not list(ground.folder.iterdir()))

    async def one_is_wrong(checks: Checks, ground: Ground) -> None:
        checks.that("this holds", holds=True)
        checks.same("this does not", ground.folder.name, "other")

    async def falls_over(checks: Checks, ground: Ground) -> None:
        checks.that("this holds", holds=True)
        raise OSError(f"no {ground.folder.name and 'luck'}")

    async def never_ends(checks: Checks, ground: Ground) -> None:
        checks.that("this holds", ground)
        await asyncio.Event().wait()

    async def says_nothing(checks: Checks, ground: Ground) -> None:
        del checks, ground

    async def is_not_run(checks: Checks, ground: Ground) -> None:
        checks.that("this holds", ground)
        raise NotRunError("there is nothing to look at")

    async def ready_after(evaluation: Any) -> str:
        # only what never ends may meet its limit
        seconds = 1.0 if evaluation is never_ends else 60.0
        await record(settings, [await evaluate(evaluation, "receipts", settings, seconds=seconds)])
        return (await states(harness))["evidence_ledger"]

    assert await ready_after(good) == "production_ready"
    # what could not be carried out leaves what was known before
    assert await ready_after(is_not_run) == "production_ready"
    for bad in (one_is_wrong, falls_over, never_ends, says_nothing):
        assert await ready_after(bad) == "implemented", bad.__name__
        assert await ready_after(good) == "production_ready"
    outcome = await evaluate(one_is_wrong, "receipts", settings, seconds=60.0)
    assert outcome.as_json()["outcome"] == "failed"
    assert [c["ok"] for c in outcome.details["checks"]] == [True, False]
    assert "expected 'other'" in outcome.lines()[-1]


def test_names_are_checked_and_listed(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'unused.db'}"
    code, _, err = pilot(tmp_path, url, "eval", "run", "warp")
    assert code == 2
    assert "no evaluation warp" in err
    code, listed, _ = pilot(tmp_path, url, "eval", "list", "--json")
    assert code == 0
    assert {e["name"] for e in listed} == {c.evaluation for c in REGISTRY if c.evaluation}
    assert all(e["capabilities"] and e["looksAt"] for e in listed)
    assert not (tmp_path / "unused.db").exists()
