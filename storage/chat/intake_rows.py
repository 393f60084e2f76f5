"""How updates come in: the last word of the process that fetches them."""

from datetime import datetime

import sqlalchemy as sa

from domain.chat.updates import IntakeState
from storage.tables import intake
from storage.transaction import Tx
from storage.values import columns_of, to_value

COLUMNS = columns_of(intake, IntakeState)


def put(tx: Tx, name: str, *, way: str, word: str, detail: str, well: bool, now: datetime) -> None:
    """Keep the newest word; when it last went well stays known."""
    tx.insert_if_absent(
        intake, {"name": name, "way": way, "word": word, "detail": "", "updated_at": now}, key=("name",)
    )
    values = {"way": way, "word": word, "detail": detail[:500], "updated_at": now}
    tx.execute(sa.update(intake).where(intake.c.name == name).values({**values, **({"well_at": now} if well else {})}))


def get(tx: Tx, name: str) -> IntakeState | None:
    """The newest word, None before there was one."""
    row = tx.one(sa.select(*COLUMNS).where(intake.c.name == name))
    return None if row is None else to_value(IntakeState, row)
