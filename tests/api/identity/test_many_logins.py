"""Ten thousand logins and rotations at once: nobody twice, no session twice, no token lost."""

import asyncio
from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa

from storage import tables
from storage.transaction import Tx
from tests.api.conftest import TOKEN, Installation, init_data

pytestmark = pytest.mark.timeout(900)
# the same launch data five times each, all in flight together
COPIES = 5
AT_ONCE = 64


async def test_logins_and_rotations(pilot: Installation) -> None:
    services = pilot.process.gate.services
    assert services is not None
    # each login is a transaction of a dozen statements; Postgres pays a round trip for each
    people = 2000 if services.store.sqlite else 400
    gate = asyncio.Semaphore(AT_ONCE)

    async def log_in(raw: str) -> str:
        async with gate, pilot.http.post(f"{pilot.base}/api/auth/telegram", json={"initData": raw}) as answer:
            assert answer.status == 200, await answer.text()
            token: str = (await answer.json())["token"]
            return token

    raws = [init_data(TOKEN, {"id": 10_000 + n, "first_name": f"P{n}"}) for n in range(people)]
    tokens = await asyncio.gather(*(log_in(raw) for raw in raws for _ in range(COPIES)))
    assert len(set(tokens)) == people * COPIES

    def counted(tx: Tx) -> dict[str, int]:
        found = {}
        for table in (tables.users, tables.workspaces, tables.workspace_members, tables.sessions):
            found[table.name] = tx.scalar(sa.select(sa.func.count()).select_from(table))
        families = sa.select(sa.func.count(sa.distinct(tables.sessions.c.family_id)))
        hashes = sa.select(sa.func.count(sa.distinct(tables.sessions.c.token_hash)))
        return {**found, "families": tx.scalar(families), "hashes": tx.scalar(hashes)}

    assert await services.store.read(counted) == {
        "users": people,
        "workspaces": people,
        "workspace_members": people,
        "sessions": people * COPIES,
        "hashes": people * COPIES,
        # the same launch data is the same family: one logout ends all of it
        "families": people,
    }

    yesterday = datetime.now(UTC) - timedelta(hours=25)
    await services.store.write(lambda tx: tx.execute(sa.update(tables.sessions).values(created_at=yesterday)))
    services.identity_cache.forget()
    olds = tokens[::COPIES]

    async def ask(token: str) -> tuple[str, int, str | None]:
        async with gate, pilot.http.get(f"{pilot.base}/api/me", headers={"Authorization": f"Bearer {token}"}) as answer:
            return token, answer.status, answer.headers.get("X-New-Token")

    answers = await asyncio.gather(*(ask(token) for token in olds for _ in range(COPIES)))
    assert Counter(status for _, status, _ in answers) == {200: people * COPIES}
    fresh: dict[str, set[str]] = {}
    for old, _, new in answers:
        assert new is not None
        fresh.setdefault(old, set()).add(new)
    assert {len(found) for found in fresh.values()} == {1}
    news = [found.pop() for found in fresh.values()]
    assert len(set(news)) == people
    after = await services.store.read(counted)
    assert (after["sessions"], after["hashes"]) == (people * (COPIES + 1),) * 2
    again = await asyncio.gather(*(ask(token) for token in news))
    assert {(status, new) for _, status, new in again} == {(200, None)}
