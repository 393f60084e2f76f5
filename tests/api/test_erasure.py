"""A person who asks to be forgotten: their words leave the database, and the log still verifies."""

from datetime import UTC, datetime

import sqlalchemy as sa

from storage import outbox, tables
from storage.database import Tx
from tests.api.conftest import Installation

WORDS = "violet-harbour-plan"
ADDRESS = "ada.erasure@example.com"


async def test_nothing_a_person_wrote_outlives_their_erasure(pilot: Installation) -> None:
    """8: erasing answered 500; ours must also be complete, so every column of every table is read."""
    ada = await pilot.by_mail(ADDRESS)
    status, _ = await ada.send("POST", "/api/tasks", {"title": WORDS, "description": f"about {WORDS}"})
    assert status == 201
    services = pilot.process.gate.services
    assert services is not None

    def holding(tx: Tx) -> set[str]:
        found = set()
        for table in tables.metadata.sorted_tables:
            for row in tx.all(sa.select(table)):
                if any(word in str(value) for value in row for word in (WORDS, ADDRESS)):
                    found.add(table.name)
        return found

    assert {"tasks", "users"} <= await services.store.read(holding)
    status, done = await ada.send("DELETE", "/api/users/me")
    assert (status, done["deleted"]) == (200, True)
    await services.workspaces.purge_due()
    assert await services.store.read(holding) == set()
    assert await services.store.write(services.ledger.check_at_start) == {}


async def test_messages_to_an_erased_persons_chat_are_dropped_and_no_others(pilot: Installation) -> None:
    ada = await pilot.by_telegram(771)
    services = pilot.process.gate.services
    assert services is not None
    now = datetime.now(UTC)

    def put(tx: Tx) -> None:
        for chat in ("771", "772"):
            outbox.put(tx, workspace_id=None, channel="telegram", recipient=chat, payload={"text": WORDS}, now=now)

    await services.store.write(put)
    assert (await ada.send("DELETE", "/api/users/me"))[0] == 200
    left = await services.store.read(lambda tx: [row[0] for row in tx.all(sa.select(tables.outbox.c.recipient))])
    assert left == ["772"]
