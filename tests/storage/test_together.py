"""Units that are committed together: one that fails takes no other with it, and what all of them share stays true."""

import asyncio
import os
import threading
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import psycopg
import pytest
import sqlalchemy as sa

from domain.clock import utc_now
from domain.ids import new_id
from domain.journal.entry import ReceiptFields
from domain.ledger.audit import AuditAction
from domain.receipts import merkle
from domain.receipts.receipt import Kind
from domain.receipts.signing import Signer
from services.ledger.append import Ledger
from storage import tables
from storage.database import Store
from storage.ledger import event_rows, log_rows, payload_rows, receipt_rows
from storage.transaction import Tx
from tests.databases import fresh_url
from tests.storage.test_database import add, count

Unit = Callable[[Tx], Any]


async def together(store: Store, units: list[Unit], *, name: str = "w") -> list[Any]:
    """The answers of units that all waited while another of their name was at work."""
    gate = threading.Event()
    started: list[Awaitable[Any]] = [
        asyncio.ensure_future(store.workspace(name).write(unit)) for unit in (lambda _: gate.wait(20), *units)
    ]
    # each has run up to where it waits
    await asyncio.sleep(0)
    gate.set()
    return (await asyncio.gather(*started, return_exceptions=True))[1:]


def refuses(tx: Tx) -> None:
    add(tx, "gone")
    raise ValueError("no")


def breaks(tx: Tx) -> None:
    add(tx, "gone")
    tx.execute(sa.insert(tables.ticks).values(id="kept-0", created_at=utc_now()))


@pytest.mark.parametrize(("fails", "error"), [(refuses, ValueError), (breaks, sa.exc.IntegrityError)])
async def test_one_that_fails_is_alone_in_that(store: Store, fails: Unit, error: type[Exception]) -> None:
    good: list[Unit] = [lambda tx, n=n: add(tx, f"kept-{n}") for n in range(6)]  # type: ignore[misc]
    answers = await together(store, [*good[:3], fails, *good[3:]])
    assert isinstance(answers.pop(3), error)
    assert answers == [True] * 6
    assert await store.read(count) == 6
    assert (
        await store.read(lambda tx: tx.scalar(sa.select(tables.ticks.c.id).where(tables.ticks.c.id == "gone"))) is None
    )


async def test_on_postgres_they_are_one_transaction_and_others_are_not(tmp_path: Path) -> None:
    store = Store(fresh_url("postgres", tmp_path))

    def transaction(tx: Tx) -> str:
        return str(tx.scalar(sa.text("SELECT pg_current_xact_id()")))

    try:
        assert len(set(await together(store, [transaction] * 5))) == 1
        held, free = threading.Event(), threading.Event()

        def waits(_: Tx) -> None:
            held.set()
            assert free.wait(20)

        slow = asyncio.ensure_future(store.workspace("one").write(waits))
        await asyncio.to_thread(held.wait, 20)
        await store.workspace("two").write(transaction)
        await store.write(transaction)
        assert not slow.done()
        free.set()
        await slow
    finally:
        await store.close()


async def test_on_postgres_a_unit_of_a_workspace_begins_with_its_log_locked(tmp_path: Path) -> None:
    url = fresh_url("postgres", tmp_path)
    store = Store(url)
    mine, other = new_id(), new_id()

    def unlocked(_: Tx) -> set[str]:
        """The logs that somebody else could lock now."""
        with psycopg.connect(url.replace("+psycopg", "")) as connection:
            found = connection.execute("SELECT workspace_id FROM log_heads FOR UPDATE SKIP LOCKED").fetchall()
        return {row[0] for row in found}

    try:
        for workspace_id in (mine, other):
            await store.workspace(workspace_id).write(count)
        assert await store.write(unlocked) == {mine, other}
        assert await store.workspace(mine).write(unlocked) == {other}
        assert await together(store, [unlocked] * 3, name=other) == [{mine}] * 3
    finally:
        await store.close()


