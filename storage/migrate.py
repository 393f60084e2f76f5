"""Brings a store's schema up to date, under a lock, so that several processes may start at once."""

from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine

from storage.database import Store
from storage.tables import metadata

# any number will do, as long as it is always this one
LOCK = 7_030_112_026


def migration_config(connection: Connection | None = None) -> Any:
    """Return Alembic's configuration for our migrations, working on `connection`."""
    from alembic.config import Config  # noqa: PLC0415 - only needed when there is something to migrate

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    config.attributes["connection"] = connection
    return config


def newest() -> str:
    """The revision this code expects, read from the file names: importing Alembic costs half a second."""
    return max(p.name.partition("_")[0] for p in (Path(__file__).parent / "migrations" / "versions").glob("0*.py"))


def current(connection: Connection) -> str | None:
    """The revision the store is at, None for an empty one."""
    if not sa.inspect(connection).has_table("alembic_version"):
        return None
    found = connection.execute(sa.text("SELECT version_num FROM alembic_version")).scalar()
    return None if found is None else str(found)


def migrate(store: Store) -> bool:
    """Bring the schema up to date; whether anything had to be done. Blocks: call it off the event loop."""
    with store.engine.connect() as connection:
        if current(connection) == newest():
            return False
        connection.rollback()
        _upgrade(store.engine)
    return True


def _upgrade(engine: Engine) -> None:
    from alembic import command  # noqa: PLC0415 - see migration_config

    with engine.begin() as connection:
        # On SQLite the transaction itself is the lock: it began immediate.
        if connection.dialect.name == "postgresql":
            connection.execute(sa.text("SELECT pg_advisory_xact_lock(:key)"), {"key": LOCK})
        if current(connection) != newest():
            command.upgrade(migration_config(connection), "head")


def differences(store: Store) -> list[Any]:
    """What the migrated store lacks or has too much of, compared with the tables (empty = they agree)."""
    from alembic.autogenerate import compare_metadata  # noqa: PLC0415
    from alembic.migration import MigrationContext  # noqa: PLC0415

    with store.engine.connect() as connection:
        context = MigrationContext.configure(
            connection,
            opts={
                "include_object": lambda _o, name, kind, _r, _c: not (kind == "table" and name not in metadata.tables)
            },
        )
        return list(compare_metadata(context, metadata))
