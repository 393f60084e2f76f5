"""Taking up messages that a dead process had in hand."""

import sqlalchemy as sa

from storage.tables import outbox
from storage.transaction import Tx


def release(tx: Tx, *, channel: str) -> int:
    """Queue again what is claimed on a channel; only for a process that is alone. How many."""
    query = sa.update(outbox).where(outbox.c.channel == channel, outbox.c.state == "claimed")
    return tx.execute(query.values(state="queued", claimed_until=None)).rowcount
