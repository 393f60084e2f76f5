"""Writes the next migration, from what the tables have and the migrations so far lack: `make migration name=...`."""

import re
import sys
import tempfile
from pathlib import Path

from alembic import command

from storage.database import Store
from storage.migrate import migrate, migration_config, newest


def write(name: str) -> Path:
    """Write the next numbered migration and return its path. Exits when the name is not lower_case_words."""
    if not re.fullmatch(r"[a-z][a-z0-9_]{2,40}", name):
        raise SystemExit("give a name in lower case, such as: make migration name=task_labels")
    number = f"{int(newest()) + 1:04d}"
    with tempfile.TemporaryDirectory() as folder:
        store = Store(f"sqlite:///{folder}/pilot.db")
        try:
            migrate(store)
            with store.engine.begin() as connection:
                config = migration_config(connection)
                config.set_main_option("file_template", "%%(rev)s_%%(slug)s")
                config.set_main_option("truncate_slug_length", "60")
                script = command.revision(config, message=name, autogenerate=True, rev_id=number)
        finally:
            store.abandon()
    return Path(script.path)


if __name__ == "__main__":
    path = write(sys.argv[1] if len(sys.argv) > 1 else "")
    print(f"wrote {path.relative_to(Path.cwd())}; read it, add what data needs, then run pytest tests/storage")