async def test_what_was_queued_is_done_before_the_store_closes(store: Store) -> None:
    started = [asyncio.ensure_future(store.workspace("w").write(lambda tx, n=n: add(tx, f"{n}"))) for n in range(150)]  # type: ignore[misc]
    await asyncio.sleep(0)
    await store.close()
    assert await asyncio.gather(*started) == [True] * 150
    with pytest.raises(RuntimeError, match="closed"):
        await store.workspace("w").write(count)


async def test_a_log_is_whole_when_an_append_between_others_is_undone(store: Store) -> None:
    ledger = Ledger(Signer(os.urandom(32)), host="localhost", now=utc_now)
    workspace_id = new_id()

    def append(tx: Tx, *, fails: bool = False) -> int:
        for number in range(2):
            ledger.append(
                tx,
                workspace_id=workspace_id,
                receipt_id=new_id(),
                principal="user:a",
                action=AuditAction.KNOWLEDGE_WRITTEN,
                kind=Kind.CHANGE,
                resource="note",
                fields=ReceiptFields(args={"n": number}, output={"n": number}),
                now=utc_now(),
            )
        event_rows.append(tx, workspace_id=workspace_id, kind="note.created", ref=new_id(), payload={}, now=utc_now())
        if fails:
            raise ValueError("no")
        return log_rows.head(tx, workspace_id, lock=True).size

    units: list[Unit] = [lambda tx, fails=n % 3 == 1: append(tx, fails=fails) for n in range(9)]  # type: ignore[misc]
    answers = await together(store, units, name=workspace_id)
    assert [a for a in answers if not isinstance(a, ValueError)] == [2, 4, 6, 8, 10, 12]

    def check(tx: Tx) -> list[int]:
        head = log_rows.head(tx, workspace_id)
        rows = receipt_rows.rows_between(tx, workspace_id, start=0, end=head.size)
        assert [row.idx for row in rows] == list(range(12))
        root = merkle.Frontier.from_bytes(head.size, head.frontier).root()
        assert merkle.root(head.size, ledger.nodes(tx, workspace_id)) == root
        assert all(len(payload_rows.of_receipt(tx, workspace_id, row.id)) == 2 for row in rows)
        assert ledger.check_at_start(tx) == {}
        return [event.seq for event in event_rows.after(tx, workspace_id, 0)]

    assert await store.read(check) == [1, 2, 3, 4, 5, 6]


async def test_more_events_than_fit_into_a_statement_are_numbered_without_gaps(store: Store) -> None:
    workspace_id = new_id()
    many = 2 * event_rows.AT_ONCE + 3

    def work(tx: Tx) -> None:
        for number in range(many):
            event_rows.append(
                tx, workspace_id=workspace_id, kind="k", ref=new_id(), payload={"n": number}, now=utc_now()
            )

    await store.write(work)
    await store.write(work)
    found = await store.read(lambda tx: event_rows.after(tx, workspace_id, 0))
    assert [(e.seq, e.payload["n"]) for e in found] == [(n + 1, n % many) for n in range(2 * many)]


async def test_a_server_that_dropped_its_connections_is_asked_again(tmp_path: Path) -> None:
    """Pooled connections are not asked before each use whether they still live; a dead one must not be noticed."""
    url = fresh_url("postgres", tmp_path)
    store = Store(url)
    try:
        await asyncio.gather(*(store.write(lambda tx, n=n: add(tx, f"{n}")) for n in range(12)))  # type: ignore[misc]
        for number, work in enumerate((store.write, store.read)):
            with psycopg.connect(url.replace("+psycopg", ""), autocommit=True) as admin:
                admin.execute(
                    "SELECT pg_terminate_backend(pid, 20000) FROM pg_stat_activity"
                    " WHERE datname = current_database() AND pid <> pg_backend_pid()"
                )
            answers = await asyncio.gather(*(work(count) for _ in range(12)))
            assert answers == [12 + number] * 12
            assert await store.workspace("w").write(lambda tx, number=number: add(tx, f"after-{number}")) is True  # type: ignore[misc]
    finally:
        await store.close()
