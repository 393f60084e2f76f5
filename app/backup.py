"""Backups: SQLite's online copy, Postgres by its own dump."""

import shutil
import sqlite3
import subprocess
from pathlib import Path

from app.settings import Settings

SQLITE = "sqlite:///"


def backup_to(settings: Settings, target: Path) -> str:
    """Write a consistent copy of the database to `target`; what was written."""
    if settings.store_url.startswith(SQLITE):
        source = Path(settings.store_url.removeprefix(SQLITE))
        with sqlite3.connect(source) as live, sqlite3.connect(target) as copy:
            live.backup(copy)
            found = copy.execute("PRAGMA integrity_check").fetchone()[0]
        target.chmod(0o600)
        if found != "ok":
            target.unlink()
            raise SystemExit(f"the copy is damaged: {found}")
        size = target.stat().st_size
        return f"{target} ({size:,} bytes, integrity ok). The secrets in the data directory are not in it."
    _need("pg_dump")
    subprocess.run(  # noqa: S603 - our own arguments
        ["pg_dump", "--format=custom", f"--file={target}", f"--dbname={_plain(settings)}"],  # noqa: S607
        check=True,
    )
    target.chmod(0o600)
    return f"{target} ({target.stat().st_size:,} bytes)"


def restore_from(settings: Settings, source: Path) -> str:
    """Put the copy in the database's place; what was done."""
    if settings.store_url.startswith(SQLITE):
        with sqlite3.connect(source) as copy:
            found = copy.execute("PRAGMA integrity_check").fetchone()[0]
        if found != "ok":
            raise SystemExit(f"the backup is damaged: {found}")
        place = Path(settings.store_url.removeprefix(SQLITE))
        place.parent.mkdir(parents=True, exist_ok=True)
        for leftover in (place.with_name(place.name + "-wal"), place.with_name(place.name + "-shm")):
            leftover.unlink(missing_ok=True)
        fresh = place.with_name(place.name + ".restoring")
        shutil.copyfile(source, fresh)
        fresh.chmod(0o600)
        fresh.replace(place)
        return f"{place} is now the copy; the ledger is checked against its checkpoints at the next start"
    _need("pg_restore")
    subprocess.run(  # noqa: S603
        ["pg_restore", "--clean", "--if-exists", f"--dbname={_plain(settings)}", str(source)],  # noqa: S607
        check=True,
    )
    return "restored; the ledger is checked against its checkpoints at the next start"


def _plain(settings: Settings) -> str:
    return settings.store_url.replace("postgresql+psycopg://", "postgresql://")


def _need(program: str) -> None:
    if shutil.which(program) is None:
        raise SystemExit(f"{program} is not installed: it comes with Postgres' client programs")
