"""Backups: SQLite's online copy, Postgres by its own programs. What is not whole yet, nobody else gets at."""

import os
import shutil
import sqlite3
import subprocess
from contextlib import closing
from pathlib import Path
from typing import Any

from sqlalchemy.engine import make_url

from app.holding import holding
from app.settings import Settings
from app.store_use import Use
from storage import private
from storage.installation.postgres_hold import PostgresHold
from storage.migrate import check_not_newer, emptied, newest, restored

SQLITE = "sqlite:///"


class BackupError(Exception):
    """It could not be done; the database is as it was. The text says why."""


def backup_to(settings: Settings, target: Path) -> dict[str, Any]:
    """Write a consistent copy of the database to the new file `target`; what was written.

    The file is there whole or not at all. BackupError leaves none behind.
    """
    if os.path.lexists(target):
        raise BackupError(f"{target} exists already")
    if not target.parent.is_dir():
        raise BackupError(f"{target.parent} is no folder")
    sqlite = settings.store_url.startswith(SQLITE)
    if sqlite and not _file(settings).exists():
        raise BackupError("there is no database yet")
    dump = "" if sqlite else _program("pg_dump")
    try:
        with holding(settings, name="backup", use=Use.READS), private.workshop(target.parent) as shop:
            made = shop / "copy"
            os.close(private.open_new(made))
            if sqlite:
                private.database(_file(settings))
                _copy(_file(settings), made, how="mode=rw")
                said = "integrity ok"
            else:
                _run([dump, "--format=custom", f"--file={made}", *_at(settings)], _password(settings))
                said = "a dump for pg_restore"
            size = made.stat().st_size
            private.give(made, target)
    except FileExistsError:
        raise BackupError(f"{target} exists already") from None
    except OSError as error:
        raise BackupError(f"{target} cannot be written: {error.strerror or error}") from error
    return {
        "file": str(target),
        "bytes": size,
        "said": f"{target} ({size:,} bytes, {said}). The secrets in the data directory are not in it.",
    }


def restore_from(settings: Settings, source: Path) -> dict[str, Any]:
    """Put the copy in the database's place; what was done. BackupError when it is no whole copy.

    Killed at any moment it leaves the store of before or the one of the copy. InUse while anybody holds the store.
    """
    if settings.store_url.startswith(SQLITE):
        place = Path(os.path.realpath(_file(settings)))
        private.folder(place.parent)
        with holding(settings, name="restore", use=Use.ALONE):
            _put_file(source, place)
    else:
        programs = _program("pg_restore"), _program("psql")
        with holding(settings, name="restore", use=Use.ALONE) as hold:
            assert isinstance(hold, PostgresHold)
            _put_dump(settings, source, *programs, hold)
    return {
        "file": str(source),
        "said": f"{source} was put in the database's place. At the next start the ledger is checked against its own"
        " checkpoints; whether it lacks what came after the backup, only a checkpoint kept elsewhere can tell.",
    }


# --- SQLite -----------------------------------------------------------------------------------------


def _file(settings: Settings) -> Path:
    return Path(settings.store_url.removeprefix(SQLITE))


def _copy(source: Path, target: Path, *, how: str) -> None:
    """A consistent copy in the one file `target`, which is there and empty. `how` SQLite opens the source."""
    try:
        with (
            closing(sqlite3.connect(_uri(source, how), uri=True)) as live,
            closing(sqlite3.connect(target)) as copy,
        ):
            live.backup(copy)
            # whoever looks at the copy needs no files beside it
            copy.execute("PRAGMA journal_mode=DELETE")
    except sqlite3.Error as error:
        raise BackupError(f"the copy failed: {error}") from error
    _check(target)


def _uri(file: Path, how: str) -> str:
    return f"{file.absolute().as_uri()}?{how}"


def _check(file: Path) -> None:
    """BackupError unless it is a whole database of Pilot, not of a newer version. Nothing is made beside it."""
    try:
        with closing(sqlite3.connect(_uri(file, "mode=ro&immutable=1"), uri=True)) as copy:
            found = copy.execute("PRAGMA integrity_check").fetchone()[0]
            known = copy.execute("SELECT count(*) FROM sqlite_master WHERE name = 'alembic_version'").fetchone()[0]
            version = copy.execute("SELECT version_num FROM alembic_version").fetchone() if known else None
    except sqlite3.Error as error:
        raise BackupError(f"{file} is damaged or no database: {error}") from error
    if found != "ok":
        raise BackupError(f"{file} is damaged: {found}")
    if version is None:
        raise BackupError(f"{file} is no database of Pilot")
    if version[0] > newest():
        raise BackupError(f"{file} is of a newer version of Pilot: it is at {version[0]}, this one knows {newest()}")


