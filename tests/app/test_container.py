"""What opening the services leaves on the disk."""

import stat
from pathlib import Path

from app.container import open_services
from app.settings import load_settings


async def test_nobody_else_reads_the_database_nor_what_sqlite_keeps_beside_it(tmp_path: Path) -> None:
    settings = load_settings(_env_file=None, pilot_data_dir=tmp_path / "data")
    async with open_services(settings):
        data = settings.pilot_data_dir
        modes = {one.name: stat.S_IMODE(one.stat().st_mode) for one in data.rglob("*") if one.is_file()}
        folders = {stat.S_IMODE(one.stat().st_mode) for one in (data, *data.rglob("*")) if one.is_dir()}
    assert folders == {0o700}
    assert {"pilot.db", "pilot.db-wal", "pilot.db-shm"} <= set(modes)
    assert set(modes.values()) == {0o600}
