"""Holds on the store: who is there is named, who has to be alone is, and a dead process holds nothing."""

import os
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest
from alembic import command

from storage.database import Store
from storage.installation.file_hold import FileHold
from storage.installation.hold import MIGRATING, Hold, InUse, Mode
from storage.installation.holds import hold_on, holders
from storage.installation.postgres_hold import CHANNEL, PostgresHold
from storage.migrate import WrongSchema, bring_up, migration_config, newest, revision
from tests.databases import fresh_url
from tests.processes import ROOT

# a process that takes a hold, says so, and keeps it until it is killed
HOLDER = """
import sys, time
from storage.installation.hold import Mode
from storage.installation.holds import hold_on
hold = hold_on(sys.argv[1], what=sys.argv[2])
hold.take(Mode(sys.argv[3]), patience=20)
print("held", flush=True)
time.sleep(600)
"""


@pytest.fixture(params=["sqlite", "postgres"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return fresh_url(request.param, tmp_path)


@pytest.fixture
def postgres(tmp_path: Path) -> str:
    return fresh_url("postgres", tmp_path)


@contextmanager
def held(url: str, what: str, mode: Mode = Mode.SHARED, **more: Any) -> Iterator[Hold]:
    hold = hold_on(url, what=what)
    hold.take(mode, **more)
    try:
        yield hold
    finally:
        hold.release()


@contextmanager
def another_process(*words: str) -> Iterator[subprocess.Popen[str]]:
    """A process that runs a program and has said that it is ready."""
    process = subprocess.Popen([sys.executable, "-c", *words], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        assert process.stdout.readline().strip() == "held"
        yield process
    finally:
        process.kill()
        process.wait(30)


def refused(url: str, what: str, mode: Mode, **more: Any) -> InUse:
    with pytest.raises(InUse) as caught:
        hold_on(url, what=what).take(mode, **{"patience": 0.2, **more})
    return caught.value


def direct(url: str) -> psycopg.Connection[Any]:
    return psycopg.connect(url.replace("postgresql+psycopg://", "postgresql://"), autocommit=True)


def test_many_share_it_and_one_is_alone(url: str) -> None:
    with held(url, "serve (web)"), held(url, "serve (worker)"):
        error = refused(url, "restore", Mode.ALONE)
        assert [(one.what, one.pid, one.alone) for one in error.holders] == [
            ("serve (web)", os.getpid(), False),
            ("serve (worker)", os.getpid(), False),
        ]
        assert all(one.since is not None and one.host for one in error.holders)
        assert str(error).startswith("restore must have the store to itself, and it is in use by serve (web), pid ")
        assert str(error).endswith("; nothing was changed")
        assert "\n" not in str(error)
    with held(url, "restore", Mode.ALONE):
        for mode in Mode:
            error = refused(url, "serve (all)", mode)
            assert [(one.what, one.alone) for one in error.holders] == [("restore", True)]
        assert "does not begin: the store is held by restore, pid" in str(refused(url, "serve (all)", Mode.SHARED))
    assert holders(url) == []
    with held(url, "restore", Mode.ALONE):
        pass


def test_whoever_comes_meanwhile_waits_for_a_while(url: str) -> None:
    alone = hold_on(url, what="restore")
    alone.take(Mode.ALONE)
    coming = hold_on(url, what="serve (all)")
    waiting = threading.Thread(target=lambda: coming.take(Mode.SHARED, patience=60))
    waiting.start()
    assert coming.mode is None
    alone.release()
    waiting.join(60)
    assert coming.mode is Mode.SHARED
    coming.release()


@pytest.mark.parametrize("mode", list(Mode))
def test_a_process_that_was_killed_holds_nothing(url: str, mode: Mode) -> None:
    with another_process(HOLDER, url, "serve (all)", mode) as process:
        [holder] = refused(url, "restore", Mode.ALONE).holders
        assert (holder.what, holder.pid, holder.alone) == ("serve (all)", process.pid, mode is Mode.ALONE)
        process.kill()
        process.wait(30)
        with held(url, "restore", Mode.ALONE, patience=20):
            assert holders(url)[0].what == "restore"
    assert holders(url) == []


def test_a_migration_is_waited_for_longer(url: str) -> None:
    hold = hold_on(url, what="serve (all)")
    hold.take(Mode.ALONE, doing=MIGRATING)
    coming = hold_on(url, what="serve (all)")
    trouble: list[BaseException] = []

    def come() -> None:
        try:
            coming.take(Mode.SHARED, patience=0)
        except InUse as error:
            trouble.append(error)

    waiting = threading.Thread(target=come)
    waiting.start()
    waiting.join(0.5)
    hold.release()
    waiting.join(60)
    assert trouble == []
    assert coming.mode is Mode.SHARED
    coming.release()


def test_what_was_let_go_while_it_was_looked_at_is_taken(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    hold = hold_on(url, what="serve (all)")
    hold.take(Mode.ALONE)
    coming = hold_on(url, what="serve (all)")
    look = coming.others

    def let_go() -> Any:
        if hold.mode is not None:
            hold.release()
        return look()

    monkeypatch.setattr(coming, "others", let_go)
    coming.take(Mode.SHARED, patience=0)
    assert coming.mode is Mode.SHARED
    coming.release()


def test_one_server_on_sqlite_and_several_on_postgres(url: str) -> None:
    with held(url, "serve (worker)", serving=True):
        with held(url, "admin list"):
            pass
        if url.startswith("sqlite"):
            error = refused(url, "serve (web)", Mode.SHARED, serving=True)
            assert "on SQLite one server runs at a time, and there is serve (worker), pid" in str(error)
        else:
            with held(url, "serve (web)", serving=True):
                assert len(holders(url)) == 2


# --- SQLite -----------------------------------------------------------------------------------------


def test_another_spelling_of_the_path_is_the_same_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = tmp_path / "data" / "pilot.db"
    place.parent.mkdir()
    sqlite3.connect(place).close()
    (tmp_path / "folder").symlink_to(place.parent)
    (tmp_path / "file.db").symlink_to(place)
    monkeypatch.chdir(tmp_path)
    with held(f"sqlite:///{place}", "serve (all)"):
        for other in ("data/pilot.db", "folder/pilot.db", "file.db", "data/../data/pilot.db", f"{tmp_path}/file.db"):
            assert refused(f"sqlite:///{other}", "restore", Mode.ALONE, patience=0).holders, other
        # a store beside it is another one
        with held(f"sqlite:///{place.with_name('other.db')}", "restore", Mode.ALONE):
            pass


def test_it_lasts_when_the_database_is_replaced_and_says_so(tmp_path: Path) -> None:
    url = fresh_url("sqlite", tmp_path)
    place = Path(url.removeprefix("sqlite:///"))
    with held(url, "serve (all)") as hold:
        hold.mark()
        assert hold.trouble() is None
        fresh = tmp_path / "fresh"
        fresh.write_bytes(place.read_bytes())
        fresh.replace(place)
        assert "was replaced or removed" in str(hold.trouble())
        refused(url, "restore", Mode.ALONE)
        place.unlink()
        assert "was replaced or removed" in str(hold.trouble())
        refused(url, "restore", Mode.ALONE)


OPENER = """
import sqlite3, sys, time
connection = sqlite3.connect(sys.argv[1])
connection.execute("PRAGMA journal_mode=WAL")
connection.execute("SELECT count(*) FROM alembic_version").fetchone()
print("held", flush=True)
time.sleep(600)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="asks the Linux kernel")
def test_who_has_the_file_open_without_holding_it_is_found(tmp_path: Path) -> None:
    url = fresh_url("sqlite", tmp_path)
    with another_process(OPENER, url.removeprefix("sqlite:///")) as process:
        error = refused(url, "restore", Mode.ALONE)
        assert f"a process that has the database open ({sys.executable} -c" in str(error)
        assert f"pid {process.pid}" in str(error)
        # beside it one may work
        with held(url, "serve (all)", serving=True):
            pass
    with held(url, "restore", Mode.ALONE):
        pass


def test_what_the_dead_left_is_tidied_up(tmp_path: Path) -> None:
    url = fresh_url("sqlite", tmp_path)
    hold = hold_on(url, what="restore")
    assert isinstance(hold, FileHold)
    with another_process(HOLDER, url, "serve (all)", Mode.SHARED):
        assert len(list(hold.folder.iterdir())) == 2
    (hold.folder / "no-holder").write_text("what somebody put there")
    with held(url, "serve (all)"):
        assert holders(url)[0].pid == os.getpid()
        assert len(list(hold.folder.iterdir())) == 2
    assert [path.name for path in hold.folder.iterdir()] == ["hold"]


# --- Postgres ---------------------------------------------------------------------------------------


def test_a_version_that_held_nothing_is_found_on_postgres(postgres: str) -> None:
    with direct(postgres) as older:
        older.execute(f"LISTEN {CHANNEL}".encode())
        error = refused(postgres, "restore", Mode.ALONE)
        assert [one.what for one in error.holders] == ["a process of an older version"]
        with held(postgres, "serve (all)"):
            pass
    with held(postgres, "restore", Mode.ALONE, patience=20):
        pass


def test_schemas_of_one_database_are_stores_of_their_own(postgres: str) -> None:
    with direct(postgres) as connection:
        connection.execute("CREATE SCHEMA other")
    other = f"{postgres}&options=-csearch_path%3Dother"
    with held(postgres, "serve (all)"), held(other, "restore", Mode.ALONE):
        assert refused(other, "serve (all)", Mode.SHARED).holders[0].what == "restore"


def cut_off(url: str) -> Callable[[Hold], None]:
    """Ends the connection that holds the store, as when Postgres is started again."""

    def cut(hold: Hold) -> None:
        assert isinstance(hold, PostgresHold)
        assert hold._session is not None
        with direct(url) as connection:
            connection.execute("SELECT pg_terminate_backend(%s, 10000)", (hold._session.info.backend_pid,))

    return cut


def test_a_hold_that_was_lost_is_taken_again(postgres: str) -> None:
    with held(postgres, "serve (all)") as hold:
        hold.mark()
        alarm = hold.alarm()
        cut_off(postgres)(hold)
        assert hold.alarm() == alarm
        assert hold.trouble() is None
        assert hold.firm
        assert [one.what for one in refused(postgres, "restore", Mode.ALONE).holders] == ["serve (all)"]


def test_a_hold_that_was_lost_to_somebody_is_given_up(postgres: str) -> None:
    with held(postgres, "serve (all)") as hold:
        hold.mark()
        cut_off(postgres)(hold)
        with held(postgres, "restore", Mode.ALONE, patience=20):
            said = hold.trouble()
            assert said is not None
            assert said.startswith("the connection that held the store was lost, and restore, pid ")


@pytest.mark.parametrize(
    "change",
    [
        "DROP TABLE alembic_version; CREATE TABLE alembic_version (version_num text)",
        "UPDATE alembic_version SET version_num = '9999'",
        "DROP TABLE alembic_version",
    ],
)
def test_a_store_that_was_changed_meanwhile_is_not_gone_on_with(postgres: str, change: str) -> None:
    with held(postgres, "serve (all)") as hold:
        hold.mark()
        cut_off(postgres)(hold)
        with direct(postgres) as connection:
            connection.execute(change.encode())
        assert "another store was put in its place" in str(hold.trouble())


def test_a_transaction_that_works_for_a_hold_outlives_it(postgres: str) -> None:
    with held(postgres, "restore", Mode.ALONE) as hold:
        assert isinstance(hold, PostgresHold)
        statement, names = hold.lend()
        child = psycopg.connect(
            postgres.replace("postgresql+psycopg://", "postgresql://"), application_name=names["PGAPPNAME"]
        )
        child.execute(statement.encode())
    # the process that gave the command is gone, what it began is not
    with closing(child):
        assert [one.what for one in refused(postgres, "serve (all)", Mode.SHARED).holders] == ["restore"]
        assert [one.what for one in refused(postgres, "restore", Mode.ALONE).holders] == ["restore"]
        child.commit()
    with held(postgres, "serve (all)"):
        pass


# --- migrations -------------------------------------------------------------------------------------


def older(kind: str, folder: Path) -> str:
    """A store whose schema is not of this version."""
    url = fresh_url(kind, folder, migrated=False)
    store = Store(url)
    with store.engine.begin() as connection:
        command.upgrade(migration_config(connection), "0003")
    store.abandon()
    return url


@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
def test_nobody_migrates_under_a_process_of_the_version_before(kind: str, tmp_path: Path) -> None:
    url = older(kind, tmp_path)
    coming = hold_on(url, what="serve (all)")
    with held(url, "serve (worker)"):
        with pytest.raises(InUse) as caught:
            bring_up(coming, upgrade=True)
        assert str(caught.value).startswith(
            f"serve (all) has to bring the database from 0003 to {newest()} first, and the store is in use by serve (worker), "
        )
        assert coming.mode is None
        assert revision(url) == "0003"
    with pytest.raises(WrongSchema, match="run pilot migrate"):
        bring_up(coming, upgrade=False)
    bring_up(coming, upgrade=True)
    assert (coming.mode, revision(url)) == (Mode.SHARED, newest())
    coming.release()


@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
def test_several_that_begin_at_once_migrate_once(kind: str, tmp_path: Path) -> None:
    url = fresh_url(kind, tmp_path, migrated=False)
    all_of_them = [hold_on(url, what=f"program {number}") for number in range(4)]
    threads = [threading.Thread(target=bring_up, args=(hold,), kwargs={"upgrade": True}) for hold in all_of_them]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    assert [hold.mode for hold in all_of_them] == [Mode.SHARED] * 4
    assert revision(url) == newest()
    for hold in all_of_them:
        hold.release()


@pytest.mark.parametrize("upgrade", [True, False])
def test_a_newer_schema_is_left_alone(url: str, upgrade: bool) -> None:
    store = Store(url)
    with store.engine.begin() as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
    store.abandon()
    with pytest.raises(WrongSchema, match="was used by a newer one"):
        bring_up(hold_on(url, what="serve (all)"), upgrade=upgrade)
    assert revision(url) == "9999"
    assert holders(url) == []


def test_a_reader_makes_no_store(tmp_path: Path) -> None:
    place = tmp_path / "pilot.db"
    with pytest.raises(WrongSchema, match="there is no database yet"):
        bring_up(hold_on(f"sqlite:///{place}", what="replay"), upgrade=False)
    assert not place.exists()
