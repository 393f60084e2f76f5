"""Parts of the log as archives: one task's receipts, a range of places, a range of times; both verifiers agree."""

import io
import json
import subprocess
import sys
import tarfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest

from domain.receipts.archive import standalone_source
from domain.receipts.verify import verify_archive
from tests.api.harness import Harness, Person, open_house

ARCHIVE = "/api/governance/archive"


@pytest.fixture
async def harness(url: str, tmp_path: Path) -> AsyncIterator[Harness]:
    async with open_house(url, tmp_path) as opened:
        yield opened


async def fetched(owner: Person, folder: Path, **query: Any) -> tuple[list[int], dict[str, Any]]:
    """The places in the log of what an archive holds, and its scope; verified twice."""
    path = f"{ARCHIVE}?{urlencode(query)}"
    async with owner.harness.session.get(owner.harness.base + path, headers=owner.headers) as answer:
        assert answer.status == 200, await answer.text()
        raw = await answer.read()
    report = verify_archive(io.BytesIO(raw))
    assert report.ok, report.errors
    (folder / "verify.py").write_bytes(standalone_source())
    (folder / "part.tar.gz").write_bytes(raw)
    done = subprocess.run([sys.executable, "-I", "-S", "verify.py", "part.tar.gz"], cwd=folder, capture_output=True)
    assert done.returncode == 0, done.stdout
    with tarfile.open(fileobj=io.BytesIO(raw)) as tar:
        names = [name for name in tar.getnames() if name.startswith("receipts/")]
        scope = tar.extractfile("log/scope.json")
        assert scope is not None
        return [int(Path(name).stem) for name in names], json.loads(scope.read())


async def test_parts_of_the_log_verify(harness: Harness, owner: Person, tmp_path: Path) -> None:
    for n in range(6):
        await owner("POST", "/api/knowledge/pages", {"title": f"n{n}", "compiledTruth": "x"})
    task = (await owner("POST", "/api/tasks", {"title": "T", "description": 'finish summary="x"'})).data
    await owner("POST", f"/api/tasks/{task['id']}/run?wait=30")
    size = (await owner("GET", "/api/governance/log/checkpoint")).data["size"]
    assert size >= 10
    # each export is itself on record, so the log grows by one every time
    places, scope = await fetched(owner, tmp_path)
    assert (places, scope["kind"], scope["tree_size"]) == (list(range(size + 1)), "workspace", size + 1)
    places, scope = await fetched(owner, tmp_path, start=3, end=7)
    assert (places, scope["kind"], scope["subject"]) == ([3, 4, 5, 6], "range", "3-6")
    places, _ = await fetched(owner, tmp_path, start=size)
    assert places[0] == size
    places, _ = await fetched(owner, tmp_path, end=2)
    assert places == [0, 1]
    places, scope = await fetched(owner, tmp_path, taskId=task["id"])
    assert scope["kind"] == "task"
    assert places
    listed = (await owner("GET", "/api/governance/receipts?limit=100")).data["receipts"][::-1]
    since, until = listed[2]["receivedAt"], listed[6]["receivedAt"]
    expected = [r["logIndex"] for r in listed if since <= r["receivedAt"] < until]
    places, scope = await fetched(owner, tmp_path, since=since, until=until)
    assert places == expected
    assert scope["subject"] == f"{places[0]}-{places[-1]}"
    places, _ = await fetched(owner, tmp_path, since=since, start=4, end=6)
    assert places == [4, 5]
    exported = (await owner("GET", "/api/audit?action=ledger:exported&limit=1")).data[0]
    assert (exported["metadata"]["scope"], exported["metadata"]["start"], exported["metadata"]["end"]) == (
        "range",
        4,
        6,
    )


@pytest.mark.parametrize("url", ["sqlite"], indirect=True)
async def test_bad_ranges_are_told(owner: Person) -> None:
    for query, status in (
        ("start=5&end=5", 400),
        ("start=-1", 400),
        ("end=0", 400),
        ("start=x", 400),
        ("start=99999999999999999999", 400),
        ("since=yesterday", 400),
        ("since=0001-01-01T00:00:00%2B14:00", 400),
        ("taskId=01990000-0000-7000-8000-000000000000&start=1", 400),
        ("start=100000", 404),
        ("until=2001-01-01T00:00:00Z", 404),
        ("since=2999-01-01T00:00:00Z", 404),
    ):
        assert (await owner("GET", f"{ARCHIVE}?{query}")).status == status, query
    assert (await owner("GET", "/api/audit?since=0001-01-01T00:00:00%2B14:00")).status == 400
