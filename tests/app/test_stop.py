"""SIGTERM while a model is asked: the program ends, and the run goes on afterwards as if nothing had been."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from tests.app.test_story_http import Person, serve
from tests.connectors.openai_server import Turn, call, scripted_model
from tests.databases import fresh_url
from tests.processes import ready, until


def complaints(log: Path) -> list[str]:
    """What a program wrote that is no line of its log, or a line above a warning."""
    lines = [x for x in log.read_text().splitlines() if not x.startswith("Generated ")]
    return [x for x in lines if not x.startswith("{") or json.loads(x)["level"] in ("error", "critical")]


@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
async def test_a_stop_in_the_middle_of_an_answer_counts_as_no_failure(tmp_path: Path, kind: str) -> None:
    """Each stop was one of the tries of the run, and wrote three tracebacks."""
    url = fresh_url(kind, tmp_path, migrated=False)
    slow = Turn(text="I think about it at length. " * 40, pause=1.0)

    def story(base_url: str) -> None:
        program, base = serve(tmp_path, url, allow="127.0.0.1")
        try:
            person = Person(base, "ada@example.com")
            config = {"provider": "openai", "model": "gpt-4o-mini", "baseUrl": base_url}
            assert person.send("PUT", f"/api/workspace/{person.workspace}/settings", {"modelConfig": config})[0] == 201
            wish = {"title": "Think", "description": "Think about it.", "autoRun": True}
            status, task = person.send("POST", "/api/tasks", wish)
            assert status == 201, task

            def run() -> dict[str, Any]:
                [found] = person.get(f"/api/tasks/{task['id']}/runs")
                return dict(found)

            until(lambda: run()["partialText"], what="the first words")
            assert program.stop() == 0
            assert complaints(program.log) == []
            program.start()
            ready(base)
            ended = until(lambda: found if (found := run())["completedAt"] else None, what="the end")
            assert (ended["status"], ended["summary"], ended["error"]) == ("completed", "thought", None)
            assert ended["segment"] == 1
            assert program.stop() == 0
        finally:
            program.kill()

    async with scripted_model([slow, call("finish", summary="thought")]) as model:
        await asyncio.to_thread(story, model.base_url)
        assert len(model.requests) == 2
