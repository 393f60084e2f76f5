"""Commands of `pilot` in this process: as a person gives them, without the second it takes to start Python."""

import os
from pathlib import Path

from click.testing import CliRunner

from app.cli import main
from tests.databases import postgres_programs


def command(folder: Path, *words: str, **settings: str) -> tuple[int, str, str]:
    """Exit code, standard output and standard error, on the store in `folder` or another one in settings."""
    env: dict[str, str | None] = {
        "PILOT_DATA_DIR": str(folder / "data"),
        "PATH": f"{postgres_programs()}:{os.environ['PATH']}",
        **settings,
    }
    done = CliRunner().invoke(main, words, env=env)
    assert done.exception is None or isinstance(done.exception, SystemExit), (words, done.exception)
    return done.exit_code, done.stdout, done.stderr
