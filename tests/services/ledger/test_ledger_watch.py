"""Whatever is changed behind the ledger's back is found, and the log takes nothing more."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
import sqlalchemy as sa

from domain.journal.workspace import KnowledgeWritten
from services.ledger.append import DamagedLog
from services.ledger.watch import LedgerWatch
from storage.tables import log_heads, log_nodes, receipts
from storage.transaction import Tx
from tests.kit import Kit, open_kit

AT = 11


@pytest.fixture
async def kit(url: str) -> AsyncIterator[Kit]:
    async with open_kit(url) as opened:
        yield opened


async def grow(kit: Kit, count: int) -> None:
    def work(tx: Tx) -> None:
        for n in range(count):
            entry = KnowledgeWritten(
                workspace_id=kit.owner.in_workspace, actor=kit.owner.principal, note_id=f"note {n}", what="written"
            )
            kit.recorder.record(tx, entry)

    await kit.store.write(work)


def other_leaf(tx: Tx) -> Any:
    leaf = bytes(tx.scalar(sa.select(receipts.c.leaf).where(receipts.c.idx == AT)))
    other = leaf.replace(b'"timestamp":"2', b'"timestamp":"3', 1)
    assert other != leaf
    return sa.update(receipts).where(receipts.c.idx == AT).values(leaf=other)


DAMAGE = {
    "receipt 11 was changed": other_leaf,
    "receipt 11 is missing": lambda _: sa.delete(receipts).where(receipts.c.idx == AT),
    "receipt 19 is missing": lambda _: sa.delete(receipts).where(receipts.c.idx == 19),
    "receipt 11 is listed with another verdict": lambda _: (
        sa.update(receipts).where(receipts.c.idx == AT).values(verdict="DENY")
    ),
    "receipt 11 is listed with another executor_id": lambda _: (
        sa.update(receipts).where(receipts.c.idx == AT).values(principal="user:somebody")
    ),
    "node 1 of level 2": lambda _: (
        sa.update(log_nodes).where(log_nodes.c.level == 2, log_nodes.c.idx == 1).values(hash=bytes(32))
    ),
    "the head of the log": lambda _: sa.update(log_heads).values(frontier=bytes(32 * (20).bit_count())),
}


@pytest.mark.parametrize("said", DAMAGE)
async def test_damage_is_found_and_closes_the_log(kit: Kit, said: str) -> None:
    size = await kit.store.read(lambda tx: int(tx.scalar(sa.select(log_heads.c.size)) or 0))
    await grow(kit, 20 - size)
    place = kit.owner.in_workspace
    await LedgerWatch(kit.store, kit.ledger).look()
    assert kit.ledger.damaged == {}
    await kit.store.write(lambda tx: tx.execute(DAMAGE[said](tx)))
    await LedgerWatch(kit.store, kit.ledger).look()
    assert kit.ledger.damaged[place].startswith(said)
    with pytest.raises(DamagedLog):
        await grow(kit, 1)


async def test_what_was_read_is_not_read_again_and_what_is_new_is(kit: Kit) -> None:
    watch = LedgerWatch(kit.store, kit.ledger)
    await grow(kit, 1300)
    await watch.look()
    await grow(kit, 10)
    await watch.look()
    assert kit.ledger.damaged == {}
    await grow(kit, 3)
    await kit.store.write(
        lambda tx: tx.execute(sa.update(receipts).where(receipts.c.idx == 1311).values(verdict="DENY"))
    )
    await watch.look()
    assert "receipt 1311" in kit.ledger.damaged[kit.owner.in_workspace]
