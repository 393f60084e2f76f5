"""Brings a store's schema up to date, under a lock, so that several processes may start at once."""

import time
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine, make_url

from storage.database import Store
from storage.installation.hold import MIGRATING, PATIENCE, Hold, InUse, Mode, StoreError
from storage.sqlite import sqlite_engine
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


class WrongSchema(StoreError):
    """The store's schema is not the one this code works with."""


def revision(url: str) -> str | None:
    """The revision of the store at `url`, None where there is none yet; nothing is made."""
    parsed = make_url(url)
    if parsed.get_backend_name() == "sqlite":
        path = Path(parsed.database or "pilot.db")
        if not path.exists():
            return None
        engine = sqlite_engine(path)
    else:
        engine = sa.create_engine(url, poolclass=sa.NullPool)
    try:
        with engine.connect() as connection:
            return current(connection)
    finally:
        engine.dispose()


def check_not_newer(url: str) -> str | None:
    """The revision of the store; WrongSchema for one that this code does not know."""
    at = revision(url)
    if at is not None and at > newest():
        raise WrongSchema(f"the database is at {at}, and this version knows {newest()}: it was used by a newer one")
    return at


def check_schema(url: str) -> None:
    """WrongSchema unless the store is what this code works with."""
    at = check_not_newer(url)
    if at is None:
        raise WrongSchema("there is no database yet: start Pilot, or run pilot migrate")
    if at < newest():
        raise WrongSchema(f"the database is at {at}, and this version works with {newest()}: run pilot migrate")


def bring_up_alone(url: str, *, upgrade: bool) -> None:
    """The schema this code works with, for whoever holds the store alone already; WrongSchema when it cannot be."""
    at = revision(url)
    if upgrade and (at is None or at < newest()):
        _upgrade_at(url)
    check_schema(url)


def bring_up(hold: Hold, *, upgrade: bool, serving: bool = False) -> None:
    """Hold the store, shared, with the schema this code works with.

    An older schema is brought up to date alone, when `upgrade` allows it: a process of the version before would go on
    with tables that are not what it knows. InUse while there is one, WrongSchema when the schema cannot be worked with.
    """
    ends = time.monotonic() + PATIENCE
    while True:
        hold.take(Mode.SHARED, serving=serving)
        try:
            at = check_not_newer(hold.url)
            if not upgrade or at == newest():
                check_schema(hold.url)
                return
        except BaseException:
            hold.release()
            raise
        hold.release()
        try:
            hold.take(Mode.ALONE, serving=serving, doing=MIGRATING)
        except InUse as error:
            # others that begin may have migrated it by now; if not, they are of the version before
            if time.monotonic() > ends:
                step = f"the database from {at or 'nothing'} to {newest()}"
                raise error.instead(f"{hold.what} has to bring {step} first") from error
            continue
        try:
            _upgrade_at(hold.url)
        finally:
            hold.release()


def _upgrade_at(url: str) -> bool:
    store = Store(url, readers=1, pool=1)
    try:
        return migrate(store)
    finally:
        store.abandon()


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


def emptied() -> str:
    """SQL for Postgres that takes everything of Pilot's out of a database, to be run before a dump is loaded."""
    names = [*metadata.tables, "alembic_version"]
    drops = [f'DROP TABLE IF EXISTS "{name}" CASCADE;' for name in names]
    return "\n".join(["SET client_min_messages = warning;", *drops, "DROP SCHEMA IF EXISTS dbos CASCADE;", ""])


def restored() -> str:
    """SQL for Postgres that fails unless what was loaded is a database this code can work with."""
    return """RESET search_path;
DO $$ BEGIN
IF to_regclass('alembic_version') IS NULL THEN RAISE EXCEPTION 'it is no database of Pilot'; END IF;
IF (SELECT max(version_num) FROM alembic_version) > 'NEWEST' THEN
RAISE EXCEPTION 'it is of a newer version of Pilot'; END IF;
END $$;
""".replace("NEWEST", newest())


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
