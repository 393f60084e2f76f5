"""A database for one purpose: empty, of the installation's kind, and gone afterwards."""

from pathlib import Path

import psycopg
import pytest
from sqlalchemy.engine import make_url

from storage.database import Store
from storage.installation.throwaway import throwaway_database
from storage.migrate import migrate
from tests.databases import fresh_url, postgres_uri


def databases() -> set[str]:
    with psycopg.connect(postgres_uri(), autocommit=True) as connection:
        return {str(row[0]) for row in connection.execute("SELECT datname FROM pg_database")}


@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
def test_it_is_empty_and_leaves_nothing(kind: str, tmp_path: Path) -> None:
    own = fresh_url(kind, tmp_path)
    before = databases()
    (tmp_path / "there").mkdir()
    with throwaway_database(own, tmp_path / "there") as url:
        assert url != own
        store = Store(url)
        assert migrate(store)
        store.abandon()
    assert databases() == before
    with pytest.raises(ZeroDivisionError), throwaway_database(own, tmp_path / "there"):
        raise ZeroDivisionError
    assert databases() == before


def test_an_account_that_may_not_make_one_is_told(tmp_path: Path) -> None:
    own = fresh_url("postgres", tmp_path, migrated=False)
    with psycopg.connect(postgres_uri(), autocommit=True) as connection:
        connection.execute("DROP ROLE IF EXISTS poor")
        connection.execute("CREATE ROLE poor LOGIN")
    poor = make_url(own).set(username="poor").render_as_string(hide_password=False)
    with pytest.raises(PermissionError), throwaway_database(poor, tmp_path):
        pass
