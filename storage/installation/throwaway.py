"""A database that is made for one purpose and gone afterwards, of the same kind as the installation's own."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy.engine import make_url

from domain.ids import new_id


@contextmanager
def throwaway_database(like: str, folder: Path) -> Iterator[str]:
    """The URL of an empty database: a file in `folder`, or a database beside the one at `like` on its Postgres.

    PermissionError when the account there may not make one.
    """
    if like.startswith("sqlite:"):
        yield f"sqlite:///{folder / 'pilot.db'}"
        return
    import psycopg  # noqa: PLC0415 - only where there is a Postgres

    url = make_url(like)
    admin = url.set(drivername="postgresql").render_as_string(hide_password=False)
    name = f"pilot_throwaway_{new_id().replace('-', '')}"
    try:
        with psycopg.connect(admin, autocommit=True) as connection:
            connection.execute(f'CREATE DATABASE "{name}"'.encode())
    except psycopg.errors.InsufficientPrivilege:
        raise PermissionError("the database account may not make a database to throw away") from None
    try:
        yield url.set(database=name).render_as_string(hide_password=False)
    finally:
        with psycopg.connect(admin, autocommit=True) as connection:
            connection.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)'.encode())
