"""`pilot policy check` and `pilot policy test`: what is wrong is named with its place, what would change is shown."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from tests.api.harness import open_house
from tests.app.test_evals import pilot
from tests.databases import fresh_url

STEPS = 'note.create title="x"\nknowledge.search query="x"\nfinish summary="done"'


def written(folder: Path, value: Any) -> str:
    path = folder / "settings.json"
    path.write_text(value if isinstance(value, str) else json.dumps(value))
    return str(path)


def test_every_broken_rule_is_named_with_its_place(tmp_path: Path) -> None:
    good = {"id": "good", "when": "input.effect > 2", "verdict": "DENY"}
    rules = [
        good,
        {"id": "half", "when": "input.tool ==", "verdict": "DENY"},
        {"id": "unknown", "when": "true &&\n  input.colour == 'red'", "verdict": "ESCALATE"},
        {"id": "number", "when": "input.effect + 1", "verdict": "DENY"},
    ]
    url = f"sqlite:///{tmp_path / 'unused.db'}"
    code, problems, _ = pilot(tmp_path, url, "policy", "check", written(tmp_path, rules), "--json")
    assert code == 1
    assert [(p["field"].rpartition(".")[2], p["line"], p["column"]) for p in problems] == [
        ("half", 1, 14),
        ("unknown", 2, 8),
        ("number", 0, 0),
    ]
    assert all(p["message"] for p in problems)
    code, said, _ = pilot(tmp_path, url, "policy", "check", written(tmp_path, {"policyConfig": {"rules": [good]}}))
    assert (code, said) == (0, "everything is in order\n")
    code, said, _ = pilot(tmp_path, url, "policy", "check", written(tmp_path, {"policyConfig": {"unheard": 1}}))
    assert code == 1
    assert said.startswith("policyConfig.unheard: ")
    code, _, err = pilot(tmp_path, url, "policy", "check", written(tmp_path, "{not json"))
    assert code == 2
    assert "settings.json" in err
    assert not (tmp_path / "unused.db").exists()


@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
async def test_a_change_is_tried_on_what_was_decided(tmp_path: Path, kind: str) -> None:
    url = fresh_url(kind, tmp_path)
    async with open_house(url, tmp_path) as harness:
        owner = await harness.person("ada@example.com")
        task = (await owner("POST", "/api/tasks", {"title": "T", "description": STEPS})).data
        await owner("POST", f"/api/tasks/{task['id']}/run?wait=30")

        async def tried(change: Any, *more: str, workspace: str = owner.workspace_id) -> tuple[int, Any, str]:
            words = ("policy", "test", "--workspace", workspace, "--settings", written(tmp_path, change), *more)
            return await asyncio.to_thread(pilot, tmp_path, url, *words)

        change = {"policyConfig": {"toolBlocklist": ["note.create"]}}
        code, trial, err = await tried(change, "--json")
        assert code == 0, err
        # the same as over HTTP
        assert trial == (await owner("POST", "/api/governance/policy-test", change)).data
        assert (trial["tested"], [d["tool"] for d in trial["different"]]) == (3, ["note.create"])
        if kind == "postgres":
            return
        _, said, _ = await tried(change)
        assert said.splitlines()[-1] == "3 decisions made again, 1 differ"
        assert "note.create ALLOW -> DENY (tool_blocklist)" in said
        assert (await tried(change, "--last", "1", "--json"))[1]["tested"] == 1
        code, _, err = await tried({"policyConfig": {"rules": [{"id": "r", "when": "input.", "verdict": "DENY"}]}})
        assert code == 1
        assert err.startswith("invalid_rule: policyConfig.rules.r: line 1, column ")
        code, _, err = await tried(change, workspace="01990000-0000-7000-8000-000000000000")
        assert (code, err) == (1, "not_found: Workspace not found\n")
        stored = (await owner("GET", f"/api/workspace/{owner.workspace_id}/settings")).data
        assert stored["policyConfig"]["toolBlocklist"] == []
