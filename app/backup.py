"""Backups: SQLite's online copy, Postgres by its own dump."""

import os
import shutil
import sqlite3
import subprocess
from pathlib import Path
from typing import Any

from sqlalchemy.engine import make_url

from app.settings import Settings

SQLITE = "sqlite:///"


class BackupError(Exception):
    """It could not be done; the database is as it was. The text says why."""


def backup_to(settings: Settings, target: Path) -> dict[str, Any]:
    """Write a consistent copy of the database to the new file `target`; what was written.

    BackupError leaves no file behind.
    """
    if target.exists():
        raise BackupError(f"{target} exists already")
    if not target.parent.is_dir():
        raise BackupError(f"{target.parent} is no folder")
    try:
        if settings.store_url.startswith(SQLITE):
            _copy(_file(settings), target)
            said = "integrity ok"
        else:
            _postgres(settings, "pg_dump", "--format=custom", f"--file={target}")
            said = "a dump for pg_restore"
        target.chmod(0o600)
    except BaseException:
        target.unlink(missing_ok=True)
        raise
    size = target.stat().st_size
    return {
        "file": str(target),
        "bytes": size,
        "said": f"{target} ({size:,} bytes, {said}). The secrets in the data directory are not in it.",
    }


def restore_from(settings: Settings, source: Path) -> dict[str, Any]:
    """Put the copy in the database's place; what was done. BackupError when it is no whole copy."""
    if settings.store_url.startswith(SQLITE):
        _check(source)
        place = _file(settings)
        place.parent.mkdir(parents=True, exist_ok=True)
        fresh = place.with_name(place.name + ".restoring")
        shutil.copyfile(source, fresh)
        fresh.chmod(0o600)
        for leftover in (place.with_name(place.name + "-wal"), place.with_name(place.name + "-shm")):
            leftover.unlink(missing_ok=True)
        fresh.replace(place)
    else:
        # whole or not at all: the present tables stay when it fails
        _postgres(settings, "pg_restore", "--clean", "--if-exists", "--single-transaction", str(source))
    return {
        "file": str(source),
        "said": f"{source} was put in the database's place. At the next start the ledger is checked against its own"
        " checkpoints; whether it lacks what came after the backup, only a checkpoint kept elsewhere can tell.",
    }


def _file(settings: Settings) -> Path:
    return Path(settings.store_url.removeprefix(SQLITE))


def _copy(source: Path, target: Path) -> None:
    if not source.exists():
        raise BackupError("there is no database yet")
    try:
        with sqlite3.connect(source) as live, sqlite3.connect(target) as copy:
            live.backup(copy)
    except sqlite3.Error as error:
        raise BackupError(f"the copy failed: {error}") from error
    _check(target)


def _check(file: Path) -> None:
    """BackupError unless the file is a whole database of Pilot."""
    try:
        with sqlite3.connect(f"file:{file}?mode=ro", uri=True) as copy:
            found = copy.execute("PRAGMA integrity_check").fetchone()[0]
            known = copy.execute("SELECT count(*) FROM sqlite_master WHERE name = 'alembic_version'").fetchone()[0]
    except sqlite3.Error as error:
        raise BackupError(f"{file} is damaged or no database: {error}") from error
    if found != "ok":
        raise BackupError(f"{file} is damaged: {found}")
    if not known:
        raise BackupError(f"{file} is no database of Pilot")


def _postgres(settings: Settings, program: str, *arguments: str) -> None:
    """Run one of Postgres' own programs on our database. Its command line, which others see, has no password."""
    found = shutil.which(program)
    if found is None:
        raise BackupError(f"{program} is not installed: it comes with Postgres' client programs")
    url = make_url(settings.store_url)
    place = url.set(drivername="postgresql", password=None).render_as_string(hide_password=False)
    done = subprocess.run(  # noqa: S603 - our own arguments
        [found, *arguments, f"--dbname={place}"],
        env={**os.environ, **({} if url.password is None else {"PGPASSWORD": str(url.password)})},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        first = (done.stderr.strip().splitlines() or ["no reason given"])[0]
        raise BackupError(f"{program} failed: {first}")
