"""Idempotency-Key over the wire, on both stores."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa

from domain.clock import utc_now
from domain.errors import Conflict
from services.platform.idempotency import UNDER_WAY, Claim, IdempotencyService, KeptAnswer
from storage.database import Store
from tests.api.harness import Harness, Person, open_house
from tests.databases import fresh_url


@pytest.fixture
async def harness(url: str, tmp_path: Path) -> AsyncIterator[Harness]:
    async with open_house(url, tmp_path) as opened:
        yield opened


async def count(owner: Person) -> int:
    return len((await owner("GET", "/api/tasks")).data)


async def test_a_repeat_gets_the_first_answer(owner: Person) -> None:
    first = await owner("POST", "/api/tasks", {"title": "x"}, Idempotency_Key="k1")
    again = await owner("POST", "/api/tasks", {"title": "x"}, Idempotency_Key="k1")
    assert (first.status, again.status) == (201, 201)
    assert again.data == first.data
    assert "Idempotency-Replayed" not in first.headers
    assert again.headers["Idempotency-Replayed"] == "true"
    assert await count(owner) == 1


async def test_a_refusal_is_an_answer_too(owner: Person) -> None:
    first = await owner("POST", "/api/tasks", {"title": ""}, Idempotency_Key="k1")
    again = await owner("POST", "/api/tasks", {"title": ""}, Idempotency_Key="k1")
    assert (first.status, again.status) == (400, 400)
    assert again.data == first.data


@pytest.mark.parametrize("change", ["body", "query"])
async def test_the_key_of_another_request_is_refused(owner: Person, change: str) -> None:
    await owner("POST", "/api/tasks", {"title": "x"}, Idempotency_Key="k1")
    path = "/api/tasks" if change == "body" else f"/api/tasks?workspaceId={owner.workspace_id}"
    other = await owner("POST", path, {"title": "y" if change == "body" else "x"}, Idempotency_Key="k1")
    assert (other.status, other.code) == (409, "idempotency_conflict")
    assert await count(owner) == 1


async def test_people_do_not_see_each_others_keys(harness: Harness, owner: Person) -> None:
    other = await harness.person("bob@example.com")
    first = await owner("POST", "/api/tasks", {"title": "x"}, Idempotency_Key="k1")
    second = await other("POST", "/api/tasks", {"title": "x"}, Idempotency_Key="k1")
    assert second.status == 201
    assert second.data["id"] != first.data["id"]
    assert second.data["workspaceId"] == other.workspace_id


async def test_one_of_many_at_once_is_carried_out(owner: Person) -> None:
    replies = await asyncio.gather(
        *(owner("POST", "/api/tasks", {"title": "x"}, Idempotency_Key="k1") for _ in range(12))
    )
    assert {r.status for r in replies} == {201}
    assert len({r.data["id"] for r in replies}) == 1
    assert await count(owner) == 1


@pytest.mark.parametrize("key", ["", "with blank", "x" * 201, "ключ"])
async def test_a_key_is_visible_ascii(owner: Person, key: str) -> None:
    reply = await owner("POST", "/api/tasks", {"title": "x"}, Idempotency_Key=key)
    assert (reply.status, reply.code) == (400, "invalid_idempotency_key")


async def test_answers_with_secrets_are_not_kept(owner: Person) -> None:
    reply = await owner("POST", "/api/auth/apikey", {"name": "k"}, Idempotency_Key="k1")
    assert (reply.status, reply.code) == (400, "idempotency_unsupported")
    assert (await owner("GET", "/api/auth/apikeys")).data == []


async def test_a_failed_request_frees_its_key_and_a_late_one_overwrites_nothing(harness: Harness) -> None:
    moment = utc_now()
    service = IdempotencyService(harness.services.store, lambda: moment)
    first = await service.begin(principal="p", key="k", request_hash="h")
    assert isinstance(first, Claim)
    await service.drop(first)
    second = await service.begin(principal="p", key="k", request_hash="h")
    assert isinstance(second, Claim)
    # the second is lost in a crash; after a while its key is free
    moment += timedelta(seconds=121)
    third = await service.begin(principal="p", key="k", request_hash="h")
    assert isinstance(third, Claim)
    await service.finish(second, status=500, body="late")
    await service.drop(second)
    await service.finish(third, status=201, body="good")
    assert await service.begin(principal="p", key="k", request_hash="h") == KeptAnswer(status=201, body="good")
    moment += timedelta(hours=25)
    assert await service.purge() == 1


@pytest.mark.parametrize("database", ["sqlite", "postgres"])
async def test_a_crash_after_the_change_and_before_the_answer_never_repeats_it(tmp_path: Path, database: str) -> None:
    moment = [utc_now()]
    store = Store(fresh_url(database, tmp_path))
    try:
        service = IdempotencyService(store, lambda: moment[0])
        claim = await service.begin(principal="p", key="k", request_hash="h")
        assert isinstance(claim, Claim)
        with service.carrying_out(claim):
            await store.write(lambda tx: tx.scalar(sa.select(1)))
        # here the process died: no answer was kept
        moment[0] += UNDER_WAY + timedelta(seconds=1)
        with pytest.raises(Conflict) as refused:
            await service.begin(principal="p", key="k", request_hash="h")
        assert refused.value.code == "idempotency_unanswered"
        # one that died before it had done anything may be repeated
        other = await service.begin(principal="p", key="other", request_hash="h")
        moment[0] += UNDER_WAY + timedelta(seconds=1)
        again = await service.begin(principal="p", key="other", request_hash="h")
        assert isinstance(other, Claim)
        assert isinstance(again, Claim)
        assert again.id != other.id
    finally:
        await store.close()
