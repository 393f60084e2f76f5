"""Live events over the wire: resume, tasks, and who hears no more."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from api.installation import system
from tests.api.harness import Harness, Person, open_house
from tests.connectors.openai_server import Turn, scripted_model


@pytest.fixture
async def harness(url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Harness]:
    monkeypatch.setattr(system, "PING_SECONDS", 0.3)
    async with open_house(url, tmp_path, work=False) as opened:
        yield opened


class Stream:
    """The events of one answer."""

    def __init__(self, answer: aiohttp.ClientResponse) -> None:
        self.answer = answer

    async def next(self, *, pings: bool = False) -> dict[str, Any] | None:
        """The next event; None at the end of the stream."""
        event: dict[str, Any] = {}
        async with asyncio.timeout(60):
            while True:
                line = (await self.answer.content.readline()).decode()
                if not line:
                    return None
                if line == "\n":
                    if "event" in event and (pings or event["event"] != "ping"):
                        return event
                    event = {}
                    continue
                name, _, value = line.rstrip("\n").partition(": ")
                event[name] = json.loads(value) if name == "data" else value


@asynccontextmanager
async def listening(person: Person, path: str = "/api/events", **headers: str) -> AsyncIterator[Stream]:
    given = {**person.headers, **{k.replace("_", "-"): v for k, v in headers.items()}}
    async with person.harness.session.get(person.harness.base + path, headers=given) as answer:
        assert answer.status == 200, await answer.text()
        assert answer.content_type == "text/event-stream"
        yield Stream(answer)


async def test_what_happens_is_told_with_a_number(owner: Person) -> None:
    async with listening(owner) as stream:
        task = (await owner("POST", "/api/tasks", {"title": "x"})).data
        event = await stream.next()
        assert event is not None
        assert (event["event"], event["data"]) == ("task.created", {"ref": task["id"], "status": "pending"})
        assert event["id"].isdigit()


@pytest.mark.parametrize("way", ["header", "query"])
async def test_a_stream_goes_on_where_it_broke(owner: Person, way: str) -> None:
    async with listening(owner) as stream:
        await owner("POST", "/api/tasks", {"title": "first"})
        seen = await stream.next()
        assert seen is not None
    missed = [(await owner("POST", "/api/tasks", {"title": f"{n}"})).data["id"] for n in range(3)]
    path = f"/api/events?lastEventId={seen['id']}" if way == "query" else "/api/events"
    headers = {"Last_Event_ID": seen["id"]} if way == "header" else {}
    async with listening(owner, path, **headers) as stream:
        events = [await stream.next() for _ in missed]
        assert [e and e["data"]["ref"] for e in events] == missed
        assert [e and int(e["id"]) for e in events] == [int(seen["id"]) + n for n in (1, 2, 3)]


@pytest.mark.parametrize("last", ["x", "-1", "1" * 18, "1.5"])
async def test_a_number_that_is_none_is_refused(owner: Person, last: str) -> None:
    for reply in (
        await owner("GET", "/api/events", Last_Event_ID=last),
        await owner("GET", f"/api/events?lastEventId={last}"),
    ):
        assert (reply.status, reply.code) == (400, "invalid_request")


async def test_tasks_come_whole_after_a_snapshot(owner: Person) -> None:
    first = (await owner("POST", "/api/tasks", {"title": "first"})).data
    async with listening(owner, "/api/events/tasks") as stream:
        snapshot = await stream.next()
        assert snapshot is not None
        assert (snapshot["event"], snapshot["data"]) == ("snapshot", [first])
        changed = (await owner("PUT", f"/api/tasks/{first['id']}", {"title": "renamed"})).data
        event = await stream.next()
        assert event is not None
        assert (event["event"], event["data"]["title"]) == ("task.updated", "renamed")
        assert event["data"].items() <= changed.items()
        await owner("DELETE", f"/api/tasks/{first['id']}")
        gone = await stream.next()
        assert gone is not None
        assert (gone["event"], gone["data"]) == ("task.deleted", {"id": first["id"]})
    async with listening(owner, "/api/events/tasks", Last_Event_ID=snapshot["id"]) as stream:
        resumed = await stream.next()
        assert resumed is not None
        assert resumed["event"] == "task.deleted"


async def test_a_quiet_stream_pings(owner: Person) -> None:
    async with listening(owner) as stream:
        ping = await stream.next(pings=True)
        assert ping is not None
        assert ping["event"] == "ping"
        assert "id" not in ping


async def test_nothing_of_another_workspace_is_heard(harness: Harness, owner: Person) -> None:
    other = await harness.person("bob@example.com")
    async with listening(owner) as stream:
        await other("POST", "/api/tasks", {"title": "secret"})
        own = (await owner("POST", "/api/tasks", {"title": "own"})).data
        event = await stream.next()
        assert event is not None
        assert event["data"]["ref"] == own["id"]
    assert (await other("GET", "/api/events", X_Workspace_Id=owner.workspace_id)).status == 404


async def test_who_was_taken_out_hears_no_more(harness: Harness, owner: Person) -> None:
    mate = await harness.member(owner, "bob@example.com", "member")
    async with listening(mate) as stream:
        removed = await owner("DELETE", f"/api/workspace/{owner.workspace_id}/members/{mate.user_id}")
        assert removed.status == 204
        await owner("POST", "/api/tasks", {"title": "after"})
        assert await stream.next() is None


async def test_who_logged_out_hears_no_more(owner: Person) -> None:
    async with listening(owner) as stream:
        assert (await owner("DELETE", "/api/auth/session")).status == 200
        assert await stream.next() is None


async def test_a_revoked_key_hears_no_more(harness: Harness, owner: Person) -> None:
    made = (await owner("POST", "/api/auth/apikey", {"name": "k"})).data
    program = Person(harness, {"X-API-Key": made["key"]}, owner.login)
    async with listening(program) as stream:
        assert (await owner("DELETE", f"/api/auth/apikeys/{made['id']}")).status == 204
        assert await stream.next() is None


async def test_what_a_model_writes_is_heard_while_it_writes(url: str, tmp_path: Path) -> None:
    """Over a real stream of a model to the listener, on the page, and gone when the answer is there."""
    words = "I read the numbers of the week. " * 12
    turn = Turn(text=words, calls=[("finish", {"summary": "It went well."})], pause=0.1)
    async with (
        scripted_model([turn]) as model,
        open_house(url, tmp_path, pilot_http_allow=("127.0.0.1",)) as harness,
    ):
        ada = await harness.person("ada@example.com")
        config = {"provider": "openai", "model": "gpt-4o-mini", "baseUrl": model.base_url}
        await ada("PUT", f"/api/workspace/{ada.workspace_id}/settings", {"modelConfig": config})
        task = (await ada("POST", "/api/tasks", {"title": "Report", "description": "Report the week."})).data["id"]
        async with listening(ada) as stream:
            started = await ada("POST", f"/api/tasks/{task}/run")
            said: list[str] = []
            while len(said) < 2:
                event = await stream.next()
                assert event is not None
                if "partialText" in event["data"]:
                    assert event["event"] == "run.thinking"
                    said.append(event["data"]["partialText"])
            run = f"/api/runs/{started.data['run']['id']}"
            assert (await ada("GET", run)).data["partialText"] == said[1]
        assert len(said[0]) < len(said[1])
        assert words.startswith(said[0])
        assert words.startswith(said[1])
        async with asyncio.timeout(20):
            while (seen := (await ada("GET", run)).data)["status"] != "completed":
                await asyncio.sleep(0.05)
        assert (seen["summary"], seen["partialText"]) == ("It went well.", None)