def _put_file(source: Path, place: Path) -> None:
    """Put a copy of `source` in the place of the database.

    The one step that others see is a rename. Before it, everything that lies beside the present database is taken into
    it: a log (WAL) of the one must never meet the file of the other.
    """
    how = "mode=ro&immutable=1"
    log = source.with_name(f"{source.name}-wal")
    if log.exists() and log.stat().st_size > 0:
        # no backup of ours, but a database that was copied with its log: it is whole only with it
        how = "mode=ro"
    else:
        _check(source)
    # its name is always the same: what a restore that was killed left behind goes with the next one
    shop = place.with_name(f"{place.name}.restoring")
    if shop.is_dir() and not shop.is_symlink():
        shutil.rmtree(shop)
    else:
        shop.unlink(missing_ok=True)
    try:
        private.folder(shop)
        fresh = shop / place.name
        os.close(private.open_new(fresh))
        _copy(source, fresh, how=how)
        private.owned_like(fresh, place if place.exists() else place.parent)
        with fresh.open("rb") as file:
            os.fsync(file.fileno())
        _settle(place, shop)
        fresh.replace(place)
        private.sync_folder(place.parent)
    except OSError as error:
        raise BackupError(f"{place} cannot be replaced: {error.strerror or error}") from error
    finally:
        shutil.rmtree(shop, ignore_errors=True)


def _settle(place: Path, shop: Path) -> None:
    """Take what lies beside the present database into it, so that it is whole by itself and nothing else is there."""
    if place.exists():
        try:
            with closing(sqlite3.connect(_uri(place, "mode=rw"), uri=True, timeout=5)) as present:
                present.execute("PRAGMA journal_mode=DELETE").fetchone()
        except sqlite3.Error as error:
            if "locked" in str(error):
                raise BackupError(f"another program has {place} open") from error
            # it is damaged, which is a reason to restore: nothing can be taken into it
    for number, path in enumerate(private.side_files(place)):
        if path.exists():
            path.replace(shop / f"beside-{number}")


# --- Postgres ---------------------------------------------------------------------------------------


def _put_dump(settings: Settings, source: Path, pg_restore: str, psql: str, hold: PostgresHold) -> None:
    """Load a dump in one transaction, in which everything of Pilot's that is there goes first.

    What the dump does not know of, tables of a newer version, would stay otherwise, and stand in that version's way.
    """
    check_not_newer(settings.store_url)
    data = private.folder(settings.pilot_data_dir.absolute())
    with private.workshop(data) as shop:
        before, script, after = (shop / name for name in ("before.sql", "dump.sql", "after.sql"))
        claim, name = hold.lend()
        for path, text in ((before, claim + emptied()), (script, ""), (after, restored())):
            private.replace(path, text)
        # written to its end before anything is done: of a dump that breaks off nothing is loaded
        _run([pg_restore, "--clean", "--if-exists", "--no-owner", f"--file={script}", str(source)])
        words = ["--no-psqlrc", "--quiet", "--single-transaction", "--set=ON_ERROR_STOP=1"]
        files = [f"--file={path}" for path in (before, script, after)]
        _run([psql, *words, *files, *_at(settings)], _password(settings) | name)


def _program(name: str) -> str:
    found = shutil.which(name)
    if found is None:
        raise BackupError(f"{name} is not installed: it comes with Postgres' client programs")
    return found


def _at(settings: Settings) -> list[str]:
    """Our database as an argument; the command line, which others see, has no password."""
    place = make_url(settings.store_url).set(drivername="postgresql", password=None)
    return [f"--dbname={place.render_as_string(hide_password=False)}"]


def _password(settings: Settings) -> dict[str, str]:
    password = make_url(settings.store_url).password
    return {} if password is None else {"PGPASSWORD": str(password)}


def _run(words: list[str], more: dict[str, str] | None = None) -> None:
    """Run one of Postgres' own programs; BackupError with its first word of complaint."""
    done = subprocess.run(  # noqa: S603 - our own arguments
        words,
        env={**os.environ, **(more or {})},
        capture_output=True,
        text=True,
        check=False,
        # what it makes besides what we made for it
        umask=0o077,
    )
    if done.returncode != 0:
        first = (done.stderr.strip().splitlines() or ["no reason given"])[0]
        raise BackupError(f"{Path(words[0]).name} failed: {first}")
