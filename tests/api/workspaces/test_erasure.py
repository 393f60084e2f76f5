"""A person who asks to be forgotten: their words leave the database, and the log still verifies."""

from datetime import UTC, datetime

import sqlalchemy as sa

from storage import tables
from storage.chat import conversation_rows, inbox_rows
from storage.outbox import outbox_rows
from storage.transaction import Tx
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
    await services.erasure.purge_due()
    assert await services.store.read(holding) == set()
    assert await services.store.write(services.ledger.check_at_start) == {}


async def test_messages_to_an_erased_persons_chat_are_dropped_and_no_others(pilot: Installation) -> None:
    ada = await pilot.by_telegram(771)
    services = pilot.process.gate.services
    assert services is not None
    now = datetime.now(UTC)

    def put(tx: Tx) -> None:
        for name in ("771", "772"):
            outbox_rows.put(tx, workspace_id=None, channel="telegram", recipient=name, payload={"text": WORDS}, now=now)

    await services.store.write(put)
    assert (await ada.send("DELETE", "/api/users/me"))[0] == 200
    left = await services.store.read(lambda tx: [row[0] for row in tx.all(sa.select(tables.outbox.c.recipient))])
    assert left == ["772"]


async def test_what_a_person_wrote_in_chat_is_forgotten_and_nothing_of_others(pilot: Installation) -> None:
    ada = await pilot.by_telegram(7713)
    services = pilot.process.gate.services
    assert services is not None
    now = datetime.now(UTC)

    def put(tx: Tx) -> None:
        for number, (who, state) in enumerate(((7713, "done"), (77131, "done"), (7713, "failed"), (17713, "done"))):
            raw = f'{{"update_id":{number},"message":{{"from":{{"id":{who},"is_bot":false}},"text":"{WORDS}"}}}}'
            inbox_rows.put(tx, update_id=number, raw=raw, now=now)
            tx.execute(sa.update(tables.inbox).where(tables.inbox.c.update_id == number).values(state=state))
            conversation_rows.set_state(tx, f"fsm:42:{who}:{who}:default", now=now, state=WORDS)

    await services.store.write(put)
    assert (await ada.send("DELETE", "/api/users/me"))[0] == 200

    def left(tx: Tx) -> tuple[list[int], list[str], int]:
        texts = tx.all(sa.select(tables.inbox.c.update_id).where(tables.inbox.c.raw.contains(WORDS)))
        keys = tx.all(sa.select(tables.chat_state.c.key))
        count = tx.scalar(sa.select(sa.func.count()).select_from(tables.inbox))
        return [row[0] for row in texts], sorted(row[0].split(":")[2] for row in keys), int(count)

    # that an update came stays known, so that it is not handled again
    assert await services.store.read(left) == ([1, 3], ["17713", "77131"], 4)
